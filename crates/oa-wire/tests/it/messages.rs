//! The Anthropic Messages mapping: what is written, what is read, and that a stream gives what the whole
//! answer gives.

mod answers;
mod exchanges;
mod requests;
mod streams;

use crate::common::tools;
use http::StatusCode;
use oa_wire::{
    CompletionRequest, Error, Message, Profile, Response, RuntimeConfig,
    anthropic::{ChatCall, Endpoint, ResponseDecoder},
    mapping::Exchange,
};

fn endpoint() -> Endpoint {
    Endpoint::new("http://localhost:8000", None).unwrap()
}

fn config() -> RuntimeConfig {
    RuntimeConfig::new().with_max_tokens(64)
}

fn request() -> CompletionRequest {
    CompletionRequest::new([Message::user("hi")]).with_tools(tools()).with_config(config())
}

fn call(request: &CompletionRequest) -> ChatCall {
    ChatCall::new(&endpoint(), &Profile::new("m"), request).unwrap()
}

fn decoder(request: &CompletionRequest, content_type: &str) -> ResponseDecoder {
    call(request).on_response(StatusCode::OK, &crate::common::typed(content_type), None)
}

/// What a JSON body is read as.
fn read(request: &CompletionRequest, body: &str) -> Result<Response, Error> {
    let mut decoder = decoder(request, "application/json");
    decoder.push(body.to_owned().into());
    decoder.finish()
}
