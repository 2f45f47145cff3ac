//! The errors of transports and of tower's layers as the error of a call.

use oa_transport::{BoxError, Stage, TransportError, TransportErrorKind};
use oa_wire::{Category, ConnectionFailure, Error, ErrorKind};
use std::error::Error as StdError;
use tokio::time::Instant;
use tower::{buffer::error::Closed, load_shed::error::Overloaded, timeout::error::Elapsed};

/// The error of a transport, or of any layer, as the error of a call.
///
/// | error, or one among its sources | becomes |
/// |---|---|
/// | [`Error`] | itself |
/// | [`TransportError`] | its category, how the connection failed, its hint; [`Error::get_ref`] is it |
/// | `Elapsed` of tower's timeout | [`Unavailable`](Category::Unavailable), and [`is_timeout`](Error::is_timeout) |
/// | `Overloaded` of tower's load-shed | [`Unavailable`](Category::Unavailable) |
/// | `Closed` of tower's buffer | [`Unavailable`](Category::Unavailable), not to be retried |
/// | any other | [`Unavailable`](Category::Unavailable) with its text; [`Error::get_ref`] is it |
///
/// A transport or layer that wants another category fails with an [`Error`].
pub fn from_transport_error(error: impl Into<BoxError>) -> Error {
    let error = error.into();
    let error = match error.downcast::<Error>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    let error = match error.downcast::<TransportError>() {
        Ok(error) => return from_ours(*error),
        Err(error) => error,
    };
    if let Some(inner) = find::<Error>(&*error) {
        return inner.clone();
    }
    if let Some(inner) = find::<TransportError>(&*error) {
        return from_ours(inner.clone());
    }
    let unavailable = |text: &'static str| Error::new(Category::Unavailable, text);
    if find::<Elapsed>(&*error).is_some() {
        let text = "the call did not finish within the limit of tower's timeout layer";
        unavailable(text).with_kind(ErrorKind::Timeout).with_source(error)
    } else if find::<Overloaded>(&*error).is_some() {
        unavailable("tower's load-shed layer refused the call: the service below it was not ready")
            .with_source(error)
    } else if find::<Closed>(&*error).is_some() {
        unavailable("the worker of tower's buffer layer has ended")
            .with_should_retry(false)
            .with_source(error)
    } else {
        Error::from_source(Category::Unavailable, error)
    }
}

/// The error of this type among an error and its sources.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    // A chain that refers to itself has no end.
    const DEEPEST: usize = 32;
    let mut level = Some(error);
    for _ in 0..DEEPEST {
        match level?.downcast_ref() {
            Some(found) => return Some(found),
            None => level = level?.source(),
        }
    }
    None
}

/// The error with how long it took to come, unless that was measured closer to its cause.
pub(crate) fn timed(error: Error, started: Instant) -> Error {
    match error.elapsed() {
        Some(_) => error,
        None => error.with_elapsed(started.elapsed()),
    }
}

fn from_ours(error: TransportError) -> Error {
    let category = match error.kind() {
        TransportErrorKind::BadRequest => Category::InvalidRequest,
        TransportErrorKind::TooLarge | TransportErrorKind::HeadTooLarge => Category::InvalidResponse,
        _ => Category::Unavailable,
    };
    let kind = match (error.kind(), error.stage()) {
        (TransportErrorKind::TooLarge, _) => Some(ErrorKind::TooLarge),
        (TransportErrorKind::TimedOut, _) => Some(ErrorKind::Timeout),
        (TransportErrorKind::CutOff, _) | (_, Stage::Body) => Some(ErrorKind::CutOff),
        _ => None,
    };
    let mut connection =
        ConnectionFailure::new(error.stage().as_str(), error.host(), error.port().unwrap_or(0));
    connection.addresses =
        error.addresses().iter().map(|attempt| (attempt.addr(), attempt.error().to_string())).collect();
    let (elapsed, hint) = (error.elapsed(), error.hint());
    let is_local = matches!(error.kind(), TransportErrorKind::NoRoots | TransportErrorKind::ProxyInvalid);
    let mut failure = Error::from_source(category, error).with_connection(connection).with_elapsed(elapsed);
    if let Some(kind) = kind {
        failure = failure.with_kind(kind);
    }
    // What is wrong on this machine does not get better by waiting.
    if is_local {
        failure = failure.with_should_retry(false);
    }
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}
