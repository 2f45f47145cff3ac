//! An error as a record for logs.

use super::{
    origin::Origin,
    record::{Attempt, Error},
};
use serde::Serialize;

/// What is known of an [`Error`], to be serialized. It holds no body, no prompt and no output.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ErrorReport<'a> {
    /// The category's name.
    pub category: &'static str,
    /// The message.
    pub message: &'a str,
    /// Whether the same request may succeed later.
    pub transient: bool,
    /// The HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The server's `code`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    /// The server's `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<&'a str>,
    /// The server's `param`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub param: Option<&'a str>,
    /// How long the server asks to wait, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<f64>,
    /// Where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_source: Option<&'static str>,
    /// True for a spent quota.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quota_spent: bool,
    /// The server's id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a str>,
    /// The URL that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<&'a str>,
    /// Who answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<&'a Origin>,
    /// True for an answer about the API key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub key_rejected: bool,
    /// The stage at which the connection failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// The addresses that were tried.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// How long it took to fail, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_seconds: Option<f64>,
    /// The causes, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The likely cause or cure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// The attempts of a retry or failover layer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptReport<'a>>,
}

/// One attempt in an [`ErrorReport`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AttemptReport<'a> {
    /// Its number, from 0.
    pub index: u32,
    /// Its category.
    pub category: Option<&'static str>,
    /// Its message.
    pub message: &'a str,
    /// Why the layer went on, or stopped.
    pub reason: &'a str,
    /// How long the layer waited after it, in seconds.
    pub waited_seconds: f64,
    /// The name of the server, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<&'a str>,
}

impl Error {
    /// A form for logs that serializes: no body, no prompt, no output.
    pub fn report(&self) -> ErrorReport<'_> {
        ErrorReport::of(self)
    }
}

impl<'a> ErrorReport<'a> {
    fn of(error: &'a Error) -> Self {
        let server = error.server();
        let wait = error.retry_after();
        let connection = error.connection();
        Self {
            category: error.category().as_str(),
            message: error.message(),
            transient: error.is_transient(),
            status: error.status(),
            code: server.code.as_deref(),
            r#type: server.r#type.as_deref(),
            param: server.param.as_deref(),
            retry_after_seconds: wait.map(|wait| wait.delay.as_secs_f64()),
            retry_after_source: wait.map(|wait| wait.source.as_str()),
            quota_spent: error.is_quota_spent(),
            request_id: error.request_id(),
            url: error.url(),
            origin: error.origin(),
            key_rejected: error.is_key_rejected(),
            stage: connection.map(|connection| connection.stage),
            addresses: connection
                .iter()
                .flat_map(|connection| &connection.addresses)
                .map(|(address, _)| address.to_string())
                .collect(),
            elapsed_seconds: error.elapsed().map(|elapsed| elapsed.as_secs_f64()),
            causes: error.causes(),
            hint: error.hint(),
            attempts: error.attempts().iter().map(AttemptReport::of).collect(),
        }
    }
}

impl<'a> AttemptReport<'a> {
    fn of(attempt: &'a Attempt) -> Self {
        Self {
            index: attempt.index,
            category: attempt.category.map(super::Category::as_str),
            message: &attempt.message,
            reason: &attempt.reason,
            waited_seconds: attempt.waited.as_secs_f64(),
            server: attempt.server.as_deref(),
        }
    }
}
