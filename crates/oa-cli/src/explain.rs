//! Errors in the words of the command: its flags and variables in place of the library's names.

use oa_doctor::advice;
use oa_middleware::RetryPolicy;
use oa_transport::TransportError;
use oa_wire::{Error, ErrorKind};
use std::time::{Duration, SystemTime};

/// The error with a hint that names flags and variables.
pub(crate) fn with_flags(error: Error) -> Error {
    let hint = match transport_error(&error) {
        Some(transport) => match (transport.no_proxy_near_miss(), transport.remedy()) {
            (Some(near_miss), _) => Some(near_miss.to_string()),
            (None, remedy) => remedy.map(|remedy| advice::remedy(remedy).to_owned()),
        },
        None if error.kind() == Some(ErrorKind::Timeout) => Some("--timeout raises the limit".to_owned()),
        None => error.retry_after().filter(|after| after.delay > RetryPolicy::MAX_RETRY_AFTER).map(|after| {
            let wait = long_wait(after.delay);
            error.hint().map_or_else(|| wait.clone(), |hint| format!("{hint}; {wait}"))
        }),
    };
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// What to know of a wait that is too long for a command.
fn long_wait(wait: Duration) -> String {
    let whole = Duration::from_secs(wait.as_secs());
    let when = SystemTime::now().checked_add(wait).map(humantime::format_rfc3339_seconds);
    let when = when.map(|when| format!(", at {when}")).unwrap_or_default();
    let longest = humantime::format_duration(RetryPolicy::MAX_RETRY_AFTER);
    format!(
        "the server takes calls again in {}{when}; the command waits {longest} at most",
        humantime::format_duration(whole)
    )
}

/// The error of a limit that `--timeout` has set, named so. Any other error is left as it is.
pub(crate) fn of_timeout(error: Error, limit: Option<Duration>) -> Error {
    let Some(limit) = limit.filter(|_| is_own_limit(&error)) else { return error };
    let limit = humantime::format_duration(limit);
    let message = match error.partial() {
        None => format!("no piece of the answer came within {limit} (--timeout)"),
        Some(_) => format!("the stream was silent for {limit} (--timeout)"),
    };
    error.with_message(message)
}

/// The error of a probe that took longer than `limit`, named by the flag that sets it.
pub(crate) fn of_probe(error: Error, limit: Duration) -> Error {
    if !is_own_limit(&error) {
        return error;
    }
    let limit = humantime::format_duration(limit);
    error.with_message(format!("no answer came within {limit} (--timeout)"))
}

/// The line of an error, with how long it took where a limit or a cut is involved; its causes and its hint
/// below it.
pub(crate) fn text(error: &Error) -> String {
    let took = error.elapsed().map(|took| format!("{:.1} s", took.as_secs_f64()));
    let took = match (error.kind(), took) {
        (Some(ErrorKind::Timeout), Some(took)) => format!("; given up after {took}"),
        (Some(ErrorKind::CutOff), Some(took)) => format!("; cut off after {took}"),
        _ => String::new(),
    };
    let causes = error.causes().into_iter().map(|cause| format!("\n  caused by: {cause}"));
    let hint = error.hint().map(|hint| format!("\n  hint: {hint}"));
    std::iter::once(format!("{error}{took}")).chain(causes).chain(hint).collect()
}

fn transport_error(error: &Error) -> Option<&TransportError> {
    error.get_ref()?.downcast_ref()
}

/// A limit of this command, not one of a connection or of the server.
fn is_own_limit(error: &Error) -> bool {
    error.kind() == Some(ErrorKind::Timeout) && error.status().is_none() && transport_error(error).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use oa_wire::{Category, FinishReason, Response};

    fn timeout() -> Error {
        let error = Error::new(Category::Unavailable, "first event of SomeLayer");
        error.with_kind(ErrorKind::Timeout).with_elapsed(Duration::from_millis(2040))
    }

    #[test]
    fn a_limit_is_named_by_its_flag() {
        let limit = Some(Duration::from_secs(2));
        let text = text(&with_flags(of_timeout(timeout(), limit)));
        let want = [
            "provider_unavailable: no piece of the answer came within 2s (--timeout); given up after 2.0 s",
            "  hint: --timeout raises the limit",
        ]
        .join("\n");
        assert_eq!(text, want);
        let silent = of_timeout(timeout().with_partial(Response::new("half", FinishReason::Error)), limit);
        assert_eq!(silent.message(), "the stream was silent for 2s (--timeout)");
        assert_eq!(
            of_probe(timeout(), Duration::from_secs(90)).message(),
            "no answer came within 1m 30s (--timeout)"
        );
    }

    #[test]
    fn other_errors_stay_as_they_are() {
        let error = Error::invalid_request("no");
        let limit = Duration::from_secs(2);
        assert_eq!(
            of_probe(of_timeout(with_flags(error), Some(limit)), limit).to_string(),
            "provider_invalid_request: no"
        );
    }

    #[test]
    fn a_cut_says_when_it_came() {
        let cut = Error::new(Category::Unavailable, "closed").with_kind(ErrorKind::CutOff);
        let cut = cut.with_elapsed(Duration::from_secs(60));
        assert_eq!(text(&cut), "provider_unavailable: closed; cut off after 60.0 s");
    }
}
