//! Policy for chat completions as tower layers: time limits, retry, tracing, metrics, and several servers.
//!
//! Everything here is a layer or a service over any [`Service`](tower_service::Service) of
//! `CompletionRequest` whose response is a [`Completion`](oa_wire::Completion) and whose error is an
//! [`oa_wire::Error`]: a provider, a test double, or another stack. [`Stack`] is what nearly everybody wants,
//! in one call; built by hand it is:
//!
//! ```
//! # use oa_wire::{Completion, CompletionRequest, Error, Profile};
//! # use oa_middleware::*;
//! # use std::time::Duration;
//! # fn example<S>(profile: &Profile, provider: S)
//! # where
//! #     S: tower_service::Service<CompletionRequest, Response = Completion, Error = Error> + Clone,
//! # {
//! let service = tower::ServiceBuilder::new()
//!     .layer(ObserveLayer::on_end(|call| println!("{:?}", call.duration)))
//!     .layer(DeadlineLayer::new(Duration::from_secs(600)))
//!     .layer(RetryLayer::new(RetryPolicy::new()))
//!     .layer(CollectLayer::new())
//!     .layer(TraceLayer::new(profile))
//!     .layer(FirstEventTimeoutLayer::new(Duration::from_secs(120)))
//!     .layer(IdleTimeoutLayer::default())
//!     .service(provider);
//! # let _ = service;
//! # }
//! ```
//!
//! # The order, and why
//!
//! The first is the outermost.
//!
//! - **[`ObserveLayer`]** outside of all sees whole calls; inside retry it would see attempts.
//! - **[`GenAiLayer`]** outside retry, since its span is around a whole call. `GenAiMetricsLayer` (feature
//!   `metrics`) has the same place.
//! - **[`DeadlineLayer`]** outside retry, since it bounds the waits between attempts too; retry sees it and
//!   begins no wait that it would cut off.
//! - **[`RetryLayer`]** once: of two, only the outer one retries.
//! - **[`CollectLayer`]** inside retry, so that a call that only wants the response is retried as a whole,
//!   and outside everything that watches the stream.
//! - **[`TraceLayer`]** inside retry, since there is a span for each attempt, and outside the timeouts, so
//!   that their errors are in the span. `MetricsLayer` (feature `metrics`) has the same place.
//! - **[`FirstEventTimeoutLayer`]** and **[`IdleTimeoutLayer`]** inside retry: each attempt has them anew,
//!   and around [`Servers`] each server.
//! - **[`Servers`]** innermost, instead of one provider, so that a call changes servers before retry begins
//!   to wait. The next attempt of retry goes to a server that has not failed the call.
//! - **[`ConcurrencyLimitLayer`]** outside, so that the time in the queue is nobody's fault. tower's own
//!   limit (and its rate limit) would do, but lets go of a stream at its first event.
//! - **[`ThinkLayer`]** inside retry, next to the provider or around [`Servers`], so that all others see
//!   reasoning as reasoning.
//!
//! A service's future resolves at the first event of a stream. So a time limit of the future is one of the
//! first event, and what is retried or failed over has shown the caller nothing: both follow from the shape
//! alone.
//!
//! # For one call alone
//!
//! These go into a request's [`extensions`](oa_wire::CompletionRequest::extensions): a [`RetryPolicy`],
//! [`Timeouts`], [`CollectStream`], and an [`AttemptLog`] to read afterwards.
//!
//! # Cost
//!
//! No layer holds a task. With no subscriber, the whole default stack adds four allocations to a call, eight
//! around [`Servers`], and none to an event; a stream is wrapped once by each layer that watches it. A choice
//! among servers allocates nothing.

#[macro_use]
mod macros;

mod attempt;
mod collect;
mod concurrency;
mod context;
mod gen_ai;
#[cfg(feature = "metrics")]
mod metrics;
mod observe;
mod random;
mod retry;
mod servers;
mod stack;
mod summary;
#[cfg(test)]
mod testing;
mod think;
mod timeout;
mod trace;

pub use attempt::AttemptLog;
pub use collect::{Collect, CollectLayer, CollectStream};
pub use concurrency::{ConcurrencyLimit, ConcurrencyLimitLayer};
pub use context::{CallContext, RetryReason};
#[cfg(feature = "metrics")]
pub use gen_ai::metrics::{GenAiMetrics, GenAiMetricsLayer};
pub use gen_ai::{GenAi, GenAiLayer};
#[cfg(feature = "metrics")]
pub use metrics::{Metrics, MetricsLayer};
pub use observe::{CallObserver, Observe, ObserveLayer, Observer};
pub use retry::{Backoff, Decision, Retry, RetryEvent, RetryLayer, RetryPolicy, RetrySession, is_retryable};
pub use servers::{
    AffinityKey, BreakerPolicy, DnsDiscover, Hedge, OutReason, ServerChoice, ServerEvent, ServerStatus,
    Servers, is_failover_error,
};
pub use stack::{Stack, StackService};
pub use summary::{CallSummary, OnEnd, Outcome};
pub use think::{Think, ThinkLayer};
pub use timeout::{
    Deadline, DeadlineLayer, FirstEventTimeout, FirstEventTimeoutLayer, IdleTimeout, IdleTimeoutLayer,
    Timeouts,
};
pub use trace::{Trace, TraceLayer};

/// The futures of the services, and the state of observed calls: types that nobody has to name.
pub mod future {
    pub use crate::{
        collect::CollectFuture,
        concurrency::ConcurrencyLimitFuture,
        gen_ai::GenAiCall,
        observe::ObserveFuture,
        retry::RetryFuture,
        summary::Stopwatch,
        think::ThinkFuture,
        timeout::{DeadlineFuture, FirstEventTimeoutFuture, IdleTimeoutFuture},
        trace::Tracer,
    };
    #[cfg(feature = "metrics")]
    pub use crate::{gen_ai::metrics::GenAiMeasuring, metrics::Measuring};
}

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
