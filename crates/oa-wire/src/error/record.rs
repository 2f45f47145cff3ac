//! The error as a value: what is known of it, and how it is built.

use super::{
    category::Category,
    details::{ConnectionFailure, ErrorKind, ServerErrorDetails},
    origin::Origin,
    retry_after::RetryAfter,
    source::Source,
    structured::StructuredOutputFailure,
};
use crate::{Response, ResponseHeaders};
use bytes::Bytes;
use std::{borrow::Cow, error::Error as StdError, sync::Arc, time::Duration};

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
pub struct Error(pub(super) Arc<Inner>);

#[derive(Clone)]
pub(super) struct Inner {
    pub(super) category: Category,
    pub(super) message: Cow<'static, str>,
    pub(super) status: Option<u16>,
    pub(super) server: ServerErrorDetails,
    pub(super) retry_after: Option<RetryAfter>,
    pub(super) should_retry: Option<bool>,
    pub(super) quota_spent: bool,
    pub(super) kind: Option<ErrorKind>,
    pub(super) request_id: Option<String>,
    pub(super) headers: ResponseHeaders,
    pub(super) url: Option<String>,
    pub(super) origin: Option<Box<Origin>>,
    pub(super) key_rejected: bool,
    pub(super) body: Option<Bytes>,
    pub(super) source: Source,
    pub(super) connection: Option<Arc<ConnectionFailure>>,
    pub(super) hint: Option<Cow<'static, str>>,
    pub(super) elapsed: Option<Duration>,
    pub(super) structured: Option<Arc<StructuredOutputFailure>>,
    pub(super) partial: Option<Arc<Response>>,
    pub(super) attempts: Vec<Attempt>,
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
            headers: ResponseHeaders::default(),
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

    /// The headers of the response that is the error, or holds it.
    pub fn headers(&self) -> &ResponseHeaders {
        &self.0.headers
    }

    /// Sets the headers of the response.
    #[must_use]
    pub fn with_headers(mut self, headers: ResponseHeaders) -> Self {
        Arc::make_mut(&mut self.0).headers = headers;
        self
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

    /// Sets the HTTP status.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        self.set(|inner| inner.status = Some(status))
    }

    /// Sets what the server's error has beside its message.
    #[must_use]
    pub fn with_server(self, server: ServerErrorDetails) -> Self {
        self.set(|inner| inner.server = server)
    }

    /// Sets how long the server asks to wait.
    #[must_use]
    pub fn with_retry_after(self, retry_after: impl Into<Option<RetryAfter>>) -> Self {
        let retry_after = retry_after.into();
        self.set(|inner| inner.retry_after = retry_after)
    }

    /// Sets whether the server asks for a retry.
    #[must_use]
    pub fn with_should_retry(self, should_retry: impl Into<Option<bool>>) -> Self {
        let should_retry = should_retry.into();
        self.set(|inner| inner.should_retry = should_retry)
    }

    /// Sets whether it is a rate limit that waiting does not end.
    #[must_use]
    pub fn with_quota_spent(self, spent: bool) -> Self {
        self.set(|inner| inner.quota_spent = spent)
    }

    /// Sets the finer kind.
    #[must_use]
    pub fn with_kind(self, kind: ErrorKind) -> Self {
        self.set(|inner| inner.kind = Some(kind))
    }

    /// Sets the server's id of the request.
    #[must_use]
    pub fn with_request_id(self, id: impl Into<Option<String>>) -> Self {
        let id = id.into();
        self.set(|inner| inner.request_id = id)
    }

    /// Sets the URL that was called. It must hold no user-info.
    #[must_use]
    pub fn with_url(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set(|inner| inner.url = Some(url))
    }

    /// Sets who answered.
    #[must_use]
    pub fn with_origin(self, origin: Origin) -> Self {
        self.set(|inner| inner.origin = (origin != Origin::default()).then(|| Box::new(origin)))
    }

    /// Sets the forward proxy that the request went through, with the variable that names it
    /// (`http://proxy:3128, from HTTP_PROXY`): an answer may be the proxy's own.
    #[must_use]
    pub fn with_proxy(self, proxy: impl Into<String>) -> Self {
        let proxy = proxy.into();
        self.set(|inner| inner.origin.get_or_insert_default().proxy = Some(proxy))
    }

    /// Says that the answer is about the API key.
    #[must_use]
    pub fn with_key_rejected(self, rejected: bool) -> Self {
        self.set(|inner| inner.key_rejected = rejected)
    }

    /// Keeps the start of the response's body.
    #[must_use]
    pub fn with_body(self, body: &[u8]) -> Self {
        let body = Bytes::copy_from_slice(&body[..body.len().min(BODY_LIMIT)]);
        self.set(|inner| inner.body = Some(body))
    }

    /// Sets the cause: the next level of the chain. Its text must not be part of the message.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let source = Source::Below(Arc::from(source.into()));
        self.set(|inner| inner.source = source)
    }

    /// Sets how the connection failed.
    #[must_use]
    pub fn with_connection(self, connection: ConnectionFailure) -> Self {
        self.set(|inner| inner.connection = Some(Arc::new(connection)))
    }

    /// Sets the likely cause or cure.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        let hint = hint.into();
        self.set(|inner| inner.hint = Some(hint))
    }

    /// Sets how long it took to fail.
    #[must_use]
    pub fn with_elapsed(self, elapsed: Duration) -> Self {
        self.set(|inner| inner.elapsed = Some(elapsed))
    }

    /// Keeps what was received.
    #[must_use]
    pub fn with_partial(self, partial: Response) -> Self {
        self.set(|inner| inner.partial = Some(Arc::new(partial)))
    }

    /// Sets the attempts that a layer made.
    #[must_use]
    pub fn with_attempts(self, attempts: Vec<Attempt>) -> Self {
        self.set(|inner| inner.attempts = attempts)
    }

    /// The same error under another message.
    #[must_use]
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

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
