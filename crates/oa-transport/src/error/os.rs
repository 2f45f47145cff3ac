//! The kinds and words of the operating system's errors.

use std::{borrow::Cow, io};

use super::kind::TransportErrorKind;

/// What an input or output error means.
pub(crate) fn kind(error: &io::Error) -> TransportErrorKind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportErrorKind::Refused,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
            TransportErrorKind::NoRoute
        }
        io::ErrorKind::PermissionDenied => TransportErrorKind::NotPermitted,
        io::ErrorKind::TimedOut => TransportErrorKind::TimedOut,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            TransportErrorKind::Reset
        }
        io::ErrorKind::UnexpectedEof => TransportErrorKind::ClosedBeforeResponse,
        _ => TransportErrorKind::Other,
    }
}

/// The operating system's words in the middle of a sentence: the same on every platform where the kind is
/// known.
pub(crate) fn words(error: &io::Error) -> Cow<'static, str> {
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

pub(crate) const CLOSED: &str = "the server closed the connection without an answer";
