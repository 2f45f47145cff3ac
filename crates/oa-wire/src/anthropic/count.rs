//! A count of a message's tokens as an exchange: `POST /v1/messages/count_tokens`.

use super::{encode::encode_prompt, endpoint::Endpoint};
use crate::{
    CompletionRequest, CountDecoder, CountRoute, Error, Profile, call_headers::CallHeaders,
    count_decoder::CountParts, mapping::Exchange, validate::validate,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;

/// A request for the tokens of a message's prompt. Nothing was sent. What is done with it are the verbs of
/// [`Exchange`].
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until its request is sent"]
pub struct CountCall(CountParts);

impl CountCall {
    /// Validates and encodes a request to this endpoint: the model, the messages, the tools, and what counts
    /// among the extras. `max_tokens` is not needed.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest), naming the place.
    pub fn new(endpoint: &Endpoint, profile: &Profile, request: &CompletionRequest) -> Result<Self, Error> {
        validate(request)?;
        Ok(Self(CountParts {
            server: endpoint.server().clone(),
            route: CountRoute::MessagesCountTokens,
            body: encode_prompt(profile, request)?.into(),
            headers: CallHeaders::new(profile, request)?,
        }))
    }
}

impl Exchange for CountCall {
    type Decoder = CountDecoder;

    fn http_request(&self) -> http::Request<Bytes> {
        self.0.http_request()
    }

    fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> CountDecoder {
        self.0.on_response(status, headers, received_at)
    }
}
