//! One exchange as a value: the request as bytes, and a decoder for what comes back. No awaiting.

use super::{
    decode::{Asked, Body, Parts, read_body, start_of},
    encode::encode,
    endpoint::Endpoint,
    stream::{ChatStream, Failure},
};
use crate::{
    AssistantMessage, CompletionRequest, Error, ErrorKind, Event, FinishReason, Limits, Profile, RawBody,
    Response, error_body::ErrorContext, response_head::ResponseHead, server::Route, text::lossy,
    validate::validate,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::{collections::VecDeque, time::SystemTime};

/// The most of an error's body that is read. What matters stands at its start.
const ERROR_BODY: usize = 1 << 20;

/// A validated and encoded request. Nothing was sent.
#[derive(Clone, Debug)]
#[must_use = "a call does nothing until its request is sent"]
pub struct ChatCall {
    endpoint: Endpoint,
    body: Bytes,
    stream: bool,
    asked: Asked,
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
        let body = encode(profile, request)?;
        let asked = Asked {
            tools: request.tools.clone(),
            schema: request.response_schema.clone(),
            surface: profile.surface_invalid_tool_calls(),
        };
        Ok(Self {
            endpoint: endpoint.clone(),
            body: body.into(),
            stream: request.stream,
            asked,
            limits: profile.limits(),
        })
    }

    /// The request's body. Equal requests have equal bodies, byte for byte.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The request, ready to be sent.
    pub fn http_request(&self) -> http::Request<Bytes> {
        self.endpoint.server().chat_request(self.body.clone(), self.stream)
    }

    /// A decoder for the response with this status and these headers. `received_at` is when the response came, for a
    /// `Retry-After` that is a date; without it the response's own `Date` is used.
    pub fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: impl Into<Option<SystemTime>>,
    ) -> ResponseDecoder {
        let origin = Some((self.endpoint.server().clone(), Route::Chat));
        let head = ResponseHead::new(origin, status, headers, received_at.into());
        let is_stream = headers.get(header::CONTENT_TYPE).is_some_and(is_event_stream_type);
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let state = if ResponseHead::is_error(status, headers) {
            State::Refused { body: Buffer::new(0), headers: Box::new(headers.clone()) }
        } else {
            let expected = length.unwrap_or(0).min(self.limits.body);
            State::Undecided { is_stream, head: Buffer::new(expected), is_blank: true }
        };
        ResponseDecoder { asked: self.asked, limits: self.limits, head, state }
    }
}

/// Reads one response: [`push`](Self::push) the body in any split, ask for events with
/// [`poll_event`](Self::poll_event) after each piece, call [`end`](Self::end) when the body ends. Or, where the
/// events do not matter, push everything and call [`finish`](Self::finish).
///
/// A stream, a JSON body, and either in place of the other are read as what they are.
#[derive(Debug)]
pub struct ResponseDecoder {
    asked: Asked,
    limits: Limits,
    head: ResponseHead,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A success whose first bytes that say something have not come.
    Undecided { is_stream: bool, head: Buffer, is_blank: bool },
    /// An event stream.
    Stream(Box<ChatStream>),
    /// A JSON body, so far.
    Whole(Buffer),
    /// The body of an error.
    Refused { body: Buffer, headers: Box<HeaderMap> },
    /// The body ended, or an error was met: these events are left.
    Ended(VecDeque<Result<Event, Error>>),
}

impl ResponseDecoder {
    /// Adds a piece of the body. Ask for its events before the next.
    #[inline]
    pub fn push(&mut self, bytes: Bytes) {
        match &mut self.state {
            State::Stream(stream) => stream.push(bytes),
            State::Whole(body) => {
                if body.len() + bytes.len() > self.limits.body {
                    self.fail_too_large();
                    return;
                }
                body.push(&bytes);
            }
            State::Refused { body, .. } => {
                body.push(&bytes.slice(..bytes.len().min(ERROR_BODY - body.len())));
                // Nobody reads an error without end.
                if body.len() == ERROR_BODY {
                    self.end();
                }
            }
            State::Undecided { .. } => self.decide(&bytes),
            State::Ended(_) => {}
        }
    }

    /// The next event that the bytes so far hold; none when more are needed, or nothing follows.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Result<Event, Error>> {
        match &mut self.state {
            State::Stream(stream) => match stream.poll_event(&self.asked)? {
                Ok(event) => Some(Ok(event)),
                Err(failure) => Some(Err(self.failed(failure))),
            },
            State::Ended(events) => events.pop_front(),
            State::Undecided { .. } | State::Whole(_) | State::Refused { .. } => None,
        }
    }

    /// Says that the body ended. The remaining events follow, the last of them [`Event::Done`] or an error.
    pub fn end(&mut self) {
        match &mut self.state {
            State::Stream(stream) => stream.end(),
            State::Ended(_) => {}
            State::Undecided { .. } | State::Whole(_) | State::Refused { .. } => {
                let events = match self.whole() {
                    Ok(response) => Event::of_response(response).into_iter().map(Ok).collect(),
                    Err(error) => VecDeque::from([Err(error)]),
                };
                self.state = State::Ended(events);
            }
        }
    }

    /// Ends the body, and gives the response.
    ///
    /// # Errors
    ///
    /// What the server says, or what is wrong with what it sent.
    pub fn finish(mut self) -> Result<Response, Error> {
        match &mut self.state {
            State::Stream(stream) => stream.end(),
            State::Ended(_) => {}
            State::Undecided { .. } | State::Whole(_) | State::Refused { .. } => return self.whole(),
        }
        while let Some(event) = self.poll_event() {
            if let Event::Done(response) = event? {
                return Ok(*response);
            }
        }
        Err(Error::invalid_response("the answer was read to its end before"))
    }

    /// Gives up because of `cause`, which is returned with what came before it. Nothing follows.
    pub fn abort(&mut self, cause: Error) -> Error {
        let body = match &self.state {
            State::Whole(body) | State::Refused { body, .. } => body.as_slice(),
            _ => &[],
        };
        let cause = self.head.with_context(cause, body);
        let error = match &self.state {
            State::Stream(stream) if stream.has_begun() => cause.with_partial(stream.snapshot(&self.asked)),
            _ => cause,
        };
        self.state = State::Ended(VecDeque::new());
        error
    }

    /// True when nothing more of the body is needed: a stream said `[DONE]`, or an error was met.
    #[inline]
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Stream(stream) => stream.is_done(),
            State::Ended(_) => true,
            State::Undecided { .. } | State::Whole(_) | State::Refused { .. } => false,
        }
    }

    /// What has come so far of a stream; an empty response of any other.
    pub fn snapshot(&self) -> Response {
        match &self.state {
            State::Stream(stream) => stream.snapshot(&self.asked),
            _ => Response::new(AssistantMessage::default(), FinishReason::Error),
        }
    }

    /// Decides by its first bytes what a body is: a server's word for it may be wrong or missing.
    fn decide(&mut self, bytes: &Bytes) {
        let State::Undecided { is_stream, head, is_blank } = &mut self.state else { return };
        *is_blank &= bytes.trim_ascii_start().is_empty();
        head.push(bytes);
        match if *is_blank { None } else { is_event_stream(head.as_slice(), *is_stream) } {
            Some(true) => {
                let mut stream = ChatStream::new(self.limits.stream, self.head.request_id().cloned());
                stream.push(std::mem::take(head).into_bytes());
                self.state = State::Stream(Box::new(stream));
            }
            _ if head.len() > self.limits.body => self.fail_too_large(),
            Some(false) => self.state = State::Whole(std::mem::take(head)),
            None => {}
        }
    }

    /// The response of a body that is no stream and came whole.
    fn whole(&mut self) -> Result<Response, Error> {
        match std::mem::replace(&mut self.state, State::Ended(VecDeque::new())) {
            State::Undecided { head, .. } => self.read(&head.into_bytes()),
            State::Whole(body) => self.read(&body.into_bytes()),
            State::Refused { body, headers } => {
                Err(self.head.read_error(ErrorContext::Http, &headers, &body.into_bytes()))
            }
            State::Stream(_) | State::Ended(_) => {
                Err(Error::invalid_response("the answer was read to its end before"))
            }
        }
    }

    fn read(&mut self, body: &Bytes) -> Result<Response, Error> {
        let text = lossy(body);
        let mut parts = Parts::default();
        let wrong = match read_body(&text, &mut parts) {
            Ok(Body::Completion) => {
                parts.request_id = self.head.request_id().cloned();
                let kept = RawBody::from(body.clone());
                return parts.respond(&self.asked, kept).map_err(|error| self.head.with_context(error, body));
            }
            Ok(Body::ErrorEnvelope) => {
                return Err(self.head.read_error(ErrorContext::SuccessBody, &HeaderMap::new(), body));
            }
            Ok(Body::Other(what)) => format!("the body is no completion: {what}"),
            Err(_) if text.trim_ascii().is_empty() => "the body is empty".to_owned(),
            Err(wrong) => format!("the body is not JSON: expected {} at byte {}", wrong.expected, wrong.at),
        };
        if let Some(error) = self.head.read_page(body) {
            return Err(error);
        }
        let start = start_of(&text);
        let message = if start.is_empty() { wrong } else { format!("{wrong}; it starts with `{start}`") };
        Err(self.head.with_context(Error::invalid_response(message), body))
    }

    fn failed(&mut self, failure: Failure) -> Error {
        let partial = match &self.state {
            State::Stream(stream) if stream.has_begun() => Some(stream.snapshot(&self.asked)),
            _ => None,
        };
        let error = match failure {
            Failure::Final(error) => return self.head.with_context(error, &[]),
            Failure::Frame(data) => self.head.read_error(ErrorContext::Stream, &HeaderMap::new(), &data),
            Failure::Error(error) => self.head.with_context(error, &[]),
        };
        self.state = State::Ended(VecDeque::new());
        match partial {
            Some(partial) => error.with_partial(partial),
            None => error,
        }
    }

    fn fail_too_large(&mut self) {
        let text = format!("the body is longer than the limit of {} bytes", self.limits.body);
        let error = self.head.with_context(Error::invalid_response(text).with_kind(ErrorKind::TooLarge), &[]);
        self.state = State::Ended(VecDeque::from([Err(error)]));
    }
}

fn is_event_stream_type(value: &HeaderValue) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let start = value.as_bytes().get(..EVENT_STREAM.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}

/// Whether a body that starts like this is an event stream; none when more is needed to tell.
fn is_event_stream(head: &[u8], said_so: bool) -> Option<bool> {
    const FIELDS: [&[u8]; 6] = [b"data:", b"event:", b"error:", b"retry:", b"id:", b":"];
    let start = head.trim_ascii_start();
    match start.first()? {
        // JSON, or a page, whatever it calls itself.
        b'{' | b'[' | b'<' => Some(false),
        _ if said_so || FIELDS.iter().any(|field| start.starts_with(field)) => Some(true),
        // The first piece may end within the name of a field.
        _ if FIELDS.iter().any(|field| field.starts_with(start)) => None,
        _ => Some(false),
    }
}

/// A body as it comes: one piece is kept as it is, several are copied together.
#[derive(Debug, Default)]
struct Buffer {
    one: Bytes,
    many: Vec<u8>,
    expected: usize,
}

impl Buffer {
    fn new(expected: usize) -> Self {
        Self { one: Bytes::new(), many: Vec::new(), expected }
    }

    fn len(&self) -> usize {
        self.one.len() + self.many.len()
    }

    fn as_slice(&self) -> &[u8] {
        if self.many.is_empty() { &self.one } else { &self.many }
    }

    fn push(&mut self, bytes: &Bytes) {
        if self.len() == 0 {
            self.one = bytes.clone();
            return;
        }
        if self.many.is_empty() {
            self.many.reserve_exact(self.expected.max(self.one.len() + bytes.len()));
            self.many.extend_from_slice(&std::mem::take(&mut self.one));
        }
        self.many.extend_from_slice(bytes);
    }

    fn into_bytes(self) -> Bytes {
        if self.many.is_empty() { self.one } else { self.many.into() }
    }
}
