//! A completion as an exchange: the request as bytes, and the decoder of its response.

use super::{
    decode::{AnswerParts, Body, body_start, read_body, read_choices},
    encode::encode,
    endpoint::Endpoint,
    stream::{ChatStream, Failure},
};
use crate::{
    CompletionRequest, Error, Event, Limits, Profile, RawBody, Response,
    body_decoder::{AnswerFormat, AnswerStream, BodyDecoder, BodyFailure, StreamFailure},
    call_headers::CallHeaders,
    expected::Expected,
    mapping::{Decoder, EventDecoder, Exchange},
    response_head::ResponseHead,
    server::Route,
    sse,
    text::lossy,
    validate::validate,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::{sync::Arc, time::SystemTime};

/// A validated and encoded request. Nothing was sent.
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until its request is sent"]
pub struct ChatCall {
    endpoint: Endpoint,
    body: Bytes,
    headers: CallHeaders,
    stream: bool,
    expected: Expected,
    limits: Limits,
}

impl ChatCall {
    /// Validates and encodes a request to this endpoint.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest), naming the place.
    pub fn new(endpoint: &Endpoint, profile: &Profile, request: &CompletionRequest) -> Result<Self, Error> {
        validate(request)?;
        Ok(Self {
            endpoint: endpoint.clone(),
            body: encode(profile, request)?.into(),
            headers: CallHeaders::new(profile, request)?,
            stream: request.stream,
            expected: Expected::new(profile, request),
            limits: profile.limits(),
        })
    }

    /// The request's body. Equal requests have equal bodies, byte for byte, so that it can be the key of a
    /// cache.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The request, ready to be sent.
    pub fn http_request(&self) -> http::Request<Bytes> {
        let mut request = self.endpoint.server().chat_request(self.body.clone(), self.stream);
        self.headers.apply(request.headers_mut());
        request
    }

    /// A decoder for the response with this status and these headers. `received_at` is when the response was
    /// received, for a `Retry-After` that is a date; without it the response's own `Date` is used.
    pub fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: impl Into<Option<SystemTime>>,
    ) -> ResponseDecoder {
        let origin = Some((self.endpoint.server().clone(), Route::Chat));
        let head = ResponseHead::new(origin, status, headers, received_at.into());
        let head = head.with_call_headers(self.headers);
        ResponseDecoder(BodyDecoder::new(head, headers, self.expected, self.limits))
    }
}

/// Reads one response, whether it is a stream, a JSON body, or either in place of the other.
///
/// # How to drive it
///
/// 1. [`push`](Self::push) each piece of the body, in any split, whatever the status.
/// 2. After each piece, call [`poll_event`](Self::poll_event) until it returns `None`: more bytes are needed,
///    or nothing follows. A body that is no stream has its events at its end.
/// 3. When the body ends, or [`is_done`](Self::is_done) says that no more of it is needed, call
///    [`finish`](Self::finish) for the response. It is right at any time: events that were not polled are
///    passed over, and after [`Event::Done`] or an error was handed out it gives that response or error
///    again. Whoever wants the remaining events first calls [`end`](Self::end) and polls them; the last is
///    `Done` or an error.
/// 4. When the body fails, [`abort`](Self::abort) with the cause gives the error that keeps what was
///    received.
///
/// After `Done`, an error or `abort`, `poll_event` returns `None` and what is pushed is ignored.
///
/// [`on_response`](ChatCall::on_response) reads the headers `content-type`, `content-length`, and of an error
/// its delays (`retry-after` and its kin), `x-should-retry` and the server's id of the request.
///
/// ```
/// use oa_wire::{Event, openai::ResponseDecoder};
///
/// // A recording, without a call.
/// let mut decoder = ResponseDecoder::new(http::StatusCode::OK, &http::HeaderMap::new());
/// let mut text = String::new();
/// for piece in [
///     "data: {\"choices\":[{\"delta\":{\"content\":\"Hel",
///     "lo\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
/// ] {
///     decoder.push(piece.into());
///     while let Some(event) = decoder.poll_event() {
///         if let Event::Content(delta) = event? {
///             text.push_str(&delta);
///         }
///     }
/// }
/// let response = decoder.finish()?;
/// assert_eq!((text.as_str(), response.text().as_ref()), ("Hello", "Hello"));
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Debug)]
pub struct ResponseDecoder(BodyDecoder<ChatFormat>);

impl ResponseDecoder {
    /// A decoder for a recorded response: with the default limits, without tools or a schema to check it
    /// against, and without a key to redact.
    pub fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let head = ResponseHead::new(None, status, headers, None);
        let expected = Expected { keep_invalid_tool_calls: true, ..Expected::default() };
        Self(BodyDecoder::new(head, headers, expected, Limits::default()))
    }

    /// Sets the forward proxy that the response came through, with the variable that names it
    /// (`http://proxy:3128 (HTTP_PROXY)`), for the error of an answer that is the proxy's own.
    #[must_use]
    pub fn with_proxy(self, proxy: Option<String>) -> Self {
        Self(self.0.with_proxy(proxy))
    }

    /// Sets the headers of the response, which [`Response::headers`] or [`Error::headers`] then share.
    #[must_use]
    pub fn with_headers(self, headers: Arc<HeaderMap>) -> Self {
        Self(self.0.with_headers(headers.into()))
    }

    /// Adds a piece of the body. Poll its events before the next.
    #[inline]
    pub fn push(&mut self, bytes: Bytes) {
        self.0.push(bytes);
    }

    /// The next event that the bytes so far hold. None when more bytes are needed, or nothing follows.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Result<Event, Error>> {
        self.0.poll_event()
    }

    /// Ends the body. The remaining events follow, the last of them [`Event::Done`] or an error.
    pub fn end(&mut self) {
        self.0.end();
    }

    /// Ends the body, and gives the response; after [`Event::Done`] was handed out, the same one.
    ///
    /// # Errors
    ///
    /// The error that the server answered with, or what is wrong with its answer.
    pub fn finish(self) -> Result<Response, Error> {
        self.0.finish()
    }

    /// Gives up because of `cause`, which is returned with what was received before it. Nothing follows.
    pub fn abort(&mut self, cause: Error) -> Error {
        self.0.abort(cause)
    }

    /// True when nothing more of the body is needed: a stream ended with `[DONE]`, or an error was met.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// What was received so far of a stream; an empty response of any other.
    pub fn snapshot(&self) -> Response {
        self.0.snapshot()
    }
}

impl Exchange for ChatCall {
    type Decoder = ResponseDecoder;

    fn http_request(&self) -> http::Request<Bytes> {
        self.http_request()
    }

    fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> ResponseDecoder {
        self.on_response(status, headers, received_at)
    }
}

impl Decoder for ResponseDecoder {
    type Output = Response;

    fn with_proxy(self, proxy: Option<String>) -> Self {
        self.with_proxy(proxy)
    }

    fn with_headers(self, headers: Arc<HeaderMap>) -> Self {
        self.with_headers(headers)
    }

    #[inline]
    fn push(&mut self, bytes: Bytes) {
        self.0.push(bytes);
    }

    #[inline]
    fn is_done(&self) -> bool {
        self.0.is_done()
    }

    fn finish(self) -> Result<Response, Error> {
        self.0.finish()
    }

    fn abort(&mut self, cause: Error) -> Error {
        self.0.abort(cause)
    }
}

impl EventDecoder for ResponseDecoder {
    #[inline]
    fn poll_event(&mut self) -> Option<Result<Event, Error>> {
        self.0.poll_event()
    }

    fn end(&mut self) {
        self.0.end();
    }

    fn snapshot(&self) -> Response {
        self.0.snapshot()
    }
}

/// The form of chat completions.
#[derive(Debug)]
enum ChatFormat {}

impl AnswerFormat for ChatFormat {
    type Stream = ChatStream;

    fn read_body(
        body: &Bytes,
        expected: &Expected,
        request_id: Option<&String>,
    ) -> Result<Response, BodyFailure> {
        let text = lossy(body);
        let mut parts = AnswerParts::default();
        let kind = read_body(&text, &mut parts);
        parts.request_id = request_id.cloned();
        let raw = || RawBody::from(body.clone());
        let wrong = match kind {
            Ok(Body::Completion) => {
                let mut response = parts.into_response(expected, raw()).map_err(BodyFailure::Invalid)?;
                if expected.many_choices {
                    response.all_choices = read_choices(&text, expected);
                }
                return Ok(response);
            }
            Ok(Body::Error { has_answer, of_choice }) => {
                let partial = has_answer.then(|| Box::new(parts.into_response_unchecked(expected, raw())));
                return Err(BodyFailure::ErrorBody { of_answer: of_choice.map(Bytes::from), partial });
            }
            Ok(Body::Other(what)) => format!("the body is no completion: {what}"),
            Err(_) if text.trim_ascii().is_empty() => "the body is empty".to_owned(),
            Err(wrong) => format!("the body is not JSON: expected {} at byte {}", wrong.expected, wrong.at),
        };
        let start = body_start(&text);
        let message = if start.is_empty() { wrong } else { format!("{wrong}; it starts with `{start}`") };
        Err(BodyFailure::Unreadable(Error::invalid_response(message)))
    }
}

impl AnswerStream for ChatStream {
    fn new(limits: sse::Limits, request_id: Option<String>, expected: &Expected) -> Self {
        Self::new(limits, request_id, expected)
    }

    #[inline]
    fn push(&mut self, bytes: Bytes) {
        self.push(bytes);
    }

    #[inline]
    fn poll_event(&mut self, expected: &Expected) -> Option<Result<Event, StreamFailure>> {
        let event = self.poll_event(expected)?;
        Some(event.map_err(|failure| match failure {
            Failure::Frame(data) => StreamFailure::ErrorEvent(data),
            Failure::BareError(data) => StreamFailure::BareError(data),
            Failure::Error(error) => StreamFailure::Broken(error),
            Failure::Final(error) => StreamFailure::Invalid(error),
        }))
    }

    fn end(&mut self) {
        self.end();
    }

    #[inline]
    fn is_done(&self) -> bool {
        self.is_done()
    }

    fn has_begun(&self) -> bool {
        self.has_begun()
    }

    fn snapshot(&self, expected: &Expected) -> Response {
        self.snapshot(expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "data: \
                          {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n\
        data: [DONE]\n\n";

    fn decoder() -> ResponseDecoder {
        ResponseDecoder::new(StatusCode::OK, &HeaderMap::new())
    }

    #[test]
    fn finish_gives_the_response_that_was_handed_out() {
        for polls in 0..6 {
            let mut decoder = decoder();
            decoder.push(STREAM.into());
            let handed_out = (0..polls).filter_map(|_| decoder.poll_event()).last();
            let response = decoder.finish().unwrap();
            assert_eq!(response.text(), "Hi", "after {polls} polls");
            if let Some(Ok(Event::Done(done))) = handed_out {
                assert_eq!(response, *done);
            }
        }
    }

    #[test]
    fn finish_gives_the_error_that_was_handed_out() {
        let mut decoder = decoder();
        decoder.push("data: {\"error\":{\"message\":\"no\"}}\n\n".into());
        let error = decoder.poll_event().unwrap().unwrap_err();
        assert!(decoder.poll_event().is_none());
        assert_eq!(decoder.finish().unwrap_err().to_string(), error.to_string());
    }

    #[test]
    fn finish_after_abort_gives_its_error() {
        let mut decoder = decoder();
        decoder.push(STREAM.into());
        let error = decoder.abort(Error::invalid_response("gone"));
        assert_eq!(decoder.finish().unwrap_err().to_string(), error.to_string());
    }
}
