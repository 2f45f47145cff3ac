//! The failed attempts of one call, for its error and for the caller.

use oa_wire::{Attempt, Error};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The failed attempts of one call, for a caller that wants to know them also when the call succeeds in the
/// end. (An error carries them anyway: [`Error::attempts`].)
///
/// Put a clone into the request's [`extensions`](oa_wire::CompletionRequest::extensions); the retry layer and
/// [`Servers`](crate::Servers) write into it.
///
/// ```
/// use oa_middleware::AttemptLog;
/// use oa_wire::{CompletionRequest, Message};
///
/// let log = AttemptLog::default();
/// let mut request = CompletionRequest::new([Message::user("Hello!")]);
/// request.extensions.insert(log.clone());
/// // ... after the call:
/// for attempt in log.attempts() {
///     println!("attempt {}: {} ({})", attempt.index, attempt.message, attempt.reason);
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct AttemptLog(Arc<Mutex<Vec<Attempt>>>);

impl AttemptLog {
    /// What was written so far, in order.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes an attempt down, or the verdict of a further layer over the one that was written last.
    fn write(&self, mut attempt: Attempt, over_the_last: bool) {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if over_the_last {
            attempts.pop();
        }
        attempt.index = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        attempts.push(attempt);
    }
}

/// The chain of attempts that one layer builds for the error it may have to return.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    attempts: Vec<Attempt>,
    log: Option<AttemptLog>,
}

impl History {
    pub(crate) fn new(log: Option<&AttemptLog>) -> Self {
        Self { attempts: Vec::new(), log: log.cloned() }
    }

    /// Adds a failed attempt. Where a layer inside made several, they are in the error, and the last of them
    /// gets this reason.
    pub(crate) fn push(&mut self, error: &Error, reason: impl Into<Cow<'static, str>>, waited: Duration) {
        let (mut last, before) = match error.attempts().split_last() {
            Some((last, before)) => (last.clone(), before),
            None => (Attempt::new(0, error, "", waited), &[][..]),
        };
        for attempt in before {
            self.add(attempt.clone());
        }
        (last.reason, last.waited) = (reason.into(), waited);
        if let Some(log) = &self.log {
            log.write(last.clone(), !error.attempts().is_empty());
        }
        self.add(last);
    }

    /// Adds a failed attempt at one of several servers.
    pub(crate) fn push_server(&mut self, server: &Arc<str>, error: &Error, reason: &'static str) {
        let attempt = Attempt::new(0, error, reason, Duration::ZERO).with_server(server.clone());
        if let Some(log) = &self.log {
            log.write(attempt.clone(), false);
        }
        self.add(attempt);
    }

    fn add(&mut self, mut attempt: Attempt) {
        attempt.index = u32::try_from(self.attempts.len()).unwrap_or(u32::MAX);
        self.attempts.push(attempt);
    }

    pub(crate) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// This error with the chain.
    pub(crate) fn attach(&mut self, error: Error) -> Error {
        error.with_attempts(std::mem::take(&mut self.attempts))
    }
}
