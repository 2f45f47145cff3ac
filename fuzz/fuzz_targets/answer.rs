//! Any bytes as an answer of some wire: decoding never panics, ends once, and gives the same in any split.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use oa_wire::{
    Error, Event, Response,
    mapping::{Decoder, EventDecoder, Exchange},
};

/// What an answer gave: the texts of its events, and its end.
pub struct Outcome {
    #[allow(dead_code, reason = "not every target compares it")]
    pub content: String,
    #[allow(dead_code, reason = "not every target compares it")]
    pub result: Result<Response, Error>,
}

/// The first six bytes choose the request, the content type and the cuts; the rest is the body.
pub fn check<C: Exchange<Decoder: EventDecoder> + Clone>(calls: &[C], input: &[u8]) -> Option<Outcome> {
    let (&[which, kind, a, b, c, d], body) = input.split_first_chunk::<6>()?;
    let call = &calls[usize::from(which) % calls.len()];
    let mut headers = HeaderMap::new();
    if let Some(kind) = ["text/event-stream", "application/json"].get(usize::from(kind % 3)) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let status = if kind & 64 == 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let decoder = || call.clone().on_response(status, &headers, None);
    let body = Bytes::copy_from_slice(body);

    let whole = steps(decoder(), vec![body.clone()]);
    let ends = whole.iter().filter(|step| matches!(step, Step::End(_))).count();
    assert_eq!(ends, 1, "one end: {whole:?}");
    assert!(matches!(whole.last(), Some(Step::End(_))), "nothing after the end: {whole:?}");

    let pieces = cut(&body, u32::from_le_bytes([a, b, c, d]));
    assert_eq!(steps(decoder(), pieces.clone()), whole, "in pieces");

    let mut unpolled = decoder();
    for piece in pieces {
        unpolled.push(piece);
    }
    let result = unpolled.finish();
    assert_eq!(whole.last(), Some(&Step::End(end(&result))), "without polling");
    let content =
        whole.iter().filter_map(|step| if let Step::Content(text) = step { Some(&**text) } else { None });
    Some(Outcome { content: content.collect(), result })
}

#[derive(Debug, PartialEq)]
enum Step {
    Content(String),
    Other(String),
    End(String),
}

fn steps(mut decoder: impl EventDecoder, pieces: Vec<Bytes>) -> Vec<Step> {
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        poll(&mut decoder, &mut seen);
    }
    decoder.end();
    poll(&mut decoder, &mut seen);
    seen
}

fn poll(decoder: &mut impl EventDecoder, seen: &mut Vec<Step>) {
    while let Some(event) = decoder.poll_event() {
        seen.push(match event {
            Ok(Event::Content(text)) => Step::Content(text.to_string()),
            Ok(Event::Done(response)) => Step::End(end(&Ok(*response))),
            Ok(other) => Step::Other(format!("{other:?}")),
            Err(error) => Step::End(end(&Err(error))),
        });
    }
}

/// All that an outcome holds, as a text.
fn end(outcome: &Result<Response, Error>) -> String {
    let response = |response: &Response| {
        let _ = response.raw.json();
        format!("{response:?} {}", String::from_utf8_lossy(&response.raw.to_bytes()))
    };
    match outcome {
        Ok(done) => response(done),
        Err(error) => {
            let partial = error.partial().map(response);
            format!("{error} {:?} {:?} {partial:?} {:?}", error.kind(), error.body(), error.structured())
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
