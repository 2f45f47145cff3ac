//! The span of a tool that runs, with the attributes of OpenTelemetry's conventions for generative AI (1.38).

use oa_wire::{Tool, ToolCall};
use tracing::{Span, field::Empty};

/// The most bytes of one payload attribute, the marker of a cut included.
const PAYLOAD_LIMIT: usize = 64 * 1024;

/// Opens the span of a call.
pub(crate) fn open(call: &ToolCall, tool: Option<&Tool>, payload: bool) -> Span {
    let span = tracing::info_span!(
        "execute_tool",
        "otel.name" = Empty,
        "otel.kind" = "internal",
        "otel.status_code" = Empty,
        "gen_ai.operation.name" = "execute_tool",
        "gen_ai.tool.name" = Empty,
        "gen_ai.tool.call.id" = call.id.as_str(),
        "gen_ai.tool.type" = "function",
        "gen_ai.tool.description" = Empty,
        "gen_ai.tool.call.arguments" = Empty,
        "gen_ai.tool.call.result" = Empty,
        "error.type" = Empty,
    );
    if span.is_disabled() {
        return span;
    }
    // A name that was not offered is the model's text: no dimension to count by.
    let name = tool.map_or("unknown", Tool::name);
    span.record("otel.name", format!("execute_tool {name}"));
    span.record("gen_ai.tool.name", name);
    if let Some(description) = tool.and_then(Tool::description) {
        span.record("gen_ai.tool.description", description);
    }
    if payload {
        let arguments = match call.arguments.as_object() {
            Some(object) => serde_json::to_string(object).unwrap_or_default(),
            None => call.arguments.text().unwrap_or_default().to_owned(),
        };
        span.record("gen_ai.tool.call.arguments", cut(arguments));
    }
    span
}

/// Records what came of the call.
pub(crate) fn close(span: &Span, failure: Option<&str>, content: &str, payload: bool) {
    if span.is_disabled() {
        return;
    }
    match failure {
        Some(failure) => {
            span.record("otel.status_code", "ERROR");
            span.record("error.type", failure);
        }
        None => drop(span.record("otel.status_code", "OK")),
    }
    if payload {
        span.record("gen_ai.tool.call.result", cut(content.to_owned()));
    }
}

/// Cuts a text to the limit, at the boundary of a character, and says so at its end.
fn cut(mut text: String) -> String {
    if text.len() <= PAYLOAD_LIMIT {
        return text;
    }
    let marker = format!("…[truncated, {} bytes total]", text.len());
    let mut end = PAYLOAD_LIMIT - marker.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(&marker);
    text
}
