//! What the layers of one call tell each other, in the request's extensions.

use oa_wire::CompletionRequest;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// What the layers of one call tell each other, in the request's
/// [`extensions`](CompletionRequest::extensions).
///
/// The outermost layer that needs it puts it there; a layer of your own may read it, inside or outside.
///
/// ```
/// use oa_middleware::CallContext;
/// use oa_wire::CompletionRequest;
///
/// fn is_a_retry(request: &CompletionRequest) -> bool {
///     CallContext::of(request).is_some_and(|context| context.attempt() > 0)
/// }
/// # assert!(!is_a_retry(&CompletionRequest::default()));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    pub(crate) deadline: Option<Instant>,
    pub(crate) attempt: u32,
    pub(crate) reason: Option<RetryReason>,
    /// Whether a retry layer is outside: a second one would multiply the attempts.
    pub(crate) retried: bool,
    shared: Arc<Shared>,
}

/// What the layers inside tell those outside.
#[derive(Debug, Default)]
struct Shared {
    server: Mutex<Option<Arc<str>>>,
}

impl CallContext {
    /// The context of this request, if a layer has put one there.
    pub fn of(request: &CompletionRequest) -> Option<&Self> {
        request.extensions.get()
    }

    /// The context of this request, which is made if there is none.
    pub(crate) fn of_mut(request: &mut CompletionRequest) -> &mut Self {
        request.extensions.get_or_insert_with(Self::default)
    }

    /// When the call must be over. Of two limits, the earlier.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The number of this attempt, from 0.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Why this attempt is made; none for the first.
    pub fn retry_reason(&self) -> Option<RetryReason> {
        self.reason
    }

    /// The name of the server that was called last, if the call went through [`Servers`](crate::Servers).
    pub fn server(&self) -> Option<Arc<str>> {
        self.last_server().clone()
    }

    pub(crate) fn set_server(&self, name: &Arc<str>) {
        *self.last_server() = Some(name.clone());
    }

    fn last_server(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.shared.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryReason {
    /// `transient`: the same request may succeed now.
    Transient,
    /// `reask`: the output did not satisfy the schema, and the request now says so.
    Reask,
}

impl RetryReason {
    /// The name in spans.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Reask => "reask",
        }
    }
}

impl fmt::Display for RetryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
