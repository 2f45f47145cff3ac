//! Streams: the same answer as the whole one, in any split, and what ends one.

use super::{decoder, request};
use crate::common::{self, Step, cut, finish, singles, steps};
use bytes::Bytes;
use oa_wire::{Category, ErrorKind, Event, Response};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The events of the wire for a whole message, each text in pieces of this many characters.
fn events_of(message: &Value, piece: usize) -> Vec<Value> {
    let pieces = |text: &str| -> Vec<String> {
        let chars: Vec<char> = text.chars().collect();
        chars.chunks(piece).map(|chunk| chunk.iter().collect()).collect()
    };
    let mut start = message.clone();
    start["content"] = json!([]);
    let stop = start["stop_reason"].take();
    start["usage"]["output_tokens"] = json!(0);
    let mut events = vec![json!({"type": "message_start", "message": start}), json!({"type": "ping"})];
    for (index, block) in message["content"].as_array().unwrap().iter().enumerate() {
        let mut begun = block.clone();
        let mut deltas = Vec::new();
        let kind = block["type"].as_str().unwrap();
        match kind {
            "text" => {
                begun["text"] = json!("");
                let texts = pieces(block["text"].as_str().unwrap()).into_iter();
                deltas.extend(texts.map(|text| json!({"type": "text_delta", "text": text})));
            }
            "thinking" => {
                begun["thinking"] = json!("");
                begun["signature"] = json!("");
                let texts = pieces(block["thinking"].as_str().unwrap()).into_iter();
                deltas.extend(texts.map(|text| json!({"type": "thinking_delta", "thinking": text})));
                deltas.push(json!({"type": "signature_delta", "signature": block["signature"]}));
            }
            "tool_use" => {
                begun["input"] = json!({});
                let texts = pieces(&block["input"].to_string()).into_iter();
                deltas.extend(texts.map(|text| json!({"type": "input_json_delta", "partial_json": text})));
            }
            _ => {}
        }
        events.push(json!({"type": "content_block_start", "index": index, "content_block": begun}));
        let deltas = deltas.into_iter();
        events.extend(
            deltas.map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})),
        );
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let tokens = message["usage"]["output_tokens"].clone();
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null},
        "usage": {"output_tokens": tokens}}));
    events.push(json!({"type": "message_stop"}));
    events
}

/// The bytes of these events, named or not.
fn stream_of(events: &[Value], are_named: bool) -> Bytes {
    let line = |event: &Value| match event["type"].as_str() {
        Some(name) if are_named => format!("event: {name}\ndata: {event}\n\n"),
        _ => format!("data: {event}\n\n"),
    };
    let lines: Vec<String> = events.iter().map(line).collect();
    lines.concat().into()
}

fn whole_of(message: &Value) -> Response {
    super::read(&request(), &message.to_string()).unwrap()
}

/// All that two forms of an answer have in common: everything.
fn facts(response: &Response) -> Value {
    let mut facts = serde_json::to_value(response).unwrap();
    facts["raw"] = response.raw.json().unwrap();
    facts
}

fn message(content: &Value, stop: &str) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content,
        "stop_reason": stop, "stop_sequence": null,
        "usage": {"input_tokens": 9, "output_tokens": 13, "cache_read_input_tokens": 4}})
}

fn messages() -> Vec<Value> {
    let time = json!({"type": "tool_use", "id": "a", "name": "get_time", "input": {"zone": "é\n\"x\""}});
    let weather = json!({"type": "tool_use", "id": "b", "name": "get_weather", "input": {}});
    vec![
        message(
            &json!([{"type": "text", "text": "Hello world\u{1f600} good\n\"morning\"\u{e9}."}]),
            "end_turn",
        ),
        message(&json!([]), "end_turn"),
        message(
            &json!([{"type": "thinking", "thinking": "I should think", "signature": "c2ln+/="},
            {"type": "redacted_thinking", "data": "blob"}, {"type": "text", "text": "so"}, time, weather]),
            "tool_use",
        ),
        message(&json!([{"type": "text", "text": "a"}, {"type": "text", "text": "bc"}]), "max_tokens"),
        message(
            &json!([{"type": "text", "text": "a"}, {"type": "server_tool_use", "id": "s", "name": "find",
            "input": {}}, {"type": "text", "text": "b"}]),
            "pause_turn",
        ),
    ]
}

/// A long stream is cut at every place too, but at several places at once, this far apart: the time grows
/// with the square of its length.
const APART: usize = 61;

#[test]
fn a_stream_gives_the_whole_answer_over_every_single_split() {
    for message in messages() {
        let want = facts(&whole_of(&message));
        for are_named in [true, false] {
            for piece in [2, 1000] {
                let body = stream_of(&events_of(&message, piece), are_named);
                let decode = |pieces: Vec<Bytes>| steps(decoder(&request(), "text/event-stream"), pieces);
                let response = finish(decoder(&request(), "text/event-stream"), [body.clone()]).unwrap();
                assert_eq!(facts(&response), want, "{message}");
                let whole = decode(vec![body.clone()]);
                if body.len() < 1200 {
                    for at in 0..=body.len() {
                        assert_eq!(decode(cut(&body, &[at])), whole, "cut at {at}");
                    }
                } else {
                    for from in 0..APART {
                        let cuts: Vec<_> = (from..body.len()).step_by(APART).collect();
                        assert_eq!(decode(cut(&body, &cuts)), whole, "cut at every {APART} from {from}");
                    }
                }
                assert_eq!(decode(singles(&body)), whole);
            }
        }
    }
}

#[test]
fn the_deltas_add_up_to_the_answer() {
    let message = &messages()[2];
    let mut decoder = decoder(&request(), "text/event-stream");
    decoder.push(stream_of(&events_of(message, 3), true));
    let (mut text, mut reasoning, mut calls) = (String::new(), String::new(), vec![String::new(); 2]);
    let (mut whole, mut done) = (Vec::new(), None);
    while let Some(event) = decoder.poll_event() {
        match event.unwrap() {
            Event::Content(delta) => text.push_str(&delta),
            Event::Reasoning(delta) => reasoning.push_str(&delta),
            Event::ToolCallDelta(delta) => calls[delta.position].push_str(&delta.arguments),
            Event::ToolCall(call) => whole.push(*call),
            Event::Done(response) => done = Some(*response),
            _ => {}
        }
    }
    let done = done.unwrap();
    assert_eq!((text.as_str(), reasoning.as_str()), ("so", "I should think"));
    assert_eq!(serde_json::from_str::<Map<String, Value>>(&calls[0]).unwrap()["zone"], "é\n\"x\"");
    assert_eq!(whole, done.message.tool_calls);
    assert!(decoder.is_done() && decoder.poll_event().is_none());
}

fn outcome(stream: &str) -> Result<Response, oa_wire::Error> {
    finish(decoder(&request(), "text/event-stream"), [Bytes::copy_from_slice(stream.as_bytes())])
}

const START: &str =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"i\",\"content\":[]}}\n\n";
const TEXT: &str = "data: {\"type\":\"content_block_delta\",\"index\":0,\
                    \"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n";
const STOP: &str = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\
                    \"usage\":{\"input_tokens\":2,\"output_tokens\":1}}\n\n";

#[test]
fn how_a_stream_ends() {
    let good =
        outcome(&format!("{START}{TEXT}{STOP}data: {{\"type\":\"message_stop\"}}\n\nnonsense")).unwrap();
    assert_eq!((&*good.text(), good.usage.total_tokens), ("Hi", Some(3)));
    assert_eq!(outcome(&format!("{START}{TEXT}{STOP}")).unwrap().text(), "Hi", "without message_stop");
    assert_eq!(outcome(&format!("{TEXT}{STOP}data: [DONE]\n\n")).unwrap().text(), "Hi", "without a start");
    let unsaid = outcome(&format!("{START}{TEXT}data: {{\"type\":\"message_stop\"}}\n\n")).unwrap();
    assert_eq!(unsaid.finish_reason, oa_wire::FinishReason::Error);
    for cut_off in [format!("{START}{TEXT}"), format!("{START}{TEXT}{}", &STOP[..40])] {
        let error = outcome(&cut_off).unwrap_err();
        assert_eq!((error.category(), error.kind()), (Category::Unavailable, Some(ErrorKind::CutOff)));
        assert_eq!(error.partial().unwrap().text(), "Hi");
    }
    let nothing = outcome("data: {\"type\":\"message_stop\"}\n\n").unwrap();
    assert_eq!(nothing.text(), "");
    assert_eq!(outcome("data: [DONE]\n\n").unwrap_err().category(), Category::InvalidResponse);
    let chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    assert!(outcome(chunk).unwrap_err().message().contains("what came was not understood"));
    let broken = outcome(&format!("{START}data: {{\"a\"\n\n")).unwrap_err();
    assert!(broken.message().starts_with("event 1 of the stream is not JSON"), "{broken}");
}

#[test]
fn an_error_in_a_stream_is_what_it_says_and_keeps_what_came() {
    for (event, category) in [
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Category::Unavailable,
        ),
        (r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#, Category::RateLimit),
        (
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"m"}}"#,
            Category::InvalidRequest,
        ),
        (r#"{"error":{"message":"boom","code":503}}"#, Category::Unavailable),
    ] {
        for name in ["event: error\n", ""] {
            let error = outcome(&format!("{START}{TEXT}{name}data: {event}\n\n")).unwrap_err();
            assert_eq!(error.category(), category, "{event}");
            assert_eq!(error.partial().unwrap().text(), "Hi");
        }
        assert_eq!(outcome(&format!("data: {event}\n\n")).unwrap_err().category(), category, "{event}");
    }
}

#[test]
fn keep_alives_and_unknown_events_are_no_data() {
    let noise = ": x\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\ndata: {\"type\":\"ping\"}\n\n\
                 event: later\ndata: {\"type\":\"later\",\"text\":\"no\"}\n\ndata:\n\n";
    let response = outcome(&format!("{noise}{START}{noise}{TEXT}{noise}{STOP}{noise}")).unwrap();
    assert_eq!(response.text(), "Hi");
}

#[test]
fn what_a_delta_brings_beside_its_text_is_in_raw() {
    let delta =
        |delta: &str| format!("data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{delta}}}\n\n");
    let cited = |n: u8| delta(&format!(r#"{{"type":"citations_delta","citation":{{"n":{n}}}}}"#));
    let stream = format!("{START}{TEXT}{}{}{STOP}", cited(1), cited(2));
    let raw = outcome(&stream).unwrap().raw.json().unwrap();
    assert_eq!(raw["content"], json!([{"type": "text", "text": "Hi", "citations": [{"n": 1}, {"n": 2}]}]));
    assert_eq!(raw["usage"], json!({"input_tokens": 2, "output_tokens": 1}));
    // vLLM was seen to stream a number where an input belongs.
    let block = r#"{"type":"tool_use","id":"a","name":"get_time","input":{}}"#;
    let start = format!(r#"data: {{"type":"content_block_start","content_block":{block},"index":0}}"#);
    let number = delta(r#"{"type":"input_json_delta","partial_json":"112"}"#);
    let error = outcome(&format!("{START}{start}\n\n{number}{STOP}")).unwrap_err();
    assert_eq!(error.category(), Category::InvalidResponse);
    assert_eq!(error.partial().unwrap().message.tool_calls[0].arguments.text(), Some("112"));
}

#[test]
fn a_character_that_is_cut_in_two_is_one() {
    let text = |written: &str| TEXT.replace("Hi", written);
    let stream = format!("{START}{}{}{STOP}", text("a\\ud83d"), text("\\ude00b"));
    assert_eq!(outcome(&stream).unwrap().text(), "a\u{1f600}b");
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let mut words: Vec<String> = [
        "data: ",
        "\n\n",
        "\n",
        "\r\n",
        "event: error\n",
        "event: ping\n",
        "event: content_block_delta\n",
        ": x\n",
        "[DONE]",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "\\",
        "\\ud83d",
        "null",
        "1e999",
        "-1",
        "é",
        "\0",
        "\"type\":\"message\",",
        "\"content\":[",
        "\"index\":0,",
        "\"error\":{},",
        "\"input\":{",
        "{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}",
        "\"usage\":{\"input_tokens\":1}",
    ]
    .map(str::to_owned)
    .into();
    words.extend([START.to_owned(), TEXT.to_owned(), STOP.to_owned()]);
    for message in messages() {
        words.extend(events_of(&message, 4).iter().map(|event| format!("data: {event}\n\n")));
    }
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300),
        4 => prop::collection::vec(prop::sample::select(words), 0..30)
            .prop_map(|words| words.concat().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_in_one_response_or_error_the_same_in_any_split(
        body in bodies(),
        is_stream in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let body = Bytes::from(body);
        let content_type = if is_stream { "text/event-stream" } else { "application/json" };
        let decoder = || decoder(&request(), content_type);
        let whole = steps(decoder(), [body.clone()]);
        let is_last = |step: &Step| matches!(step, Step::Done(_) | Step::Failed(_));
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
        let content: String = whole
            .iter()
            .filter_map(|step| if let Step::Content(text) = step { Some(&**text) } else { None })
            .collect();
        if let Ok(response) = finish(decoder(), [body]) {
            // Deltas of two blocks at once are handed out as they come.
            prop_assert_eq!(content.len(), response.text().len());
            prop_assert!(response.raw.json().is_ok());
        }
    }
}
