//! A stream that remembers the first bytes that it received, which tell a plain HTTP server from a TLS
//! server.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connect::stream::Stream;

pub(crate) struct PeekedStream {
    stream: Stream,
    head: Arc<Head>,
    complete: bool,
}

/// The first bytes that came, shared with whoever waits for the handshake: the lowest byte counts them.
#[derive(Default)]
pub(super) struct Head(AtomicU64);

/// A copy of the first bytes that came, at most five.
pub(super) struct FirstBytes([u8; 8]);

impl PeekedStream {
    pub(super) fn new(stream: Stream) -> (Self, Arc<Head>) {
        let head = Arc::<Head>::default();
        (Self { stream, head: Arc::clone(&head), complete: false }, head)
    }
}

impl Head {
    const LEN: usize = 5;

    pub(super) fn get(&self) -> FirstBytes {
        FirstBytes(self.0.load(Ordering::Relaxed).to_le_bytes())
    }

    /// Adds what came; true once it is full. Called by the one stream alone.
    fn add(&self, got: &[u8]) -> bool {
        let FirstBytes(mut bytes) = self.get();
        let seen = usize::from(bytes[0]);
        let take = got.len().min(Self::LEN - seen);
        bytes[1 + seen..1 + seen + take].copy_from_slice(&got[..take]);
        bytes[0] += take as u8;
        self.0.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        seen + take == Self::LEN
    }
}

impl FirstBytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0[1..=usize::from(self.0[0])]
    }
}

impl AsyncRead for PeekedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if !self.complete {
            self.complete = self.head.add(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PeekedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
