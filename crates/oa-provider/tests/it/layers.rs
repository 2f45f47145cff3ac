//! The layers of tower and tower-http around a provider and around its transport.

use crate::support::*;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use oa_provider::{
    BoxError, Category, Completion, CompletionRequest, Error, FinishReason, HyperTransport, OpenAiProvider,
    Provider, Response, Shared, Transport,
};
use oa_sim::{Answer, Sim};
use std::{
    convert::Infallible,
    future::{Future, Ready, pending, ready},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tower::{
    Service, ServiceBuilder,
    filter::{AsyncFilterLayer, FilterLayer},
    layer::layer_fn,
    retry::{Policy, RetryLayer},
    service_fn,
    steer::Steer,
    util::{BoxCloneSyncService, BoxService},
};
use tower_http::ServiceBuilderExt;

const FAR: Duration = Duration::from_secs(1000);

/// Completes and streams through a provider.
async fn check(provider: &impl Provider) {
    assert_eq!(soon(provider.complete(&hello())).await.unwrap().text(), "You said: Hello there");
    let stream = soon(provider.stream(&hello())).await.unwrap();
    assert_eq!(soon(stream.into_response()).await.unwrap().text(), "You said: Hello there");
}

/// Retries nothing.
#[derive(Clone)]
struct Never;

impl<Req: Clone, Res, E> Policy<Req, Res, E> for Never {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Req, _: &mut Result<Res, E>) -> Option<Ready<()>> {
        None
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

#[tokio::test]
async fn each_of_towers_layers_makes_a_provider() {
    let sim = Sim::start().await.unwrap();
    let provider = provider(&sim);
    let layers = ServiceBuilder::new;
    check(&provider.layer(layers().timeout(FAR))).await;
    check(&provider.layer(layers().buffer(4))).await;
    check(&provider.layer(layers().load_shed())).await;
    check(&provider.layer(layers().rate_limit(100, FAR))).await;
    check(&provider.layer(layers().concurrency_limit(2))).await;
    check(&provider.layer(layers().layer(RetryLayer::new(Never)))).await;
    check(&provider.layer(layers().filter(|request: CompletionRequest| Ok::<_, BoxError>(request)))).await;
    let async_filter = |request: CompletionRequest| ready(Ok::<_, BoxError>(request));
    check(&provider.layer(AsyncFilterLayer::new(async_filter))).await;
    check(&provider.layer(layers().map_request(|request: CompletionRequest| request))).await;
    check(&provider.layer(layers().map_response(|completion: Completion| completion))).await;
    check(&provider.layer(layers().map_err(|error: Error| BoxError::from(error)))).await;
    check(&provider.layer(layers().map_result(|result: Result<Completion, Error>| result))).await;
    check(&provider.layer(layers().and_then(|completion: Completion| ready(Ok::<_, Error>(completion)))))
        .await;
    check(&provider.layer(layers().then(|result: Result<Completion, Error>| ready(result)))).await;
    check(&provider.layer(layers().map_future(|future| future))).await;
    check(&provider.layer(layers().layer(tower::spawn_ready::SpawnReadyLayer::new()))).await;
    check(&provider.layer(BoxService::layer())).await;
    check(&provider.layer(BoxCloneSyncService::layer())).await;
    check(&provider.layer(layer_fn(|service| service))).await;
}

#[tokio::test]
async fn a_stack_of_many_makes_a_provider_and_takes_another_layer() {
    let sim = Sim::start().await.unwrap();
    let stack = ServiceBuilder::new()
        .buffer(8)
        .load_shed()
        .rate_limit(100, FAR)
        .timeout(FAR)
        .concurrency_limit(2)
        .map_request(|request: CompletionRequest| request.with_stream(false));
    let provider = provider(&sim).layer(stack).layer(ServiceBuilder::new().timeout(FAR));
    check(&provider).await;
}

#[tokio::test]
async fn a_choice_among_providers_is_a_provider() {
    let (one, other) = (Sim::start().await.unwrap(), Sim::start().await.unwrap());
    let (first, second) = (provider(&one), provider(&other));
    let by_length = |request: &CompletionRequest, _: &[_]| usize::from(request.messages().len() > 1);
    let steered = Steer::new(vec![first.clone(), second], by_length);
    let provider = oa_provider::Layered::new(steered, first);
    check(&provider).await;
    assert_eq!((one.requests().len(), other.requests().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn the_errors_of_towers_layers_name_them() {
    let stuck = layer_fn(|_| service_fn(|_: CompletionRequest| pending::<Result<Completion, Error>>()));
    let inner = Double::default().provider();

    let late = inner.layer(ServiceBuilder::new().timeout(Duration::from_secs(5)).layer(stuck));
    let error = late.complete(&hello()).await.unwrap_err();
    assert!(error.is_timeout() && error.is_transient(), "{error}");
    assert!(error.message().contains("timeout layer"), "{error}");

    let full = inner.layer(ServiceBuilder::new().load_shed().concurrency_limit(1).layer(stuck));
    let held = full.clone();
    let holder = tokio::spawn(async move { held.complete(&hello()).await });
    settle().await;
    let error = full.stream(&hello()).await.unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    assert!(error.message().contains("load-shed layer"), "{error}");
    holder.abort();

    let filter = FilterLayer::new(|_: CompletionRequest| Err::<CompletionRequest, _>("not today"));
    let error = inner.layer(filter).complete(&hello()).await.unwrap_err();
    assert_eq!((error.category(), error.message()), (Category::Unavailable, "not today"));
    assert!(std::error::Error::source(&error).is_none(), "{error:#}");
}

#[tokio::test]
async fn an_error_of_ours_stays_ours_in_any_box() {
    let sim = Sim::builder().script(vec![Answer::error(401, "no"); 3]).start().await.unwrap();
    let provider = provider(&sim);
    let timed = provider.layer(ServiceBuilder::new().timeout(FAR));
    let buffered = provider.layer(ServiceBuilder::new().buffer(1).load_shed());
    let twice = timed.layer(ServiceBuilder::new().buffer(1));
    for error in [
        timed.complete(&hello()).await.unwrap_err(),
        buffered.complete(&hello()).await.unwrap_err(),
        twice.complete(&hello()).await.unwrap_err(),
    ] {
        assert_eq!((error.category(), error.status()), (Category::Authentication, Some(401)), "{error}");
    }
}

#[tokio::test]
async fn a_buffer_whose_service_failed_hands_its_error_to_all() {
    let shut = layer_fn(|_| Shut);
    let provider = Double::default().provider().layer(ServiceBuilder::new().buffer(1).layer(shut));
    for _ in 0..2 {
        let error = soon(provider.complete(&hello())).await.unwrap_err();
        assert_eq!((error.category(), error.message()), (Category::RateLimit, "shut"));
    }
}

/// A service that is never ready.
struct Shut;

impl Service<CompletionRequest> for Shut {
    type Response = Completion;
    type Error = Error;
    type Future = Ready<Result<Completion, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Err(Error::new(Category::RateLimit, "shut")))
    }

    fn call(&mut self, _: CompletionRequest) -> Self::Future {
        ready(Err(Error::invalid_request("called without being ready")))
    }
}

#[tokio::test]
async fn a_cache_answers_a_stream() {
    let cache = layer_fn(|_| {
        service_fn(|_: CompletionRequest| async {
            Ok::<_, Infallible>(Completion::from(Response::new("cached", FinishReason::Stop)))
        })
    });
    let provider = Double::default().provider().layer(cache);
    let stream = provider.stream(&hello()).await.unwrap();
    assert_eq!(stream.into_response().await.unwrap().text(), "cached");
}

/// Completes, streams and lists models over a transport.
async fn carry(sim: &Sim, transport: impl Transport) {
    let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").transport(transport).build().unwrap();
    check(&provider).await;
    provider.ready().await.unwrap();
}

#[tokio::test]
async fn each_of_towers_layers_fits_around_the_transport() {
    type Request = http::Request<Bytes>;
    let sim = Sim::start().await.unwrap();
    let (layers, http) = (ServiceBuilder::new, HyperTransport::new);
    carry(&sim, layers().timeout(FAR).service(http())).await;
    carry(&sim, layers().buffer(4).service(http())).await;
    carry(&sim, layers().load_shed().service(http())).await;
    carry(&sim, layers().concurrency_limit(2).service(http())).await;
    carry(&sim, Shared::new(layers().rate_limit(100, FAR).service(http()))).await;
    carry(&sim, Shared::new(layers().layer(tower::spawn_ready::SpawnReadyLayer::new()).service(http())))
        .await;
    carry(&sim, layers().map_request(|request: Request| request).service(http())).await;
    carry(&sim, layers().map_response(|response: http::Response<_>| response).service(http())).await;
    carry(&sim, layers().map_err(BoxError::from).service(http())).await;
    carry(&sim, layers().filter(|request: Request| Ok::<_, BoxError>(request)).service(http())).await;
    carry(&sim, BoxCloneSyncService::new(http())).await;
    carry(&sim, Shared::new(BoxService::new(http()))).await;
}

#[tokio::test]
async fn each_of_tower_https_layers_fits_around_the_transport() {
    let sim = Sim::start().await.unwrap();
    let team = HeaderName::from_static("x-team");
    let transport = ServiceBuilder::new()
        .sensitive_headers([header::AUTHORIZATION])
        .override_request_header(team.clone(), HeaderValue::from_static("search"))
        .propagate_header(team)
        .decompression()
        .service(HyperTransport::new());
    carry(&sim, transport).await;
    assert!(sim.requests().iter().all(|request| request.header("x-team") == Some("search")));
    assert!(sim.requests().iter().all(|request| request.header("accept-encoding") == Some("gzip")));

    // One that answers by itself needs a body that can be empty.
    let timeout = tower_http::timeout::TimeoutLayer::with_status_code(http::StatusCode::REQUEST_TIMEOUT, FAR);
    let transport = ServiceBuilder::new()
        .layer(timeout)
        .map_response_body(UnsyncBoxBody::new)
        .service(HyperTransport::new());
    carry(&sim, transport).await;

    // One that looks at the body of the request needs it as a body.
    let transport = ServiceBuilder::new()
        .map_request_body(Full::<Bytes>::new)
        .trace_for_http()
        .catch_panic()
        .layer(layer_fn(BytesBody))
        .service(HyperTransport::new());
    carry(&sim, transport).await;
}

/// Takes a request with a body, and hands it on with bytes.
#[derive(Clone)]
struct BytesBody<S>(S);

impl<S> Service<http::Request<Full<Bytes>>> for BytesBody<S>
where
    S: Service<http::Request<Bytes>, Future: Send> + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Full<Bytes>>) -> Self::Future {
        let mut ready = self.0.clone();
        std::mem::swap(&mut ready, &mut self.0);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
            ready.call(http::Request::from_parts(head, body)).await
        })
    }
}

#[tokio::test]
async fn a_compressed_answer_is_read_through_a_layer_that_decompresses() {
    const ZIPPED: &[u8] = &[
        0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0xff, 0x0d, 0xc9, 0xb1, 0x0d, 0x80, 0x30, 0x0c,
        0x04, 0xc0, 0x5d, 0xbe, 0x66, 0x82, 0xac, 0x82, 0x10, 0x8a, 0x8c, 0x21, 0x2e, 0xb0, 0x2d, 0x3e, 0x15,
        0x51, 0x76, 0x87, 0x6b, 0x6f, 0x40, 0x5a, 0x98, 0x28, 0x51, 0xd6, 0x81, 0x5b, 0xc9, 0x7a, 0x29, 0xca,
        0x80, 0x84, 0x77, 0xf5, 0x8e, 0x82, 0xd7, 0x32, 0xf5, 0xc0, 0x5c, 0x70, 0x9a, 0x1b, 0xdb, 0xfe, 0x68,
        0x65, 0xf8, 0x3f, 0xec, 0x91, 0x98, 0xdb, 0xfc, 0x00, 0x86, 0x16, 0xb9, 0x83, 0x45, 0x00, 0x00, 0x00,
    ];
    let server = service_fn(|request: http::Request<Bytes>| async move {
        assert_eq!(request.headers()[header::ACCEPT_ENCODING], "gzip");
        let response = http::Response::builder().header(header::CONTENT_ENCODING, "gzip");
        Ok::<_, Infallible>(response.body(Full::<Bytes>::from(ZIPPED)).unwrap())
    });
    let transport = ServiceBuilder::new().decompression().service(server);
    let provider = OpenAiProvider::builder("http://double", "m").transport(transport).build().unwrap();
    assert_eq!(provider.complete(&hello()).await.unwrap().text(), "zipped");
}

#[tokio::test]
async fn a_panic_of_a_transport_becomes_an_error_by_a_layer() {
    let panics = service_fn(|request: http::Request<Bytes>| async move {
        assert!(request.uri().path().is_empty(), "the pigeon panics");
        Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::from("")))
    });
    let transport = ServiceBuilder::new().catch_panic().service(panics);
    let provider = OpenAiProvider::builder("http://double", "m").transport(transport).build().unwrap();
    let error = provider.complete(&hello()).await.unwrap_err();
    assert_eq!((error.category(), error.status()), (Category::Unavailable, Some(500)), "{error}");
}
