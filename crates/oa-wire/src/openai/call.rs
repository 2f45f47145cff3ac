//! A completion as an exchange: the request as bytes, and the decoder of its response.

use super::{
    decode::{AnswerParts, Body, read_body, read_choices},
    encode::encode,
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

response_decoder! {
    /// Reads one response, whether it is a stream, a JSON body, or either in place of the other.
    ///
    /// # How to drive it
    ///
    /// 1. [`push`](Self::push) each piece of the body, in any split, whatever the status.
    /// 2. After each piece, call [`poll_event`](Self::poll_event) until it returns `None`: more bytes are
    ///    needed, or nothing follows. A body that is no stream has its events at its end.
    /// 3. When the body ends, or [`is_done`](Self::is_done) says that no more of it is needed, call
    ///    [`finish`](Self::finish) for the response. It is right at any time: events that were not polled are
    ///    passed over, and after [`Event::Done`](crate::Event::Done) or an error was handed out it gives that
    ///    response or error again. Whoever wants the remaining events first calls [`end`](Self::end) and
    ///    polls them; the last is `Done` or an error.
    /// 4. When the body fails, [`abort`](Self::abort) with the cause gives the error that keeps what was
    ///    received.
    ///
    /// After `Done`, an error or `abort`, `poll_event` returns `None` and what is pushed is ignored.
    ///
    /// [`on_response`](ChatCall::on_response) reads the headers `content-type`, `content-length`, and of an
    /// error its delays (`retry-after` and its kin), `x-should-retry` and the server's id of the request.
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
    ResponseDecoder(ChatFormat)
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

/// The form of chat completions.
#[derive(Debug)]
enum ChatFormat {}

impl AnswerFormat for ChatFormat {
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
            Ok(Body::Other(what)) => Ok(format!("the body is no completion: {what}")),
            Err(wrong) => Err(wrong),
        };
        Err(BodyFailure::unreadable(&text, wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

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
