//! One call through a set of servers: from one to the next where it fails, and to two where it is hedged.

use super::{
    event::ServerEvent,
    permit::Permit,
    pick::Call,
    set::{Server, Set, has_another},
};
use crate::{
    AttemptLog, CallContext, FirstEventTimeout, IdleTimeout, attempt::History, context::SharedBudget,
};
use oa_wire::{Category, Completion, CompletionRequest, Error};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};
use tokio::time::sleep;
use tower_service::Service;

/// A service for calls, as a set needs it.
pub(super) trait Completions: Send + Sync + 'static
where
    Self: Clone + Service<CompletionRequest, Response = Completion, Error = Error, Future: Send>,
{
}

impl<S> Completions for S where
    S: Service<CompletionRequest, Response = Completion, Error = Error, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Makes a call.
pub(super) async fn call<S: Completions>(
    set: Set<S>,
    mut request: CompletionRequest,
) -> Result<Completion, Error> {
    let context = CallContext::of_mut(&mut request).clone();
    context.take_limits();
    let mut call = pin!(Calls::new(&set, context, request).run());
    poll_fn(|cx| {
        let answer = call.as_mut().poll(cx);
        if answer.is_pending() {
            set.poll_probes(cx);
        }
        answer
    })
    .await
}

/// The calls to servers that one call makes.
struct Calls<'a, S> {
    set: &'a Set<S>,
    context: CallContext,
    request: CompletionRequest,
    call: Call,
    /// The ids of the servers that were called.
    called: Vec<u64>,
    /// How many of them the call itself may have brought down.
    counted: usize,
    history: History,
    /// The last error that a retry may mend.
    transient: Option<Error>,
}

/// The server, and whether the call is its trial.
type Chosen<S> = (Arc<Server<S>>, bool);

impl<'a, S: Completions> Calls<'a, S> {
    fn new(set: &'a Set<S>, context: CallContext, request: CompletionRequest) -> Self {
        let call = set.call(&request);
        let history = History::new(request.extensions.get::<AttemptLog>());
        Self { set, context, request, call, called: Vec::new(), counted: 0, history, transient: None }
    }

    async fn run(mut self) -> Result<Completion, Error> {
        while let Some(chosen) = self.choose() {
            let (server, error) = match self.try_one(chosen).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            self.called.push(server.id);
            self.counted += usize::from(counts(&error));
            let end = if !(self.set.settings.retry_on)(&error) {
                Some("not failed over: no other server would do better")
            } else if self.counted >= self.set.settings.max_servers {
                Some("not failed over: no further server may be called")
            } else if !has_another(&self.set.snapshot(), &self.called, self.set.now(), false) {
                Some("not failed over: no other server is left")
            } else {
                None
            };
            self.failed(&server, &error, end.unwrap_or("failed over"));
            if error.is_transient() {
                self.transient = Some(error.clone());
            }
            if end.is_some() {
                // A key that the second server refuses must not hide that the first may be back.
                let error = match self.transient.take() {
                    Some(transient) if (self.set.settings.retry_on)(&error) => transient,
                    _ => error,
                };
                return Err(self.history.attach(error));
            }
        }
        // The set is empty, or has become so.
        let error = self
            .transient
            .take()
            .unwrap_or_else(|| Error::new(Category::Unavailable, "servers: there are none at the moment"));
        Err(self.history.attach(error))
    }

    /// Notes a failure at a server, for the error, the log and the span that the call is made in.
    fn failed(&mut self, server: &Server<S>, error: &Error, reason: &'static str) {
        let name = &server.health.name;
        tracing::event!(
            name: "openarmature.llm.server_failed",
            tracing::Level::WARN,
            openarmature.llm.server = &**name,
            openarmature.error.category = error.category().as_str(),
        );
        self.history.push_server(name, error, reason);
    }

    /// The next server.
    fn choose(&self) -> Option<Chosen<S>> {
        let servers = self.set.snapshot();
        let now = self.set.now();
        let (at, is_trial) = self.set.choose(&servers, &self.called, &self.context, self.call, now)?;
        Some((servers[at].clone(), is_trial))
    }

    /// Calls one server, and a second one as well if the call is hedged.
    async fn try_one(&mut self, first: Chosen<S>) -> Result<Completion, (Arc<Server<S>>, Error)> {
        // A call that tries a server which was out of rotation is not to pay for it.
        let delay = if first.1 { first.0.health.patience() } else { self.set.hedge_delay() };
        if let Some(delay) = delay {
            return self.try_hedged(first, delay).await;
        }
        let (permit, answer) = self.attempt(first, None).await;
        self.finish(permit, answer)
    }

    /// Of two calls that fail, the error is that of the last one.
    async fn try_hedged(
        &mut self,
        first: Chosen<S>,
        delay: Duration,
    ) -> Result<Completion, (Arc<Server<S>>, Error)> {
        let lost = Arc::new(AtomicBool::new(false));
        let server = first.0.clone();
        let mut one = Box::pin(self.attempt(first, Some(lost.clone())));
        let mut timer = pin!(sleep(delay));
        let early = poll_fn(|cx| match one.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            Poll::Pending => timer.as_mut().poll(cx).map(|()| None),
        })
        .await;
        if let Some((permit, answer)) = early {
            return self.finish(permit, answer);
        }
        self.called.push(server.id);
        let second = self.choose_hedge();
        self.called.pop();
        let Some(second) = second else {
            let (permit, answer) = one.await;
            return self.finish(permit, answer);
        };
        self.set.tell(ServerEvent::Hedged { first: &server.health.name, second: &second.0.health.name });
        let mut running = [Some(one), Some(Box::pin(self.attempt(second, Some(lost.clone()))))];
        loop {
            let (at, (permit, answer)) = poll_fn(|cx| {
                for (at, attempt) in running.iter_mut().enumerate() {
                    if let Some(attempt) = attempt {
                        if let Poll::Ready(ended) = attempt.as_mut().poll(cx) {
                            return Poll::Ready((at, ended));
                        }
                    }
                }
                Poll::Pending
            })
            .await;
            running[at] = None;
            match answer {
                Err(error) if running.iter().any(Option::is_some) => {
                    let server = permit.failed(&error);
                    self.failed(&server, &error, "failed: another server has the call");
                    self.called.push(server.id);
                    self.counted += usize::from(counts(&error));
                    if error.is_transient() {
                        self.transient = Some(error);
                    }
                }
                answer => {
                    lost.store(true, Relaxed);
                    drop(running);
                    return self.finish(permit, answer);
                }
            }
        }
    }

    /// A server for a hedge, if there is one that is well and the budget pays for it.
    fn choose_hedge(&self) -> Option<Chosen<S>> {
        let servers = self.set.snapshot();
        if !has_another(&servers, &self.called, self.set.now(), true) {
            return None;
        }
        let own = self.set.settings.hedge.as_ref().and_then(|hedge| hedge.budget.as_ref());
        let budget = own.or_else(|| self.context.budget.as_ref().map(|SharedBudget(budget)| budget));
        if budget.is_some_and(|budget| !budget.withdraw()) {
            return None;
        }
        // One trial is enough for a call.
        let now = self.set.now();
        let call = Call { is_hedge: true, ..self.call };
        let (at, is_trial) = self.set.choose(&servers, &self.called, &self.context, call, now)?;
        Some((servers[at].clone(), is_trial))
    }

    /// A call to one server, which ends when the answer begins.
    fn attempt(
        &self,
        (server, is_trial): Chosen<S>,
        lost: Option<Arc<AtomicBool>>,
    ) -> impl Future<Output = (Permit<S>, Result<Completion, Error>)> + Send + use<S> {
        let settings = &self.set.settings;
        let within = |limit: Duration, outer: Option<Duration>| outer.map_or(limit, |outer| outer.min(limit));
        let first_event = within(settings.first_event, self.context.first_event);
        let idle = within(settings.idle, self.context.idle);
        let mut request = self.request.clone();
        *CallContext::of_mut(&mut request) = self.context.to_one_server(&server.health.name);
        let mut service = FirstEventTimeout::new(IdleTimeout::new(server.service.clone(), idle), first_event);
        let kind = (request.stream, is_trial);
        let permit = Permit::new(self.set.clone(), server, self.context.clone(), self.call.load, kind, lost);
        async move {
            let answer = match poll_fn(|cx| service.poll_ready(cx)).await {
                Ok(()) => service.call(request).await,
                Err(error) => Err(error),
            };
            (permit, answer)
        }
    }

    fn finish(
        &mut self,
        permit: Permit<S>,
        answer: Result<Completion, Error>,
    ) -> Result<Completion, (Arc<Server<S>>, Error)> {
        match answer {
            Ok(answer) => Ok(permit.began(answer, || std::mem::take(&mut self.history))),
            Err(error) => Err((permit.failed(&error), error)),
        }
    }
}

/// Whether a failure counts to the servers that one call may go to. A wrong key or an unknown model is a
/// matter of the server alone: the call has done it no harm.
fn counts(error: &Error) -> bool {
    !matches!(error.category(), Category::Authentication | Category::InvalidModel) && !error.is_quota_spent()
}
