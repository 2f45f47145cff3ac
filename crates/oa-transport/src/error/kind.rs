//! The stages of an exchange, and the kinds of its failures.

use std::fmt;

/// How far the exchange had come when it failed, in the order in which the stages pass.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The request itself: nothing was sent.
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
pub enum TransportErrorKind {
    /// The request cannot be sent as it is: its URL or what this build of the crate supports.
    BadRequest,
    /// The host's name could not be resolved.
    HostUnknown,
    /// Nobody listens on the port, or a firewall rejects with a reset.
    Refused,
    /// There is no way to the host or its network. A firewall that rejects answers so too.
    NoRoute,
    /// The operating system does not permit the connection: a local policy (`SELinux`, `seccomp`, a
    /// firewall's rule for outgoing connections), or the permissions of a Unix socket.
    NotPermitted,
    /// There is no Unix socket at the path.
    SocketNotFound,
    /// No connection within the connect timeout, or the operating system gave up.
    TimedOut,
    /// The proxy refused the connection or the tunnel; [`TransportError::proxy`] tells which one.
    ///
    /// [`TransportError::proxy`]: crate::TransportError::proxy
    ProxyRefused,
    /// The proxy wants other credentials than it was given, or any.
    ProxyAuthentication,
    /// The proxy's address in an environment variable cannot be read. Nothing was sent.
    ProxyInvalid,
    /// `https` was asked of a port that answered in plain HTTP.
    PlainHttpOnTls,
    /// `http` was asked of a port that answered in TLS.
    TlsOnPlain,
    /// `https` was asked of a port that answered in neither TLS nor HTTP.
    NotTls,
    /// HTTP/1.1 was asked of a port that answered in HTTP/2.
    Http2,
    /// No root certificate could be loaded on this machine, so that no server can be trusted. Nothing was
    /// sent.
    NoRoots,
    /// The server's certificate is past its time.
    CertificateExpired,
    /// The server's certificate is not valid yet: more often than not a clock is wrong.
    CertificateNotYetValid,
    /// Nobody who is trusted here vouches for the server's certificate.
    CertificateUnknownIssuer,
    /// The server's certificate is for other names.
    CertificateWrongName,
    /// The server's certificate names no host: it has no `subjectAltName`, and clients no longer read its
    /// common name.
    CertificateWithoutNames,
    /// The server's certificate is that of an authority (CA:TRUE), and is not itself trusted.
    CertificateIsAuthority,
    /// The server's certificate is not usable for another reason: its purpose, algorithms or form.
    CertificateUnusable,
    /// The server speaks neither TLS 1.2 nor TLS 1.3.
    TlsVersion,
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
    /// What was received is no HTTP.
    NotHttp,
    /// What was received is HTTP that breaks the rules of HTTP.
    InvalidHttp,
    /// The response's head is larger than the limits: 100 header fields, 400 KiB.
    HeadTooLarge,
    /// The response's body is larger than the limit.
    TooLarge,
    /// None of the above; the [`source`](std::error::Error::source) knows more.
    Other,
}

impl Stage {
    /// The stage in a word, for logs and metrics: `request`, `dns`, `connect`, `proxy`, `tls`, `write`,
    /// `first_byte`, `body`.
    pub const fn as_str(self) -> &'static str {
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

impl TransportErrorKind {
    /// The kind in a word, for logs and metrics: the variant's name in snake case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::HostUnknown => "host_unknown",
            Self::Refused => "refused",
            Self::NoRoute => "no_route",
            Self::NotPermitted => "not_permitted",
            Self::SocketNotFound => "socket_not_found",
            Self::TimedOut => "timed_out",
            Self::ProxyRefused => "proxy_refused",
            Self::ProxyAuthentication => "proxy_authentication",
            Self::ProxyInvalid => "proxy_invalid",
            Self::PlainHttpOnTls => "plain_http_on_tls",
            Self::TlsOnPlain => "tls_on_plain",
            Self::NotTls => "not_tls",
            Self::Http2 => "http2",
            Self::NoRoots => "no_roots",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::CertificateUnknownIssuer => "certificate_unknown_issuer",
            Self::CertificateWrongName => "certificate_wrong_name",
            Self::CertificateWithoutNames => "certificate_without_names",
            Self::CertificateIsAuthority => "certificate_is_authority",
            Self::CertificateUnusable => "certificate_unusable",
            Self::TlsVersion => "tls_version",
            Self::TlsAlert(_) => "tls_alert",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::ClosedBeforeResponse => "closed_before_response",
            Self::CutOff => "cut_off",
            Self::NotHttp => "not_http",
            Self::InvalidHttp => "invalid_http",
            Self::HeadTooLarge => "head_too_large",
            Self::TooLarge => "too_large",
            Self::Other => "other",
        }
    }

    /// Whether the same request fails in the same way until somebody changes something: an address, a
    /// setting, a file. Waiting does not help.
    pub const fn is_permanent(self) -> bool {
        matches!(
            self,
            Self::BadRequest
                | Self::ProxyInvalid
                | Self::ProxyAuthentication
                | Self::PlainHttpOnTls
                | Self::TlsOnPlain
                | Self::NotTls
                | Self::Http2
                | Self::NoRoots
                | Self::CertificateUnknownIssuer
                | Self::CertificateWrongName
                | Self::CertificateWithoutNames
                | Self::CertificateIsAuthority
                | Self::CertificateUnusable
                | Self::TlsVersion
                | Self::HeadTooLarge
                | Self::TooLarge
        )
    }
}

impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
