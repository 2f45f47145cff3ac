//! The time limit until an attempt begins to answer.

use super::limits::{Timeouts, after, limit, timed_out};
use crate::{CallContext, context::Limits};
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

/// Limits the time to the first event of a stream, or to the whole answer of a call that does not stream.
///
/// Stack it inside retry, so that each attempt has it anew. Around [`Servers`](crate::Servers) it is the
/// limit of each server: a call that one of them leaves waiting goes on to another.
#[derive(Clone, Copy, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct FirstEventTimeoutLayer {
    limit: Duration,
}

impl FirstEventTimeoutLayer {
    /// A layer with this limit.
    pub const fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl<S> Layer<S> for FirstEventTimeoutLayer {
    type Service = FirstEventTimeout<S>;

    fn layer(&self, inner: S) -> Self::Service {
        FirstEventTimeout::new(inner, self.limit)
    }
}

/// The service of [`FirstEventTimeoutLayer`].
#[derive(Clone, Copy, Debug)]
pub struct FirstEventTimeout<S> {
    inner: S,
    limit: Duration,
}

impl<S> FirstEventTimeout<S> {
    /// Puts this limit around a service.
    pub const fn new(inner: S, limit: Duration) -> Self {
        Self { inner, limit }
    }

    accessors!();
}

impl<S> Service<CompletionRequest> for FirstEventTimeout<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error>,
{
    type Response = Completion;
    type Error = Error;
    type Future = FirstEventTimeoutFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: CompletionRequest) -> Self::Future {
        let limit = limit(&request, self.limit, |own: &Timeouts| own.first_event);
        let context = CallContext::of_mut(&mut request);
        context.first_event = Some(context.first_event.map_or(limit, |outer| outer.min(limit)));
        FirstEventTimeoutFuture {
            limit,
            limits: context.limits(),
            stream: request.stream,
            started: Instant::now(),
            inner: self.inner.call(request),
            sleep: None,
        }
    }
}

pin_project! {
    /// The future of [`FirstEventTimeout`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct FirstEventTimeoutFuture<F> {
        #[pin]
        inner: F,
        #[pin]
        sleep: Option<Sleep>,
        limit: Duration,
        limits: Limits,
        stream: bool,
        started: Instant,
    }
}

impl<F> Future for FirstEventTimeoutFuture<F>
where
    F: Future<Output = Result<Completion, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(answer) = this.inner.poll(cx) {
            return Poll::Ready(answer);
        }
        if this.limits.are_inside() {
            return Poll::Pending;
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(after(*this.started, *this.limit))));
        }
        if let Some(sleep) = this.sleep.as_pin_mut() {
            ready!(sleep.poll(cx));
        }
        let awaited = if *this.stream { "first event" } else { "answer" };
        let what = format!(
            "first-event timeout: no {awaited} within {:?}, and no event was received; the limit is set by \
             FirstEventTimeoutLayer",
            this.limit
        );
        Poll::Ready(Err(timed_out(what, this.started.elapsed(), None)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, Step, request};
    use oa_wire::{Category, ErrorKind};
    use tower::ServiceExt;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_does_not_begin_fails_and_says_why() {
        let script = Script::new([Step::stall()]);
        let start = Instant::now();
        let error = FirstEventTimeoutLayer::new(LIMIT).layer(script).oneshot(request()).await.unwrap_err();
        assert_eq!(start.elapsed(), LIMIT);
        assert_eq!((error.category(), error.kind()), (Category::Unavailable, Some(ErrorKind::Timeout)));
        assert_eq!(error.elapsed(), Some(LIMIT));
        assert!(error.partial().is_none());
        assert_eq!(
            error.message(),
            "first-event timeout: no answer within 10s, and no event was received; the limit is set by \
             FirstEventTimeoutLayer"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_with_the_first_event() {
        let script = Script::new([Step::stream([(5, "a"), (60, "b")])]);
        let service = FirstEventTimeoutLayer::new(LIMIT).layer(script);
        let answer = service.oneshot(request().with_stream(true)).await.unwrap();
        assert_eq!(answer.into_response().await.unwrap().text(), "ab");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_there_wins_over_the_timer() {
        let script = Script::new([Step::text("late").after(11)]);
        let mut future = std::pin::pin!(FirstEventTimeoutLayer::new(LIMIT).layer(script).oneshot(request()));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(future.await.unwrap().into_response().await.unwrap().text(), "late");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_may_have_its_own_limit() {
        let script = Script::new([Step::text("slow").after(30)]);
        let mut request = request();
        request.extensions.insert(Timeouts::new().with_first_event(Duration::from_secs(60)));
        assert!(FirstEventTimeoutLayer::new(LIMIT).layer(script).oneshot(request).await.is_ok());
    }
}
