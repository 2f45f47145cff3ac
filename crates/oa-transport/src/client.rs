//! The transport itself: one request through hyper's pool, sent once more only when that is safe.

use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version,
    header::{HOST, PROXY_AUTHORIZATION},
};
use hyper_util::client::legacy::{self, Client};
use tokio::time::Instant;
use tower_service::Service;

use crate::{
    body::{Body, FullBody},
    builder::HyperTransportBuilder,
    connect::{Connector, Settings, bad_request},
    error::{TransportError, exchange},
    origin::Origin,
    proxy::{Proxy, ProxyRoute},
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
/// # Headers
///
/// Sent as given. `host` and `content-length` are added where absent.
#[derive(Clone)]
pub struct HyperTransport {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) pooled: Client<Connector, FullBody>,
    /// Its connections are always fresh.
    pub(crate) unpooled: Client<Connector, FullBody>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) response_limit: u64,
}

impl Inner {
    /// The proxy that a request goes through.
    fn proxy(&self, uri: &Uri) -> Option<&Proxy> {
        match self.settings.proxies.for_uri(uri) {
            ProxyRoute::Through(proxy) => Some(proxy),
            _ => None,
        }
    }

    /// A plain HTTP exchange through a proxy fails because of the proxy as often as because of the server.
    fn with_proxy(&self, error: TransportError, uri: &Uri) -> TransportError {
        match self.proxy(uri) {
            Some(proxy) if error.proxy().is_none() => {
                error.with_proxy(proxy.clone(), self.settings.proxies.near_miss(uri))
            }
            _ => error,
        }
    }
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

    fn call(&mut self, mut request: Request<Bytes>) -> ResponseFuture {
        let started = Instant::now();
        if let Err(error) = self.prepare(&mut request) {
            return ResponseFuture(State::Failed(error));
        }
        let (replay, request) = Replay::split(request);
        let response = self.inner.pooled.request(request);
        ResponseFuture(State::Waiting {
            response,
            replay,
            replayed: false,
            started,
            inner: Arc::clone(&self.inner),
        })
    }
}

impl HyperTransport {
    /// Refuses what cannot be sent, and adds what hyper's client does not add by itself.
    fn prepare(&self, request: &mut Request<Bytes>) -> Result<(), TransportError> {
        *request.version_mut() = Version::HTTP_11;
        let is_http = request.uri().scheme() == Some(&http::uri::Scheme::HTTP);
        let is_https = request.uri().scheme() == Some(&http::uri::Scheme::HTTPS);
        if !(is_http || is_https && cfg!(feature = "tls")) {
            let origin = Origin::of(request.uri());
            #[cfg(not(feature = "tls"))]
            let origin = if is_https { Err(crate::connect::NO_TLS) } else { origin };
            origin.map_err(|message| bad_request(Origin::of_any(request.uri()), message))?;
            // A socket has no name; every server takes this one.
            request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        }
        if let Some(value) = self.inner.settings.proxies.authorization(request.uri()) {
            let value = value.clone();
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        Ok(())
    }
}

/// What it takes to send a request once more. Costs one allocation; names, values and body are shared.
struct Replay {
    method: Method,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Replay {
    fn split(request: Request<Bytes>) -> (Self, Request<FullBody>) {
        let replay = Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: request.body().clone(),
        };
        (replay, request.map(FullBody))
    }

    fn take(&mut self) -> Request<FullBody> {
        let mut request = Request::new(FullBody(mem::take(&mut self.body)));
        *request.method_mut() = mem::take(&mut self.method);
        *request.uri_mut() = self.uri.clone();
        let headers = mem::take(&mut self.headers);
        let mut map = HeaderMap::with_capacity(headers.len());
        for (name, value) in headers {
            map.append(name, value);
        }
        *request.headers_mut() = map;
        request
    }
}

/// The response to come. Dropping it ends the exchange; the connection is closed unless it is still unused.
#[must_use = "futures do nothing unless polled"]
pub struct ResponseFuture(State);

#[expect(clippy::large_enum_variant, reason = "a box would cost every request an allocation")]
enum State {
    Waiting {
        response: legacy::ResponseFuture,
        replay: Replay,
        replayed: bool,
        started: Instant,
        inner: Arc<Inner>,
    },
    Failed(TransportError),
    Done,
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = &mut self.0;
        loop {
            let State::Waiting { response, replay, replayed, started, inner } = state else {
                return match mem::replace(state, State::Done) {
                    State::Failed(error) => Poll::Ready(Err(error)),
                    _ => panic!("polled after completion"),
                };
            };
            let result = match ready!(Pin::new(&mut *response).poll(cx)) {
                Ok(response) => {
                    let (mut head, incoming) = response.into_parts();
                    let uri = mem::take(&mut replay.uri);
                    let proxy = inner.proxy(&uri).cloned();
                    if let Some(proxy) = &proxy {
                        head.extensions.insert(proxy.clone());
                    }
                    let body = Body::new(incoming, inner.response_limit, uri, proxy, *started);
                    body.map(|body| Response::from_parts(head, body))
                }
                Err(error) => {
                    let (error, may_replay) = exchange::no_head(error, &replay.uri);
                    if may_replay && !*replayed {
                        *replayed = true;
                        *response = inner.unpooled.request(replay.take());
                        continue;
                    }
                    let error = inner.with_proxy(error, &replay.uri);
                    Err(error.with_timing(started.elapsed(), *replayed))
                }
            };
            *state = State::Done;
            return Poll::Ready(result);
        }
    }
}

impl fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
