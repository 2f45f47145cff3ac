//! The circuit breaker of one server as a value: the time is an argument, counted from any fixed moment.

use oa_wire::{Category, Error};
use std::{fmt, time::Duration};

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

    /// How long it stays out before it is tried again. Where a call would surely fail (a wrong key, an
    /// unknown model, a spent quota) and no probe is set, a call tries it only after six times as long.
    pub const fn open_for(mut self, time: Duration) -> Self {
        self.open_for = time;
        self
    }

    /// How long a server stays out for this reason before the next trial.
    fn time(self, reason: OutReason, probed: bool) -> Duration {
        match reason {
            OutReason::Authentication | OutReason::UnknownModel | OutReason::QuotaSpent if !probed => {
                self.open_for.saturating_mul(6)
            }
            _ => self.open_for,
        }
    }
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a server is out of rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OutReason {
    /// Its calls failed several times in a row.
    Failures,
    /// It asked to wait ([`Error::retry_after`]).
    Wait,
    /// It refused the key.
    Authentication,
    /// It does not know the model.
    UnknownModel,
    /// It has not loaded the model.
    ModelNotLoaded,
    /// The quota there is spent.
    QuotaSpent,
}

impl fmt::Display for OutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failures => "its calls failed",
            Self::Wait => "it asked to wait",
            Self::Authentication => "it refused the key",
            Self::UnknownModel => "it does not know the model",
            Self::ModelNotLoaded => "it has not loaded the model",
            Self::QuotaSpent => "the quota there is spent",
        })
    }
}

/// The longest wait that a server gets without being tried.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// What the end of a call tells of its server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// It gave a whole answer.
    Answered,
    /// A stream of it has begun.
    Began,
    /// It failed so many calls, and may succeed the next time.
    Failed(u32),
    /// It asked for no calls for so long.
    Wait(Duration),
    /// Calls fail until somebody changes something.
    Out(OutReason),
    /// Nothing: the request was refused, or the caller dropped the call.
    Nothing,
}

impl Verdict {
    pub(super) fn of(error: &Error) -> Self {
        if error.is_quota_spent() {
            return Self::Out(OutReason::QuotaSpent);
        }
        match error.category() {
            Category::Authentication => return Self::Out(OutReason::Authentication),
            Category::InvalidModel => return Self::Out(OutReason::UnknownModel),
            Category::ModelNotLoaded => return Self::Out(OutReason::ModelNotLoaded),
            _ if !error.is_transient() => return Self::Nothing,
            _ => {}
        }
        match error.retry_after() {
            Some(wait) if !wait.delay.is_zero() => Self::Wait(wait.delay.min(LONGEST_WAIT)),
            _ => Self::Failed(1),
        }
    }
}

/// The breaker of one server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Breaker {
    /// Calls go through, from then on; so many failed in a row.
    Closed { from: Duration, failures: u32 },
    /// Calls go elsewhere until then; then one call or probe tries the server.
    Open { until: Duration, reason: OutReason },
    /// A call or probe tries it.
    HalfOpen { reason: OutReason },
}

/// The state of a breaker at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Closed,
    Open,
    /// Open for long enough: one trial is due.
    Due,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    /// Out of rotation, at least for so long; or still out, for another reason.
    Out(OutReason, Duration),
    /// Back in rotation.
    Back,
}

impl Breaker {
    pub(super) const fn new() -> Self {
        Self::Closed { from: Duration::ZERO, failures: 0 }
    }

    /// From when on calls go through, and from when on a trial is due.
    pub(super) const fn times(&self) -> (Option<Duration>, Option<Duration>) {
        match self {
            Self::Closed { from, .. } => (Some(*from), None),
            Self::Open { until, .. } => (None, Some(*until)),
            Self::HalfOpen { .. } => (None, None),
        }
    }

    /// Why the server is out of rotation, if it is.
    pub(super) fn out(&self, now: Duration) -> Option<OutReason> {
        match self {
            Self::Closed { from, .. } => (*from > now).then_some(OutReason::Wait),
            Self::Open { reason, .. } | Self::HalfOpen { reason } => Some(*reason),
        }
    }

    /// Begins the trial that is due; false if none is.
    pub(super) fn begin_trial(&mut self, now: Duration) -> bool {
        match *self {
            Self::Open { until, reason } if until <= now => {
                *self = Self::HalfOpen { reason };
                true
            }
            _ => false,
        }
    }

    /// The trial ended without a result: the next one is due at once.
    fn trial_cancelled(&mut self, now: Duration) {
        if let Self::HalfOpen { reason } = *self {
            *self = Self::Open { until: now, reason };
        }
    }

    /// Opens for so long. A trial that finds another reason than the one before is a change.
    fn open(&mut self, reason: OutReason, time: Duration, now: Duration) -> Option<Change> {
        let is_change = match self {
            Self::Closed { .. } => true,
            Self::HalfOpen { reason: before } => *before != reason,
            // A call that was under way does not put the trial off.
            Self::Open { .. } => return None,
        };
        *self = Self::Open { until: now.saturating_add(time), reason };
        is_change.then_some(Change::Out(reason, time))
    }

    /// The end of a call or probe, or the beginning of a stream. `probed` is true where a probe, and no call,
    /// makes the trials.
    pub(super) fn record(
        &mut self,
        verdict: Verdict,
        policy: BreakerPolicy,
        probed: bool,
        now: Duration,
    ) -> Option<Change> {
        let limit = policy.failures.max(1);
        let was_out = !matches!(self, Self::Closed { .. });
        match verdict {
            Verdict::Nothing => self.trial_cancelled(now),
            Verdict::Answered => *self = Self::new(),
            // A beginning is no answer: the next failure takes the server out again.
            Verdict::Began => {
                if was_out {
                    *self = Self::Closed { from: Duration::ZERO, failures: limit - 1 };
                }
            }
            Verdict::Wait(wait) => {
                let until = now.saturating_add(wait);
                match self {
                    Self::Closed { from, .. } if until > *from => {
                        *from = until;
                        return Some(Change::Out(OutReason::Wait, wait));
                    }
                    Self::Closed { .. } => {}
                    _ => return self.open(OutReason::Wait, wait, now),
                }
            }
            Verdict::Out(reason) => return self.open(reason, policy.time(reason, probed), now),
            Verdict::Failed(times) => {
                if let Self::Closed { failures, .. } = self {
                    *failures = failures.saturating_add(times);
                    if *failures < limit {
                        return None;
                    }
                }
                let reason = OutReason::Failures;
                return self.open(reason, policy.time(reason, probed), now);
            }
        }
        (was_out && matches!(self, Self::Closed { .. })).then_some(Change::Back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use oa_wire::{RetryAfter, RetryAfterSource};

    const POLICY: BreakerPolicy = BreakerPolicy::new().failures(2);

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    impl Breaker {
        fn condition(&self, now: Duration) -> Condition {
            match self.times() {
                (Some(from), _) if from <= now => Condition::Closed,
                (_, Some(until)) if until <= now => Condition::Due,
                _ => Condition::Open,
            }
        }
    }

    fn record(breaker: &mut Breaker, verdict: Verdict, now: u64) -> Option<Change> {
        breaker.record(verdict, POLICY, false, at(now))
    }

    #[test]
    fn it_opens_half_opens_and_closes() {
        let mut breaker = Breaker::new();
        record(&mut breaker, Verdict::Failed(1), 0);
        record(&mut breaker, Verdict::Answered, 0);
        record(&mut breaker, Verdict::Failed(1), 1);
        assert_eq!(breaker.condition(at(1)), Condition::Closed, "failures count in a row");
        let out = Change::Out(OutReason::Failures, at(10));
        assert_eq!(record(&mut breaker, Verdict::Failed(1), 2), Some(out));
        assert_eq!(breaker.condition(at(11)), Condition::Open);
        assert_eq!(record(&mut breaker, Verdict::Failed(1), 11), None);
        assert_eq!(breaker.condition(at(12)), Condition::Due, "a straggler does not put the trial off");
        assert!(breaker.begin_trial(at(12)) && !breaker.begin_trial(at(12)));
        assert_eq!(breaker.condition(at(99)), Condition::Open, "one trial at a time");
        breaker.trial_cancelled(at(13));
        assert_eq!(breaker.condition(at(13)), Condition::Due);
        breaker.begin_trial(at(13));
        record(&mut breaker, Verdict::Failed(1), 14);
        assert_eq!(breaker.condition(at(23)), Condition::Open);
        breaker.begin_trial(at(24));
        assert_eq!(record(&mut breaker, Verdict::Answered, 24), Some(Change::Back));
        assert_eq!(breaker.condition(at(24)), Condition::Closed);
    }

    #[test]
    fn a_trial_that_finds_another_reason_tells_it_once() {
        let mut breaker = Breaker::new();
        record(&mut breaker, Verdict::Failed(2), 0);
        let unknown = Verdict::Out(OutReason::UnknownModel);
        assert_eq!(record(&mut breaker, unknown, 1), None, "a straggler changes nothing");
        assert!(breaker.begin_trial(at(10)));
        let out = Change::Out(OutReason::UnknownModel, at(60));
        assert_eq!(record(&mut breaker, unknown, 11), Some(out));
        assert_eq!(breaker.out(at(11)), Some(OutReason::UnknownModel));
        assert!(breaker.begin_trial(at(71)));
        assert_eq!(record(&mut breaker, unknown, 72), None);
        assert!(breaker.begin_trial(at(132)));
        let out = Change::Out(OutReason::Failures, at(10));
        assert_eq!(record(&mut breaker, Verdict::Failed(1), 133), Some(out));
    }

    #[test]
    fn streams_that_begin_and_break_open_it() {
        let mut breaker = Breaker::new();
        record(&mut breaker, Verdict::Began, 0);
        record(&mut breaker, Verdict::Failed(1), 1);
        record(&mut breaker, Verdict::Began, 2);
        record(&mut breaker, Verdict::Failed(1), 3);
        assert_eq!(breaker.condition(at(3)), Condition::Open);
        breaker.begin_trial(at(13));
        assert_eq!(record(&mut breaker, Verdict::Began, 13), Some(Change::Back));
        assert_eq!(
            record(&mut breaker, Verdict::Failed(1), 14),
            Some(Change::Out(OutReason::Failures, at(10)))
        );
    }

    #[test]
    fn several_calls_that_fail_together_count_each() {
        let mut breaker = Breaker::new();
        let out = Change::Out(OutReason::Failures, at(10));
        assert_eq!(record(&mut breaker, Verdict::Failed(2), 0), Some(out));
    }

    #[test]
    fn a_wait_is_time_out_of_rotation() {
        let mut breaker = Breaker::new();
        let out = Change::Out(OutReason::Wait, at(7));
        assert_eq!(record(&mut breaker, Verdict::Wait(at(7)), 1), Some(out));
        assert_eq!(record(&mut breaker, Verdict::Wait(at(2)), 2), None, "the longer wait holds");
        assert_eq!((breaker.condition(at(7)), breaker.out(at(7))), (Condition::Open, Some(OutReason::Wait)));
        assert_eq!((breaker.condition(at(8)), breaker.out(at(8))), (Condition::Closed, None));
    }

    #[test]
    fn errors_say_what_they_tell_of_the_server() {
        let wait = |seconds| Some(RetryAfter::new(at(seconds), RetryAfterSource::Seconds));
        let error = |category| Error::new(category, "x");
        let cases = [
            (error(Category::Unavailable), Verdict::Failed(1)),
            (error(Category::RateLimit), Verdict::Failed(1)),
            (error(Category::RateLimit).with_retry_after(wait(5)), Verdict::Wait(at(5))),
            (error(Category::Unavailable).with_retry_after(wait(5)), Verdict::Wait(at(5))),
            (error(Category::RateLimit).with_retry_after(wait(604_800)), Verdict::Wait(LONGEST_WAIT)),
            (error(Category::RateLimit).with_quota_spent(true), Verdict::Out(OutReason::QuotaSpent)),
            (error(Category::Authentication), Verdict::Out(OutReason::Authentication)),
            (error(Category::InvalidModel), Verdict::Out(OutReason::UnknownModel)),
            (error(Category::ModelNotLoaded), Verdict::Out(OutReason::ModelNotLoaded)),
            (error(Category::InvalidRequest), Verdict::Nothing),
            (error(Category::InvalidResponse), Verdict::Nothing),
        ];
        for (error, verdict) in cases {
            assert_eq!(Verdict::of(&error), verdict, "{error:?}");
        }
    }

    #[test]
    fn a_wrong_key_keeps_it_out_longer_where_only_calls_can_try() {
        for (probed, seconds) in [(true, 10), (false, 60)] {
            let mut breaker = Breaker::new();
            let reason = OutReason::Authentication;
            let change = breaker.record(Verdict::Out(reason), POLICY, probed, at(0));
            assert_eq!(change, Some(Change::Out(reason, at(seconds))));
            assert_eq!(breaker.condition(at(seconds - 1)), Condition::Open);
            assert_eq!(breaker.condition(at(seconds)), Condition::Due);
        }
    }

    #[test]
    fn whatever_happens_it_never_stays_open_for_good() {
        for seed in 0..1000 {
            let random = Random::seeded(seed);
            let policy = BreakerPolicy::new().failures(random.below(4) as u32).open_for(at(5));
            let (mut breaker, mut now) = (Breaker::new(), Duration::ZERO);
            for _ in 0..50 {
                now += Duration::from_millis(random.next_u64() % 3000);
                let verdict = match random.below(8) {
                    0 => Verdict::Answered,
                    1 => Verdict::Began,
                    2 | 3 => Verdict::Failed(1),
                    4 => Verdict::Wait(Duration::from_millis(random.next_u64() % 9000)),
                    5 => Verdict::Out(OutReason::Authentication),
                    6 => Verdict::Nothing,
                    _ => {
                        breaker.begin_trial(now);
                        continue;
                    }
                };
                breaker.record(verdict, policy, false, now);
            }
            breaker.trial_cancelled(now);
            assert_ne!(breaker.condition(now + at(30)), Condition::Open, "seed {seed}");
        }
    }
}
