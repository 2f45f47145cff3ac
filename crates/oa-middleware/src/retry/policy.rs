//! The policy of retries: which errors, how often and when.

use super::Backoff;
use crate::RetryReason;
use oa_wire::{Error, RuntimeConfig};
use std::{fmt, sync::Arc, time::Duration};

/// Which errors are retried, how often and when. Cloning costs a reference count.
///
/// A policy in a request's [`extensions`](oa_wire::CompletionRequest::extensions) takes, for that call, the
/// place of the layer's.
///
/// ```
/// use oa_middleware::{Backoff, RetryPolicy};
/// use std::time::Duration;
///
/// let policy = RetryPolicy::new()
///     .max_attempts(5)
///     .backoff(Backoff::exponential(Duration::from_millis(200), Duration::from_secs(10)))
///     .on_retry(|retry| eprintln!("{}: retrying in {:?}", retry.error, retry.wait));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct RetryPolicy(Arc<Inner>);

type Shared<F> = Option<Arc<F>>;

#[derive(Clone)]
pub(super) struct Inner {
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    pub(super) max_retry_after: Duration,
    pub(super) overrides: Vec<RuntimeConfig>,
    pub(super) classifier: Shared<dyn Fn(&Error) -> bool + Send + Sync>,
    pub(super) on_retry: Shared<dyn Fn(&RetryEvent<'_>) + Send + Sync>,
    pub(super) reask: Shared<dyn Fn(&Error) -> String + Send + Sync>,
}

/// The argument of [`RetryPolicy::on_retry`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RetryEvent<'a> {
    /// The number of the attempt that failed, from 0.
    pub attempt: u32,
    /// How it failed.
    pub error: &'a Error,
    /// Why it is retried.
    pub reason: RetryReason,
    /// The wait before the next attempt.
    pub wait: Duration,
}

impl<'a> RetryEvent<'a> {
    pub(super) fn new(attempt: u32, error: &'a Error, reason: RetryReason, wait: Duration) -> Self {
        Self { attempt, error, reason, wait }
    }
}

/// The default classifier: the server's `x-should-retry` where it sent one, or else whether the category is
/// transient; never a spent quota.
///
/// As in OpenAI's own libraries, `x-should-retry: true` makes an error retryable that would not be by its
/// status.
pub fn is_retryable(error: &Error) -> bool {
    !error.is_quota_spent() && error.should_retry().unwrap_or_else(|| error.is_transient())
}

impl RetryPolicy {
    /// The longest wait that a server may ask for, unless another is set: 30 s.
    pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

    /// Three attempts in all, [`is_retryable`], the default [`Backoff`], at most 30 seconds of `Retry-After`;
    /// no overrides, no reask.
    pub fn new() -> Self {
        Self::default()
    }

    /// One attempt: nothing is retried.
    pub fn never() -> Self {
        Self::new().max_attempts(1)
    }

    /// The most attempts, the first included. 0 counts as 1.
    pub fn max_attempts(self, attempts: u32) -> Self {
        self.set(|inner| inner.max_attempts = attempts.max(1))
    }

    /// How long to wait between attempts.
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.set(|inner| inner.backoff = backoff)
    }

    /// The longest wait that a server may ask for. Above it the call fails at once, with the wait in the
    /// error ([`Error::retry_after`]). Default: [`MAX_RETRY_AFTER`](Self::MAX_RETRY_AFTER).
    pub fn max_retry_after(self, longest: Duration) -> Self {
        self.set(|inner| inner.max_retry_after = longest)
    }

    /// Which errors are retried, in place of [`is_retryable`]. A server's `x-should-retry: false` and a
    /// spent quota are obeyed before it is asked.
    pub fn classifier(self, retryable: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.set(|inner| inner.classifier = Some(Arc::new(retryable)))
    }

    /// Is called before each wait. It must not block.
    pub fn on_retry(self, hook: impl Fn(&RetryEvent<'_>) + Send + Sync + 'static) -> Self {
        self.set(|inner| inner.on_retry = Some(Arc::new(hook)))
    }

    /// Partial configs for the retries: the first attempt uses the request's own, retry `i` (from 1) merges
    /// the `i`-th onto that by key, and the last carries on.
    pub fn per_attempt_override(self, configs: impl IntoIterator<Item = RuntimeConfig>) -> Self {
        self.set(|inner| inner.overrides = configs.into_iter().collect())
    }

    /// Retries at once when the output does not satisfy the schema: the output is appended as the
    /// assistant's message, and what this function makes of the error ([`Error::structured`]) as the user's.
    /// Such pairs accumulate; they count as attempts like any other.
    ///
    /// An empty text declines: the call fails. A blank output cannot be sent back, and is left out. Output
    /// that was cut off by the token limit, and a refusal, are not retried: the next one would end the same
    /// way.
    pub fn reask(self, correction: impl Fn(&Error) -> String + Send + Sync + 'static) -> Self {
        self.set(|inner| inner.reask = Some(Arc::new(correction)))
    }

    pub(super) fn get(&self) -> &Inner {
        &self.0
    }

    fn set(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl Inner {
    pub(super) fn retryable(&self, error: &Error) -> bool {
        match &self.classifier {
            Some(classifier) => classifier(error),
            None => is_retryable(error),
        }
    }
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::default(),
            max_retry_after: RetryPolicy::MAX_RETRY_AFTER,
            overrides: Vec::new(),
            classifier: None,
            on_retry: None,
            reask: None,
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("max_attempts", &self.max_attempts)
            .field("backoff", &self.backoff)
            .field("max_retry_after", &self.max_retry_after)
            .field("overrides", &self.overrides.len())
            .field("reask", &self.reask.is_some())
            .finish_non_exhaustive()
    }
}
