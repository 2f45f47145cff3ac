//! A stream under a time limit, which is asked only when there is no event.

use super::limits::{after, timed_out};
use oa_wire::{Error, Event, EventSource, Response};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// What limits a stream.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    /// The time between two events.
    Idle(Duration),
    /// The time from the call to the end.
    Deadline { limit: Duration, at: Instant },
}

pin_project! {
    /// A stream that fails when its limit runs out.
    pub(super) struct Limited {
        inner: Inner,
        over: bool,
        limit: Limit,
        started: Instant,
        events: u64,
        // Since when the caller waits for an event.
        waiting: Option<Instant>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

enum Inner {
    Source(Pin<Box<dyn EventSource>>),
    /// The limit ran out: the source was dropped, so that the request is closed.
    TimedOut(Box<Response>),
}

impl Limited {
    pub(super) fn new(inner: Pin<Box<dyn EventSource>>, limit: Limit, started: Instant) -> Self {
        Self {
            inner: Inner::Source(inner),
            over: false,
            limit,
            started,
            events: 0,
            waiting: None,
            sleep: None,
        }
    }
}

impl EventSource for Limited {
    fn poll_event(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let mut this = self.project();
        let Inner::Source(source) = this.inner else { return Poll::Ready(None) };
        if *this.over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(event) = source.as_mut().poll_event(cx) {
            *this.waiting = None;
            *this.events += 1;
            if matches!(event, None | Some(Err(_) | Ok(Event::Done(_)))) {
                *this.over = true;
                this.sleep.set(None);
            }
            return Poll::Ready(event);
        }
        let waiting = *this.waiting.get_or_insert_with(Instant::now);
        let due = match *this.limit {
            Limit::Idle(limit) => after(waiting, limit),
            Limit::Deadline { at, .. } => at,
        };
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(due)));
        }
        // The timer may be set for an earlier wait: moving it only when it fires spares most of the moves.
        while let Some(mut sleep) = this.sleep.as_mut().as_pin_mut() {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() >= due {
                break;
            }
            sleep.reset(due);
        }
        let partial = source.snapshot();
        let error = describe(*this.limit, *this.events, waiting, this.started.elapsed(), partial.clone());
        *this.inner = Inner::TimedOut(Box::new(partial));
        this.sleep.set(None);
        Poll::Ready(Some(Err(error)))
    }

    fn snapshot(&self) -> Response {
        match &self.inner {
            Inner::Source(source) => source.snapshot(),
            Inner::TimedOut(partial) => (**partial).clone(),
        }
    }
}

fn describe(limit: Limit, events: u64, waiting: Instant, elapsed: Duration, partial: Response) -> Error {
    let came = match events {
        1 => "after 1 event".to_owned(),
        n => format!("after {n} events"),
    };
    let what = match limit {
        Limit::Idle(limit) => format!(
            "idle timeout: the server sent no event for {:.1?} (limit {limit:?}), {came} in {elapsed:.1?}; \
             the limit is set by IdleTimeoutLayer",
            waiting.elapsed()
        ),
        Limit::Deadline { limit, .. } => format!(
            "deadline: the answer was not complete within {limit:?}, {came}; \
             the limit is set by DeadlineLayer"
        ),
    };
    timed_out(what, elapsed, Some(partial))
}
