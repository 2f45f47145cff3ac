//! A response's body as the events of a stream: no task, no channel, no buffer between the caller and the transport.

use crate::failure::{from_transport, timed};
use bytes::Bytes;
use http_body::{Body, Frame};
use oa_transport::BoxError;
use oa_wire::{CompletionStream, Error, Event, EventSource, Response, openai::ResponseDecoder};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// How long the end of the body is waited for after `[DONE]`. It mostly comes in the same packet; then the connection
/// goes back to the pool. A server that keeps it open loses it.
const DRAIN: Duration = Duration::from_millis(500);

/// The most frames that are read for that.
const DRAIN_FRAMES: u32 = 16;

pub(crate) struct BodySource<B> {
    /// None when nothing more is read of it: a body must not be asked again after its end, and one that is dropped
    /// lets go of its connection.
    body: Option<Pin<Box<B>>>,
    decoder: ResponseDecoder,
    /// The decoder has said that it needs more: it is not asked again on every wake-up.
    exhausted: bool,
    started: Instant,
    state: State,
}

enum State {
    /// Events come.
    Open,
    /// The first event was awaited by the call, and is handed out first.
    First(Box<Event>),
    /// The last event is there; the end of the body is awaited.
    Draining { last: Option<Event>, frames: u32, limit: Option<Pin<Box<Sleep>>> },
    /// Nothing follows.
    Over,
}

impl<B> BodySource<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    /// Awaits the first event.
    pub(crate) async fn begin(
        decoder: ResponseDecoder,
        body: B,
        started: Instant,
    ) -> Result<CompletionStream, Error> {
        let body = Some(Box::pin(body));
        let mut source = Self { body, decoder, exhausted: true, started, state: State::Open };
        if let Some(first) = poll_fn(|cx| Pin::new(&mut source).poll_event(cx)).await {
            source.state = match std::mem::replace(&mut source.state, State::Over) {
                State::Over => State::Draining { last: Some(first?), frames: DRAIN_FRAMES, limit: None },
                _ => State::First(Box::new(first?)),
            };
        }
        Ok(CompletionStream::new(source))
    }

    /// Reads until the next event, without waiting for the end of the body after the last.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        loop {
            if !self.exhausted {
                if let Some(event) = self.decoder.poll_event() {
                    return Poll::Ready(Some(event));
                }
                if self.decoder.is_done() {
                    return Poll::Ready(None);
                }
                self.exhausted = true;
            }
            let frame = ready!(self.poll_body(cx));
            self.exhausted = false;
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.decoder.push(bytes);
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(self.decoder.abort(from_transport(error.into())))));
                }
                None => self.decoder.end(),
            }
        }
    }

    /// The next frame of the body; none when it is over.
    #[inline]
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(body.as_mut().poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    /// Reads the rest of the body, if it comes soon.
    fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let frame = self.poll_body(cx);
            let State::Draining { frames, limit, .. } = &mut self.state else { return Poll::Ready(()) };
            match frame {
                Poll::Ready(Some(Ok(_))) if *frames > 0 => *frames -= 1,
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let limit = limit.get_or_insert_with(|| Box::pin(sleep(DRAIN)));
                    ready!(limit.as_mut().poll(cx));
                    break;
                }
            }
        }
        self.body = None;
        Poll::Ready(())
    }
}

impl<B> EventSource for BodySource<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let this = &mut *self;
        match &mut this.state {
            State::Open => match ready!(this.poll_read(cx)) {
                Some(Ok(event @ Event::Done(_))) => {
                    this.state = State::Draining { last: Some(event), frames: DRAIN_FRAMES, limit: None };
                }
                Some(Ok(event)) => return Poll::Ready(Some(Ok(event))),
                end => {
                    this.state = State::Over;
                    this.body = None;
                    return Poll::Ready(end.map(|end| end.map_err(|error| timed(error, this.started))));
                }
            },
            State::First(_) => {
                if let State::First(event) = std::mem::replace(&mut this.state, State::Open) {
                    return Poll::Ready(Some(Ok(*event)));
                }
            }
            State::Draining { .. } => {}
            State::Over => return Poll::Ready(None),
        }
        ready!(this.poll_drained(cx));
        let State::Draining { last, .. } = std::mem::replace(&mut this.state, State::Over) else {
            return Poll::Ready(None);
        };
        Poll::Ready(last.map(Ok))
    }

    fn snapshot(&self) -> Response {
        match &self.state {
            State::Draining { last: Some(Event::Done(response)), .. } => (**response).clone(),
            _ => self.decoder.snapshot(),
        }
    }
}
