//! The answer of a completion service: a finished response, or a stream of events that ends in one.

use crate::{Category, Error, Event, FinishReason, Response};
use futures_core::Stream;
use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

/// The answer of a completion service. As with the head and body of HTTP, the service's future resolves at
/// the start of the answer, and a stream goes on from there.
///
/// A layer that only looks at errors and finished responses passes the stream through untouched; one that
/// watches the stream puts its own [`EventSource`] around it with [`CompletionStream::wrap`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Completion {
    /// The whole answer, to a request without `stream`.
    Response(Box<Response>),
    /// The answer as it is received.
    Stream(CompletionStream),
}

impl Completion {
    /// The response: at once, or after reading the stream to its end.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub async fn into_response(self) -> Result<Response, Error> {
        match self {
            Self::Response(response) => Ok(*response),
            Self::Stream(stream) => stream.into_response().await,
        }
    }

    /// The stream; that of a whole answer has the answer's parts as its events.
    pub fn into_stream(self) -> CompletionStream {
        match self {
            Self::Response(response) => CompletionStream::from(*response),
            Self::Stream(stream) => stream,
        }
    }
}

impl From<Response> for Completion {
    fn from(response: Response) -> Self {
        Self::Response(Box::new(response))
    }
}

impl From<CompletionStream> for Completion {
    fn from(stream: CompletionStream) -> Self {
        Self::Stream(stream)
    }
}

/// Where the events of a [`CompletionStream`] come from: a server's body, or a layer around another source.
///
/// After [`Event::Done`] or an error, `poll_event` returns `None`.
pub trait EventSource: Send {
    /// The next event.
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>>;

    /// What was received so far, as a response: its finish reason is `error` until the server sent one.
    fn snapshot(&self) -> Response;
}

/// The events of one streamed answer.
///
/// A [`Stream`] of events whose last is [`Event::Done`], or an error that keeps what was received
/// ([`Error::partial`]). Dropping it closes the request, so that the server stops generating.
///
/// A whole response is a stream too, for a cache or a test double:
///
/// ```
/// use oa_wire::{CompletionStream, FinishReason, Response};
///
/// let stream = CompletionStream::from(Response::new("Paris.", FinishReason::Stop));
/// assert_eq!(stream.snapshot().text(), "Paris.");
/// ```
#[must_use = "dropping a stream cancels its request"]
pub struct CompletionStream {
    source: Pin<Box<dyn EventSource>>,
}

impl CompletionStream {
    /// A stream of the events of this source.
    pub fn new(source: impl EventSource + 'static) -> Self {
        Self { source: Box::pin(source) }
    }

    /// Puts a layer's source around this one.
    pub fn wrap<S: EventSource + 'static>(self, layer: impl FnOnce(Pin<Box<dyn EventSource>>) -> S) -> Self {
        Self::new(layer(self.source))
    }

    /// The next event; none after the end.
    ///
    /// # Errors
    ///
    /// What ended the stream, with what was received before in [`Error::partial`].
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.source.as_mut().poll_event(cx)).await
    }

    /// Reads the stream to its end and returns the response. One whose [`Event::Done`] was handed out has
    /// none any more: take the response from that event.
    ///
    /// # Errors
    ///
    /// What ended the stream.
    pub async fn into_response(mut self) -> Result<Response, Error> {
        while let Some(event) = self.next().await {
            if let Event::Done(response) = event? {
                return Ok(*response);
            }
        }
        Err(Error::new(
            Category::InvalidResponse,
            "the stream has no response any more: its last event was handed out",
        ))
    }

    /// What was received so far, as a response whose finish reason is `error` until the server sent one.
    /// Empty after the last event and after an error, which have it themselves.
    pub fn snapshot(&self) -> Response {
        self.source.snapshot()
    }
}

impl From<Response> for CompletionStream {
    fn from(response: Response) -> Self {
        Self::new(ResponseSource { events: Event::of_response(response) })
    }
}

/// The events of a response that is there already.
struct ResponseSource {
    events: VecDeque<Event>,
}

impl EventSource for ResponseSource {
    fn poll_event(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        Poll::Ready(self.events.pop_front().map(Ok))
    }

    fn snapshot(&self) -> Response {
        match self.events.back() {
            Some(Event::Done(response)) => (**response).clone(),
            _ => Response::new("", FinishReason::Error),
        }
    }
}

impl Stream for CompletionStream {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.source.as_mut().poll_event(cx)
    }
}

impl fmt::Debug for CompletionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompletionStream(..)")
    }
}
