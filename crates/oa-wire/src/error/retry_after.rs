//! The wait that a server asks for.

use std::{fmt, time::Duration};

/// The delay before a retry that the server asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryAfter {
    /// The delay.
    pub delay: Duration,
    /// Where it was found.
    pub source: RetryAfterSource,
}

impl RetryAfter {
    /// This delay, found there.
    pub const fn new(delay: Duration, source: RetryAfterSource) -> Self {
        Self { delay, source }
    }
}

/// Where a [`RetryAfter`] was found, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryAfterSource {
    /// The header `retry-after-ms`.
    RetryAfterMs,
    /// The header `Retry-After`, in seconds.
    Seconds,
    /// The header `Retry-After`, as an HTTP date.
    HttpDate,
    /// LiteLLM's `llm_provider-retry-after`: that of its upstream.
    LlmProviderRetryAfter,
    /// An `x-ratelimit-reset-*` header.
    RateLimitReset,
    /// The header `RateLimit-Reset` or `RateLimit` of the IETF's draft.
    RateLimitHeader,
    /// A member of the body: `retryDelay`, `retry_after`, `retry_after_ms`.
    Body,
    /// The message ("try again in 1.2s").
    Message,
}

impl RetryAfterSource {
    /// The name for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryAfterMs => "retry-after-ms",
            Self::Seconds | Self::HttpDate => "retry-after",
            Self::LlmProviderRetryAfter => "llm_provider-retry-after",
            Self::RateLimitReset => "x-ratelimit-reset",
            Self::RateLimitHeader => "ratelimit-reset",
            Self::Body => "body",
            Self::Message => "message",
        }
    }
}

impl fmt::Display for RetryAfterSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
