//! The trait that callers depend on.

use crate::{Layered, ProviderService};
use oa_transport::BoxError;
use oa_wire::{Completion, CompletionRequest, CompletionStream, Error, Response, TokenCount};
use std::{future::Future, sync::Arc};
use tower_layer::Layer;
use tower_service::Service;

/// A source of chat completions, bound to one model.
///
/// Its calls are independent: any number may run at once, and dropping a future or a stream ends its request.
///
/// It has async functions, so `dyn Provider` does not exist: [`DynProvider`](crate::DynProvider) takes its
/// place, in an `Arc<dyn Provider>` too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a provider of completions",
    note = "`DynProvider` is a provider of any type, where `dyn Provider` would be wanted",
    note = "a tower service of completions becomes a provider by `provider.layer(..)` or \
            `Layered::new(service, provider)`"
)]
pub trait Provider: Send + Sync {
    /// The model it is bound to.
    fn model(&self) -> &str;

    /// Whether the next completion is expected to work.
    ///
    /// # Errors
    ///
    /// Why it is not.
    fn ready(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// One completion. A request with `stream` is streamed and read to its end.
    ///
    /// # Errors
    ///
    /// An invalid request, before anything is sent; the error that the server answers with; what is wrong
    /// with its answer.
    fn complete(&self, request: &CompletionRequest) -> impl Future<Output = Result<Response, Error>> + Send;

    /// One completion as it is received. Resolves at the first event, so that a refusal, or an error as the
    /// first event of a success, is an error of this call.
    ///
    /// # Errors
    ///
    /// As for [`complete`](Self::complete).
    fn stream(
        &self,
        request: &CompletionRequest,
    ) -> impl Future<Output = Result<CompletionStream, Error>> + Send;

    /// The tokens of a request's prompt, as the server counts them; none where it does not count, and by
    /// default.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use oa_provider::{CompletionRequest, OpenAiProvider, Provider};
    /// use oa_sim::Sim;
    ///
    /// let sim = Sim::builder().context_length(512).start().await?;
    /// let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").build()?;
    ///
    /// let request = CompletionRequest::new("The capital of France?");
    /// let count = provider.count_tokens(&request).await?.unwrap();
    /// assert_eq!((count.tokens, count.max_model_len), (5, Some(512)));
    /// assert_eq!(count.left(), Some(507)); // what max_tokens may be
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// An invalid request, before anything is sent; the error that the server answers with, of an unknown
    /// model for instance; an answer that is no count.
    fn count_tokens(
        &self,
        request: &CompletionRequest,
    ) -> impl Future<Output = Result<Option<TokenCount>, Error>> + Send {
        let _ = request;
        async { Ok(None) }
    }

    /// This provider with a layer, or a stack of them, around its completions.
    ///
    /// Every tower layer fits whose service takes a [`CompletionRequest`] and answers with a [`Completion`]:
    /// those of `oa-middleware`, tower's own, and yours.
    ///
    /// ```
    /// use oa_provider::{Error, OpenAiProvider, Provider};
    /// use std::time::Duration;
    /// use tower::ServiceBuilder;
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    /// # let runtime = runtime.expect("a runtime");
    /// # let _entered = runtime.enter();
    /// let provider = OpenAiProvider::builder("http://localhost:8000", "my-model").build()?;
    /// let limited = provider.layer(
    ///     ServiceBuilder::new().timeout(Duration::from_secs(60)).rate_limit(5, Duration::from_secs(1)),
    /// );
    /// assert_eq!(limited.model(), "my-model");
    /// # Ok::<(), Error>(())
    /// ```
    fn layer<L>(&self, layer: L) -> Layered<L::Service, Self>
    where
        Self: Clone + 'static,
        L: Layer<ProviderService<Self>>,
        L::Service:
            Service<CompletionRequest, Response = Completion, Error: Into<BoxError>, Future: Send> + Send,
    {
        Layered::new(layer.layer(ProviderService::new(self.clone())), self.clone())
    }
}

macro_rules! pointer {
    ($($pointer:ty),*) => {$(
        impl<P: Provider> Provider for $pointer {
            fn model(&self) -> &str {
                (**self).model()
            }

            async fn ready(&self) -> Result<(), Error> {
                (**self).ready().await
            }

            async fn complete(&self, request: &CompletionRequest) -> Result<Response, Error> {
                (**self).complete(request).await
            }

            async fn stream(&self, request: &CompletionRequest) -> Result<CompletionStream, Error> {
                (**self).stream(request).await
            }

            async fn count_tokens(&self, request: &CompletionRequest) -> Result<Option<TokenCount>, Error> {
                (**self).count_tokens(request).await
            }
        }
    )*};
}

pointer!(&P, Arc<P>, Box<P>);
