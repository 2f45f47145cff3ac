//! The JSON output beyond the library's own: the end of a failed call, tool calls, and a value on one line.

use oa_wire::{Error, ErrorReport, Response, ToolCall};
use serde::Serialize;

/// The last event of a call that failed, as `--json-events` prints it: the error, and what was received.
#[derive(Serialize)]
#[serde(tag = "type", rename = "error")]
pub(crate) struct ErrorEvent<'a> {
    error: ErrorReport<'a>,
    partial: Option<&'a Response>,
}

impl<'a> ErrorEvent<'a> {
    pub(crate) fn of(error: &'a Error) -> Self {
        Self { error: error.report(), partial: error.partial() }
    }
}

/// A tool call that is shown as a line of its own, with what is wrong with its arguments.
#[derive(Serialize)]
pub(crate) struct ToolCallLine<'a> {
    #[serde(flatten)]
    call: &'a ToolCall,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
}

impl<'a> ToolCallLine<'a> {
    pub(crate) fn of(call: &'a ToolCall) -> Self {
        Self { call, problem: call.arguments.error() }
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
