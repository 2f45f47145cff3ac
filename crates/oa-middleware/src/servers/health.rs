//! The health of one server. A choice reads it without locks; the ends of calls change it.

use super::{
    begins::Begins,
    breaker::{Breaker, BreakerPolicy, Change, Condition, OutReason, Verdict},
    pick::{Candidate, hash},
    share,
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// Times are counted from the making of the set of servers.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) name: Arc<str>,
    hash: u64,
    /// An `f64`'s bits.
    weight: AtomicU64,
    breaker: Mutex<Breaker>,
    // The breaker's state, in microseconds.
    closed_from: AtomicU64,
    due_from: AtomicU64,
    /// When it came back, in microseconds; [`NEVER`] where it has its whole share.
    returned: AtomicU64,
    load: AtomicU64,
    calls: AtomicUsize,
    begun: Lately,
    /// When the last event or answer came, in microseconds.
    shown_life: AtomicU64,
    /// Set when it leaves the set.
    pub(super) removed: AtomicBool,
    pub(super) begins: Begins,
    /// How long calls usually take to begin to be answered, in microseconds; 0 where none was.
    usual: AtomicU64,
    /// The share by the times to first events, an `f64`'s bits, and when it was found.
    outlier: AtomicU64,
    outlier_at: AtomicU64,
}

const NEVER: u64 = u64::MAX;

/// A sum of which half is forgotten every 17 seconds. Times are in microseconds.
#[derive(Debug, Default)]
struct Lately(
    /// The sum, and in the lower half when it was that, in units of 131 ms.
    AtomicU64,
);

impl Lately {
    const TIME: u32 = 17;
    const HALF_LIFE: u32 = 7;

    fn add(&self, weight: u64, now: u64) {
        let added = |state| {
            let sum = (Self::decayed(state, now) + weight).min(u64::from(u32::MAX));
            Some((sum << 32) | u64::from((now >> Self::TIME) as u32))
        };
        // It always has a next value.
        let _ = self.0.fetch_update(Relaxed, Relaxed, added);
    }

    #[inline]
    fn read(&self, now: u64) -> u32 {
        Self::decayed(self.0.load(Relaxed), now) as u32
    }

    /// Between two halvings it falls evenly: a choice looks at each server.
    #[inline]
    fn decayed(state: u64, now: u64) -> u64 {
        let since = ((now >> Self::TIME) as u32).wrapping_sub(state as u32);
        // Another thread may have a later clock.
        let since = if since > u32::MAX / 2 { 0 } else { since };
        let sum = (state >> 32).checked_shr(since >> Self::HALF_LIFE).unwrap_or(0);
        let part = u64::from(since % (1 << Self::HALF_LIFE));
        sum - ((sum * part) >> (Self::HALF_LIFE + 1))
    }
}

/// A count as a number. Few processors convert integers without a sign, and none of ours needs the 64th bit.
#[inline]
fn whole(count: u64) -> f64 {
    count as i64 as f64
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(NEVER - 1)
}

impl Health {
    pub(super) fn new(name: Arc<str>, added: Option<Duration>) -> Self {
        Self {
            hash: hash(name.as_bytes()),
            name,
            weight: AtomicU64::new(1f64.to_bits()),
            breaker: Mutex::new(Breaker::new()),
            closed_from: AtomicU64::new(0),
            due_from: AtomicU64::new(NEVER),
            returned: AtomicU64::new(added.map_or(NEVER, micros)),
            load: AtomicU64::new(0),
            calls: AtomicUsize::new(0),
            begun: Lately::default(),
            shown_life: AtomicU64::new(0),
            removed: AtomicBool::new(false),
            begins: Begins::new(),
            usual: AtomicU64::new(0),
            outlier: AtomicU64::new(1f64.to_bits()),
            outlier_at: AtomicU64::new(0),
        }
    }

    pub(super) fn set_weight(&self, weight: f64) {
        self.weight.store(weight.to_bits(), Relaxed);
    }

    #[inline]
    pub(super) fn weight(&self) -> f64 {
        f64::from_bits(self.weight.load(Relaxed))
    }

    pub(super) fn hash32(&self) -> u32 {
        self.hash as u32
    }

    /// The breaker's state, at a time in microseconds.
    #[inline]
    pub(super) fn condition(&self, now: u64) -> Condition {
        if self.closed_from.load(Relaxed) <= now {
            Condition::Closed
        } else if self.due_from.load(Relaxed) <= now {
            Condition::Due
        } else {
            Condition::Open
        }
    }

    /// What a choice needs to know of every call.
    #[inline]
    pub(super) fn candidate(&self, at: usize, now: u64, slow_start: f64) -> Candidate {
        let share = self.share(now, slow_start);
        Candidate {
            at: at as u32,
            share: share as f32,
            hash: self.hash,
            weight: self.weight() * share,
            load: whole(self.load.load(Relaxed)),
            begun: 0,
        }
    }

    /// The weight of the conversations that began here lately.
    #[inline]
    pub(super) fn begun_lately(&self, now: u64) -> u32 {
        self.begun.read(now)
    }

    /// A conversation of this weight begins here.
    pub(super) fn conversation_begins(&self, weight: u64, now: Duration) {
        self.begun.add(weight, micros(now));
    }

    /// The present share of its weight. Times are in microseconds.
    #[inline]
    pub(super) fn share(&self, now: u64, slow_start: f64) -> f64 {
        let returned = self.returned.load(Relaxed);
        let outlier = f64::from_bits(self.outlier.load(Relaxed));
        if returned == NEVER && outlier >= 1.0 {
            return 1.0;
        }
        self.part_of_share(now, slow_start, returned, outlier)
    }

    fn part_of_share(&self, now: u64, slow_start: f64, returned: u64, outlier: f64) -> f64 {
        let since = |then| whole(now.saturating_sub(then));
        let mut share = 1.0;
        if returned != NEVER {
            share = share::slow_start(since(returned), slow_start);
            if share >= 1.0 {
                self.returned.store(NEVER, Relaxed);
            }
        }
        if outlier < 1.0 {
            share *= share::regained(outlier, since(self.outlier_at.load(Relaxed)));
        }
        share
    }

    pub(super) fn load(&self) -> u64 {
        self.load.load(Relaxed)
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Relaxed)
    }

    pub(super) fn call_begins(&self, load: u64) {
        self.load.fetch_add(load, Relaxed);
        self.calls.fetch_add(1, Relaxed);
    }

    pub(super) fn call_ends(&self, load: u64) {
        self.load.fetch_sub(load, Relaxed);
        self.calls.fetch_sub(1, Relaxed);
    }

    /// An event or an answer came. Of two at once one may be lost, which does not matter.
    pub(super) fn shows_life(&self, now: Duration) {
        self.shown_life.store(micros(now), Relaxed);
    }

    /// When it last showed a sign of life to anybody, in microseconds.
    pub(super) fn shown_life(&self) -> u64 {
        self.shown_life.load(Relaxed)
    }

    pub(super) fn out(&self, now: Duration) -> Option<OutReason> {
        self.breaker().out(now)
    }

    pub(super) fn begin_trial(&self, now: Duration) -> bool {
        let mut breaker = self.breaker();
        let begun = breaker.begin_trial(now);
        self.publish(&breaker);
        begun
    }

    pub(super) fn record(
        &self,
        verdict: Verdict,
        policy: BreakerPolicy,
        probed: bool,
        now: Duration,
    ) -> Option<Change> {
        // Most calls end well where all is well.
        let mut breaker = self.breaker();
        let change = breaker.record(verdict, policy, probed, now);
        self.publish(&breaker);
        if change == Some(Change::Back) {
            self.returned.store(micros(now), Relaxed);
        }
        change
    }

    /// A call took so long to begin to be answered. Of two at once one may be lost, which does not matter.
    pub(super) fn took(&self, time: Duration) {
        let (usual, time) = (self.usual.load(Relaxed), micros(time).max(1));
        let next = if usual == 0 { time } else { usual - usual / 8 + time / 8 };
        self.usual.store(next, Relaxed);
    }

    /// How long a call may take before it is clear that the server is not as it was; none where it never
    /// answered.
    pub(super) fn patience(&self) -> Option<Duration> {
        const AT_LEAST: Duration = Duration::from_millis(500);
        let usual = self.usual.load(Relaxed);
        (usual != 0).then(|| Duration::from_micros(usual.saturating_mul(4)).max(AT_LEAST))
    }

    pub(super) fn set_outlier(&self, share: f64, now: Duration) {
        self.outlier_at.store(micros(now), Relaxed);
        self.outlier.store(share.to_bits(), Relaxed);
    }

    fn publish(&self, breaker: &Breaker) {
        let (closed_from, due_from) = breaker.times();
        self.closed_from.store(closed_from.map_or(NEVER, micros), Relaxed);
        self.due_from.store(due_from.map_or(NEVER, micros), Relaxed);
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_was_lately_is_forgotten_in_17_seconds() {
        let second = |seconds: u64| seconds * 1_000_000;
        let lately = Lately::default();
        assert_eq!(lately.read(second(1)), 0);
        lately.add(1024, second(100));
        lately.add(1024, second(100));
        let readings = [99, 100, 108, 117, 134, 700, 100_000].map(|at| lately.read(second(at)));
        assert!(readings.is_sorted_by(|one, other| one >= other), "{readings:?}");
        assert_eq!((readings[0], readings[1], readings[6]), (2048, 2048, 0));
        for (reading, about) in [(readings[3], 1024), (readings[4], 512)] {
            assert!(reading.abs_diff(about) < about / 20, "{readings:?}");
        }
    }
}
