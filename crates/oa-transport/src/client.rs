//! The transport itself: one request through hyper's pool, sent once more only when that is safe.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use hyper_util::client::legacy::{self, Client};
use tokio::time::Instant;
use tower_service::Service;

use crate::body::{Body, Once};
use crate::builder::Builder;
use crate::connect::{Connector, bad_request};
use crate::diagnose;
use crate::error::TransportError;
use crate::origin::Origin;

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
    pub(crate) pooled: Client<Connector, Once>,
    /// Its connections are always fresh.
    pub(crate) unpooled: Client<Connector, Once>,
    pub(crate) settings: Arc<crate::connect::Settings>,
    pub(crate) response_limit: u64,
}

impl Inner {
    /// A plain HTTP exchange through a proxy fails at the proxy's hands as often as at the server's.
    fn name_proxy(&self, error: TransportError, uri: &Uri) -> TransportError {
        let proxy = match Origin::of(uri) {
            Ok(origin) if error.proxy().is_none() => self.settings.proxies.find(uri, &origin),
            _ => None,
        };
        match proxy {
            Some(proxy) => error.with_proxy(Arc::clone(proxy)),
            None => error,
        }
    }
}

impl HyperTransport {
    /// A transport with the defaults of [`Builder`].
    pub fn new() -> Self {
        Builder::default().assemble()
    }

    /// Starts from the defaults.
    pub fn builder() -> Builder {
        Builder::default()
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
        let (saved, request) = Saved::split(request);
        let response = self.inner.pooled.request(request);
        ResponseFuture(State::Waiting {
            response,
            saved,
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
            origin.map_err(|why| bad_request(Origin::of_any(request.uri()), why))?;
            // A socket has no name; every server takes this one.
            request.headers_mut().entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        }
        if let Some(value) = self.inner.settings.proxies.authorization(request.uri()) {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        Ok(())
    }
}

/// What it takes to send a request once more. Costs one allocation; names, values and body are shared.
struct Saved {
    method: Method,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Saved {
    fn split(request: Request<Bytes>) -> (Self, Request<Once>) {
        let saved = Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            body: request.body().clone(),
        };
        (saved, request.map(Once))
    }

    fn take(&mut self) -> Request<Once> {
        let mut request = Request::new(Once(mem::take(&mut self.body)));
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
        saved: Saved,
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
            let State::Waiting { response, saved, replayed, started, inner } = state else {
                return match mem::replace(state, State::Done) {
                    State::Failed(error) => Poll::Ready(Err(error)),
                    _ => panic!("polled after completion"),
                };
            };
            let result = match ready!(Pin::new(&mut *response).poll(cx)) {
                Ok(response) => {
                    let (head, incoming) = response.into_parts();
                    let uri = mem::take(&mut saved.uri);
                    let body = Body::new(incoming, inner.response_limit, uri, *started);
                    body.map(|body| Response::from_parts(head, body))
                }
                Err(error) => {
                    let (error, may_replay) = diagnose::exchange(error, &saved.uri);
                    if may_replay && !*replayed {
                        *replayed = true;
                        *response = inner.unpooled.request(saved.take());
                        continue;
                    }
                    let error = inner.name_proxy(error, &saved.uri);
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
