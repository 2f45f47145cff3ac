//! Bytes that no server should send, and decoders that are not used as they should be.

use crate::common::{self, Step, call, cut, drain, finish, request, singles, steps, stream, typed, unary};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use oa_wire::openai::{ChatCall, ResponseDecoder};
use oa_wire::{BODY_LIMIT, Category, Error, ErrorKind, Event, sse};
use oa_wire::{Limits, ModelList, Profile};
use proptest::prelude::*;
use serde_json::{Value, json};

fn small() -> Limits {
    Limits::new().with_body(300).with_stream(sse::Limits { line: 120, event: 120, total: 400 })
}

fn limited(status: StatusCode, headers: &HeaderMap) -> ResponseDecoder {
    let profile = Profile::new("m").with_limits(small());
    ChatCall::new(&common::endpoint(), &profile, &request(true)).unwrap().on_response(status, headers, None)
}

/// Pieces of answers, good and bad, and bytes of no sense.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "data: ",
        "data:",
        "\n\n",
        "\n",
        "\r",
        "\r\n",
        "event: error",
        "event: ping",
        "error: ",
        ": x",
        "[DONE]",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "\\",
        "\\u",
        "\\ud83d",
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}",
        "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}",
        "\"finish_reason\":\"stop\"",
        "\"choices\":",
        "\"delta\":",
        "\"index\":",
        r#""tool_calls":[{"index":0,"id":"a","function":{"name":"get_time","arguments":"{"}}]"#,
        "\"message\":",
        "\"usage\":{\"total_tokens\":1}",
        "\"error\":",
        "\"object\":\"error\"",
        "null",
        "true",
        "1e999",
        "-1",
        "18446744073709551616",
        "\"x\"",
        "é",
        "\u{feff}",
        "   ",
        "\t",
        "\0",
    ]);
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300),
        3 => prop::collection::vec(words, 0..50).prop_map(|words| words.concat().into_bytes()),
    ]
}

fn statuses() -> impl Strategy<Value = StatusCode> {
    prop_oneof![Just(200u16), Just(200), Just(201), 100..1000u16]
        .prop_map(|code| StatusCode::from_u16(code).unwrap())
}

fn types() -> impl Strategy<Value = HeaderMap> {
    let types =
        vec!["text/event-stream", "Text/Event-Stream; charset=utf-8", "application/json", "text/html", ""];
    prop::sample::select(types).prop_map(typed)
}

fn is_last(step: &Step) -> bool {
    matches!(step, Step::Done(_) | Step::Failed(_))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_in_one_response_or_error_the_same_in_any_split(
        body in bodies(),
        status in statuses(),
        headers in types(),
        asked_for_a_stream in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let body = Bytes::from(body);
        let decoder = || call(asked_for_a_stream).on_response(status, &headers, None);
        let whole = steps(decoder(), [body.clone()]);
        prop_assert_eq!(whole.iter().position(is_last), Some(whole.len() - 1), "{:?}", whole);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&steps(decoder(), cut(&body, &cuts)), &whole);
        prop_assert_eq!(&steps(decoder(), singles(&body)), &whole);
        let unasked = match finish(decoder(), cut(&body, &cuts)) {
            Ok(response) => Step::Done(common::render(&response)),
            Err(error) => Step::Failed(common::render_error(&error)),
        };
        prop_assert_eq!(Some(&unasked), whole.last());
    }

    #[test]
    fn within_small_limits_any_bytes_are_read_or_refused(
        body in bodies(),
        headers in types(),
        size in 1..200usize,
    ) {
        let pieces: Vec<Bytes> = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let steps = steps(limited(StatusCode::OK, &headers), pieces);
        let read: usize = steps.iter().map(|step| match step {
            Step::Content(text) | Step::Reasoning(text) => text.len(),
            _ => 0,
        }).sum();
        // What is not UTF-8 grows to three bytes when it is replaced.
        prop_assert!(read <= 3 * (small().body + 400).max(size), "{}", read);
    }

    #[test]
    fn no_order_of_calls_panics(
        body in bodies(),
        headers in types(),
        calls in prop::collection::vec((0..6u8, any::<prop::sample::Index>()), 0..24),
    ) {
        let body = Bytes::from(body);
        let mut decoder = call(true).on_response(StatusCode::OK, &headers, None);
        let mut was_done = false;
        let mut ends = 0;
        for (which, at) in calls {
            match which {
                0 | 1 => decoder.push(body.slice(at.index(body.len() + 1)..)),
                2 => ends += usize::from(matches!(decoder.poll_event(), Some(Err(_) | Ok(Event::Done(_))))),
                3 => decoder.end(),
                4 => drop(decoder.snapshot()),
                _ => {
                    let _ = decoder.abort(Error::new(Category::Unavailable, "gone"));
                    prop_assert!(decoder.is_done(), "nothing follows what was given up");
                }
            }
            prop_assert!(decoder.is_done() || !was_done, "what is done stays done");
            was_done = decoder.is_done();
        }
        prop_assert!(ends <= 1, "{} ends", ends);
        drop(decoder.finish());
    }

    #[test]
    fn any_list_of_models_that_is_read_can_be_asked_for_each_of_its_models(list in models()) {
        if let Ok(catalogue) = ModelList::parse(&list) {
            let ids: Vec<&str> = catalogue.ids().collect();
            prop_assert_eq!(ids.len(), catalogue.entries().len());
            for id in ids {
                prop_assert!(catalogue.find(id).is_some(), "{:?}", id);
                let refused = catalogue.check(id).err().map(|error| error.category());
                prop_assert!(matches!(refused, None | Some(Category::ModelNotLoaded)), "{:?}", refused);
            }
        }
    }
}

/// Lists of models, good and bad, and what is none.
fn models() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        "[a-z/*:-]{0,4}".prop_map(Value::from),
        Just(json!(null)),
        Just(json!(7)),
        Just(json!([]))
    ];
    let statuses = json!(["loading", {"value": "loaded"}, "NOT_LOADED", 1, null]);
    let status = prop::sample::select(statuses.as_array().unwrap().clone());
    let entry = prop_oneof![
        4 => (word.clone(), status, word.clone()).prop_map(|(id, status, alias)| {
            json!({"id": id, "status": status, "aliases": [alias], "object": "model"})
        }),
        1 => word,
    ];
    prop_oneof![
        9 => prop::collection::vec(entry,
            0..6).prop_map(|data| json!({"data": data}).to_string().into_bytes()),
        1 => bodies(),
    ]
}

/// Pushes this text again and again, until the decoder has enough; gives how much that was.
fn flood(decoder: &mut ResponseDecoder, start: &str, again: &str) -> (usize, Option<Error>) {
    let mut pushed = 0;
    let mut error = None;
    let mut next = start;
    while !decoder.is_done() && pushed < 100_000 {
        decoder.push(Bytes::copy_from_slice(next.as_bytes()));
        pushed += next.len();
        next = again;
        while let Some(event) = decoder.poll_event() {
            error = event.err().or(error);
        }
    }
    while let Some(event) = decoder.poll_event() {
        error = event.err().or(error);
    }
    (pushed, error)
}

#[test]
fn an_endless_success_is_refused_as_soon_as_its_limit_is_passed() {
    let json = typed("application/json");
    let events = typed("text/event-stream");
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let cases = [
        ("a body", &json, "{\"choices\":[", "{},"),
        ("a body of spaces", &json, " ", " "),
        ("a stream of spaces", &events, " ", " "),
        ("a stream of blank lines", &events, "\n", "\n"),
        ("a stream of blank lines that is going to be JSON", &json, "\r\n", "\r\n"),
        ("a text", &typed("text/plain"), "x", "x"),
        ("an event in one line", &events, "data: ", "x"),
        ("an event in many lines", &events, "data: x\n", "data: x\n"),
        ("a comment", &events, ":", "x"),
        ("many comments", &events, ": x\n\n", ": x\n\n"),
        ("an endless field", &events, "x", "x"),
        ("many names of events", &events, "event: x\n", "event: x\n"),
        ("many chunks", &events, chunk, chunk),
    ];
    for (name, headers, start, again) in cases {
        let mut decoder = limited(StatusCode::OK, headers);
        let (pushed, error) = flood(&mut decoder, start, again);
        let limit = small().body.max(small().stream.total as usize) + start.len().max(again.len());
        assert!(pushed <= limit, "{name}: {pushed} bytes were read");
        let error = error.unwrap_or_else(|| panic!("{name}: no error"));
        assert_eq!(
            (error.category(), error.kind()),
            (Category::InvalidResponse, Some(ErrorKind::TooLarge)),
            "{name}"
        );
    }
}

#[test]
fn pieces_that_wait_count_towards_the_limit() {
    let mut decoder = limited(StatusCode::OK, &typed("text/event-stream"));
    for _ in 0..1_000 {
        decoder.push(Bytes::from_static(b": keep-alive\n\n"));
    }
    let error = decoder.finish().unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::TooLarge), "{error}");
}

#[test]
fn of_an_endless_error_only_the_start_is_kept() {
    let mut decoder = limited(StatusCode::BAD_GATEWAY, &typed("text/html"));
    let page = Bytes::from(vec![b'x'; 1 << 16]);
    for _ in 0..64 {
        decoder.push(page.clone());
    }
    let error = decoder.finish().unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    assert_eq!(error.body().map(Bytes::len), Some(BODY_LIMIT));
    assert!(error.to_string().len() < 4_096);
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(100_000);
        let body = Bytes::from(format!("{{\"choices\":{deep}"));
        assert_eq!(finish(unary(), [body]).unwrap_err().category(), Category::InvalidResponse, "{open}");
        let event = Bytes::from(format!("data: {{\"choices\":[{{\"delta\":{{\"content\":{deep}\n\n"));
        assert_eq!(finish(stream(), [event]).unwrap_err().category(), Category::InvalidResponse, "{open}");
    }
}

#[test]
fn broken_characters_are_replaced_and_the_rest_arrives() {
    let mut body = br#"{"choices":[{"message":{"content":"a?b"},"finish_reason":"stop"}]}"#.to_vec();
    let at = body.iter().position(|&byte| byte == b'?').unwrap();
    body[at] = 0xff;
    assert_eq!(finish(unary(), [body.clone().into()]).unwrap().text(), "a\u{fffd}b");
    let event = br#"data: {"choices":[{"delta":{"content":"a?b"},"finish_reason":"stop"}]}"#;
    let mut event = [&event[..], b"\n\n"].concat();
    let at = event.iter().position(|&byte| byte == b'?').unwrap();
    event[at] = 0xff;
    // The first of them is remembered, the next ones are compared with it.
    let twice = [&event[..], &event, &event].concat();
    assert_eq!(drain(stream(), [twice.into()]).unwrap().text(), "a\u{fffd}b".repeat(3));
}
