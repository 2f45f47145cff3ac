//! A provider of a tower stack: any service over completions, given a model's name and a probe.

use crate::Provider;
use oa_wire::{Category, Completion, CompletionRequest, CompletionStream, Error, Response};
use std::{fmt, future::poll_fn};
use tower_service::Service;

/// A stack of layers around a provider as a [`Provider`] again.
///
/// Completions go through the stack. [`ready`](Provider::ready) goes to the provider inside: a probe is not to be
/// retried or traced as a completion.
#[derive(Clone)]
pub struct ServiceProvider<S, P> {
    stack: S,
    inner: P,
}

impl<S, P> ServiceProvider<S, P> {
    /// A provider whose completions go through `stack`, and whose model and probe are `inner`'s.
    pub fn new(stack: S, inner: P) -> Self {
        Self { stack, inner }
    }

    /// The stack.
    pub fn stack(&self) -> &S {
        &self.stack
    }
}

impl<S, P> ServiceProvider<S, P>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error> + Clone + Send + Sync,
    S::Future: Send,
{
    async fn call(&self, request: CompletionRequest) -> Result<Completion, Error> {
        let mut stack = self.stack.clone();
        poll_fn(|cx| stack.poll_ready(cx)).await?;
        stack.call(request).await
    }
}

impl<S, P> Provider for ServiceProvider<S, P>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error> + Clone + Send + Sync,
    S::Future: Send,
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
        match self.call(request.clone().with_stream(true)).await? {
            Completion::Stream(stream) => Ok(stream),
            _ => Err(Error::new(
                Category::InvalidResponse,
                "the stack answered a stream's request with a whole response",
            )),
        }
    }
}

impl<S, P: fmt::Debug> fmt::Debug for ServiceProvider<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceProvider").field("inner", &self.inner).finish_non_exhaustive()
    }
}
