//! The retries of one call as a value: no clock, no randomness and no waiting of its own.

use super::{RetryEvent, RetryPolicy};
use crate::{
    CallContext, RetryReason,
    attempt::{AttemptLog, History},
    context::SharedBudget,
};
use oa_wire::{Attempt, Category, CompletionRequest, Error, FinishReason, Message, RuntimeConfig};
use std::{borrow::Cow, mem, time::Duration};

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
    // Of the current attempt.
    context: CallContext,
    history: History,
}

/// What follows from a failure. There are no further choices: a `match` may be exhaustive.
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
    CutOff,
    Refused,
}

impl RetrySession {
    /// A session before its first attempt.
    pub fn new(policy: RetryPolicy, mut request: CompletionRequest) -> Self {
        let history = History::new(request.extensions.get::<AttemptLog>());
        let mut context = request.extensions.remove::<CallContext>().unwrap_or_default();
        context.retried = true;
        Self { policy, request, base: None, context, history }
    }

    /// A session and the request of its first attempt, with fewer allocations than [`new`](Self::new) and
    /// [`request`](Self::request): the map of extensions is kept only if the caller has put something there.
    pub(super) fn begin(
        policy: RetryPolicy,
        mut request: CompletionRequest,
        budget: Option<SharedBudget>,
    ) -> (Self, CompletionRequest) {
        let context = CallContext::of_mut(&mut request);
        context.retried = true;
        context.budget = budget;
        let context = context.clone();
        let history = History::new(request.extensions.get::<AttemptLog>());
        let kept = if request.extensions.len() == 1 {
            let extensions = mem::take(&mut request.extensions);
            let kept = request.clone();
            request.extensions = extensions;
            kept
        } else {
            request.clone()
        };
        (Self { policy, request: kept, base: None, context, history }, request)
    }

    /// The request of the current attempt. It carries a [`CallContext`].
    pub fn request(&self) -> CompletionRequest {
        let mut request = self.request.clone();
        request.extensions.insert(self.context.clone());
        request
    }

    /// The number of the current attempt, from 0.
    pub fn attempt(&self) -> u32 {
        self.context.attempt
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
                    hook(&RetryEvent::new(self.context.attempt, &error, reason, wait));
                }
                self.context.attempt += 1;
                self.context.reason = Some(reason);
                self.apply_override();
                Decision::Retry { wait, reason }
            }
            Err(stop) => {
                self.history.push(&error, stop.describe(), Duration::ZERO);
                let error = match stop.hint().filter(|_| error.hint().is_none()) {
                    Some(hint) => error.with_hint(hint),
                    None => error,
                };
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
            if error.is_token_limit() {
                return Err(Stop::CutOff);
            }
            if !error.may_be_reasked() {
                return Err(Stop::Refused);
            }
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
        let wait = policy.backoff.delay(self.context.attempt, random).max(asked);
        if let Some(remaining) = remaining.filter(|&remaining| wait >= remaining) {
            return Err(Stop::Deadline { wait, remaining });
        }
        if !withdraw() {
            return Err(Stop::Budget);
        }
        Ok((wait, RetryReason::Transient))
    }

    fn exhausted(&self, max_attempts: u32) -> Result<(), Stop> {
        let attempts = self.context.attempt.saturating_add(1);
        if attempts < max_attempts { Ok(()) } else { Err(Stop::Exhausted { attempts }) }
    }

    /// Appends the model's output and the correction.
    fn correct(&mut self, error: &Error) -> Result<(), Stop> {
        let reask = self.policy.get().reask.clone().ok_or(Stop::NotRetryable)?;
        let failure = error.structured().ok_or(Stop::NotRetryable)?;
        if failure.finish_reason == FinishReason::ContentFilter {
            return Err(Stop::Refused);
        }
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
        let retry = (self.context.attempt as usize).min(overrides.len());
        let Some(over) = retry.checked_sub(1).and_then(|at| overrides.get(at)) else { return };
        let base = self.base.get_or_insert_with(|| self.request.config.clone());
        self.request.config = base.with_overrides(over);
    }
}

impl Stop {
    fn describe(&self) -> Cow<'static, str> {
        match self {
            Self::NotRetryable => "not retried: the same request would fail again".into(),
            Self::QuotaSpent => "not retried: the quota is spent".into(),
            Self::ServerForbids => "not retried: the server forbids it (x-should-retry)".into(),
            Self::NoCorrection => "not retried: the reask function gave no text".into(),
            Self::CutOff => "not retried: the output was cut off by the token limit".into(),
            Self::Refused => "not retried: the model refused".into(),
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

    /// What the caller may do about it, where that is not plain.
    fn hint(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::WaitTooLong { asked, allowed } => Some(
                format!(
                    "the server takes calls again in {asked:?}; waits of up to {allowed:?} are made by the \
                     retry policy (max_retry_after)"
                )
                .into(),
            ),
            Self::CutOff => Some("a higher max_tokens leaves room for the whole output".into()),
            _ => None,
        }
    }
}
