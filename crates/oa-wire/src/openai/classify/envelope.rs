//! What any server's error body says: message, code, type, param, and the error inside it.

use super::{
    embedded,
    sound::{self, Secrets},
};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// How deep envelopes may lie in each other; no server is known to go beyond three.
const DEPTH: usize = 6;

/// What an error body says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) message: String,
    pub(super) code: Option<String>,
    pub(super) r#type: Option<String>,
    pub(super) param: Option<String>,
    /// A status that stands beside the code, in `status` and the like.
    pub(super) status: Option<u16>,
    /// The message and code of the innermost error that a router wraps.
    pub(super) upstream_message: Option<String>,
    pub(super) upstream_code: Option<String>,
    /// The type of that error, for its words alone.
    pub(super) upstream_type: Option<String>,
}

/// Reads an error body in any form.
pub(super) fn read(body: &[u8]) -> Said {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let mut said = match json_of(text) {
        Some(value) => {
            of_value(&value, 0).unwrap_or_else(|| Said { message: unread(&value), ..Said::default() })
        }
        None if text.starts_with('<') => Said { message: page(text), ..Said::default() },
        None => Said { message: text.to_owned(), ..Said::default() },
    };
    if said.upstream_message.is_none() {
        if let Some(inner) = embedded::find(&said.message) {
            said.wrap(inner);
        }
    }
    said
}

/// Reads an error that is a JSON value, or none if it says nothing.
pub(super) fn of_value(value: &Value, depth: usize) -> Option<Said> {
    if depth > DEPTH {
        return None;
    }
    match value {
        Value::String(text) if !text.trim().is_empty() => {
            Some(Said { message: text.trim().to_owned(), ..Said::default() })
        }
        Value::Array(items) => list(items, depth),
        Value::Object(object) => of_object(object, depth),
        _ => None,
    }
}

/// True for a member that carries something: not null, false, or empty.
pub(super) fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

impl Said {
    /// The status that the body names, in its code or beside it.
    pub(super) fn status(&self) -> Option<u16> {
        let codes = [self.code.as_deref(), self.r#type.as_deref()];
        codes.into_iter().flatten().find_map(status_in).or(self.status).or_else(|| {
            // A router that has no code of its own passes its upstream's on.
            status_in(self.upstream_code.as_deref()?)
        })
    }

    /// The same with nothing in it that must not be shown.
    pub(super) fn sound(self, secrets: &Secrets<'_>) -> Self {
        let text = |text: String| secrets.strike(&sound::clean(&text));
        let word = |word: Option<String>| {
            let word =
                word.map(|word| sound::bounded(&secrets.strike(&sound::clean(&word)), sound::WORD_LIMIT));
            word.filter(|word| !word.trim().is_empty())
        };
        Self {
            message: text(self.message),
            code: word(self.code),
            r#type: word(self.r#type),
            param: word(self.param),
            status: self.status,
            upstream_message: self.upstream_message.map(text).filter(|message| !message.is_empty()),
            upstream_code: word(self.upstream_code),
            upstream_type: word(self.upstream_type),
        }
    }

    /// Takes `inner`, or what lies in it, as the error that this one wraps.
    fn wrap(&mut self, inner: Self) {
        self.upstream_code = inner.upstream_code.or(inner.code).or_else(|| self.upstream_code.take());
        self.upstream_type = inner.upstream_type.or(inner.r#type).or_else(|| self.upstream_type.take());
        self.upstream_message = inner.upstream_message.or(Some(inner.message));
    }
}

fn status_in(code: &str) -> Option<u16> {
    code.trim().parse().ok().filter(|status| (400..600).contains(status))
}

/// The JSON value that a body is, or that the first event of a stream in it is.
fn json_of(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut fields = text.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("data:").or_else(|| line.strip_prefix("error:"))
    });
    if text.starts_with("data:") || text.starts_with("error:") || text.starts_with("event:") {
        fields.find_map(|field| serde_json::from_str(field.trim()).ok().filter(Value::is_object))
    } else {
        None
    }
}

fn of_object(object: &Map<String, Value>, depth: usize) -> Option<Said> {
    let outer = own_words(object, depth);
    let Some(error) = object.get("error").filter(|error| says_something(error)) else {
        return outer;
    };
    let Some(mut said) = of_value(error, depth + 1) else {
        return outer;
    };
    let Some(outer) = outer else {
        return Some(said);
    };
    // `{"error":"Not Found","message":"No handler for GET /x","status":404}`: the one is the title of the
    // other.
    if error.is_string() && !outer.message.is_empty() && !said.message.contains(&outer.message) {
        said.message = format!("{}: {}", said.message, outer.message);
    } else if said.message.is_empty() {
        said.message = outer.message;
    }
    said.code = said.code.or(outer.code);
    said.r#type = said.r#type.or(outer.r#type);
    said.param = said.param.or(outer.param);
    said.status = said.status.or(outer.status);
    Some(said)
}

/// What the members of this object say themselves, without its `error`.
fn own_words(object: &Map<String, Value>, depth: usize) -> Option<Said> {
    const MESSAGES: [&str; 9] = [
        "message",
        "msg",
        "detail",
        "error_message",
        "error_msg",
        "error_description",
        "description",
        "errors",
        "title",
    ];
    const STATUSES: [&str; 4] = ["status", "status_code", "statusCode", "error_code"];
    let mut said = Said::default();
    for name in MESSAGES {
        if let Some(inner) = object.get(name).and_then(|value| of_value(value, depth + 1)) {
            said = inner;
            break;
        }
    }
    let own = |names: &[&str]| names.iter().find_map(|name| word(object.get(*name)?));
    said.code = own(&["code"]).or(said.code);
    said.r#type = own(&["type", "error_type"]).or(said.r#type);
    said.param = own(&["param"]).or(said.param);
    for beside in STATUSES.iter().filter_map(|name| word(object.get(*name)?)) {
        match status_in(&beside) {
            Some(status) => said.status = said.status.or(Some(status)),
            None => said.r#type = said.r#type.or(Some(beside)),
        }
    }
    if let Some(inner) = upstream(object, depth) {
        said.wrap(inner);
    }
    (said != Said::default()).then_some(said)
}

/// The error that a router keeps beside its own: in `metadata.raw`, or Azure in `innererror`.
fn upstream(object: &Map<String, Value>, depth: usize) -> Option<Said> {
    let raw = object.get("metadata").and_then(|metadata| metadata.get("raw"));
    let inner = match raw {
        Some(Value::String(text)) if !text.trim().is_empty() => {
            Some(embedded::find(text).unwrap_or_else(|| {
                let value = serde_json::from_str(text).ok();
                value
                    .and_then(|value| of_value(&value, depth + 1))
                    .unwrap_or_else(|| Said { message: text.trim().to_owned(), ..Said::default() })
            }))
        }
        Some(raw) => of_value(raw, depth + 1),
        None => None,
    };
    let inner = inner.or_else(|| of_value(object.get("innererror")?, depth + 1));
    inner.filter(|inner| !inner.message.is_empty())
}

fn list(items: &[Value], depth: usize) -> Option<Said> {
    const SHOWN: usize = 8;
    let complaints: Vec<String> = items.iter().filter_map(complaint).take(SHOWN).collect();
    if !complaints.is_empty() {
        return Some(Said { message: complaints.join("; "), ..Said::default() });
    }
    items.iter().take(SHOWN).find_map(|item| of_value(item, depth + 1))
}

/// One of FastAPI's validation errors: where, and what. Its `input` is what was sent, and is not shown.
fn complaint(item: &Value) -> Option<String> {
    let what = item.get("msg")?.as_str()?;
    let Some(Value::Array(place)) = item.get("loc") else {
        return Some(what.to_owned());
    };
    let place: Vec<Cow<'_, str>> = place
        .iter()
        .map(|step| match step {
            Value::String(name) => Cow::Borrowed(name.as_str()),
            step => Cow::Owned(step.to_string()),
        })
        .collect();
    Some(format!("{}: {what}", place.join(".")))
}

/// A code or type: a word, or a number as its digits.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(word) if !word.trim().is_empty() => Some(word.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A JSON value in none of the known forms, as it came.
fn unread(value: &Value) -> String {
    if says_something(value) { value.to_string() } else { String::new() }
}

/// A page of HTML (or XML): its title, or else its text; and its start, since a gateway's page often says
/// nothing else of what it is.
fn page(text: &str) -> String {
    const READ: usize = 16 * 1024;
    const TEXT: usize = 300;
    const START: usize = 160;
    let text = sound::start(text, READ);
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let from = at + lower[at..].find('>')? + 1;
        let to = from + lower[from..].find("</title")?;
        Some(text[from..to].trim()).filter(|title| !title.is_empty())
    });
    let words = match title {
        Some(title) => sound::flat(title),
        None => sound::bounded(&sound::flat(&without_tags(text)), TEXT),
    };
    let start = sound::bounded(&sound::flat(text), START);
    if words.is_empty() { start } else { format!("{words} (a page that starts: {start})") }
}

fn without_tags(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        out.push(' ');
        rest = &rest[open..];
        // The text of a script or a style is not for people.
        for hidden in ["script", "style"] {
            let starts = rest.get(1..=hidden.len()).is_some_and(|name| name.eq_ignore_ascii_case(hidden));
            if starts {
                let end = rest.to_ascii_lowercase().find(&format!("</{hidden}"));
                rest = end.map_or("", |end| &rest[end..]);
            }
        }
        rest = rest.find('>').map_or("", |close| &rest[close + 1..]);
    }
    out.push_str(rest);
    out
}
