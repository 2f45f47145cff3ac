//! The events of a set of servers about its members.

use super::breaker::OutReason;
use std::time::Duration;

/// A change among the servers, for [`Servers::on_change`](crate::Servers::on_change).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// A server was added.
    Added {
        /// Its name.
        server: &'a str,
    },
    /// A server was removed: it gets no new calls, and those under way go on.
    Removed {
        /// Its name.
        server: &'a str,
    },
    /// A server was taken out of rotation, or is still out and a trial found another reason. A wrong key and
    /// an unknown model need somebody's hand.
    Out {
        /// Its name.
        server: &'a str,
        /// Why.
        reason: OutReason,
        /// The time until it is tried again, at least.
        time: Duration,
    },
    /// A server is back in rotation.
    Back {
        /// Its name.
        server: &'a str,
    },
    /// A second server was called, since the first had not begun to answer.
    Hedged {
        /// The first.
        first: &'a str,
        /// The second.
        second: &'a str,
    },
}

/// A server of a set at a moment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Its name.
    pub name: String,
    /// Why it is out of rotation, if it is.
    pub out: Option<OutReason>,
    /// How many calls are under way there.
    pub calls: usize,
    /// Its load: the bytes of the prompts under way, and 1024 for each call.
    pub load: u64,
    /// Its weight.
    pub weight: f64,
    /// Its present share of that, up to 1: lower for a while after a return, and while it is slow.
    pub share: f64,
}
