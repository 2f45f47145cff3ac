//! The one error of this crate: the stage that failed, the place, and the cause.

pub(crate) mod exchange;
pub(crate) mod io;
mod kind;
pub(crate) mod os;
mod remedy;

pub use kind::{Stage, TransportErrorKind};
pub use remedy::Remedy;

use std::{borrow::Cow, error::Error as StdError, fmt, net::SocketAddr, sync::Arc, time::Duration};

use crate::{
    origin::{Origin, Scheme},
    proxy::{NearMiss, Proxy},
};

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
    kind: TransportErrorKind,
    origin: Origin,
    proxy: Option<Proxy>,
    near_miss: Option<NearMiss>,
    variable: Option<&'static str>,
    message: Cow<'static, str>,
    attempts: Arc<[ConnectAttempt]>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
    elapsed: Duration,
    replayed: bool,
}

/// One address that was tried, and the error of the operating system.
#[derive(Debug)]
pub struct ConnectAttempt {
    pub(crate) addr: SocketAddr,
    pub(crate) error: std::io::Error,
}

impl TransportError {
    /// How far the exchange had come.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// What went wrong.
    pub fn kind(&self) -> TransportErrorKind {
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
    pub fn addresses(&self) -> &[ConnectAttempt] {
        &self.0.attempts
    }

    /// The proxy that the connection went through or should have gone through.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.0.proxy.as_ref()
    }

    /// The environment variable that named the [`proxy`](Self::proxy); none if there was none or it was
    /// set in code.
    pub fn proxy_variable(&self) -> Option<&'static str> {
        self.0.proxy.as_ref().and_then(Proxy::variable)
    }

    /// An entry of `NO_PROXY` that seems to be meant for this host and does not match it, where the
    /// connection was made through a proxy.
    pub fn no_proxy_near_miss(&self) -> Option<&NearMiss> {
        self.0.near_miss.as_ref()
    }

    /// The environment variable that is to be corrected: that of a proxy that cannot be read, or
    /// `SSL_CERT_FILE` or `SSL_CERT_DIR` where no root certificates could be loaded.
    pub fn variable(&self) -> Option<&'static str> {
        self.0.variable
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

    /// What to try, in words for somebody who writes Rust, if what is known here makes one thing likely: the
    /// text of the [`remedy`](Self::remedy).
    pub fn hint(&self) -> Option<&'static str> {
        self.remedy().map(Remedy::as_str)
    }

    /// What to try, if what is known here makes one thing likely. Looks for a container's marks when a
    /// connection to this machine was refused, and at nothing else.
    pub fn remedy(&self) -> Option<Remedy> {
        self.remedy_where(in_container)
    }

    fn remedy_where(&self, in_container: impl FnOnce() -> bool) -> Option<Remedy> {
        use TransportErrorKind as Kind;
        let Inner { stage, kind, origin, .. } = &*self.0;
        let timed_out = *kind == Kind::TimedOut && *stage <= Stage::Tls && !self.is_os_error();
        Some(match (kind, origin.scheme) {
            (Kind::Refused, _) if origin.is_loopback() && in_container() => Remedy::LeaveContainer,
            (Kind::TimedOut, _) if timed_out && *stage == Stage::Tls => Remedy::TryHttp,
            (Kind::TimedOut, _) if timed_out => Remedy::RaiseConnectTimeout,
            (Kind::NoRoute, _) => Remedy::CheckFirewall,
            (Kind::NotPermitted, Scheme::Unix) => Remedy::CheckSocketPermissions,
            (Kind::NotPermitted, _) => Remedy::CheckLocalPolicy,
            (Kind::ProxyInvalid, _) => Remedy::CorrectProxy,
            (Kind::ProxyAuthentication, _) => Remedy::AddProxyCredentials,
            (Kind::PlainHttpOnTls, _) => Remedy::UseHttp,
            (Kind::TlsOnPlain, _) => Remedy::UseHttps,
            (Kind::Http2, _) => Remedy::UseHttp1Port,
            (Kind::NoRoots, _) => Remedy::LoadRoots,
            (Kind::ClosedBeforeResponse | Kind::Reset, Scheme::Https) if *stage == Stage::Tls => {
                Remedy::TryHttp
            }
            // Servers of TLS close the connection, some with a reset.
            (Kind::ClosedBeforeResponse | Kind::Reset, Scheme::Http)
                if matches!(stage, Stage::Write | Stage::FirstByte)
                    && self.0.proxy.is_none()
                    && !self.0.replayed =>
            {
                Remedy::TryHttps
            }
            (Kind::CertificateUnknownIssuer, _) => Remedy::AddRoot,
            (Kind::CertificateIsAuthority, _) => Remedy::AddRootOrReissue,
            // certificate_required
            (Kind::TlsAlert(116), _) => Remedy::AddClientCertificate,
            (Kind::TooLarge, _) => Remedy::RaiseResponseLimit,
            _ => return None,
        })
    }

    /// Whether the operating system gave up by itself, not we.
    fn is_os_error(&self) -> bool {
        let io = self.source().and_then(|source| source.downcast_ref::<std::io::Error>());
        io.is_some_and(|io| io.raw_os_error().is_some())
    }

    pub(crate) fn new(
        stage: Stage,
        kind: TransportErrorKind,
        origin: Origin,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Arc::new(Inner {
            stage,
            kind,
            origin,
            proxy: None,
            near_miss: None,
            variable: None,
            message: message.into(),
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

    pub(crate) fn with_attempts(mut self, attempts: Vec<ConnectAttempt>) -> Self {
        Arc::make_mut(&mut self.0).attempts = attempts.into();
        self
    }

    pub(crate) fn with_place(mut self, stage: Stage, kind: TransportErrorKind) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.stage = stage;
        inner.kind = kind;
        self
    }

    pub(crate) fn with_proxy(mut self, proxy: Proxy, near_miss: Option<NearMiss>) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.proxy = Some(proxy);
        inner.near_miss = near_miss;
        self
    }

    pub(crate) fn with_variable(mut self, variable: Option<&'static str>) -> Self {
        if variable.is_some() {
            Arc::make_mut(&mut self.0).variable = variable;
        }
        self
    }

    pub(crate) fn with_timing(mut self, elapsed: Duration, replayed: bool) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.elapsed = elapsed;
        inner.replayed = replayed;
        self
    }

    fn write_line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { stage, origin, message, .. } = &*self.0;
        match stage {
            Stage::Request => return write!(f, "could not send the request: {message}"),
            Stage::Dns | Stage::Connect | Stage::Proxy | Stage::Tls => {
                write!(f, "could not connect to {origin}")?;
            }
            Stage::Write | Stage::FirstByte => write!(f, "no answer from {origin}")?,
            Stage::Body => write!(f, "no whole answer from {origin}")?,
        }
        if let Some(proxy) = &self.0.proxy {
            write!(f, " through {proxy}")?;
        }
        write!(f, ": {message}")?;
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
                write!(f, ": {}", os::words(&attempt.error))?;
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
            if let Some(near_miss) = &self.0.near_miss {
                write!(f, "\n  hint: {near_miss}")?;
            } else if let Some(hint) = self.hint() {
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

impl ConnectAttempt {
    /// The address that was tried.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The error of the operating system; of the kind `TimedOut` if the connect timeout came first.
    pub fn error(&self) -> &std::io::Error {
        &self.error
    }
}

/// The marks that Docker, Podman and Kubernetes leave in every container.
fn in_container() -> bool {
    const MARKS: [&str; 3] =
        ["/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io/serviceaccount"];
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
        || MARKS.iter().any(|mark| std::path::Path::new(mark).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str, stage: Stage, kind: TransportErrorKind) -> TransportError {
        TransportError::new(stage, kind, Origin::of(&url.parse().unwrap()).unwrap(), "why")
    }

    fn attempt(addr: &str, kind: std::io::ErrorKind) -> ConnectAttempt {
        ConnectAttempt { addr: addr.parse().unwrap(), error: kind.into() }
    }

    #[test]
    fn the_container_is_hinted_at_only_in_one_and_for_its_own_localhost() {
        let remedy = |url, inside: bool| {
            error(url, Stage::Connect, TransportErrorKind::Refused).remedy_where(|| inside)
        };
        assert_eq!(remedy("http://localhost:8000", true), Some(Remedy::LeaveContainer));
        assert_eq!(remedy("http://127.0.0.1:8000", true), Some(Remedy::LeaveContainer));
        assert_eq!(remedy("http://localhost:8000", false), None);
        assert_eq!(remedy("http://vllm:8000", true), None);
    }

    #[test]
    fn what_the_operating_system_forbids_and_what_a_firewall_may_do_is_named() {
        use std::io::ErrorKind::{HostUnreachable, PermissionDenied};
        let remedy = |url, kind: std::io::ErrorKind| {
            let cause = std::io::Error::from(kind);
            error(url, Stage::Connect, os::kind(&cause)).remedy()
        };
        assert_eq!(remedy("http://h", PermissionDenied), Some(Remedy::CheckLocalPolicy));
        assert_eq!(remedy("unix://2f78/", PermissionDenied), Some(Remedy::CheckSocketPermissions));
        assert_eq!(remedy("http://h", HostUnreachable), Some(Remedy::CheckFirewall));
    }

    #[test]
    fn a_closed_connection_is_blamed_on_the_other_protocol_only_where_that_is_likely() {
        let closed = |url, stage| error(url, stage, TransportErrorKind::ClosedBeforeResponse);
        assert_eq!(closed("http://h", Stage::FirstByte).remedy(), Some(Remedy::TryHttps));
        assert_eq!(closed("https://h", Stage::Tls).remedy(), Some(Remedy::TryHttp));
        assert_eq!(closed("https://h", Stage::FirstByte).remedy(), None);
        let reset = |stage| error("http://h", stage, TransportErrorKind::Reset).remedy();
        assert_eq!([reset(Stage::FirstByte), reset(Stage::Body)], [Some(Remedy::TryHttps), None]);
        let replayed = closed("http://h", Stage::FirstByte).with_timing(Duration::ZERO, true);
        assert_eq!(replayed.remedy(), None);
    }

    #[test]
    fn an_operating_systems_timeout_is_not_blamed_on_the_setting() {
        let os = ConnectAttempt {
            addr: "10.0.0.1:80".parse().unwrap(),
            error: std::io::Error::from_raw_os_error(110),
        };
        let error =
            error("http://10.0.0.1", Stage::Connect, TransportErrorKind::TimedOut).with_attempts(vec![os]);
        assert_eq!(error.hint(), None);
    }

    #[test]
    fn addresses_that_failed_differently_say_how() {
        use std::io::ErrorKind::{ConnectionRefused, NetworkUnreachable};
        let attempts =
            vec![attempt("[::1]:80", NetworkUnreachable), attempt("127.0.0.1:80", ConnectionRefused)];
        let error =
            error("http://localhost", Stage::Connect, TransportErrorKind::Refused).with_attempts(attempts);
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
        let error =
            error("http://localhost", Stage::Connect, TransportErrorKind::Refused).with_attempts(attempts);
        assert_eq!(
            error.to_string(),
            "could not connect to http://localhost: why (tried [::1]:80, 127.0.0.1:80)"
        );
    }
}
