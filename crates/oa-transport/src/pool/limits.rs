//! The limits of the pool: how long connections wait in it, and how many.

use std::time::Duration;

#[derive(Clone, Copy)]
pub(crate) struct PoolLimits {
    /// How long a connection may wait.
    pub(crate) idle_timeout: Duration,
    /// How many may wait for one host.
    pub(crate) max_idle_per_host: usize,
}
