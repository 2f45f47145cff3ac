//! Helpers of the tests: decoding in any split, and answers in a form that compares.
#![allow(dead_code, clippy::unwrap_used)] // Each test uses a part of it; it is compiled into tests alone.

pub(crate) mod exchange;
pub(crate) mod reading;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use oa_wire::openai::{ChatCall, Endpoint, ResponseDecoder};
use oa_wire::{CompletionRequest, Error, Event, Message, Response, Tool, Tools};
use oa_wire::{Profile, mapping::EventDecoder};
use serde_json::json;

/// One step of an answer, whole: two answers are the same when these are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Content(String),
    Reasoning(String),
    Other(String),
    Done(String),
    Failed(String),
}

/// Everything that a response says, with the bytes of its `raw`.
pub(crate) fn render(response: &Response) -> String {
    format!("{response:?} {}", String::from_utf8_lossy(&response.raw.to_bytes()))
}

/// Everything that an error says, with what came before it.
pub(crate) fn render_error(error: &Error) -> String {
    let partial = error.partial().map(render);
    let report = serde_json::to_string(&error.report()).unwrap();
    format!("{report} {:?} {:?} {partial:?} {:?}", error.kind(), error.body(), error.structured())
}

fn step(event: Result<Event, Error>) -> Step {
    match event {
        Ok(Event::Content(text)) => Step::Content(text.to_string()),
        Ok(Event::Reasoning(text)) => Step::Reasoning(text.to_string()),
        Ok(Event::Done(response)) => Step::Done(render(&response)),
        Ok(other) => Step::Other(format!("{other:?}")),
        Err(error) => Step::Failed(render_error(&error)),
    }
}

/// Hands the pieces to the decoder, asking for the events of each before the next.
pub(crate) fn steps(mut decoder: impl EventDecoder, pieces: impl IntoIterator<Item = Bytes>) -> Vec<Step> {
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.poll_event() {
            seen.push(step(event));
        }
    }
    decoder.end();
    while let Some(event) = decoder.poll_event() {
        seen.push(step(event));
    }
    assert!(decoder.poll_event().is_none(), "something follows the end");
    seen
}

/// Hands all pieces to the decoder without asking for events.
pub(crate) fn finish(
    mut decoder: impl EventDecoder,
    pieces: impl IntoIterator<Item = Bytes>,
) -> Result<Response, Error> {
    for piece in pieces {
        decoder.push(piece);
    }
    decoder.finish()
}

/// Hands the pieces to the decoder, asking for the events of each, up to the response.
pub(crate) fn drain(
    mut decoder: impl EventDecoder,
    pieces: impl IntoIterator<Item = Bytes>,
) -> Result<Response, Error> {
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.poll_event() {
            if let Event::Done(response) = event? {
                return Ok(*response);
            }
        }
    }
    decoder.finish()
}

/// Bytes cut at these offsets, in order.
pub(crate) fn cut(bytes: &Bytes, at: &[usize]) -> Vec<Bytes> {
    let mut from = 0;
    let mut pieces = Vec::with_capacity(at.len() + 1);
    for &to in at.iter().chain([&bytes.len()]) {
        pieces.push(bytes.slice(from..to));
        from = to;
    }
    pieces
}

/// Bytes one at a time.
pub(crate) fn singles(bytes: &Bytes) -> Vec<Bytes> {
    (0..bytes.len()).map(|at| bytes.slice(at..=at)).collect()
}

/// A small generator of numbers with a seed (splitmix64): the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Up to `most` places to cut `length` bytes at, in order.
    pub(crate) fn cuts(&mut self, length: usize, most: usize) -> Vec<usize> {
        let count = self.below(most + 1);
        let mut cuts: Vec<usize> = (0..count).map(|_| self.below(length + 1)).collect();
        cuts.sort_unstable();
        cuts
    }
}

/// A seed from the environment (`OA_SEED`), to see a failure again; else one of the moment.
pub(crate) fn seed() -> u64 {
    if let Ok(text) = std::env::var("OA_SEED") {
        return text.parse().expect("OA_SEED is a number");
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    since.as_nanos() as u64
}

/// The tools that the tests' answers call: they take anything.
pub(crate) fn tools() -> Tools {
    let tool = |name: &str| Tool::new(name, json!({"type": "object"})).unwrap();
    Tools::new([tool("get_weather"), tool("get_time")]).unwrap()
}

/// A request that offers [`tools`].
pub(crate) fn request(stream: bool) -> CompletionRequest {
    CompletionRequest::new([Message::user("hi")]).with_tools(tools()).with_stream(stream)
}

/// A call of [`request`].
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::new("http://localhost:8000", None).unwrap()
}

pub(crate) fn call(stream: bool) -> ChatCall {
    ChatCall::new(&endpoint(), &Profile::new("m"), &request(stream)).unwrap()
}

/// The headers of a response with this content type.
pub(crate) fn typed(content_type: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    headers
}

/// The decoder of a stream that answers [`call`].
pub(crate) fn stream() -> ResponseDecoder {
    call(true).on_response(StatusCode::OK, &typed("text/event-stream; charset=utf-8"), None)
}

/// The decoder of a JSON body that answers [`call`].
pub(crate) fn unary() -> ResponseDecoder {
    call(false).on_response(StatusCode::OK, &typed("application/json"), None)
}
