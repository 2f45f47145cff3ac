//! Providers behind pointers, as tower services, and with layers around them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use oa_provider::{DynProvider, Layered, OpenAiProvider, Provider};
use oa_sim::Sim;
use oa_wire::{Category, Completion, CompletionRequest, Error, FinishReason, Response, Usage};
use tower::{Service, ServiceExt, layer::layer_fn, service_fn};

use crate::support::*;

#[tokio::test]
async fn providers_of_different_types_fit_into_one_list() {
    let sim = Sim::start().await.unwrap();
    let stream = || Step::stream(Frames::whole([text("dou"), text("ble"), finish("stop")]));
    let double = Double::new([Step::models(), Step::json(200, &completion("double")), stream()]);
    let providers = [DynProvider::new(provider(&sim)), DynProvider::new(double.provider())];
    for (provider, (model, text)) in
        providers.iter().zip([("oa-sim", "You said: Hello there"), ("m", "double")])
    {
        assert_eq!(provider.model(), model);
        provider.ready().await.unwrap();
        assert_eq!(provider.complete(&hello()).await.unwrap().text(), text);
        let stream = provider.stream(&hello()).await.unwrap();
        assert_eq!(stream.into_response().await.unwrap().text(), text);
    }
}

#[tokio::test]
async fn a_pointer_passes_errors_on() {
    let double = Double::new([Step::json(401, &serde_json::json!({"error": "no"}))]);
    let provider = DynProvider::new(double.provider());
    assert_eq!(provider.complete(&hello()).await.unwrap_err().category(), Category::Authentication);
}

#[tokio::test]
async fn a_provider_is_a_tower_service() {
    let sim = Sim::start().await.unwrap();
    let whole = provider(&sim).oneshot(hello()).await.unwrap();
    assert!(matches!(whole, Completion::Response(_)), "{whole:?}");
    assert_eq!(whole.into_response().await.unwrap().text(), "You said: Hello there");

    let stream = provider(&sim).oneshot(hello().with_stream(true)).await.unwrap();
    assert!(matches!(stream, Completion::Stream(_)), "{stream:?}");
    assert_eq!(stream.into_response().await.unwrap().text(), "You said: Hello there");
}

/// A layer: counts the calls that pass, and sets the seed.
#[derive(Clone)]
struct Seeded<S> {
    inner: S,
    passed: Arc<AtomicUsize>,
}

impl<S: Service<CompletionRequest>> Service<CompletionRequest> for Seeded<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: CompletionRequest) -> S::Future {
        self.passed.fetch_add(1, Ordering::Relaxed);
        request.config.seed = Some(7);
        self.inner.call(request)
    }
}

fn seeded(inner: &OpenAiProvider) -> (impl Provider + use<>, Arc<AtomicUsize>) {
    let passed = Arc::<AtomicUsize>::default();
    let layer = layer_fn({
        let passed = Arc::clone(&passed);
        move |inner| Seeded { inner, passed: Arc::clone(&passed) }
    });
    (inner.layer(layer), passed)
}

#[tokio::test]
async fn a_stack_is_a_provider_and_its_completions_pass_its_layers() {
    let sim = Sim::start().await.unwrap();
    let (provider, passed) = seeded(&provider(&sim));
    let request = hello();
    assert_eq!(provider.model(), "oa-sim");
    provider.complete(&request).await.unwrap();
    provider.stream(&request).await.unwrap().into_response().await.unwrap();
    let streamed: Vec<bool> = sim.requests().iter().map(|sent| sent.json()["stream"] == true).collect();
    assert_eq!(streamed, [false, true]);
    assert!(sim.requests().iter().all(|sent| sent.json()["seed"] == 7));
    assert_eq!(passed.load(Ordering::Relaxed), 2);
    assert_eq!((request.config.seed, request.stream), (None, false));
}

#[tokio::test]
async fn a_probe_does_not_pass_the_layers() {
    let sim = Sim::start().await.unwrap();
    let (provider, passed) = seeded(&provider(&sim));
    provider.ready().await.unwrap();
    assert_eq!(passed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn complete_reads_a_stream_to_its_end() {
    let sim = Sim::start().await.unwrap();
    let response = seeded(&provider(&sim)).0.complete(&hello().with_stream(true)).await.unwrap();
    assert_eq!(response.text(), "You said: Hello there");
    assert_eq!(sim.last_request().unwrap().json()["stream"], true);
}

#[tokio::test]
async fn a_response_to_a_streams_request_becomes_a_stream() {
    let cache = service_fn(|_: CompletionRequest| async {
        let response = Response::new("cached", FinishReason::Stop).with_usage(Usage::new(3, 1));
        Ok::<_, Error>(Completion::from(response))
    });
    let provider = Layered::new(cache, Double::default().provider());
    assert_eq!(provider.complete(&hello()).await.unwrap().text(), "cached");
    let mut stream = provider.stream(&hello()).await.unwrap();
    assert_eq!(content(stream.next().await), "cached");
    let response = stream.into_response().await.unwrap();
    assert_eq!((response.text().as_ref(), response.usage), ("cached", Usage::new(3, 1)));
}

#[tokio::test]
async fn pointers_to_providers_are_providers() {
    async fn answer(provider: impl Provider) -> String {
        assert_eq!(provider.model(), "oa-sim");
        provider.ready().await.unwrap();
        let stream = provider.stream(&hello()).await.unwrap();
        assert_eq!(stream.into_response().await.unwrap().text(), "You said: Hello there");
        provider.complete(&hello()).await.unwrap().text().into_owned()
    }
    let sim = Sim::start().await.unwrap();
    let provider = provider(&sim);
    let all = [
        answer(&provider).await,
        answer(Arc::new(provider.clone())).await,
        answer(Box::new(provider.clone())).await,
        answer(&DynProvider::new(Arc::new(provider))).await,
    ];
    assert_eq!(all, ["You said: Hello there"; 4]);
}

/// A layer that lets nothing pass.
#[derive(Clone)]
struct Shut;

impl Service<CompletionRequest> for Shut {
    type Response = Completion;
    type Error = Error;
    type Future = std::future::Pending<Result<Completion, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Err(Error::new(Category::Unavailable, "shut")))
    }

    fn call(&mut self, _: CompletionRequest) -> Self::Future {
        panic!("called without being ready")
    }
}

#[tokio::test]
async fn a_stack_that_is_not_ready_fails_the_call() {
    let provider = Layered::new(Shut, Double::default().provider());
    assert_eq!(provider.complete(&hello()).await.unwrap_err().message(), "shut");
    assert_eq!(provider.stream(&hello()).await.unwrap_err().message(), "shut");
}
