//! The body of a response: frame by frame from hyper, counted, its errors diagnosed.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Uri;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::{
    error::{TransportError, exchange},
    proxy::Proxy,
};

/// The body of a response, as it arrives.
///
/// Read to its end it gives the connection back to the pool. Dropped before, it closes the connection, which
/// is how the server learns that nobody listens any more. It holds no buffer of its own: a frame is what was
/// read from the socket.
///
/// Its errors are at [`Stage::Body`](crate::Stage::Body). After an error it is at its end.
pub struct Body {
    incoming: Option<Incoming>,
    received: u64,
    limit: u64,
    uri: Uri,
    proxy: Option<Proxy>,
    started: Instant,
}

impl Body {
    pub(crate) fn new(
        incoming: Incoming,
        limit: u64,
        uri: Uri,
        proxy: Option<Proxy>,
        started: Instant,
    ) -> Result<Self, TransportError> {
        let declared = HttpBody::size_hint(&incoming).lower();
        if declared > limit {
            return Err(exchange::too_large(&uri, limit, started));
        }
        Ok(Self { incoming: Some(incoming), received: 0, limit, uri, proxy, started })
    }

    /// How many bytes of the body were received so far.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Drops the connection, so that it cannot be used again.
    fn fail(&mut self, error: TransportError) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        self.incoming = None;
        let error = match self.proxy.take() {
            Some(proxy) => error.with_proxy(proxy, None),
            None => error,
        };
        Poll::Ready(Some(Err(error)))
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
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                if this.received > this.limit {
                    let error = exchange::too_large(&this.uri, this.limit, this.started);
                    return this.fail(error);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                let missing = incoming.size_hint().exact();
                let error = exchange::body(error, this.received, missing, &this.uri, this.started);
                this.fail(error)
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("received", &self.received).finish_non_exhaustive()
    }
}

/// The request's body as hyper wants it: the bytes, in one frame.
pub(crate) struct FullBody(pub(crate) Bytes);

impl HttpBody for FullBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready(if bytes.is_empty() { None } else { Some(Ok(Frame::data(bytes))) })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
