//! The time limits of one call, and what the layers that apply them have in common.

use oa_wire::{Category, CompletionRequest, Error, ErrorKind, Response};
use std::time::Duration;
use tokio::time::Instant;

/// Time limits for one call alone, in place of those of the layers. A layer that is not in the stack stays
/// absent.
///
/// There are three layers, each with one limit, because one limit cannot serve a prefill of minutes and a
/// dead socket:
///
/// - [`FirstEventTimeoutLayer`](crate::FirstEventTimeoutLayer), inside retry, counts from the call to the
///   first event, or to the whole answer if it does not stream: each attempt has it anew.
/// - [`IdleTimeoutLayer`](crate::IdleTimeoutLayer), inside retry, counts between two events of a stream,
///   while the caller waits for one.
/// - [`DeadlineLayer`](crate::DeadlineLayer), outside retry, counts from the call to the end of the answer,
///   retries and their waits included.
///
/// (The time limit of connecting is the transport's.)
///
/// Only events count as progress: a server that sends nothing but keep-alive comments is stalled. Data that
/// is there always wins over a timer that has fired, and the idle clock runs only while the caller waits: a
/// slow consumer is not a stalled server.
///
/// The error is [`Unavailable`](oa_wire::Category::Unavailable) with [`ErrorKind::Timeout`]; it names the
/// limit, what had come by then and the layer that sets it, and keeps what had come ([`Error::partial`]).
/// When a timer fires, the request is dropped, which closes it.
///
/// ```
/// use oa_middleware::Timeouts;
/// use oa_wire::{CompletionRequest, Message};
/// use std::time::Duration;
///
/// let mut request = CompletionRequest::new([Message::user("Summarize all of it.")]);
/// request.extensions.insert(Timeouts::new().with_first_event(Duration::from_secs(1200)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct Timeouts {
    /// For [`FirstEventTimeoutLayer`](crate::FirstEventTimeoutLayer).
    pub first_event: Option<Duration>,
    /// For [`IdleTimeoutLayer`](crate::IdleTimeoutLayer).
    pub idle: Option<Duration>,
    /// For [`DeadlineLayer`](crate::DeadlineLayer).
    pub deadline: Option<Duration>,
}

impl Timeouts {
    /// No limits: those of the layers hold.
    pub const fn new() -> Self {
        Self { first_event: None, idle: None, deadline: None }
    }

    /// Sets how long an attempt may take to begin.
    pub const fn with_first_event(mut self, limit: Duration) -> Self {
        self.first_event = Some(limit);
        self
    }

    /// Sets how long a stream may be silent.
    pub const fn with_idle(mut self, limit: Duration) -> Self {
        self.idle = Some(limit);
        self
    }

    /// Sets how long the whole call may take.
    pub const fn with_deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }
}

/// The limit for this call: its own, or else the layer's.
pub(super) fn limit(
    request: &CompletionRequest,
    layers: Duration,
    own: fn(&Timeouts) -> Option<Duration>,
) -> Duration {
    request.extensions.get::<Timeouts>().and_then(own).unwrap_or(layers)
}

/// The instant so long after `start`; one that never comes when there is no such instant.
pub(super) fn after(start: Instant, limit: Duration) -> Instant {
    const NEVER: Duration = Duration::from_secs(86_400 * 365 * 30);
    start.checked_add(limit).unwrap_or_else(|| start + NEVER)
}

/// The error of a limit that ran out.
pub(super) fn timed_out(what: String, elapsed: Duration, partial: Option<Response>) -> Error {
    let error = Error::new(Category::Unavailable, what).with_kind(ErrorKind::Timeout).with_elapsed(elapsed);
    match partial {
        Some(partial) => error.with_partial(partial),
        None => error,
    }
}
