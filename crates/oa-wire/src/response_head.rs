//! The head of a response, as far as the errors of its body need it.

use crate::{
    Error,
    error_body::{ErrorContext, ErrorResponse, classify, request_id},
    server::{Route, Server},
};
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;

/// The status and id of a response, when it came, and the server it came from.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    /// None for a response that is read from a recording.
    origin: Option<(Server, Route)>,
    status: StatusCode,
    request_id: Option<String>,
    received_at: Option<SystemTime>,
}

impl ResponseHead {
    pub(crate) fn new(
        origin: Option<(Server, Route)>,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> Self {
        Self { origin, status, request_id: request_id(headers), received_at }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn request_id(&self) -> Option<&String> {
        self.request_id.as_ref()
    }

    /// The error that a body describes. `headers` are those of the response where they belong to the error.
    pub(crate) fn read_error(&self, context: ErrorContext, headers: &HeaderMap, body: &[u8]) -> Error {
        let url = self.origin.as_ref().map(|(server, route)| server.uri(*route).to_string());
        let mut received =
            ErrorResponse::new(context, self.status, headers, body, url.as_deref().unwrap_or_default());
        received.now = self.received_at;
        received.key = self.origin.as_ref().and_then(|(server, _)| server.secrets().next());
        let error = self.redact(classify(&received));
        match &self.request_id {
            Some(id) if error.request_id().is_none() => error.with_request_id(Some(id.clone())),
            _ => error,
        }
    }

    /// An error of ours about this response: with its status and id, the start of its body, and no secret.
    pub(crate) fn with_context(&self, error: Error, body: &[u8]) -> Error {
        let error = error.with_status(self.status.as_u16()).with_request_id(self.request_id.clone());
        let error = if body.is_empty() { error } else { error.with_body(body) };
        self.redact(error)
    }

    fn redact(&self, error: Error) -> Error {
        match &self.origin {
            Some((server, _)) => server.redact(error),
            None => error,
        }
    }
}
