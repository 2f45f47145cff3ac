//! Opens connections: straight or through a proxy, over TCP or a Unix socket, with TLS or without. Every
//! failure names its stage.

pub(crate) mod conn;
mod socks;
pub(crate) mod stream;
mod tcp;
mod tunnel;
pub(crate) mod unix;

use std::{sync::Arc, time::Duration};

use http::Uri;
use tokio::time::{Instant, timeout_at};

use crate::{
    error::{Stage, TransportError, TransportErrorKind, io::from_io, os},
    origin::{Origin, Scheme},
    proxy::{Proxies, Proxy, ProxyRoute, ProxyScheme},
};
use conn::Conn;
use socks::SocksError;
use stream::Stream;
use tcp::DialError;
use tunnel::TunnelError;

pub(crate) struct Settings {
    #[cfg(feature = "http2")]
    pub(crate) http2: crate::http2::Http2Settings,
    pub(crate) connect_timeout: Duration,
    pub(crate) tcp_keepalive: Option<Duration>,
    pub(crate) proxies: Proxies,
    #[cfg(feature = "tls")]
    pub(crate) tls: crate::tls::TlsConfig,
}

/// A longer timeout than this is none.
const NO_TIMEOUT: Duration = Duration::from_secs(60 * 60 * 24 * 365);

impl Settings {
    /// Opens a connection to the host of `uri`, whose origin is given.
    pub(crate) async fn connect(&self, uri: &Uri, origin: &Origin) -> Result<Conn, TransportError> {
        let deadline = Instant::now() + self.connect_timeout.min(NO_TIMEOUT);
        match self.proxies.for_uri(uri) {
            ProxyRoute::Through(proxy) => self
                .connect_through(proxy, origin, deadline)
                .await
                .map_err(|error| error.with_proxy(proxy.clone(), self.proxies.near_miss(uri))),
            ProxyRoute::Invalid(invalid) => {
                let kind = TransportErrorKind::ProxyInvalid;
                let error = TransportError::new(Stage::Proxy, kind, origin.clone(), invalid.to_string());
                Err(error.with_variable(invalid.variable()).with_cause(Arc::new(invalid.clone())))
            }
            _ => self.connect_straight(uri, origin, deadline).await,
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
                Stream::Tcp(dialed.map_err(|error| self.connect_error(error, origin))?)
            }
        };
        let stream = match origin.scheme {
            Scheme::Https => self.tls(stream, &origin.host, origin, Stage::Tls, deadline).await?,
            _ => stream,
        };
        Ok(Conn::new(stream))
    }

    async fn connect_through(
        &self,
        proxy: &Proxy,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Conn, TransportError> {
        let dialed = tcp::dial(proxy.host(), proxy.port(), deadline, self.tcp_keepalive).await;
        let mut stream = Stream::Tcp(dialed.map_err(|error| {
            let error = self.connect_error(error, origin);
            let is_refused = error.kind() == TransportErrorKind::Refused;
            let kind = if is_refused { TransportErrorKind::ProxyRefused } else { error.kind() };
            error.with_place(Stage::Proxy, kind)
        })?);
        if proxy.scheme().is_socks() {
            stream = self.socks(stream, proxy, origin, deadline).await?;
        } else {
            if proxy.scheme() == ProxyScheme::Https {
                stream = self.tls(stream, proxy.host(), origin, Stage::Proxy, deadline).await?;
            }
            if origin.scheme != Scheme::Https {
                return Ok(Conn::new(stream));
            }
            self.tunnel(&mut stream, proxy, origin, deadline).await?;
        }
        if origin.scheme == Scheme::Https {
            stream = self.tls(stream, &origin.host, origin, Stage::Tls, deadline).await?;
        }
        Ok(Conn::new(stream))
    }

    async fn tunnel(
        &self,
        stream: &mut Stream,
        proxy: &Proxy,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<(), TransportError> {
        let (kind, message) =
            match timeout_at(deadline, tunnel::open(stream, proxy, &origin.host, origin.port)).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(TunnelError::Authentication(status))) => {
                    let message = if proxy.has_credentials() {
                        format!("the proxy refused the user name or password with {status}")
                    } else {
                        format!(
                            "the proxy wants a user name and password: it refused the tunnel with {status}"
                        )
                    };
                    (TransportErrorKind::ProxyAuthentication, message)
                }
                Ok(Err(TunnelError::Refused(status))) => {
                    let message = format!("the proxy refused the tunnel with {status}");
                    (TransportErrorKind::ProxyRefused, message)
                }
                Ok(Err(TunnelError::NotHttp)) => {
                    (TransportErrorKind::NotHttp, "the proxy's answer is not HTTP/1.1".to_owned())
                }
                Ok(Err(TunnelError::Closed)) => {
                    let message = "the proxy closed the connection when it was asked for a tunnel";
                    (TransportErrorKind::ProxyRefused, message.to_owned())
                }
                Ok(Err(TunnelError::Io(cause))) => {
                    let (kind, message) = from_io(&cause);
                    let error = TransportError::new(Stage::Proxy, kind, origin.clone(), message);
                    return Err(error.with_cause(Arc::new(cause)));
                }
                Err(_) => (TransportErrorKind::TimedOut, self.out_of_time("no tunnel")),
            };
        Err(TransportError::new(Stage::Proxy, kind, origin.clone(), message))
    }

    async fn socks(
        &self,
        stream: Stream,
        proxy: &Proxy,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Stream, TransportError> {
        let opened = timeout_at(deadline, socks::open(stream, proxy, &origin.host, origin.port)).await;
        let (kind, message) = match opened {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(SocksError::Dns(cause))) => {
                return Err(self.connect_error(DialError::Dns(cause), origin));
            }
            Ok(Err(SocksError::Refused(words))) => {
                (TransportErrorKind::ProxyRefused, format!("the proxy opened no tunnel ({words})"))
            }
            Err(_) => (TransportErrorKind::TimedOut, self.out_of_time("no tunnel")),
        };
        Err(TransportError::new(Stage::Proxy, kind, origin.clone(), message))
    }

    #[cfg(unix)]
    async fn connect_unix(
        &self,
        uri: &Uri,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Conn, TransportError> {
        let path = uri.host().and_then(unix::path_of).unwrap_or_default();
        let fail = |kind, message: String| TransportError::new(Stage::Connect, kind, origin.clone(), message);
        match timeout_at(deadline, tokio::net::UnixStream::connect(path)).await {
            Ok(Ok(socket)) => Ok(Conn::new(Stream::Unix(socket))),
            Ok(Err(cause)) => {
                let (kind, message) = match cause.kind() {
                    std::io::ErrorKind::NotFound => {
                        (TransportErrorKind::SocketNotFound, "there is no such socket".into())
                    }
                    _ => (os::kind(&cause), os::words(&cause)),
                };
                Err(fail(kind, message.into_owned()).with_cause(Arc::new(cause)))
            }
            Err(_) => Err(fail(TransportErrorKind::TimedOut, self.out_of_time("no answer"))),
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
        use crate::tls::TlsFailure;
        // A proxy is spoken to in HTTP/1.1.
        let alpn = if stage == Stage::Proxy { HTTP_1 } else { self.alpn() };
        let (kind, message, cause) = match self.tls.handshake(stream, host, deadline, alpn).await {
            Ok(stream) => return Ok(stream),
            Err(TlsFailure::Failed { kind, message, cause }) => (kind, message, Some(cause)),
            Err(TlsFailure::TimedOut { silent }) => {
                let mut message = self.out_of_time("no TLS");
                if silent {
                    message.push_str(": the connection was accepted and not one byte came back");
                }
                (TransportErrorKind::TimedOut, message.into(), None)
            }
        };
        let variable = cause.as_ref().and_then(crate::tls::variable);
        let error = TransportError::new(stage, kind, origin.clone(), message).with_variable(variable);
        Err(match cause {
            Some(cause) => error.with_cause(crate::tls::cause(cause)),
            None => error,
        })
    }

    #[cfg(all(feature = "tls", feature = "http2"))]
    fn alpn(&self) -> &'static [&'static [u8]] {
        match self.http2.mode {
            crate::http2::Http2::Off => HTTP_1,
            crate::http2::Http2::Negotiated => &[b"h2", b"http/1.1"],
            crate::http2::Http2::PriorKnowledge => &[b"h2"],
        }
    }

    #[cfg(all(feature = "tls", not(feature = "http2")))]
    #[expect(clippy::unused_self, reason = "with HTTP/2 it is a setting")]
    fn alpn(&self) -> &'static [&'static [u8]] {
        HTTP_1
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

    fn connect_error(&self, error: DialError, origin: &Origin) -> TransportError {
        match error {
            DialError::Dns(cause) => {
                let message = format!("the host name could not be resolved ({})", os::words(&cause));
                TransportError::new(Stage::Dns, TransportErrorKind::HostUnknown, origin.clone(), message)
                    .with_cause(Arc::new(cause))
            }
            DialError::DnsTimeout => {
                let message = self.out_of_time("the host name was not resolved");
                TransportError::new(Stage::Dns, TransportErrorKind::TimedOut, origin.clone(), message)
            }
            DialError::Connect { attempts, timed_out } => {
                let (kind, message) = match attempts.last() {
                    Some(last) if !timed_out => (os::kind(&last.error), os::words(&last.error)),
                    _ => (TransportErrorKind::TimedOut, self.out_of_time("no answer").into()),
                };
                TransportError::new(Stage::Connect, kind, origin.clone(), message).with_attempts(attempts)
            }
        }
    }

    pub(crate) fn out_of_time(&self, what: &str) -> String {
        format!("{what} within {:?} (the connect timeout)", self.connect_timeout)
    }
}

/// The names of protocols that TLS offers, where HTTP/1.1 alone is spoken.
#[cfg(feature = "tls")]
const HTTP_1: &[&[u8]] = &[b"http/1.1"];

#[cfg(not(feature = "tls"))]
pub(crate) const NO_TLS: &str =
    "https needs the feature `tls` of oa-transport, which this program was built without";

/// A request that cannot be sent.
pub(crate) fn bad_request(origin: Origin, message: &'static str) -> TransportError {
    TransportError::new(Stage::Request, TransportErrorKind::BadRequest, origin, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_proxy_of_the_environment_is_named_with_its_variable() {
        let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let get = |name: &str| match name {
            "HTTP_PROXY" => Some(format!("http://me:s3cret@{dead}")),
            "NO_PROXY" => Some("llm.example:8000".to_owned()),
            _ => None,
        };
        let settings = settings(Proxies::from_lookup(get));
        let error = failure(&settings).await;
        assert_eq!(
            error.to_string().replace(&dead.port().to_string(), "PORT"),
            "could not connect to http://llm.example:8000 through the proxy http://127.0.0.1:PORT (from \
             HTTP_PROXY): connection refused (tried 127.0.0.1:PORT)"
        );
        assert_eq!(error.proxy_variable(), Some("HTTP_PROXY"));
        assert_eq!(error.no_proxy_near_miss().unwrap().correction(), "llm.example");
        assert!(!format!("{error:?}{error:#}").contains("s3cret"));
    }

    #[tokio::test]
    async fn a_proxy_of_the_environment_that_cannot_be_read_is_an_error_and_not_passed_over() {
        let get = |name: &str| (name == "ALL_PROXY").then(|| "'http://me:s3cret@h:1'".to_owned());
        let settings = settings(Proxies::from_lookup(get));
        let error = failure(&settings).await;
        assert_eq!(
            error.to_string(),
            "could not connect to http://llm.example:8000: ALL_PROXY does not name a proxy that can be \
             used: it is in quotes"
        );
        assert_eq!((error.stage(), error.kind()), (Stage::Proxy, TransportErrorKind::ProxyInvalid));
        assert_eq!(error.variable(), Some("ALL_PROXY"));
        assert!(error.kind().is_permanent());
        assert!(!format!("{error:?}{error:#}").contains("s3cret"));
    }

    async fn failure(settings: &Settings) -> TransportError {
        let uri = Uri::from_static("http://llm.example:8000/");
        settings.connect(&uri, &Origin::of(&uri).unwrap()).await.err().unwrap()
    }

    fn settings(proxies: Proxies) -> Settings {
        Settings {
            #[cfg(feature = "http2")]
            http2: crate::http2::Http2Settings::default(),
            connect_timeout: Duration::from_secs(10),
            tcp_keepalive: None,
            proxies,
            #[cfg(feature = "tls")]
            tls: crate::tls::TlsConfig::new(),
        }
    }
}
