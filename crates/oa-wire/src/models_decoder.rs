//! The body of a response to a list of models, read to a [`ModelList`].

use crate::{
    Error, ModelList,
    mapping::Decoder,
    response_head::ResponseHead,
    server::{Route, Server},
    whole_body::WholeBody,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::{sync::Arc, time::SystemTime};

/// Reads the response to a list of models: [`push`](Self::push) the body in any split, then
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct ModelsDecoder(WholeBody);

impl ModelsDecoder {
    pub(crate) fn new(
        server: Server,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> Self {
        let head = ResponseHead::new(Some((server, Route::Models)), status, headers, received_at);
        Self(WholeBody::new(head, headers))
    }

    /// Says through which forward proxy the response came, with the variable that names it
    /// (`http://proxy:3128 (HTTP_PROXY)`): an answer that is no API's may be the proxy's own, and then its
    /// error names it.
    #[must_use]
    pub fn with_proxy(self, proxy: Option<String>) -> Self {
        Self(self.0.with_proxy(proxy))
    }

    /// Adds a piece of the body.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "decoders have the same verbs, and some keep the piece"
    )]
    pub fn push(&mut self, bytes: Bytes) {
        self.0.push(&bytes);
    }

    /// True when nothing more of the body is needed: it is longer than 16 MiB.
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// Ends the body, and gives the list.
    ///
    /// # Errors
    ///
    /// The error that the server answered with, or [`InvalidResponse`](crate::Category::InvalidResponse) for
    /// a body that is no list of models or longer than 16 MiB.
    pub fn finish(self) -> Result<ModelList, Error> {
        self.0.finish("list of models", ModelList::parse)
    }

    /// Gives up because of `cause`, which is returned with what is known of the response.
    pub fn abort(&mut self, cause: Error) -> Error {
        self.0.abort(cause)
    }
}

impl Decoder for ModelsDecoder {
    type Output = ModelList;

    fn with_proxy(self, proxy: Option<String>) -> Self {
        self.with_proxy(proxy)
    }

    fn with_headers(self, headers: Arc<HeaderMap>) -> Self {
        Self(self.0.with_headers(headers))
    }

    fn push(&mut self, bytes: Bytes) {
        self.push(bytes);
    }

    fn is_done(&self) -> bool {
        self.is_done()
    }

    fn finish(self) -> Result<ModelList, Error> {
        self.finish()
    }

    fn abort(&mut self, cause: Error) -> Error {
        self.abort(cause)
    }
}
