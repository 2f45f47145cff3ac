//! Retries of what may succeed the next time.
//!
//! [`RetrySession`] decides and [`RetryLayer`] waits; [`RetryPolicy`] says what is retried, how often and
//! when. Three limits hold at once: the policy's attempts for one call, the call's deadline (a wait that
//! would pass it is not begun), and a [budget](tower::retry::budget) shared by all calls through the layer,
//! so that an outage does not multiply the traffic. Of two retry layers, one inside the other, only the outer
//! one retries.
//!
//! A stream is retried until its first event, since the service's future resolves there; what the caller has
//! seen is never sent for again. A call that wants only the response of a stream can be retried as a whole:
//! see [`CollectStream`](crate::CollectStream).

mod backoff;
mod policy;
mod session;

#[cfg(test)]
mod chaos_tests;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use policy::{RetryEvent, RetryPolicy, is_retryable};
pub use session::{Decision, RetrySession};

use crate::{CallContext, context::SharedBudget, random::Random};
use oa_wire::{CompletionRequest, Error};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::budget::{Budget, TpsBudget};
use tower_layer::Layer;
use tower_service::Service;

/// Retries transient failures by a [`RetryPolicy`].
///
/// ```
/// use oa_middleware::{RetryLayer, RetryPolicy};
///
/// let layer = RetryLayer::new(RetryPolicy::new().max_attempts(5));
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct RetryLayer {
    policy: RetryPolicy,
    budget: Option<Arc<dyn Budget + Send + Sync>>,
    random: Random,
}

impl RetryLayer {
    /// A layer with this policy and tower's default budget: one retry for five calls that succeeded in the
    /// last ten seconds, and ten a second besides.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, budget: Some(Arc::new(TpsBudget::default())), random: Random::default() }
    }

    /// Sets the budget that all calls through this layer share. A reask takes nothing from it.
    pub fn budget(mut self, budget: Arc<dyn Budget + Send + Sync>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Lets calls retry whatever the others do.
    pub fn without_budget(mut self) -> Self {
        self.budget = None;
        self
    }

    /// Makes the jitter the same in each run, for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.random = Random::seeded(seed);
        self
    }
}

impl Default for RetryLayer {
    fn default() -> Self {
        Self::new(RetryPolicy::new())
    }
}

impl fmt::Debug for RetryLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryLayer")
            .field("policy", &self.policy)
            .field("budget", &self.budget.is_some())
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RetryLayer {
    type Service = Retry<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Retry::new(inner, self.clone())
    }
}

/// The service of [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct Retry<S> {
    inner: S,
    layer: RetryLayer,
}

impl<S> Retry<S> {
    /// Retries the calls of this service as this layer does.
    pub const fn new(inner: S, layer: RetryLayer) -> Self {
        Self { inner, layer }
    }

    accessors!();
}

impl<S> Service<CompletionRequest> for Retry<S>
where
    S: Service<CompletionRequest, Error = Error> + Clone,
{
    type Response = S::Response;
    type Error = Error;
    type Future = RetryFuture<S, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let context = CallContext::of(&request);
        let deadline = context.and_then(CallContext::deadline);
        let (session, first) = if context.is_some_and(|context| context.retried) {
            (None, request)
        } else {
            let policy = request.extensions.get::<RetryPolicy>().unwrap_or(&self.layer.policy).clone();
            let budget = self.layer.budget.clone().map(SharedBudget);
            let (session, first) = RetrySession::begin(policy, request, budget);
            (Some(session), first)
        };
        let first = self.inner.call(first);
        RetryFuture {
            state: State::Calling { attempt: first },
            // The next attempt polls its own service to readiness: this one's was used up by the first.
            service: self.inner.clone(),
            session,
            deadline,
            budget: self.layer.budget.clone(),
            random: self.layer.random.clone(),
        }
    }
}

pin_project! {
    /// The future of [`Retry`].
    #[must_use = "futures do nothing unless polled"]
    pub struct RetryFuture<S, F> {
        #[pin]
        state: State<F>,
        service: S,
        // None where a retry layer is outside: that one retries.
        session: Option<RetrySession>,
        deadline: Option<Instant>,
        budget: Option<Arc<dyn Budget + Send + Sync>>,
        random: Random,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Calling { #[pin] attempt: F },
        Sleeping { #[pin] wait: Sleep },
        Readying,
    }
}

impl<S, T> Future for RetryFuture<S, S::Future>
where
    S: Service<CompletionRequest, Response = T, Error = Error>,
{
    type Output = Result<T, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(session) = this.session else {
            let StateProjection::Calling { attempt } = this.state.project() else { return Poll::Pending };
            return attempt.poll(cx);
        };
        loop {
            let error = match this.state.as_mut().project() {
                StateProjection::Calling { attempt } => match ready!(attempt.poll(cx)) {
                    Ok(answer) => {
                        if let Some(budget) = this.budget {
                            budget.deposit();
                        }
                        return Poll::Ready(Ok(answer));
                    }
                    Err(error) => error,
                },
                StateProjection::Sleeping { wait } => {
                    ready!(wait.poll(cx));
                    this.state.set(State::Readying);
                    continue;
                }
                StateProjection::Readying => match ready!(this.service.poll_ready(cx)) {
                    Ok(()) => {
                        let attempt = this.service.call(session.request());
                        this.state.set(State::Calling { attempt });
                        continue;
                    }
                    Err(error) => error,
                },
            };
            let remaining = this.deadline.map(|at| at.saturating_duration_since(Instant::now()));
            let budget = this.budget.as_ref();
            let withdraw = || budget.is_none_or(|budget| budget.withdraw());
            match session.failed(error, remaining, this.random.next_f64(), withdraw) {
                Decision::Retry { wait, .. } if wait.is_zero() => this.state.set(State::Readying),
                Decision::Retry { wait, .. } => this.state.set(State::Sleeping { wait: sleep(wait) }),
                Decision::Stop(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<S, F> fmt::Debug for RetryFuture<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").field("session", &self.session).finish_non_exhaustive()
    }
}
