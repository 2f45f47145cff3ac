//! Any bytes as an answer of Anthropic Messages.
//!
//! The first six bytes choose the request, the content type and the cuts; the rest is the body.
#![no_main]

mod answer;

use libfuzzer_sys::fuzz_target;
use oa_wire::{
    CompletionRequest, JsonSchema, Message, Profile, RuntimeConfig, Tool, Tools,
    anthropic::{ChatCall, Endpoint},
};
use serde_json::json;
use std::sync::OnceLock;

fuzz_target!(|input: &[u8]| {
    let _ = answer::check(calls(), input);
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
        let schema = JsonSchema::new(schema).expect("a schema");
        let request = CompletionRequest::new([Message::user("hi")])
            .with_config(RuntimeConfig::new().with_max_tokens(9))
            .with_tools(tools)
            .with_stream(true);
        let endpoint = Endpoint::new("http://h", None).expect("a URL");
        let profile = Profile::new("m");
        [
            (profile.clone(), request.clone()),
            (profile.clone().with_surface_invalid_tool_calls(true), request.clone()),
            (profile, request.with_response_schema(schema)),
        ]
        .map(|(profile, request)| ChatCall::new(&endpoint, &profile, &request).expect("a request"))
        .to_vec()
    })
}
