//! Any bytes as an answer of Anthropic Messages: decoding never panics, ends once, and gives the same in any
//! split.
//!
//! The first six bytes choose the request, the content type and the cuts; the rest is the body.
#![no_main]

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use libfuzzer_sys::fuzz_target;
use oa_wire::{
    CompletionRequest, Error, Event, JsonSchema, Message, Profile, Response, RuntimeConfig, Tool, Tools,
    anthropic::{ChatCall, Endpoint, ResponseDecoder},
    mapping::{Decoder, EventDecoder, Exchange},
};
use serde_json::json;
use std::sync::OnceLock;

fuzz_target!(|input: &[u8]| {
    let Some((&[which, kind, a, b, c, d], body)) = input.split_first_chunk::<6>() else { return };
    let calls = calls();
    let call = &calls[usize::from(which) % calls.len()];
    let mut headers = HeaderMap::new();
    if let Some(kind) = ["text/event-stream", "application/json"].get(usize::from(kind % 3)) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let status = if kind & 64 == 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let decoder = || call.clone().on_response(status, &headers, None);
    let body = Bytes::copy_from_slice(body);

    let whole = steps(decoder(), vec![body.clone()]);
    let ends = whole.iter().filter(|step| step.starts_with("END")).count();
    assert_eq!(ends, 1, "one end: {whole:?}");
    assert!(whole.last().is_some_and(|step| step.starts_with("END")), "nothing after the end: {whole:?}");

    let pieces = cut(&body, u32::from_le_bytes([a, b, c, d]));
    assert_eq!(steps(decoder(), pieces.clone()), whole, "in pieces");

    let mut unpolled = decoder();
    for piece in pieces {
        unpolled.push(piece);
    }
    assert_eq!(whole.last(), Some(&end(&unpolled.finish())), "without polling");
});

fn steps(mut decoder: ResponseDecoder, pieces: Vec<Bytes>) -> Vec<String> {
    let mut seen = Vec::new();
    let mut poll = |decoder: &mut ResponseDecoder| {
        while let Some(event) = decoder.poll_event() {
            seen.push(match event {
                Ok(Event::Done(response)) => end(&Ok(*response)),
                Ok(other) => format!("{other:?}"),
                Err(error) => end(&Err(error)),
            });
        }
    };
    for piece in pieces {
        decoder.push(piece);
        poll(&mut decoder);
    }
    decoder.end();
    poll(&mut decoder);
    seen
}

/// All that an outcome holds, as a text.
fn end(outcome: &Result<Response, Error>) -> String {
    let response = |response: &Response| {
        let _ = response.raw.json();
        format!("{response:?} {}", String::from_utf8_lossy(&response.raw.to_bytes()))
    };
    match outcome {
        Ok(done) => format!("END {}", response(done)),
        Err(error) => {
            let partial = error.partial().map(response);
            format!("END {error} {:?} {:?} {partial:?} {:?}", error.kind(), error.body(), error.structured())
        }
    }
}

/// The body in pieces: the first bits choose how long they are.
fn cut(body: &Bytes, mut seed: u32) -> Vec<Bytes> {
    let most = [1, 2, 7, 64, 1024][(seed % 5) as usize];
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < body.len() {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let to = (from + 1 + (seed >> 16) as usize % most).min(body.len());
        pieces.push(body.slice(from..to));
        from = to;
    }
    pieces
}

fn calls() -> &'static [ChatCall] {
    static CALLS: OnceLock<Vec<ChatCall>> = OnceLock::new();
    CALLS.get_or_init(|| {
        let tool = |name: &str| Tool::new(name, json!({"type": "object"})).expect("a tool");
        let tools = Tools::new([tool("get_weather"), tool("get_time")]).expect("two tools");
        let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]});
        let schema = JsonSchema::new(schema).expect("a schema");
        let request = CompletionRequest::new([Message::user("hi")])
            .with_config(RuntimeConfig::new().with_max_tokens(9))
            .with_tools(tools)
            .with_stream(true);
        let endpoint = Endpoint::new("http://h", None).expect("a URL");
        let profile = Profile::new("m");
        [
            (profile.clone(), request.clone()),
            (profile.clone().with_surface_invalid_tool_calls(true), request.clone()),
            (profile, request.with_response_schema(schema)),
        ]
        .map(|(profile, request)| ChatCall::new(&endpoint, &profile, &request).expect("a request"))
        .to_vec()
    })
}
