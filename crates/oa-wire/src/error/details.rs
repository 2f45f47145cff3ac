//! The details of an error beside its category and message.

use std::net::SocketAddr;

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
    /// The message of the error that a router wraps, where it does;
    /// [`Error::message`](crate::Error::message) shows it too.
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
    /// [`partial`](crate::Error::partial) response. Asking again does not help.
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
