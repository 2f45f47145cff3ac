//! A provider as a tower service.

use crate::Provider;
use oa_wire::{Completion, CompletionRequest, Error};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tower_service::Service;

/// Any [`Provider`] as a tower service of completions: what the layers of [`Provider::layer`] are put around.
#[derive(Clone, Debug)]
pub struct ProviderService<P>(P);

impl<P> ProviderService<P> {
    /// A service of this provider.
    pub const fn new(provider: P) -> Self {
        Self(provider)
    }

    /// The provider.
    pub fn get_ref(&self) -> &P {
        &self.0
    }

    /// The provider.
    pub fn into_inner(self) -> P {
        self.0
    }
}

impl<P: Provider + Clone + 'static> Service<CompletionRequest> for ProviderService<P> {
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    /// Always ready: a provider adds no queue.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let provider = self.0.clone();
        Box::pin(async move {
            Ok(if request.stream {
                provider.stream(&request).await?.into()
            } else {
                provider.complete(&request).await?.into()
            })
        })
    }
}
