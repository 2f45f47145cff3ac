//! One call's place at a server, until its answer is whole.

use super::{
    breaker::Verdict,
    health::micros,
    set::{Server, Set},
};
use crate::{CallContext, attempt::History};
use oa_wire::{Completion, Error, Event, EventSource, Response};
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

/// One call's place at a server. Whatever becomes of the call, the server's health learns of it.
pub(super) struct Permit<S> {
    set: Set<S>,
    server: Arc<Server<S>>,
    context: CallContext,
    load: u64,
    /// When the call began, or its last event came.
    waits_since: Duration,
    is_stream: bool,
    /// Whether the breaker waits to learn of it.
    is_trial: bool,
    stage: Stage,
    /// Set when another server's answer was taken.
    lost: Option<Arc<AtomicBool>>,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Begun,
    /// The server's health has learned of its end.
    Settled,
}

/// A call that is dropped sooner tells nothing.
const PATIENCE: Duration = Duration::from_secs(1);

impl<S> Permit<S> {
    pub(super) fn new(
        set: Set<S>,
        server: Arc<Server<S>>,
        context: CallContext,
        load: u64,
        (is_stream, is_trial): (bool, bool),
        lost: Option<Arc<AtomicBool>>,
    ) -> Self {
        server.health.call_begins(load);
        Self {
            waits_since: set.now(),
            set,
            server,
            context,
            load,
            is_stream,
            is_trial,
            stage: Stage::Waiting,
            lost,
        }
    }

    fn settle(&mut self, verdict: Verdict) {
        self.stage = Stage::Settled;
        self.set.record(&self.server, verdict);
    }

    /// How long the call has waited.
    fn waited(&self) -> Duration {
        self.set.now().saturating_sub(self.waits_since)
    }

    /// Whether the server has shown no sign of life, to anybody, for at least half of the time that the call
    /// has waited. Not for all of it: where a server stops, the calls that wait there began before others of
    /// it were answered.
    fn is_silent(&self) -> bool {
        self.server.health.shown_life() <= micros(self.waits_since + self.waited() / 2)
    }

    fn shows_life(&self) -> Duration {
        let now = self.set.now();
        self.server.health.shows_life(now);
        now
    }

    /// A silent server has failed each of the calls that wait there, not only the one that gives up first.
    fn failed_all(&self) -> Verdict {
        Verdict::Failed(u32::try_from(self.server.health.calls()).unwrap_or(u32::MAX))
    }

    fn begins(&mut self) {
        self.stage = Stage::Begun;
        let now = self.shows_life();
        self.set.began(&self.server, now.saturating_sub(self.waits_since), self.is_stream);
        self.waits_since = now;
    }

    fn answered(mut self) {
        self.shows_life();
        self.settle(Verdict::Answered);
    }

    /// The call failed. The server that failed it.
    pub(super) fn failed(mut self, error: &Error) -> Arc<Server<S>> {
        let verdict = match Verdict::of(error) {
            Verdict::Failed(_) if error.is_timeout() && self.is_silent() => self.failed_all(),
            verdict => verdict,
        };
        if verdict == Verdict::Nothing {
            // A server that refuses is a server that lives.
            self.shows_life();
        } else {
            self.context.server_failed(&self.server.health.name);
        }
        self.settle(verdict);
        self.server.clone()
    }

    /// What a call tells that was dropped. A silent server has failed it: so a hung server is noticed
    /// whoever's time limit drops the call. It has failed the others too where it took much longer than it
    /// usually does; before that, the caller may have left for reasons of its own.
    fn cancelled(&mut self) {
        let lost = self.lost.as_ref().is_some_and(|lost| lost.load(Relaxed));
        let waited = self.waited();
        if self.stage == Stage::Waiting && !lost && waited >= PATIENCE && self.is_silent() {
            self.context.server_failed(&self.server.health.name);
            let is_late = self.server.health.patience().is_none_or(|patience| waited >= patience);
            self.settle(if is_late { self.failed_all() } else { Verdict::Failed(1) });
        } else if self.is_trial && lost && self.stage == Stage::Waiting && self.is_silent() {
            // It had its time alone, and another server has answered since.
            self.settle(Verdict::Failed(1));
        } else if self.is_trial {
            self.settle(Verdict::Nothing);
        }
    }
}

impl<S: Send + Sync + 'static> Permit<S> {
    /// The call is answered, or its stream has begun. The permit is kept until the end of the stream; an
    /// error in it names the server.
    pub(super) fn began(mut self, answer: Completion, history: impl FnOnce() -> History) -> Completion {
        self.begins();
        let Completion::Stream(stream) = answer else {
            self.answered();
            return answer;
        };
        if self.is_trial {
            self.is_trial = false;
            self.set.record(&self.server, Verdict::Began);
        }
        let (permit, history) = (Some(self), history());
        Completion::Stream(stream.wrap(|inner| Watched { inner, permit, history, has_waited: false }))
    }
}

impl<S> Drop for Permit<S> {
    fn drop(&mut self) {
        if self.stage != Stage::Settled {
            self.cancelled();
        }
        self.server.health.call_ends(self.load);
    }
}

/// A stream whose end the server's health learns of.
struct Watched<S> {
    inner: Pin<Box<dyn EventSource>>,
    permit: Option<Permit<S>>,
    history: History,
    /// Whether the next event comes later than the one before. Of those that came together, one is enough.
    has_waited: bool,
}

// Nothing in it is pinned but the source, which is boxed.
impl<S> Unpin for Watched<S> {}

impl<S: Send + Sync + 'static> EventSource for Watched<S> {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let this = &mut *self;
        let Poll::Ready(event) = this.inner.as_mut().poll_event(cx) else {
            this.has_waited = true;
            return Poll::Pending;
        };
        match (event, &mut this.permit) {
            (Some(Ok(Event::Done(response))), Some(_)) => {
                if let Some(permit) = this.permit.take() {
                    permit.answered();
                }
                Poll::Ready(Some(Ok(Event::Done(response))))
            }
            (Some(Ok(event)), Some(permit)) => {
                if std::mem::take(&mut this.has_waited) {
                    permit.waits_since = permit.shows_life();
                }
                Poll::Ready(Some(Ok(event)))
            }
            (Some(Err(error)), Some(_)) => {
                if let Some(permit) = this.permit.take() {
                    let server = permit.failed(&error);
                    let name = &server.health.name;
                    this.history.push_server(name, &error, "not failed over: the stream had begun");
                }
                Poll::Ready(Some(Err(this.history.attach(error))))
            }
            (event, _) => Poll::Ready(event),
        }
    }

    fn snapshot(&self) -> Response {
        self.inner.snapshot()
    }
}
