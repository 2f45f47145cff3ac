//! A tower service that is not `Clone`, shared by those who call it.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::sync::Mutex;
use tower_service::Service;

/// A clone of one service, for services that are not `Clone`, such as tower's rate limit, or not `Sync`.
///
/// A call waits for its turn, then for the service's readiness, then makes the call and lets the next one in:
/// calls run at the same time, only the waiting for readiness is one after the other, in the order in which
/// they came. It needs no task, and a call that is dropped leaves the queue.
///
/// ```
/// use oa_provider::{HyperTransport, OpenAiProvider, Shared};
/// use std::time::Duration;
/// use tower::ServiceBuilder;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
/// # let _entered = runtime.enter();
/// let transport =
///     ServiceBuilder::new().rate_limit(5, Duration::from_secs(1)).service(HyperTransport::new());
/// let provider = OpenAiProvider::builder("http://localhost:8000", "my-model")
///     .transport(Shared::new(transport))
///     .build()?;
/// # Ok::<(), oa_provider::Error>(())
/// ```
pub struct Shared<S>(Arc<Mutex<S>>);

impl<S> Shared<S> {
    /// Shares a service.
    pub fn new(service: S) -> Self {
        Self(Arc::new(Mutex::new(service)))
    }

    pub(crate) async fn read<O>(&self, read: impl FnOnce(&S) -> O) -> O {
        read(&*self.0.lock().await)
    }

    /// Calls the service when it is its turn and the service is ready.
    pub(crate) async fn oneshot<R>(&self, request: R) -> Result<S::Response, S::Error>
    where
        S: Service<R>,
    {
        let mut service = self.0.lock().await;
        poll_fn(|cx| service.poll_ready(cx)).await?;
        let response = service.call(request);
        drop(service);
        response.await
    }
}

impl<S> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S, R> Service<R> for Shared<S>
where
    S: Service<R, Future: Send> + Send + 'static,
    R: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    /// Always ready: the service's readiness is awaited in the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let shared = self.clone();
        Box::pin(async move { shared.oneshot(request).await })
    }
}

impl<S> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
