//! The share of the calls that a server gets: less after a return, and less while it is slow to begin.

/// The least share: something must show whether the server does better.
const LEAST: f64 = 0.1;

/// The share of a server that came back, or was added, so long ago: it rises to the whole with the root of
/// the time. A share of the conversations that begin is a share of the load only when others have ended.
/// Times are in microseconds, here and below: a choice finds the share of each server.
#[inline]
pub(super) fn slow_start(since: f64, rise: f64) -> f64 {
    if since >= rise {
        return 1.0;
    }
    (since / rise).sqrt().max(LEAST)
}

/// How many times as long as the others a server may take to its first events.
const TOLERANCE: f64 = 3.0;

/// A difference that is no reason to do anything, in seconds.
const UNREMARKABLE: f64 = 0.1;

/// How long a share that nothing confirms takes to come back.
const FORGOTTEN: f64 = 60e6;

/// The share of a server whose streams take `own` seconds to begin, where those of the others take `others`
/// (both medians).
pub(super) fn outlier(own: f64, others: f64) -> f64 {
    let most = others * TOLERANCE + UNREMARKABLE;
    if own <= most { 1.0 } else { (most / own).max(LEAST) }
}

/// An outlier's share, so long after the last stream that began there.
pub(super) fn regained(share: f64, since: f64) -> f64 {
    let part = (since / FORGOTTEN).min(1.0);
    share + (1.0 - share) * part
}

/// The median of some of these, in place. None of none.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len().checked_sub(1)? / 2;
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: f64 = 1e6;

    fn are_close<const N: usize>(values: [f64; N], expected: [f64; N]) {
        let close = values.iter().zip(expected).all(|(value, expected)| (value - expected).abs() < 1e-9);
        assert!(close, "{values:?} for {expected:?}");
    }

    #[test]
    fn a_share_rises_to_the_whole() {
        let after = |seconds: f64| slow_start(seconds * SECOND, 30.0 * SECOND);
        let seconds = [0.0, 0.3, 7.5, 19.2, 30.0, 99.0];
        are_close(seconds.map(after), [0.1, 0.1, 0.5, 0.8, 1.0, 1.0]);
        are_close([slow_start(0.0, 0.0)], [1.0]);
    }

    #[test]
    fn an_outlier_loses_share_and_gets_it_back() {
        are_close([0.1, 0.4, 0.7, 1e9].map(|own| outlier(own, 0.1)), [1.0, 1.0, 0.4 / 0.7, LEAST]);
        let after = |seconds| regained(0.1, f64::from(seconds) * SECOND);
        are_close([0, 30, 60, 600].map(after), [0.1, 0.55, 1.0, 1.0]);
    }

    #[test]
    fn medians_lie_in_the_middle() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [2.0, 1.0]), Some(1.0));
    }
}
