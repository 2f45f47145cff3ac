//! A message as an exchange: the request as bytes, and the decoder of its response.

use super::{
    decode::{AnswerParts, Body, read_body},
    encode::{encode, schema_mode},
    endpoint::Endpoint,
    stream::MessageStream,
};
use crate::{
    CompletionRequest, Error, Event, Limits, Profile, RawBody, Response,
    body_decoder::{AnswerFormat, BodyDecoder, BodyFailure},
    call_headers::CallHeaders,
    error_body::body_start,
    expected::Expected,
    mapping::{Decoder, EventDecoder, Exchange},
    response_head::ResponseHead,
    server::Route,
    text::lossy,
    validate::validate,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::{sync::Arc, time::SystemTime};

/// A validated and encoded request. Nothing was sent. What is done with it are the verbs of [`Exchange`].
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
        let mode = schema_mode(profile, request);
        Ok(Self {
            endpoint: endpoint.clone(),
            body: encode(profile, request, mode)?.into(),
            headers: CallHeaders::new(profile, request)?,
            stream: request.stream,
            expected: Expected { schema_mode: mode, ..Expected::new(profile, request) },
            limits: profile.limits(),
        })
    }

    /// The request's body. Equal requests have equal bodies, byte for byte.
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

impl Exchange for ChatCall {
    type Decoder = ResponseDecoder;

    fn http_request(&self) -> http::Request<Bytes> {
        let mut request = self.endpoint.server().chat_request(self.body.clone(), self.stream);
        self.headers.apply(request.headers_mut());
        request
    }

    fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> ResponseDecoder {
        let origin = Some((self.endpoint.server().clone(), Route::Chat));
        let head = ResponseHead::new(origin, status, headers, received_at);
        let head = head.with_call_headers(self.headers);
        ResponseDecoder(BodyDecoder::new(head, headers, self.expected, self.limits))
    }
}

/// Reads one response, whether it is a stream, a JSON body, or either in place of the other. It is driven by
/// the verbs of [`Decoder`] and [`EventDecoder`]: push each piece of the body, poll the events, finish.
///
/// ```
/// use oa_wire::{Event, anthropic::ResponseDecoder, mapping::{Decoder, EventDecoder}};
///
/// // A recording, without a call.
/// let mut decoder = ResponseDecoder::new(http::StatusCode::OK, &http::HeaderMap::new());
/// let mut text = String::new();
/// for piece in [
///     "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
///      \"content_block\":{\"type\":\"text\",\"text\":\"Hel\"}}\n\nevent: content_block_delta\ndata: ",
///     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"lo\"}}\n\
///      \nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
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
pub struct ResponseDecoder(BodyDecoder<MessageFormat>);

impl ResponseDecoder {
    /// A decoder for a recorded response: with the default limits, without tools or a schema to check it
    /// against, and without a key to redact.
    pub fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let head = ResponseHead::new(None, status, headers, None);
        let expected = Expected { keep_invalid_tool_calls: true, ..Expected::default() };
        Self(BodyDecoder::new(head, headers, expected, Limits::default()))
    }
}

impl Decoder for ResponseDecoder {
    type Output = Response;

    fn with_proxy(self, proxy: Option<String>) -> Self {
        Self(self.0.with_proxy(proxy))
    }

    fn with_headers(self, headers: Arc<HeaderMap>) -> Self {
        Self(self.0.with_headers(headers.into()))
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

/// The form of messages.
#[derive(Debug)]
enum MessageFormat {}

impl AnswerFormat for MessageFormat {
    type Stream = MessageStream;

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
            Ok(Body::Message) => return parts.into_response(expected, raw()).map_err(BodyFailure::Invalid),
            Ok(Body::Error { has_answer }) => {
                let partial = has_answer.then(|| Box::new(parts.into_response_unchecked(expected, raw())));
                return Err(BodyFailure::ErrorBody { of_answer: None, partial });
            }
            Ok(Body::Other(what)) => format!("the body is no message: {what}"),
            Err(_) if text.trim_ascii().is_empty() => "the body is empty".to_owned(),
            Err(wrong) => format!("the body is not JSON: expected {} at byte {}", wrong.expected, wrong.at),
        };
        let start = body_start(&text);
        let message = if start.is_empty() { wrong } else { format!("{wrong}; it starts with `{start}`") };
        Err(BodyFailure::Unreadable(Error::invalid_response(message)))
    }
}
