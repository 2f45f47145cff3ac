//! The body of a response to a list of models, read to a [`ModelList`].

use crate::{
    Error, ErrorKind, ModelList, ResponseHeaders,
    error_body::ErrorContext,
    mapping::Decoder,
    response_head::ResponseHead,
    server::{Route, Server},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::{sync::Arc, time::SystemTime};

/// The longest list of models that is read, in bytes.
const MAX_BODY: usize = 16 << 20;

/// Reads the response to a list of models: [`push`](Self::push) the body in any split, then
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct ModelsDecoder {
    head: ResponseHead,
    headers: HeaderMap,
    /// The headers that an error has.
    shared: ResponseHeaders,
    body: Vec<u8>,
    is_too_long: bool,
}

impl ModelsDecoder {
    pub(crate) fn new(
        server: Server,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> Self {
        let head = ResponseHead::new(Some((server, Route::Models)), status, headers, received_at);
        Self {
            head,
            headers: headers.clone(),
            shared: ResponseHeaders::default(),
            body: Vec::new(),
            is_too_long: false,
        }
    }

    /// Says through which forward proxy the response came, with the variable that names it
    /// (`http://proxy:3128 (HTTP_PROXY)`): an answer that is no API's may be the proxy's own, and then its
    /// error names it.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Option<String>) -> Self {
        self.head = self.head.with_proxy(proxy);
        self
    }

    /// Adds a piece of the body.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "decoders have the same verbs, and some keep the piece"
    )]
    pub fn push(&mut self, bytes: Bytes) {
        let left = MAX_BODY - self.body.len();
        self.is_too_long |= bytes.len() > left;
        self.body.extend_from_slice(&bytes[..bytes.len().min(left)]);
    }

    /// True when nothing more of the body is needed: it is longer than 16 MiB.
    pub fn is_done(&self) -> bool {
        self.is_too_long
    }

    /// Ends the body, and gives the list.
    ///
    /// # Errors
    ///
    /// The error that the server answered with, or [`InvalidResponse`](crate::Category::InvalidResponse) for
    /// a body that is no list of models or longer than 16 MiB.
    pub fn finish(self) -> Result<ModelList, Error> {
        if ResponseHead::is_error(self.head.status(), &self.headers) {
            return Err(self.head.read_error(ErrorContext::Http, &self.headers, &self.body));
        }
        if self.is_too_long {
            let text = format!("the list of models is longer than {MAX_BODY} bytes");
            return Err(self
                .head
                .with_context(Error::invalid_response(text).with_kind(ErrorKind::TooLarge), &[]));
        }
        if let Some(error) = self.head.read_page(&self.body) {
            return Err(error);
        }
        ModelList::parse(&self.body).map_err(|error| self.head.with_context(error, &[]))
    }

    /// Gives up because of `cause`, which is returned with what is known of the response.
    pub fn abort(&mut self, cause: Error) -> Error {
        self.head.with_context(cause, &self.body)
    }
}

impl Decoder for ModelsDecoder {
    type Output = ModelList;

    fn with_proxy(self, proxy: Option<String>) -> Self {
        self.with_proxy(proxy)
    }

    fn with_headers(mut self, headers: Arc<HeaderMap>) -> Self {
        self.shared = headers.into();
        self
    }

    fn push(&mut self, bytes: Bytes) {
        self.push(bytes);
    }

    fn is_done(&self) -> bool {
        self.is_done()
    }

    fn finish(self) -> Result<ModelList, Error> {
        let headers = self.shared.clone();
        self.finish().map_err(|error| error.with_headers(headers))
    }

    fn abort(&mut self, cause: Error) -> Error {
        self.abort(cause).with_headers(self.shared.clone())
    }
}
