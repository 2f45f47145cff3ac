//! The body of a response that is read whole before it is parsed: a list of models, a count of tokens.

use crate::{Error, ErrorKind, ResponseHeaders, error_body::ErrorContext, response_head::ResponseHead};
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;

/// The longest body that is read, in bytes.
const MAX_BODY: usize = 16 << 20;

/// A body while it is received.
#[derive(Debug)]
pub(crate) struct WholeBody {
    head: ResponseHead,
    headers: HeaderMap,
    /// The headers that an error has.
    shared: ResponseHeaders,
    body: Vec<u8>,
    is_too_long: bool,
}

impl WholeBody {
    pub(crate) fn new(head: ResponseHead, headers: &HeaderMap) -> Self {
        Self {
            head,
            headers: headers.clone(),
            shared: ResponseHeaders::default(),
            body: Vec::new(),
            is_too_long: false,
        }
    }

    pub(crate) fn with_proxy(mut self, proxy: Option<String>) -> Self {
        self.head = self.head.with_proxy(proxy);
        self
    }

    pub(crate) fn with_headers(mut self, headers: Arc<HeaderMap>) -> Self {
        self.shared = headers.into();
        self
    }

    pub(crate) fn push(&mut self, bytes: &Bytes) {
        let left = MAX_BODY - self.body.len();
        self.is_too_long |= bytes.len() > left;
        self.body.extend_from_slice(&bytes[..bytes.len().min(left)]);
    }

    /// True when nothing more of the body is needed.
    pub(crate) fn is_done(&self) -> bool {
        self.is_too_long
    }

    /// Ends the body, and reads it. `what` names it in errors.
    pub(crate) fn finish<T>(
        self,
        what: &str,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let headers = self.shared.clone();
        self.read(what, read).map_err(|error| error.with_headers(headers))
    }

    fn read<T>(self, what: &str, read: impl FnOnce(&[u8]) -> Result<T, Error>) -> Result<T, Error> {
        if ResponseHead::is_error(self.head.status(), &self.headers) {
            return Err(self.head.read_error(ErrorContext::Http, &self.headers, &self.body));
        }
        if self.is_too_long {
            let text = format!("the {what} is longer than {MAX_BODY} bytes");
            let error = Error::invalid_response(text).with_kind(ErrorKind::TooLarge);
            return Err(self.head.with_context(error, &[]));
        }
        if let Some(error) = self.head.read_page(&self.body) {
            return Err(error);
        }
        read(&self.body).map_err(|error| self.head.with_context(error, &[]))
    }

    /// Gives up because of `cause`, which is returned with what is known of the response.
    pub(crate) fn abort(&self, cause: Error) -> Error {
        self.head.with_context(cause, &self.body).with_headers(self.shared.clone())
    }
}
