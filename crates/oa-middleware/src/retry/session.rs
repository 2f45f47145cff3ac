//! One call's retries, decided: no clock, no randomness, no waiting of its own.

use super::{Retry, RetryPolicy};
use crate::{
    AttemptContext, RetryReason,
    attempt::{AttemptLog, History},
};
use oa_wire::{Attempt, Category, CompletionRequest, Error, Message, RuntimeConfig};
use std::{borrow::Cow, time::Duration};

/// The retries of one call as a value: what to send, and after each failure whether to send again.
///
/// [`RetryLayer`](crate::RetryLayer) drives it; so can a program without tower or without async:
///
/// ```
/// # use oa_wire::{Category, CompletionRequest, Error, Message, Response};
/// # fn ask(_: &CompletionRequest) -> Result<Response, Error> { Err(Error::invalid_request("x")) }
/// use oa_middleware::{Decision, RetryPolicy, RetrySession};
///
/// # fn example() -> Result<Response, Error> {
/// let request = CompletionRequest::new([Message::user("Hello!")]);
/// let mut session = RetrySession::new(RetryPolicy::new(), request);
/// loop {
///     match ask(&session.request()) {
///         Ok(response) => return Ok(response),
///         Err(error) => match session.failed(error, None, 0.5, || true) {
///             Decision::Retry { wait, .. } => std::thread::sleep(wait),
///             Decision::Stop(error) => return Err(error),
///         },
///     }
/// }
/// # }
/// # assert!(example().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct RetrySession {
    policy: RetryPolicy,
    request: CompletionRequest,
    // What the overrides are merged onto; kept from the first retry on.
    base: Option<RuntimeConfig>,
    attempt: u32,
    reason: Option<RetryReason>,
    history: History,
}

/// What follows from a failure.
#[derive(Debug)]
pub enum Decision {
    /// Wait, and send [`RetrySession::request`] again.
    Retry {
        /// How long.
        wait: Duration,
        /// Why.
        reason: RetryReason,
    },
    /// Return this error. It carries all attempts, each with the reason of what followed.
    Stop(Error),
}

/// Why there is no further attempt; the reason of the last one in [`Error::attempts`].
enum Stop {
    NotRetryable,
    QuotaSpent,
    ServerForbids,
    Exhausted { attempts: u32 },
    WaitTooLong { asked: Duration, allowed: Duration },
    Deadline { wait: Duration, remaining: Duration },
    Budget,
    NoCorrection,
}

impl RetrySession {
    /// A session before its first attempt.
    pub fn new(policy: RetryPolicy, request: CompletionRequest) -> Self {
        let history = History::new(request.extensions.get::<AttemptLog>());
        Self { policy, request, base: None, attempt: 0, reason: None, history }
    }

    /// The request of the current attempt. From the second on it carries an [`AttemptContext`].
    pub fn request(&self) -> CompletionRequest {
        let mut request = self.request.clone();
        if let Some(reason) = self.reason {
            request.extensions.insert(AttemptContext::new(self.attempt, reason));
        }
        request
    }

    /// The number of the current attempt, from 0.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The attempts that failed so far.
    pub fn attempts(&self) -> &[Attempt] {
        self.history.attempts()
    }

    /// Decides what follows from a failure of the current attempt.
    ///
    /// `remaining` is the time to the call's deadline, if it has one; `random`, of [0, 1), is for the jitter;
    /// `withdraw` asks the shared budget for one retry, and is called last, only when everything else allows
    /// it.
    pub fn failed(
        &mut self,
        error: Error,
        remaining: Option<Duration>,
        random: f64,
        withdraw: impl FnOnce() -> bool,
    ) -> Decision {
        match self.decide(&error, remaining, random, withdraw) {
            Ok((wait, reason)) => {
                self.history.push(&error, reason.as_str(), wait);
                if let Some(hook) = &self.policy.get().on_retry {
                    hook(&Retry::new(self.attempt, &error, reason, wait));
                }
                self.attempt += 1;
                self.reason = Some(reason);
                self.apply_override();
                Decision::Retry { wait, reason }
            }
            Err(stop) => {
                self.history.push(&error, stop.describe(), Duration::ZERO);
                Decision::Stop(self.history.attach(error))
            }
        }
    }

    fn decide(
        &mut self,
        error: &Error,
        remaining: Option<Duration>,
        random: f64,
        withdraw: impl FnOnce() -> bool,
    ) -> Result<(Duration, RetryReason), Stop> {
        let policy = self.policy.clone();
        let policy = policy.get();
        if error.category() == Category::StructuredOutputInvalid && policy.reask.is_some() {
            self.exhausted(policy.max_attempts)?;
            self.correct(error)?;
            return Ok((Duration::ZERO, RetryReason::Reask));
        }
        if error.is_quota_spent() {
            return Err(Stop::QuotaSpent);
        }
        if error.should_retry() == Some(false) {
            return Err(Stop::ServerForbids);
        }
        if !policy.retryable(error) {
            return Err(Stop::NotRetryable);
        }
        self.exhausted(policy.max_attempts)?;
        let asked = error.retry_after().map_or(Duration::ZERO, |asked| asked.delay);
        if asked > policy.max_retry_after {
            return Err(Stop::WaitTooLong { asked, allowed: policy.max_retry_after });
        }
        let wait = policy.backoff.delay(self.attempt, random).max(asked);
        if let Some(remaining) = remaining.filter(|&remaining| wait >= remaining) {
            return Err(Stop::Deadline { wait, remaining });
        }
        if !withdraw() {
            return Err(Stop::Budget);
        }
        Ok((wait, RetryReason::Transient))
    }

    fn exhausted(&self, max_attempts: u32) -> Result<(), Stop> {
        let attempts = self.attempt.saturating_add(1);
        if attempts < max_attempts { Ok(()) } else { Err(Stop::Exhausted { attempts }) }
    }

    /// Appends what the model wrote and what is to be said about it.
    fn correct(&mut self, error: &Error) -> Result<(), Stop> {
        let reask = self.policy.get().reask.clone().ok_or(Stop::NotRetryable)?;
        let failure = error.structured().ok_or(Stop::NotRetryable)?;
        let correction = reask(error);
        if correction.trim().is_empty() {
            return Err(Stop::NoCorrection);
        }
        let messages = self.request.messages_mut();
        if !failure.output_content.trim().is_empty() {
            messages.push(Message::assistant(failure.output_content.as_str()));
        }
        messages.push(Message::user(correction));
        Ok(())
    }

    fn apply_override(&mut self) {
        let overrides = &self.policy.get().overrides;
        let retry = (self.attempt as usize).min(overrides.len());
        let Some(over) = retry.checked_sub(1).and_then(|at| overrides.get(at)) else { return };
        let base = self.base.get_or_insert_with(|| self.request.config.clone());
        self.request.config = base.merged(over);
    }
}

impl Stop {
    fn describe(&self) -> Cow<'static, str> {
        match self {
            Self::NotRetryable => "not retried: the same request would fail again".into(),
            Self::QuotaSpent => "not retried: the quota is spent".into(),
            Self::ServerForbids => "not retried: the server said so (x-should-retry)".into(),
            Self::NoCorrection => "not retried: the reask function gave no text".into(),
            Self::Budget => "not retried: the retry budget of all calls is spent".into(),
            Self::Exhausted { attempts } => format!("not retried: all {attempts} attempts were made").into(),
            Self::WaitTooLong { asked, allowed } => {
                format!("not retried: the server asks to wait {asked:?}, more than the {allowed:?} allowed")
                    .into()
            }
            Self::Deadline { wait, remaining } => {
                format!("not retried: the wait of {wait:.1?} would pass the deadline, {remaining:.1?} away")
                    .into()
            }
        }
    }
}
