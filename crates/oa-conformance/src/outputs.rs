//! The library's values as the protocol's.

use oa_wire::{Error, Response};
use serde_json::{Value, json};

pub(crate) fn response(response: &Response) -> Value {
    let mut out = json!(response);
    // The library leaves an empty list out, the protocol does not.
    out["message"]["tool_calls"] = json!(response.message.tool_calls);
    // The protocol's blocks do not have the name under which reasoning was received.
    for block in out["message"]["content"].as_array_mut().into_iter().flatten() {
        block.as_object_mut().map(|block| block.remove("member"));
    }
    out["raw"] = response.raw.json().unwrap_or_default();
    out
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
        out["usage"] = json!(failure.usage);
    }
    out
}
