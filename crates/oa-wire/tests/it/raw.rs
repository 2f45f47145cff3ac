//! The raw of a stream is what was sent: a body, and the same as deltas in any cuts.

use crate::common::{Random, finish, render, seed, stream, typed, unary};
use bytes::Bytes;
use http::StatusCode;
use oa_wire::{
    CompletionRequest, Message, Profile, RuntimeConfig,
    openai::{ChatCall, Endpoint},
};
use serde_json::{Map, Value, json};

const TEXT: &str = "Hel\u{1f600}lo, \"wörld\"\\n \u{2028}and {more}: [1]";

fn text(random: &mut Random) -> String {
    let chars: Vec<char> = TEXT.chars().collect();
    let from = random.below(chars.len());
    let to = from + random.below(chars.len() - from + 1);
    chars[from..to].iter().collect()
}

/// A value of a member that nobody knows.
fn unknown(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 5 } else { 7 }) {
        0 => json!(random.below(100)),
        1 => json!(random.below(2) == 0),
        2 => json!(null),
        3 => json!(1.5),
        4 => json!(format!("v{}", random.below(9))),
        5 => (0..=random.below(3)).map(|_| unknown(random, depth - 1)).collect(),
        _ => {
            let members = (0..=random.below(3)).map(|at| (format!("m{at}"), unknown(random, depth - 1)));
            Value::Object(members.collect())
        }
    }
}

fn add_unknown(random: &mut Random, object: &mut Value) {
    for at in 0..random.below(3) {
        object[format!("vendor_{at}")] = unknown(random, 2);
    }
}

fn arguments(random: &mut Random) -> Value {
    (0..random.below(3)).map(|at| (format!("a{at}"), json!(text(random)))).collect::<Map<_, _>>().into()
}

fn body(random: &mut Random) -> Value {
    let mut message = json!({"role": "assistant"});
    let mut calls: Vec<Value> = Vec::new();
    for at in 0..random.below(3) {
        let mut function = json!({"name": "get_time", "arguments": arguments(random).to_string()});
        add_unknown(random, &mut function);
        let mut call = json!({"id": format!("call_{at}"), "function": function});
        if random.below(4) > 0 {
            call["type"] = json!("function");
        }
        add_unknown(random, &mut call);
        calls.push(call);
    }
    match random.below(5) {
        0 => message["content"] = json!(null),
        1 => {
            message["content"] = json!([{"type": "text", "text": "a"}, {"type": "image",
                "ref": unknown(random, 2)},
                                        {"type": "text", "text": "b"}]);
        }
        2 if calls.is_empty() => {}
        _ => message["content"] = json!(text(random)),
    }
    if random.below(3) == 0 {
        let name = ["reasoning", "reasoning_content"][random.below(2)];
        message[name] = json!(text(random));
    }
    match random.below(8) {
        0 => message["refusal"] = json!(text(random)),
        1 => message["refusal"] = json!(null),
        2 => message["reasoning_details"] = json!([{"index": 0, "type": "t", "text": "hm", "format": "v1"}]),
        3 => message["audio"] = json!({"id": "a", "transcript": text(random), "expires_at": 7}),
        _ => {}
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.clone().into();
    }
    add_unknown(random, &mut message);
    let finish = if calls.is_empty() { "stop" } else { "tool_calls" };
    let mut choice = json!({"index": 0, "message": message, "finish_reason": finish});
    add_unknown(random, &mut choice);
    let mut body = json!({"id": "c", "object": "chat.completion", "created": 7, "model": "m",
        "choices": [choice],
                          "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3,
                          "cost": 0.5}});
    add_unknown(random, &mut body);
    body
}

fn pieces(random: &mut Random, text: &str) -> Vec<String> {
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut cuts: Vec<usize> = (0..random.below(4)).map(|_| places[random.below(places.len())]).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| text[cut[0]..cut[1]].to_owned()).collect()
}

/// Pieces of a text that are never a repetition of each other by chance: one, or those of a cut in two.
fn argument_pieces(random: &mut Random, text: &str) -> Vec<String> {
    let all = pieces(random, text);
    let mut kept: Vec<String> = Vec::new();
    for piece in all {
        match kept.last_mut() {
            Some(last) if piece.is_empty() || piece.starts_with(&**last) => last.push_str(&piece),
            _ => kept.push(piece),
        }
    }
    kept
}

/// The deltas that a message is sent as.
fn deltas(random: &mut Random, message: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    for (key, value) in message.as_object().unwrap() {
        match (key.as_str(), value) {
            ("content" | "reasoning" | "reasoning_content" | "refusal", Value::String(text)) => {
                out.extend(pieces(random, text).into_iter().map(|piece| json!({ key: piece })));
            }
            ("content", Value::Array(parts)) => {
                out.extend(parts.iter().map(|part| json!({"content": [part]})));
            }
            ("audio", audio) => {
                let transcript = audio["transcript"].as_str().unwrap();
                for (at, piece) in pieces(random, transcript).into_iter().enumerate() {
                    let mut audio = audio.clone();
                    audio["transcript"] = json!(piece);
                    audio["expires_at"] =
                        json!(if at == 0 { 7 } else { audio["expires_at"].as_u64().unwrap() });
                    out.push(json!({ "audio": audio }));
                }
            }
            ("tool_calls", Value::Array(calls)) => {
                for (at, call) in calls.iter().enumerate() {
                    let text = call["function"]["arguments"].as_str().unwrap();
                    let mut first = call.clone();
                    first["index"] = json!(at);
                    let mut rest = Vec::new();
                    if random.below(2) == 0 {
                        first["function"]["arguments"] = json!("");
                        rest = argument_pieces(random, text);
                    }
                    out.push(json!({"tool_calls": [first]}));
                    out.extend(rest.into_iter().map(
                        |piece| json!({"tool_calls": [{"index": at, "function": {"arguments": piece}}]}),
                    ));
                }
            }
            _ => out.push(json!({ key: value })),
        }
    }
    out
}

fn chunks(random: &mut Random, body: &Value) -> Vec<Value> {
    let choice = &body["choices"][0];
    let mut root = body.as_object().unwrap().clone();
    root.remove("choices");
    root["object"] = json!("chat.completion.chunk");
    let usage = root.remove("usage");
    let deltas = deltas(random, &choice["message"]);
    let mut out = Vec::new();
    for delta in deltas {
        let mut chunk = root.clone();
        chunk.insert("choices".into(), json!([{"index": 0, "delta": delta, "finish_reason": null}]));
        out.push(Value::Object(chunk));
    }
    let mut last = choice.clone();
    last.as_object_mut().unwrap().remove("message");
    last["delta"] = json!({});
    let mut chunk = root.clone();
    chunk.insert("choices".into(), json!([last]));
    out.push(Value::Object(chunk));
    root.insert("choices".into(), json!([]));
    root.insert("usage".into(), usage.unwrap());
    out.push(Value::Object(root));
    out
}

#[test]
fn a_stream_has_the_raw_and_the_record_of_the_same_body() {
    let seed = seed();
    for number in 0..if cfg!(debug_assertions) { 400 } else { 20_000 } {
        let mut random = Random(seed.wrapping_add(number));
        let body = body(&mut random);
        let events: Vec<String> =
            chunks(&mut random, &body).iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let sent = Bytes::from(events.concat() + "data: [DONE]\n\n");
        let shown = || format!("OA_SEED={} {body}\n{}", seed.wrapping_add(number), events.concat());
        let whole =
            finish(unary(), [body.to_string().into()]).unwrap_or_else(|error| panic!("{error}: {}", shown()));
        let streamed = finish(stream(), [sent]).unwrap_or_else(|error| panic!("{error}: {}", shown()));
        assert_eq!(streamed.raw.json().unwrap(), body, "{}", shown());
        let record = |response: &oa_wire::Response| {
            let text = render(response);
            text[..text.find(" {\"").unwrap_or(text.len())].to_owned()
        };
        assert_eq!(record(&streamed), record(&whole), "{}", shown());
    }
}

/// A stream of several choices, each a list of texts, interleaved in any order: the choice of this index, its
/// text, and its finish reason where it ends.
fn interleaved(random: &mut Random, indexes: &[i64], ends: &[bool]) -> (Vec<Value>, Vec<Value>) {
    let (mut left, mut choices) = (Vec::new(), Vec::new());
    for (&index, &has_end) in indexes.iter().zip(ends) {
        let text = text(random);
        let mut own: Vec<Value> = pieces(random, &text)
            .into_iter()
            .map(|piece| json!({"index": index, "delta": {"content": piece}}))
            .collect();
        own.insert(0, json!({"index": index, "delta": {"role": "assistant"}}));
        let mut choice = json!({"index": index, "message": {"role": "assistant", "content": text}});
        if has_end {
            let finish = format!("reason_{index}");
            own.push(json!({"index": index, "delta": {}, "finish_reason": finish}));
            choice["finish_reason"] = json!(finish);
        }
        left.push(own.into_iter());
        choices.push(choice);
    }
    let mut chunks = Vec::new();
    while !left.is_empty() {
        let at = random.below(left.len());
        match left[at].next() {
            Some(choice) => chunks.push(json!({ "choices": [choice] })),
            None => drop(left.remove(at)),
        }
    }
    choices.sort_by_key(|choice| choice["index"].as_i64());
    (chunks, choices)
}

#[test]
fn the_raw_of_several_choices_holds_each_as_it_was_sent() {
    let many = CompletionRequest::new([Message::user("hi")])
        .with_stream(true)
        .with_config(RuntimeConfig::new().with_extra("n", 2));
    let endpoint = Endpoint::new("http://h", None).unwrap();
    let many = ChatCall::new(&endpoint, &Profile::new("m"), &many).unwrap();
    let seed = seed();
    for number in 0..400 {
        let mut random = Random(seed.wrapping_add(number));
        let indexes: &[i64] = [&[0, 1][..], &[1, 0, 2], &[1, 2]][random.below(3)];
        let ends: Vec<bool> = indexes.iter().map(|_| random.below(3) > 0).collect();
        let (chunks, choices) = interleaved(&mut random, indexes, &ends);
        let events: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let sent = Bytes::from(events.concat() + "data: [DONE]\n\n");
        let shown = || format!("OA_SEED={} {}", seed.wrapping_add(number), events.concat());
        let decoder = many.clone().on_response(StatusCode::OK, &typed("text/event-stream"), None);
        let response = finish(decoder, [sent.clone()]).unwrap_or_else(|error| panic!("{error}: {}", shown()));
        let raw = response.raw.json().unwrap();
        // The answer has index 0; where none has, it is the first that came, and the first of `raw`.
        let first = if indexes.contains(&0) { json!(0) } else { chunks[0]["choices"][0]["index"].clone() };
        let answer = choices.iter().find(|choice| choice["index"] == first).unwrap();
        assert_eq!(&raw["choices"][0], answer, "{}", shown());
        let mut all = raw["choices"].as_array().unwrap().clone();
        all.sort_by_key(|choice| choice["index"].as_i64());
        assert_eq!(all, choices, "{}", shown());
        assert_eq!(response.text(), answer["message"]["content"].as_str().unwrap(), "{}", shown());
        assert_eq!(json!(response.server_finish_reason), answer["finish_reason"], "{}", shown());
        // Where several were not asked for, the answer may be another, but nothing is lost or mixed.
        if let Ok(response) = finish(stream(), [sent]) {
            let raw = response.raw.json().unwrap();
            let mut all = raw["choices"].as_array().unwrap().clone();
            all.sort_by_key(|choice| choice["index"].as_i64());
            let is_one = all.len() == 1;
            assert!(is_one || all == choices, "{} and {raw}", shown());
        }
    }
}
