//! The wait between two attempts.

use std::{fmt, sync::Arc, time::Duration};

/// The wait before the next attempt, as a function of how many were made. A server's `Retry-After` can only
/// make it longer.
///
/// ```
/// use oa_middleware::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::exponential(Duration::from_secs(1), Duration::from_secs(30));
/// assert_eq!(backoff.delay(0, 0.5), Duration::from_millis(500));
/// assert_eq!(backoff.delay(9, 0.5), Duration::from_secs(15));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Backoff(Kind);

#[derive(Clone)]
enum Kind {
    Exponential { base: Duration, cap: Duration },
    Fixed(Duration),
    Custom(Arc<dyn Fn(u32) -> Duration + Send + Sync>),
}

impl Backoff {
    /// Exponential with full jitter: after attempt `n` (from 0) anything from 0 to `base * 2^n`, at most
    /// `cap`, each as likely. The default has 1 and 30 seconds.
    pub fn exponential(base: Duration, cap: Duration) -> Self {
        Self(Kind::Exponential { base, cap })
    }

    /// The same wait each time, without jitter.
    pub fn fixed(delay: Duration) -> Self {
        Self(Kind::Fixed(delay))
    }

    /// The result of this function. It is given the number of the attempt that failed, from 0.
    pub fn custom(delay: impl Fn(u32) -> Duration + Send + Sync + 'static) -> Self {
        Self(Kind::Custom(Arc::new(delay)))
    }

    /// The wait after attempt `failed` (from 0). `random` is of [0, 1).
    pub fn delay(&self, failed: u32, random: f64) -> Duration {
        match &self.0 {
            Kind::Exponential { base, cap } => {
                let most = base.saturating_mul(1u32.checked_shl(failed).unwrap_or(u32::MAX)).min(*cap);
                Duration::try_from_secs_f64(most.as_secs_f64() * random.clamp(0.0, 1.0)).unwrap_or(most)
            }
            Kind::Fixed(delay) => *delay,
            Kind::Custom(delay) => delay(failed),
        }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_secs(1), Duration::from_secs(30))
    }
}

impl fmt::Debug for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Exponential { base, cap } => {
                write!(f, "Exponential({base:?}, at most {cap:?}, full jitter)")
            }
            Kind::Fixed(delay) => write!(f, "Fixed({delay:?})"),
            Kind::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_cap_and_never_overflows() {
        let backoff = Backoff::default();
        let most: Vec<u64> = (0..8).map(|failed| backoff.delay(failed, 1.0).as_secs()).collect();
        assert_eq!(most, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(backoff.delay(u32::MAX, 1.0), Duration::from_secs(30));
        assert_eq!(backoff.delay(3, 0.0), Duration::ZERO);
        let huge = Backoff::exponential(Duration::MAX, Duration::MAX);
        assert!(huge.delay(40, 1.0) > Duration::from_secs(1));
    }
}
