//! A message as an exchange: the request as bytes, and the decoder of its response.

use super::{
    decode::{AnswerParts, Body, read_body},
    encode::{encode, schema_mode},
    endpoint::Endpoint,
    stream::Answer,
};
use crate::{
    CompletionRequest, Error, Limits, Profile, RawBody, Response,
    body_decoder::{AnswerFormat, BodyDecoder, BodyFailure},
    call_headers::CallHeaders,
    expected::Expected,
    mapping::Exchange,
    response_decoder::response_decoder,
    response_head::ResponseHead,
    server::Route,
    text::lossy,
    validate::validate,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::time::SystemTime;

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

response_decoder! {
    /// Reads one response, whether it is a stream, a JSON body, or either in place of the other. It is driven
    /// as that of [chat completions](crate::openai::ResponseDecoder): push each piece of the body, poll the
    /// events, finish.
    ///
    /// ```
    /// use oa_wire::{Event, anthropic::ResponseDecoder};
    ///
    /// // A recording, without a call.
    /// let mut decoder = ResponseDecoder::new(http::StatusCode::OK, &http::HeaderMap::new());
    /// let mut text = String::new();
    /// for piece in [
    ///     "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
    ///      \"content_block\":{\"type\":\"text\",\"text\":\"Hel\"}}\n\nevent: content_block_delta\ndata: ",
    ///     "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\
    ///      \"text\":\"lo\"}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
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
    ResponseDecoder(MessageFormat)
}

/// The form of messages.
#[derive(Debug)]
enum MessageFormat {}

impl AnswerFormat for MessageFormat {
    type Streamed = Answer;

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
            Ok(Body::Other(what)) => Ok(format!("the body is no message: {what}")),
            Err(wrong) => Err(wrong),
        };
        Err(BodyFailure::unreadable(&text, wrong))
    }
}
