//! A web server that relays a stream to browsers as server-sent events, and stops the model when one leaves.
//!
//! `cargo run -p oa-examples --example stream_relay_axum [ADDRESS]`

mod server;

use axum::{Router, extract::State, http::StatusCode, response::sse, response::sse::Sse, routing::post};
use futures_core::Stream;
use futures_util::StreamExt;
use oa_provider::{OpenAiProvider, Provider};
use oa_wire::{CompletionRequest, Error, Event, Message};
use serde_json::json;
use std::{convert::Infallible, future::ready};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("try: curl -N -d 'Tell me a story.' http://{}/chat", listener.local_addr()?);
    // A provider is cheap to clone, and its clones share connections: one for the whole program.
    axum::serve(listener, Router::new().route("/chat", post(chat)).with_state(provider)).await?;
    Ok(())
}

/// Answers when the first event is there, so that a refusal still has an HTTP status of its own.
///
/// Nothing here cancels: when the browser leaves, axum drops this future or the stream that it returned, and
/// dropping them closes the request upstream. A spawned task with a channel in between would break that.
async fn chat(
    State(provider): State<OpenAiProvider>,
    prompt: String,
) -> Result<Sse<impl Stream<Item = Result<sse::Event, Infallible>>>, (StatusCode, String)> {
    let request = CompletionRequest::new([Message::user(prompt)]);
    let stream = provider.stream(&request).await.map_err(|error| {
        let status =
            if error.is_transient() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        // The category is for anybody; the server's own words may not be.
        (status, error.category().to_string())
    })?;
    Ok(Sse::new(stream.filter_map(|event| ready(relay(event).map(Ok)))))
}

/// What a browser needs of an event.
fn relay(event: Result<Event, Error>) -> Option<sse::Event> {
    match event {
        // As JSON: a model may write line breaks that an event cannot hold.
        Ok(Event::Content(text)) => Some(sse::Event::default().data(json!({"text": &*text}).to_string())),
        Ok(Event::Done(response)) => {
            Some(sse::Event::default().event("done").data(response.finish_reason.as_str()))
        }
        Ok(_) => None,
        Err(error) => Some(sse::Event::default().event("error").data(error.category().as_str())),
    }
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example stream_relay_axum
