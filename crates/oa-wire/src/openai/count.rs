//! A count of a request's tokens as an exchange: `POST /tokenize`, or llama.cpp's path for it.

use super::{
    encode::{encode_prompt, encode_whole},
    endpoint::Endpoint,
};
use crate::{
    CompletionRequest, CountDecoder, CountRoute, Error, Profile, call_headers::CallHeaders,
    count_decoder::CountParts, mapping::Exchange, validate::validate,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;

/// A request for the tokens of a completion's prompt. Nothing was sent.
///
/// Servers count at different paths: try [`ROUTES`](Self::ROUTES) in their order, until one is there.
///
/// ```
/// use oa_wire::{CompletionRequest, CountRoute, Profile, TokenCount};
/// use oa_wire::openai::{CountCall, Endpoint};
///
/// let endpoint = Endpoint::new("http://localhost:8000", None)?;
/// let request = CompletionRequest::new("Hello!");
/// let call = CountCall::new(&endpoint, &Profile::new("m"), &request, CountRoute::Tokenize)?;
/// assert_eq!(call.http_request().uri(), "http://localhost:8000/tokenize");
///
/// let mut decoder = call.on_response(http::StatusCode::OK, &http::HeaderMap::new(), None);
/// decoder.push(br#"{"count":9,"max_model_len":512,"tokens":[1,441]}"#.as_slice().into());
/// let count = decoder.finish()?;
/// assert_eq!(count, Some(TokenCount::new(9).with_max_model_len(512)));
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until its request is sent"]
pub struct CountCall(CountParts);

impl CountCall {
    /// The paths at which such requests are counted, in the order in which they are tried.
    pub const ROUTES: [CountRoute; 2] = [CountRoute::Tokenize, CountRoute::InputTokens];

    /// Validates and encodes a request to this endpoint. `/tokenize` gets the messages, the tools and what
    /// the template takes among the extras; the other path the body of the completion.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest), naming the place; also for a path that is not one
    /// of these.
    pub fn new(
        endpoint: &Endpoint,
        profile: &Profile,
        request: &CompletionRequest,
        route: CountRoute,
    ) -> Result<Self, Error> {
        validate(request)?;
        let body = match route {
            CountRoute::Tokenize => encode_prompt(profile, request)?,
            CountRoute::InputTokens => encode_whole(profile, request)?,
            CountRoute::MessagesCountTokens => {
                let text = format!("`{}` takes no chat completion", route.path());
                return Err(Error::invalid_request(text));
            }
        };
        let headers = CallHeaders::new(profile, request)?;
        Ok(Self(CountParts { server: endpoint.server().clone(), route, body: body.into(), headers }))
    }

    /// The request, ready to be sent.
    pub fn http_request(&self) -> http::Request<Bytes> {
        self.0.http_request()
    }

    /// A decoder for the response with this status and these headers. `received_at` is when the response
    /// came, for a `Retry-After` that is a date; without it the response's own `Date` is used.
    pub fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: impl Into<Option<SystemTime>>,
    ) -> CountDecoder {
        self.0.on_response(status, headers, received_at.into())
    }
}

impl Exchange for CountCall {
    type Decoder = CountDecoder;

    fn http_request(&self) -> http::Request<Bytes> {
        self.http_request()
    }

    fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> CountDecoder {
        self.on_response(status, headers, received_at)
    }
}
