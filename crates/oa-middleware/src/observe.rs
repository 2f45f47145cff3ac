//! Watching a call to its end, which for a stream is the end of the stream: what tracing, timing, metrics and
//! load have in common.

use oa_wire::{Completion, Error, Event, EventSource, Response};
use pin_project_lite::pin_project;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

/// Learns what becomes of one call. Exactly one of the last three is called.
pub(crate) trait Observer: Send + Unpin + 'static {
    /// Every poll of the call runs in here.
    fn in_scope<T>(&self, poll: impl FnOnce() -> T) -> T {
        poll()
    }

    /// A stream has begun.
    fn began(&mut self) {}

    /// The answer is whole.
    fn done(self, response: &Response);

    /// It failed.
    fn failed(self, error: &Error);

    /// The caller lost interest. What came until then is there for streams, at the cost of making it.
    fn abandoned(self, so_far: Option<&dyn Fn() -> Response>);
}

pin_project! {
    /// A call under observation, or not, if there is no observer.
    #[derive(Debug)]
    pub(crate) struct Observed<F, O: Observer> {
        #[pin]
        inner: F,
        watch: Watch<O>,
    }
}

impl<F, O: Observer> Observed<F, O> {
    pub(crate) fn new(inner: F, observer: Option<O>) -> Self {
        Self { inner, watch: Watch(observer) }
    }
}

impl<F, O> Future for Observed<F, O>
where
    F: Future<Output = Result<Completion, Error>>,
    O: Observer,
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
                observer.began();
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

/// Tells the observer if nobody asks any more.
#[derive(Debug)]
struct Watch<O: Observer>(Option<O>);

impl<O: Observer> Drop for Watch<O> {
    fn drop(&mut self) {
        if let Some(observer) = self.0.take() {
            observer.abandoned(None);
        }
    }
}

struct ObservedSource<O: Observer> {
    inner: Pin<Box<dyn EventSource>>,
    watch: Watch<O>,
}

impl<O: Observer> EventSource for ObservedSource<O> {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let this = &mut *self;
        let Some(observer) = &this.watch.0 else { return this.inner.as_mut().poll_event(cx) };
        let event = ready!(observer.in_scope(|| this.inner.as_mut().poll_event(cx)));
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

impl<O: Observer> Drop for ObservedSource<O> {
    fn drop(&mut self) {
        if let Some(observer) = self.watch.0.take() {
            let inner = &self.inner;
            observer.abandoned(Some(&|| inner.snapshot()));
        }
    }
}

/// The service and the future of a layer that only observes.
macro_rules! observing {
    ($layer:ident, $service:ident, $future:ident, $observer:ty) => {
        impl<S> tower_layer::Layer<S> for $layer {
            type Service = $service<S>;

            fn layer(&self, inner: S) -> Self::Service {
                $service { inner, layer: self.clone() }
            }
        }

        #[doc = concat!("The service of [`", stringify!($layer), "`].")]
        #[derive(Clone, Debug)]
        pub struct $service<S> {
            inner: S,
            layer: $layer,
        }

        impl<S> tower_service::Service<oa_wire::CompletionRequest> for $service<S>
        where
            S: tower_service::Service<
                    oa_wire::CompletionRequest,
                    Response = oa_wire::Completion,
                    Error = oa_wire::Error,
                >,
        {
            type Response = oa_wire::Completion;
            type Error = oa_wire::Error;
            type Future = $future<S::Future>;

            fn poll_ready(
                &mut self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<(), oa_wire::Error>> {
                self.inner.poll_ready(cx)
            }

            fn call(&mut self, request: oa_wire::CompletionRequest) -> Self::Future {
                let observer: Option<$observer> = self.layer.observe(&request);
                let inner = match &observer {
                    Some(observer) => {
                        crate::observe::Observer::in_scope(observer, || self.inner.call(request))
                    }
                    None => self.inner.call(request),
                };
                $future { inner: crate::observe::Observed::new(inner, observer) }
            }
        }

        pin_project_lite::pin_project! {
            #[doc = concat!("The future of [`", stringify!($service), "`].")]
            #[derive(Debug)]
            pub struct $future<F> {
                #[pin]
                inner: crate::observe::Observed<F, $observer>,
            }
        }

        impl<F> std::future::Future for $future<F>
        where
            F: std::future::Future<Output = Result<oa_wire::Completion, oa_wire::Error>>,
        {
            type Output = F::Output;

            fn poll(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Self::Output> {
                self.project().inner.poll(cx)
            }
        }
    };
}
pub(crate) use observing;
