//! The events of a response's body, without a task, a channel or a buffer between the caller and the
//! transport.

use crate::error::{from_transport_error, timed};
use bytes::Bytes;
use http_body::{Body, Frame};
use oa_transport::BoxError;
use oa_wire::{CompletionStream, Error, Event, EventSource, Negotiated, Response, mapping::EventDecoder};
use std::{
    any::Any,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::time::Instant;

/// The most frames that are read after `[DONE]`.
const MAX_REST: usize = 16;

pub(crate) struct BodySource<D, B> {
    /// None when nothing more is read of it: a body must not be polled after its end, and one that is dropped
    /// frees its connection.
    body: Option<Pin<Box<B>>>,
    decoder: D,
    /// The decoder needs more bytes: it is not polled on every wake-up.
    exhausted: bool,
    started: Instant,
    state: State,
    /// The form in which the call was sent, where it was learnt.
    negotiated: Option<Negotiated>,
}

enum State {
    /// Events are being received.
    Open,
    /// The first event was awaited by the call, and is handed out first.
    First(Box<Event>),
    /// The call has awaited the last event, which is handed out next.
    Last(Box<Event>),
    /// Nothing follows.
    Ended,
}

impl<D, B> BodySource<D, B>
where
    D: EventDecoder,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    /// Awaits the first event.
    pub(crate) async fn begin(
        decoder: D,
        body: B,
        started: Instant,
        negotiated: Option<Negotiated>,
    ) -> Result<CompletionStream, Error> {
        let body = Some(Box::pin(body));
        let mut source = Self { body, decoder, exhausted: true, started, state: State::Open, negotiated };
        if let Some(first) = poll_fn(|cx| Pin::new(&mut source).poll_event(cx)).await {
            source.state = match std::mem::replace(&mut source.state, State::Ended) {
                State::Ended => State::Last(Box::new(first?)),
                _ => State::First(Box::new(first?)),
            };
        }
        Ok(CompletionStream::new(source))
    }

    /// Takes what was polled of the body.
    #[inline]
    fn take_frame(&mut self, frame: Option<Result<Frame<Bytes>, B::Error>>) -> Option<Error> {
        match frame {
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    self.decoder.push(bytes);
                }
                None
            }
            Some(Err(error)) => Some(self.decoder.abort(from_transport_error(error))),
            None => {
                self.decoder.end();
                None
            }
        }
    }

    /// The event that was to be handed out first, or last.
    #[cold]
    fn next_kept(&mut self) -> Option<Event> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::First(event) => {
                self.state = State::Open;
                Some(*event)
            }
            State::Last(event) => Some(*event),
            State::Open | State::Ended => None,
        }
    }

    /// Ends the stream with its last event, an error, or nothing.
    #[cold]
    fn end(
        &mut self,
        last: Option<Result<Event, Error>>,
        cx: &mut Context<'_>,
    ) -> Option<Result<Event, Error>> {
        self.state = State::Ended;
        match last {
            Some(Ok(Event::Done(mut response))) => {
                response.negotiated = self.negotiated;
                self.finish_body(cx);
                Some(Ok(Event::Done(response)))
            }
            other => {
                self.body = None;
                other.map(|end| end.map_err(|error| timed(error, self.started)))
            }
        }
    }

    /// The next frame of the body; none at its end.
    #[inline]
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(body.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    /// Ends the body after the last event. Its end mostly came in the same packet; then the connection goes
    /// back to the pool. Where it did not, nobody waits: our own transport reads it when the connection is
    /// used again.
    fn finish_body(&mut self, cx: &mut Context<'_>) {
        for _ in 0..MAX_REST {
            match self.poll_body(cx) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let body = self.body.as_ref().map(|body| body.as_ref().get_ref() as &dyn Any);
                    if let Some(body) = body.and_then(|body| body.downcast_ref::<oa_transport::Body>()) {
                        body.reuse_when_dropped();
                    }
                    break;
                }
            }
        }
        self.body = None;
    }
}

impl<D, B> EventSource for BodySource<D, B>
where
    D: EventDecoder,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let this = &mut *self;
        if !matches!(this.state, State::Open) {
            return Poll::Ready(this.next_kept().map(Ok));
        }
        loop {
            if !this.exhausted {
                match this.decoder.poll_event() {
                    Some(Ok(event)) if !matches!(event, Event::Done(_)) => {
                        return Poll::Ready(Some(Ok(event)));
                    }
                    None if !this.decoder.is_done() => this.exhausted = true,
                    last => return Poll::Ready(this.end(last, cx)),
                }
            }
            // The end of the body is not waited for after the last event.
            let frame = ready!(this.poll_body(cx));
            this.exhausted = false;
            if let Some(error) = this.take_frame(frame) {
                return Poll::Ready(this.end(Some(Err(error)), cx));
            }
        }
    }

    fn snapshot(&self) -> Response {
        let mut response = match &self.state {
            State::Last(event) => match &**event {
                Event::Done(response) => (**response).clone(),
                _ => self.decoder.snapshot(),
            },
            _ => self.decoder.snapshot(),
        };
        response.negotiated = self.negotiated;
        response
    }
}
