//! Policy as layers around a provider: deadline, retries, spans, time limits, and a layer of your own.
//!
//! `cargo run -p oa-examples --example tower_stack`

mod server;

use oa_middleware::{
    Backoff, DeadlineLayer, FirstEventTimeoutLayer, IdleTimeoutLayer, RetryLayer, RetryPolicy, TraceLayer,
};
use oa_provider::{Provider, ServiceProvider};
use oa_wire::{CompletionRequest, Message};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Service, ServiceBuilder};
use tracing_subscriber::fmt::format::FmtSpan;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;

    // Spans go where the program's `tracing` subscriber takes them: here to standard error, when they end.
    tracing_subscriber::fmt().with_span_events(FmtSpan::CLOSE).with_writer(std::io::stderr).init();

    let backoff = Backoff::exponential(Duration::from_millis(200), Duration::from_secs(10));
    // The first is the outermost. Each limit has its place: see the layers' own words for why.
    let stack = ServiceBuilder::new()
        .layer(DeadlineLayer::new(Duration::from_secs(120))) // over all attempts and the waits between
        .layer(RetryLayer::new(RetryPolicy::new().max_attempts(4).backoff(backoff)))
        .layer_fn(Announce) // inside retry, so that it sees each attempt
        .layer(TraceLayer::new(provider.profile())) // a span for each attempt
        .layer(FirstEventTimeoutLayer::new(Duration::from_secs(60)))
        .layer(IdleTimeoutLayer::new(Duration::from_secs(30)))
        .service(provider.clone());

    // A provider again, so that the code which uses it knows nothing of the policy.
    let provider = ServiceProvider::new(stack, provider);
    let request = CompletionRequest::new([Message::user("The capital of France?")]);
    println!("{}", provider.complete(&request).await?.text());
    Ok(())
}

/// A layer of your own: any tower service over `CompletionRequest`. This one says what it sees; others change
/// the request, answer from a cache, or choose among several inner services.
#[derive(Clone)]
struct Announce<S>(S);

impl<S: Service<CompletionRequest>> Service<CompletionRequest> for Announce<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: CompletionRequest) -> S::Future {
        println!("(an attempt of {} message(s))", request.messages().len());
        self.0.call(request)
    }
}
