//! What failed, where, and why: the one error of this crate.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::origin::{Origin, Scheme};
use crate::proxy::Proxy;

/// Why a request got no whole response. One word wide and cheap to clone.
///
/// `{}` is one line that a person can act on; `{:#}` adds the causes and at most one [`hint`](Self::hint).
/// Neither these nor `Debug` show header values, userinfo, paths, queries or bytes of a body.
///
/// [`source`](std::error::Error::source) leads to the operating system's or the TLS library's own error
/// where there was one.
#[derive(Clone)]
pub struct TransportError(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    stage: Stage,
    kind: Diagnosis,
    origin: Origin,
    proxy: Option<Arc<Proxy>>,
    why: Cow<'static, str>,
    attempts: Arc<[Attempt]>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
    elapsed: Duration,
    replayed: bool,
}

/// How far the exchange had come when it failed, in the order in which the stages pass.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The request itself: nothing was sent, nobody was asked.
    Request,
    /// Looking up the host's name.
    Dns,
    /// Opening a connection to the server.
    Connect,
    /// Reaching the proxy, or asking it for a tunnel.
    Proxy,
    /// Agreeing on TLS with the server.
    Tls,
    /// Sending the request.
    Write,
    /// Waiting for the response's head, after the request was sent.
    FirstByte,
    /// Reading the response's body.
    Body,
}

/// What went wrong, as far as the evidence goes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Diagnosis {
    /// The request cannot be sent as it is: its URL or what this build of the crate supports.
    BadRequest,
    /// The host's name could not be resolved.
    HostUnknown,
    /// Nobody listens on the port.
    Refused,
    /// There is no way to the host or its network.
    NoRoute,
    /// There is no Unix socket at the path.
    SocketNotFound,
    /// No connection within the connect timeout, or the operating system gave up.
    TimedOut,
    /// The proxy refused the connection or the tunnel; [`TransportError::proxy`] tells which one.
    ProxyRefused,
    /// The proxy is of a kind that cannot be used, such as SOCKS.
    ProxyUnsupported,
    /// `https` was asked of a port that answered in plain HTTP.
    PlainHttpOnTls,
    /// `http` was asked of a port that answered in TLS.
    TlsOnPlain,
    /// The server's certificate is past its time.
    CertificateExpired,
    /// The server's certificate is not valid yet: more often than not a clock is wrong.
    CertificateNotYetValid,
    /// Nobody who is trusted here vouches for the server's certificate.
    CertificateUnknownIssuer,
    /// The server's certificate is for other names.
    CertificateWrongName,
    /// The server ended TLS with this alert (its number in RFC 8446, section 6).
    TlsAlert(u8),
    /// Any other failure of TLS, on either side.
    Tls,
    /// The connection was reset.
    Reset,
    /// The server closed the connection without a byte of an answer.
    ClosedBeforeResponse,
    /// The answer ended before its end.
    CutOff,
    /// What was received is not HTTP/1.1, or its head is beyond the limits (100 header fields, about 400
    /// KiB).
    NotHttp,
    /// The response's body is larger than the limit.
    TooLarge,
    /// None of the above; the [`source`](std::error::Error::source) knows more.
    Other,
}

/// One address that was tried, and what the operating system said.
#[derive(Debug)]
pub struct Attempt {
    pub(crate) addr: SocketAddr,
    pub(crate) error: std::io::Error,
}

impl TransportError {
    /// How far the exchange had come.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// What went wrong.
    pub fn kind(&self) -> Diagnosis {
        self.0.kind
    }

    /// The host that the request named, without brackets; of a Unix socket its path.
    pub fn host(&self) -> &str {
        &self.0.origin.host
    }

    /// The port that the request named or its scheme implies; none for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        (self.0.origin.scheme != Scheme::Unix).then_some(self.0.origin.port)
    }

    /// Every address that was tried, with its own error. Empty unless opening the connection failed.
    pub fn addresses(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The proxy that the connection went through or should have gone through, without its credentials.
    pub fn proxy(&self) -> Option<&str> {
        self.0.proxy.as_deref().map(Proxy::url)
    }

    /// The environment variable that named the [`proxy`](Self::proxy); none if there was none or it was
    /// set in code.
    pub fn proxy_variable(&self) -> Option<&'static str> {
        self.0.proxy.as_deref().and_then(Proxy::variable)
    }

    /// From the call until the failure, replay included.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed
    }

    /// Whether this is the second failure: a reused connection had died before any byte of an answer, and the
    /// request was sent once more over a fresh one.
    pub fn replayed(&self) -> bool {
        self.0.replayed
    }

    /// What to try, if what is known here makes one thing likely. Looks at the file system for a container's
    /// marks when a connection to this machine was refused, and at nothing else.
    pub fn hint(&self) -> Option<&'static str> {
        self.hint_where(in_container)
    }

    fn hint_where(&self, in_container: impl FnOnce() -> bool) -> Option<&'static str> {
        let https = self.0.origin.scheme == Scheme::Https;
        match self.0.kind {
            Diagnosis::Refused if self.0.origin.is_loopback() && in_container() => Some(
                "this program runs in a container, whose localhost is not the host's: use the server's \
                 service name, or host.docker.internal where that exists",
            ),
            Diagnosis::TimedOut if self.0.stage <= Stage::Tls && !self.is_os_error() => {
                Some("the connect_timeout of the transport's builder raises the limit")
            }
            Diagnosis::PlainHttpOnTls => Some("use http:// in the URL, not https://"),
            Diagnosis::TlsOnPlain => Some("use https:// in the URL, not http://"),
            Diagnosis::ClosedBeforeResponse if https && self.0.stage == Stage::Tls => {
                Some("a server that speaks plain HTTP on this port may do this: try http:// in the URL")
            }
            Diagnosis::CertificateUnknownIssuer if HAS_CERT_FILE => Some(
                "add the certificate of the server's authority with add_root_pem of the transport's \
                 builder, or to the file that SSL_CERT_FILE names",
            ),
            Diagnosis::CertificateUnknownIssuer => Some(
                "add the certificate of the server's authority with add_root_pem of the transport's \
                 builder, or to the system's certificates",
            ),
            // certificate_required
            Diagnosis::TlsAlert(116) => Some(
                "the server asks for a client certificate: give one with client_certificate_pem of the \
                 transport's builder",
            ),
            Diagnosis::TooLarge => Some("the response_limit of the transport's builder raises the limit"),
            _ => None,
        }
    }

    /// Whether the operating system gave up by itself, not we.
    fn is_os_error(&self) -> bool {
        let io = self.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        io.is_some_and(|io| io.raw_os_error().is_some())
    }

    pub(crate) fn new(
        stage: Stage,
        kind: Diagnosis,
        origin: Origin,
        why: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Arc::new(Inner {
            stage,
            kind,
            origin,
            proxy: None,
            why: why.into(),
            attempts: Arc::new([]),
            cause: None,
            elapsed: Duration::ZERO,
            replayed: false,
        }))
    }

    pub(crate) fn with_cause(mut self, cause: Arc<dyn StdError + Send + Sync>) -> Self {
        Arc::make_mut(&mut self.0).cause = Some(cause);
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        Arc::make_mut(&mut self.0).attempts = attempts.into();
        self
    }

    pub(crate) fn with_place(mut self, stage: Stage, kind: Diagnosis) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.stage = stage;
        inner.kind = kind;
        self
    }

    pub(crate) fn with_proxy(mut self, proxy: Arc<Proxy>) -> Self {
        Arc::make_mut(&mut self.0).proxy = Some(proxy);
        self
    }

    pub(crate) fn with_timing(mut self, elapsed: Duration, replayed: bool) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.elapsed = elapsed;
        inner.replayed = replayed;
        self
    }

    fn write_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { stage, origin, why, .. } = &*self.0;
        match stage {
            Stage::Request => return write!(f, "could not send the request: {why}"),
            Stage::Dns | Stage::Connect | Stage::Proxy | Stage::Tls => {
                write!(f, "could not connect to {origin}")?;
            }
            Stage::Write | Stage::FirstByte => write!(f, "no answer from {origin}")?,
            Stage::Body => write!(f, "no whole answer from {origin}")?,
        }
        if let Some(proxy) = &self.0.proxy {
            write!(f, " through {proxy}")?;
        }
        write!(f, ": {why}")?;
        self.write_attempts(f)?;
        if self.0.replayed {
            f.write_str(", after a reused connection had died and the request was sent once more")?;
        }
        Ok(())
    }

    /// The addresses, each with its own error unless all say the same as the line itself.
    fn write_attempts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempts = &*self.0.attempts;
        let alike = attempts.windows(2).all(|pair| pair[0].error.kind() == pair[1].error.kind());
        for (i, attempt) in attempts.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { " (tried " } else { ", " }, attempt.addr)?;
            if !alike {
                write!(f, ": {}", crate::diagnose::words(&attempt.error))?;
            }
        }
        if attempts.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_line(f)?;
        if f.alternate() {
            let mut cause = self.source();
            while let Some(error) = cause {
                write!(f, "\n  caused by: {error}")?;
                cause = error.source();
            }
            if let Some(hint) = self.hint() {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.cause {
            Some(cause) => Some(&**cause),
            None => self.0.attempts.last().map(|attempt| &attempt.error as _),
        }
    }
}

impl Stage {
    /// The stage in a word, for logs and metrics: `request`, `dns`, `connect`, `proxy`, `tls`, `write`,
    /// `first_byte`, `body`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Write => "write",
            Self::FirstByte => "first_byte",
            Self::Body => "body",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Diagnosis {
    /// The diagnosis in a word, for logs and metrics: the variant's name in snake case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::HostUnknown => "host_unknown",
            Self::Refused => "refused",
            Self::NoRoute => "no_route",
            Self::SocketNotFound => "socket_not_found",
            Self::TimedOut => "timed_out",
            Self::ProxyRefused => "proxy_refused",
            Self::ProxyUnsupported => "proxy_unsupported",
            Self::PlainHttpOnTls => "plain_http_on_tls",
            Self::TlsOnPlain => "tls_on_plain",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateUnknownIssuer => "certificate_unknown_issuer",
            Self::CertificateWrongName => "certificate_wrong_name",
            Self::TlsAlert(_) => "tls_alert",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::ClosedBeforeResponse => "closed_before_response",
            Self::CutOff => "cut_off",
            Self::NotHttp => "not_http",
            Self::TooLarge => "too_large",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Attempt {
    /// The address that was tried.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What the operating system said; of the kind `TimedOut` if the connect timeout came first.
    pub fn error(&self) -> &std::io::Error {
        &self.error
    }
}

/// Where the platform verifier reads files, not the operating system's own store.
const HAS_CERT_FILE: bool = cfg!(all(unix, not(target_vendor = "apple"), not(target_os = "android")));

/// The marks that Docker and Podman leave in every container.
fn in_container() -> bool {
    ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| std::path::Path::new(mark).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str, stage: Stage, kind: Diagnosis) -> TransportError {
        TransportError::new(stage, kind, Origin::of(&url.parse().unwrap()).unwrap(), "why")
    }

    fn attempt(addr: &str, kind: std::io::ErrorKind) -> Attempt {
        Attempt { addr: addr.parse().unwrap(), error: kind.into() }
    }

    #[test]
    fn the_container_is_hinted_at_only_in_one_and_for_its_own_localhost() {
        let hint = |url, inside: bool| error(url, Stage::Connect, Diagnosis::Refused).hint_where(|| inside);
        let text = "this program runs in a container, whose localhost is not the host's: use the server's \
                    service name, or host.docker.internal where that exists";
        assert_eq!(hint("http://localhost:8000", true), Some(text));
        assert_eq!(hint("http://127.0.0.1:8000", true), Some(text));
        assert_eq!(hint("http://localhost:8000", false), None);
        assert_eq!(hint("http://vllm:8000", true), None);
    }

    #[test]
    fn an_operating_systems_timeout_is_not_blamed_on_the_setting() {
        let os =
            Attempt { addr: "10.0.0.1:80".parse().unwrap(), error: std::io::Error::from_raw_os_error(110) };
        let error = error("http://10.0.0.1", Stage::Connect, Diagnosis::TimedOut).with_attempts(vec![os]);
        assert_eq!(error.hint(), None);
    }

    #[test]
    fn addresses_that_failed_differently_say_how() {
        use std::io::ErrorKind::{ConnectionRefused, NetworkUnreachable};
        let attempts =
            vec![attempt("[::1]:80", NetworkUnreachable), attempt("127.0.0.1:80", ConnectionRefused)];
        let error = error("http://localhost", Stage::Connect, Diagnosis::Refused).with_attempts(attempts);
        assert_eq!(
            error.to_string(),
            "could not connect to http://localhost: why (tried [::1]:80: the network is unreachable, \
             127.0.0.1:80: connection refused)"
        );
    }

    #[test]
    fn addresses_that_failed_alike_are_only_listed() {
        use std::io::ErrorKind::ConnectionRefused;
        let attempts =
            vec![attempt("[::1]:80", ConnectionRefused), attempt("127.0.0.1:80", ConnectionRefused)];
        let error = error("http://localhost", Stage::Connect, Diagnosis::Refused).with_attempts(attempts);
        assert_eq!(
            error.to_string(),
            "could not connect to http://localhost: why (tried [::1]:80, 127.0.0.1:80)"
        );
    }
}
