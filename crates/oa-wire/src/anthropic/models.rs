//! The list of models as an exchange: `GET /v1/models`.

use super::endpoint::Endpoint;
use crate::{ModelsDecoder, mapping::Exchange};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;

/// A request for the models that a server lists. Nothing was sent.
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until its request is sent"]
pub struct ModelsCall(Endpoint);

impl ModelsCall {
    /// A request to this endpoint.
    pub fn new(endpoint: &Endpoint) -> Self {
        Self(endpoint.clone())
    }
}

impl Exchange for ModelsCall {
    type Decoder = ModelsDecoder;

    fn http_request(&self) -> http::Request<Bytes> {
        self.0.server().models_request()
    }

    fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> ModelsDecoder {
        ModelsDecoder::new(self.0.server().clone(), status, headers, received_at)
    }
}
