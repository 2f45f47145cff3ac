//! How long a server asks to wait.

use std::time::Duration;

/// How long the server asks to wait, and where it says so.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryAfter {
    /// The wait.
    pub delay: Duration,
    /// Where it was found.
    pub source: RetryAfterSource,
}

/// Where a [`RetryAfter`] was found, in the order in which the places are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryAfterSource {
    /// The header `retry-after-ms`.
    RetryAfterMs,
    /// The header `Retry-After`, in seconds.
    Seconds,
    /// The header `Retry-After`, as an HTTP date.
    HttpDate,
    /// LiteLLM's `llm_provider-retry-after`: what its upstream said.
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
