//! A transport of your own: any tower service over `http::Request<Bytes>`. Here a test double, no socket.
//!
//! `cargo run -p oa-examples --example own_transport`

use bytes::Bytes;
use http_body_util::Full;
use oa_provider::{OpenAiProvider, Provider};
use oa_wire::{Category, CompletionRequest, Message};
use std::convert::Infallible;

const GOOD: &str = r#"{"choices":[{"message":{"content":"Paris."},"finish_reason":"stop"}]}"#;
const BUSY: &str = r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let double = |request: http::Request<Bytes>| async move { Ok::<_, Infallible>(canned(&request)) };

    // No connection is ever made to this address: it only becomes the request's URI.
    let provider = OpenAiProvider::builder("http://test.invalid", "my-model")
        .transport(tower::service_fn(double))
        .build()?;

    // The code under test takes any `impl Provider`, and cannot tell this one from a real one.
    let answer =
        provider.complete(&CompletionRequest::new([Message::user("The capital of France?")])).await?;
    println!("{}", answer.text());

    match provider.complete(&CompletionRequest::new([Message::user("too much")])).await {
        Err(error) if error.category() == Category::RateLimit => println!("{error}"),
        other => return Err(format!("not what was canned: {other:?}").into()),
    }
    Ok(())
}

/// Answers with canned bytes. A response of any status is a success of the transport: the provider reads it.
fn canned(request: &http::Request<Bytes>) -> http::Response<Full<Bytes>> {
    println!("(POST {} with {} bytes)", request.uri(), request.body().len());
    let busy = request.body().windows(8).any(|text| text == b"too much");
    let mut response = http::Response::new(Full::from(if busy { BUSY } else { GOOD }));
    if busy {
        *response.status_mut() = http::StatusCode::TOO_MANY_REQUESTS;
        response.headers_mut().insert("retry-after", http::HeaderValue::from_static("2"));
    }
    response
}

// Against a real server: leave out `.transport(..)`, and name the server's URL and model, as
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model cargo run -p oa-examples --example quickstart does.
