//! Asking again what may succeed the next time.
//!
//! [`RetrySession`] decides and [`RetryLayer`] waits; [`RetryPolicy`] says what is asked again, how often and
//! when. Three limits hold at once: the policy's attempts for one call, the call's [`Deadline`] (a wait that
//! would pass it is not begun), and a [budget](tower::retry::budget) shared by all calls through the layer,
//! so that an outage does not multiply the traffic. One retry layer is enough: stacked, they multiply.
//!
//! A stream is retried until its first event, since the service's future resolves there; what the caller has
//! seen is never asked for again. A call that wants only the response of a stream can be retried as a whole:
//! see [`Drain`](crate::Drain).

mod backoff;
mod policy;
mod session;

#[cfg(test)]
mod outages;
#[cfg(test)]
mod tests;

pub use backoff::Backoff;
pub use policy::{Retry, RetryPolicy, is_retryable};
pub use session::{Decision, RetrySession};

use crate::{Deadline, Randomness};
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

/// Asks again what failed in passing, by a [`RetryPolicy`].
///
/// ```
/// use oa_middleware::{RetryLayer, RetryPolicy};
///
/// let layer = RetryLayer::new(RetryPolicy::new().max_attempts(5));
/// ```
#[derive(Clone)]
pub struct RetryLayer {
    policy: RetryPolicy,
    budget: Option<Arc<dyn Budget + Send + Sync>>,
    random: Randomness,
}

impl RetryLayer {
    /// A layer with this policy and tower's default budget: one retry for five calls that succeeded in the
    /// last ten seconds, and ten a second besides.
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, budget: Some(Arc::new(TpsBudget::default())), random: Randomness::default() }
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

    /// Sets where jitter comes from.
    pub fn randomness(mut self, random: Randomness) -> Self {
        self.random = random;
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
    type Service = RetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService { inner, layer: self.clone() }
    }
}

/// The service of [`RetryLayer`].
#[derive(Clone, Debug)]
pub struct RetryService<S> {
    inner: S,
    layer: RetryLayer,
}

impl<S> Service<CompletionRequest> for RetryService<S>
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
        let policy = request.extensions.get::<RetryPolicy>().unwrap_or(&self.layer.policy).clone();
        let deadline = request.extensions.get::<Deadline>().copied();
        let session = RetrySession::new(policy, request);
        let first = self.inner.call(session.request());
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
    /// The future of [`RetryService`].
    pub struct RetryFuture<S, F> {
        #[pin]
        state: State<F>,
        service: S,
        session: RetrySession,
        deadline: Option<Deadline>,
        budget: Option<Arc<dyn Budget + Send + Sync>>,
        random: Randomness,
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
                        let attempt = this.service.call(this.session.request());
                        this.state.set(State::Calling { attempt });
                        continue;
                    }
                    Err(error) => error,
                },
            };
            let remaining = this.deadline.map(|Deadline(at)| at.saturating_duration_since(Instant::now()));
            let budget = this.budget.as_ref();
            let withdraw = || budget.is_none_or(|budget| budget.withdraw());
            match this.session.failed(error, remaining, this.random.next_f64(), withdraw) {
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
