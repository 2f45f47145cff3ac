//! Delays as servers write them: `1.2s`, `6m0s`, "try again in 20 seconds".

use std::time::{Duration, SystemTime};

/// A longer wait is taken for this one: it is as good as never.
pub(super) const LIMIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long to wait, as a member of a body says it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wait {
    For(Duration),
    Until(SystemTime),
}

impl Wait {
    /// From this moment on.
    pub(super) fn from(self, now: Option<SystemTime>) -> Option<Duration> {
        match self {
            Self::For(delay) => Some(delay),
            Self::Until(moment) => until(moment, now),
        }
    }
}

/// The time until a moment; none for one that is past.
pub(super) fn until(moment: SystemTime, now: Option<SystemTime>) -> Option<Duration> {
    Some(moment.duration_since(now?).ok()?.min(LIMIT))
}

/// The delay that a text states: "try again in 1.2s", "retry after 20 seconds", "1m30s". The text is
/// lowercase.
pub(super) fn in_text(text: &str) -> Option<Duration> {
    const ANCHORS: [&str; 17] = [
        "try again in ",
        "try again after ",
        "retry again in ",
        "retry again after ",
        "retry in ",
        "retry after ",
        "please wait ",
        "and wait ",
        "resets in ",
        "reset in ",
        "reset after ",
        "resets after ",
        "retry-after: ",
        "retry_after: ",
        "available in ",
        "available again in ",
        "wait time is ",
    ];
    let mut places: Vec<usize> = ANCHORS
        .iter()
        .flat_map(|anchor| text.match_indices(anchor).map(|(at, _)| at + anchor.len()))
        .collect();
    places.sort_unstable();
    places.into_iter().find_map(|at| {
        let rest = text[at..].trim_start();
        let about = ["about ", "approximately ", "at least ", "for ", "another "];
        let rest = about.iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
        // A header's value has no unit.
        let is_header = text[..at].ends_with(": ");
        let number = &rest[..number_length(rest)];
        duration(rest).map(|(delay, _)| delay).or_else(|| decimal(number, 1.0).filter(|_| is_header))
    })
}

/// Digits, with a fraction or without, in units of `scale` seconds.
pub(super) fn decimal(text: &str, scale: f64) -> Option<Duration> {
    let text = text.trim();
    (number_length(text) == text.len()).then(|| scaled(text, scale))?
}

/// A delay that is the whole text: a number in units of `scale` seconds, or a duration with its own units.
pub(super) fn stated(text: &str, scale: f64) -> Option<Duration> {
    let text = text.trim().to_ascii_lowercase();
    decimal(&text, scale)
        .or_else(|| duration(&text).filter(|(_, length)| *length == text.len()).map(|(delay, _)| delay))
}

fn scaled(number: &str, scale: f64) -> Option<Duration> {
    let seconds: f64 = number.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds * scale).unwrap_or(LIMIT).min(LIMIT))
}

/// The length of the decimal number at the start: digits, and a fraction if digits follow the point.
pub(super) fn number_length(text: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    if whole == 0 {
        return 0;
    }
    match text[whole..].strip_prefix('.').map(digits) {
        Some(fraction) if fraction > 0 => whole + 1 + fraction,
        _ => whole,
    }
}

/// The duration at the start of a lowercase text, and its length: `1.2s`, `6m0s`, `20 seconds`, `1 minute 30
/// s`.
pub(super) fn duration(text: &str) -> Option<(Duration, usize)> {
    let mut total = Duration::ZERO;
    let mut end = 0;
    loop {
        let from = end + spaces(&text[end..]);
        let from = from + if end > 0 && text[from..].starts_with("and ") { 4 } else { 0 };
        let number = number_length(&text[from..]);
        let unit_from = from + number + spaces(&text[from + number..]);
        let unit_length = text[unit_from..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let scale = if number == 0 { None } else { seconds_in(&text[unit_from..unit_from + unit_length]) };
        let Some(scale) = scale else {
            return (end > 0).then_some((total.min(LIMIT), end));
        };
        total = total.saturating_add(scaled(&text[from..from + number], scale)?);
        end = unit_from + unit_length;
    }
}

fn spaces(text: &str) -> usize {
    text.len() - text.trim_start_matches(' ').len()
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" | "msec" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_states_a_delay() {
        for (text, want) in [
            ("please try again in 1.2s. visit", Some(1.2)),
            ("try again in 60 seconds", Some(60.0)),
            ("try again in 1m30s", Some(90.0)),
            ("try again in 500ms", Some(0.5)),
            ("try again in 1 minute and 30 seconds.", Some(90.0)),
            ("please retry after 20 seconds.", Some(20.0)),
            ("please retry in 34.074824224s.", Some(34.074_824_224)),
            ("try again in about 2 hours", Some(7200.0)),
            ("please wait for 3 min", Some(180.0)),
            ("quota resets after 23h59m59s", Some(86_399.0)),
            ("slow down. retry-after: 3600", Some(3600.0)),
            ("retry-after: 2m", Some(120.0)),
            ("retry-after: soon", None),
            ("please wait 3s, then try again in 5s", Some(3.0)),
            ("try again in a moment; or try again in 5 seconds", Some(5.0)),
            ("try again in 5", None),
            ("try again in 5 months", None),
            ("try again in .5s", None),
            ("try again in -5s", None),
            ("try again in 99999999999999999999s", Some(31_536_000.0)),
            ("try again in 2 days", Some(172_800.0)),
            ("please retry after 86400 seconds. please go here", Some(86_400.0)),
            ("your weekly limit resets in 3 days 4 hours", Some(273_600.0)),
            ("try again in ", None),
            ("try again in 5é", None),
            ("try again later", None),
            ("in 5 seconds", None),
        ] {
            assert_eq!(in_text(text).map(|delay| delay.as_secs_f64()), want, "{text}");
        }
    }
}
