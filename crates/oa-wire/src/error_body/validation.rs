//! Reads validation errors: the place and what is wrong there, never the input.

use super::python;
use crate::text::one_line;
use serde_json::Value;
use std::borrow::Cow;

/// How many complaints a message names, and the most characters of one.
const SHOWN: usize = 4;
const COMPLAINT: usize = 200;

/// What a validator complains about.
#[derive(Debug, PartialEq)]
pub(super) struct Validation {
    pub(super) message: String,
    /// The place is in the body of a request: whatever the status, the client's mistake.
    pub(super) in_request: bool,
}

/// A list of errors as FastAPI sends them, or none if it is no such list.
pub(super) fn of_list(items: &[Value]) -> Option<Validation> {
    let complaints: Vec<Complaint> = items.iter().take(64).filter_map(Complaint::of_value).collect();
    summary(&complaints, "")
}

/// The errors that a text lists in one of pydantic's forms, or none if it lists none.
pub(super) fn of_text(text: &str) -> Option<Validation> {
    let text = text.trim();
    if text.starts_with(['{', '[']) {
        return of_literal(text);
    }
    let at = text.to_ascii_lowercase().find("validation error")?;
    let head_end = text[at..].find(['\n', ':']).map_or(text.len(), |end| at + end);
    // "litellm.X: XException - 1 validation error for Y"
    let head = one_line(&text[..head_end], COMPLAINT);
    let rest = &text[head_end..];
    let of_request = head.trim_end().ends_with("Request");
    let dictionaries = of_dictionaries(rest);
    let complaints = if dictionaries.is_empty() { of_lines(rest, of_request) } else { dictionaries };
    summary(&complaints, &head)
}

/// A text that is a Python or JSON literal as a whole: a list of errors, or an object that holds one.
pub(super) fn of_literal(text: &str) -> Option<Validation> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let value: Value = if let Ok(value) = serde_json::from_str(text) {
        value
    } else {
        let (json, length) = python::to_json(text)?;
        if !text[length..].trim().is_empty() {
            return None;
        }
        serde_json::from_str(&json).ok()?
    };
    let list = match &value {
        Value::Object(object) => ["errors", "detail"].into_iter().find_map(|name| object.get(name))?,
        value => value,
    };
    of_list(list.as_array()?)
}

struct Complaint {
    place: String,
    what: String,
    in_request: bool,
    /// What stands between the place and what is wrong there.
    separator: &'static str,
}

impl Complaint {
    fn of_value(item: &Value) -> Option<Self> {
        let what = item.get("msg")?.as_str()?;
        let place = match item.get("loc") {
            Some(Value::Array(steps)) => {
                let steps = steps.iter().map(|step| match step {
                    Value::String(name) => Cow::Borrowed(name.as_str()),
                    step => Cow::Owned(step.to_string()),
                });
                steps.collect::<Vec<_>>().join(".")
            }
            Some(Value::String(place)) => place.clone(),
            _ => String::new(),
        };
        let in_request = place == "body" || place.starts_with("body.");
        Some(Self { place, what: what.to_owned(), in_request, separator: ": " })
    }

    fn shown(&self) -> String {
        let text = if self.place.is_empty() {
            Cow::Borrowed(self.what.as_str())
        } else {
            Cow::Owned(format!("{}{}{}", self.place, self.separator, self.what))
        };
        one_line(&text, COMPLAINT)
    }
}

/// Dictionaries as vLLM and llama-cpp-python print them, one a line: `{'type': .., 'loc': .., 'msg': ..,
/// 'input': ..}`.
fn of_dictionaries(text: &str) -> Vec<Complaint> {
    const START: &str = "{'type': ";
    let mut complaints = Vec::new();
    let mut at = 0;
    while let Some(step) = text[at..].find(START) {
        at += step;
        if complaints.len() == 64 {
            break;
        }
        if let Some((json, length)) = python::to_json(&text[at..]) {
            let value: Option<Value> = serde_json::from_str(&json).ok();
            complaints.extend(value.as_ref().and_then(Complaint::of_value));
            at += length;
        } else {
            // It holds an object that is no literal, or was cut: the place and the text stand before the
            // input.
            let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            complaints.extend(of_broken_dictionary(&text[at..line_end]));
            at = line_end;
        }
    }
    complaints
}

fn of_broken_dictionary(line: &str) -> Option<Complaint> {
    let before_input = line.find(", 'input': ").map_or(line, |end| &line[..end]);
    let (json, _) = python::to_json(&format!("{before_input}}}"))?;
    Complaint::of_value(&serde_json::from_str(&json).ok()?)
}

/// Lines as `ValidationError` prints itself: the place, then what is wrong with `[type=.., input_value=..]`
/// behind it.
fn of_lines(text: &str, of_request: bool) -> Vec<Complaint> {
    const VALUE: &str = "input_value=";
    let mut complaints = Vec::new();
    let mut place = "";
    for line in text.lines().skip(1) {
        let Some(what) = line.strip_prefix("  ") else {
            place = line.trim();
            continue;
        };
        let Some(end) = what.find(" [type=") else { continue };
        // Its own words, but for the value.
        let what = match what[end..].find(VALUE) {
            Some(value) => format!("{}…]", what[..end + value + VALUE.len()].trim()),
            None => what[..end].trim().to_owned(),
        };
        let in_request = of_request || place == "body" || place.starts_with("body.");
        complaints.push(Complaint { place: place.to_owned(), what, in_request, separator: " " });
        if complaints.len() == 64 {
            break;
        }
    }
    complaints
}

fn summary(complaints: &[Complaint], head: &str) -> Option<Validation> {
    let in_request = complaints.iter().any(|complaint| complaint.in_request);
    let mut shown: Vec<String> = Vec::new();
    for complaint in complaints {
        let complaint = complaint.shown();
        if !shown.contains(&complaint) {
            shown.push(complaint);
        }
    }
    let more = shown.len().saturating_sub(SHOWN);
    shown.truncate(SHOWN);
    if shown.is_empty() {
        return None;
    }
    let mut message = shown.join("; ");
    if more > 0 {
        message = format!("{message}; and {more} more");
    }
    if !head.is_empty() {
        let separator = complaints.first().map_or(": ", |complaint| complaint.separator);
        message = format!("{head}{separator}{message}");
    }
    Some(Validation { message, in_request })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_and_what_is_wrong_stay_and_the_input_goes() {
        for (text, want, in_request) in [
            // llama-cpp-python 0.3.36 and vLLM 0.13, which name the source and repeat the list.
            (
                "1 validation error:\n  {'type': 'float_parsing', 'loc': ('body', 'temperature'), 'msg': \
                 'Input \
                 should be a valid number', 'input': 'canary'}\n\n  File \"/srv/app.py\", line 376, in \
                 create\n    POST \
                 /v1/chat/completions [{'type': 'float_parsing', 'loc': ('body', 'temperature'), 'msg': \
                 'Input should be a valid number', 'input': 'canary'}]",
                "1 validation error: body.temperature: Input should be a valid number",
                true,
            ),
            // vLLM 0.13: a context that is no literal.
            (
                "1 validation error:\n  {'type': 'value_error', 'loc': ('body',), 'msg': 'Value error, no \
                 tools', 'input': {'messages': 'canary'}, 'ctx': {'error': ValueError('canary')}}",
                "1 validation error: body: Value error, no tools",
                true,
            ),
            // vLLM 0.32: the place is a text.
            (
                "5 validation errors:\n  {'type': 'a', 'loc': 'body.x', 'msg': 'A', 'input': '1'}\n  \
                 {'type': 'b', \
                 'loc': 'body.y', 'msg': \"B's\", 'input': '1'}\n  {'type': 'c', 'loc': 'body.z', 'msg': \
                 'C'}\n  \
                 {'type': 'd', 'loc': 'body.u', 'msg': 'D'}\n  {'type': 'e', 'loc': 'body.v', 'msg': 'E'}",
                "5 validation errors: body.x: A; body.y: B's; body.z: C; body.u: D; and 1 more",
                true,
            ),
            // llama-stack 0.7.3
            (
                "{'errors': [{'loc': ['body', 'temperature'], 'msg': 'Input should be less than or equal to \
                 2', 'type': 'less_than_equal'}]}",
                "body.temperature: Input should be less than or equal to 2",
                true,
            ),
            // pydantic's own text, in vLLM 0.13 and in Triton's frontend.
            (
                "1 validation error for list[x]\n  Invalid JSON: EOF while parsing a string \
                 [type=json_invalid, \
                 input_value='[{\"canary', input_type=str]\n    For further information visit \
                 https://errors.pydantic",
                "1 validation error for list[x] Invalid JSON: EOF while parsing a string [type=json_invalid, \
                 input_value=…]",
                false,
            ),
            (
                "Invalid request: 2 validation errors for Request\nprompt\n  Field required [type=missing, \
                 input_value={'messages': [{'content':...': None, 'stream': True}, input_type=dict]\n    For \
                 further\nn\n  Too low [type=x, input_value='canary', input_type=str]",
                "Invalid request: 2 validation errors for Request prompt Field required [type=missing, \
                 input_value=…]; n Too low [type=x, input_value=…]",
                true,
            ),
            // The server's own answer did not validate.
            (
                "1 validation error:\n  {'type': 'a', 'loc': ('response', 'id'), 'msg': 'Field required'}",
                "1 validation error: response.id: Field required",
                false,
            ),
        ] {
            let want = Validation { message: want.to_owned(), in_request };
            assert_eq!(of_text(text), Some(want), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_validation_errors() {
        for text in [
            "temperature: Validation error: range [{\"min\": Number(0.0), \"value\": Number(-5.0)}]",
            "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed",
            "{'errors': 'x'}",
            "[1, 2]",
            "{'prompt_logprobs'}",
            "plain",
            "",
        ] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }
}
