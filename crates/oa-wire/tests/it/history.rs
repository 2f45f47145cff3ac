//! Histories: those in OpenAI's own form, and answers that are appended to them.

use oa_wire::{
    AssistantMessage, Category, CompletionRequest, FinishReason, Message, Profile, Response, SendReasoning,
    ToolCall,
    openai::{ChatCall, Endpoint, messages_from_json},
};
use serde_json::{Value, json};

fn sent(request: &CompletionRequest) -> Value {
    let profile = Profile::new("m").with_send_reasoning(SendReasoning::Always);
    let call = ChatCall::new(&Endpoint::new("http://h", None).unwrap(), &profile, request).unwrap();
    let body: Value = serde_json::from_slice(call.body()).unwrap();
    body["messages"].clone()
}

#[test]
fn a_history_is_sent_as_it_was_read() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}});
    let broken = json!({"id": "e", "type": "function", "function": {"name": "f", "arguments": "{\"a"}});
    let custom = json!({"id": "d", "type": "custom", "custom": {"name": "s", "input": "x"}});
    let history = json!([
        {"role": "system", "content": "s", "name": "n"},
        {"role": "user", "content": "a", "cache_control": {"type": "x"}},
        {"role": "assistant", "content": null, "tool_calls": [call, custom, broken], "refusal": null},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
        {"role": "tool", "tool_call_id": "d", "content": [{"type": "text", "text": "1"}]},
        {"role": "assistant", "content": "b", "reasoning_content": "r", "reasoning_details": [{"data": "x"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "b"}]},
        {"role": "system", "content": "late"},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "user", "content": [
            {"type": "text", "text": "t"},
            {"type": "text", "text": "t", "cache_control": {}},
            {"type": "image_url", "image_url": {"url": "http://u", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "http://u", "detail": "ultra"}},
            {"type": "image_url", "image_url": "http://u"},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            {"type": "audio_url", "audio_url": {"url": "http://u"}},
            {"type": "video_url", "video_url": {"url": "http://u"}, "uuid": "1"},
            {"type": "video_url", "video_url": {"url": "http://u"}},
            {"type": "file", "file": {"file_id": "f", "filename": "a"}},
            {"type": "file", "file": {"file_data": "data:a/b;base64,AA", "filename": "a"}},
            {"type": "more"},
        ]},
        {"role": "user", "content": ""},
    ]);
    let messages = messages_from_json(&history.to_string()).unwrap();
    assert_eq!(sent(&CompletionRequest::new(messages.clone())), history);
    let is_raw = |message: &&Message| matches!(message, Message::Raw { .. });
    assert_eq!(messages.iter().filter(is_raw).count(), 5);
}

#[test]
fn what_is_no_history_is_named_by_its_path() {
    let cases = [
        ("{", "messages: not JSON"),
        ("{}", "messages: expected a list, got an object"),
        ("[1]", "messages[0]: expected an object, got a number"),
        (r#"[{"content":"a"}]"#, "messages[0].role: is missing"),
        (r#"[{"role":1}]"#, "messages[0].role: expected a text, got a number"),
        (r#"[{"role":"user","content":1}]"#, "messages[0].content: expected a text or a list of parts"),
        (r#"[{"role":"user","content":["a"]}]"#, "messages[0].content[0]: expected an object"),
        (
            r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":1}}]}]"#,
            "messages[0].content[0].image_url.url: expected a text, got a number",
        ),
        (r#"[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0].text: is missing"),
        (
            r#"[{"role":"user","content":"a"},{"role":"tool","content":"a"}]"#,
            "messages[1].tool_call_id: is missing",
        ),
        (
            r#"[{"role":"user","content":"a"},{"role":"assistant","tool_calls":{}}]"#,
            "messages[1].tool_calls: expected a list, got an object",
        ),
        (
            r#"[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"a","function":{}}]}]"#,
            "messages[1].tool_calls[0].function.name: is missing",
        ),
    ];
    for (text, want) in cases {
        let error = messages_from_json(text).unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest);
        assert!(error.message().starts_with(want), "{error}, want {want}");
    }
}

#[test]
fn an_answer_and_its_results_are_appended_and_an_empty_one_is_left_out() {
    let mut request = CompletionRequest::new("q");
    assert!(!request.push_answer(&Response::new("", FinishReason::Length)));
    let thinking = AssistantMessage::new([oa_wire::AssistantBlock::thinking("hm")]);
    assert!(!request.push_answer(&Response::new(thinking, FinishReason::Length)));
    assert_eq!(request.messages().len(), 1);
    let calls = [ToolCall::new("a", "f", json!({})), ToolCall::new("b", "f", json!({}))];
    let answer = AssistantMessage::default().with_tool_calls(calls);
    assert!(request.push_answer(&Response::new(answer, FinishReason::ToolCalls)));
    request.push_results([("a", "1"), ("b", "2")]);
    assert!(request.push_answer(&Response::new("so", FinishReason::Stop)));
    request.messages_mut().push(Message::user("and"));
    assert_eq!(sent(&request).as_array().unwrap().len(), 6);
}
