//! What an error response of any server means: its category, its words, how long to wait.

mod embedded;
mod envelope;
mod retry_after;
mod sound;
mod target;
mod wording;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use crate::{Category, Error, ErrorKind, ServerWords};
use envelope::Said;
use http::{HeaderMap, StatusCode};
use sound::Secrets;
use std::{fmt, time::SystemTime};
use wording::Words;

/// Where an error body was found, which decides what it is when it names nothing itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorContext {
    /// The whole body of a response whose status says that it failed.
    Http,
    /// The whole body of a success. Without a code or type that says more it is
    /// [`InvalidResponse`](Category::InvalidResponse).
    Body200,
    /// Inside the event stream of a success. Where its content says no more it is
    /// [`Unavailable`](Category::Unavailable).
    Stream,
}

/// An error as it was received.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use oa_wire::Category;
/// use oa_wire::openai::{ErrorContext, Received, classify};
///
/// let headers = HeaderMap::new();
/// let body = br#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#;
/// let url = "http://localhost:8080/v1/chat/completions";
/// let received =
///     Received::new(ErrorContext::Http, StatusCode::SERVICE_UNAVAILABLE, &headers, body, url);
///
/// let error = classify(&received);
/// assert_eq!(error.category(), Category::ModelNotLoaded);
/// assert_eq!(error.message(), "Loading model");
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Received<'a> {
    /// Where the body was found.
    pub context: ErrorContext,
    /// The HTTP status of the response.
    pub status: StatusCode,
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The body, or the part of it that is the error: an envelope as JSON text, or any text.
    pub body: &'a [u8],
    /// The URL that was called. User-info and query are left out of the error.
    pub url: &'a str,
    /// The time of receipt, for a `Retry-After` that is a date when the response has no `Date` of its own.
    pub now: Option<SystemTime>,
    /// The API key that was sent, if one was: wherever the server echoes it, it is struck out. Without it
    /// only what looks like a key is.
    pub key: Option<&'a str>,
}

impl<'a> Received<'a> {
    /// An error as it was received, with no time of receipt and no key.
    pub fn new(
        context: ErrorContext,
        status: StatusCode,
        headers: &'a HeaderMap,
        body: &'a [u8],
        url: &'a str,
    ) -> Self {
        Self { context, status, headers, body, url, now: None, key: None }
    }
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("context", &self.context)
            .field("status", &self.status)
            .field("url", &target::shown(self.url))
            .finish_non_exhaustive()
    }
}

/// Reads an error response of any server: OpenAI, vLLM, SGLang, llama.cpp, Ollama, LM Studio, LiteLLM, other
/// gateways, and whatever answers with text or HTML in their place.
///
/// Never fails: what cannot be read is judged by its status alone, and its start becomes the message.
pub fn classify(received: &Received<'_>) -> Error {
    let secrets = Secrets { key: received.key };
    let said = envelope::read(received.body).sound(&secrets);
    let words = Words::of(&said);
    let verdict = decide(received.context, received.status, &said, &words);
    let mut error = Error::new(verdict.category, message(received, &said, &verdict))
        .with_status(received.status.as_u16())
        .with_quota_spent(verdict.quota_spent)
        .with_retry_after(retry_after::find(received, verdict.effective, words.text()))
        .with_should_retry(should_retry(received.headers))
        .with_request_id(request_id(received.headers));
    if let Some(kind) = words.kind(verdict.category) {
        error = error.with_kind(kind);
    }
    if !received.url.is_empty() {
        error = error.with_url(target::shown(received.url));
    }
    if !received.body.is_empty() {
        error = error.with_body(&secrets.strike_bytes(received.body));
    }
    if let Some(hint) = words.hint(received.status) {
        error = error.with_hint(hint);
    }
    error.with_server(said.into_words())
}

/// An error that was made from what a server sent, without the key that was sent to it.
pub(super) fn strike(error: Error, key: Option<&str>) -> Error {
    let secrets = Secrets { key };
    let message = secrets.strike_cut(error.message());
    let mut words = error.server().clone();
    let all = [
        &mut words.code,
        &mut words.r#type,
        &mut words.param,
        &mut words.upstream_message,
        &mut words.upstream_code,
    ];
    for word in all.into_iter().flatten() {
        *word = secrets.strike_cut(word);
    }
    let error = if words == *error.server() { error } else { error.with_server(words) };
    let error = match error.body().map(|body| secrets.strike_bytes(body).into_owned()) {
        Some(body) => error.with_body(&body),
        None => error,
    };
    if message == error.message() { error } else { error.with_message(message) }
}

/// The start of what a server sent, on one line, without the texts of messages that it may echo.
pub(super) fn shown(text: &str, limit: usize) -> String {
    sound::bounded(&sound::flat(&sound::clean(text)), limit)
}

/// True when this JSON text is an error and not an answer: it has an `error` member that is not null, false
/// or empty, or it is an older vLLM's or SGLang's flat `{"object":"error",...}`.
///
/// Cheap for what is no error: a search of the bytes.
pub(crate) fn is_error_envelope(json: &[u8]) -> bool {
    if memchr::memmem::find(json, b"\"error\"").is_none() {
        return false;
    }
    match serde_json::from_slice::<serde_json::Value>(json) {
        Ok(serde_json::Value::Object(object)) => {
            object.get("error").is_some_and(envelope::says_something)
                || object.get("object").is_some_and(|object| object == "error")
        }
        _ => false,
    }
}

struct Verdict {
    category: Category,
    quota_spent: bool,
    /// The status that the category was taken from, if there was one.
    effective: Option<u16>,
    /// The error is about the URL, not about what was asked.
    wrong_target: bool,
}

fn decide(context: ErrorContext, status: StatusCode, said: &Said, words: &Words) -> Verdict {
    let in_success = context != ErrorContext::Http || status.is_success();
    let effective = if in_success { said.status().or_else(|| words.status()) } else { Some(status.as_u16()) };
    let named = effective.is_some() || context == ErrorContext::Stream;
    let quota_spent = named && words.quota_spent(effective);
    let category = match effective {
        _ if quota_spent => Category::RateLimit,
        _ if !named => Category::InvalidResponse,
        Some(status) => by_status(status, words),
        None => by_words(words),
    };
    let wrong_target = !in_success
        && category == Category::InvalidRequest
        && (status.is_redirection() || matches!(status.as_u16(), 404 | 405));
    Verdict { category, quota_spent, effective, wrong_target }
}

/// The category of this status, corrected by what the body says where the status is known to lie.
fn by_status(status: u16, words: &Words) -> Category {
    match status {
        401 | 403 => Category::Authentication,
        429 => Category::RateLimit,
        400..=599 if words.unsupported_medium() => Category::UnsupportedContentBlock,
        503 if words.loading_loosely() => Category::ModelNotLoaded,
        404 if words.unknown_model_loosely() => Category::InvalidModel,
        400 | 404 | 422 if words.unknown_model() => Category::InvalidModel,
        400..=599 if words.loading() => Category::ModelNotLoaded,
        500 if words.mistake_of_the_client() => Category::InvalidRequest,
        408 | 409 | 425 | 500..=599 => Category::Unavailable,
        400 if words.bad_key() => Category::Authentication,
        300..=499 => Category::InvalidRequest,
        _ => Category::InvalidResponse,
    }
}

/// The category of an error that has no status at all: one in a stream, with no code or type that names one.
fn by_words(words: &Words) -> Category {
    if words.unsupported_medium() {
        Category::UnsupportedContentBlock
    } else if words.unknown_model() {
        Category::InvalidModel
    } else if words.loading() {
        Category::ModelNotLoaded
    } else if words.mistake_of_the_client() || words.is(ErrorKind::ContextOverflow) {
        Category::InvalidRequest
    } else {
        Category::Unavailable
    }
}

/// The server's own words, what a router hides behind them, and what is wrong with the URL.
fn message(received: &Received<'_>, said: &Said, verdict: &Verdict) -> String {
    let mut message = sound::bounded(&said.message, sound::MESSAGE_LIMIT);
    if message.is_empty() {
        let status = verdict.effective.and_then(|status| StatusCode::from_u16(status).ok());
        let reason = status.and_then(|status| status.canonical_reason());
        let instead = said.r#type.as_deref().or(said.code.as_deref()).or(reason);
        instead.unwrap_or("an error without a message").clone_into(&mut message);
    }
    if let Some(upstream) = &said.upstream_message {
        let upstream = sound::bounded(upstream, sound::UPSTREAM_LIMIT);
        if !message.contains(upstream.trim_end_matches('…')) {
            message = format!("{message} (upstream: {upstream})");
        }
    }
    if verdict.wrong_target {
        message.push_str(&target::advice(received, said.upstream_message.is_some()));
    }
    message
}

fn should_retry(headers: &HeaderMap) -> Option<bool> {
    let word = headers.get("x-should-retry")?.to_str().ok()?.trim();
    match word {
        _ if word.eq_ignore_ascii_case("true") => Some(true),
        _ if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The server's id of the request: its own before a gateway's, a gateway's before a network's.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    const NAMES: [&str; 5] = ["x-request-id", "request-id", "x-litellm-call-id", "apim-request-id", "cf-ray"];
    const LIMIT: usize = 200;
    // One walk over the headers, of which there are few, costs less than a look-up for each name.
    let mut found: Option<(usize, &str)> = None;
    for (name, value) in headers {
        let Some(rank) = NAMES.iter().position(|known| name.as_str() == *known) else { continue };
        let id = value.to_str().unwrap_or_default().trim();
        if !id.is_empty() && id.len() <= LIMIT && found.is_none_or(|(best, _)| rank < best) {
            found = Some((rank, id));
        }
    }
    found.map(|(_, id)| id.to_owned())
}

impl Said {
    fn into_words(self) -> ServerWords {
        ServerWords {
            code: self.code,
            r#type: self.r#type,
            param: self.param,
            upstream_message: self.upstream_message,
            upstream_code: self.upstream_code,
        }
    }
}
