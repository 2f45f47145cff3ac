//! Reads an error body in any server's form: message, code, type, param, and the error that it wraps.

use super::{
    delay::{self, Wait},
    moment,
    page::{is_page, title},
    quoted::{self, error_object},
    validation::{self, Validation},
};
use crate::{json::is_meaningful, text::start};
use serde_json::{Map, Value};
use std::time::{Duration, UNIX_EPOCH};

/// How deep envelopes may lie in each other; no server is known to go beyond three.
const DEPTH: usize = 6;

/// What an error body says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ErrorBody {
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
    pub(super) form: Form,
    /// A validator complains about the body of the request.
    pub(super) in_request: bool,
    /// How long to wait, where a member says so.
    pub(super) wait: Option<Wait>,
    /// The server's id of the request, where it stands beside the error.
    pub(super) request_id: Option<String>,
}

/// What a body is, as far as it matters who wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    #[default]
    Empty,
    /// An API's own error: `{"error": ...}`, `{"object":"error",...}`, `{"detail": ...}`.
    Envelope,
    /// Other JSON, such as a gateway's `{"message": ...}`.
    Json,
    Text,
    Page,
    /// Bytes that are no text.
    Binary,
}

/// Reads an error body in any form. `coding` is a content coding that nobody asked for.
pub(super) fn parse(bytes: &[u8], coding: Option<&str>) -> ErrorBody {
    if let Some(coding) = coding {
        let message = format!(
            "the answer is compressed (content-encoding: {coding}), which was not asked for: it cannot be \
             read"
        );
        return ErrorBody { message, form: Form::Binary, ..ErrorBody::default() };
    }
    if !is_text(bytes) {
        let gzip = if bytes.starts_with(&[0x1f, 0x8b]) { ", compressed with gzip" } else { "" };
        let message = format!("the answer is {} bytes that are no text{gzip}", bytes.len());
        return ErrorBody { message, form: Form::Binary, ..ErrorBody::default() };
    }
    let text = String::from_utf8_lossy(bytes).replace(char::REPLACEMENT_CHARACTER, "");
    let text = text.trim_start_matches('\u{feff}').trim();
    let with = |message: String, form: Form| ErrorBody { message, form, ..ErrorBody::default() };
    let mut body = match json_of(text) {
        Some(value) => {
            let form = if is_envelope(&value) { Form::Envelope } else { Form::Json };
            let mut body = from_value(&value, 0).unwrap_or_else(|| with(unread(&value), form));
            body.form = form;
            body.wait = wait_of(&value, 0);
            body.request_id = value.get("request_id").and_then(word).filter(|id| id.len() <= 200);
            body
        }
        None if is_page(text) => return with(title(text), Form::Page),
        None if text.is_empty() => with(String::new(), Form::Empty),
        None => with(text.to_owned(), Form::Text),
    };
    if body.upstream_message.is_none() {
        if validation::of_literal(&body.message).is_none() {
            body.take_quoted();
        }
        if let Some(found) = validation::of_text(&body.message) {
            body.take_validation(found);
        }
    }
    if let Some(found) = body.upstream_message.as_deref().and_then(validation::of_text) {
        body.in_request |= found.in_request;
        body.upstream_message = Some(found.message);
    }
    body
}

/// True for bytes that a person can read: nearly all UTF-8, hardly a control character.
fn is_text(bytes: &[u8]) -> bool {
    const READ: usize = 4096;
    let start = &bytes[..bytes.len().min(READ)];
    let text = String::from_utf8_lossy(start);
    let is_odd = |c: &char| *c == char::REPLACEMENT_CHARACTER || c.is_control() && !c.is_ascii_whitespace();
    let odd = text.chars().filter(is_odd).count();
    // A page in another charset has some; a character may be cut at the end; colored logs have escapes.
    odd <= 1 + text.chars().count() / 8 && !start.starts_with(&[0x1f, 0x8b])
}

/// True for JSON in a form in which a server of this API writes its own errors.
fn is_envelope(value: &Value) -> bool {
    let value = match value {
        Value::Array(items) => items.first().unwrap_or(&Value::Null),
        value => value,
    };
    let Value::Object(object) = value else { return false };
    let has = |name: &str| object.get(name).is_some_and(is_meaningful);
    let is_problem = has("title") || has("instance");
    !is_problem && (has("error") || has("detail"))
        || object.get("object").is_some_and(|object| object == "error")
}

/// How long to wait, in a member of the error: Google's `retryDelay`, `retry_after` and the like, a moment,
/// or the headers of its upstream that a router quotes.
fn wait_of(value: &Value, depth: usize) -> Option<Wait> {
    const SECONDS: [&str; 7] = [
        "retry_after",
        "retryAfter",
        "retry_after_seconds",
        "retry-after",
        "Retry-After",
        "resets_in_seconds",
        "reset_in_seconds",
    ];
    const MILLISECONDS: [&str; 2] = ["retry_after_ms", "retryAfterMs"];
    const MOMENTS: [&str; 6] =
        ["resets_at", "reset_at", "resetsAt", "resetAt", "X-RateLimit-Reset", "x-ratelimit-reset"];
    if depth > DEPTH {
        return None;
    }
    match value {
        Value::Array(items) => items.iter().take(16).find_map(|item| wait_of(item, depth + 1)),
        Value::Object(object) => {
            let member = |names: &[&str], scale: f64| {
                names.iter().find_map(|name| match object.get(*name)? {
                    Value::String(text) => delay::stated(text, scale),
                    Value::Number(number) => delay::decimal(&number.to_string(), scale),
                    _ => None,
                })
            };
            let moment = |name: &&str| match object.get(*name)? {
                Value::String(text) => moment::rfc3339(text).or_else(|| moment::unix(text)),
                number => moment::unix(&number.to_string()),
            };
            // A smaller number is a delay, and no moment.
            let year_2001 = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            member(&["retryDelay"], 1.0)
                .or_else(|| member(&MILLISECONDS, 0.001))
                .or_else(|| member(&SECONDS, 1.0))
                .map(Wait::For)
                .or_else(|| {
                    let found = MOMENTS.iter().find_map(moment).filter(|moment| *moment > year_2001)?;
                    Some(Wait::Until(found))
                })
                .or_else(|| {
                    let inside = ["error", "details", "metadata", "headers", "detail", "parameters", "data"];
                    inside.iter().find_map(|name| wait_of(object.get(*name)?, depth + 1))
                })
        }
        _ => None,
    }
}

/// Reads an error that is a JSON value, or none if it says nothing.
fn from_value(value: &Value, depth: usize) -> Option<ErrorBody> {
    if depth > DEPTH {
        return None;
    }
    match value {
        Value::String(text) if !text.trim().is_empty() => {
            Some(ErrorBody { message: text.trim().to_owned(), ..ErrorBody::default() })
        }
        Value::Array(items) => list(items, depth),
        Value::Object(object) => of_object(object, depth),
        _ => None,
    }
}

impl ErrorBody {
    /// The status that the body names, in its code or beside it.
    pub(super) fn status(&self) -> Option<u16> {
        let codes = [self.code.as_deref(), self.r#type.as_deref()];
        codes.into_iter().flatten().find_map(status_in).or(self.status).or_else(|| {
            // A router that has no code of its own passes its upstream's on.
            status_in(self.upstream_code.as_deref()?)
        })
    }

    /// Takes `inner`, or what lies in it, as the error that this one wraps.
    fn wrap(&mut self, inner: Self) {
        self.upstream_code = inner.upstream_code.or(inner.code).or_else(|| self.upstream_code.take());
        self.upstream_type = inner.upstream_type.or(inner.r#type).or_else(|| self.upstream_type.take());
        self.upstream_message = inner.upstream_message.or(Some(inner.message));
    }

    fn take_validation(&mut self, found: Validation) {
        self.message = found.message;
        self.in_request |= found.in_request;
    }

    /// Takes the error that the message quotes as the one that this one wraps, and leaves its message in the
    /// place of the quoted object: such an object may hold what was sent.
    fn take_quoted(&mut self) {
        let Some(inner) = find_quoted(&self.message) else { return };
        self.wrap(inner);
        let (Some((value, place)), Some(inner)) = (error_object(&self.message), &self.upstream_message)
        else {
            return;
        };
        self.wait = self.wait.or_else(|| wait_of(&value, 0));
        if !inner.contains(&self.message[place.clone()]) {
            self.message.replace_range(place, inner);
        }
    }

    /// With the outer error's code and type where this one has none.
    fn or_names_of(mut self, outer: Self) -> Self {
        self.code = self.code.or(outer.code);
        self.r#type = self.r#type.or(outer.r#type);
        self
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

fn of_object(object: &Map<String, Value>, depth: usize) -> Option<ErrorBody> {
    let outer = own_words(object, depth);
    let Some(error) = object.get("error").filter(|error| is_meaningful(error)) else {
        return outer;
    };
    let Some(mut body) = from_value(error, depth + 1) else {
        return outer;
    };
    let Some(outer) = outer else {
        return Some(body);
    };
    // `{"error":"Not Found","message":"No handler for GET /x","status":404}`: the one is the title of the
    // other.
    if error.is_string() && !outer.message.is_empty() && !body.message.contains(&outer.message) {
        body.message = format!("{}: {}", body.message, outer.message);
    } else if body.message.is_empty() {
        body.message = outer.message;
    }
    body.code = body.code.or(outer.code);
    body.r#type = body.r#type.or(outer.r#type);
    body.param = body.param.or(outer.param);
    body.status = body.status.or(outer.status);
    Some(body)
}

/// What the members of this object say themselves, without its `error`.
fn own_words(object: &Map<String, Value>, depth: usize) -> Option<ErrorBody> {
    const MESSAGES: [&str; 17] = [
        "message",
        "Message",
        "msg",
        "detail",
        "error_message",
        "errorMessage",
        "error_msg",
        "error_description",
        "status_msg",
        "description",
        "faultstring",
        "errors",
        "reason",
        "title",
        // Objects around the error: MiniMax's, Apigee's.
        "base_resp",
        "fault",
        "Error",
    ];
    const STATUSES: [&str; 4] = ["status", "status_code", "statusCode", "error_code"];
    let mut body = ErrorBody::default();
    for name in MESSAGES {
        let Some(inner) = object.get(name).and_then(|value| from_value(value, depth + 1)) else { continue };
        if inner.message.is_empty() {
            // Apigee's `detail` has but a code.
            body = body.or_names_of(inner);
            continue;
        }
        body = inner.or_names_of(body);
        break;
    }
    let own = |names: &[&str]| names.iter().find_map(|name| word(object.get(*name)?));
    body.code = own(&["code", "Code", "errorcode"]).or(body.code);
    body.r#type = own(&["type", "error_type"]).or(body.r#type);
    body.param = own(&["param"]).or(body.param);
    for beside in STATUSES.iter().filter_map(|name| word(object.get(*name)?)) {
        match status_in(&beside) {
            Some(status) => body.status = body.status.or(Some(status)),
            None => body.r#type = body.r#type.or(Some(beside)),
        }
    }
    if let Some(inner) = upstream(object, depth) {
        body.wrap(inner);
    }
    (body != ErrorBody::default()).then_some(body)
}

/// The error that a router keeps beside its own: in `metadata.raw`, or Azure in `innererror`.
fn upstream(object: &Map<String, Value>, depth: usize) -> Option<ErrorBody> {
    let raw = object.get("metadata").and_then(|metadata| metadata.get("raw"));
    let inner = match raw {
        Some(Value::String(text)) if !text.trim().is_empty() => {
            Some(find_quoted(text).unwrap_or_else(|| {
                let value = serde_json::from_str(text).ok();
                value
                    .and_then(|value| from_value(&value, depth + 1))
                    .unwrap_or_else(|| ErrorBody { message: text.trim().to_owned(), ..ErrorBody::default() })
            }))
        }
        Some(raw) => from_value(raw, depth + 1),
        None => None,
    };
    let inner = inner.or_else(|| from_value(object.get("innererror")?, depth + 1));
    inner.filter(|inner| !inner.message.is_empty())
}

/// The innermost error in this text, or none if it quotes none.
///
/// Routers quote the answer of their upstream as text (LiteLLM: `litellm.X: XException - ...`), as JSON, or
/// as Python prints a dictionary (`Error code: 400 - {'error': {...}}`).
fn find_quoted(text: &str) -> Option<ErrorBody> {
    const READ: usize = 64 * 1024;
    find_quoted_at(start(text, READ), 0)
}

fn find_quoted_at(text: &str, depth: usize) -> Option<ErrorBody> {
    if depth > DEPTH {
        return None;
    }
    let quote = quoted::by_litellm(text);
    let object = error_object(quote.unwrap_or(text));
    let object =
        object.and_then(|(object, _)| from_value(&object, 0)).filter(|body| !body.message.is_empty());
    if let Some(mut body) = object {
        if body.upstream_message.is_none() {
            if let Some(inner) = find_quoted_at(&body.message, depth + 1) {
                return Some(inner.or_names_of(body));
            }
        }
        body.message = body.upstream_message.take().unwrap_or(body.message);
        body.code = body.upstream_code.take().or(body.code);
        body.r#type = body.upstream_type.take().or(body.r#type);
        return Some(body);
    }
    let quote = quote?;
    find_quoted_at(quote, depth + 1)
        .or_else(|| Some(ErrorBody { message: quote.to_owned(), ..ErrorBody::default() }))
}

fn list(items: &[Value], depth: usize) -> Option<ErrorBody> {
    const LOOKED_AT: usize = 8;
    if let Some(found) = validation::of_list(items) {
        let mut body = ErrorBody::default();
        body.take_validation(found);
        return Some(body);
    }
    items.iter().take(LOOKED_AT).find_map(|item| from_value(item, depth + 1))
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
    if is_meaningful(value) { value.to_string() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_error_is_found() {
        let no = None;
        for (text, want) in [
            (
                "litellm.X: X: OpenAIException - slow down\n\nLiteLLM: model group 'a'",
                Some(("slow down", no)),
            ),
            ("litellm.X: OpenAIException - too long\nmodel=a. b=None", Some(("too long", no))),
            (r#"litellm.X: Hosted_vllmException - {"error":"Unauthorized"}"#, Some(("Unauthorized", no))),
            (
                r#"litellm.X: AException - litellm.Y: BException - {"error":{"message":"deep","code":400}}"#,
                Some(("deep", Some("400"))),
            ),
            (
                "Error 401 - {'error': {'message': \"it's \\u00e9\", 'code': None, 'type': 'a', 'x': (1,)}}",
                Some(("it's é", no)),
            ),
            (
                "Error 400 - {'object': 'error', 'message': 'no', 'code': 400, 'ok': True, 'n': -1.5e2}",
                Some(("no", Some("400"))),
            ),
            (
                r#"answered {\"error\":{\"message\":\"escaped\",\"code\":\"a\"}} twice"#,
                Some(("escaped", Some("a"))),
            ),
            (
                r#"{"error":{"message":"XException - {\"error\":{\"message\":\"in\",\"code\":1}}"}}"#,
                Some(("in", Some("1"))),
            ),
            (r#"first {"name":"x"} then {"message":"m","type":"t"}"#, Some(("m", no))),
            ("Failed to parse tools: {\"name\":\"x\"}; tools = [{\"description\": \"d\"}]", None),
            ("{'url': 'x', 'detail': 'auto'}", None),
            ("{'type': 'missing', 'ctx': {'error': 'Expecting value'}}", None),
            ("{'a': <object at 0x7f>, 'error': 'x'}", None),
            ("{{{{{{{{{{{{{{{{{{{{{{{{", None),
            ("XException - ", None),
            ("{'error': 'never ends", None),
            ("plain", None),
        ] {
            let found = find_quoted(text);
            let found = found.as_ref().map(|body| (body.message.as_str(), body.code.as_deref()));
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn quotes_within_quotes_come_to_an_end() {
        let text = "XException - ".repeat(10_000);
        let found = find_quoted(&text);
        assert!(found.is_none_or(|body| body.message.len() < text.len()));
        assert_eq!(find_quoted(&"{\"error\":".repeat(5_000)), None);
    }
}
