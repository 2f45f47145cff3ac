//! Another runtime: smol and hyper carry the bytes, and there is no tokio.
//!
//! `cargo run -p oa-examples --example wire_smol`

mod server;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use oa_wire::openai::{ChatCall, Endpoint};
use oa_wire::{Category, CompletionRequest, Error, Event, Message, Profile, Response};
use smol::net::TcpStream;
use smol_hyper::rt::FuturesIo;
use std::time::SystemTime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = server::named()?;
    let endpoint = Endpoint::new(&server.base_url, server.api_key)?;
    let profile = Profile::new(server.model);
    let request = CompletionRequest::new([Message::user("The capital of France?")]).with_stream(true);
    let call = ChatCall::new(&endpoint, &profile, &request)?;
    let response = smol::block_on(exchange(call))?;
    println!("({})", response.finish_reason);
    Ok(())
}

/// Sends a call, prints the pieces of its text as they come, and returns the response.
async fn exchange(call: ChatCall) -> Result<Response, Error> {
    let mut request = call.http_request();
    let authority = request.uri().authority().cloned().expect("an endpoint has one");
    // One connection and no pool, to keep it short: the path alone, and who is meant as a header.
    let host = authority.as_str().parse().map_err(failed)?;
    request.headers_mut().insert(http::header::HOST, host);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse().map_err(failed)?;
    *request.uri_mut() = path;

    let address = (authority.host().to_owned(), authority.port_u16().unwrap_or(80));
    let connection = TcpStream::connect(address).await.map_err(failed)?;
    let (mut sender, driver) = http1::handshake(FuturesIo::new(connection)).await.map_err(failed)?;
    // Dropped with the exchange, and then the server stops generating.
    let _driver = smol::spawn(driver);
    let answer = sender.send_request(request.map(Full::new)).await.map_err(failed)?;

    let mut decoder = call.on_response(answer.status(), answer.headers(), SystemTime::now());
    let mut body = answer.into_body();
    loop {
        match body.frame().await.transpose().map_err(|error| decoder.abort(failed(error)))? {
            Some(frame) => decoder.push(frame.into_data().unwrap_or_else(|_| Bytes::new())),
            None => decoder.end(),
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
//     cargo run -p oa-examples --example wire_smol
