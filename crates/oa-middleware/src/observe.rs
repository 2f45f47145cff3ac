//! A layer that watches calls to their end, which for a stream is the end of the stream.

use oa_wire::{Completion, CompletionRequest, Error, Event, EventSource, Response};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Watches the calls that go through an [`ObserveLayer`].
///
/// Inside retry it sees attempts, outside it whole calls.
///
/// ```
/// use oa_middleware::{CallContext, CallObserver, ObserveLayer, Observer};
/// use oa_wire::{CompletionRequest, Error, Event, Response};
///
/// #[derive(Clone)]
/// struct Print;
///
/// struct Call {
///     attempt: u32,
///     events: u32,
/// }
///
/// impl Observer for Print {
///     type Call = Call;
///
///     fn begin(&self, request: &mut CompletionRequest) -> Option<Call> {
///         let attempt = CallContext::of(request).map_or(0, CallContext::attempt);
///         Some(Call { attempt, events: 0 })
///     }
/// }
///
/// impl CallObserver for Call {
///     fn event(&mut self, _: &Event) {
///         self.events += 1;
///     }
///
///     fn done(self, response: &Response) {
///         println!("attempt {}: {} events, {:?}", self.attempt, self.events, response.usage);
///     }
///
///     fn failed(self, error: &Error) {
///         println!("attempt {}: {}", self.attempt, error.category());
///     }
/// }
///
/// let layer = ObserveLayer::new(Print);
/// ```
pub trait Observer {
    /// What watches one call.
    type Call: CallObserver;

    /// A call begins. Without an observer it passes through untouched.
    ///
    /// What is put into the request's extensions is seen by the layers inside.
    fn begin(&self, request: &mut CompletionRequest) -> Option<Self::Call>;
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    type Call = O::Call;

    fn begin(&self, request: &mut CompletionRequest) -> Option<Self::Call> {
        (**self).begin(request)
    }
}

/// Where there is none, nothing is observed.
impl<O: Observer> Observer for Option<O> {
    type Call = O::Call;

    fn begin(&self, request: &mut CompletionRequest) -> Option<Self::Call> {
        self.as_ref()?.begin(request)
    }
}

/// Learns what becomes of one call. Exactly one of the last three methods is called, and nothing after it.
///
/// They run while the call is polled: they must not block.
pub trait CallObserver: Send + 'static {
    /// Every poll of the call, and of its stream, runs in here.
    fn in_scope<T>(&self, poll: impl FnOnce() -> T) -> T {
        poll()
    }

    /// A stream has begun: its first event is there.
    fn first_event(&mut self) {}

    /// An event of the stream is handed out.
    fn event(&mut self, event: &Event) {
        let _ = event;
    }

    /// The answer is complete.
    fn done(self, response: &Response);

    /// The call failed, or its stream did.
    fn failed(self, error: &Error);

    /// The caller dropped the call, or its stream. For a stream, `partial` makes a response of what came.
    fn cancelled(self, partial: Option<&dyn Fn() -> Response>)
    where
        Self: Sized,
    {
        let _ = partial;
    }
}

/// Shows the calls that go through it to an [`Observer`].
///
/// For a summary of each call at its end, see [`ObserveLayer::on_end`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ObserveLayer<O> {
    observer: O,
}

impl<O> ObserveLayer<O> {
    /// A layer with this observer.
    pub const fn new(observer: O) -> Self {
        Self { observer }
    }
}

impl<S, O: Observer + Clone> Layer<S> for ObserveLayer<O> {
    type Service = Observe<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, self.observer.clone())
    }
}

/// A service whose calls are shown to an [`Observer`].
#[derive(Clone, Copy, Debug)]
pub struct Observe<S, O> {
    inner: S,
    observer: O,
}

impl<S, O> Observe<S, O> {
    /// Shows the calls of this service to this observer.
    pub const fn new(inner: S, observer: O) -> Self {
        Self { inner, observer }
    }

    accessors!();
}

impl<S, O> Service<CompletionRequest> for Observe<S, O>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error>,
    O: Observer,
{
    type Response = Completion;
    type Error = Error;
    type Future = ObserveFuture<S::Future, O::Call>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: CompletionRequest) -> Self::Future {
        let observer = self.observer.begin(&mut request);
        let inner = match &observer {
            Some(observer) => observer.in_scope(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        ObserveFuture::new(inner, observer)
    }
}

pin_project! {
    /// The future of [`Observe`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ObserveFuture<F, C: CallObserver> {
        #[pin]
        inner: F,
        watch: Watch<C>,
    }
}

impl<F, C: CallObserver> ObserveFuture<F, C> {
    pub(crate) fn new(inner: F, observer: Option<C>) -> Self {
        Self { inner, watch: Watch(observer) }
    }
}

impl<F, C> Future for ObserveFuture<F, C>
where
    F: Future<Output = Result<Completion, Error>>,
    C: CallObserver,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let inner = this.inner;
        let answer = match &this.watch.0 {
            Some(observer) => ready!(observer.in_scope(|| inner.poll(cx))),
            None => return inner.poll(cx),
        };
        let Some(mut observer) = this.watch.0.take() else { return Poll::Ready(answer) };
        Poll::Ready(match answer {
            Ok(Completion::Stream(stream)) => {
                observer.first_event();
                let watch = Watch(Some(observer));
                Ok(Completion::Stream(stream.wrap(|inner| ObservedSource { inner, watch })))
            }
            Ok(Completion::Response(response)) => {
                observer.done(&response);
                Ok(Completion::Response(response))
            }
            Ok(other) => Ok(other),
            Err(error) => {
                observer.failed(&error);
                Err(error)
            }
        })
    }
}

/// Tells the observer when the call is dropped.
#[derive(Debug)]
struct Watch<C: CallObserver>(Option<C>);

impl<C: CallObserver> Drop for Watch<C> {
    fn drop(&mut self) {
        if let Some(observer) = self.0.take() {
            observer.cancelled(None);
        }
    }
}

struct ObservedSource<C: CallObserver> {
    inner: Pin<Box<dyn EventSource>>,
    watch: Watch<C>,
}

// The observer is never pinned.
impl<C: CallObserver> Unpin for ObservedSource<C> {}

impl<C: CallObserver> EventSource for ObservedSource<C> {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let this = &mut *self;
        let Some(observer) = &mut this.watch.0 else { return this.inner.as_mut().poll_event(cx) };
        let event = ready!(observer.in_scope(|| this.inner.as_mut().poll_event(cx)));
        if let Some(Ok(event)) = &event {
            observer.event(event);
        }
        match &event {
            Some(Ok(Event::Done(response))) => {
                if let Some(observer) = this.watch.0.take() {
                    observer.done(response);
                }
            }
            Some(Err(error)) => {
                if let Some(observer) = this.watch.0.take() {
                    observer.failed(error);
                }
            }
            Some(Ok(_)) | None => {}
        }
        Poll::Ready(event)
    }

    fn snapshot(&self) -> Response {
        self.inner.snapshot()
    }
}

impl<C: CallObserver> Drop for ObservedSource<C> {
    fn drop(&mut self) {
        if let Some(observer) = self.watch.0.take() {
            let inner = &self.inner;
            observer.cancelled(Some(&|| inner.snapshot()));
        }
    }
}
