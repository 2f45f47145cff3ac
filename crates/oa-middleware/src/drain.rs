//! Reading a stream to its end inside the retry layer, for a caller who wants the response alone.

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

/// Asks [`DrainLayer`] to read the stream of a call to its end, and to answer with the whole response.
///
/// Put it into the request's [`extensions`](CompletionRequest::extensions). Inside a retry layer such a call
/// is retried as a whole, also when its stream breaks off in the middle: the caller has seen none of it.
///
/// ```
/// use oa_middleware::Drain;
/// use oa_wire::{CompletionRequest, Event, Message};
///
/// let mut request = CompletionRequest::new([Message::user("Hello!")]).with_stream(true);
/// request.extensions.insert(Drain::observed(|event| {
///     if let Event::Content(text) = event {
///         print!("{text}");
///     }
/// }));
/// ```
#[derive(Clone, Default)]
pub struct Drain {
    observer: Option<Arc<EventHook>>,
}

type EventHook = dyn Fn(&Event) + Send + Sync;

impl Drain {
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

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("observer", &self.observer.is_some()).finish()
    }
}

/// Answers a call that carries [`Drain`] with the response at the end of its stream; other calls pass
/// through.
///
/// Stack it inside retry and outside of everything that watches a stream: `Retry > Drain > Trace > timeouts`.
#[derive(Clone, Copy, Debug, Default)]
pub struct DrainLayer;

impl DrainLayer {
    /// The layer.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for DrainLayer {
    type Service = DrainService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DrainService { inner }
    }
}

/// The service of [`DrainLayer`].
#[derive(Clone, Copy, Debug)]
pub struct DrainService<S> {
    inner: S,
}

impl<S> Service<CompletionRequest> for DrainService<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error>,
{
    type Response = Completion;
    type Error = Error;
    type Future = DrainFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let drain = request.extensions.get::<Drain>().cloned();
        DrainFuture { inner: self.inner.call(request), drain, stream: None }
    }
}

pin_project! {
    /// The future of [`DrainService`].
    #[derive(Debug)]
    pub struct DrainFuture<F> {
        #[pin]
        inner: F,
        drain: Option<Drain>,
        stream: Option<CompletionStream>,
    }
}

impl<F> Future for DrainFuture<F>
where
    F: Future<Output = Result<Completion, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.stream.is_none() {
            match ready!(this.inner.poll(cx))? {
                Completion::Stream(stream) if this.drain.is_some() => *this.stream = Some(stream),
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
            if let Some(observer) = this.drain.as_ref().and_then(|drain| drain.observer.as_ref()) {
                observer(&event);
            }
            if let Event::Done(response) = event {
                return Poll::Ready(Ok(Completion::Response(response)));
            }
        }
    }
}
