//! Headers, session, priority and trace of one call, and reasoning that is sent back.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use oa_wire::{
    AssistantBlock, AssistantMessage, Category, CompletionRequest, Error, Message, Place, Priority, Profile,
    ReasoningMember, RuntimeConfig, SendReasoning, SessionId, Spellings, ToolCall, TraceContext,
    openai::{ChatCall, Endpoint, ResponseDecoder},
};
use serde_json::{Value, json};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn call(profile: &Profile, request: &CompletionRequest) -> Result<ChatCall, Error> {
    ChatCall::new(&Endpoint::new("http://h", None)?, profile, request)
}

fn body(profile: &Profile, request: &CompletionRequest) -> Value {
    serde_json::from_slice(call(profile, request).unwrap().body()).unwrap()
}

fn header(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

#[test]
fn each_server_is_told_in_its_own_words() {
    let request = CompletionRequest::new("hi")
        .with_session_id(SessionId::new("s 1").unwrap())
        .with_trace_context(TraceContext::new(TRACEPARENT).unwrap().with_tracestate("a=b").unwrap());
    let cases = [
        ("vllm", Some("x-session-id"), json!({"priority": 3}), json!({})),
        ("sglang", Some("x-smg-routing-key"), json!({"priority": 3}), json!({})),
        ("litellm", Some("x-litellm-session-id"), json!({}), json!({})),
        ("ray", Some("x-session-id"), json!({}), json!({})),
        ("dynamo", Some("x-dynamo-session-id"), json!({}), json!({})),
        ("llm-d", None, json!({}), json!({})),
        (
            "openai",
            None,
            json!({"prompt_cache_key": "s 1"}),
            json!({"prompt_cache_key": "s 1", "service_tier": "batch"}),
        ),
    ];
    for (label, session, level, class) in cases {
        let profile = Profile::new("m").with_spellings(Spellings::of(label).unwrap());
        for (priority, mut want) in [(Priority::from(3), level), ("batch".into(), class)] {
            let request = request.clone().with_priority(priority);
            let headers = call(&profile, &request).unwrap().http_request().headers().clone();
            assert_eq!(
                (&headers["traceparent"], &headers["tracestate"]),
                (&TRACEPARENT.parse().unwrap(), &"a=b".parse().unwrap())
            );
            if let Some(name) = session {
                assert_eq!(headers[name], "s 1", "{label}");
            }
            let objective = headers.get("x-llm-d-inference-objective").map(|name| name.to_str().unwrap());
            let is_class = matches!(request.priority, Some(Priority::Class(_)));
            assert_eq!(objective, (label == "llm-d" && is_class).then_some("batch"));
            want["model"] = "m".into();
            want["messages"] = json!([{"role": "user", "content": "hi"}]);
            assert_eq!(body(&profile, &request), want, "{label}");
        }
    }
}

#[test]
fn a_session_beside_an_extra_of_the_same_name() {
    let request = CompletionRequest::new("hi").with_session_id(SessionId::new("s").unwrap());
    let with =
        |value: &str| request.clone().with_config(RuntimeConfig::new().with_extra("prompt_cache_key", value));
    let sent = call(&Profile::new("m"), &with("s")).unwrap();
    assert_eq!(sent.body().windows(16).filter(|part| part == b"prompt_cache_key").count(), 1);
    let error = call(&Profile::new("m"), &with("t")).unwrap_err();
    assert!(error.message().starts_with("session_id: "), "{error}");
    let by_hand = Spellings::new().with_session(Place::Body("messages".into()));
    assert!(call(&Profile::new("m").with_spellings(by_hand), &request).is_err());
}

#[test]
fn headers_of_a_call_go_before_those_of_the_server_and_hide_their_secrets() {
    let (name, value) = header("x-team", "server");
    let endpoint = Endpoint::new("http://h", Some(oa_wire::ApiKey::new("sk-server-1").unwrap()))
        .unwrap()
        .with_header(name, value);
    let request =
        [header("x-team", "call"), header("authorization", "Bearer tok-canary-2"), header("x-a", "1")]
            .into_iter()
            .fold(CompletionRequest::new("hi"), |request, (name, value)| request.with_header(name, value));
    assert!(!format!("{request:?}").contains("canary"));
    let call = ChatCall::new(&endpoint, &Profile::new("m"), &request).unwrap();
    let headers = call.http_request().headers().clone();
    assert_eq!((&headers["x-team"], &headers["x-a"]), (&"call".parse().unwrap(), &"1".parse().unwrap()));
    assert_eq!(headers.get_all("authorization").iter().collect::<Vec<_>>(), ["Bearer tok-canary-2"]);
    let mut decoder = call.on_response(StatusCode::UNAUTHORIZED, &HeaderMap::new(), None);
    decoder.push("{\"error\":{\"message\":\"no: tok-canary-2\"}}".into());
    let error = decoder.finish().unwrap_err();
    assert!(!format!("{error} {error:?} {:?}", error.body()).contains("canary"), "{error:?}");
    for name in ["content-length", "host", "transfer-encoding", "content-type"] {
        let (name, value) = header(name, "1");
        let request = CompletionRequest::new("hi").with_header(name.clone(), value);
        let error = ChatCall::new(&endpoint, &Profile::new("m"), &request).unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest);
        assert!(error.message().starts_with(&format!("headers.{name}: ")), "{error}");
    }
}

/// The answer of a body, and of the stream that says the same.
fn answers(message: &Value) -> [AssistantMessage; 2] {
    let finish = |body: String| {
        let mut decoder = ResponseDecoder::new(StatusCode::OK, &HeaderMap::new());
        decoder.push(body.into());
        decoder.finish().unwrap().message
    };
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let delta = json!({"index": 0, "delta": message, "finish_reason": "stop"});
    [
        finish(json!({"choices": [choice]}).to_string()),
        finish(format!("data: {}\n\ndata: [DONE]\n\n", json!({"choices": [delta]}))),
    ]
}

#[test]
fn reasoning_goes_back_as_it_was_received() {
    let details = json!([{"type": "reasoning.encrypted", "index": 0, "data": "x", "b": 1, "a": null}]);
    let cases = [
        (json!({"content": "a", "reasoning": "r"}), json!({"reasoning": "r"})),
        (json!({"content": "a", "reasoning_content": "r"}), json!({"reasoning_content": "r"})),
        (json!({"content": "a", "reasoning": "r", "reasoning_content": "r"}), json!({"reasoning": "r"})),
        (
            json!({"content": "a", "reasoning": "", "reasoning_content": "r"}),
            json!({"reasoning_content": "r"}),
        ),
        (
            json!({"content": "a", "reasoning": "r", "reasoning_details": details}),
            json!({"reasoning": "r", "reasoning_details": details}),
        ),
        (json!({"content": "a", "reasoning_details": details}), json!({"reasoning_details": details})),
        (json!({"content": "a", "reasoning_details": []}), json!({})),
    ];
    for (message, mut want) in cases {
        for answer in answers(&message) {
            // As a history that was stored.
            let stored = serde_json::to_string(&answer).unwrap();
            let answer: AssistantMessage = serde_json::from_str(&stored).unwrap();
            let history = [Message::user("q"), answer.into(), Message::user("q")];
            let request = CompletionRequest::new(history);
            let sent =
                |when| body(&Profile::new("m").with_send_reasoning(when), &request)["messages"][1].clone();
            want["role"] = "assistant".into();
            want["content"] = "a".into();
            assert_eq!(sent(SendReasoning::Always), want, "{message}");
            let plain = json!({"role": "assistant", "content": "a"});
            assert_eq!(sent(SendReasoning::Never), plain);
            assert_eq!(sent(SendReasoning::WithOpenToolCalls), plain);
        }
    }
}

#[test]
fn with_open_tool_calls_only_their_turn_has_its_reasoning() {
    let answer = |id: &str| -> Message {
        let thinking = AssistantBlock::thinking(format!("because {id}"));
        AssistantMessage::new([thinking]).with_tool_calls([ToolCall::new(id, "f", json!({}))]).into()
    };
    let mut history = vec![Message::user("q")];
    for id in ["a", "b"] {
        history.extend([answer(id), Message::tool(id, "1")]);
    }
    history.extend([Message::assistant("so"), Message::user("q")]);
    for id in ["c", "d"] {
        history.extend([answer(id), Message::tool(id, "1")]);
    }
    let request = CompletionRequest::new(history);
    let reasoned = |when| {
        let body = body(&Profile::new("m").with_send_reasoning(when), &request);
        let messages = body["messages"].as_array().unwrap().clone();
        messages
            .iter()
            .filter_map(|message| message["reasoning"].as_str().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(reasoned(SendReasoning::Never), [""; 0]);
    assert_eq!(reasoned(SendReasoning::WithOpenToolCalls), ["because c", "because d"]);
    assert_eq!(reasoned(SendReasoning::Always).len(), 4);
}

#[test]
fn the_member_is_stored_by_its_name() {
    let block: AssistantBlock =
        serde_json::from_value(json!({"type": "thinking", "text": "r", "member": "reasoning_content"}))
            .unwrap();
    let AssistantBlock::Thinking { member, .. } = &block else { panic!() };
    assert_eq!(*member, Some(ReasoningMember::ReasoningContent));
}

#[test]
fn named_setters_write_extras() {
    let config = RuntimeConfig::new()
        .with_reasoning_effort("low")
        .with_max_completion_tokens(5)
        .with_parallel_tool_calls(false)
        .with_top_k(20)
        .with_min_p(0.5)
        .with_repetition_penalty(1.5)
        .with_chat_template_kwarg("enable_thinking", false)
        .with_chat_template_kwarg("a", 1)
        .with_n(2)
        .with_logprobs(3);
    let sent = call(&Profile::new("m"), &CompletionRequest::new("hi").with_config(config)).unwrap();
    let body = String::from_utf8(sent.body().to_vec()).unwrap();
    let want = concat!(
        r#""chat_template_kwargs":{"a":1,"enable_thinking":false},"logprobs":true,"#,
        r#""max_completion_tokens":5,"min_p":0.5,"n":2,"parallel_tool_calls":false,"#,
        r#""reasoning_effort":"low","repetition_penalty":1.5,"top_k":20,"top_logprobs":3}"#
    );
    assert!(body.ends_with(want), "{body}");
}
