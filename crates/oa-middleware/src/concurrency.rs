//! A limit on calls at a time that counts a stream until its end.

use oa_wire::{Completion, CompletionRequest, Error, Event, EventSource, Response};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tower_layer::Layer;
use tower_service::Service;

/// Limits how many calls are under way at a time. The others wait for their turn, in order.
///
/// tower's own limit lets go of a call when its future ends, which for a stream is at its first event; this
/// one holds its place until the stream has ended or is dropped. All services of one layer, and their clones,
/// share the limit.
///
/// Outside of retry, a call keeps its place while retry waits. Inside of a
/// [`FirstEventTimeoutLayer`](crate::FirstEventTimeoutLayer), or around one of several
/// [`Servers`](crate::Servers), the time in the queue counts as the server's.
///
/// ```
/// use oa_middleware::ConcurrencyLimitLayer;
///
/// let layer = ConcurrencyLimitLayer::new(64);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ConcurrencyLimitLayer {
    places: Arc<Semaphore>,
}

impl ConcurrencyLimitLayer {
    /// A layer for so many calls at a time, at least one.
    pub fn new(calls: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(calls.clamp(1, Semaphore::MAX_PERMITS))) }
    }
}

impl<S> Layer<S> for ConcurrencyLimitLayer {
    type Service = ConcurrencyLimit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ConcurrencyLimit { inner, places: self.places.clone() }
    }
}

/// The service of [`ConcurrencyLimitLayer`].
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit<S> {
    inner: S,
    places: Arc<Semaphore>,
}

impl<S> ConcurrencyLimit<S> {
    accessors!();
}

impl<S> Service<CompletionRequest> for ConcurrencyLimit<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error> + Clone,
{
    type Response = Completion;
    type Error = Error;
    type Future = ConcurrencyLimitFuture<S, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        // The service that is ready is the one that is called, now or later.
        let next = self.inner.clone();
        let mut service = mem::replace(&mut self.inner, next);
        let state = match self.places.clone().try_acquire_owned() {
            Ok(place) => State::Calling { call: service.call(request), place: Some(place) },
            Err(_) => State::Waiting {
                turn: Box::pin(self.places.clone().acquire_owned()),
                waiting: Some((service, request)),
            },
        };
        ConcurrencyLimitFuture { state }
    }
}

pin_project! {
    /// The future of [`ConcurrencyLimit`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ConcurrencyLimitFuture<S, F> {
        #[pin]
        state: State<S, F>,
    }
}

type Turn = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

pin_project! {
    #[project = StateProjection]
    enum State<S, F> {
        Waiting { turn: Turn, waiting: Option<(S, CompletionRequest)> },
        Calling { #[pin] call: F, place: Option<OwnedSemaphorePermit> },
    }
}

impl<S> Future for ConcurrencyLimitFuture<S, S::Future>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error>,
{
    type Output = Result<Completion, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Waiting { turn, waiting } => {
                    // The semaphore is never closed.
                    let place = ready!(turn.as_mut().poll(cx)).ok();
                    let Some((mut service, request)) = waiting.take() else { return Poll::Pending };
                    let call = service.call(request);
                    state.set(State::Calling { call, place });
                }
                StateProjection::Calling { call, place } => {
                    let answer = ready!(call.poll(cx));
                    let place = place.take();
                    return Poll::Ready(answer.map(|answer| match answer {
                        Completion::Stream(stream) => {
                            Completion::Stream(stream.wrap(|inner| Placed { inner, place }))
                        }
                        answer => answer,
                    }));
                }
            }
        }
    }
}

impl<S, F> fmt::Debug for ConcurrencyLimitFuture<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_waiting = matches!(self.state, State::Waiting { .. });
        f.debug_struct("ConcurrencyLimitFuture").field("is_waiting", &is_waiting).finish_non_exhaustive()
    }
}

/// A stream that holds its place until its end.
struct Placed {
    inner: Pin<Box<dyn EventSource>>,
    place: Option<OwnedSemaphorePermit>,
}

impl EventSource for Placed {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let event = ready!(self.inner.as_mut().poll_event(cx));
        if matches!(event, None | Some(Err(_) | Ok(Event::Done(_)))) {
            self.place = None;
        }
        Poll::Ready(event)
    }

    fn snapshot(&self) -> Response {
        self.inner.snapshot()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, Step, request};
    use oa_wire::Category;
    use std::time::Duration;
    use tokio::time::{Instant, timeout};
    use tower::ServiceExt;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_stream_holds_its_place_until_its_end() {
        let steps = [Step::stream([(0, "a"), (5, "b")]), Step::text("second")];
        let service = ConcurrencyLimitLayer::new(1).layer(Script::new(steps));
        let start = Instant::now();
        let first = service.clone().oneshot(request().with_stream(true)).await.unwrap();
        let second = tokio::spawn(service.oneshot(request()));
        assert_eq!(first.into_response().await.unwrap().text(), "ab");
        assert_eq!(second.await.unwrap().unwrap().into_response().await.unwrap().text(), "second");
        assert_eq!(start.elapsed(), 5 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_is_dropped_or_fails_gives_its_place_back() {
        let steps = [
            Step::stream([(0, "a"), (1000, "b")]),
            Step::broken_stream([(0, "a")], Error::new(Category::Unavailable, "cut off")),
            Step::error(Error::new(Category::Unavailable, "refused")),
            Step::text("last"),
        ];
        let service = ConcurrencyLimitLayer::new(1).layer(Script::new(steps));
        let streamed = request().with_stream(true);
        drop(service.clone().oneshot(streamed.clone()).await.unwrap());
        let broken = service.clone().oneshot(streamed).await.unwrap();
        let Completion::Stream(mut broken) = broken else { panic!("no stream") };
        while broken.next().await.is_some_and(|event| event.is_ok()) {}
        service.clone().oneshot(request()).await.unwrap_err();
        assert!(timeout(SECOND, service.oneshot(request())).await.unwrap().is_ok());
        drop(broken);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_run_at_a_time_and_one_that_is_dropped_in_the_queue_leaves_it() {
        let script = Script::new((0..6).map(|_| Step::text("x").after(1)));
        let service = ConcurrencyLimitLayer::new(2).layer(script);
        let start = Instant::now();
        let calls: Vec<_> = (0..7).map(|_| tokio::spawn(service.clone().oneshot(request()))).collect();
        tokio::task::yield_now().await;
        calls[3].abort();
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.is_ok(), number != 3);
        }
        assert_eq!(start.elapsed(), 3 * SECOND);
    }
}
