//! One connection as hyper sees it, and what it knows when it dies: whether a request was being written,
//! whether the connection had served one before, and whether a byte of the answer had come.

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::stream::Stream;

/// A stream that keeps book of requests. The book costs a branch per read and per write.
///
/// hyper writes the whole of a request (its body is one chunk) before it flushes, and begins the next one
/// only after the answer is complete: so the first write after a flush begins a request.
pub(crate) struct Conn {
    stream: Stream,
    proxied: bool,
    /// A request is being written: no flush has succeeded since its first byte.
    writing: bool,
    /// A request was begun and no byte of its answer has come.
    awaiting: bool,
    /// How many requests were begun here.
    requests: u32,
}

/// The connection died between a request's first byte and its answer's first byte.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Not all of the request was written.
    pub(crate) writing: bool,
    /// Other requests had been answered over this connection.
    pub(crate) reused: bool,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The server closed the connection.
    Closed,
    /// The server answered plain HTTP with a TLS record.
    TlsRecord,
    /// The operating system's or TLS's error.
    Io(Arc<io::Error>),
}

impl Conn {
    pub(crate) fn new(stream: Stream, proxied: bool) -> Self {
        Self { stream, proxied, writing: false, awaiting: false, requests: 0 }
    }

    fn on_write(&mut self) {
        if !self.writing {
            self.writing = true;
            self.awaiting = true;
            self.requests = self.requests.saturating_add(1);
        }
    }

    /// What a read that may bring the answer's first byte has brought.
    fn first_read(&mut self, result: io::Result<()>, got: &[u8], had_room: bool) -> io::Result<()> {
        match result {
            Err(error) => Err(self.fault(What::Io(Arc::new(error)))),
            Ok(()) if got.is_empty() && had_room => Err(self.fault(What::Closed)),
            Ok(()) if got.is_empty() => Ok(()),
            Ok(()) if self.stream.is_plain() && is_tls_record(got) => Err(self.fault(What::TlsRecord)),
            Ok(()) => {
                self.awaiting = false;
                Ok(())
            }
        }
    }

    fn written(&self, result: io::Result<usize>) -> io::Result<usize> {
        if self.awaiting { result.map_err(|error| self.fault(What::Io(Arc::new(error)))) } else { result }
    }

    #[cold]
    fn fault(&self, what: What) -> io::Error {
        let kind = match &what {
            What::Closed => io::ErrorKind::UnexpectedEof,
            What::TlsRecord => io::ErrorKind::InvalidData,
            What::Io(error) => error.kind(),
        };
        // A TLS record is an answer of sorts: sending the request again would bring the same.
        let reused = self.requests > 1 && !matches!(what, What::TlsRecord);
        io::Error::new(kind, Fault { writing: self.writing, reused, what })
    }
}

/// The beginning of a TLS alert (0x15) or handshake (0x16) record. No HTTP answer begins so.
fn is_tls_record(got: &[u8]) -> bool {
    matches!(got, [0x15 | 0x16] | [0x15 | 0x16, 0x03, ..])
}

impl AsyncRead for Conn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let had_room = buf.remaining() > 0;
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        if self.awaiting {
            return Poll::Ready(self.first_read(result, &buf.filled()[before..], had_room));
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.on_write();
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.written(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.on_write();
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        Poll::Ready(self.written(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        let result = self.written(result.map(|()| 0)).map(|_| ());
        self.writing &= result.is_err();
        Poll::Ready(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Connection for Conn {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Fault {
    /// The fault among the causes of an error, if the error came from a connection at this point.
    pub(crate) fn find<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let io = error.downcast_ref::<io::Error>();
            if let Some(fault) = io.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref()) {
                return Some(fault);
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Closed => f.write_str("connection closed"),
            What::TlsRecord => f.write_str("a TLS record came for an answer"),
            What::Io(error) => error.fmt(f),
        }
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.what {
            What::Io(error) => Some(error),
            What::Closed | What::TlsRecord => None,
        }
    }
}
