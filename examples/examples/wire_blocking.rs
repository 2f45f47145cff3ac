//! No async, no runtime: the wire crate alone, its bytes carried by the blocking client ureq.
//!
//! `cargo run -p oa-examples --example wire_blocking`

mod server;

use bytes::Bytes;
use oa_wire::openai::{ChatCall, Endpoint};
use oa_wire::{Category, CompletionRequest, Error, Event, Message, Profile, Response};
use std::{io::Read, time::SystemTime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = server::named()?;
    let endpoint = Endpoint::new(&server.base_url, server.api_key)?;
    let profile = Profile::new(server.model);
    // The decoder reads refusals too: ureq shall not keep their bodies from it.
    let agent = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build());

    let request = CompletionRequest::new([Message::user("The capital of France?")]).with_stream(true);
    let response = exchange(&agent, ChatCall::new(&endpoint, &profile, &request)?)?;
    println!("({})", response.finish_reason);
    Ok(())
}

/// Sends a call, prints the pieces of its text as they come, and returns the response.
fn exchange(agent: &ureq::Agent, call: ChatCall) -> Result<Response, Error> {
    let request = call.http_request().map(|body| body.to_vec());
    let (head, body) = agent.run(request).map_err(failed)?.into_parts();
    let mut decoder = call.on_response(head.status, &head.headers, SystemTime::now());
    let mut body = body.into_reader();
    let mut buffer = [0; 8192];
    loop {
        // Blocks until something is there, and takes what there is: pieces need not match events.
        match body.read(&mut buffer).map_err(|error| decoder.abort(failed(error)))? {
            0 => decoder.end(),
            length => decoder.push(Bytes::copy_from_slice(&buffer[..length])),
        }
        while let Some(event) = decoder.poll_event() {
            match event? {
                Event::Content(text) => println!("{text:?}"),
                Event::Done(response) => return Ok(*response),
                _ => {}
            }
        }
    }
}

/// A failure of the transport in the words that the rest of a program knows: transient, so to be tried again.
fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Category::Unavailable, "the HTTP exchange failed").with_source(error)
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example wire_blocking
