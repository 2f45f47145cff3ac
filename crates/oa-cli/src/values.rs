//! Values of flags: durations, extra fields, headers.

use oa_wire::Error;
use serde_json::Value;
use std::time::Duration;

/// A duration: seconds, or numbers with their units, such as `500ms` or `1m 30s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse().ok().filter(|_| is_number);
    let duration = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| "it is too long".to_owned())?,
        None => humantime::parse_duration(text)
            .map_err(|error| format!("{error}; expected a number with its unit, such as 30s or 1m 30s"))?,
    };
    if duration.is_zero() {
        return Err("it must be longer than nothing".to_owned());
    }
    Ok(duration)
}

/// A number of tokens: at least one.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) => Err("a completion has at least one token; leave the flag out for no limit".to_owned()),
        Ok(count) => Ok(count),
        Err(_) if text.starts_with('-') => {
            Err("it cannot be negative; leave the flag out for no limit".to_owned())
        }
        Err(_) => Err("expected a whole number, such as 256".to_owned()),
    }
}

/// An extra field of the request: `KEY=JSON`, or `KEY=TEXT` where that is not JSON.
pub(crate) fn extra(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => {
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
            Ok((key.to_owned(), value))
        }
        _ => Err("expected KEY=JSON, such as top_k=20".to_owned()),
    }
}

/// A header: `NAME: VALUE`. The error does not show the text, since headers carry secrets.
pub(crate) fn header(text: &str) -> Result<(&str, &str), Error> {
    match text.split_once(':') {
        Some((name, value)) => Ok((name.trim(), value.trim())),
        None => Err(Error::invalid_request("a --header is not of the form `Name: value`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn durations() {
        for (text, milliseconds) in [
            ("30", Some(30_000)),
            ("30s", Some(30_000)),
            ("1.5", Some(1_500)),
            ("250ms", Some(250)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("", None),
            ("s", None),
            ("0", None),
            ("-1", None),
            ("1m 30s", Some(90_000)),
            ("1 s", Some(1_000)),
            ("inf", None),
            ("NaN", None),
            ("1.2.3", None),
            ("1e3", None),
            ("9999999999999999999999h", None),
        ] {
            let read = duration(text).ok();
            assert_eq!(read, milliseconds.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn counts() {
        assert_eq!(count("256"), Ok(256));
        assert!(count("-3").unwrap_err().contains("negative"));
        assert!(count("0").is_err() && count("x").is_err() && count("1.5").is_err());
    }

    #[test]
    fn extras_are_json_or_else_text() {
        for (text, value) in [
            ("k=20", json!(20)),
            ("k={\"a\":[1]}", json!({"a": [1]})),
            ("k=\"20\"", json!("20")),
            ("k=null", json!(null)),
            ("k=high", json!("high")),
            ("k=a=b", json!("a=b")),
            ("k=", json!("")),
        ] {
            assert_eq!(extra(text), Ok(("k".to_owned(), value)), "{text}");
        }
        assert!(extra("k").is_err() && extra("=1").is_err());
    }

    #[test]
    fn a_header_without_a_colon_is_not_shown() {
        assert_eq!(header("X-Team:  a:b ").unwrap(), ("X-Team", "a:b"));
        assert!(!header("secret").unwrap_err().to_string().contains("secret"));
    }
}
