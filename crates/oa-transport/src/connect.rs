//! How does a URI become a connection? Straight or through a proxy, over TCP or a Unix socket, with TLS or
//! without; and every failure names its stage.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use crate::conn::Conn;
use crate::diagnose;
use crate::error::{Diagnosis, Stage, TransportError};
use crate::origin::{Origin, Scheme};
use crate::proxy::{Proxies, Proxy, ProxyScheme};
use crate::stream::Stream;
use crate::{tcp, tunnel};

/// Opens connections for hyper's pool.
#[derive(Clone)]
pub(crate) struct Connector(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    pub(crate) connect_timeout: Duration,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) proxies: Proxies,
    #[cfg(feature = "tls")]
    pub(crate) tls: crate::tls::Tls,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Conn>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let settings = Arc::clone(&self.0);
        Box::pin(async move { settings.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Settings {
    async fn connect(&self, uri: &Uri) -> Result<Conn, TransportError> {
        let origin = match Origin::of(uri) {
            Ok(origin) => origin,
            Err(why) => return Err(bad_request(Origin::of_any(uri), why)),
        };
        let far = Duration::from_secs(60 * 60 * 24 * 365);
        let deadline = Instant::now() + self.connect_timeout.min(far);
        match self.proxies.find(uri, &origin) {
            Some(proxy) => {
                let through = self.connect_through(proxy, &origin, deadline).await;
                through.map_err(|error| error.with_proxy(Arc::clone(proxy)))
            }
            None => self.connect_straight(uri, &origin, deadline).await,
        }
    }

    async fn connect_straight(
        &self,
        uri: &Uri,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Conn, TransportError> {
        let stream = match origin.scheme {
            Scheme::Unix => return self.connect_unix(uri, origin, deadline).await,
            Scheme::Http | Scheme::Https => {
                let dialed = tcp::dial(&origin.host, origin.port, deadline, self.tcp_keepalive).await;
                Stream::Tcp(dialed.map_err(|failure| self.dial_failed(failure, origin))?)
            }
        };
        let stream = match origin.scheme {
            Scheme::Https => self.tls(stream, &origin.host, origin, Stage::Tls, deadline).await?,
            _ => stream,
        };
        Ok(Conn::new(stream, false))
    }

    async fn connect_through(
        &self,
        proxy: &Arc<Proxy>,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Conn, TransportError> {
        let fail = |kind, why: String| TransportError::new(Stage::Proxy, kind, origin.clone(), why);
        if proxy.scheme == ProxyScheme::Socks {
            let why = "SOCKS proxies are not supported, only http and https ones";
            return Err(fail(Diagnosis::ProxyUnsupported, why.to_owned()));
        }
        let dialed = tcp::dial(&proxy.host, proxy.port, deadline, self.tcp_keepalive).await;
        let mut stream = Stream::Tcp(dialed.map_err(|failure| {
            let error = self.dial_failed(failure, origin);
            let kind =
                if error.kind() == Diagnosis::Refused { Diagnosis::ProxyRefused } else { error.kind() };
            error.with_place(Stage::Proxy, kind)
        })?);
        if proxy.scheme == ProxyScheme::Https {
            stream = self.tls(stream, &proxy.host, origin, Stage::Proxy, deadline).await?;
        }
        if origin.scheme != Scheme::Https {
            return Ok(Conn::new(stream, true));
        }
        let opened = timeout_at(deadline, tunnel::open(&mut stream, proxy, &origin.host, origin.port)).await;
        match opened {
            Ok(Ok(())) => {}
            Ok(Err(tunnel::Failure::Refused(status))) => {
                return Err(fail(
                    Diagnosis::ProxyRefused,
                    format!("the proxy refused the tunnel with {status}"),
                ));
            }
            Ok(Err(tunnel::Failure::NotHttp)) => {
                return Err(fail(Diagnosis::NotHttp, "the proxy's answer is not HTTP/1.1".to_owned()));
            }
            Ok(Err(tunnel::Failure::Closed)) => {
                let why = "the proxy closed the connection when it was asked for a tunnel";
                return Err(fail(Diagnosis::ProxyRefused, why.to_owned()));
            }
            Ok(Err(tunnel::Failure::Io(cause))) => {
                let (kind, why) = diagnose::from_io(&cause);
                return Err(fail(kind, why.into_owned()).with_cause(Arc::new(cause)));
            }
            Err(_) => return Err(fail(Diagnosis::TimedOut, self.out_of_time("no tunnel"))),
        }
        let stream = self.tls(stream, &origin.host, origin, Stage::Tls, deadline).await?;
        Ok(Conn::new(stream, false))
    }

    #[cfg(unix)]
    async fn connect_unix(
        &self,
        uri: &Uri,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Conn, TransportError> {
        let path = uri.host().and_then(crate::unix::path_of).unwrap_or_default();
        let fail = |kind, why: String| TransportError::new(Stage::Connect, kind, origin.clone(), why);
        match timeout_at(deadline, tokio::net::UnixStream::connect(path)).await {
            Ok(Ok(socket)) => Ok(Conn::new(Stream::Unix(socket), false)),
            Ok(Err(cause)) => {
                let (kind, why) = match cause.kind() {
                    io::ErrorKind::NotFound => (Diagnosis::SocketNotFound, "there is no such socket".into()),
                    _ => diagnose::from_io(&cause),
                };
                Err(fail(kind, why.into_owned()).with_cause(Arc::new(cause)))
            }
            Err(_) => Err(fail(Diagnosis::TimedOut, self.out_of_time("no answer"))),
        }
    }

    #[cfg(not(unix))]
    async fn connect_unix(&self, _: &Uri, origin: &Origin, _: Instant) -> Result<Conn, TransportError> {
        Err(bad_request(origin.clone(), "this platform has no Unix sockets"))
    }

    #[cfg(feature = "tls")]
    async fn tls(
        &self,
        stream: Stream,
        host: &str,
        origin: &Origin,
        stage: Stage,
        deadline: Instant,
    ) -> Result<Stream, TransportError> {
        match timeout_at(deadline, self.tls.handshake(stream, host)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(crate::tls::Failure { kind, why, cause })) => {
                Err(TransportError::new(stage, kind, origin.clone(), why).with_cause(Arc::new(cause)))
            }
            Err(_) => {
                let why = self.out_of_time("no TLS");
                Err(TransportError::new(stage, Diagnosis::TimedOut, origin.clone(), why))
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_self, reason = "called as the one that does TLS")]
    fn tls(
        &self,
        _: Stream,
        _: &str,
        origin: &Origin,
        _: Stage,
        _: Instant,
    ) -> std::future::Ready<Result<Stream, TransportError>> {
        std::future::ready(Err(bad_request(origin.clone(), NO_TLS)))
    }

    fn dial_failed(&self, failure: tcp::Failure, origin: &Origin) -> TransportError {
        match failure {
            tcp::Failure::Dns(cause) => {
                let why = format!("the host name could not be resolved ({})", diagnose::words(&cause));
                TransportError::new(Stage::Dns, Diagnosis::HostUnknown, origin.clone(), why)
                    .with_cause(Arc::new(cause))
            }
            tcp::Failure::DnsTimeout => {
                let why = self.out_of_time("the host name was not resolved");
                TransportError::new(Stage::Dns, Diagnosis::TimedOut, origin.clone(), why)
            }
            tcp::Failure::Connect { attempts, timed_out } => {
                let (kind, why) = match attempts.last() {
                    Some(last) if !timed_out => diagnose::from_io(&last.error),
                    _ => (Diagnosis::TimedOut, self.out_of_time("no answer").into()),
                };
                TransportError::new(Stage::Connect, kind, origin.clone(), why).with_attempts(attempts)
            }
        }
    }

    fn out_of_time(&self, what: &str) -> String {
        format!("{what} within {:?} (connect_timeout)", self.connect_timeout)
    }
}

#[cfg(not(feature = "tls"))]
pub(crate) const NO_TLS: &str =
    "https needs the feature `tls` of oa-transport, which this program was built without";

/// A request that cannot be sent.
pub(crate) fn bad_request(origin: Origin, why: &'static str) -> TransportError {
    TransportError::new(Stage::Request, Diagnosis::BadRequest, origin, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_proxy_of_the_environment_is_named_with_its_variable() {
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let get = |name: &str| (name == "HTTP_PROXY").then(|| format!("http://me:s3cret@{dead}"));
        let settings = settings(Proxies::from_env(get));
        let error = settings.connect(&Uri::from_static("http://llm.example:8000/")).await.err().unwrap();
        assert_eq!(
            error.to_string().replace(&dead.port().to_string(), "PORT"),
            "could not connect to http://llm.example:8000 through the proxy http://127.0.0.1:PORT (from \
             HTTP_PROXY): connection refused (tried 127.0.0.1:PORT)"
        );
        assert_eq!(error.proxy_variable(), Some("HTTP_PROXY"));
        assert!(!format!("{error:?}{error:#}").contains("s3cret"));
    }

    #[tokio::test]
    async fn a_socks_proxy_of_the_environment_is_an_error_and_not_passed_over() {
        let settings =
            settings(Proxies::from_env(|name| (name == "ALL_PROXY").then(|| "socks5://h:1".to_owned())));
        let error = settings.connect(&Uri::from_static("http://llm.example:8000/")).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "could not connect to http://llm.example:8000 through the proxy socks5://h:1 (from \
             ALL_PROXY): SOCKS proxies are not supported, only http and https ones"
        );
        assert_eq!(error.kind(), Diagnosis::ProxyUnsupported);
    }

    fn settings(proxies: Proxies) -> Settings {
        Settings {
            connect_timeout: Duration::from_secs(10),
            tcp_keepalive: None,
            proxies,
            #[cfg(feature = "tls")]
            tls: crate::tls::Tls::new(),
        }
    }
}
