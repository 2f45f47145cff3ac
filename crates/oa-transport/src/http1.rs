//! A connection of HTTP/1.1 that has no task of its own: whoever awaits the response or reads the body drives
//! it.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Connection, SendRequest, handshake},
    },
};
use hyper_util::rt::TokioIo;

use crate::{connect::conn::Conn, waker::InlineWaker};

pub(crate) struct Http1 {
    /// None once it has ended.
    conn: Option<Connection<TokioIo<Conn>, FullBody>>,
    sender: SendRequest<FullBody>,
    waker: InlineWaker,
}

/// The most frames that are read of a body whose rest nobody wants.
const MAX_REST: usize = 16;

impl Http1 {
    pub(crate) async fn new(conn: Conn) -> Result<Self, hyper::Error> {
        let (sender, conn) = handshake(TokioIo::new(conn)).await?;
        Ok(Self { conn: Some(conn), sender, waker: InlineWaker::new() })
    }

    /// Sends a request and awaits the response's head. The error holds the request if nothing of it was sent:
    /// the connection is looked at first, and was closed, or had bytes that nobody had asked for.
    pub(crate) async fn send(
        &mut self,
        request: Request<FullBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<FullBody>>> {
        let mut response = pin!(self.sender.try_send_request(request));
        poll_fn(|cx| {
            self.waker.poll(cx, |cx| {
                drive(&mut self.conn, cx);
                response.as_mut().poll(cx)
            })
        })
        .await
    }

    /// Reads the next frame of the body of the response that came last. `buffered` if a frame may have come
    /// with the head.
    #[inline]
    pub(crate) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        buffered: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        // All of a body whose length is known has come.
        if body.is_end_stream() && self.is_ready() {
            return Pin::new(body).poll_frame(cx);
        }
        // What a body waits for comes by driving the connection, just before it is polled: it needs no waker.
        let mut nobody = Context::from_waker(Waker::noop());
        if buffered {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(&mut nobody) {
                return Poll::Ready(frame);
            }
        }
        self.waker.poll(cx, |cx| {
            drive(&mut self.conn, cx);
            Pin::new(body).poll_frame(&mut nobody)
        })
    }

    /// Whether another request can be sent, as far as is known without a look at the socket.
    pub(crate) fn is_ready(&self) -> bool {
        self.conn.is_some() && self.sender.is_ready()
    }

    /// Reads the rest of a body that nobody wants; then whether the connection can be used again.
    pub(crate) fn poll_end(&mut self, body: &mut Incoming, cx: &mut Context<'_>) -> Poll<bool> {
        for _ in 0..MAX_REST {
            match ready!(self.poll_frame(body, true, cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) => return Poll::Ready(false),
                None => return Poll::Ready(self.is_ready()),
            }
        }
        Poll::Ready(false)
    }

    /// Lets go of the task that drove it last.
    pub(crate) fn release(&mut self) {
        self.waker.clear();
    }
}

/// Lets the connection do what it can. It ends with an error only where nobody is left who could be told.
fn drive(conn: &mut Option<Connection<TokioIo<Conn>, FullBody>>, cx: &mut Context<'_>) {
    if let Some(running) = conn {
        if Pin::new(running).poll(cx).is_ready() {
            *conn = None;
        }
    }
}

/// The request's body as hyper wants it: the bytes, in one frame.
pub(crate) struct FullBody(pub(crate) Bytes);

impl Body for FullBody {
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
