//! An answer on its way: a finished response, or a stream of events that ends in one.

use crate::{Category, Error, Event, Response};
use futures_core::Stream;
use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

/// What a completion service answers, like HTTP's head and body: the service's future resolves when the answer
/// has begun, and a stream goes on from there.
///
/// A layer that only looks at errors and finished responses passes the stream through untouched; one that
/// watches the stream puts its own [`EventSource`] around it with [`CompletionStream::wrap`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Completion {
    /// The whole answer, of a request that did not ask for a stream.
    Response(Box<Response>),
    /// The answer as it comes.
    Stream(CompletionStream),
}

impl Completion {
    /// The response: at once, or after draining the stream.
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
}

/// Where the events of a [`CompletionStream`] come from: a server's body, or a layer around another source.
///
/// After [`Event::Done`] or an error, `poll_event` returns `None`.
pub trait EventSource: Send {
    /// The next event.
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>>;

    /// What has come so far, as a response: its finish reason is `error` until the server gave one.
    fn snapshot(&self) -> Response;
}

/// The events of one streamed answer.
///
/// A [`Stream`] of events whose last is [`Event::Done`], or an error that keeps what came
/// ([`Error::partial`]). Dropping it closes the request, so that the server stops generating.
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
    /// What broke the stream, with what came before in [`Error::partial`].
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.source.as_mut().poll_event(cx)).await
    }

    /// Drains the stream and returns the response.
    ///
    /// # Errors
    ///
    /// What broke the stream.
    pub async fn into_response(mut self) -> Result<Response, Error> {
        while let Some(event) = self.next().await {
            if let Event::Done(response) = event? {
                return Ok(*response);
            }
        }
        Err(Error::new(Category::InvalidResponse, "the stream was read to its end before"))
    }

    /// What has come so far, as a response whose finish reason is `error` until the server gave one. Empty after the
    /// end and after an error, which have it themselves.
    pub fn snapshot(&self) -> Response {
        self.source.snapshot()
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
