//! One connection as hyper sees it, and what it knows when it dies: whether a request was being written, and
//! whether a byte of the answer had come.

use std::{
    error::Error as StdError,
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::Stream;

/// A stream that records requests, at the cost of a branch per read and per write.
///
/// hyper writes the whole of a request (its body is one chunk) before it flushes, and begins the next one
/// only after the answer is complete: so the first write after a flush begins a request.
///
/// A server that refuses a large request may answer and close before it has read the whole. Then a write
/// fails while the answer is in the socket already. So a failed write is kept, the rest of the request is
/// dropped, and the socket is read: the failure counts only if no answer comes. Such a connection serves no
/// further request.
pub(crate) struct Conn {
    stream: Stream,
    /// A request is being written: no flush has succeeded since its first byte.
    writing: bool,
    /// A request was begun and no byte of its answer has come.
    awaiting: bool,
    /// Why the request could not be written to its end.
    write_error: Option<Arc<io::Error>>,
    /// A request was begun on it, sometime.
    used: bool,
}

/// The connection died between a request's first byte and its answer's first byte.
#[derive(Debug)]
pub(crate) struct ConnFault {
    /// Not all of the request was written.
    pub(crate) writing: bool,
    /// Not one byte came: another connection may fare better.
    pub(crate) silent: bool,
    pub(crate) cause: FaultCause,
}

#[derive(Clone, Debug)]
pub(crate) enum FaultCause {
    /// The server closed the connection.
    Closed,
    /// The server answered plain HTTP with a TLS record.
    TlsRecord,
    /// The server answered HTTP/1.1 with a frame of HTTP/2.
    Http2Frame,
    /// What the server answered is no HTTP.
    NotHttp,
    /// The server spoke before it was asked, and not in HTTP.
    Greeting,
    /// The operating system's or TLS's error.
    Io(Arc<io::Error>),
}

impl Conn {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, writing: false, awaiting: false, write_error: None, used: false }
    }

    /// The stream beneath, for a protocol that is not HTTP/1.1.
    #[cfg(feature = "http2")]
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Whether the server has chosen HTTP/2 in the TLS handshake.
    #[cfg(feature = "http2")]
    pub(crate) fn has_chosen_http2(&self) -> bool {
        self.stream.has_chosen_http2()
    }

    /// Notes a write; whether it can be made.
    fn begin_write(&mut self) -> io::Result<WriteMode> {
        let begins = !self.writing;
        if begins {
            self.writing = true;
            self.awaiting = true;
            self.used = true;
        }
        match &self.write_error {
            None => Ok(WriteMode::Send),
            Some(_) if !begins => Ok(WriteMode::Discard),
            Some(error) => Err(self.fault(FaultCause::Io(Arc::clone(error)))),
        }
    }

    /// The outcome of a write of `len` bytes.
    fn end_write(&mut self, result: io::Result<usize>, len: usize) -> io::Result<usize> {
        match result {
            Err(error) if self.awaiting && is_peer_gone(&error) => {
                self.write_error = Some(Arc::new(error));
                Ok(len)
            }
            Err(error) if self.awaiting => Err(self.fault(FaultCause::Io(Arc::new(error)))),
            result => result,
        }
    }

    /// What a read that may bring the answer's first byte has brought.
    fn first_read(&mut self, result: io::Result<()>, got: &[u8], had_room: bool) -> io::Result<()> {
        match result {
            Err(error) => Err(self.read_fault(FaultCause::Io(Arc::new(error)))),
            Ok(()) if got.is_empty() && had_room => Err(self.read_fault(FaultCause::Closed)),
            Ok(()) if got.is_empty() => Ok(()),
            Ok(()) if self.stream.is_plain() && is_tls_record(got) => Err(self.fault(FaultCause::TlsRecord)),
            Ok(()) if is_http2_settings(got) => Err(self.fault(FaultCause::Http2Frame)),
            Ok(()) if !is_http(got) => Err(self.fault(FaultCause::NotHttp)),
            Ok(()) => {
                self.awaiting = false;
                Ok(())
            }
        }
    }

    /// What came before the first request: servers of other protocols greet.
    #[cold]
    fn greeting(&self, result: io::Result<()>, got: &[u8]) -> io::Result<()> {
        match result {
            Ok(()) if is_http2_settings(got) => Err(self.fault(FaultCause::Http2Frame)),
            Ok(()) if !is_http(got) => Err(self.fault(FaultCause::Greeting)),
            result => result,
        }
    }

    /// No answer came: a write that had failed before is why.
    #[cold]
    fn read_fault(&mut self, cause: FaultCause) -> io::Error {
        match &self.write_error {
            Some(error) => {
                let error = Arc::clone(error);
                self.writing = true;
                self.fault(FaultCause::Io(error))
            }
            None => self.fault(cause),
        }
    }

    #[cold]
    fn fault(&self, cause: FaultCause) -> io::Error {
        let kind = match &cause {
            FaultCause::Closed => io::ErrorKind::UnexpectedEof,
            FaultCause::Io(error) => error.kind(),
            _ => io::ErrorKind::InvalidData,
        };
        // An answer in another protocol is an answer: sending the request again would bring the same.
        let silent = matches!(cause, FaultCause::Closed | FaultCause::Io(_));
        io::Error::new(kind, ConnFault { writing: self.writing, silent, cause })
    }
}

/// What becomes of bytes that hyper writes.
enum WriteMode {
    Send,
    /// A write of the same request has failed.
    Discard,
}

/// Whether a write failed because the other end has closed the connection, so that a read cannot wait for
/// long.
fn is_peer_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}

/// The beginning of a TLS alert (0x15) or handshake (0x16) record. No HTTP answer begins so.
fn is_tls_record(got: &[u8]) -> bool {
    matches!(got, [0x15 | 0x16] | [0x15 | 0x16, 0x03, ..])
}

/// The beginning of the SETTINGS frame with which every server of HTTP/2 begins (RFC 9113, section 3.4).
fn is_http2_settings(got: &[u8]) -> bool {
    matches!(got, [0, 0, _, 4, ..])
}

/// Whether an answer may begin so. Line breaks before it are passed over.
fn is_http(got: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/";
    let skipped = got.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let got = &got[skipped..];
    let length = got.len().min(START.len());
    got[..length] == START[..length]
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
        if !self.used {
            return Poll::Ready(self.greeting(result, &buf.filled()[before..]));
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for Conn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if let WriteMode::Discard = self.begin_write()? {
            return Poll::Ready(Ok(buf.len()));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        Poll::Ready(self.end_write(result, buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        if let WriteMode::Discard = self.begin_write()? {
            return Poll::Ready(Ok(len));
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        Poll::Ready(self.end_write(result, len))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_error.is_none() {
            let result = ready!(Pin::new(&mut self.stream).poll_flush(cx));
            self.end_write(result.map(|()| 0), 0)?;
        }
        self.writing = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl ConnFault {
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

impl fmt::Display for ConnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            FaultCause::Closed => f.write_str("connection closed"),
            FaultCause::TlsRecord => f.write_str("a TLS record came for an answer"),
            FaultCause::Http2Frame => f.write_str("a frame of HTTP/2 came for an answer"),
            FaultCause::NotHttp => f.write_str("no HTTP came for an answer"),
            FaultCause::Greeting => f.write_str("something came before anything was asked for"),
            FaultCause::Io(error) => error.fmt(f),
        }
    }
}

impl StdError for ConnFault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.cause {
            FaultCause::Io(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// The server has answered and reset the connection, by closing it with bytes unread, before the request
    /// was written to its end.
    #[tokio::test]
    async fn after_a_failed_write_the_answer_is_read() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let mut conn = Conn::new(Stream::Tcp(client));
        conn.write_all(b"POST / HTTP/1.1").await.unwrap();
        server.readable().await.unwrap();
        server.write_all(b"HTTP/1.1 413").await.unwrap();
        drop(server);
        for _ in 0..3 {
            conn.write_all(&[b' '; 4096]).await.unwrap();
        }
        conn.flush().await.unwrap();
        let mut answer = [0; 12];
        conn.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");

        let error = conn.write_all(b"POST / HTTP/1.1").await.unwrap_err();
        let fault = ConnFault::find(&error).unwrap();
        assert!(fault.silent, "the next request may be sent over another connection");
    }

    #[test]
    fn what_may_begin_an_answer_is_told_from_what_may_not() {
        for (got, is) in [
            (&b"HTTP/1.1 200"[..], true),
            (b"HT", true),
            (b"\r\nHTTP/1.0", true),
            (b"", true),
            (b"SSH-2.0-x", false),
            (b"-ERR unknown command", false),
            (b"<html>", false),
            (b"ICY 200 OK", false),
        ] {
            assert_eq!(is_http(got), is, "{got:?}");
        }
    }

    #[tokio::test]
    async fn a_failed_write_without_an_answer_is_the_failure() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let mut conn = Conn::new(Stream::Tcp(client));
        conn.write_all(b"POST / HTTP/1.1").await.unwrap();
        server.readable().await.unwrap();
        drop(server);
        conn.write_all(&[b' '; 4096]).await.unwrap();
        conn.flush().await.unwrap();
        let error = conn.read(&mut [0; 12]).await.unwrap_err();
        let fault = ConnFault::find(&error).unwrap();
        assert!(fault.writing, "{fault:?}");
        assert!(matches!(fault.cause, FaultCause::Io(_)), "{fault:?}");
    }
}
