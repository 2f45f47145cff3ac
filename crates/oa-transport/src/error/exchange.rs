//! The errors of hyper, as failures of an exchange.

use std::{borrow::Cow, error::Error as StdError, io, sync::Arc};

use tokio::time::Instant;

use super::{
    Stage, TransportError, TransportErrorKind as Kind,
    io::{from_io, from_tls},
    os,
};
use crate::{
    connect::conn::{ConnFault, FaultCause},
    origin::Origin,
};

type Message = Cow<'static, str>;

/// Why there is no response head, and whether another connection may bring one: only where this one died
/// before any byte of an answer.
pub(crate) fn no_head(error: hyper::Error, origin: Origin) -> (TransportError, bool) {
    if let Some(fault) = ConnFault::find(&error) {
        let stage = if fault.writing { Stage::Write } else { Stage::FirstByte };
        return (from_fault(fault, stage, origin), fault.silent);
    }
    #[cfg(feature = "http2")]
    if let Some((kind, message, has_died)) = from_h2(&error) {
        let failure = TransportError::new(Stage::FirstByte, kind, origin, message);
        return (failure.with_cause(Arc::new(error)), has_died);
    }
    // hyper cancels what it has not begun to write.
    let unsent = error.is_canceled() || error.is_closed();
    let (kind, message): (_, Message) = match find::<io::Error>(&error) {
        _ if error.is_parse_too_large() => {
            let message = "the answer's head is beyond the limits here: 100 header fields, 400 KiB in all";
            (Kind::HeadTooLarge, message.into())
        }
        _ if error.is_parse() => {
            (Kind::InvalidHttp, format!("what came is not a valid HTTP/1.1 response ({error})").into())
        }
        _ if error.is_incomplete_message() => {
            (Kind::CutOff, "the server closed the connection in the middle of the response's head".into())
        }
        Some(io) => from_io(io),
        None if unsent => (Kind::ClosedBeforeResponse, os::CLOSED.into()),
        None => (Kind::Other, error.to_string().into()),
    };
    let stage = if unsent { Stage::Write } else { Stage::FirstByte };
    (TransportError::new(stage, kind, origin, message).with_cause(Arc::new(error)), false)
}

/// Why a body ended before its end. `missing` is how many bytes were still to come, where that was announced.
pub(crate) fn body(
    error: hyper::Error,
    received: u64,
    missing: Option<u64>,
    origin: Origin,
    started: Instant,
) -> TransportError {
    #[cfg(feature = "http2")]
    let h2 = from_h2(&error).map(|(kind, message, _)| (kind, message));
    #[cfg(not(feature = "http2"))]
    let h2 = None;
    let io = find::<io::Error>(&error);
    let (kind, detail): (_, Message) = match (h2, io) {
        (Some(found), _) => found,
        _ if error.is_parse() => {
            (Kind::InvalidHttp, format!("the response's framing is broken ({error})").into())
        }
        (_, Some(io))
            if io.kind() == io::ErrorKind::InvalidInput || io.kind() == io::ErrorKind::InvalidData =>
        {
            match from_tls(io) {
                Some(found) => found,
                None => (Kind::InvalidHttp, format!("the response's framing is broken ({io})").into()),
            }
        }
        (_, Some(io)) if io.kind() != io::ErrorKind::UnexpectedEof => from_io(io),
        _ => (Kind::CutOff, "the server closed the connection".into()),
    };
    let so_far = match missing {
        Some(missing) => format!("{detail} after {received} of {} bytes", received.saturating_add(missing)),
        None => format!("{detail} after {received} bytes"),
    };
    TransportError::new(Stage::Body, kind, origin, so_far)
        .with_cause(Arc::new(error))
        .with_timing(started.elapsed(), false)
}

/// A body beyond the limit, by its own account or by what came.
pub(crate) fn too_large(origin: Origin, limit: u64, started: Instant) -> TransportError {
    let message = format!("the body is larger than the limit of {limit} bytes");
    TransportError::new(Stage::Body, Kind::TooLarge, origin, message).with_timing(started.elapsed(), false)
}

fn from_fault(fault: &ConnFault, stage: Stage, origin: Origin) -> TransportError {
    match &fault.cause {
        FaultCause::Closed => TransportError::new(stage, Kind::ClosedBeforeResponse, origin, os::CLOSED),
        FaultCause::TlsRecord => {
            let message = "the server speaks TLS on this port, not plain HTTP";
            TransportError::new(stage, Kind::TlsOnPlain, origin, message)
        }
        FaultCause::Http2Frame => {
            let message = "the server speaks HTTP/2 on this port, not HTTP/1.1";
            TransportError::new(stage, Kind::Http2, origin, message)
        }
        FaultCause::NotHttp => {
            TransportError::new(stage, Kind::NotHttp, origin, "what came is no HTTP response")
        }
        FaultCause::Greeting => {
            let message = "the server spoke before it was asked, and not in HTTP";
            TransportError::new(Stage::FirstByte, Kind::NotHttp, origin, message)
        }
        FaultCause::Io(io) => {
            let (kind, message) = from_io(io);
            // In TLS 1.3 the server may refuse the client's certificate after the handshake.
            let stage = if matches!(kind, Kind::TlsAlert(_)) { Stage::Tls } else { stage };
            TransportError::new(stage, kind, origin, message).with_cause(Arc::<io::Error>::clone(io))
        }
    }
}

/// What an error of HTTP/2 means, and whether the whole connection has died.
#[cfg(feature = "http2")]
fn from_h2(error: &hyper::Error) -> Option<(Kind, Message, bool)> {
    if error.is_timeout() {
        return Some((Kind::TimedOut, "the server did not answer a ping of HTTP/2".into(), true));
    }
    let error: &h2::Error = find(error)?;
    if let Some(io) = error.get_io() {
        let (kind, message) = from_io(io);
        return Some((kind, message, true));
    }
    let reason = error.reason().map(|reason| format!(" ({reason:?})")).unwrap_or_default();
    Some(if error.is_go_away() && error.is_remote() {
        (Kind::Reset, format!("the server ended the connection of HTTP/2{reason}").into(), false)
    } else if error.is_reset() && error.is_remote() {
        (Kind::Reset, format!("the server reset the stream{reason}").into(), false)
    } else {
        (Kind::InvalidHttp, format!("the exchange of HTTP/2 broke{reason}").into(), false)
    })
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
