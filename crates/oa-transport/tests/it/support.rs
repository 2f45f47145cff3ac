//! Tiny servers over raw sockets, and what every test does with a transport.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use oa_transport::{Body, HyperTransport, Transport, TransportError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A server that ends with the test.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    /// Runs `handler` for each connection, which it is given with its number, from 0.
    pub(crate) async fn start<F, Fut>(handler: F) -> Self
    where
        F: Fn(usize, Peer<TcpStream>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // What is sent is there at once.
                stream.set_nodelay(true).unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(handler(number, Peer::new(stream)));
            }
        });
        Self { addr, accepted, task }
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1/chat/completions", self.addr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The server's end of one connection.
pub(crate) struct Peer<S> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The next request's head and body; none when the client has closed the connection.
    pub(crate) async fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        while self.buffer.len() < length {
            if self.stream.read_buf(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
        Some((head, self.buffer.drain(..length).collect()))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends to a client that may have gone; whether it was there.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// What more the client sends before it closes the connection.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.buffer);
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut rest).await;
        rest
    }
}

impl Peer<TcpStream> {
    /// Closes the connection with a reset.
    pub(crate) fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    }
}

/// A whole answer with this body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// An address on which nobody listens.
pub(crate) fn closed_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) fn post(url: &str, body: impl Into<Bytes>) -> Request<Bytes> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header("content-type", "application/json")
        .header("authorization", "Bearer sk-canary")
        .body(body.into())
        .unwrap()
}

/// Sends a request as any user of the trait would.
pub(crate) async fn send<T: Transport>(
    transport: &T,
    request: Request<Bytes>,
) -> Result<Response<T::Body>, T::Error> {
    let mut transport = transport.clone();
    poll_fn(|cx| transport.poll_ready(cx)).await?;
    transport.call(request).await
}

/// Sends a POST and reads the whole answer.
pub(crate) async fn text(transport: &HyperTransport, url: &str) -> Result<String, TransportError> {
    read(send(transport, post(url, "{}")).await?).await
}

pub(crate) async fn read(response: Response<Body>) -> Result<String, TransportError> {
    Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec()).unwrap())
}

/// Lets every task run that can, so that a connection which was read to its end is back in the pool.
pub(crate) async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

/// The failure of a POST, with what must hold for every error.
pub(crate) async fn failure(transport: &HyperTransport, url: &str) -> TransportError {
    let error = text(transport, url).await.unwrap_err();
    for shown in [format!("{error}"), format!("{error:#}"), format!("{error:?}")] {
        for secret in ["sk-canary", "pass-canary", "/v1/chat"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    assert!(!error.to_string().contains('\n'));
    error
}

/// The error's line, with the port of this address written as PORT.
pub(crate) fn line(error: &TransportError, addr: SocketAddr) -> String {
    error.to_string().replace(&format!(":{}", addr.port()), ":PORT")
}

/// A transport that the machine's environment has no influence on.
pub(crate) fn direct() -> HyperTransport {
    HyperTransport::builder().no_proxy().build().unwrap()
}
