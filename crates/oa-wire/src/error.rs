//! What went wrong: one error type for construction, sending, receiving and reading.

mod category;
mod origin;
mod report;
mod retry_after;

pub use category::{Category, UnknownCategory};
pub use origin::{Challenge, Origin};
pub use report::{AttemptReport, ErrorReport};
pub use retry_after::{RetryAfter, RetryAfterSource};

use crate::{FinishReason, JsonSchema, Response, Usage, text::OneLine};
use bytes::Bytes;
use std::{borrow::Cow, error::Error as StdError, fmt, net::SocketAddr, sync::Arc, time::Duration};

/// The most bytes of a response body that an error keeps.
pub const BODY_LIMIT: usize = 16 * 1024;

/// Why a call failed. One word wide, cheap to clone.
///
/// `Display` is one line that a person can act on: the category, the server's own words, the status. It holds no
/// key and no prompt. The alternate form (`{:#}`) adds the causes, down to the operating system's, and at most
/// one hint.
///
/// ```
/// use oa_wire::{Category, Error};
///
/// let error = Error::new(Category::RateLimit, "too many requests").with_status(429);
/// assert!(error.category().is_transient());
/// assert_eq!(error.to_string(), "provider_rate_limit: too many requests (HTTP 429)");
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    category: Category,
    message: Cow<'static, str>,
    status: Option<u16>,
    server: ServerWords,
    retry_after: Option<RetryAfter>,
    should_retry: Option<bool>,
    quota_spent: bool,
    kind: Option<ErrorKind>,
    request_id: Option<String>,
    url: Option<String>,
    origin: Option<Box<Origin>>,
    key_rejected: bool,
    body: Option<Bytes>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    connection: Option<Arc<ConnectionFailure>>,
    hint: Option<Cow<'static, str>>,
    elapsed: Option<Duration>,
    structured: Option<Arc<StructuredOutputFailure>>,
    partial: Option<Arc<Response>>,
    attempts: Vec<Attempt>,
}

/// What the server itself says of an error, beside its message. All of it is optional and free text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerWords {
    /// `code`, a number or a word; a number as its digits.
    pub code: Option<String>,
    /// `type`.
    pub r#type: Option<String>,
    /// `param`: the request field it complains about.
    pub param: Option<String>,
    /// The message of the error that a router wraps, where it does; [`Error::message`] shows it too.
    pub upstream_message: Option<String>,
    /// The code of the error that a router wraps.
    pub upstream_code: Option<String>,
}

/// A finer kind that several categories and servers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The prompt, or the prompt and the tokens asked for, do not fit the model's context.
    ContextOverflow,
    /// A content filter refused the prompt or the answer.
    ContentFilter,
    /// A time limit of ours ran out: the server may still be at work.
    Timeout,
    /// The body ended before the answer did.
    CutOff,
    /// A limit of ours on the size of a response was reached.
    TooLarge,
    /// The body is compressed, although no content coding was asked for. Never transient.
    ContentCoding,
}

/// How a connection failed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionFailure {
    /// The stage that failed: `dns`, `connect`, `tls`, `proxy`, `write`, `first_byte` or `body`.
    pub stage: &'static str,
    /// The host that was asked for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Every address that was tried, and what came of it.
    pub addresses: Vec<(SocketAddr, String)>,
}

impl ConnectionFailure {
    /// A failure at this stage.
    pub fn new(stage: &'static str, host: impl Into<String>, port: u16) -> Self {
        Self { stage, host: host.into(), port, addresses: Vec::new() }
    }
}

/// Why a text is not the structured output that was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StructuredOutputFailure {
    /// The schema that was asked for.
    pub response_schema: JsonSchema,
    /// What the model wrote, verbatim.
    pub output_content: String,
    /// What is wrong with it, with the JSON pointer of the place.
    pub error_message: String,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// The tokens it took.
    pub usage: Usage,
}

/// One attempt that a retry or failover layer made before the last.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number, from 0.
    pub index: u32,
    /// Its category, or none when it succeeded or was abandoned.
    pub category: Option<Category>,
    /// What it said.
    pub message: String,
    /// Why the layer went on, or stopped.
    pub reason: Cow<'static, str>,
    /// How long the layer waited after it.
    pub waited: Duration,
}

impl Attempt {
    /// A record of one attempt.
    pub fn new(index: u32, error: &Error, reason: impl Into<Cow<'static, str>>, waited: Duration) -> Self {
        Self {
            index,
            category: Some(error.category()),
            message: error.message().to_owned(),
            reason: reason.into(),
            waited,
        }
    }
}

impl Error {
    /// An error of this category.
    pub fn new(category: Category, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            category,
            message: message.into(),
            status: None,
            server: ServerWords::default(),
            retry_after: None,
            should_retry: None,
            quota_spent: false,
            kind: None,
            request_id: None,
            url: None,
            origin: None,
            key_rejected: false,
            body: None,
            source: None,
            connection: None,
            hint: None,
            elapsed: None,
            structured: None,
            partial: None,
            attempts: Vec::new(),
        }))
    }

    /// An input that is refused before anything is sent: `message` names the place.
    pub fn invalid_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Category::InvalidRequest, message)
    }

    /// A success that does not parse.
    pub fn invalid_response(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Category::InvalidResponse, message)
    }

    /// The category.
    pub fn category(&self) -> Category {
        self.0.category
    }

    /// What happened, in one line: the server's own words where it said any.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status that was received, if one was. For an error inside a 200 it is 200: the body's own code is
    /// in [`server`](Self::server).
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's own `code`, `type` and `param`.
    pub fn server(&self) -> &ServerWords {
        &self.0.server
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        self.0.retry_after
    }

    /// What the server's `x-should-retry` header says, if it is there.
    pub fn should_retry(&self) -> Option<bool> {
        self.0.should_retry
    }

    /// True for a rate limit that no wait ends: a spent quota or budget.
    pub fn is_quota_spent(&self) -> bool {
        self.0.quota_spent
    }

    /// True when the same request may succeed later: a transient category, no spent quota, no body that cannot be read.
    pub fn is_transient(&self) -> bool {
        self.0.category.is_transient() && !self.0.quota_spent && self.0.kind != Some(ErrorKind::ContentCoding)
    }

    /// The finer kind, where one is known.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.0.kind
    }

    /// True when the prompt, or the prompt and the tokens asked for, do not fit the model's context.
    pub fn is_context_overflow(&self) -> bool {
        self.0.kind == Some(ErrorKind::ContextOverflow)
    }

    /// True when a content filter refused.
    pub fn is_content_filter(&self) -> bool {
        self.0.kind == Some(ErrorKind::ContentFilter)
    }

    /// True when a time limit of ours ran out.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Some(ErrorKind::Timeout)
    }

    /// The id that the server gave the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The URL that was called, where it matters.
    pub fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// Who answered and what it asks for, where the headers of a response tell.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_deref()
    }

    /// True when the answer is about the API key: it is missing, unknown or not allowed to do this. A 401 or 403 of a
    /// gateway, firewall or login page is not.
    pub fn is_key_rejected(&self) -> bool {
        self.0.key_rejected
    }

    /// The start of the response's body, at most [`BODY_LIMIT`] bytes.
    ///
    /// It is what the server sent, without the key: servers quote the request that they refuse, so it may hold parts
    /// of the prompt. Nothing else of this error does: not its message, `Display`, `Debug` or [`report`](Self::report).
    pub fn body(&self) -> Option<&Bytes> {
        self.0.body.as_ref()
    }

    /// How the connection failed, if one did.
    pub fn connection(&self) -> Option<&ConnectionFailure> {
        self.0.connection.as_deref()
    }

    /// The likely cause or cure, only where there is evidence for it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// How long it took to fail, where it was measured.
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.elapsed
    }

    /// Why the text is not the structured output that was asked for, for
    /// [`StructuredOutputInvalid`](Category::StructuredOutputInvalid).
    pub fn structured(&self) -> Option<&StructuredOutputFailure> {
        self.0.structured.as_deref()
    }

    /// What had come when the call failed: text, reasoning, tool calls with what is wrong with them, usage, raw.
    pub fn partial(&self) -> Option<&Response> {
        self.0.partial.as_deref()
    }

    /// The attempts that a retry or failover layer made, the last one included.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// What the causes say, outermost first; one that only repeats what was said before it is left out.
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut source = self.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if text != causes.last().map_or(self.message(), String::as_str) {
                causes.push(text);
            }
            source = cause.source();
        }
        causes
    }

    /// A form for logs that serializes: no body, no prompt, no output.
    pub fn report(&self) -> ErrorReport<'_> {
        ErrorReport::of(self)
    }

    /// Sets the HTTP status.
    pub fn with_status(self, status: u16) -> Self {
        self.set(|inner| inner.status = Some(status))
    }

    /// Sets the server's own words.
    pub fn with_server(self, server: ServerWords) -> Self {
        self.set(|inner| inner.server = server)
    }

    /// Sets how long the server asks to wait.
    pub fn with_retry_after(self, retry_after: Option<RetryAfter>) -> Self {
        self.set(|inner| inner.retry_after = retry_after)
    }

    /// Sets what the server says of a retry.
    pub fn with_should_retry(self, should_retry: Option<bool>) -> Self {
        self.set(|inner| inner.should_retry = should_retry)
    }

    /// Marks a rate limit that no wait ends.
    pub fn with_quota_spent(self, spent: bool) -> Self {
        self.set(|inner| inner.quota_spent = spent)
    }

    /// Sets the finer kind.
    pub fn with_kind(self, kind: ErrorKind) -> Self {
        self.set(|inner| inner.kind = Some(kind))
    }

    /// Sets the server's id of the request.
    pub fn with_request_id(self, id: Option<String>) -> Self {
        self.set(|inner| inner.request_id = id)
    }

    /// Sets the URL that was called. It must hold no user-info.
    pub fn with_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set(|inner| inner.url = Some(url))
    }

    /// Sets who answered.
    pub fn with_origin(self, origin: Origin) -> Self {
        self.set(|inner| inner.origin = (origin != Origin::default()).then(|| Box::new(origin)))
    }

    /// Sets the forward proxy that the request went through, with the variable that names it
    /// (`http://proxy:3128, from HTTP_PROXY`): an answer may be the proxy's own.
    pub fn with_proxy(self, proxy: impl Into<String>) -> Self {
        let proxy = proxy.into();
        self.set(|inner| inner.origin.get_or_insert_default().proxy = Some(proxy))
    }

    /// Says that the answer is about the API key.
    pub fn with_key_rejected(self, rejected: bool) -> Self {
        self.set(|inner| inner.key_rejected = rejected)
    }

    /// Keeps the start of the response's body.
    pub fn with_body(self, body: &[u8]) -> Self {
        let body = Bytes::copy_from_slice(&body[..body.len().min(BODY_LIMIT)]);
        self.set(|inner| inner.body = Some(body))
    }

    /// Sets the cause.
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = Arc::from(source.into());
        self.set(|inner| inner.source = Some(source))
    }

    /// Sets how the connection failed.
    pub fn with_connection(self, connection: ConnectionFailure) -> Self {
        self.set(|inner| inner.connection = Some(Arc::new(connection)))
    }

    /// Sets the likely cause or cure.
    pub fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        let hint = hint.into();
        self.set(|inner| inner.hint = Some(hint))
    }

    /// Sets how long it took to fail.
    pub fn with_elapsed(self, elapsed: Duration) -> Self {
        self.set(|inner| inner.elapsed = Some(elapsed))
    }

    /// Keeps what had come.
    pub fn with_partial(self, partial: Response) -> Self {
        self.set(|inner| inner.partial = Some(Arc::new(partial)))
    }

    /// Sets the attempts that a layer made.
    pub fn with_attempts(self, attempts: Vec<Attempt>) -> Self {
        self.set(|inner| inner.attempts = attempts)
    }

    /// The same error under another message.
    pub fn with_message(self, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        self.set(|inner| inner.message = message)
    }

    /// The same error with the place in front of its message.
    pub(crate) fn prefixed(self, place: &str) -> Self {
        let message = format!("{place}: {}", self.message());
        self.with_message(message)
    }

    pub(crate) fn structured_output(failure: StructuredOutputFailure) -> Self {
        let message = format!("the output does not satisfy the schema: {}", failure.error_message);
        Self::new(Category::StructuredOutputInvalid, message)
            .set(|inner| inner.structured = Some(Arc::new(failure)))
    }

    fn set(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.category, OneLine(&self.0.message))?;
        let mut open = false;
        let mut note = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            f.write_str(if open { ", " } else { " (" })?;
            open = true;
            f.write_fmt(text)
        };
        match (self.0.status, &self.0.server.code) {
            // An error in the body of a success: its own code says more than the status.
            (Some(status @ 200..=299), Some(code)) => {
                note(f, format_args!("code {}, inside an HTTP {status}", OneLine(code)))?;
            }
            (Some(status), _) => note(f, format_args!("HTTP {status}"))?,
            (None, _) => {}
        }
        if let Some(proxy) = self.0.origin.as_ref().and_then(|origin| origin.proxy.as_ref()) {
            note(f, format_args!("through the proxy {}", OneLine(proxy)))?;
        }
        if let Some(wait) = self.0.retry_after {
            note(f, format_args!("retry after {:?}", wait.delay))?;
        }
        if self.0.quota_spent {
            note(f, format_args!("quota spent"))?;
        }
        if let Some(id) = &self.0.request_id {
            note(f, format_args!("request id {}", OneLine(id)))?;
        }
        if self.0.attempts.len() > 1 {
            note(f, format_args!("{} attempts", self.0.attempts.len()))?;
        }
        if open {
            f.write_str(")")?;
        }
        if !f.alternate() {
            return Ok(());
        }
        for cause in self.causes() {
            write!(f, "\n  caused by: {cause}")?;
        }
        match &self.0.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("category", &self.0.category).field("message", &self.0.message);
        let inner = &*self.0;
        if let Some(status) = inner.status {
            out.field("status", &status);
        }
        if inner.server != ServerWords::default() {
            out.field("server", &inner.server);
        }
        if let Some(wait) = inner.retry_after {
            out.field("retry_after", &wait);
        }
        if let Some(connection) = &inner.connection {
            out.field("connection", connection);
        }
        if let Some(source) = &inner.source {
            out.field("source", source);
        }
        if !inner.attempts.is_empty() {
            out.field("attempts", &inner.attempts);
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_word_and_travels() {
        fn travels<T: Clone + Send + Sync + 'static>() {}
        travels::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_plain_form_is_one_line_and_the_alternate_adds_causes_and_the_hint() {
        let error = Error::new(Category::Unavailable, "no answer\nfrom upstream")
            .with_status(503)
            .with_source(std::io::Error::other("connection refused"))
            .with_hint("start the server");
        assert_eq!(error.to_string(), "provider_unavailable: no answer from upstream (HTTP 503)");
        assert_eq!(
            format!("{error:#}"),
            "provider_unavailable: no answer from upstream (HTTP 503)\n  caused by: connection refused\n  \
             hint: start the server"
        );
    }

    #[test]
    fn the_body_is_bounded() {
        let error = Error::invalid_response("x").with_body(&vec![b'a'; 2 * BODY_LIMIT]);
        assert_eq!(error.body().unwrap().len(), BODY_LIMIT);
    }
}
