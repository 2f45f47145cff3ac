//! From the errors of hyper, the TLS library and the operating system to a diagnosis in plain words.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::legacy;
use tokio::time::Instant;

use crate::conn::{Fault, What};
use crate::error::{Diagnosis, Stage, TransportError};
use crate::origin::Origin;

type Words = Cow<'static, str>;

/// Why hyper's client gave no response head, and whether the request may be sent again: only when a reused
/// connection died before any byte of an answer.
pub(crate) fn exchange(error: legacy::Error, uri: &Uri) -> (TransportError, bool) {
    if let Some(connect) = error.source().and_then(|source| source.downcast_ref::<TransportError>()) {
        return (connect.clone(), false);
    }
    let origin = Origin::of_any(uri);
    if let Some(fault) = Fault::find(&error) {
        let stage = if fault.writing { Stage::Write } else { Stage::FirstByte };
        return (from_fault(fault, stage, origin), fault.reused);
    }
    let hyper = find::<hyper::Error>(&error);
    // hyper cancels what it has not begun to write.
    let unsent = hyper.is_some_and(|hyper| hyper.is_canceled() || hyper.is_closed());
    let (kind, why): (_, Words) = match (hyper, find::<io::Error>(&error)) {
        (Some(hyper), _) if hyper.is_parse() => {
            (Diagnosis::NotHttp, format!("what came is not a valid HTTP/1.1 response ({hyper})").into())
        }
        (Some(hyper), _) if hyper.is_incomplete_message() => (
            Diagnosis::CutOff,
            "the server closed the connection in the middle of the response's head".into(),
        ),
        (_, Some(io)) => from_io(io),
        _ if unsent => (Diagnosis::ClosedBeforeResponse, CLOSED.into()),
        (Some(hyper), None) => (Diagnosis::Other, hyper.to_string().into()),
        (None, None) => (Diagnosis::Other, error.to_string().into()),
    };
    let stage = if unsent { Stage::Write } else { Stage::FirstByte };
    (TransportError::new(stage, kind, origin, why).with_cause(Arc::new(error)), false)
}

/// Why a body ended before its end. `missing` is how many bytes were still to come, where that was announced.
pub(crate) fn body(
    error: hyper::Error,
    received: u64,
    missing: Option<u64>,
    uri: &Uri,
    started: Instant,
) -> TransportError {
    let io = find::<io::Error>(&error);
    let (kind, detail): (_, Words) = match io {
        _ if error.is_parse() => {
            (Diagnosis::NotHttp, format!("the response's framing is broken ({error})").into())
        }
        Some(io) if io.kind() == io::ErrorKind::InvalidInput || io.kind() == io::ErrorKind::InvalidData => {
            match tls(io) {
                Some(found) => found,
                None => (Diagnosis::NotHttp, format!("the response's framing is broken ({io})").into()),
            }
        }
        Some(io) if io.kind() != io::ErrorKind::UnexpectedEof => from_io(io),
        _ => (Diagnosis::CutOff, "the server closed the connection".into()),
    };
    let so_far = match missing {
        Some(missing) => format!("{detail} after {received} of {} bytes", received.saturating_add(missing)),
        None => format!("{detail} after {received} bytes"),
    };
    TransportError::new(Stage::Body, kind, Origin::of_any(uri), so_far)
        .with_cause(Arc::new(error))
        .with_timing(started.elapsed(), false)
}

/// A body beyond the limit, by its own account or by what came.
pub(crate) fn too_large(uri: &Uri, limit: u64, started: Instant) -> TransportError {
    let why = format!("the body is larger than the limit of {limit} bytes (response_limit)");
    TransportError::new(Stage::Body, Diagnosis::TooLarge, Origin::of_any(uri), why)
        .with_timing(started.elapsed(), false)
}

/// What an input or output error means, TLS's included.
pub(crate) fn from_io(error: &io::Error) -> (Diagnosis, Words) {
    if let Some(found) = tls(error) {
        return found;
    }
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused => Diagnosis::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            Diagnosis::NoRoute
        }
        io::ErrorKind::TimedOut => Diagnosis::TimedOut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Diagnosis::Reset
        }
        io::ErrorKind::UnexpectedEof => Diagnosis::ClosedBeforeResponse,
        _ => Diagnosis::Other,
    };
    (kind, words(error))
}

/// The operating system's words in the middle of a sentence: the same on every platform where the kind is
/// known.
pub(crate) fn words(error: &io::Error) -> Words {
    let known = match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::HostUnreachable => "no route to the host",
        io::ErrorKind::NetworkUnreachable => "the network is unreachable",
        io::ErrorKind::NetworkDown => "the network is down",
        io::ErrorKind::TimedOut => "timed out",
        io::ErrorKind::ConnectionReset => "connection reset by the server",
        io::ErrorKind::ConnectionAborted => "connection aborted",
        io::ErrorKind::BrokenPipe => "connection closed by the server while it was written to",
        io::ErrorKind::UnexpectedEof => CLOSED,
        _ => {
            let text = error.to_string();
            let text = text.split(" (os error ").next().unwrap_or(&text);
            let mut chars = text.chars();
            return match chars.next() {
                Some(first) => format!("{}{}", first.to_lowercase(), chars.as_str()).into(),
                None => "unknown input or output error".into(),
            };
        }
    };
    known.into()
}

const CLOSED: &str = "the server closed the connection without an answer";

fn from_fault(fault: &Fault, stage: Stage, origin: Origin) -> TransportError {
    match &fault.what {
        What::Closed => TransportError::new(stage, Diagnosis::ClosedBeforeResponse, origin, CLOSED),
        What::TlsRecord => {
            let why = "the server speaks TLS on this port, not plain HTTP";
            TransportError::new(stage, Diagnosis::TlsOnPlain, origin, why)
        }
        What::Io(io) => {
            let (kind, why) = from_io(io);
            // In TLS 1.3 the server may refuse the client's certificate after the handshake.
            let stage = if matches!(kind, Diagnosis::TlsAlert(_)) { Stage::Tls } else { stage };
            TransportError::new(stage, kind, origin, why).with_cause(Arc::<io::Error>::clone(io))
        }
    }
}

/// The first error of this type among an error and its causes.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(feature = "tls")]
fn tls(error: &io::Error) -> Option<(Diagnosis, Words)> {
    error.get_ref().and_then(|inner| inner.downcast_ref()).map(crate::tls::diagnose)
}

#[cfg(not(feature = "tls"))]
fn tls(_: &io::Error) -> Option<(Diagnosis, Words)> {
    None
}
