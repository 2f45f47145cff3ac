//! The wire crate alone, under somebody else's HTTP client: reqwest carries the bytes, whole and as a stream.
//!
//! `cargo run -p oa-examples --example wire_with_reqwest`

mod server;

use oa_wire::openai::{ChatCall, Endpoint};
use oa_wire::{Category, CompletionRequest, Error, Event, Message, Profile, Response};
use std::{error::Error as StdError, time::SystemTime};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn StdError>> {
    let server = server::named()?;
    let client = reqwest::Client::new();

    // Where to, and which model: made once, checked here.
    let endpoint = Endpoint::new(&server.base_url, server.api_key)?;
    let profile = Profile::new(server.model);

    let request = CompletionRequest::new([Message::user("The capital of France?")]);
    let response = exchange(&client, ChatCall::new(&endpoint, &profile, &request)?, |_| {}).await?;
    println!("{}", response.text());

    // The same loop reads a stream: only the request asks for another form.
    let call = ChatCall::new(&endpoint, &profile, &request.with_stream(true))?;
    let response = exchange(&client, call, |event| {
        if let Event::Content(text) = event {
            println!("{text:?}");
        }
    })
    .await?;
    println!("({})", response.finish_reason);
    Ok(())
}

/// Sends a call, shows its events, and returns the response.
async fn exchange(
    client: &reqwest::Client,
    call: ChatCall,
    mut show: impl FnMut(&Event),
) -> Result<Response, Error> {
    let request = call.http_request().try_into().map_err(failed)?;
    let mut http = client.execute(request).await.map_err(failed)?;
    let mut decoder = call.on_response(http.status(), http.headers(), SystemTime::now());
    loop {
        // `abort` gives the error what had come before it.
        match http.chunk().await.map_err(|error| decoder.abort(failed(error)))? {
            Some(piece) => decoder.push(piece),
            None => decoder.end(),
        }
        while let Some(event) = decoder.poll_event() {
            match event? {
                Event::Done(response) => return Ok(*response),
                event => show(&event),
            }
        }
    }
}

/// A failure of the transport in the words that the rest of a program knows: transient, so to be tried again.
fn failed(error: reqwest::Error) -> Error {
    Error::new(Category::Unavailable, "the HTTP exchange failed").with_source(error)
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example wire_with_reqwest
