//! Valid answers in which one field is missing, or is something else than it should be.

use crate::common::{drain, finish, stream, unary};
use bytes::Bytes;
use oa_wire::{Category, Error, Response};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What stands in a field's place; none: the field is not there.
fn replacements() -> Vec<Option<Value>> {
    let values = json!([
        null, true, false, 0, 7, -1, 1.5, 1e300, "", "x", "7", [], {}, [null], [[]], [{}], ["x"],
        {"a": {"b": [1]}}, {"type": "text"}
    ]);
    let values = values.as_array().unwrap().iter().cloned().map(Some);
    values.chain([None]).collect()
}

/// The JSON pointers of every value in this one, but for its root.
fn pointers(value: &Value) -> Vec<String> {
    let below = |key: &str, value: &Value| {
        let here = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        let deeper: Vec<_> = pointers(value).into_iter().map(|rest| format!("{here}{rest}")).collect();
        [vec![here], deeper].concat()
    };
    match value {
        Value::Object(object) => object.iter().flat_map(|(key, value)| below(key, value)).collect(),
        Value::Array(array) => {
            array.iter().enumerate().flat_map(|(at, value)| below(&at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    }
}

/// The value with another in this place.
fn replaced(value: &Value, pointer: &str, by: Option<&Value>) -> Value {
    let mut value = value.clone();
    let Some(by) = by else {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        match value.pointer_mut(parent).unwrap() {
            Value::Object(object) => drop(object.remove(key)),
            Value::Array(array) => drop(array.remove(key.parse().unwrap())),
            _ => unreachable!("only objects and arrays have members"),
        }
        return value;
    };
    *value.pointer_mut(pointer).unwrap() = by.clone();
    value
}

/// The text and the tool calls: what must not get lost.
#[derive(Clone, Debug, PartialEq)]
struct Essence {
    text: String,
    calls: Vec<(String, Map<String, Value>)>,
}

impl Essence {
    fn of(response: &Response) -> Self {
        let calls = response.message.tool_calls.iter();
        let calls =
            calls.map(|call| (call.name.clone(), call.arguments.as_object().cloned().unwrap_or_default()));
        Self { text: response.text().into_owned(), calls: calls.collect() }
    }
}

/// Answers that have everything.
fn bodies() -> Vec<Value> {
    let call = |id: &str, name: &str, arguments: Value| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"id": id, "type": "function", "function": function})
    };
    let choice = |message: Value, finish: &str| {
        json!({"index": 0, "message": message, "finish_reason": finish, "stop_reason": null,
               "logprobs": {"content": [{"token": "H", "logprob": -0.5, "bytes": [72], "top_logprobs": []}]}})
    };
    let body = |choices: Vec<Value>| {
        json!({"id": "c1", "object": "chat.completion", "created": 7, "model": "m", "choices": choices,
               "service_tier": "default",
               "system_fingerprint": "fp", "error": null, "prompt_logprobs": null,
               "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
                         "prompt_tokens_details": {"cached_tokens": 2}}})
    };
    let message = json!({"role": "assistant", "content": "Hello", "reasoning": "hm", "refusal": null,
        "tool_calls": [], "annotations": []});
    let called = json!({"role": "assistant", "content": "wait", "tool_calls": [
        call("a", "get_weather", json!("{\"city\":\"Rome\"}")),
        call("b", "get_time", json!({"zone": "UTC"}))]});
    let parts = json!({"role": "assistant",
        "content": [{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}]});
    vec![
        body(vec![choice(message.clone(), "stop")]),
        body(vec![choice(called, "tool_calls")]),
        body(vec![choice(parts, "stop")]),
        body(vec![choice(message.clone(), "stop"), {
            let mut second = choice(json!({"role": "assistant", "content": "other"}), "stop");
            second["index"] = json!(1);
            second
        }]),
    ]
}

/// Where the text and the calls stand, or what holds them: what is put there takes their place, or leaves
/// none.
fn carries(pointer: &str, message: &str) -> bool {
    let parts = ["/choices", "/choices/0", &format!("/choices/0/{message}")];
    let below = [format!("/choices/0/{message}/content"), format!("/choices/0/{message}/tool_calls")];
    parts.contains(&pointer) || below.iter().any(|place| pointer.starts_with(place.as_str()))
}

/// An error that says where in the JSON something is missing.
fn names_the_path(error: &Error) -> bool {
    error.category() == Category::InvalidResponse && error.message().contains("choices")
}

#[test]
fn a_body_with_one_field_gone_or_retyped_keeps_its_text_and_calls_or_names_the_path() {
    let mut cases = 0;
    for body in bodies() {
        let whole = finish(unary(), [body.to_string().into()]).unwrap();
        for pointer in pointers(&body) {
            for by in replacements() {
                let changed = replaced(&body, &pointer, by.as_ref());
                let shown = || format!("{pointer} is {by:?} in {body}");
                let got = finish(unary(), [changed.to_string().into()]);
                cases += 1;
                // Which choice is the first, the index says: another is another answer.
                let moved = body["choices"].as_array().unwrap().len() > 1
                    && (pointer.starts_with("/choices/0") && pointer.ends_with("/index")
                        || pointer == "/choices/1/index"
                        || carries(&pointer, "message"));
                match got {
                    Ok(got) if carries(&pointer, "message") || moved => {
                        assert_eq!(got.raw.json().unwrap(), changed, "{}", shown());
                    }
                    Ok(got) => assert_eq!(Essence::of(&got), Essence::of(&whole), "{}", shown()),
                    // An `error` beside an answer is none.
                    Err(error) => {
                        assert!(carries(&pointer, "message"), "{}: {error}", shown());
                        assert!(names_the_path(&error), "{}: {error}", shown());
                    }
                }
            }
        }
    }
    assert!(cases > 3_000, "{cases} cases");
}

#[test]
fn a_field_that_is_not_the_text_does_not_cost_the_calls_nor_the_other_way_round() {
    let body = &bodies()[1];
    let whole = Essence::of(&finish(unary(), [body.to_string().into()]).unwrap());
    for by in replacements() {
        let changed = replaced(body, "/choices/0/message/content", by.as_ref());
        let got = finish(unary(), [changed.to_string().into()]).unwrap();
        assert_eq!(Essence::of(&got).calls, whole.calls, "{by:?}");
        let changed = replaced(body, "/choices/0/message/tool_calls", by.as_ref());
        match finish(unary(), [changed.to_string().into()]) {
            Ok(got) => assert_eq!(got.text(), whole.text, "{by:?}"),
            Err(error) => assert_eq!(error.partial().unwrap().text(), whole.text, "{by:?}"),
        }
    }
}

/// Streams that have everything, by their chunks.
fn streams() -> Vec<Vec<Value>> {
    let chunk = |delta: Value, finish: Value| {
        json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m",
               "service_tier": "default", "usage": null,
               "choices": [{"index": 0, "delta": delta, "finish_reason": finish,
                            "logprobs": {"content": [{"token": "H", "bytes": [72]}]}}]})
    };
    let usage = json!({"id": "c1", "model": "m", "choices": [], "usage":
        {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
         "prompt_tokens_details": {"cached_tokens": 2}}});
    let fragment = |fragment: Value| chunk(json!({"tool_calls": [fragment]}), json!(null));
    let first = |index: u8, id: &str, name: &str, arguments: &str| {
        fragment(json!({"index": index, "id": id, "type": "function",
                        "function": {"name": name, "arguments": arguments}}))
    };
    vec![
        vec![
            chunk(json!({"role": "assistant", "content": ""}), json!(null)),
            chunk(json!({"reasoning": "hm"}), json!(null)),
            chunk(json!({"content": "Hel"}), json!(null)),
            chunk(json!({"content": "lo"}), json!(null)),
            chunk(json!({"content": "!"}), json!(null)),
            chunk(json!({}), json!("stop")),
            usage.clone(),
        ],
        vec![
            chunk(json!({"role": "assistant", "content": "wait"}), json!(null)),
            first(0, "a", "get_weather", ""),
            fragment(json!({"index": 0, "function": {"arguments": "{\"city\":"}})),
            fragment(json!({"index": 0, "function": {"arguments": "\"Rome\"}"}})),
            first(1, "b", "get_time", "{}"),
            chunk(json!({}), json!("tool_calls")),
            usage,
        ],
    ]
}

fn sent(chunks: &[Value]) -> Bytes {
    let events: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    (events.concat() + "data: [DONE]\n\n").into()
}

#[test]
fn a_chunk_with_one_field_gone_or_retyped_keeps_the_text_and_calls_of_the_stream_or_names_the_path() {
    let mut cases = 0;
    for chunks in streams() {
        let whole = Essence::of(&drain(stream(), [sent(&chunks)]).unwrap());
        for (at, chunk) in chunks.iter().enumerate() {
            for pointer in pointers(chunk) {
                for by in replacements() {
                    let mut changed = chunks.clone();
                    changed[at] = replaced(chunk, &pointer, by.as_ref());
                    let shown = || format!("{pointer} is {by:?} in chunk {at}: {chunk}");
                    cases += 1;
                    let got = drain(stream(), [sent(&changed)]);
                    // A choice of another index is another answer.
                    let moved = pointer == "/choices/0/index"
                        && by.as_ref().is_some_and(|by| by.is_u64() || *by == "7");
                    if carries(&pointer, "delta") || moved {
                        rest_arrives(&chunks, at, &got, &shown());
                    } else {
                        let got = got.unwrap_or_else(|error| panic!("{}: {error}", shown()));
                        assert_eq!(Essence::of(&got), whole, "{}", shown());
                    }
                }
            }
        }
    }
    assert!(cases > 3_000, "{cases} cases");
}

/// The text of the other chunks is in the response, or kept with an error that names the path.
fn rest_arrives(chunks: &[Value], at: usize, got: &Result<Response, Error>, shown: &str) {
    let response = match got {
        Ok(response) => response,
        Err(error) => {
            assert!(names_the_path(error), "{shown}: {error}");
            error.partial().unwrap_or_else(|| panic!("{shown}: nothing is kept"))
        }
    };
    let others = chunks.iter().enumerate().filter(|(other, _)| *other != at);
    let text = |(_, chunk): (usize, &Value)| {
        chunk.pointer("/choices/0/delta/content").and_then(Value::as_str).map(str::to_owned)
    };
    let (text, want) = (response.text(), others.filter_map(text).collect::<Vec<_>>());
    let mut from = 0;
    for piece in want {
        from += text[from..].find(&piece).unwrap_or_else(|| panic!("{shown}: {piece:?} is not in {text:?}"))
            + piece.len();
    }
}

/// The pointers of the texts that name one of several things: a server may name another at any time.
fn names(value: &Value) -> Vec<String> {
    let enums =
        ["finish_reason", "role", "type", "object", "service_tier", "system_fingerprint", "stop_reason"];
    pointers(value)
        .into_iter()
        .filter(|pointer| enums.iter().any(|name| pointer.ends_with(&format!("/{name}"))))
        .collect()
}

proptest! {
    #[test]
    fn no_word_that_nobody_knows_fails_a_call(
        word in "\\PC{0,12}|[a-z_]{1,12}",
        at in any::<prop::sample::Index>(),
    ) {
        // This one is known.
        prop_assume!(word != "error");
        for body in bodies() {
            let all = names(&body);
            let pointer = at.get(&all);
            let got = finish(unary(), [replaced(&body, pointer, Some(&json!(word))).to_string().into()]);
            let got = got.map_err(|error| TestCaseError::fail(format!("{pointer}: {error}")))?;
            let whole = finish(unary(), [body.to_string().into()]).unwrap();
            // A part of another type than text is no text.
            if !pointer.contains("/content/") {
                prop_assert_eq!(Essence::of(&got), Essence::of(&whole), "{}", pointer);
            }
            if pointer.ends_with("0/finish_reason") {
                let want = Some(word.clone()).filter(|word| !word.is_empty());
                prop_assert_eq!(got.server_finish_reason, want);
            }
        }
        for chunks in streams() {
            let whole = drain(stream(), [sent(&chunks)]).unwrap();
            for (place, chunk) in chunks.iter().enumerate() {
                let all = names(chunk);
                if all.is_empty() {
                    continue;
                }
                let pointer = at.get(&all);
                let mut changed = chunks.clone();
                changed[place] = replaced(chunk, pointer, Some(&json!(word)));
                let got = drain(stream(), [sent(&changed)]);
                let got = got.map_err(|error| TestCaseError::fail(format!("{pointer}: {error}")))?;
                prop_assert_eq!(Essence::of(&got), Essence::of(&whole), "{}", pointer);
            }
        }
    }
}
