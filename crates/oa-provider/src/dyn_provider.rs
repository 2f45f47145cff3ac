//! A provider whose type is erased.

use crate::Provider;
use oa_wire::{CompletionRequest, CompletionStream, Error, Response, TokenCount};
use std::{fmt, future::Future, pin::Pin, sync::Arc};

/// Any [`Provider`], its type erased. Cloning costs a reference count; each call costs an allocation.
///
/// ```
/// use oa_provider::{DynProvider, OpenAiProvider, Provider};
///
/// let providers: Vec<DynProvider> = vec![
///     DynProvider::new(OpenAiProvider::builder("http://localhost:8000", "a").build()?),
///     DynProvider::new(OpenAiProvider::builder("http://localhost:8080", "b").build()?),
/// ];
/// assert_eq!(providers[1].model(), "b");
/// # Ok::<(), oa_provider::Error>(())
/// ```
#[derive(Clone)]
pub struct DynProvider(Arc<dyn Erased>);

impl DynProvider {
    /// Erases a provider's type.
    pub fn new(provider: impl Provider + 'static) -> Self {
        Self(Arc::new(provider))
    }
}

impl fmt::Debug for DynProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynProvider").field("model", &Provider::model(self)).finish_non_exhaustive()
    }
}

impl Provider for DynProvider {
    fn model(&self) -> &str {
        self.0.model()
    }

    async fn ready(&self) -> Result<(), Error> {
        self.0.ready().await
    }

    async fn complete(&self, request: &CompletionRequest) -> Result<Response, Error> {
        self.0.complete(request).await
    }

    async fn stream(&self, request: &CompletionRequest) -> Result<CompletionStream, Error> {
        self.0.stream(request).await
    }

    async fn count_tokens(&self, request: &CompletionRequest) -> Result<Option<TokenCount>, Error> {
        self.0.count_tokens(request).await
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// [`Provider`] as a trait that can be an object.
trait Erased: Send + Sync {
    fn model(&self) -> &str;
    fn ready(&self) -> Boxed<'_, ()>;
    fn complete<'a>(&'a self, request: &'a CompletionRequest) -> Boxed<'a, Response>;
    fn stream<'a>(&'a self, request: &'a CompletionRequest) -> Boxed<'a, CompletionStream>;
    fn count_tokens<'a>(&'a self, request: &'a CompletionRequest) -> Boxed<'a, Option<TokenCount>>;
}

impl<P: Provider> Erased for P {
    fn model(&self) -> &str {
        Provider::model(self)
    }

    fn ready(&self) -> Boxed<'_, ()> {
        Box::pin(Provider::ready(self))
    }

    fn complete<'a>(&'a self, request: &'a CompletionRequest) -> Boxed<'a, Response> {
        Box::pin(Provider::complete(self, request))
    }

    fn stream<'a>(&'a self, request: &'a CompletionRequest) -> Boxed<'a, CompletionStream> {
        Box::pin(Provider::stream(self, request))
    }

    fn count_tokens<'a>(&'a self, request: &'a CompletionRequest) -> Boxed<'a, Option<TokenCount>> {
        Box::pin(Provider::count_tokens(self, request))
    }
}
