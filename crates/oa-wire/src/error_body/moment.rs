//! Moments as servers write them: seconds since 1970, RFC 3339, "resets at 2027-01-15T08:00:00Z".

use super::delay;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, or milliseconds where the number is that large.
pub(super) fn unix(number: &str) -> Option<SystemTime> {
    const MILLISECONDS: f64 = 1e12;
    let number: f64 = number.trim().parse().ok()?;
    let seconds = if number < MILLISECONDS { number } else { number / 1000.0 };
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

/// A moment by RFC 3339, of 1970 or later; its fraction of a second is not read. A `T` or a space stands
/// before the time; without an offset it is UTC.
pub(super) fn rfc3339(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let has_marks = marks.iter().all(|(at, mark)| text.as_bytes().get(*at) == Some(mark));
    let has_t = matches!(text.as_bytes().get(10), Some(b'T' | b't' | b' '));
    if !has_marks || !has_t {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let is_day = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !is_day || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let moment = UNIX_EPOCH + Duration::from_secs(seconds);
    let rest = &text[19..];
    let fraction = rest.strip_prefix('.').map_or(0, |rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        digits + 1
    });
    let sign = rest.as_bytes().get(fraction).filter(|sign| matches!(sign, b'+' | b'-'));
    let Some(sign) = sign else { return Some(moment) };
    let at = 19 + fraction + 1;
    let offset = Duration::from_secs(number(at, at + 2)? * 3600 + number(at + 3, at + 5)? * 60);
    if *sign == b'+' { moment.checked_sub(offset) } else { moment.checked_add(offset) }
}

/// The time until the moment that a text states: "resets at 2027-01-15T08:00:00Z". The text is lowercase.
pub(super) fn in_text(text: &str, now: Option<SystemTime>) -> Option<Duration> {
    const ANCHORS: [&str; 8] = [
        "resets at ",
        "reset at ",
        "resets on ",
        "try again at ",
        "try again after ",
        "retry after ",
        "available at ",
        "until ",
    ];
    let mut places = ANCHORS
        .iter()
        .flat_map(|anchor| text.match_indices(anchor).map(|(at, _)| text[at + anchor.len()..].trim_start()));
    places.find_map(|rest| delay::until(rfc3339(rest)?, now))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days(year: u64, month: u64, day: u64) -> u64 {
    // Years begin in March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    days - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(moment: Option<SystemTime>) -> Option<u64> {
        moment.map(|moment| moment.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn a_moment_is_read() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2027-01-15T08:00:00Z", Some(1_800_000_000)),
            ("2027-01-15t08:00:00.123456z", Some(1_800_000_000)),
            ("2027-01-15 08:00:00 UTC", Some(1_800_000_000)),
            ("2027-01-15T10:30:00+02:30", Some(1_800_000_000)),
            ("2027-01-15T03:00:00.5-05:00", Some(1_800_000_000)),
            ("2028-02-29T00:00:00Z", Some(1_835_395_200)),
            ("2027-13-15T08:00:00Z", None),
            ("2027-01-15T24:00:00Z", None),
            ("1969-12-31T23:59:59Z", None),
            ("2027-01-15", None),
            ("2027-01-15T08:00", None),
            ("2027-01-15T08:00:00+0\u{e9}", None),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(seconds(rfc3339(text)), want, "{text}");
        }
        assert_eq!(seconds(unix("1800000000")), Some(1_800_000_000));
        assert_eq!(seconds(unix("1800000000500")), Some(1_800_000_000));
        assert_eq!(unix("x"), None);
    }

    #[test]
    fn a_text_states_a_moment() {
        let now = Some(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let found = |text: &str| in_text(text, now).map(|wait| wait.as_secs());
        assert_eq!(found("weekly limit, resets at 2027-01-15t08:01:00z."), Some(60));
        assert_eq!(found("try again after 2027-01-15 09:00:00"), Some(3600));
        assert_eq!(found("resets at 2020-01-15t08:01:00z"), None);
        assert_eq!(found("resets at noon"), None);
    }
}
