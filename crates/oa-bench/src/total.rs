//! The sum of the results of all calls.

use crate::sink::Sink;

/// Counters, times and errors, added up.
#[derive(Default)]
pub(crate) struct Total {
    pub(crate) sink: Sink,
    pub(crate) latencies: Vec<u64>,
    pub(crate) firsts: Vec<u64>,
    pub(crate) errors: u64,
    pub(crate) last_error: String,
}
