//! The other direction: what is read from a body is sent as it was, and what is written is read as it was.

use http::{HeaderMap, StatusCode};
use oa_wire::{
    AssistantBlock, AssistantContent, AssistantMessage, Category, Error, Event, FinishReason, Profile,
    Response, ToolArguments, ToolCall, Usage,
    openai::{ChatCall, ChunkWriter, Endpoint, RelayedRequest, ResponseDecoder, error_body, response_body},
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// The body that a relay sends on.
fn relayed(body: &Value) -> Result<Value, Error> {
    let relayed = RelayedRequest::from_json(body.to_string().as_bytes())?;
    let profile = Profile::new(relayed.model.as_deref().unwrap_or("m"));
    let call = ChatCall::new(&Endpoint::new("http://h", None)?, &profile, &relayed.request)?;
    Ok(serde_json::from_slice(call.body()).unwrap())
}

fn decoded(body: String) -> Result<Response, Error> {
    let mut decoder = ResponseDecoder::new(StatusCode::OK, &HeaderMap::new());
    decoder.push(body.into());
    decoder.finish()
}

#[test]
fn a_request_is_sent_on_as_it_was_received() {
    let body = json!({
        "model": "a", "temperature": 1, "top_k": 5, "stop": "x", "user": null, "max_tokens": 7,
        "response_format": {"type": "json_object"},
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "s"}]},
            {"role": "user", "content": "q", "name": "n"},
            {"role": "assistant", "content": "prefill"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}},
            {"type": "function", "function":
                {"name": "g", "description": "d", "parameters": {"type": "object"}, "x": 1}},
            {"type": "function", "function": {"name": "h"}},
            {"type": "function", "function": {"name": "i", "parameters": {"type": "string"}}},
            {"type": "custom", "custom": {"name": "c"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "stream": true,
        "stream_options": {"include_usage": true, "continuous_usage_stats": true},
    });
    assert_eq!(relayed(&body).unwrap(), body);
}

#[test]
fn a_body_that_cannot_be_read_is_named_by_its_path() {
    let hi = json!([{"role": "user", "content": "hi"}]);
    for (body, want) in [
        (json!([]), "the body: expected an object"),
        (json!({}), "messages: there is none"),
        (json!({"messages": hi, "model": 1}), "model: expected a text"),
        (json!({"messages": hi, "stream": "yes"}), "stream: expected true or false"),
        (json!({"messages": hi, "tools": {}}), "tools: expected a list"),
        (json!({"messages": hi, "tools": [1]}), "tools[0]: expected an object"),
        (json!({"messages": hi, "stream_options": 1}), "stream_options: expected an object"),
        (json!({"messages": [{"role": "user", "content": 1}]}), "messages[0].content: "),
    ] {
        let error = relayed(&body).unwrap_err();
        assert_eq!(
            (error.category(), error_body(&error).0),
            (Category::InvalidRequest, StatusCode::BAD_REQUEST)
        );
        assert!(error.message().starts_with(want), "{error}, want {want}");
    }
}

#[test]
fn an_error_keeps_its_status_or_gets_one_that_says_the_same() {
    let cases = [
        (Error::new(Category::Authentication, "m"), 401),
        (Error::new(Category::InvalidModel, "m"), 404),
        (Error::new(Category::Unavailable, "m"), 503),
        (Error::new(Category::InvalidResponse, "m").with_status(200), 502),
        (Error::new(Category::Unavailable, "m").with_status(504), 504),
    ];
    for (error, status) in cases {
        let (got, body) = error_body(&error);
        assert_eq!((got.as_u16(), body["error"]["message"].as_str()), (status, Some("m")));
        let mut decoder = ResponseDecoder::new(got, &HeaderMap::new());
        decoder.push(body.to_string().into());
        assert_eq!(decoder.finish().unwrap_err().status(), Some(status));
    }
}

fn text() -> impl Strategy<Value = String> {
    "[a-z\"\\\\\n\u{e9}\u{1f600}]{1,12}"
}

fn call() -> impl Strategy<Value = ToolCall> {
    let arguments = prop_oneof![
        text().prop_map(|text| ToolArguments::from(json!({"b": text, "a": [1, null]}))),
        text().prop_map(ToolArguments::input),
        text().prop_map(|text| ToolArguments::parse(&format!("{{{text}"))),
    ];
    ("[a-z]{1,6}", arguments).prop_map(|(name, arguments)| ToolCall::new("", name, arguments))
}

fn response() -> impl Strategy<Value = Response> {
    let finish = prop::sample::select(&FinishReason::ALL[..4]);
    let parts = (prop::option::of(text()), prop::option::of(text()), prop::collection::vec(call(), 0..3));
    (parts, finish, prop::option::of((0..9u64, 0..9u64))).prop_map(
        |((text, thought, calls), finish, usage)| {
            let content = match (thought, text) {
                (None, text) => AssistantContent::Text(text.unwrap_or_default()),
                (Some(thought), text) => AssistantContent::Blocks(
                    std::iter::once(AssistantBlock::thinking(thought))
                        .chain(text.map(AssistantBlock::text))
                        .collect(),
                ),
            };
            let calls: Vec<_> = calls
                .into_iter()
                .enumerate()
                .map(|(at, mut call)| {
                    call.id = format!("call_{at}");
                    call
                })
                .collect();
            let message = AssistantMessage::new(content).with_tool_calls(calls);
            let response = Response::new(message, finish).with_id("i").with_model("m");
            match usage {
                Some((prompt, completion)) => response.with_usage(Usage::new(prompt, completion)),
                None => response,
            }
        },
    )
}

/// What a relay passes on of a response.
fn essence(response: &Response) -> Value {
    let calls = response.message.tool_calls.iter().map(|call| {
        let arguments = call.arguments.as_object().map_or_else(
            || json!([call.arguments.is_input(), call.arguments.text()]),
            |object: &Map<String, Value>| Value::Object(object.clone()),
        );
        json!([call.id, call.name, arguments])
    });
    json!({
        "text": response.text(), "reasoning": response.message.reasoning(),
        "calls": calls.collect::<Vec<_>>(),
        "finish": response.finish_reason, "usage": response.usage, "model": response.model,
    })
}

fn member() -> impl Strategy<Value = Value> {
    prop_oneof![Just(json!(null)), Just(json!([1, {"a": 2}])), text().prop_map(Value::from)]
}

fn is_json(value: &str) -> bool {
    serde_json::from_str::<Value>(value).is_ok()
}

proptest! {
    #[test]
    fn a_response_is_read_from_its_body_as_it_was(response in response()) {
        let body = response_body(&response, 7).to_string();
        prop_assert!(is_json(&body));
        prop_assert_eq!(essence(&decoded(body).unwrap()), essence(&response));
    }

    #[test]
    fn a_stream_is_read_from_its_chunks_as_it_was(response in response(), whole in any::<bool>()) {
        let mut source = ResponseDecoder::new(StatusCode::OK, &HeaderMap::new());
        let body = response_body(&response, 7);
        if whole {
            source.push(body.to_string().into());
        } else {
            // The same as a stream of one chunk.
            let mut chunk = body;
            let mut choice = chunk["choices"][0].clone();
            choice["delta"] = choice.as_object_mut().unwrap().remove("message").unwrap();
            chunk["choices"] = json!([choice]);
            source.push(format!("data: {chunk}\n\ndata: [DONE]\n\n").into());
        }
        source.end();
        let mut writer = ChunkWriter::new("m", 7).with_usage(true);
        let mut relayed = String::new();
        while let Some(event) = source.poll_event() {
            let event: Event = event.unwrap();
            relayed.push_str(&writer.frame(&event));
        }
        prop_assert!(relayed.ends_with("data: [DONE]\n\n"));
        prop_assert_eq!(essence(&decoded(relayed).unwrap()), essence(&response));
    }

    #[test]
    fn a_request_of_any_members_is_sent_on(
        extras in prop::collection::btree_map("x[a-z]{1,6}", member(), 0..4),
        contents in prop::collection::vec(text(), 1..4),
    ) {
        let user = |text: &String| json!({"role": "user", "content": text});
        let mut body = json!({"model": "m", "messages": contents.iter().map(user).collect::<Vec<_>>()});
        body.as_object_mut().unwrap().extend(extras);
        prop_assert_eq!(relayed(&body).unwrap(), body);
    }
}
