//! The decoding of a completion's response that is the same for every wire mapping: what the body is by its
//! first bytes, the buffer of one that is no stream, limits, errors.

mod buffer;

use crate::{
    Error, ErrorKind, Event, FinishReason, Limits, Response, ResponseHeaders,
    answer_stream::{AnswerStream, StreamFailure, StreamedAnswer},
    error_body::{ErrorContext, body_start},
    expected::Expected,
    json::Malformed,
    response_head::ResponseHead,
};
use buffer::Buffer;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{collections::VecDeque, fmt};

/// The most of an error's body that is read. What matters stands at its start.
const ERROR_BODY: usize = 1 << 20;

/// The form that a mapping gives to answers.
pub(crate) trait AnswerFormat: fmt::Debug + Send + 'static {
    /// What an answer that is streamed adds up to.
    type Streamed: StreamedAnswer;

    /// Reads an answer that is not streamed.
    fn read_body(
        body: &Bytes,
        expected: &Expected,
        request_id: Option<&String>,
    ) -> Result<Response, BodyFailure>;
}

/// Why a body is no answer.
pub(crate) enum BodyFailure {
    /// It is an error body with a success status, or has an error in the answer.
    ErrorBody {
        /// The error in the answer, as an error body of its own.
        of_answer: Option<Bytes>,
        /// The answer, where there is one.
        partial: Option<Box<Response>>,
    },
    /// It is no answer at all: a page, say.
    Unreadable(Error),
    /// It is an answer that fails its checks.
    Invalid(Error),
}

impl BodyFailure {
    /// Of a text that is no answer: why, or what is wrong with its JSON.
    pub(crate) fn unreadable(text: &str, wrong: Result<String, Malformed>) -> Self {
        let wrong = match wrong {
            Ok(wrong) => wrong,
            Err(_) if text.trim_ascii().is_empty() => "the body is empty".to_owned(),
            Err(wrong) => format!("the body is not JSON: {wrong}"),
        };
        let start = body_start(text);
        let message = if start.is_empty() { wrong } else { format!("{wrong}; it starts with `{start}`") };
        Self::Unreadable(Error::invalid_response(message))
    }
}

/// Reads one response of a completion.
#[derive(Debug)]
pub(crate) struct BodyDecoder<F: AnswerFormat> {
    expected: Expected,
    limits: Limits,
    head: ResponseHead,
    state: State<F::Streamed>,
    /// The headers of the response.
    headers: ResponseHeaders,
    /// The last event, for `finish` after it was handed out.
    outcome: Option<Result<Box<Response>, Error>>,
}

#[derive(Debug)]
enum State<A: StreamedAnswer> {
    /// A success whose first bytes other than white space were not received yet.
    Undecided { is_stream: bool, head: Buffer, is_blank: bool },
    /// An event stream.
    Stream(Box<AnswerStream<A>>),
    /// The body of an answer that is no stream.
    Buffered(Buffer),
    /// The body of an error.
    ErrorBody { body: Buffer, headers: Box<HeaderMap> },
    /// The body ended, or an error was met: these events are left.
    Ended(VecDeque<Result<Event, Error>>),
}

impl<F: AnswerFormat> BodyDecoder<F> {
    /// A decoder for a recorded response: nothing is known of its call.
    pub(crate) fn of_recording(status: StatusCode, headers: &HeaderMap) -> Self {
        let head = ResponseHead::new(None, status, headers, None);
        let expected = Expected { keep_invalid_tool_calls: true, ..Expected::default() };
        Self::new(head, headers, expected, Limits::default())
    }

    pub(crate) fn new(head: ResponseHead, headers: &HeaderMap, expected: Expected, limits: Limits) -> Self {
        let state = if ResponseHead::is_error(head.status(), headers) {
            State::ErrorBody { body: Buffer::new(0), headers: Box::new(headers.clone()) }
        } else {
            let is_stream = headers.get(header::CONTENT_TYPE).is_some_and(is_event_stream_type);
            let length =
                headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
            let capacity = length.unwrap_or(0).min(limits.body);
            State::Undecided { is_stream, head: Buffer::new(capacity), is_blank: true }
        };
        Self { expected, limits, head, state, headers: ResponseHeaders::default(), outcome: None }
    }

    /// Sets the forward proxy that the response came through.
    pub(crate) fn with_proxy(mut self, proxy: Option<String>) -> Self {
        self.head = self.head.with_proxy(proxy);
        self
    }

    /// Sets the headers that the response or the error has.
    pub(crate) fn with_headers(mut self, headers: ResponseHeaders) -> Self {
        self.headers = headers;
        self
    }

    fn with_its_headers(&self, result: Result<Response, Error>) -> Result<Response, Error> {
        match result {
            Ok(mut response) => {
                response.headers = self.headers.clone();
                Ok(response)
            }
            Err(error) => Err(error.with_headers(self.headers.clone())),
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: Bytes) {
        match &mut self.state {
            State::Stream(stream) => stream.push(bytes),
            State::Buffered(body) => {
                if body.len() + bytes.len() > self.limits.body {
                    self.fail_too_large();
                    return;
                }
                body.push(&bytes);
            }
            State::ErrorBody { body, .. } => {
                body.push(&bytes.slice(..bytes.len().min(ERROR_BODY - body.len())));
                if body.len() == ERROR_BODY {
                    self.end();
                }
            }
            State::Undecided { .. } => self.sniff(&bytes),
            State::Ended(_) => {}
        }
    }

    #[inline]
    pub(crate) fn poll_event(&mut self) -> Option<Result<Event, Error>> {
        if let State::Stream(stream) = &mut self.state {
            if let Some(delta) = stream.next_delta() {
                return Some(Ok(delta));
            }
            if stream.is_drained() {
                return None;
            }
        }
        self.poll_any()
    }

    #[inline(never)]
    fn poll_any(&mut self) -> Option<Result<Event, Error>> {
        match self.next_event()? {
            Ok(Event::Done(mut response)) => {
                response.headers = self.headers.clone();
                self.outcome = Some(Ok(response.clone()));
                Some(Ok(Event::Done(response)))
            }
            Ok(event) => Some(Ok(event)),
            Err(error) => {
                let error = error.with_headers(self.headers.clone());
                self.outcome = Some(Err(error.clone()));
                Some(Err(error))
            }
        }
    }

    fn next_event(&mut self) -> Option<Result<Event, Error>> {
        match &mut self.state {
            State::Stream(stream) => match stream.poll_event(&self.expected)? {
                Ok(event) => Some(Ok(event)),
                Err(failure) => Some(Err(self.read_failure(failure))),
            },
            State::Ended(events) => events.pop_front(),
            State::Undecided { .. } | State::Buffered(_) | State::ErrorBody { .. } => None,
        }
    }

    pub(crate) fn end(&mut self) {
        match &mut self.state {
            State::Stream(stream) => stream.end(),
            State::Ended(_) => {}
            State::Undecided { .. } | State::Buffered(_) | State::ErrorBody { .. } => {
                let events = match self.finish_buffered() {
                    Ok(response) => Event::of_response(response).into_iter().map(Ok).collect(),
                    Err(error) => VecDeque::from([Err(error)]),
                };
                self.state = State::Ended(events);
            }
        }
    }

    pub(crate) fn finish(mut self) -> Result<Response, Error> {
        match &mut self.state {
            State::Stream(stream) => stream.end(),
            State::Ended(_) => {}
            State::Undecided { .. } | State::Buffered(_) | State::ErrorBody { .. } => {
                let result = self.finish_buffered();
                return self.with_its_headers(result);
            }
        }
        while let Some(event) = self.poll_event() {
            if let Event::Done(response) = event? {
                return Ok(*response);
            }
        }
        match self.outcome {
            Some(outcome) => outcome.map(|response| *response),
            None => Err(Error::invalid_response("the body ended without a response")),
        }
    }

    pub(crate) fn abort(&mut self, cause: Error) -> Error {
        let body = match &self.state {
            State::Buffered(body) | State::ErrorBody { body, .. } => body.as_slice(),
            _ => &[],
        };
        let cause = self.head.with_context(cause, body);
        let error = match &self.state {
            State::Stream(stream) if stream.has_begun() => {
                cause.with_partial(stream.snapshot(&self.expected))
            }
            _ => cause,
        };
        let error = error.with_headers(self.headers.clone());
        self.state = State::Ended(VecDeque::new());
        self.outcome = Some(Err(error.clone()));
        error
    }

    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        match &self.state {
            State::Stream(stream) => stream.is_done(),
            State::Ended(_) => true,
            State::Undecided { .. } | State::Buffered(_) | State::ErrorBody { .. } => false,
        }
    }

    pub(crate) fn snapshot(&self) -> Response {
        match &self.state {
            State::Stream(stream) => stream.snapshot(&self.expected),
            _ => Response::new("", FinishReason::Error),
        }
    }

    /// Decides by its first bytes what a body is: the header `Content-Type` may be wrong or missing.
    fn sniff(&mut self, bytes: &Bytes) {
        let State::Undecided { is_stream, head, is_blank } = &mut self.state else { return };
        *is_blank &= bytes.trim_ascii_start().is_empty();
        head.push(bytes);
        match if *is_blank { None } else { is_event_stream(head.as_slice(), *is_stream) } {
            Some(true) => {
                let mut stream =
                    AnswerStream::new(self.limits.stream, self.head.request_id().cloned(), &self.expected);
                stream.push(std::mem::take(head).into_bytes());
                self.state = State::Stream(Box::new(stream));
            }
            _ if head.len() > self.limits.body => self.fail_too_large(),
            Some(false) => self.state = State::Buffered(std::mem::take(head)),
            None => {}
        }
    }

    /// The response of a body that is no stream and was received whole.
    fn finish_buffered(&mut self) -> Result<Response, Error> {
        let body = match std::mem::replace(&mut self.state, State::Ended(VecDeque::new())) {
            State::Undecided { is_stream: true, is_blank: true, .. } => {
                let text = "the body is empty: the server ended the stream before it sent anything";
                return Err(self.head.with_context(Error::invalid_response(text), &[]));
            }
            State::Undecided { head: body, .. } | State::Buffered(body) => body.into_bytes(),
            State::ErrorBody { body, headers } => {
                return Err(self.head.read_error(ErrorContext::Http, &headers, &body.into_bytes()));
            }
            State::Stream(_) | State::Ended(_) => {
                return Err(Error::invalid_response("the body ended before"));
            }
        };
        F::read_body(&body, &self.expected, self.head.request_id()).map_err(|failure| match failure {
            BodyFailure::ErrorBody { of_answer, partial } => {
                let data = of_answer.as_ref().unwrap_or(&body);
                let error = self.head.read_error(ErrorContext::SuccessBody, &HeaderMap::new(), data);
                match partial {
                    Some(partial) => error.with_partial(*partial),
                    None => error,
                }
            }
            BodyFailure::Unreadable(error) => {
                self.head.read_page(&body).unwrap_or_else(|| self.head.with_context(error, &body))
            }
            BodyFailure::Invalid(error) => self.head.with_context(error, &body),
        })
    }

    fn read_failure(&mut self, failure: StreamFailure) -> Error {
        let partial = match &self.state {
            State::Stream(stream) if stream.has_begun() => Some(stream.snapshot(&self.expected)),
            _ => None,
        };
        let error = match failure {
            StreamFailure::Invalid(error) => return self.head.with_context(error, &[]),
            StreamFailure::ErrorEvent(data) => {
                self.head.read_error(ErrorContext::Stream, &HeaderMap::new(), &data)
            }
            StreamFailure::BareError(data) => {
                self.head.read_error(ErrorContext::SuccessBody, &HeaderMap::new(), &data)
            }
            StreamFailure::Broken(error) => self.head.with_context(error, &[]),
        };
        self.state = State::Ended(VecDeque::new());
        match partial {
            Some(partial) => error.with_partial(partial),
            None => error,
        }
    }

    fn fail_too_large(&mut self) {
        let text = format!("the body is longer than the limit of {} bytes", self.limits.body);
        let error = Error::invalid_response(text).with_kind(ErrorKind::TooLarge);
        self.state = State::Ended(VecDeque::from([Err(self.head.with_context(error, &[]))]));
    }
}

fn is_event_stream_type(value: &HeaderValue) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let start = value.as_bytes().get(..EVENT_STREAM.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}

/// Whether a body that starts like this is an event stream; none when more bytes are needed to tell.
fn is_event_stream(head: &[u8], has_stream_type: bool) -> Option<bool> {
    const FIELDS: [&[u8]; 6] = [b"data:", b"event:", b"error:", b"retry:", b"id:", b":"];
    let start = head.trim_ascii_start();
    match start.first()? {
        // JSON, or a page, whatever its content type.
        b'{' | b'[' | b'<' => Some(false),
        _ if has_stream_type || FIELDS.iter().any(|field| start.starts_with(field)) => Some(true),
        // The first piece may end within the name of a field.
        _ if FIELDS.iter().any(|field| field.starts_with(start)) => None,
        _ => Some(false),
    }
}
