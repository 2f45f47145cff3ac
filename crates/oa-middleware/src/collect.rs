//! Collects a stream into its response inside the retry layer, for a caller who wants the response alone.

use futures_core::Stream;
use oa_wire::{Completion, CompletionRequest, CompletionStream, Error, Event};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Asks [`CollectLayer`] to read the stream of a call to its end, and to answer with the whole response.
///
/// Put it into the request's [`extensions`](CompletionRequest::extensions). Inside a retry layer such a call
/// is retried as a whole, also when its stream breaks off in the middle: the caller has seen none of it.
///
/// ```
/// use oa_middleware::CollectStream;
/// use oa_wire::{CompletionRequest, Event, Message};
///
/// let mut request = CompletionRequest::new([Message::user("Hello!")]).with_stream(true);
/// request.extensions.insert(CollectStream::observed(|event| {
///     if let Event::Content(text) = event {
///         print!("{text}");
///     }
/// }));
/// ```
#[derive(Clone, Default)]
pub struct CollectStream {
    observer: Option<Arc<EventHook>>,
}

type EventHook = dyn Fn(&Event) + Send + Sync;

impl CollectStream {
    /// Reads the stream to its end.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shows each event to this function as it comes, those of attempts that fail later among them. It must
    /// not block.
    pub fn observed(observer: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)) }
    }
}

impl fmt::Debug for CollectStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectStream").field("observer", &self.observer.is_some()).finish()
    }
}

/// Answers a call that carries [`CollectStream`] with the response at the end of its stream; other calls pass
/// through.
///
/// Stack it inside retry and outside of everything that watches a stream: `Retry > Collect > Trace >
/// timeouts`.
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct CollectLayer;

impl CollectLayer {
    /// The layer.
    pub const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for CollectLayer {
    type Service = Collect<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Collect::new(inner)
    }
}

/// The service of [`CollectLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Collect<S> {
    inner: S,
}

impl<S> Collect<S> {
    /// Collects the streams of this service, for calls that ask for it.
    pub const fn new(inner: S) -> Self {
        Self { inner }
    }

    accessors!();
}

impl<S> Service<CompletionRequest> for Collect<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error>,
{
    type Response = Completion;
    type Error = Error;
    type Future = CollectFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let collect = request.extensions.get::<CollectStream>().cloned();
        CollectFuture { inner: self.inner.call(request), collect, stream: None }
    }
}

pin_project! {
    /// The future of [`Collect`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct CollectFuture<F> {
        #[pin]
        inner: F,
        collect: Option<CollectStream>,
        stream: Option<CompletionStream>,
    }
}

impl<F> Future for CollectFuture<F>
where
    F: Future<Output = Result<Completion, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.stream.is_none() {
            match ready!(this.inner.poll(cx))? {
                Completion::Stream(stream) if this.collect.is_some() => *this.stream = Some(stream),
                answer => return Poll::Ready(Ok(answer)),
            }
        }
        let Some(stream) = this.stream else { return Poll::Pending };
        loop {
            let event = match ready!(Pin::new(&mut *stream).poll_next(cx)) {
                Some(event) => event?,
                None => {
                    return Poll::Ready(Err(Error::invalid_response("the stream ended without a response")));
                }
            };
            if let Some(observer) = this.collect.as_ref().and_then(|collect| collect.observer.as_ref()) {
                observer(&event);
            }
            if let Event::Done(response) = event {
                return Poll::Ready(Ok(Completion::Response(response)));
            }
        }
    }
}
