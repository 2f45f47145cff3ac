//! Whole answers: what is required, what is taken, and what is an error.

use super::{config, read, request};
use oa_wire::{
    AssistantBlock, AssistantContent, Category, CompletionRequest, Error, ErrorKind, FinishReason,
    JsonSchema, Message, Profile, Response, SchemaMode,
    anthropic::{ChatCall, ResponseDecoder},
    mapping::Exchange,
};
use serde_json::{Value, json};

fn ok(body: &Value) -> Response {
    read(&request(), &body.to_string()).unwrap_or_else(|error| panic!("{body}: {error}"))
}

fn err(body: &str) -> Error {
    read(&request(), body).unwrap_err()
}

#[test]
fn a_message_with_everything() {
    let body = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "blob"},
            {"type": "text", "text": "I look.", "citations": null},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "text", "text": ""},
            {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {"zone": "CET"}},
        ],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 3}});
    let response = ok(&body);
    let AssistantContent::Blocks(blocks) = &response.message.content else { panic!("{response:?}") };
    assert_eq!(
        serde_json::to_value(blocks).unwrap(),
        json!([{"type": "thinking", "text": "hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "blob"}, {"type": "text", "text": "I look."}])
    );
    let call = &response.message.tool_calls[0];
    assert_eq!((call.id.as_str(), call.name.as_str(), call.id_is_local), ("toolu_1", "get_time", false));
    assert_eq!(call.arguments.as_object().unwrap()["zone"], "CET");
    assert_eq!(response.finish_reason, FinishReason::ToolCalls);
    assert_eq!(response.server_finish_reason.as_deref(), Some("tool_use"));
    assert_eq!((response.id.as_deref(), response.model.as_deref()), (Some("msg_1"), Some("claude")));
    assert_eq!(response.usage.total_tokens, Some(12));
    assert_eq!(response.usage.cached_tokens, Some(3));
    assert_eq!(response.raw.json().unwrap(), body);
}

#[test]
fn only_the_content_is_required() {
    let text = |body: &Value| ok(body).text().into_owned();
    assert_eq!(text(&json!({"content": [{"type": "text", "text": "a"}]})), "a");
    assert_eq!(text(&json!({"content": [{"text": "a"}, {"text": "b"}]})), "ab");
    assert_eq!(text(&json!({"content": {"type": "text", "text": "a"}})), "a");
    assert_eq!(text(&json!({"content": "a"})), "a");
    assert_eq!(text(&json!({"content": [7, null, {"type": 7}, {"type": "text", "text": 12}]})), "12");
    let odd =
        json!({"type": "message", "content": null, "id": 7, "usage": [], "stop_reason": {}, "model": ""});
    let response = ok(&odd);
    assert_eq!((response.id, response.model, response.finish_reason), (None, None, FinishReason::Error));
    assert_eq!(response.usage, oa_wire::Usage::default());
}

#[test]
fn every_stop_reason_has_its_finish_reason() {
    for (word, want) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("pause_turn", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("refusal", FinishReason::ContentFilter),
        ("abort", FinishReason::Error),
    ] {
        let response = ok(&json!({"content": [], "stop_reason": word}));
        assert_eq!(response.finish_reason, want, "{word}");
        assert_eq!(response.server_finish_reason.as_deref(), Some(word));
    }
}

#[test]
fn a_call_is_checked_against_its_tool() {
    let calls = |blocks: Value, stop: &str| {
        read(&request(), &json!({"content": blocks, "stop_reason": stop}).to_string())
    };
    let use_of =
        |name: &str, input: Value| json!([{"type": "tool_use", "id": "x", "name": name, "input": input}]);
    for input in [json!({}), json!(null), json!(""), json!("{\"a\":1}")] {
        let response = calls(use_of("get_time", input.clone()), "tool_use").unwrap();
        assert!(response.message.tool_calls[0].arguments.as_object().is_some(), "{input}");
    }
    for (name, input) in [("nope", json!({})), ("get_time", json!(112)), ("get_time", json!("{\"a\""))] {
        let error = calls(use_of(name, input.clone()), "tool_use").unwrap_err();
        assert_eq!(error.category(), Category::InvalidResponse, "{input}");
        assert!(error.message().starts_with("tool_use[0] (`"), "{error}");
        assert!(error.partial().is_some());
        assert!(calls(use_of(name, input), "abort").is_ok(), "an answer that failed is handed out");
    }
    let cut = calls(use_of("get_time", json!("{\"a\"")), "max_tokens").unwrap_err();
    assert_eq!(cut.kind(), Some(ErrorKind::TokenLimit));
}

#[test]
fn an_id_that_is_missing_or_taken_is_made() {
    let block = |id: Value| json!({"type": "tool_use", "id": id, "name": "get_time", "input": {}});
    let response = ok(&json!({"stop_reason": "tool_use",
        "content": [block(json!(null)), block(json!("call_local_0")), block(json!("a")),
            block(json!("a"))]}));
    let ids: Vec<_> = response.message.tool_calls.iter().map(|call| (&*call.id, call.id_is_local)).collect();
    assert_eq!(ids, [("call_local_1", true), ("call_local_0", false), ("a", false), ("call_local_2", true)]);
}

#[test]
fn what_is_no_message_is_an_error_that_says_so() {
    for (body, want) in [
        ("", "the body is empty"),
        ("{\"content\":", "the body is not JSON"),
        ("{\"choices\":[]}", "the body is no message: content:"),
        ("[1]", "the body is no message: expected an object"),
    ] {
        let error = err(body);
        assert_eq!(error.category(), Category::InvalidResponse, "{body}");
        assert!(error.message().starts_with(want), "{error}");
    }
}

#[test]
fn an_error_in_a_success_is_what_it_says() {
    let overloaded =
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"req_7"}"#;
    let error = err(overloaded);
    assert_eq!((error.category(), error.request_id()), (Category::Unavailable, Some("req_7")));
    let beside = r#"{"content":[{"type":"text","text":"a"}],"error":{"type":"api_error","message":"m"}}"#;
    let error = err(beside);
    assert_eq!(error.category(), Category::Unavailable);
    assert_eq!(error.partial().unwrap().text(), "a");
    for nothing in ["null", "{}", "\"\"", "false"] {
        let body = format!(r#"{{"content":[{{"type":"text","text":"a"}}],"error":{nothing}}}"#);
        assert_eq!(read(&request(), &body).unwrap().text(), "a");
    }
}

#[test]
fn an_error_status_has_its_category_and_request_id() {
    let failed = |status: u16, kind: &str, message: &str| {
        let status = http::StatusCode::from_u16(status).unwrap();
        let mut decoder = ResponseDecoder::new(status, &crate::common::typed("application/json"));
        let body =
            json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_9"});
        decoder.push(body.to_string().into());
        decoder.finish().unwrap_err()
    };
    for (status, kind, message, want) in [
        (401, "authentication_error", "invalid x-api-key", Category::Authentication),
        (402, "billing_error", "billing issue", Category::Authentication),
        (403, "permission_error", "no", Category::Authentication),
        (404, "not_found_error", "model: claude-x", Category::InvalidModel),
        (413, "request_too_large", "too big", Category::InvalidRequest),
        (429, "rate_limit_error", "slow down", Category::RateLimit),
        (500, "api_error", "internal", Category::Unavailable),
        (504, "timeout_error", "late", Category::Unavailable),
        (529, "overloaded_error", "Overloaded", Category::Unavailable),
        (400, "invalid_request_error", "bad field", Category::InvalidRequest),
    ] {
        let error = failed(status, kind, message);
        assert_eq!(error.category(), want, "{error}");
        assert_eq!(error.request_id(), Some("req_9"));
        assert_eq!(error.server().r#type.as_deref(), Some(kind));
    }
}

fn schema() -> JsonSchema {
    let integer = json!({"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]});
    JsonSchema::new(integer).unwrap()
}

fn asked() -> CompletionRequest {
    CompletionRequest::new([Message::user("hi")]).with_config(config()).with_response_schema(schema())
}

#[test]
fn a_text_is_parsed_and_a_refusal_is_one() {
    let body = |text: &str, stop: &str| {
        json!({"content": [{"type": "text", "text": text}], "stop_reason": stop}).to_string()
    };
    assert_eq!(read(&asked(), &body(r#"{"v":1}"#, "end_turn")).unwrap().parsed, Some(json!({"v": 1})));
    let cut = read(&asked(), &body(r#"{"v""#, "max_tokens")).unwrap_err();
    assert_eq!(
        (cut.category(), cut.kind()),
        (Category::StructuredOutputInvalid, Some(ErrorKind::TokenLimit))
    );
    let refused = json!({"content": [{"type": "text", "text": "{"}], "stop_reason": "refusal",
        "stop_details": {"type": "refusal", "category": "cyber", "explanation": "I will not."}});
    let error = read(&asked(), &refused.to_string()).unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::Refusal));
    assert!(error.structured().unwrap().error_message.contains("I will not."), "{error}");
    let plain = ok(&refused);
    assert_eq!(plain.refusal.as_deref(), Some("I will not."));
}

#[test]
fn the_tool_that_stands_for_the_answer_is_the_answer() {
    let request = asked().with_schema_mode(SchemaMode::ForcedTool);
    let name = schema().name().to_owned();
    let call = json!({"type": "tool_use", "id": "a", "name": name, "input": {"v": 1}});
    let body = json!({"content": [{"type": "text", "text": "so:"}, call, call], "stop_reason": "tool_use"});
    let call = ChatCall::new(&super::endpoint(), &Profile::new("m"), &request).unwrap();
    let mut decoder = call.on_response(http::StatusCode::OK, &http::HeaderMap::new(), None);
    decoder.push(body.to_string().into());
    let response = decoder.finish().unwrap();
    assert_eq!(response.parsed, Some(json!({"v": 1})));
    assert_eq!(response.finish_reason, FinishReason::Stop);
    assert!(response.message.tool_calls.is_empty());
    assert!(
        !matches!(&response.message.content, AssistantContent::Blocks(blocks) if blocks.iter().any(|block|
        matches!(block, AssistantBlock::Thinking { .. })))
    );
}
