//! Values of flags: durations, extra fields, headers.

use oa_wire::Error;
use serde_json::Value;
use std::time::Duration;

/// A duration: seconds, or a number with the unit `ms`, `s`, `m` or `h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &text[..text.len() - unit.len()];
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected a number with the unit ms, s, m or h, such as 30s".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| "expected a number, such as 30 or 1.5m".to_owned())?;
    match Duration::try_from_secs_f64(number * seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Ok(_) => Err("it must be longer than nothing".to_owned()),
        Err(_) => Err("it is too long".to_owned()),
    }
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
            ("1d", None),
            ("1 s", None),
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
