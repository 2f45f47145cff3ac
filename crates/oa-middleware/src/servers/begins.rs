//! The time that the streams of a server take to begin: a median, which a moment of waiting does not move.

use super::share;
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// The last times to first events.
#[derive(Debug)]
pub(super) struct Begins {
    times: Mutex<Times>,
    /// An `f64`'s bits, in seconds; negative where the times say nothing yet.
    median: AtomicU64,
}

#[derive(Debug)]
struct Times {
    seconds: [f64; KEPT],
    count: usize,
    last: Option<Duration>,
}

const KEPT: usize = 31;

/// So many times must be known before they say something.
const FEW: usize = 9;

/// Streams that begin within so short a time tell one thing: all of them waited for the same. So a server is
/// slow only where it has been for a second or two.
const APART: Duration = Duration::from_millis(100);

impl Begins {
    pub(super) const fn new() -> Self {
        let times = Times { seconds: [0.0; KEPT], count: 0, last: None };
        Self { times: Mutex::new(times), median: AtomicU64::new((-1.0_f64).to_bits()) }
    }

    /// A stream began now, after so many seconds. The median, once it says something, where it may have
    /// changed.
    pub(super) fn add(&self, seconds: f64, now: Duration) -> Option<f64> {
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if times.last.is_some_and(|last| now.saturating_sub(last) < APART) {
            return None;
        }
        times.last = Some(now);
        let at = times.count % KEPT;
        times.seconds[at] = seconds;
        times.count += 1;
        let count = times.count.min(KEPT);
        if count < FEW {
            return None;
        }
        let mut known = times.seconds;
        let median = share::median(&mut known[..count])?;
        self.median.store(median.to_bits(), Relaxed);
        Some(median)
    }

    /// The median in seconds, once it says something.
    pub(super) fn median(&self) -> Option<f64> {
        let median = f64::from_bits(self.median.load(Relaxed));
        (median >= 0.0).then_some(median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_waiting_moves_nothing_and_a_slow_server_shows() {
        let begins = Begins::new();
        let mut now = Duration::ZERO;
        let mut stream = |seconds, after: u64| {
            now += Duration::from_millis(after);
            begins.add(seconds, now)
        };
        for _ in 1..FEW {
            assert_eq!(stream(0.1, 200), None, "too few");
        }
        assert_eq!(stream(0.1, 200), Some(0.1));
        for _ in 0..300 {
            assert!(stream(5.0, 1).is_none_or(|median| median < 0.2), "all waited for one thing");
        }
        assert_eq!(begins.median(), Some(0.1));
        for _ in 0..KEPT {
            stream(2.0, 200);
        }
        assert_eq!(begins.median(), Some(2.0));
        for _ in 0..KEPT {
            stream(0.1, 200);
        }
        assert_eq!(begins.median(), Some(0.1));
    }
}
