//! The transport itself: one request over a connection of the pool, sent once more only when that is safe.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version,
    header::{ACCEPT_ENCODING, HOST, PROXY_AUTHORIZATION},
    uri,
};
use hyper::body::Incoming;
use tokio::time::Instant;
use tower_service::Service;

#[cfg(feature = "http2")]
use crate::http2::Unprocessed;
use crate::{
    body::Body,
    builder::HyperTransportBuilder,
    connect::Settings,
    error::{TransportError, exchange},
    http1::FullBody,
    pool::{Checkout, Connection, Host, Pool},
};

/// HTTP/1.1 over hyper, with TLS by rustls, as a [`Transport`](crate::Transport).
///
/// Connections are kept and used again. A clone is cheap and shares them. Must be used within a tokio
/// runtime with time and network enabled.
///
/// # One replay
///
/// A server may close an idle connection just as a request is written to it. So a request is sent once
/// more, over a fresh connection, when all of this holds: its connection had served another request
/// before, it died, and not one byte of an answer had come. Never twice, never over a connection that was
/// fresh, never after the caller has dropped the future. A failure after that says
/// [`replayed`](TransportError::replayed).
///
/// # HTTP/2
///
/// With the feature `http2`, and where the builder's `http2` asks for it. Calls share connections up to the
/// server's limit of concurrent streams; beyond it further connections are opened. A request that the server
/// refuses to begin with (`REFUSED_STREAM`, or a GOAWAY before it) is sent again. Dropping the future or the
/// body resets its stream and no other.
///
/// # Headers
///
/// Sent as given. `host`, `content-length` and `accept-encoding: identity` are added where absent.
#[derive(Clone)]
pub struct HyperTransport {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) pool: Pool,
    pub(crate) settings: Arc<Settings>,
    pub(crate) response_limit: u64,
}

impl HyperTransport {
    /// A transport with the defaults of [`HyperTransportBuilder`].
    pub fn new() -> Self {
        HyperTransportBuilder::default().assemble()
    }

    /// Starts from the defaults.
    pub fn builder() -> HyperTransportBuilder {
        HyperTransportBuilder::default()
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

impl Default for HyperTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for HyperTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport").finish_non_exhaustive()
    }
}

impl Service<Request<Bytes>> for HyperTransport {
    type Response = Response<Body>;
    type Error = TransportError;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> ResponseFuture {
        ResponseFuture(Box::pin(Arc::clone(&self.inner).exchange(request, Instant::now())))
    }
}

impl Inner {
    async fn exchange(
        self: Arc<Self>,
        request: Request<Bytes>,
        started: Instant,
    ) -> Result<Response<Body>, TransportError> {
        let host = self.pool.host(request.uri(), &self.settings)?;
        let mut request = request.map(FullBody);
        let mut replayed = false;
        #[cfg(feature = "http2")]
        let mut refusals = 0;
        loop {
            let checkout = host.checkout(&self.settings, started, replayed).await;
            let Checkout { connection, is_reused } =
                checkout.map_err(|error| error.with_timing(started.elapsed(), replayed))?;
            let (error, replay) = match connection {
                Connection::Http1(mut http1) => {
                    prepare(&mut request, &host);
                    let replay = is_reused.then(|| Replay::new(&request));
                    let mut error = match http1.send(request).await {
                        Ok(response) => {
                            return self.respond(response, Connection::Http1(http1), host, started);
                        }
                        Err(error) => error,
                    };
                    drop(http1);
                    // The connection had died in the pool: nothing was sent.
                    if let (true, Some(unsent)) = (is_reused, error.take_message()) {
                        request = unsent;
                        continue;
                    }
                    (error.into_error(), replay)
                }
                #[cfg(feature = "http2")]
                Connection::Http2(slot) => {
                    prepare_http2(&mut request, &host);
                    let replay = Replay::new(&request);
                    let mut error = match slot.send(request).await {
                        Ok(response) => {
                            return self.respond(response, Connection::Http2(slot), host, started);
                        }
                        Err(error) => error,
                    };
                    // Nothing was sent, or the server has not begun with it.
                    let is_unsent = error.take_message().is_some();
                    let error = error.into_error();
                    let unprocessed = Unprocessed::of(&error);
                    if is_unsent || matches!(unprocessed, Some(Unprocessed::Connection)) {
                        slot.retire();
                    }
                    if (is_unsent || unprocessed.is_some()) && refusals < MAX_REFUSALS {
                        refusals += 1;
                        request = replay.into_request();
                        continue;
                    }
                    (error, is_reused.then_some(replay))
                }
            };
            let (error, may_replay) = exchange::no_head(error, host.origin().clone());
            match replay {
                Some(replay) if may_replay && !replayed => {
                    replayed = true;
                    request = replay.into_request();
                }
                _ => {
                    // A plain HTTP exchange through a proxy fails because of the proxy as often as because of
                    // the server.
                    let error = match host.proxy() {
                        Some(proxy) => error.with_proxy(proxy.clone(), host.near_miss(&self.settings)),
                        None => error,
                    };
                    return Err(error.with_timing(started.elapsed(), replayed));
                }
            }
        }
    }

    fn respond(
        &self,
        response: Response<Incoming>,
        connection: Connection,
        host: Arc<Host>,
        started: Instant,
    ) -> Result<Response<Body>, TransportError> {
        let (mut head, incoming) = response.into_parts();
        if let Some(proxy) = host.proxy() {
            head.extensions.insert(proxy.clone());
        }
        let body = Body::new(connection, incoming, host, self.response_limit, started)?;
        Ok(Response::from_parts(head, body))
    }
}

/// How often a request is sent again that the server has refused to begin with.
#[cfg(feature = "http2")]
const MAX_REFUSALS: u32 = 3;

/// Adds what hyper's connection does not add by itself, and writes the URI as its receiver wants it.
fn prepare(request: &mut Request<FullBody>, host: &Host) {
    *request.version_mut() = Version::HTTP_11;
    if !request.headers().contains_key(HOST) {
        request.headers_mut().insert(HOST, host.header().clone());
    }
    // Without this header a gateway may compress as it likes (RFC 9110, 12.5.3). A layer that decompresses
    // sets its own.
    request.headers_mut().entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("identity"));
    if let Some(proxy) = host.forward_proxy() {
        if let Some(value) = proxy.authorization() {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value.clone());
        }
    } else {
        let mut parts = uri::Parts::default();
        parts.path_and_query = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    }
}

/// Writes the URI as HTTP/2 sends it, with what a `host` header says in its place.
#[cfg(feature = "http2")]
fn prepare_http2(request: &mut Request<FullBody>, host: &Host) {
    *request.version_mut() = Version::HTTP_2;
    let named = request.headers_mut().remove(HOST);
    let mut parts = uri::Parts::default();
    parts.scheme = Some(host.http_scheme());
    parts.authority = uri::Authority::try_from(named.as_ref().unwrap_or(host.header()).as_bytes()).ok();
    parts.path_and_query =
        request.uri().path_and_query().cloned().or(Some(uri::PathAndQuery::from_static("/")));
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
}

/// What it takes to send a request once more. Costs one allocation; names, values and body are shared.
struct Replay {
    method: Method,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Replay {
    fn new(request: &Request<FullBody>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: request.body().0.clone(),
        }
    }

    fn into_request(self) -> Request<FullBody> {
        let mut request = Request::new(FullBody(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        let mut headers = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        *request.headers_mut() = headers;
        request
    }
}

/// The response to come. Dropping it ends the exchange and closes its connection.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send>>);

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
