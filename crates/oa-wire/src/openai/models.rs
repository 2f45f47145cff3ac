//! The list of models as an exchange: `GET /v1/models`.

use super::endpoint::Endpoint;
use crate::{ModelsDecoder, mapping::Exchange};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;

/// A request for the models that a server lists. Nothing was sent.
///
/// ```
/// use oa_wire::openai::{Endpoint, ModelsCall};
///
/// let endpoint = Endpoint::new("http://localhost:8000", None)?;
/// let call = ModelsCall::new(&endpoint);
/// assert_eq!(call.http_request().uri(), "http://localhost:8000/v1/models");
///
/// let mut decoder = call.on_response(http::StatusCode::OK, &http::HeaderMap::new(), None);
/// decoder.push(br#"{"object":"list","data":[{"id":"qwen3-8b"}]}"#.as_slice().into());
/// assert!(decoder.finish()?.find("qwen3-8b").is_some());
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until its request is sent"]
pub struct ModelsCall {
    endpoint: Endpoint,
}

impl ModelsCall {
    /// A request to this endpoint.
    pub fn new(endpoint: &Endpoint) -> Self {
        Self { endpoint: endpoint.clone() }
    }

    /// The request, ready to be sent.
    pub fn http_request(&self) -> http::Request<Bytes> {
        self.endpoint.server().models_request()
    }

    /// A decoder for the response with this status and these headers. `received_at` is when the response
    /// came, for a `Retry-After` that is a date; without it the response's own `Date` is used.
    pub fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: impl Into<Option<SystemTime>>,
    ) -> ModelsDecoder {
        ModelsDecoder::new(self.endpoint.server().clone(), status, headers, received_at.into())
    }
}

impl Exchange for ModelsCall {
    type Decoder = ModelsDecoder;

    fn http_request(&self) -> http::Request<Bytes> {
        self.http_request()
    }

    fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> ModelsDecoder {
        self.on_response(status, headers, received_at)
    }
}
