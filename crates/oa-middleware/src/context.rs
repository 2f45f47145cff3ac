//! Values that the layers of one call pass to each other, in the extensions of the request.

use oa_wire::CompletionRequest;
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;
use tower::retry::budget::Budget;

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
    /// The limits of an attempt that layers outside apply.
    pub(crate) first_event: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    /// What pays for further requests of this call.
    pub(crate) budget: Option<SharedBudget>,
    /// How many sets of servers are outside.
    depth: u8,
    shared: Arc<Shared>,
}

/// What the layers inside tell those outside.
#[derive(Debug, Default)]
struct Shared {
    /// The depths, as bits, at which servers apply the limits of an attempt, each anew.
    limited: AtomicU8,
    servers: Mutex<ServersCalled>,
}

#[derive(Debug, Default)]
struct ServersCalled {
    last: Option<Arc<str>>,
    /// Those that failed this call, until all of them have.
    failed: Vec<Arc<str>>,
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
        self.servers().last.clone()
    }

    /// Tells the layers outside that servers inside apply the limits of an attempt, each anew.
    pub(crate) fn take_limits(&self) {
        self.shared.limited.fetch_or(self.bit(), Ordering::Relaxed);
    }

    /// For the layers that limit an attempt: whether servers inside do it.
    pub(crate) fn limits(&self) -> Limits {
        Limits { shared: self.shared.clone(), bit: self.bit() }
    }

    /// The context of a call to one of several servers.
    pub(crate) fn to_one_server(&self, name: &Arc<str>) -> Self {
        self.servers().last = Some(name.clone());
        Self { first_event: None, idle: None, depth: self.depth.saturating_add(1), ..self.clone() }
    }

    /// A server failed this call.
    pub(crate) fn server_failed(&self, name: &Arc<str>) {
        let mut servers = self.servers();
        if !servers.failed.contains(name) {
            servers.failed.push(name.clone());
        }
    }

    /// Whether this server has failed the call.
    pub(crate) fn has_failed(&self, name: &str) -> bool {
        self.servers().failed.iter().any(|failed| **failed == *name)
    }

    /// All servers have failed the call: they are equal again.
    pub(crate) fn forget_failed(&self) {
        self.servers().failed.clear();
    }

    // Deeper sets than there are bits share the last one.
    fn bit(&self) -> u8 {
        1 << self.depth.min(7)
    }

    fn servers(&self) -> MutexGuard<'_, ServersCalled> {
        self.shared.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether servers inside apply the limits of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    shared: Arc<Shared>,
    bit: u8,
}

impl Limits {
    pub(crate) fn are_inside(&self) -> bool {
        self.shared.limited.load(Ordering::Relaxed) & self.bit != 0
    }
}

/// A budget of retries that several layers share.
#[derive(Clone)]
pub(crate) struct SharedBudget(pub(crate) Arc<dyn Budget + Send + Sync>);

impl fmt::Debug for SharedBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedBudget(..)")
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
