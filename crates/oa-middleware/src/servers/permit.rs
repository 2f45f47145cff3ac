//! One call's place at a server, until its answer is whole.

use super::{
    breaker::Verdict,
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
    task::{Context, Poll, ready},
    time::Duration,
};

/// One call's place at a server. Whatever becomes of the call, the server's health learns of it.
pub(super) struct Permit<S> {
    set: Set<S>,
    server: Arc<Server<S>>,
    context: CallContext,
    load: u64,
    started: Duration,
    /// The server's signs of life when the call began.
    signs: u64,
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
            started: set.now(),
            signs: server.health.signs_of_life(),
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

    /// Whether the server has shown no sign of life since the call began, to anybody.
    fn is_silent(&self) -> bool {
        self.server.health.signs_of_life() == self.signs
    }

    /// A silent server has failed each of the calls that wait there, not only the one that gives up first.
    fn failed_all(&self) -> Verdict {
        Verdict::Failed(u32::try_from(self.server.health.calls()).unwrap_or(u32::MAX))
    }

    fn begins(&mut self) {
        self.stage = Stage::Begun;
        self.server.health.shows_life();
        self.set.began(&self.server, self.set.now().saturating_sub(self.started), self.is_stream);
    }

    fn answered(mut self) {
        self.server.health.shows_life();
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
            self.server.health.shows_life();
        } else {
            self.context.server_failed(&self.server.health.name);
        }
        self.settle(verdict);
        self.server.clone()
    }

    /// What a call tells that was dropped. A server that has shown no sign of life since the call began, to
    /// anybody, has failed it: so a hung server is noticed whoever's time limit drops the call.
    fn cancelled(&mut self) {
        let lost = self.lost.as_ref().is_some_and(|lost| lost.load(Relaxed));
        let waited = self.set.now().saturating_sub(self.started);
        if self.stage == Stage::Waiting && !lost && waited >= PATIENCE && self.is_silent() {
            self.context.server_failed(&self.server.health.name);
            self.settle(self.failed_all());
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
        Completion::Stream(stream.wrap(|inner| Watched { inner, permit, history }))
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
}

// Nothing in it is pinned but the source, which is boxed.
impl<S> Unpin for Watched<S> {}

impl<S: Send + Sync + 'static> EventSource for Watched<S> {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let event = ready!(self.inner.as_mut().poll_event(cx));
        let Some(permit) = &self.permit else { return Poll::Ready(event) };
        match event {
            Some(Ok(Event::Done(response))) => {
                if let Some(permit) = self.permit.take() {
                    permit.answered();
                }
                Poll::Ready(Some(Ok(Event::Done(response))))
            }
            Some(Ok(event)) => {
                permit.server.health.shows_life();
                Poll::Ready(Some(Ok(event)))
            }
            Some(Err(error)) => {
                if let Some(permit) = self.permit.take() {
                    let server = permit.failed(&error);
                    let name = &server.health.name;
                    self.history.push_server(name, &error, "not failed over: the stream had begun");
                }
                Poll::Ready(Some(Err(self.history.attach(error))))
            }
            None => Poll::Ready(None),
        }
    }

    fn snapshot(&self) -> Response {
        self.inner.snapshot()
    }
}
