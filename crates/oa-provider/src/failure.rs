//! A transport's failure as an error of the call: how far it came, which addresses were tried, what helps.

use oa_transport::{BoxError, Stage, TransportError, TransportErrorKind};
use oa_wire::{Category, ConnectionFailure, Error, ErrorKind};
use tokio::time::Instant;

/// Takes our transport's errors apart; a foreign one's is kept as the cause, and an [`Error`] of a layer in between is
/// passed on.
pub(crate) fn from_transport(error: BoxError) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    match error.downcast::<TransportError>() {
        Ok(error) => from_ours(*error),
        Err(error) => {
            Error::new(Category::Unavailable, format!("the transport failed: {error}")).with_source(error)
        }
    }
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
    let mut failure =
        Error::new(category, error.to_string()).with_connection(connection).with_elapsed(error.elapsed());
    if let Some(kind) = kind {
        failure = failure.with_kind(kind);
    }
    // What is wrong on this machine does not get better by waiting.
    if matches!(error.kind(), TransportErrorKind::NoRoots | TransportErrorKind::ProxyInvalid) {
        failure = failure.with_should_retry(Some(false));
    }
    if let Some(hint) = error.hint() {
        failure = failure.with_hint(hint);
    }
    failure.with_source(error)
}
