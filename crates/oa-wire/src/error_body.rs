//! Reads an error response of any server into an [`Error`].
//!
//! A pipeline: parse the body, redact it, look up its phrases, decide the category, find how long to wait.
//! Each stage takes what the one before it gave.

mod delay;
mod headers;
mod message;
mod moment;
mod origin;
mod page;
mod parse;
mod phrases;
mod python;
mod quoted;
mod redact;
mod retry_after;
mod target;
mod validation;
mod verdict;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use crate::{Category, Error, ErrorKind, Origin, ServerErrorDetails, json::is_meaningful};
use http::{HeaderMap, StatusCode, header::LOCATION};
use parse::{ErrorBody, Form};
use phrases::ErrorText;
use redact::Secrets;
use std::{borrow::Cow, fmt, time::SystemTime};
use target::redacted_url;
use verdict::Verdict;

pub(crate) use headers::request_id;
pub(crate) use origin::content_coding;
pub(crate) use page::is_page;
pub(crate) use redact::{excerpt, redact_error};
pub(crate) use retry_after::reset_delay;
pub(crate) use verdict::ErrorContext;

/// An error response as it was received.
#[derive(Clone, Copy)]
pub(crate) struct ErrorResponse<'a> {
    /// Where the body was found.
    pub(crate) context: ErrorContext,
    /// The HTTP status of the response.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
    /// The body, or the part of it that is the error: an envelope as JSON text, or any text.
    pub(crate) body: &'a [u8],
    /// The URL that was called. User-info and query are left out of the error.
    pub(crate) url: &'a str,
    /// The time of receipt, for a `Retry-After` that is a date when the response has no `Date` of its own.
    pub(crate) now: Option<SystemTime>,
    /// The API key that was sent, if one was: wherever the server echoes it, it is redacted. Without it only
    /// what looks like a key is.
    pub(crate) key: Option<&'a str>,
    /// The forward proxy that the request went through, with the variable that names it.
    pub(crate) proxy: Option<&'a str>,
}

impl<'a> ErrorResponse<'a> {
    /// A response with no time of receipt and no key.
    pub(crate) fn new(
        context: ErrorContext,
        status: StatusCode,
        headers: &'a HeaderMap,
        body: &'a [u8],
        url: &'a str,
    ) -> Self {
        Self { context, status, headers, body, url, now: None, key: None, proxy: None }
    }
}

impl fmt::Debug for ErrorResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorResponse")
            .field("context", &self.context)
            .field("status", &self.status)
            .field("url", &redacted_url(self.url))
            .finish_non_exhaustive()
    }
}

/// Reads an error response of any server: OpenAI, vLLM, SGLang, llama.cpp, Ollama, LM Studio, LiteLLM, other
/// gateways, and whatever answers with text or HTML in their place.
///
/// Never fails: what cannot be read is judged by its status alone, and its start becomes the message.
pub(crate) fn classify(response: &ErrorResponse<'_>) -> Error {
    let secrets = Secrets { key: response.key };
    let coding = content_coding(response.headers).filter(|_| response.context == ErrorContext::Http);
    let origin = origin::read(response.headers);
    let body = redact::redact(parse::parse(response.body, coding.as_deref()), &secrets);
    let text = ErrorText::of(&body);
    let verdict =
        verdict::decide(response.context, response.status, &body, &text, &origin, leads_to_login(response));
    let is_limit = verdict.is_http_rate_limit();
    let wait = retry_after::find(response.headers, response.now, is_limit, body.wait, text.messages());
    let mut error = Error::new(verdict.category, message(response, &body, &verdict, &origin))
        .with_status(response.status.as_u16())
        .with_quota_spent(verdict.quota_spent)
        .with_key_rejected(verdict.key_rejected)
        .with_retry_after(wait)
        .with_should_retry(headers::should_retry(response.headers))
        .with_request_id(request_id(response.headers).or_else(|| body.request_id.clone()));
    let kind = if coding.is_some() { Some(ErrorKind::ContentCoding) } else { text.kind(verdict.category) };
    if let Some(kind) = kind {
        error = error.with_kind(kind);
    }
    if !response.url.is_empty() {
        error = error.with_url(redacted_url(response.url));
    }
    if !response.body.is_empty() && body.form != Form::Binary {
        error = error.with_body(&secrets.redact_bytes(response.body));
    }
    let hint = text.hint(response.status).map(Cow::Borrowed);
    if let Some(hint) = hint.or_else(|| message::hint(response.status, body.form, &verdict, &origin)) {
        error = error.with_hint(hint);
    }
    let error = error.with_origin(origin);
    // An API's own error came from the server, whatever it came through.
    let error = match response.proxy.filter(|_| body.form != Form::Envelope) {
        Some(proxy) => error.with_proxy(proxy),
        None => error,
    };
    error.with_server(details(body))
}

fn leads_to_login(response: &ErrorResponse<'_>) -> bool {
    let location = response.headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()));
    location.is_some_and(|location| target::is_login(response.url, &location))
}

/// An error of ours about a body that is no API's, with who sent it.
pub(crate) fn with_sender(error: Error, headers: &HeaderMap) -> Error {
    let origin = origin::read(headers);
    let error = match &origin.server {
        Some(server) if error.origin().is_none() => {
            let message = format!("{} (answered by {server})", error.message());
            error.with_message(message)
        }
        _ => return error,
    };
    error.with_origin(origin)
}

/// The start of a body, for a message: one line.
pub(crate) fn body_start(text: &str) -> String {
    const MOST: usize = 200;
    excerpt(text, MOST)
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
            object.get("error").is_some_and(is_meaningful)
                || object.get("object").is_some_and(|object| object == "error")
        }
        _ => false,
    }
}

fn message(response: &ErrorResponse<'_>, body: &ErrorBody, verdict: &Verdict, origin: &Origin) -> String {
    let mut message = message::compose(body, verdict, origin);
    if verdict.category == Category::Authentication {
        message.extend(message::challenge(origin));
    }
    if let Some(why) = verdict.wrong_target {
        message.push_str(&target::advice(response.url, response.status, origin, why));
    }
    message
}

fn details(body: ErrorBody) -> ServerErrorDetails {
    ServerErrorDetails {
        code: body.code,
        r#type: body.r#type,
        param: body.param,
        upstream_message: body.upstream_message,
        upstream_code: body.upstream_code,
    }
}
