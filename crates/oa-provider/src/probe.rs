//! The readiness probes, and the report of a wait for readiness.

use oa_wire::Error;
use std::time::Duration;

/// What [`ready`](crate::Provider::ready) asks a server for.
///
/// The list of models cannot tell a cold vLLM from a warm one, and some gateways list models but refuse chat,
/// or serve models that they do not list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Probe {
    /// Whether `GET /v1/models` lists the bound model, and as loaded.
    #[default]
    Models,
    /// Whether a completion of one token succeeds. It may cost money.
    Chat,
    /// Both, the list first. A server without a list (404, 405 or 501) is ready if a completion succeeds; one
    /// whose list lacks the model is not, and the error tells whether a completion succeeds all the same.
    Both,
}

/// A report of [`wait_until_ready_with`](crate::HttpProvider::wait_until_ready_with): the server is not ready
/// yet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// How many probes were made.
    pub attempts: u32,
    /// The time since the first.
    pub elapsed: Duration,
    /// The time until the next.
    pub next: Duration,
    /// Why the server is not ready.
    pub error: Error,
}
