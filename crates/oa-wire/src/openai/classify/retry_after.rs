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

/// The delay that a text states: "try again in 1.2s", "retry after 20 seconds", "1m30s". The text is
/// lowercase.
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
    let mut places: Vec<usize> = ANCHORS
        .iter()
        .flat_map(|anchor| text.match_indices(anchor).map(|(at, _)| at + anchor.len()))
        .collect();
    places.sort_unstable();
    places.into_iter().find_map(|at| {
        let rest = text[at..].trim_start();
        let about = ["about ", "approximately ", "at least ", "for ", "another "];
        let rest = about.iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
        duration(rest).map(|(delay, _)| delay)
    })
}

/// A moment to count from: the response's own `Date`, since a clock may be wrong, or else the time of
/// receipt.
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

/// The duration at the start of a lowercase text, and its length: `1.2s`, `6m0s`, `20 seconds`, `1 minute 30
/// s`.
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

/// The wait in the `x-ratelimit-reset*` headers: of the limits that are used up (`x-ratelimit-remaining*` is
/// 0), or of all when it is not clear which was hit, the longest.
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

#[cfg(test)]
mod tests {
    use super::*;
    use RetryAfterSource::{HttpDate, LlmProviderRetryAfter, Message, RateLimitReset, RetryAfterMs, Seconds};
    use http::{HeaderName, HeaderValue, StatusCode};

    const NOW: u64 = 1_800_000_000;
    const NOW_DATE: &str = "Fri, 15 Jan 2027 08:00:00 GMT";

    fn found(headers: &[(&'static str, &str)], text: &str, status: u16) -> Option<(RetryAfterSource, f64)> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        let mut received = Received::new(ErrorContext::Http, StatusCode::OK, &headers, b"", "");
        received.now = Some(UNIX_EPOCH + Duration::from_secs(NOW));
        find(&received, Some(status), text).map(|wait| (wait.source, wait.delay.as_secs_f64()))
    }

    #[test]
    fn the_first_place_wins_and_a_bad_one_is_passed_over() {
        let all = [
            ("retry-after-ms", "1500"),
            ("retry-after", "2.5"),
            ("llm_provider-retry-after", "7"),
            ("x-ratelimit-reset-requests", "6m0s"),
        ];
        let text = "try again in 20s";
        assert_eq!(found(&all, text, 429), Some((RetryAfterMs, 1.5)));
        assert_eq!(found(&all[1..], text, 429), Some((Seconds, 2.5)));
        assert_eq!(found(&all[2..], text, 429), Some((LlmProviderRetryAfter, 7.0)));
        assert_eq!(found(&all[3..], text, 429), Some((RateLimitReset, 360.0)));
        assert_eq!(found(&all[3..], text, 503), Some((Message, 20.0)));
        for bad in
            ["-1", "NaN", "inf", "1e3", "+5", "0x10", "5s", "", " ", "1,5", "1.", "86401", "9e99", "soon"]
        {
            assert_eq!(found(&[("retry-after-ms", bad), ("retry-after", bad)], text, 429), {
                let ms = (bad == "86401").then_some((RetryAfterMs, 86.401));
                ms.or(Some((Message, 20.0)))
            });
        }
        assert_eq!(found(&[("retry-after", &"9".repeat(400))], "", 429), None);
        assert_eq!(found(&[("retry-after", "0")], text, 429), Some((Seconds, 0.0)));
        assert_eq!(found(&[("retry-after", "86400")], text, 429), Some((Seconds, 86_400.0)));
    }

    #[test]
    fn a_date_counts_from_the_date_of_the_response_or_else_from_now() {
        for (headers, want) in [
            (vec![("retry-after", "Fri, 15 Jan 2027 08:01:00 GMT")], Some(60.0)),
            (vec![("retry-after", "Friday, 15-Jan-27 08:01:00 GMT")], Some(60.0)),
            (
                vec![
                    ("retry-after", "Fri, 15 Jan 2027 08:01:00 GMT"),
                    ("date", "Fri, 15 Jan 2027 08:00:50 GMT"),
                ],
                Some(10.0),
            ),
            (vec![("retry-after", "Fri, 15 Jan 2027 08:01:00 GMT"), ("date", "yesterday")], Some(60.0)),
            (vec![("retry-after", NOW_DATE)], Some(0.0)),
            (vec![("retry-after", "Fri, 15 Jan 2027 07:59:59 GMT")], None),
            (vec![("retry-after", "Fri, 15 Jan 2038 08:00:00 GMT")], None),
        ] {
            assert_eq!(found(&headers, "", 503), want.map(|seconds| (HttpDate, seconds)), "{headers:?}");
        }
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(NOW_DATE))]);
        let received = Received::new(ErrorContext::Http, StatusCode::OK, &headers, b"", "");
        assert_eq!(find(&received, Some(503), ""), None);
    }

    #[test]
    fn the_limit_that_is_used_up_tells_the_reset() {
        const REQUESTS: &str = "x-ratelimit-reset-requests";
        const TOKENS: &str = "x-ratelimit-reset-tokens";
        const LEFT: &str = "x-ratelimit-remaining-requests";
        for (headers, want) in [
            (vec![(REQUESTS, "1s"), (TOKENS, "6m0s")], Some(360.0)),
            (vec![(REQUESTS, "1s"), (TOKENS, "6m0s"), (LEFT, "0")], Some(1.0)),
            (vec![(REQUESTS, "1s"), (TOKENS, "6m0s"), (LEFT, "7")], Some(360.0)),
            (vec![(REQUESTS, "20ms")], Some(0.02)),
            (vec![(REQUESTS, "1h1m1.5s")], Some(3661.5)),
            (vec![("x-ratelimit-reset", "12.5")], Some(12.5)),
            (vec![("x-ratelimit-reset", "1800000030")], Some(30.0)),
            (vec![("x-ratelimit-reset", "1800000030500")], Some(30.5)),
            (vec![("x-ratelimit-reset", "1700000000")], None),
            (vec![("x-ratelimit-reset", "1s later")], None),
            (vec![("x-ratelimit-reset", "-1s")], None),
            (vec![("x-ratelimit-reset", "48h")], None),
        ] {
            assert_eq!(
                found(&headers, "", 429),
                want.map(|seconds| (RateLimitReset, seconds)),
                "{headers:?}"
            );
        }
    }

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
            ("please wait 3s, then try again in 5s", Some(3.0)),
            ("try again in a moment; or try again in 5 seconds", Some(5.0)),
            ("try again in 5", None),
            ("try again in 5 months", None),
            ("try again in .5s", None),
            ("try again in -5s", None),
            ("try again in 99999999999999999999s", None),
            ("try again in 2 days", None),
            ("try again in ", None),
            ("try again in 5é", None),
            ("try again later", None),
            ("in 5 seconds", None),
        ] {
            assert_eq!(in_text(text).map(|delay| delay.as_secs_f64()), want, "{text}");
        }
    }
}
