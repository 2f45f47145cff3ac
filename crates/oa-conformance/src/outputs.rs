//! The library's values as the protocol's.

use oa_wire::{AssistantContent, Error, Response, ToolCall, Usage};
use serde_json::{Value, json};

pub(crate) fn response(response: &Response) -> Value {
    let message = &response.message;
    let content = match &message.content {
        AssistantContent::Text(text) => json!(text),
        AssistantContent::Blocks(blocks) => json!(blocks),
    };
    json!({
        "message": {
            "role": "assistant",
            "content": content,
            "tool_calls": message.tool_calls.iter().map(tool_call).collect::<Vec<_>>(),
        },
        "finish_reason": response.finish_reason,
        "usage": usage(&response.usage),
        "raw": response.raw.json().unwrap_or_default(),
        "parsed": response.parsed,
    })
}

fn tool_call(call: &ToolCall) -> Value {
    json!({"id": call.id, "name": call.name, "arguments": call.arguments.as_object()})
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_tokens": usage.cached_tokens,
        "cache_creation_tokens": usage.cache_creation_tokens,
    })
}

pub(crate) fn error(error: &Error) -> Value {
    let mut out = json!({
        "category": error.category().as_str(),
        "message": error.message(),
        "retry_after_seconds": error.retry_after().map(|wait| wait.delay.as_secs_f64()),
        "status": error.status(),
        "has_cause": std::error::Error::source(error).is_some(),
    });
    if let Some(failure) = error.structured() {
        out["output_content"] = json!(failure.output_content);
        out["error_message"] = json!(failure.error_message);
        out["response_schema"] = failure.response_schema.as_value().clone();
        out["finish_reason"] = json!(failure.finish_reason);
        out["usage"] = usage(&failure.usage);
    }
    out
}
