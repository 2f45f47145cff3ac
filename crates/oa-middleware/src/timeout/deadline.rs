//! The time limit of a call as a whole.

use super::{
    limits::{Timeouts, after, limit, timed_out},
    source::{Limit, Limited},
};
use crate::CallContext;
use oa_wire::{Completion, CompletionRequest, Error};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};
use tower_layer::Layer;
use tower_service::Service;

/// Limits the time from the call to the end of its answer: attempts, the waits between them, and the stream.
///
/// An event that is there is handed out even after the deadline; the stream ends when it has to be waited
/// for. Stack it outside retry, which begins no wait that would pass the deadline
/// ([`CallContext::deadline`]).
#[derive(Clone, Copy, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct DeadlineLayer {
    limit: Duration,
}

impl DeadlineLayer {
    /// A layer with this limit.
    pub const fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Deadline::new(inner, self.limit)
    }
}

/// The service of [`DeadlineLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Deadline<S> {
    inner: S,
    limit: Duration,
}

impl<S> Deadline<S> {
    /// Puts this limit around a service.
    pub const fn new(inner: S, limit: Duration) -> Self {
        Self { inner, limit }
    }

    accessors!();
}

impl<S> Service<CompletionRequest> for Deadline<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error>,
{
    type Response = Completion;
    type Error = Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: CompletionRequest) -> Self::Future {
        let limit = limit(&request, self.limit, |own: &Timeouts| own.deadline);
        let started = Instant::now();
        let mut at = after(started, limit);
        let context = CallContext::of_mut(&mut request);
        if let Some(outer) = context.deadline {
            at = at.min(outer);
        }
        context.deadline = Some(at);
        DeadlineFuture {
            inner: self.inner.call(request),
            sleep: None,
            limit: at.saturating_duration_since(started),
            started,
            at,
        }
    }
}

pin_project! {
    /// The future of [`Deadline`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct DeadlineFuture<F> {
        #[pin]
        inner: F,
        #[pin]
        sleep: Option<Sleep>,
        limit: Duration,
        started: Instant,
        at: Instant,
    }
}

impl<F> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Completion, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (limit, started, at) = (*this.limit, *this.started, *this.at);
        if let Poll::Ready(answer) = this.inner.poll(cx) {
            return Poll::Ready(Ok(match answer? {
                Completion::Stream(stream) => {
                    let limit = Limit::Deadline { limit, at };
                    Completion::Stream(stream.wrap(|inner| Limited::new(inner, limit, started)))
                }
                whole => whole,
            }));
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(at)));
        }
        if let Some(sleep) = this.sleep.as_pin_mut() {
            ready!(sleep.poll(cx));
        }
        let what =
            format!("deadline: the answer did not begin within {limit:?}; the limit is set by DeadlineLayer");
        Poll::Ready(Err(timed_out(what, started.elapsed(), None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, Step, request};
    use oa_wire::{Category, ErrorKind};
    use tower::ServiceExt;

    fn service(step: Step) -> Deadline<Script> {
        DeadlineLayer::new(Duration::from_secs(10)).layer(Script::new([step]))
    }

    #[tokio::test(start_paused = true)]
    async fn it_bounds_the_stream_as_well() {
        let step = Step::stream((0..100).map(|_| (3, "x")));
        let start = Instant::now();
        let answer = service(step).oneshot(request().with_stream(true)).await.unwrap();
        let error = answer.into_response().await.unwrap_err();
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert_eq!((error.category(), error.kind()), (Category::Unavailable, Some(ErrorKind::Timeout)));
        assert_eq!(error.partial().unwrap().text(), "xxx");
        assert_eq!(
            error.message(),
            "deadline: the answer was not complete within 10s, after 3 events; \
             the limit is set by DeadlineLayer"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_bounds_the_wait_for_the_beginning() {
        let error = service(Step::stall()).oneshot(request()).await.unwrap_err();
        assert_eq!(
            error.message(),
            "deadline: the answer did not begin within 10s; the limit is set by DeadlineLayer"
        );
        assert_eq!(error.elapsed(), Some(Duration::from_secs(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_layers_inside_see_the_earlier_of_two() {
        let script = Script::new([Step::text("a")]);
        let outer = DeadlineLayer::new(Duration::from_secs(5))
            .layer(DeadlineLayer::new(Duration::from_secs(10)).layer(script.clone()));
        outer.oneshot(request()).await.unwrap();
        let seen = CallContext::of(&script.requests()[0]).unwrap().deadline().unwrap();
        assert_eq!(seen - Instant::now(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_beyond_time_is_none() {
        let script = Script::new([Step::text("a")]);
        assert!(DeadlineLayer::new(Duration::MAX).layer(script).oneshot(request()).await.is_ok());
    }
}
