//! The time limit between two events of a stream.

use super::{
    limits::{Timeouts, limit},
    source::{Limit, Limited},
};
use crate::{CallContext, context::Limits};
use oa_wire::{Completion, CompletionRequest, Error};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// Limits the time between two events of a stream, while the caller waits for the next.
///
/// The limit belongs to the stream: a long answer is no reason to end it. Around
/// [`Servers`](crate::Servers) it is the limit of each server.
#[derive(Clone, Copy, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct IdleTimeoutLayer {
    limit: Duration,
}

impl IdleTimeoutLayer {
    /// A layer with this limit.
    pub const fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl Default for IdleTimeoutLayer {
    /// 60 seconds.
    fn default() -> Self {
        Self::new(Duration::from_secs(60))
    }
}

impl<S> Layer<S> for IdleTimeoutLayer {
    type Service = IdleTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IdleTimeout::new(inner, self.limit)
    }
}

/// The service of [`IdleTimeoutLayer`].
#[derive(Clone, Copy, Debug)]
pub struct IdleTimeout<S> {
    inner: S,
    limit: Duration,
}

impl<S> IdleTimeout<S> {
    /// Puts this limit around a service.
    pub const fn new(inner: S, limit: Duration) -> Self {
        Self { inner, limit }
    }

    accessors!();
}

impl<S> Service<CompletionRequest> for IdleTimeout<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error>,
{
    type Response = Completion;
    type Error = Error;
    type Future = IdleTimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: CompletionRequest) -> Self::Future {
        let limit = limit(&request, self.limit, |own: &Timeouts| own.idle);
        let context = CallContext::of_mut(&mut request);
        context.idle = Some(context.idle.map_or(limit, |outer| outer.min(limit)));
        IdleTimeoutFuture {
            limit,
            limits: context.limits(),
            started: Instant::now(),
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The future of [`IdleTimeout`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct IdleTimeoutFuture<F> {
        #[pin]
        inner: F,
        limit: Duration,
        limits: Limits,
        started: Instant,
    }
}

impl<F> Future for IdleTimeoutFuture<F>
where
    F: Future<Output = Result<Completion, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(Ok(match ready!(this.inner.poll(cx))? {
            Completion::Stream(stream) if !this.limits.are_inside() => {
                let (limit, started) = (Limit::Idle(*this.limit), *this.started);
                Completion::Stream(stream.wrap(|inner| Limited::new(inner, limit, started)))
            }
            whole => whole,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, Step, request};
    use oa_wire::{Category, CompletionStream, ErrorKind, Event};
    use tower::ServiceExt;

    async fn stream(step: Step) -> CompletionStream {
        let service = IdleTimeoutLayer::new(Duration::from_secs(10)).layer(Script::new([step]));
        match service.oneshot(request().with_stream(true)).await.unwrap() {
            Completion::Stream(stream) => stream,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_stalled_stream_fails_keeps_what_came_and_closes_the_request() {
        let step = Step::stream([(0, "a"), (5, "b"), (10_000, "c")]);
        let open = step.open_streams();
        let mut stream = stream(step).await;
        assert!(matches!(stream.next().await, Some(Ok(Event::Content(_)))));
        assert!(matches!(stream.next().await, Some(Ok(Event::Content(_)))));
        let waited = Instant::now();
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(waited.elapsed(), Duration::from_secs(10));
        assert_eq!((error.category(), error.kind()), (Category::Unavailable, Some(ErrorKind::Timeout)));
        assert_eq!(error.elapsed(), Some(Duration::from_secs(15)));
        assert_eq!(error.partial().unwrap().text(), "ab");
        assert_eq!(
            error.message(),
            "idle timeout: the server sent no event for 10.0s (limit 10s), after 2 events in 15.0s; \
             the limit is set by IdleTimeoutLayer"
        );
        assert_eq!(open.get(), 0);
        assert!(stream.next().await.is_none());
        assert_eq!(stream.snapshot().text(), "ab");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_stream_whose_events_come_is_fine() {
        let stream = stream(Step::stream((0..100).map(|_| (9, "x")))).await;
        assert_eq!(stream.into_response().await.unwrap().text(), "x".repeat(100));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_consumer_is_not_a_stalled_server() {
        let mut stream = stream(Step::stream([(0, "a"), (1, "b"), (1, "c")])).await;
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            if let Event::Content(delta) = event.unwrap() {
                text.push_str(&delta);
            }
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
        assert_eq!(text, "abc");
    }

    #[tokio::test(start_paused = true)]
    async fn data_that_is_there_wins_over_a_timer_that_has_fired() {
        let mut stream = stream(Step::stream([(0, "a"), (5, "b")])).await;
        stream.next().await.unwrap().unwrap();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::pin!(stream.next()).poll(&mut cx).is_pending());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(matches!(stream.next().await, Some(Ok(Event::Content(_)))));
    }
}
