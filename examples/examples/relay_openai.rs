//! A gateway in OpenAI's form over any stack: OpenAI's own clients speak to it unchanged.
//!
//! `cargo run -p oa-examples --example relay_openai [ADDRESS]`

mod server;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::StreamExt;
use oa_provider::{Error, OpenAiProvider, Provider};
use oa_wire::openai::{ChunkWriter, RelayedRequest, error_body, response_body};
use std::{convert::Infallible, future::ready, time::SystemTime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("the base URL for OpenAI's clients: http://{}/v1", listener.local_addr()?);
    let app = Router::new().route("/v1/chat/completions", post(relay)).with_state(provider);
    axum::serve(listener, app).await?;
    Ok(())
}

async fn relay(State(provider): State<OpenAiProvider>, body: Bytes) -> Response {
    completion(&provider, &body).await.unwrap_or_else(|error| {
        let (status, body) = error_body(&error);
        (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
    })
}

async fn completion(provider: &OpenAiProvider, body: &[u8]) -> Result<Response, Error> {
    let relayed = RelayedRequest::from_json(body)?;
    let created = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs());
    if !relayed.request.stream {
        let response = provider.complete(&relayed.request).await?;
        let body = response_body(&response, created).to_string();
        return Ok(([(CONTENT_TYPE, "application/json")], body).into_response());
    }
    let stream = provider.stream(&relayed.request).await?;
    let mut writer = ChunkWriter::new(provider.model(), created).with_usage(relayed.include_usage);
    let frames = stream.filter_map(move |event| {
        let frame = match event {
            Ok(event) => writer.frame(&event),
            Err(error) => writer.error_frame(&error),
        };
        ready((!frame.is_empty()).then_some(Ok::<_, Infallible>(frame)))
    });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(frames)).into_response())
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example relay_openai
