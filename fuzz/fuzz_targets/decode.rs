//! Any bytes as an answer of chat completions.
//!
//! The first six bytes choose the request, the content type and the cuts; the rest is the body.
#![no_main]

mod answer;

use libfuzzer_sys::fuzz_target;
use oa_wire::openai::{ChatCall, Endpoint};
use oa_wire::{CompletionRequest, JsonSchema, Message, Profile, RuntimeConfig, Tool, Tools};
use serde_json::json;
use std::sync::OnceLock;

fuzz_target!(|input: &[u8]| {
    let Some(outcome) = answer::check(calls(), input) else { return };
    if let Ok(response) = outcome.result {
        assert_eq!(outcome.content, response.text(), "the deltas are the text");
    }
});

fn calls() -> &'static [ChatCall] {
    static CALLS: OnceLock<Vec<ChatCall>> = OnceLock::new();
    CALLS.get_or_init(|| {
        let tool = |name: &str, schema| Tool::new(name, schema).expect("a tool");
        let zone = json!({"type": "object", "required": ["zone"], "additionalProperties": false,
            "properties": {"zone": {"type": "string"}, "n": {"type": ["integer", "null"]}}});
        let tools = [tool("get_weather", json!({"type": "object"})), tool("get_time", zone)];
        let tools = Tools::new(tools).expect("two tools");
        let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]});
        let request = CompletionRequest::new([Message::user("hi")]).with_tools(tools).with_stream(true);
        let endpoint = Endpoint::new("http://h", None).expect("a URL");
        let profile = Profile::new("m");
        let many = RuntimeConfig::new().with_extra("n", 2);
        [
            (profile.clone(), request.clone()),
            (profile.clone().with_surface_invalid_tool_calls(true), request.clone()),
            (
                profile.clone(),
                request.clone().with_response_schema(JsonSchema::new(schema).expect(
                    "a \
                schema",
                )),
            ),
            (profile, request.with_config(many)),
        ]
        .map(|(profile, request)| ChatCall::new(&endpoint, &profile, &request).expect("a request"))
        .to_vec()
    })
}
