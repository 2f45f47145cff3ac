//! The whole stack, layer by layer: limits, deadline, retries, a layer of your own, spans, timeouts. Most
//! programs want `oa_middleware::Stack`, which is the usual part of it in one call.
//!
//! `cargo run -p oa-examples --example full_stack`

mod server;

use oa_middleware::{
    Backoff, CollectLayer, DeadlineLayer, FirstEventTimeoutLayer, IdleTimeoutLayer, ObserveLayer, RetryLayer,
    RetryPolicy, Timeouts, TraceLayer,
};
use oa_wire::{CompletionRequest, Message};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Service, ServiceBuilder, ServiceExt};
use tracing_subscriber::fmt::format::FmtSpan;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;
    // Spans go where the program's `tracing` subscriber takes them: here to standard error, when they end.
    tracing_subscriber::fmt().with_span_events(FmtSpan::CLOSE).with_writer(std::io::stderr).init();

    let backoff = Backoff::exponential(SECOND / 5, 10 * SECOND);
    // The first is the outermost. Why this order: see the documentation of oa-middleware.
    let mut stack = ServiceBuilder::new()
        .rate_limit(50, SECOND) // tower's. It has one owner; without it, the stack can be cloned
        .concurrency_limit(16) // tower's. Of streams, it counts those that have not begun
        // Whole calls.
        .layer(ObserveLayer::on_end(|call| match call.category() {
            None => println!("(answered)"),
            Some(category) => println!("({category} after {:.1} s)", call.duration.as_secs_f64()),
        }))
        .layer(DeadlineLayer::new(120 * SECOND)) // over all attempts and the waits between
        .layer(RetryLayer::new(RetryPolicy::new().max_attempts(4).backoff(backoff)))
        .layer(CollectLayer::new()) // for calls that want the response of a stream alone
        .layer_fn(Announce) // yours, here so that it sees each attempt
        .layer(TraceLayer::new(provider.profile())) // a span for each attempt
        .layer(FirstEventTimeoutLayer::new(60 * SECOND))
        .layer(IdleTimeoutLayer::new(30 * SECOND))
        .service(provider);

    let usual = CompletionRequest::new([Message::user("The capital of France?")]);
    // What is put into a request's extensions is for that call alone.
    let mut hasty = CompletionRequest::new([Message::user("The capital of Peru?")]);
    hasty.extensions.insert(RetryPolicy::never());
    hasty.extensions.insert(Timeouts::new().with_first_event(2 * SECOND));

    for request in [usual, hasty] {
        // `ready` waits for the limits; the calls may then run at the same time.
        match stack.ready().await?.call(request).await {
            Ok(answer) => println!("{}", answer.into_response().await?.text()),
            Err(error) => println!("{error}"),
        }
    }
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

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example full_stack
