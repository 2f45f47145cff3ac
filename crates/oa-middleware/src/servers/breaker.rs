//! The circuit breaker of one server as a value, with the time as an argument.

use std::time::Duration;
use tokio::time::Instant;

/// When a server is taken out of rotation, and for how long.
///
/// ```
/// use oa_middleware::BreakerPolicy;
/// use std::time::Duration;
///
/// let policy = BreakerPolicy::new().failures(10).open_for(Duration::from_secs(2));
/// # let _ = policy;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct BreakerPolicy {
    failures: u32,
    open_for: Duration,
}

impl BreakerPolicy {
    /// Three failures, ten seconds.
    pub const fn new() -> Self {
        Self { failures: 3, open_for: Duration::from_secs(10) }
    }

    /// So many transient failures in a row take the server out of rotation. 0 counts as 1.
    pub const fn failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self
    }

    /// How long it stays out before it is tried again.
    pub const fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The breaker of one server.
#[derive(Debug)]
pub(super) enum Breaker {
    /// Calls go through; so many failed in a row.
    Closed { failures: u32 },
    /// Calls go elsewhere until then.
    Open { until: Instant },
    /// One call or probe finds out.
    HalfOpen,
}

/// What a breaker says at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Closed,
    Open,
    /// Open for long enough: one trial is due.
    Due,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self::Closed { failures: 0 }
    }

    pub(super) fn condition(&self, now: Instant) -> Condition {
        match self {
            Self::Closed { .. } => Condition::Closed,
            Self::Open { until } if *until <= now => Condition::Due,
            Self::Open { .. } | Self::HalfOpen => Condition::Open,
        }
    }

    /// Begins the trial that is due.
    pub(super) fn try_out(&mut self) {
        *self = Self::HalfOpen;
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::new();
    }

    pub(super) fn failed(&mut self, policy: BreakerPolicy, now: Instant) {
        let open = Self::Open { until: now.checked_add(policy.open_for).unwrap_or(now) };
        match self {
            Self::Closed { failures } => {
                *failures = failures.saturating_add(1);
                if *failures >= policy.failures {
                    *self = open;
                }
            }
            Self::HalfOpen => *self = open,
            // A call that was under way, or went here because all are open, does not put the trial off.
            Self::Open { .. } => {}
        }
    }

    /// The trial ended without a result: the next one is due at once.
    pub(super) fn abandoned(&mut self, now: Instant) {
        if matches!(self, Self::HalfOpen) {
            *self = Self::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn it_opens_half_opens_and_closes() {
        let policy = BreakerPolicy { failures: 2, open_for: Duration::from_secs(10) };
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut breaker = Breaker::new();
        breaker.failed(policy, at(0));
        breaker.succeeded();
        breaker.failed(policy, at(1));
        assert_eq!(breaker.condition(at(1)), Condition::Closed, "failures count in a row");
        breaker.failed(policy, at(2));
        assert_eq!(breaker.condition(at(11)), Condition::Open);
        breaker.failed(policy, at(11));
        assert_eq!(breaker.condition(at(12)), Condition::Due, "a straggler does not put the trial off");
        breaker.try_out();
        assert_eq!(breaker.condition(at(99)), Condition::Open, "one trial at a time");
        breaker.abandoned(at(13));
        assert_eq!(breaker.condition(at(13)), Condition::Due);
        breaker.try_out();
        breaker.failed(policy, at(14));
        assert_eq!(breaker.condition(at(23)), Condition::Open);
        breaker.try_out();
        breaker.succeeded();
        assert_eq!(breaker.condition(at(24)), Condition::Closed);
    }

    #[test]
    fn whatever_happens_it_never_stays_open_for_good() {
        for seed in 0..1000 {
            let random = Random::seeded(seed);
            let policy = BreakerPolicy { failures: random.below(4) as u32, open_for: Duration::from_secs(5) };
            let (mut breaker, mut now) = (Breaker::new(), Instant::now());
            for _ in 0..50 {
                now += Duration::from_millis(random.next_u64() % 3000);
                match random.below(4) {
                    0 => breaker.succeeded(),
                    1 | 2 => breaker.failed(policy, now),
                    _ if breaker.condition(now) == Condition::Due => breaker.try_out(),
                    _ => breaker.abandoned(now),
                }
            }
            breaker.abandoned(now);
            let later = now + policy.open_for;
            assert_ne!(breaker.condition(later), Condition::Open, "seed {seed}");
        }
    }
}
