//! The TLS handshake, and why it failed.

use std::{borrow::Cow, io, sync::Arc};

use rustls::{ClientConfig, InvalidMessage, pki_types::ServerName};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::{diagnose::diagnose, peek::PeekedStream};
use crate::{
    connect::stream::Stream,
    error::{TransportErrorKind, os},
};

/// Why there is no TLS.
pub(crate) enum TlsFailure {
    /// The handshake failed.
    Failed { kind: TransportErrorKind, message: Cow<'static, str>, cause: io::Error },
    /// The deadline passed.
    TimedOut {
        /// Not one byte had come.
        silent: bool,
    },
}

/// Agrees on TLS with the other end of `stream`.
pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    stream: Stream,
    host: &str,
    deadline: Instant,
) -> Result<Stream, TlsFailure> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        TlsFailure::new(rustls::Error::General(format!("{host} is not a valid name for TLS")))
    })?;
    let (stream, head) = PeekedStream::new(stream);
    match timeout_at(deadline, TlsConnector::from(config).connect(name, stream)).await {
        Ok(Ok(tls)) => Ok(Stream::Tls(Box::new(tls))),
        Ok(Err(cause)) => Err(describe(cause, head.get().as_slice())),
        Err(_) => Err(TlsFailure::TimedOut { silent: head.get().as_slice().is_empty() }),
    }
}

/// What a failed handshake means, by its error and by the first bytes that came.
fn describe(cause: io::Error, head: &[u8]) -> TlsFailure {
    let inner = cause.get_ref().and_then(|inner| inner.downcast_ref());
    let (kind, message) = match inner {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) if head == b"HTTP/" => {
            (TransportErrorKind::PlainHttpOnTls, "the server speaks plain HTTP on this port, not TLS".into())
        }
        Some(rustls::Error::InvalidMessage(_)) if head.first() != Some(&0x16) => {
            (TransportErrorKind::NotTls, "what the server speaks on this port is not TLS".into())
        }
        Some(error) => diagnose(error),
        None if cause.kind() == io::ErrorKind::UnexpectedEof => (
            TransportErrorKind::ClosedBeforeResponse,
            "the server closed the connection during the TLS handshake".into(),
        ),
        None => (os::kind(&cause), os::words(&cause)),
    };
    TlsFailure::Failed { kind, message, cause }
}

impl TlsFailure {
    pub(super) fn new(error: rustls::Error) -> Self {
        let (kind, message) = diagnose(&error);
        Self::Failed { kind, message, cause: io::Error::new(io::ErrorKind::InvalidData, error) }
    }
}
