//! The one error type, for construction, sending, receiving and reading.

mod category;
mod origin;
mod report;
mod retry_after;

pub use category::Category;
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
/// # Formatting
///
/// - `{error}` is one line that a person can act on: the category, the server's message, the status. It
///   prints its own level only; [`source`](StdError::source) leads to the causes, none of which repeats it.
/// - `{error:#}` and `{error:?}` add the causes, down to the operating system's, and at most one hint. So a
///   `main` that returns the error prints what helps.
/// - `{error:#?}` lists the fields.
///
/// None of them holds a key, a prompt or an output. [`body`](Self::body) may.
///
/// # Which method to ask
///
/// | question | method |
/// |---|---|
/// | Is a retry of use? | [`is_transient`](Self::is_transient), [`retry_after`](Self::retry_after), [`should_retry`](Self::should_retry) |
/// | Is the prompt too long? | [`is_context_overflow`](Self::is_context_overflow) |
/// | Was a filter the reason? | [`is_content_filter`](Self::is_content_filter) |
/// | Was a limit of ours the reason? | [`is_timeout`](Self::is_timeout), [`is_too_large`](Self::is_too_large) |
/// | Did the answer end too early? | [`is_cut_off`](Self::is_cut_off), [`partial`](Self::partial) |
/// | Is the account's budget used up? | [`is_quota_spent`](Self::is_quota_spent) |
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
    server: ServerErrorDetails,
    retry_after: Option<RetryAfter>,
    should_retry: Option<bool>,
    quota_spent: bool,
    kind: Option<ErrorKind>,
    request_id: Option<String>,
    url: Option<String>,
    origin: Option<Box<Origin>>,
    key_rejected: bool,
    body: Option<Bytes>,
    source: Source,
    connection: Option<Arc<ConnectionFailure>>,
    hint: Option<Cow<'static, str>>,
    elapsed: Option<Duration>,
    structured: Option<Arc<StructuredOutputFailure>>,
    partial: Option<Arc<Response>>,
    attempts: Vec<Attempt>,
}

/// The cause of an error.
#[derive(Clone)]
enum Source {
    None,
    /// The next level of the chain.
    Below(Arc<dyn StdError + Send + Sync>),
    /// An error in whose place ours stands: the chain goes on with its source.
    Same(Arc<dyn StdError + Send + Sync>),
}

impl Source {
    fn get(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match self {
            Self::None => None,
            Self::Below(error) | Self::Same(error) => Some(&**error),
        }
    }
}

/// What a server's error has beside its message. All of it is optional and free text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerErrorDetails {
    /// `code`, a number or a text; a number as its digits.
    pub code: Option<String>,
    /// `type`.
    pub r#type: Option<String>,
    /// `param`: the request field that the error is about.
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
    /// The prompt, or the prompt and the requested tokens, do not fit the model's context.
    ContextOverflow,
    /// A content filter refused the prompt or the answer.
    ContentFilter,
    /// A time limit of ours has passed: the server may still be at work.
    Timeout,
    /// The body ended before the answer did.
    CutOff,
    /// A limit of ours on the size of a response was reached.
    TooLarge,
    /// The model refused, where output of a schema was asked for. The refusal is in the
    /// [`partial`](Error::partial) response. Asking again does not help.
    Refusal,
    /// The limit on tokens ended the answer in the middle of a structured output or of tool arguments. The
    /// same request again ends in the same way: raise `max_tokens`.
    TokenLimit,
    /// The body is compressed, although no content coding was asked for. Never transient.
    ContentCoding,
}

/// How a connection failed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectionFailure {
    /// The stage that failed: `dns`, `connect`, `tls`, `proxy`, `write`, `first_byte` or `body`.
    pub stage: &'static str,
    /// The host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Every address that was tried, and its error.
    pub addresses: Vec<(SocketAddr, String)>,
}

impl ConnectionFailure {
    /// A failure at this stage.
    pub fn new(stage: &'static str, host: impl Into<String>, port: u16) -> Self {
        Self { stage, host: host.into(), port, addresses: Vec::new() }
    }
}

/// Why a text is not the structured output that the request wants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StructuredOutputFailure {
    /// The schema of the request.
    pub response_schema: JsonSchema,
    /// The text of the answer, verbatim.
    pub output_content: String,
    /// What is wrong with it, with its JSON pointer.
    pub error_message: String,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// The tokens that it took.
    pub usage: Usage,
}

impl StructuredOutputFailure {
    /// The failure of this response: what is wrong with its text, with the JSON pointer.
    pub fn new(schema: JsonSchema, response: &Response, message: impl Into<String>) -> Self {
        Self {
            response_schema: schema,
            output_content: response.text().into_owned(),
            error_message: message.into(),
            finish_reason: response.finish_reason,
            usage: response.usage,
        }
    }
}

/// One attempt that a retry or failover layer made before the last.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Its number, from 0.
    pub index: u32,
    /// Its category, or none when it succeeded or was abandoned.
    pub category: Option<Category>,
    /// Its message.
    pub message: String,
    /// Why the layer went on, or stopped.
    pub reason: Cow<'static, str>,
    /// How long the layer waited after it.
    pub waited: Duration,
    /// The name of the server that it was made to, where there are several.
    pub server: Option<Arc<str>>,
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
            server: None,
        }
    }

    /// Sets the server that it was made to.
    #[must_use]
    pub fn with_server(self, server: Arc<str>) -> Self {
        Self { server: Some(server), ..self }
    }
}

impl Error {
    /// An error of this category.
    pub fn new(category: Category, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            category,
            message: message.into(),
            status: None,
            server: ServerErrorDetails::default(),
            retry_after: None,
            should_retry: None,
            quota_spent: false,
            kind: None,
            request_id: None,
            url: None,
            origin: None,
            key_rejected: false,
            body: None,
            source: Source::None,
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

    /// An error in the place of another, such as a transport's: it prints the other's text, and its source is
    /// the other's source, so that no level of the chain is printed twice. [`get_ref`](Self::get_ref) is the
    /// other itself.
    pub fn from_source(category: Category, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source: Arc<dyn StdError + Send + Sync> = Arc::from(source.into());
        Self::new(category, source.to_string()).set(|inner| inner.source = Source::Same(source))
    }

    /// The error in whose place this one stands ([`from_source`](Self::from_source)), or else its cause
    /// ([`with_source`](Self::with_source)): to be downcast.
    pub fn get_ref(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.get()
    }

    /// The category.
    pub fn category(&self) -> Category {
        self.0.category
    }

    /// What happened, in one line: the server's message where it sent one.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The HTTP status that was received, if one was. For an error inside a 200 it is 200: the body's own
    /// code is in [`server`](Self::server).
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The server's own `code`, `type` and `param`.
    pub fn server(&self) -> &ServerErrorDetails {
        &self.0.server
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<RetryAfter> {
        self.0.retry_after
    }

    /// The server's header `x-should-retry`, if it is there.
    pub fn should_retry(&self) -> Option<bool> {
        self.0.should_retry
    }

    /// True for a rate limit that waiting does not end: a spent quota or budget.
    pub fn is_quota_spent(&self) -> bool {
        self.0.quota_spent
    }

    /// True when the same request may succeed later: a transient category, no spent quota, no body that
    /// cannot be read.
    pub fn is_transient(&self) -> bool {
        self.0.category.is_transient() && !self.0.quota_spent && self.0.kind != Some(ErrorKind::ContentCoding)
    }

    /// The finer kind, where one is known.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.0.kind
    }

    /// True when the prompt, or the prompt and the requested tokens, do not fit the model's context.
    pub fn is_context_overflow(&self) -> bool {
        self.0.kind == Some(ErrorKind::ContextOverflow)
    }

    /// True when a content filter refused.
    pub fn is_content_filter(&self) -> bool {
        self.0.kind == Some(ErrorKind::ContentFilter)
    }

    /// True when the model refused, where output of a schema was asked for.
    pub fn is_refusal(&self) -> bool {
        self.0.kind == Some(ErrorKind::Refusal)
    }

    /// True when the limit on tokens ended the answer in the middle of a structured output or of tool
    /// arguments.
    pub fn is_token_limit(&self) -> bool {
        self.0.kind == Some(ErrorKind::TokenLimit)
    }

    /// True for an output that does not satisfy its schema where showing the model what is wrong may help: it
    /// neither refused nor ran into the limit on tokens.
    pub fn may_be_reasked(&self) -> bool {
        self.0.category == Category::StructuredOutputInvalid && !self.is_refusal() && !self.is_token_limit()
    }

    /// True when a time limit of ours has passed.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Some(ErrorKind::Timeout)
    }

    /// True when the body ended before the answer did.
    pub fn is_cut_off(&self) -> bool {
        self.0.kind == Some(ErrorKind::CutOff)
    }

    /// True when a limit of ours on the size of a response was reached.
    pub fn is_too_large(&self) -> bool {
        self.0.kind == Some(ErrorKind::TooLarge)
    }

    /// The server's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The URL of the call, where it matters.
    pub fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// Who answered and what it asks for, where the headers of a response tell.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_deref()
    }

    /// True when the answer is about the API key: it is missing, unknown or not allowed to do this. A 401 or
    /// 403 of a gateway, firewall or login page is not.
    pub fn is_key_rejected(&self) -> bool {
        self.0.key_rejected
    }

    /// The start of the response's body, at most [`BODY_LIMIT`] bytes.
    ///
    /// It is what the server sent, without the key: servers quote the request that they refuse, so it may
    /// hold parts of the prompt. Nothing else of this error does: not its message, `Display`, `Debug` or
    /// [`report`](Self::report).
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

    /// How long the call took to fail, where it was measured.
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.elapsed
    }

    /// Why the text is not the structured output that the request wants, for
    /// [`StructuredOutputInvalid`](Category::StructuredOutputInvalid).
    pub fn structured(&self) -> Option<&StructuredOutputFailure> {
        self.0.structured.as_deref()
    }

    /// What was received before the call failed: text, reasoning, tool calls with their errors, usage, raw
    /// body.
    pub fn partial(&self) -> Option<&Response> {
        self.0.partial.as_deref()
    }

    /// The attempts that a retry or failover layer made, the last one included.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The texts of the causes, outermost first; one that only repeats the level above it is left out.
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

    /// Sets what the server's error has beside its message.
    pub fn with_server(self, server: ServerErrorDetails) -> Self {
        self.set(|inner| inner.server = server)
    }

    /// Sets how long the server asks to wait.
    pub fn with_retry_after(self, retry_after: impl Into<Option<RetryAfter>>) -> Self {
        let retry_after = retry_after.into();
        self.set(|inner| inner.retry_after = retry_after)
    }

    /// Sets whether the server asks for a retry.
    pub fn with_should_retry(self, should_retry: impl Into<Option<bool>>) -> Self {
        let should_retry = should_retry.into();
        self.set(|inner| inner.should_retry = should_retry)
    }

    /// Sets whether it is a rate limit that waiting does not end.
    pub fn with_quota_spent(self, spent: bool) -> Self {
        self.set(|inner| inner.quota_spent = spent)
    }

    /// Sets the finer kind.
    pub fn with_kind(self, kind: ErrorKind) -> Self {
        self.set(|inner| inner.kind = Some(kind))
    }

    /// Sets the server's id of the request.
    pub fn with_request_id(self, id: impl Into<Option<String>>) -> Self {
        let id = id.into();
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

    /// Sets the cause: the next level of the chain. Its text must not be part of the message.
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = Source::Below(Arc::from(source.into()));
        self.set(|inner| inner.source = source)
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

    /// Keeps what was received.
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

    /// An output that does not satisfy its schema.
    pub fn structured_output(failure: StructuredOutputFailure) -> Self {
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
        self.fmt_line(f)?;
        if f.alternate() { self.fmt_causes(f) } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return self.fmt_fields(f);
        }
        self.fmt_line(f)?;
        self.fmt_causes(f)
    }
}

impl Error {
    fn fmt_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        if let Some(server) = self.0.attempts.last().and_then(|attempt| attempt.server.as_ref()) {
            note(f, format_args!("server {}", OneLine(server)))?;
        }
        if self.0.attempts.len() > 1 {
            note(f, format_args!("{} attempts", self.0.attempts.len()))?;
        }
        if open { f.write_str(")") } else { Ok(()) }
    }

    fn fmt_causes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.attempts.len() > 1 {
            for attempt in &self.0.attempts {
                write!(f, "\n  attempt {}: ", attempt.index)?;
                if let Some(server) = &attempt.server {
                    write!(f, "{}: ", OneLine(server))?;
                }
                write!(f, "{} ({})", OneLine(&attempt.message), attempt.reason)?;
            }
        }
        for cause in self.causes() {
            write!(f, "\n  caused by: {}", OneLine(&cause))?;
        }
        match &self.0.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }

    fn fmt_fields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        let mut out = f.debug_struct("Error");
        out.field("category", &inner.category).field("message", &inner.message);
        if let Some(status) = inner.status {
            out.field("status", &status);
        }
        if let Some(kind) = inner.kind {
            out.field("kind", &kind);
        }
        if inner.server != ServerErrorDetails::default() {
            out.field("server", &inner.server);
        }
        if let Some(wait) = inner.retry_after {
            out.field("retry_after", &wait);
        }
        if let Some(url) = &inner.url {
            out.field("url", url);
        }
        if let Some(connection) = &inner.connection {
            out.field("connection", connection);
        }
        if let Some(source) = inner.source.get() {
            out.field("source", &source);
        }
        if let Some(hint) = &inner.hint {
            out.field("hint", hint);
        }
        if !inner.attempts.is_empty() {
            out.field("attempts", &inner.attempts);
        }
        out.finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Source::None => None,
            Source::Below(source) => Some(&**source),
            Source::Same(error) => error.source(),
        }
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
    fn the_debug_form_is_the_alternate_one_and_its_alternate_the_fields() {
        let error = Error::new(Category::Unavailable, "no answer")
            .with_source(std::io::Error::other("connection refused"))
            .with_hint("start the server");
        assert_eq!(format!("{error:?}"), format!("{error:#}"));
        let fields = format!("{error:#?}");
        assert!(fields.starts_with("Error {") && fields.contains("category: Unavailable"), "{fields}");
    }

    #[test]
    fn an_error_in_the_place_of_another_has_its_text_and_its_source() {
        #[derive(Debug)]
        struct Outer(std::io::Error);
        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the tunnel broke")
            }
        }
        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        let error = Error::from_source(Category::Unavailable, Outer(std::io::Error::other("reset")));
        assert_eq!(error.message(), "the tunnel broke");
        assert_eq!(error.source().unwrap().to_string(), "reset");
        assert!(error.get_ref().unwrap().is::<Outer>());
        assert_eq!(format!("{error:#}"), "provider_unavailable: the tunnel broke\n  caused by: reset");
    }

    #[test]
    fn the_body_is_bounded() {
        let error = Error::invalid_response("x").with_body(&vec![b'a'; 2 * BODY_LIMIT]);
        assert_eq!(error.body().unwrap().len(), BODY_LIMIT);
    }
}
