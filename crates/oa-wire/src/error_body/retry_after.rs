//! Finds how long the server asks to wait, and where it says so.

use super::{
    delay::{self, Wait, decimal, number_length},
    moment,
};
use crate::{RetryAfter, RetryAfterSource};
use http::{HeaderMap, header};
use std::time::{Duration, SystemTime};

/// The wait that the server states first, in the order of [`RetryAfterSource`]. What is negative or malformed
/// counts as absent, and the next place is looked at.
///
/// `now` is the time of receipt; `is_rate_limit` says that the response is a 429; `member` is
/// what a member of the body says; `text` is the message, lowercase.
pub(super) fn find(
    headers: &HeaderMap,
    now: Option<SystemTime>,
    is_rate_limit: bool,
    member: Option<Wait>,
    text: &str,
) -> Option<RetryAfter> {
    let now = clock(headers, now);
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let sources = [
        (RetryAfterSource::RetryAfterMs, {
            let names = ["retry-after-ms", "x-ms-retry-after-ms"];
            names.into_iter().find_map(|name| decimal(value(name)?, 0.001))
        }),
        (RetryAfterSource::Seconds, value("retry-after").and_then(|seconds| decimal(seconds, 1.0))),
        (RetryAfterSource::HttpDate, value("retry-after").and_then(|date| until(date, now))),
        (
            RetryAfterSource::LlmProviderRetryAfter,
            value("llm_provider-retry-after-ms").and_then(|ms| decimal(ms, 0.001)).or_else(|| {
                let other = value("llm_provider-retry-after")?;
                decimal(other, 1.0).or_else(|| until(other, now))
            }),
        ),
        (RetryAfterSource::RateLimitReset, reset(headers, now).filter(|_| is_rate_limit)),
        (RetryAfterSource::RateLimitHeader, standard_reset(headers, now).filter(|_| is_rate_limit)),
        (RetryAfterSource::Body, member.and_then(|member| member.from(now))),
        (RetryAfterSource::Message, delay::in_text(text).or_else(|| moment::in_text(text, now))),
    ];
    let (source, delay) = sources.into_iter().find_map(|(source, delay)| Some((source, delay?)))?;
    Some(RetryAfter::new(delay, source))
}

/// A moment to count from: the response's own `Date`, since a clock may be wrong, or else the time of
/// receipt.
fn clock(headers: &HeaderMap, now: Option<SystemTime>) -> Option<SystemTime> {
    let date = headers.get(header::DATE).and_then(|date| date.to_str().ok());
    date.and_then(|date| httpdate::parse_http_date(date.trim()).ok()).or(now)
}

fn until(date: &str, now: Option<SystemTime>) -> Option<Duration> {
    delay::until(httpdate::parse_http_date(date.trim()).ok()?, now)
}

/// The wait in the `x-ratelimit-reset*` headers, and in those that mean the same elsewhere: of the limits
/// that are used up (`x-ratelimit-remaining*` is 0), or of all when it is not clear which was hit, the
/// longest.
fn reset(headers: &HeaderMap, now: Option<SystemTime>) -> Option<Duration> {
    let all = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let remaining = remaining_of(name)?;
        let value = value.to_str().ok()?;
        let delay = if name.ends_with("-ms") { decimal(value, 0.001) } else { reset_value(value, now) }?;
        let left = headers.get(remaining).and_then(|left| left.to_str().ok());
        Some((left.is_some_and(|left| left.trim() == "0"), delay))
    });
    all.max().map(|(_, delay)| delay)
}

/// The header that tells what is left of a limit, by the name of the one that tells its reset; none for any
/// other header.
fn remaining_of(name: &str) -> Option<String> {
    // LiteLLM passes its upstream's on.
    let own = name.strip_prefix("llm_provider-").unwrap_or(name);
    let upstream = &name[..name.len() - own.len()];
    for start in ["x-ratelimit-", "x-rate-limit-"] {
        if let Some(of) = own.strip_prefix(start).and_then(|rest| rest.strip_prefix("reset")) {
            return Some(format!("{upstream}{start}remaining{of}"));
        }
    }
    // Anthropic's: `anthropic-ratelimit-requests-reset`.
    let of = own.strip_prefix("anthropic-ratelimit-").and_then(|rest| rest.strip_suffix("-reset"));
    of.map(|of| format!("{upstream}anthropic-ratelimit-{of}-remaining"))
}

/// The wait in the headers of the IETF's draft: `RateLimit-Reset: 2`, or in its later forms `RateLimit:
/// limit=10, remaining=0, reset=2` and `RateLimit: "default";r=0;t=2`; the longest, in seconds.
fn standard_reset(headers: &HeaderMap, now: Option<SystemTime>) -> Option<Duration> {
    let seconds = |text: &str| decimal(text.trim().trim_matches('"'), 1.0);
    // Some servers send a moment there.
    let own = headers.get("ratelimit-reset").and_then(|value| reset_value(value.to_str().ok()?, now));
    own.or_else(|| {
        let values = headers.get_all("ratelimit").iter().filter_map(|value| value.to_str().ok());
        let parameters = values.flat_map(|value| value.split([',', ';']));
        let waits = parameters.filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            matches!(name.trim(), "t" | "reset").then(|| seconds(value))?
        });
        waits.max()
    })
}

/// How long until a limit is reset, of the value of such a header.
pub(crate) fn reset_delay(value: &str) -> Option<Duration> {
    reset_value(value, None)
}

/// A Go duration (`6m0s`), seconds, or a moment: in seconds or milliseconds since 1970, by RFC 3339, or as an
/// HTTP date.
fn reset_value(value: &str, now: Option<SystemTime>) -> Option<Duration> {
    const SECONDS: f64 = 1e9;
    let value = value.trim();
    if number_length(value) != value.len() {
        return delay::stated(value, 1.0)
            .or_else(|| delay::until(moment::rfc3339(value)?, now))
            .or_else(|| until(value, now));
    }
    if value.parse::<f64>().ok()? < SECONDS {
        return decimal(value, 1.0);
    }
    delay::until(moment::unix(value)?, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use RetryAfterSource::{
        Body, HttpDate, LlmProviderRetryAfter, Message, RateLimitHeader, RateLimitReset, RetryAfterMs,
        Seconds,
    };
    use http::{HeaderName, HeaderValue};
    use std::time::UNIX_EPOCH;

    const NOW: u64 = 1_800_000_000;
    const YEAR: f64 = 31_536_000.0;
    const NOW_DATE: &str = "Fri, 15 Jan 2027 08:00:00 GMT";

    fn found(headers: &[(&'static str, &str)], text: &str, status: u16) -> Option<(RetryAfterSource, f64)> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        let now = Some(UNIX_EPOCH + Duration::from_secs(NOW));
        find(&headers, now, status == 429, None, text).map(|wait| (wait.source, wait.delay.as_secs_f64()))
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
        for bad in ["-1", "NaN", "inf", "1e3", "+5", "0x10", "5s", "", " ", "1,5", "1.", "9e99", "soon"] {
            assert_eq!(
                found(&[("retry-after-ms", bad), ("retry-after", bad)], text, 429),
                Some((Message, 20.0)),
                "{bad}"
            );
        }
        // A well-formed wait of any length counts: to drop it would be to retry at once.
        assert_eq!(found(&[("retry-after", "287441")], text, 429), Some((Seconds, 287_441.0)));
        assert_eq!(found(&[("retry-after", &"9".repeat(400))], "", 429), Some((Seconds, YEAR)));
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
            (vec![("retry-after", "Fri, 15 Jan 2038 08:00:00 GMT")], Some(YEAR)),
        ] {
            assert_eq!(found(&headers, "", 503), want.map(|seconds| (HttpDate, seconds)), "{headers:?}");
        }
        let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static(NOW_DATE))]);
        assert_eq!(find(&headers, None, false, None, ""), None);
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
            (vec![("x-ratelimit-reset", "48h")], Some(172_800.0)),
            (vec![("x-ratelimit-reset", "2027-01-15T08:01:00Z")], Some(60.0)),
            (vec![("x-ratelimit-reset-ms", "1500")], Some(1.5)),
            (vec![("x-rate-limit-reset", "1800000030"), ("x-rate-limit-remaining", "0")], Some(30.0)),
            (vec![("llm_provider-x-ratelimit-reset-requests", "3h")], Some(10_800.0)),
            (
                vec![
                    ("anthropic-ratelimit-requests-reset", "2027-01-15T08:00:05Z"),
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-tokens-reset", "2027-01-15T09:00:00Z"),
                ],
                Some(5.0),
            ),
            (vec![("x-ratelimit-limit-requests", "10")], None),
        ] {
            assert_eq!(
                found(&headers, "", 429),
                want.map(|seconds| (RateLimitReset, seconds)),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn the_standard_headers_and_a_member_of_the_body_are_sources() {
        for (headers, want) in [
            (
                vec![("ratelimit-limit", "10"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "2")],
                Some(2.0),
            ),
            (vec![("ratelimit", "limit=10, remaining=0, reset=7")], Some(7.0)),
            (vec![("ratelimit", "\"default\";r=0;t=30, \"day\";r=5;t=90")], Some(90.0)),
            (vec![("ratelimit", "\"default\";r=0")], None),
            (vec![("ratelimit-reset", "soon")], None),
            (vec![("ratelimit-reset", "Fri, 15 Jan 2027 08:00:07 GMT")], Some(7.0)),
            (vec![("ratelimit-reset", "1800000009")], Some(9.0)),
        ] {
            assert_eq!(found(&headers, "", 429), want.map(|wait| (RateLimitHeader, wait)), "{headers:?}");
            assert_eq!(found(&headers, "", 503), None, "{headers:?}");
        }
        let headers = HeaderMap::new();
        let wait =
            find(&headers, None, false, Some(Wait::For(Duration::from_secs(3))), "try again in 9s").unwrap();
        assert_eq!((wait.source, wait.delay.as_secs()), (Body, 3));
    }
}
