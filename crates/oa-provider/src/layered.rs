//! A provider with tower layers around it, as a provider again.

use crate::{Provider, error::from_transport_error, shared::Shared};
use oa_transport::BoxError;
use oa_wire::{Completion, CompletionRequest, CompletionStream, Error, Response, TokenCount};
use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tower_service::Service;

/// A tower service of completions as a [`Provider`]: what [`Provider::layer`] makes.
///
/// Completions go through the service, which needs to be neither `Clone` nor `Sync` (see [`Shared`]). Its
/// error may be any: an [`Error`] in the box stays what it is, tower's own are named, and others are the
/// source of ours ([`from_transport_error`]). A response to a stream's request (of a cache, say) becomes a
/// stream.
///
/// [`ready`](Provider::ready) and [`count_tokens`](Provider::count_tokens) go to the provider inside: a probe
/// is not retried or traced as a completion is.
pub struct Layered<S, P> {
    service: Shared<S>,
    inner: P,
}

impl<S, P> Layered<S, P>
where
    S: Service<CompletionRequest, Response = Completion, Error: Into<BoxError>, Future: Send> + Send,
    P: Provider,
{
    /// A provider whose completions go through `service`, and whose model and probe are those of `inner`.
    pub fn new(service: S, inner: P) -> Self {
        Self { service: Shared::new(service), inner }
    }

    async fn call(&self, request: CompletionRequest) -> Result<Completion, Error> {
        self.service.oneshot(request).await.map_err(from_transport_error)
    }
}

impl<S, P> Layered<S, P> {
    /// Reads something of the service, such as what it has learnt, when no call waits for its readiness.
    pub async fn with_service<R>(&self, read: impl FnOnce(&S) -> R) -> R {
        self.service.read(read).await
    }

    /// The provider inside.
    pub fn get_ref(&self) -> &P {
        &self.inner
    }
}

impl<S, P> Provider for Layered<S, P>
where
    S: Service<CompletionRequest, Response = Completion, Error: Into<BoxError>, Future: Send> + Send,
    P: Provider,
{
    fn model(&self) -> &str {
        self.inner.model()
    }

    async fn ready(&self) -> Result<(), Error> {
        self.inner.ready().await
    }

    async fn complete(&self, request: &CompletionRequest) -> Result<Response, Error> {
        self.call(request.clone()).await?.into_response().await
    }

    async fn stream(&self, request: &CompletionRequest) -> Result<CompletionStream, Error> {
        Ok(self.call(request.clone().with_stream(true)).await?.into_stream())
    }

    async fn count_tokens(&self, request: &CompletionRequest) -> Result<Option<TokenCount>, Error> {
        self.inner.count_tokens(request).await
    }
}

impl<S, P> Service<CompletionRequest> for Layered<S, P>
where
    S: Service<CompletionRequest, Response = Completion, Error: Into<BoxError>, Future: Send>
        + Send
        + 'static,
    P: Provider,
{
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    /// Always ready: the service's own readiness is awaited in the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let service = self.service.clone();
        Box::pin(async move { service.oneshot(request).await.map_err(from_transport_error) })
    }
}

impl<S, P: Clone> Clone for Layered<S, P> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), inner: self.inner.clone() }
    }
}

impl<S, P: fmt::Debug> fmt::Debug for Layered<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layered").field("inner", &self.inner).finish_non_exhaustive()
    }
}
