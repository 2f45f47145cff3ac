//! The seam between a provider and a wire mapping: calls as values, and decoders of their responses.

use crate::{
    ApiKey, BodyForm, CompletionRequest, CountRoute, Error, Event, ModelList, Profile, Response, TokenCount,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use std::{fmt, sync::Arc, time::SystemTime};

/// An endpoint of a server as one wire mapping sees it: it makes the calls. A provider is generic over it.
///
/// [`openai::Endpoint`](crate::openai::Endpoint) is one. Cloning one is cheap, because each call holds one.
pub trait Mapping: Clone + fmt::Debug + Send + Sync + 'static {
    /// The server's name in telemetry, unless the profile sets another.
    const GENAI_SYSTEM: &'static str;

    /// A completion.
    type ChatCall: Exchange<Decoder: EventDecoder>;

    /// The list of models.
    type ModelsCall: Exchange<Decoder: Decoder<Output = ModelList>>;

    /// A count of a request's tokens.
    type CountCall: Exchange<Decoder: Decoder<Output = Option<TokenCount>>>;

    /// The paths at which servers count, in the order in which they are tried.
    const COUNT_ROUTES: &'static [CountRoute];

    /// An endpoint at this base URL.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) for a base URL that cannot be used.
    fn new(base_url: &str, api_key: Option<ApiKey>) -> Result<Self, Error>;

    /// Adds a header to every request; one of the same name is replaced.
    #[must_use]
    fn with_header(self, name: HeaderName, value: HeaderValue) -> Self;

    /// The base URL, without trailing slashes.
    fn base_url(&self) -> &str;

    /// Validates and encodes a completion. Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest), naming the place.
    fn chat_call(&self, profile: &Profile, request: &CompletionRequest) -> Result<Self::ChatCall, Error>;

    /// The call that lists the models. Nothing is sent.
    fn models_call(&self) -> Self::ModelsCall;

    /// Validates and encodes a request for the tokens of a completion's prompt, at one of
    /// [`COUNT_ROUTES`](Self::COUNT_ROUTES). Nothing is sent.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest), naming the place.
    fn count_call(
        &self,
        profile: &Profile,
        request: &CompletionRequest,
        route: CountRoute,
    ) -> Result<Self::CountCall, Error>;

    /// The other form of a request that this error refused for its form
    /// ([`openai::other_form`](crate::openai::other_form)); none where the error is about anything else. By
    /// default none ever.
    fn other_form(&self, profile: &Profile, request: &CompletionRequest, error: &Error) -> Option<BodyForm> {
        let _ = (profile, request, error);
        None
    }
}

/// One exchange with a server as a value: a request, and a decoder for its response.
pub trait Exchange: Send {
    /// Reads the response.
    type Decoder: Decoder;

    /// The request, ready to be sent.
    fn http_request(&self) -> Request<Bytes>;

    /// A decoder for the response with this status and these headers. `received_at` is when the response was
    /// received, for a `Retry-After` that is a date; without it the response's own `Date` is used.
    fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> Self::Decoder;
}

/// Reads the body of a response: push it in any split, then finish.
pub trait Decoder: Send + Unpin + 'static {
    /// What the body holds.
    type Output;

    /// Sets the forward proxy that the response came through, with the variable that names it
    /// (`http://proxy:3128 (HTTP_PROXY)`), for the error of an answer that is the proxy's own.
    #[must_use]
    fn with_proxy(self, proxy: Option<String>) -> Self
    where
        Self: Sized;

    /// Sets the headers of the response, which the decoded response or the error then shares. The decoder
    /// itself has read what it needs before.
    #[must_use]
    fn with_headers(self, headers: Arc<HeaderMap>) -> Self
    where
        Self: Sized;

    /// Adds a piece of the body.
    fn push(&mut self, bytes: Bytes);

    /// True when nothing more of the body is needed.
    fn is_done(&self) -> bool;

    /// Ends the body, and gives what it holds.
    ///
    /// # Errors
    ///
    /// The error that the server answered with, or what is wrong with its answer.
    fn finish(self) -> Result<Self::Output, Error>;

    /// Gives up because of `cause`, which is returned with what is known of the response. Nothing follows.
    fn abort(&mut self, cause: Error) -> Error;
}

/// Reads the body of a completion's response, event by event.
pub trait EventDecoder: Decoder<Output = Response> {
    /// The next event that the bytes so far hold. None when more bytes are needed, or nothing follows.
    fn poll_event(&mut self) -> Option<Result<Event, Error>>;

    /// Ends the body. The remaining events follow, the last of them [`Event::Done`] or an error.
    fn end(&mut self);

    /// What was received so far of a stream; an empty response of any other.
    fn snapshot(&self) -> Response;
}
