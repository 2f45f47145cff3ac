//! Hedging: a second server is called because the first has not begun to answer.

use std::{fmt, sync::Arc, time::Duration};
use tower::retry::budget::Budget;

/// When a call that has not begun to answer goes to a second server as well. The first event of either wins,
/// and the other call is dropped.
///
/// It lowers the slowest answers at the cost of some prefills that are made twice. A stream that has begun is
/// never hedged. Each hedge is paid from the budget of the retry layer outside, if there is one; where that
/// is spent, none is made.
///
/// ```
/// use oa_middleware::Hedge;
/// use std::time::Duration;
///
/// let fixed = Hedge::after(Duration::from_secs(2));
/// let slowest = Hedge::percentile(0.95);
/// ```
#[derive(Clone)]
#[must_use]
pub struct Hedge {
    delay: Delay,
    pub(super) budget: Option<Arc<dyn Budget + Send + Sync>>,
}

#[derive(Clone, Copy, Debug)]
enum Delay {
    Fixed(Duration),
    Percentile(f64),
}

impl Hedge {
    /// After this time.
    pub const fn after(delay: Duration) -> Self {
        Self { delay: Delay::Fixed(delay), budget: None }
    }

    /// After the time within which this part of the last 128 calls began to answer, such as 0.95. None is
    /// made before 20 have begun.
    pub const fn percentile(part: f64) -> Self {
        Self { delay: Delay::Percentile(part), budget: None }
    }

    /// Sets what pays for it, in place of the budget of the retry layer outside.
    pub fn budget(mut self, budget: Arc<dyn Budget + Send + Sync>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The delay by these times to first events; none while there are too few.
    pub(super) fn delay(&self, seen: &Latencies) -> Option<Duration> {
        match self.delay {
            Delay::Fixed(delay) => Some(delay),
            Delay::Percentile(part) => seen.percentile(part),
        }
    }
}

impl fmt::Debug for Hedge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedge").field("delay", &self.delay).finish_non_exhaustive()
    }
}

/// The last times to first events, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latencies {
    seconds: [f64; KEPT],
    count: usize,
}

const KEPT: usize = 128;

/// So many must have been seen.
const FEW: usize = 20;

impl Latencies {
    pub(super) const fn new() -> Self {
        Self { seconds: [0.0; KEPT], count: 0 }
    }

    pub(super) fn add(&mut self, time: Duration) {
        self.seconds[self.count % KEPT] = time.as_secs_f64();
        // The place in the ring stays right when the count is cut back.
        self.count = if self.count == 2 * KEPT - 1 { KEPT } else { self.count + 1 };
    }

    fn percentile(&self, part: f64) -> Option<Duration> {
        let count = self.count.min(KEPT);
        if count < FEW {
            return None;
        }
        let mut seconds = self.seconds;
        let seconds = &mut seconds[..count];
        let at = ((count as f64 * part.clamp(0.0, 1.0)) as usize).min(count - 1);
        let (_, value, _) = seconds.select_nth_unstable_by(at, f64::total_cmp);
        Duration::try_from_secs_f64(*value).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_of_the_last_calls() {
        let mut seen = Latencies::new();
        let hedge = Hedge::percentile(0.9);
        for second in 0..19 {
            seen.add(Duration::from_secs(second));
        }
        assert_eq!(hedge.delay(&seen), None);
        for second in 19..100 {
            seen.add(Duration::from_secs(second));
        }
        assert_eq!(hedge.delay(&seen), Some(Duration::from_secs(90)));
        for _ in 0..1000 {
            seen.add(Duration::from_secs(7));
        }
        assert_eq!(hedge.delay(&seen), Some(Duration::from_secs(7)));
        assert_eq!(
            Hedge::after(Duration::from_secs(2)).delay(&Latencies::new()),
            Some(Duration::from_secs(2))
        );
    }
}
