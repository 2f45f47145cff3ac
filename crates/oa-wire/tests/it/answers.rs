//! The rules by which answers of servers in the field are read: nothing doubled, lost, joined to what it does
//! not belong to, or dropped without a word.

use crate::common::{Step, call, finish, request, singles, steps, stream, tools, typed, unary};
use bytes::Bytes;
use http::StatusCode;
use oa_wire::openai::{ChatCall, Endpoint};
use oa_wire::{
    Category, CompletionRequest, Error, ErrorKind, JsonSchema, Message, Profile, Response, RuntimeConfig,
    Tool, Tools,
};
use serde_json::{Value, json};

/// A stream of these chunks, each with one choice of index 0 that has this delta.
fn deltas(deltas: &[Value], finish: &str) -> Vec<Value> {
    let choice = |delta: &Value, finish: Value| json!({"index": 0, "delta": delta, "finish_reason": finish});
    let mut chunks: Vec<_> =
        deltas.iter().map(|delta| json!({"id": "c", "choices": [choice(delta, Value::Null)]})).collect();
    chunks.push(json!({"id": "c", "choices": [choice(&json!({}), json!(finish))]}));
    chunks
}

fn sent(chunks: &[Value]) -> Bytes {
    let events: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    (events.concat() + "data: [DONE]\n\n").into()
}

/// The outcome of a stream, which is the same in any split, and whose deltas are the response's text.
fn streamed(bytes: Bytes) -> Result<Response, Error> {
    let whole = steps(stream(), [bytes.clone()]);
    assert_eq!(steps(stream(), singles(&bytes)), whole);
    let outcome = finish(stream(), [bytes]);
    if let Ok(response) = &outcome {
        let text: String = whole
            .iter()
            .filter_map(|step| if let Step::Content(text) = step { Some(text.as_str()) } else { None })
            .collect();
        assert_eq!(text, response.text(), "the deltas are the text");
    }
    outcome
}

fn chunks(chunks: &[Value]) -> Result<Response, Error> {
    streamed(sent(chunks))
}

fn body(message: &Value, finish: &str) -> Result<Response, Error> {
    let body = json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]});
    finish_body(&body)
}

fn finish_body(body: &Value) -> Result<Response, Error> {
    finish(unary(), [body.to_string().into()])
}

fn message_in(message: &str) -> Value {
    json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": message},
        "finish_reason": null}]})
}

#[test]
fn a_message_beside_a_delta_is_a_copy_and_after_deltas_a_snapshot() {
    let mut beside = deltas(&[json!({"content": "Wh"}), json!({"content": "o"})], "stop");
    beside[0]["choices"][0]["message"] = json!({"content": "Wh"});
    beside[1]["choices"][0]["message"] = json!({"content": "Who"});
    assert_eq!(chunks(&beside).unwrap().text(), "Who");

    let mut after = deltas(&[json!({"content": "Good "})], "stop");
    after.insert(1, message_in("Good day"));
    after.insert(2, message_in("Good day"));
    after.insert(3, message_in("Something else"));
    assert_eq!(chunks(&after).unwrap().text(), "Good day", "only what goes beyond is new");

    let mut pieces = deltas(&[], "stop");
    pieces.splice(0..0, [message_in("Hel"), message_in("lo")]);
    assert_eq!(chunks(&pieces).unwrap().text(), "Hello", "without a delta they are pieces");
}

#[test]
fn a_snapshot_repeats_no_tool_call() {
    let call =
        json!({"id": "a", "type": "function", "function": {"name": "get_time", "arguments": "{\"x\":1}"}});
    let other = json!({"id": "b", "type": "function", "function": {"name": "get_time", "arguments": "{}"}});
    let mut all = deltas(&[json!({"tool_calls": [call]})], "tool_calls");
    all.insert(
        1,
        json!({"choices": [{"index": 0, "message": {"content": null, "tool_calls": [call, other]}}]}),
    );
    let response = chunks(&all).unwrap();
    let ids: Vec<_> = response.message.tool_calls.iter().map(|call| call.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[test]
fn a_member_that_stands_twice_has_its_last_value() {
    let twice = r#"{"choices":[{"index":0,"message":{"content":"a","content":"b"},"finish_reason":"stop"}]}"#;
    assert_eq!(finish(unary(), [twice.into()]).unwrap().text(), "b");
    let twice = concat!(
        r#"data: {"choices":[{"delta":{"content":"a","content":"b"},"finish_reason":"stop"}]}"#,
        "\n\n"
    );
    assert_eq!(streamed(twice.into()).unwrap().text(), "b");
}

#[test]
fn the_answer_is_the_choice_of_index_0_or_the_only_one() {
    let choice = |index: Value, text: &str| json!({"index": index, "delta": {"content": text}});
    let chunk = |choices: Vec<Value>| json!({"choices": choices});
    let one = |index: Value, text: &str| chunk(vec![choice(index, text)]);
    let cases = [
        (vec![one(json!(1), "a"), one(json!(1), "b")], "ab"),
        (vec![one(json!(0), "a"), one(json!(1), "b"), one(json!(2), "c")], "abc"),
        (vec![one(json!(0), "a"), one(json!(1), "x"), one(json!(0), "b")], "ab"),
        (vec![one(json!(1), "x"), one(json!(0), "a")], "a"),
        (vec![chunk(vec![choice(json!(1), "x"), choice(json!(0), "a")]), one(json!(1), "x")], "a"),
        (vec![one(json!("first"), "a"), one(json!(-1), "b")], "ab"),
        (vec![chunk(vec![choice(json!(0.0), "a"), choice(json!("1"), "x")])], "a"),
        (vec![chunk(vec![choice(json!(2), "a"), choice(json!(3), "x")])], "a"),
        (vec![json!({"choices": choice(json!(0), "a")})], "a"),
    ];
    for (all, want) in cases {
        assert_eq!(chunks(&all).unwrap().text(), want, "{all:?}");
    }
    let many = CompletionRequest::new([Message::user("hi")])
        .with_stream(true)
        .with_config(RuntimeConfig::new().with_extra("n", 2));
    let endpoint = Endpoint::new("http://h", None).unwrap();
    for (all, want) in [
        (vec![one(json!(0), "a"), one(json!(1), "x"), one(json!(2), "y")], "a"),
        (vec![one(json!(1), "a"), one(json!(2), "x")], "a"),
    ] {
        let call = ChatCall::new(&endpoint, &Profile::new("m"), &many).unwrap();
        let decoder = call.on_response(StatusCode::OK, &typed("text/event-stream"), None);
        assert_eq!(finish(decoder, [sent(&all)]).unwrap().text(), want, "{all:?}");
    }
}

#[test]
fn content_of_another_form_is_not_lost() {
    let cases = [
        (json!(6), "6"),
        (json!(0.5), "0.5"),
        (json!(true), "true"),
        (json!({"type": "text", "text": "a"}), "a"),
        (json!([{"type": "text", "text": "a"}, "b", {"type": "text", "text": 7}]), "ab7"),
        (json!([{"type": "reference", "ids": [1]}]), ""),
        (json!(null), ""),
    ];
    for (content, want) in cases {
        assert_eq!(body(&json!({"content": content}), "stop").unwrap().text(), want, "{content}");
        let response = chunks(&deltas(&[json!({"content": content})], "stop")).unwrap();
        assert_eq!(response.text(), want, "{content}");
        let raw = response.raw.to_bytes();
        let is_kept =
            !content.to_string().contains("ids") || String::from_utf8_lossy(&raw).contains("\"ids\":[1]");
        assert!(is_kept, "{content}");
    }
    let thinking = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text",
        "text": "a"}]);
    for response in [
        body(&json!({"content": thinking}), "stop").unwrap(),
        chunks(&deltas(&[json!({"content": thinking})], "stop")).unwrap(),
    ] {
        assert_eq!((response.message.reasoning(), &*response.text()), (Some("hm"), "a"));
    }
}

#[test]
fn halves_of_a_character_in_two_chunks_are_one() {
    let chunk = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let bytes = [chunk("a\\ud83d"), chunk("\\ude00b"), chunk("\\ud83d"), "data: [DONE]\n\n".into()].concat();
    assert_eq!(streamed(bytes.into()).unwrap().text(), "a\u{1f600}b\u{fffd}");
}

fn calls(response: &Response) -> Vec<(String, Value)> {
    let calls = response.message.tool_calls.iter();
    calls.map(|call| (call.name.clone(), json!(call.arguments.as_object()))).collect()
}

#[test]
fn a_tool_calls_that_gives_no_call_is_an_error_and_an_empty_one_is_none() {
    for value in [
        json!([]),
        json!([null]),
        json!([{}]),
        json!("[]"),
        json!({}),
        json!([{"index": 0, "function": null}]),
    ] {
        let message = json!({"content": "a", "tool_calls": value});
        assert!(calls(&body(&message, "stop").unwrap()).is_empty(), "{value}");
        assert!(calls(&chunks(&deltas(&[message], "stop")).unwrap()).is_empty(), "{value}");
    }
    for value in [
        json!("get_time()"),
        json!([7]),
        json!(["get_time"]),
        json!({"tool": "get_time"}),
        json!([{"x": {"y": 1}}]),
    ] {
        let message = json!({"content": "a", "tool_calls": value});
        for error in [
            body(&message, "stop").unwrap_err(),
            chunks(&deltas(std::slice::from_ref(&message), "stop")).unwrap_err(),
        ] {
            assert_eq!(error.category(), Category::InvalidResponse, "{value}");
            assert!(error.message().contains("tool_calls"), "{error}");
            assert_eq!(error.partial().unwrap().text(), "a", "{value}");
        }
    }
}

#[test]
fn one_call_where_a_list_belongs_is_a_list_of_one() {
    let call = json!({"id": "a", "function": {"name": "get_time", "arguments": {"x": 1}}, "name": null,
        "arguments": "{}"});
    let message = json!({"tool_calls": call});
    let want = [("get_time".to_owned(), json!({"x": 1}))];
    assert_eq!(calls(&body(&message, "tool_calls").unwrap()), want);
    assert_eq!(calls(&chunks(&deltas(&[message], "tool_calls")).unwrap()), want);
    let flat = json!({"tool_calls": [{"id": "a", "name": "get_time", "arguments": "{\"x\":1}"}]});
    assert_eq!(calls(&body(&flat, "tool_calls").unwrap()), want);
}

#[test]
fn the_old_function_call_counts_only_where_there_is_no_other_in_any_order_of_keys() {
    let old = json!({"name": "get_time", "arguments": "{\"x\":"});
    let new = json!([{"index": 0, "id": "a", "function": old}]);
    let rest = |key: &str, text: &str| match key {
        "function_call" => json!({ "arguments": text }),
        _ => json!([{"index": 0, "function": {"arguments": text}}]),
    };
    let want = [("get_time".to_owned(), json!({"x": 1}))];
    for keys in [&["function_call", "tool_calls"][..], &["tool_calls", "function_call"], &["function_call"]] {
        let delta = |values: Vec<Value>| {
            let members: Vec<_> =
                keys.iter().zip(values).map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{{}}}}}]}}\n\n", members.join(","))
        };
        let first =
            keys.iter().map(|key| if *key == "tool_calls" { new.clone() } else { old.clone() }).collect();
        let second = keys.iter().map(|key| rest(key, "1}")).collect();
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n";
        let response = streamed([delta(first), delta(second), end.to_owned()].concat().into()).unwrap();
        assert_eq!(calls(&response), want, "{keys:?}");
    }
    let empty = json!({"content": "a", "function_call": {"name": "", "arguments": ""}});
    assert!(calls(&body(&empty, "stop").unwrap()).is_empty());
}

#[test]
fn ids_are_unique_and_equal_calls_are_one() {
    let call = |arguments: &str| json!({"id": "a", "function": {"name": "get_time", "arguments": arguments}});
    let message = json!({"tool_calls": [call("{\"x\":1}"), call("{ \"x\": 1 }"), call("{\"x\":2}")]});
    let response = body(&message, "tool_calls").unwrap();
    let got: Vec<_> =
        response.message.tool_calls.iter().map(|call| (call.id.as_str(), call.id_is_local)).collect();
    assert_eq!(got, [("a", false), ("call_local_0", true)]);
}

#[test]
fn a_call_of_a_custom_tool_that_was_offered_has_its_input_and_is_sent_back() {
    let endpoint = Endpoint::new("http://h", None).unwrap();
    let tools = Tools::new([Tool::custom("sql").unwrap()]).unwrap();
    let request = CompletionRequest::new("hi").with_tools(tools);
    let call = ChatCall::new(&endpoint, &Profile::new("m"), &request).unwrap();
    let mut decoder = call.on_response(StatusCode::OK, &http::HeaderMap::new(), None);
    let custom = r#"{"id":"a","type":"custom","custom":{"name":"sql","input":"{\"x\": 1}"}}"#;
    decoder.push(
        format!(r#"{{"choices":[{{"message":{{"tool_calls":[{custom}]}},"finish_reason":"tool_calls"}}]}}"#)
            .into(),
    );
    let answer = decoder.finish().unwrap().message;
    let arguments = &answer.tool_calls[0].arguments;
    assert_eq!((arguments.text(), arguments.error()), (Some(r#"{"x": 1}"#), None));
    let back = [Message::user("hi"), answer.into(), Message::tool("a", "1")];
    let request = CompletionRequest::new(back);
    let call = ChatCall::new(&endpoint, &Profile::new("m"), &request).unwrap();
    let body = String::from_utf8(call.body().to_vec()).unwrap();
    assert!(body.contains(r#""custom":{"name":"sql","input":"{\"x\": 1}"}"#), "{body}");
}

#[test]
fn a_call_of_a_custom_tool_is_named() {
    let call =
        json!({"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "select 1"}});
    let message = json!({"tool_calls": [call]});
    for error in [
        body(&message, "tool_calls").unwrap_err(),
        chunks(&deltas(std::slice::from_ref(&message), "tool_calls")).unwrap_err(),
    ] {
        assert!(error.message().contains("custom tool `sql`"), "{error}");
        let call = &error.partial().unwrap().message.tool_calls[0];
        assert_eq!((call.name.as_str(), call.arguments.text()), ("sql", Some("select 1")));
    }
}

#[test]
fn an_error_in_the_choice_is_an_error_that_keeps_what_came() {
    let error = json!({"code": 502, "message": "upstream idle timeout"});
    let mut all = deltas(&[json!({"content": "Hel"})], "error");
    all[1]["choices"][0]["error"] = error.clone();
    let streamed = chunks(&all).unwrap_err();
    let body =
        json!({"choices": [{"message": {"content": "Hel"}, "finish_reason": "error", "error": error}]});
    for error in [streamed, finish_body(&body).unwrap_err()] {
        assert_eq!(error.category(), Category::Unavailable, "{error}");
        assert!(error.message().contains("upstream idle timeout"), "{error}");
        assert_eq!(error.partial().unwrap().text(), "Hel");
    }
}

#[test]
fn an_error_that_says_nothing_is_none() {
    for nothing in
        [json!(null), json!(""), json!({}), json!(false), json!([]), json!({"message": "", "code": null})]
    {
        let mut all = deltas(&[json!({"content": "Hi"})], "stop");
        all[0]["error"] = nothing.clone();
        all[0]["choices"][0]["error"] = nothing.clone();
        assert_eq!(chunks(&all).unwrap().text(), "Hi", "{nothing}");
        let choice = json!({"message": {"content": "Hi"}, "finish_reason": "stop", "error": nothing});
        assert_eq!(
            finish_body(&json!({"choices": [choice], "error": nothing})).unwrap().text(),
            "Hi",
            "{nothing}"
        );
    }
}

#[test]
fn words_that_are_no_event_are_quoted() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n";
    let cases = [
        "data: {\"code\":\"Inspection\",\"message\":\"the words\"}\n\n",
        "data: {\"error_type\":\"X\",\"error_message\":\"the words\",\"choices\":null}\n\n",
        "data: {\"base_resp\":{\"status_code\":1008,\"status_msg\":\"the words\"}}\n\n",
        "data: {\"status\":\"the words\"}\n\n",
        "data: [{\"error\":{\"message\":\"the words\"}}]\n\n",
        "{\"error\":{\"message\":\"the words\"}}\n\n",
        "{\n  \"error\": {\n    \"message\": \"the words\"\n  }\n}\n",
        "the words\n",
        "the words",
    ];
    for case in cases {
        for before in ["", text] {
            let error = streamed(format!("data: {{}}\n\n{before}{case}").into());
            let error = error.expect_err(case);
            let quoted =
                error.message().contains("the words") || error.message().contains("not understood: `{}`");
            assert!(quoted, "{case}: {error}");
            assert_eq!(
                error.partial().map(|partial| partial.text().into_owned()).unwrap_or_default(),
                if before.is_empty() { "" } else { "Hel" }
            );
        }
        let error = streamed(format!("{text}{case}").into()).expect_err(case);
        assert!(error.message().contains("the words"), "{case}: {error}");
    }
}

#[test]
fn a_complete_answer_survives_what_comes_after_it() {
    let all = deltas(&[json!({"content": "Hi"})], "stop");
    let events = all.iter().map(|chunk| format!("data: {chunk}\n\n")).collect::<Vec<_>>().concat();
    for end in
        ["data: DONE\n\n", "data: {\"message\":\"ok\",\"code\":0}\n\n", "data: {\"choices\":[{\"del", "bye\n"]
    {
        assert_eq!(streamed(format!("{events}{end}").into()).unwrap().text(), "Hi", "{end}");
    }
}

#[test]
fn a_body_that_is_no_stream_is_named_for_what_it_is() {
    let decoder = || call(true).on_response(StatusCode::OK, &typed("text/event-stream"), None);
    let page = finish(decoder(), ["<html><title>Sign in</title></html>".into()]).unwrap_err();
    assert_eq!(page.category(), Category::InvalidResponse);
    assert!(page.message().contains("Sign in"), "{page}");
    let empty = finish(decoder(), []).unwrap_err();
    assert!(empty.message().contains("stream"), "{empty}");
}

fn with_schema(stream: bool) -> ChatCall {
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]});
    let request = request(stream).with_tools(tools()).with_response_schema(JsonSchema::new(schema).unwrap());
    ChatCall::new(&Endpoint::new("http://h", None).unwrap(), &Profile::new("m"), &request).unwrap()
}

#[test]
fn a_refusal_is_readable_and_of_a_kind_of_its_own() {
    let message = json!({"content": null, "refusal": "I can't help."});
    let part = json!({"content": [{"type": "refusal", "refusal": "I can't help."}]});
    for message in [&message, &part] {
        let whole = body(message, "stop").unwrap();
        let streamed = chunks(&deltas(std::slice::from_ref(message), "stop")).unwrap();
        for response in [whole, streamed] {
            assert_eq!(response.refusal.as_deref(), Some("I can't help."));
            assert_eq!(response.text(), "");
        }
        let sent = sent(&deltas(std::slice::from_ref(message), "stop"));
        let decoder = with_schema(true).on_response(StatusCode::OK, &typed("text/event-stream"), None);
        let error = finish(decoder, [sent]).unwrap_err();
        assert_eq!(
            (error.category(), error.kind()),
            (Category::StructuredOutputInvalid, Some(ErrorKind::Refusal))
        );
        assert!(error.structured().unwrap().error_message.contains("I can't help."));
        assert!(error.is_refusal());
    }
}

#[test]
fn the_limit_on_tokens_is_named_where_it_ended_the_answer() {
    let json = typed("application/json");
    let body = |message: Value, finish: &str| {
        Bytes::from(json!({"choices": [{"message": message, "finish_reason": finish}]}).to_string())
    };
    for (finish_reason, kind) in [("length", Some(ErrorKind::TokenLimit)), ("stop", None)] {
        let decoder = || with_schema(false).on_response(StatusCode::OK, &json, None);
        let error = finish(decoder(), [body(json!({"content": "{\"x\":"}), finish_reason)]).unwrap_err();
        assert_eq!((error.category(), error.kind()), (Category::StructuredOutputInvalid, kind));
        assert_eq!(error.structured().unwrap().error_message.contains("limit on tokens"), kind.is_some());
        assert_eq!(error.is_token_limit(), kind.is_some());
        let call = json!({"id": "a", "function": {"name": "get_time", "arguments": "{\"x\":"}});
        let error = finish(decoder(), [body(json!({"tool_calls": [call]}), finish_reason)]).unwrap_err();
        assert_eq!((error.category(), error.kind()), (Category::InvalidResponse, kind));
        assert_eq!(error.message().contains("limit on tokens"), kind.is_some(), "{error}");
    }
}

#[test]
fn the_transcript_of_an_audio_answer_is_reachable() {
    let pieces = [
        json!({"audio": {"id": "a", "transcript": "Hel"}}),
        json!({"audio": {"transcript": "lo", "data": "QUI="}}),
    ];
    let response = chunks(&deltas(&pieces, "stop")).unwrap();
    assert_eq!(response.audio_transcript().as_deref(), Some("Hello"));
    assert_eq!(body(&json!({"content": "x"}), "stop").unwrap().audio_transcript(), None);
}

#[test]
fn usage_stands_where_servers_put_it_and_an_empty_block_erases_nothing() {
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7,
        "completion_tokens_details": {"reasoning_tokens": 1}});
    let mut in_choice = deltas(&[json!({"content": "Hi"})], "stop");
    in_choice[1]["choices"][0]["usage"] = usage.clone();
    let mut erased = deltas(&[json!({"content": "Hi"})], "stop");
    erased.push(json!({"choices": [], "usage": usage}));
    erased.push(json!({"choices": [], "usage": {}}));
    erased.push(json!({"choices": [], "usage": {"prompt_tokens": null}}));
    let whole = json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop", "usage": usage}]});
    for response in [chunks(&in_choice).unwrap(), chunks(&erased).unwrap(), finish_body(&whole).unwrap()] {
        let got = response.usage;
        assert_eq!(
            (got.prompt_tokens, got.completion_tokens, got.total_tokens, got.reasoning_tokens),
            (Some(5), Some(2), Some(7), Some(1))
        );
    }
    assert_eq!(chunks(&erased).unwrap().raw.json().unwrap()["usage"], usage);
}

#[test]
fn raw_is_readable_with_a_number_beyond_every_range() {
    let body = r#"{"cost":1e400,"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
    let raw = finish(unary(), [body.into()]).unwrap().raw.json().unwrap();
    // A string, or a number where serde_json's `arbitrary_precision` can hold it.
    let cost = raw["cost"].to_string();
    assert!(["\"1e400\"", "1e+400"].contains(&cost.as_str()), "{cost}");
}
