//! What the JSON output looks like: the response, its tool calls, the events.

use oa_wire::{Error, ErrorReport, Event, Response, ToolCall, Usage};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

/// A response, as `--json` prints it.
#[derive(Serialize)]
pub(crate) struct ResponseRecord<'a> {
    id: Option<&'a str>,
    model: Option<&'a str>,
    content: String,
    reasoning: Option<&'a str>,
    tool_calls: Vec<ToolCallRecord<'a>>,
    finish_reason: &'static str,
    server_finish_reason: Option<&'a str>,
    usage: Usage,
    parsed: Option<Box<RawValue>>,
    request_id: Option<&'a str>,
}

impl<'a> ResponseRecord<'a> {
    pub(crate) fn of(response: &'a Response) -> Self {
        Self {
            id: response.id.as_deref(),
            model: response.model.as_deref(),
            content: response.text().into_owned(),
            reasoning: response.message.reasoning(),
            tool_calls: response.message.tool_calls.iter().map(ToolCallRecord::of).collect(),
            finish_reason: response.finish_reason.as_str(),
            server_finish_reason: response.server_finish_reason.as_deref(),
            usage: response.usage,
            parsed: parsed(response).and_then(|text| RawValue::from_string(text).ok()),
            request_id: response.request_id.as_deref(),
        }
    }
}

/// A tool call, as a line of its own or in a response.
#[derive(Serialize)]
pub(crate) struct ToolCallRecord<'a> {
    id: &'a str,
    name: &'a str,
    /// An object; what the model wrote, where that is none.
    arguments: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

impl<'a> ToolCallRecord<'a> {
    pub(crate) fn of(call: &'a ToolCall) -> Self {
        Self {
            id: &call.id,
            name: &call.name,
            arguments: call.arguments.clone().into(),
            problem: call.arguments.error(),
        }
    }
}

/// An event, as `--json-events` prints it.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum EventRecord<'a> {
    Content {
        text: &'a str,
    },
    Reasoning {
        text: &'a str,
    },
    ToolCallDelta {
        position: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a str>,
        arguments: &'a str,
    },
    ToolCall {
        tool_call: ToolCallRecord<'a>,
    },
    Usage {
        usage: &'a Usage,
    },
    Done {
        response: Box<ResponseRecord<'a>>,
    },
    Error {
        error: Box<ErrorReport<'a>>,
        partial: Option<Box<ResponseRecord<'a>>>,
    },
}

impl<'a> EventRecord<'a> {
    /// The record of an event; none of a kind that this version does not know.
    pub(crate) fn of(event: &'a Event) -> Option<Self> {
        Some(match event {
            Event::Content(text) => Self::Content { text },
            Event::Reasoning(text) => Self::Reasoning { text },
            Event::ToolCallDelta(delta) => Self::ToolCallDelta {
                position: delta.position,
                id: delta.id.as_deref(),
                name: delta.name.as_deref(),
                arguments: &delta.arguments,
            },
            Event::ToolCall(call) => Self::ToolCall { tool_call: ToolCallRecord::of(call) },
            Event::Usage(usage) => Self::Usage { usage },
            Event::Done(response) => Self::Done { response: Box::new(ResponseRecord::of(response)) },
            _ => return None,
        })
    }

    pub(crate) fn of_error(error: &'a Error) -> Self {
        let partial = error.partial().map(|partial| Box::new(ResponseRecord::of(partial)));
        Self::Error { error: Box::new(error.report()), partial }
    }
}

/// The value that a schema was asked for, on one line, its members in the model's order.
pub(crate) fn parsed(response: &Response) -> Option<String> {
    response.parsed.is_some().then(|| on_one_line(&response.text()))
}

/// A JSON text without the white space between its tokens.
fn on_one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for character in json.chars() {
        if !quoted && character.is_ascii_whitespace() {
            continue;
        }
        line.push(character);
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_on_one_line_keeps_order_and_strings() {
        let text = "{\n  \"z\" : [1, 2.50],\t\"a b\": \"x \\\" y \\\\\" , \"c\": { } }\n";
        assert_eq!(on_one_line(text), r#"{"z":[1,2.50],"a b":"x \" y \\","c":{}}"#);
    }
}
