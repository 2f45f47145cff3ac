//! How long the server asks to wait, and where it says so.

use super::{ErrorContext, Received};
use crate::{RetryAfter, RetryAfterSource};
use http::{HeaderMap, header};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A longer wait is taken for a mistake.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The wait that the server states first, in the order of [`RetryAfterSource`]. What is negative, absurd or
/// malformed counts as absent, and the next place is asked.
///
/// `text` is the message, lowercase.
pub(super) fn find(received: &Received<'_>, effective: Option<u16>, text: &str) -> Option<RetryAfter> {
    let headers = received.headers;
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let limited = effective == Some(429) && received.context == ErrorContext::Http;
    let sources = [
        (RetryAfterSource::RetryAfterMs, value("retry-after-ms").and_then(|ms| decimal(ms, 0.001))),
        (RetryAfterSource::Seconds, value("retry-after").and_then(|seconds| decimal(seconds, 1.0))),
        (RetryAfterSource::HttpDate, value("retry-after").and_then(|date| until(date, clock(received)))),
        (
            RetryAfterSource::LlmProviderRetryAfter,
            value("llm_provider-retry-after-ms").and_then(|ms| decimal(ms, 0.001)).or_else(|| {
                let other = value("llm_provider-retry-after")?;
                decimal(other, 1.0).or_else(|| until(other, clock(received)))
            }),
        ),
        (RetryAfterSource::RateLimitReset, reset(headers, clock(received)).filter(|_| limited)),
        (RetryAfterSource::Message, in_text(text)),
    ];
    let (source, delay) = sources.into_iter().find_map(|(source, delay)| Some((source, delay?)))?;
    Some(RetryAfter { delay, source })
}

/// The delay that a text states: "try again in 1.2s", "retry after 20 seconds", "1m30s". The text is lowercase.
pub(super) fn in_text(text: &str) -> Option<Duration> {
    const ANCHORS: [&str; 7] = [
        "try again in ",
        "try again after ",
        "retry again in ",
        "retry again after ",
        "retry in ",
        "retry after ",
        "please wait ",
    ];
    let mut places: Vec<usize> =
        ANCHORS.iter().flat_map(|anchor| text.match_indices(anchor).map(|(at, _)| at + anchor.len())).collect();
    places.sort_unstable();
    places.into_iter().find_map(|at| {
        let rest = text[at..].trim_start();
        let about = ["about ", "approximately ", "at least ", "for ", "another "];
        let rest = about.iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
        duration(rest).map(|(delay, _)| delay)
    })
}

/// A moment to count from: the response's own `Date`, since a clock may be wrong, or else the time of receipt.
fn clock(received: &Received<'_>) -> Option<SystemTime> {
    let date = received.headers.get(header::DATE).and_then(|date| date.to_str().ok());
    date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).or(received.now)
}

fn until(date: &str, now: Option<SystemTime>) -> Option<Duration> {
    let date = httpdate::parse_http_date(date.trim()).ok()?;
    sane(date.duration_since(now?).ok()?)
}

/// Digits, with a fraction or without, in units of `scale` seconds.
fn decimal(text: &str, scale: f64) -> Option<Duration> {
    let text = text.trim();
    (number_length(text) == text.len()).then(|| scaled(text, scale))?
}

fn scaled(number: &str, scale: f64) -> Option<Duration> {
    let seconds: f64 = number.parse().ok()?;
    sane(Duration::try_from_secs_f64(seconds * scale).ok()?)
}

fn sane(delay: Duration) -> Option<Duration> {
    (delay <= LIMIT).then_some(delay)
}

/// The length of the decimal number at the start: digits, and a fraction if digits follow the point.
fn number_length(text: &str) -> usize {
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

/// The duration at the start of a lowercase text, and its length: `1.2s`, `6m0s`, `20 seconds`, `1 minute 30 s`.
fn duration(text: &str) -> Option<(Duration, usize)> {
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
            return if end == 0 { None } else { Some((sane(total)?, end)) };
        };
        total = total.checked_add(scaled(&text[from..from + number], scale)?)?;
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
        _ => return None,
    })
}

/// The wait in the `x-ratelimit-reset*` headers: of the limits that are used up (`x-ratelimit-remaining*` is 0), or
/// of all when it is not clear which was hit, the longest.
fn reset(headers: &HeaderMap, now: Option<SystemTime>) -> Option<Duration> {
    const RESET: &str = "x-ratelimit-reset";
    let all = headers.iter().filter_map(|(name, value)| {
        let of = name.as_str().strip_prefix(RESET)?;
        let delay = reset_value(value.to_str().ok()?, now)?;
        let remaining = headers.get(format!("x-ratelimit-remaining{of}"));
        let used_up = remaining.and_then(|left| left.to_str().ok()).is_some_and(|left| left.trim() == "0");
        Some((used_up, delay))
    });
    all.max().map(|(_, delay)| delay)
}

/// A Go duration (`6m0s`), seconds, or a moment in seconds or milliseconds since 1970.
fn reset_value(value: &str, now: Option<SystemTime>) -> Option<Duration> {
    const SECONDS: f64 = 1e9;
    const MILLISECONDS: f64 = 1e12;
    let value = value.trim().to_ascii_lowercase();
    if number_length(&value) != value.len() {
        return duration(&value).filter(|(_, length)| *length == value.len()).map(|(delay, _)| delay);
    }
    let number: f64 = value.parse().ok()?;
    if number < SECONDS {
        return decimal(&value, 1.0);
    }
    let since = if number < MILLISECONDS { number } else { number / 1000.0 };
    let moment = UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(since).ok()?)?;
    sane(moment.duration_since(now?).ok()?)
}
