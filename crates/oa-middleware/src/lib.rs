//! Policy for chat completions as tower layers.

mod attempt;
mod drain;
mod random;
mod retry;
#[cfg(test)]
mod testing;
mod timeout;

pub use attempt::{AttemptContext, AttemptLog, RetryReason};
pub use drain::{Drain, DrainFuture, DrainLayer, DrainService};
pub use random::Randomness;
pub use retry::{
    Backoff, Decision, Retry, RetryFuture, RetryLayer, RetryPolicy, RetryService, RetrySession, is_retryable,
};
pub use timeout::{
    Deadline, DeadlineFuture, DeadlineLayer, DeadlineService, FirstEventTimeout, FirstEventTimeoutFuture,
    FirstEventTimeoutLayer, IdleTimeout, IdleTimeoutFuture, IdleTimeoutLayer, Timeouts,
};
