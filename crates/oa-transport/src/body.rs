//! The body of a response: frame by frame from hyper, counted, its errors diagnosed.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{
    error::{TransportError, exchange},
    pool::{Connection, Host},
};

/// The body of a response, as it arrives. It drives its connection: nothing is read that is not asked for.
///
/// Read to its end it gives the connection back to the pool. Dropped before, it closes the connection, which
/// is how the server learns that nobody listens any more; unless the end had come already, or
/// [`reuse_when_dropped`](Self::reuse_when_dropped) was called. It holds no buffer of its own: a frame is
/// what was read from the socket.
///
/// Its errors are at [`Stage::Body`](crate::Stage::Body). After an error it is at its end.
pub struct Body {
    /// None at its end.
    source: Option<Source>,
    host: Arc<Host>,
    received: u64,
    limit: u64,
    started: Instant,
    reuse_when_dropped: AtomicBool,
}

struct Source {
    connection: Connection,
    incoming: Incoming,
    /// A frame may have come with the head.
    buffered: bool,
}

impl Body {
    pub(crate) fn new(
        connection: Connection,
        incoming: Incoming,
        host: Arc<Host>,
        limit: u64,
        started: Instant,
    ) -> Result<Self, TransportError> {
        let declared = incoming.size_hint().lower();
        let source = Some(Source { connection, incoming, buffered: true });
        let mut body =
            Self { source, host, received: 0, limit, started, reuse_when_dropped: AtomicBool::new(false) };
        if declared > limit {
            return Err(body.too_large());
        }
        Ok(body)
    }

    /// How many bytes of the body were received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Keeps the connection for another request when the body is dropped before its end.
    ///
    /// For a message that says by itself that it is complete, as the `[DONE]` of an event stream does: what
    /// is left of the body is its last chunk, which need not be waited for. It is read when the connection is
    /// used again. As long as it has not come, other connections are used; at the idle timeout, or if it is
    /// more than a few frames, the connection is closed after all.
    pub fn reuse_when_dropped(&self) {
        self.reuse_when_dropped.store(true, Ordering::Relaxed);
    }

    #[cold]
    fn too_large(&mut self) -> TransportError {
        let error = exchange::too_large(self.host.origin().clone(), self.limit, self.started);
        self.fail(error)
    }

    /// Closes the connection.
    #[cold]
    fn fail(&mut self, error: TransportError) -> TransportError {
        self.source = None;
        match self.host.proxy() {
            Some(proxy) => error.with_proxy(proxy.clone(), None),
            None => error,
        }
    }
}

impl Source {
    #[inline]
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.connection {
            Connection::Http1(http1) => {
                let buffered = std::mem::take(&mut self.buffered);
                http1.poll_frame(&mut self.incoming, buffered, cx)
            }
            #[cfg(feature = "http2")]
            Connection::Http2(_) => Pin::new(&mut self.incoming).poll_frame(cx),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = TransportError;

    #[inline]
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        let Some(source) = &mut this.source else { return Poll::Ready(None) };
        match ready!(source.poll_frame(cx)) {
            Some(Ok(frame)) => {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.received > this.limit {
                    return Poll::Ready(Some(Err(this.too_large())));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                let missing = source.incoming.size_hint().exact();
                let origin = this.host.origin().clone();
                let error = exchange::body(error, this.received, missing, origin, this.started);
                Poll::Ready(Some(Err(this.fail(error))))
            }
            None => {
                if let Some(Source { connection: Connection::Http1(http1), .. }) = this.source.take() {
                    if http1.is_ready() {
                        this.host.park(http1, None);
                    }
                }
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.as_ref().is_none_or(|source| source.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.source.as_ref().map_or_else(|| SizeHint::with_exact(0), |source| source.incoming.size_hint())
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // A stream of HTTP/2 is reset by dropping it.
        let Some(Source { connection: Connection::Http1(mut http1), mut incoming, .. }) = self.source.take()
        else {
            return;
        };
        match http1.poll_end(&mut incoming, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(true) => self.host.park(http1, None),
            Poll::Pending if *self.reuse_when_dropped.get_mut() => self.host.park(http1, Some(incoming)),
            _ => {}
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("received", &self.received).finish_non_exhaustive()
    }
}
