//! Any tower service of the right shape is a transport.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use oa_provider::{HyperTransport, OpenAiProvider, Provider, Transport};
use oa_sim::Sim;
use oa_transport::BoxError;
use oa_wire::{Category, Error};
use tower::{Service, ServiceBuilder, service_fn};

use crate::support::*;

fn over<T: Transport>(transport: T) -> OpenAiProvider<T> {
    OpenAiProvider::builder("http://double", "m").transport(transport).build().unwrap()
}

#[tokio::test]
async fn a_function_is_a_transport() {
    let provider = over(service_fn(|request: http::Request<Bytes>| async move {
        let asked: serde_json::Value = serde_json::from_slice(request.body())?;
        let text = format!("{} {}", request.uri(), asked["messages"][0]["content"]);
        let body = Frames::whole([completion(&text).to_string()]);
        Ok::<_, serde_json::Error>(http::Response::new(body))
    }));
    let response = provider.complete(&hello()).await.unwrap();
    assert_eq!(response.text(), r#"http://double/v1/chat/completions "Hello there""#);
}

#[tokio::test]
async fn a_foreign_body_is_streamed() {
    let double =
        Double::new([Step::stream(Frames::whole([text("a"), text("b"), finish("stop"), DONE.to_owned()]))]);
    let mut stream = double.provider().stream(&hello()).await.unwrap();
    assert_eq!(content(stream.next().await), "a");
    assert_eq!(stream.into_response().await.unwrap().text(), "ab");
}

#[tokio::test]
async fn its_error_is_in_ours_once() {
    let provider = over(Double::new([Step::Fail("the carrier pigeon is tired".into())]));
    let error = provider.complete(&hello()).await.unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    assert!(error.message().contains("the carrier pigeon is tired"), "{error}");
    let itself = error.get_ref().unwrap();
    assert_eq!(itself.to_string(), "the carrier pigeon is tired");
    assert!(std::error::Error::source(&error).is_none(), "it is not printed twice");
}

#[tokio::test]
async fn an_error_of_ours_comes_through_unchanged() {
    let thrown = Error::new(Category::RateLimit, "the layer's budget is spent").with_quota_spent(true);
    let provider = over(Double::new([Step::Fail(thrown.clone().into()), Step::Fail(thrown.into())]));
    for error in [provider.complete(&hello()).await.unwrap_err(), provider.ready().await.unwrap_err()] {
        assert_eq!((error.category(), error.is_quota_spent()), (Category::RateLimit, true));
        assert_eq!(error.message(), "the layer's budget is spent");
    }
}

#[tokio::test]
async fn an_error_of_its_body_keeps_what_came() {
    let broken = || Step::stream(Frames::whole([text("Hel")]).failing("the pigeon was eaten"));
    let provider = over(Double::new([broken(), broken()]));
    let mut stream = provider.stream(&hello()).await.unwrap();
    assert_eq!(content(stream.next().await), "Hel");
    let streamed = stream.next().await.unwrap().unwrap_err();
    let drained = provider.complete(&hello()).await.unwrap_err();
    for error in [streamed, drained] {
        assert_eq!(error.category(), Category::Unavailable);
        assert!(error.message().contains("the pigeon was eaten"), "{error}");
        assert_eq!(error.partial().unwrap().text(), "Hel");
    }
}

#[tokio::test]
async fn an_error_of_ours_in_its_body_keeps_its_category() {
    let late = Error::new(Category::RateLimit, "too late").with_kind(oa_wire::ErrorKind::Timeout);
    let provider = over(Double::new([Step::stream(Frames::whole([text("Hel")]).failing(late))]));
    let error = provider.complete(&hello().with_stream(true)).await.unwrap_err();
    assert_eq!((error.category(), error.is_timeout()), (Category::RateLimit, true));
    assert_eq!(error.partial().unwrap().text(), "Hel");
}

/// Counts calls, and refuses those that no `poll_ready` of the same clone came before, as tower allows.
struct Strict {
    ready: bool,
    fails: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false, fails: self.fails, calls: Arc::clone(&self.calls) }
    }
}

impl Service<http::Request<Bytes>> for Strict {
    type Response = http::Response<Frames>;
    type Error = BoxError;
    type Future = Ready<Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.fails {
            return Poll::Ready(Err("closed for today".into()));
        }
        if self.ready {
            return Poll::Ready(Ok(()));
        }
        // Not ready the first time, so that readiness has to be awaited.
        self.ready = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, _: http::Request<Bytes>) -> Self::Future {
        assert!(self.ready, "called without being ready");
        self.ready = false;
        self.calls.fetch_add(1, Ordering::Relaxed);
        ready(Ok(http::Response::new(Frames::whole([completion("x").to_string()]))))
    }
}

#[tokio::test]
async fn its_readiness_is_awaited_before_each_call() {
    let calls = Arc::default();
    let provider = over(Strict { ready: false, fails: false, calls: Arc::clone(&calls) });
    provider.complete(&hello()).await.unwrap();
    provider.complete(&hello()).await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_transport_that_is_never_ready_fails_the_call_without_being_called() {
    let calls = Arc::default();
    let provider = over(Strict { ready: false, fails: true, calls: Arc::clone(&calls) });
    for error in [
        provider.complete(&hello()).await.unwrap_err(),
        provider.stream(&hello()).await.unwrap_err(),
        provider.ready().await.unwrap_err(),
    ] {
        assert_eq!(error.category(), Category::Unavailable);
        assert!(error.message().contains("closed for today"), "{error}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn layers_fit_between_the_provider_and_its_sockets() {
    let sim = Sim::start().await.unwrap();
    let transport = ServiceBuilder::new()
        .concurrency_limit(4)
        .map_request(|mut request: http::Request<Bytes>| {
            request.headers_mut().insert("x-layer", http::HeaderValue::from_static("was here"));
            request
        })
        .service(HyperTransport::new());
    let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").transport(transport).build().unwrap();
    provider.complete(&hello()).await.unwrap();
    provider.stream(&hello()).await.unwrap().into_response().await.unwrap();
    provider.ready().await.unwrap();
    let marked = sim.requests().iter().filter(|sent| sent.header("x-layer") == Some("was here")).count();
    assert_eq!(marked, 3);
}
