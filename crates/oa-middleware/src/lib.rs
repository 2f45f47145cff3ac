//! Policy for chat completions as tower layers: time limits, retry, tracing, metrics, and several servers.
//!
//! Everything here is a layer or a service over any [`Service`](tower_service::Service) of
//! `CompletionRequest` whose response is a [`Completion`](oa_wire::Completion) and whose error is an
//! [`oa_wire::Error`]: a provider, a test double, or another stack. [`Stack`] is what nearly everybody wants,
//! in one call; built by hand it is:
//!
//! ```
//! # use oa_wire::{Completion, CompletionRequest, Error, openai::Profile};
//! # use oa_middleware::*;
//! # use std::time::Duration;
//! # fn example<S>(profile: &Profile, provider: S)
//! # where
//! #     S: tower_service::Service<CompletionRequest, Response = Completion, Error = Error> + Clone,
//! # {
//! let service = tower::ServiceBuilder::new()
//!     .layer(TimingLayer::new(|timing| println!("{timing:?}")))
//!     .layer(DeadlineLayer::new(Duration::from_secs(600)))
//!     .layer(RetryLayer::new(RetryPolicy::new()))
//!     .layer(DrainLayer::new())
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
//! - **[`TimingLayer`]** outside of all sees whole calls; inside retry it would see attempts.
//! - **[`DeadlineLayer`]** outside retry, since it bounds the waits between attempts too; retry sees it and
//!   begins no wait that it would cut off.
//! - **[`RetryLayer`]** once: two of them multiply.
//! - **[`DrainLayer`]** inside retry, so that a call that only wants the response is retried as a whole, and
//!   outside everything that watches the stream.
//! - **[`TraceLayer`]** inside retry, since there is a span for each attempt, and outside the timeouts, so
//!   that their errors are in the span. `MetricsLayer` (feature `metrics`) has the same place.
//! - **[`FirstEventTimeoutLayer`]** and **[`IdleTimeoutLayer`]** inside retry: each attempt has them anew.
//! - **[`Servers`]** innermost, instead of one provider, so that a call changes servers before retry begins
//!   to wait.
//!
//! Limits of concurrency and of rate are tower's own (`tower::limit`), put around the stack.
//!
//! A service's future resolves at the first event of a stream. So a time limit of the future is one of the
//! first event, and what is retried or failed over has shown the caller nothing: both follow from the shape
//! alone.
//!
//! # For one call alone
//!
//! These go into a request's [`extensions`](oa_wire::CompletionRequest::extensions): a [`RetryPolicy`],
//! [`Timeouts`], a [`Deadline`], [`Drain`], and an [`AttemptLog`] to read afterwards.
//!
//! # Cost
//!
//! No layer holds a task. With no subscriber, the whole default stack adds eight allocations and one to two
//! microseconds to a call, and no allocation to an event; a stream is wrapped once by each layer that watches
//! it.

mod attempt;
mod drain;
#[cfg(feature = "metrics")]
mod metrics;
mod observe;
mod random;
mod retry;
mod servers;
mod stack;
#[cfg(test)]
mod testing;
pub mod timeout;
mod timing;
pub mod trace;

pub use attempt::{AttemptContext, AttemptLog, RetryReason};
pub use drain::{Drain, DrainFuture, DrainLayer, DrainService};
#[cfg(feature = "metrics")]
pub use metrics::{MetricsFuture, MetricsLayer, MetricsService};
pub use random::Randomness;
pub use retry::{
    Backoff, Decision, Retry, RetryFuture, RetryLayer, RetryPolicy, RetryService, RetrySession, is_retryable,
};
pub use servers::{BreakerPolicy, Servers, is_worth_another_server};
pub use stack::{Stack, StackService};
pub use timeout::{
    Deadline, DeadlineFuture, DeadlineLayer, DeadlineService, FirstEventTimeout, FirstEventTimeoutFuture,
    FirstEventTimeoutLayer, IdleTimeout, IdleTimeoutFuture, IdleTimeoutLayer, Timeouts,
};
pub use timing::{Outcome, Timing, TimingFuture, TimingLayer, TimingService};
pub use trace::{TraceFuture, TraceLayer, TraceService};
