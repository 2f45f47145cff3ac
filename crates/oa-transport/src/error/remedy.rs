//! The remedy for a failure, as a value that each program words in its own way.

use std::fmt;

/// What to try, where one thing is likely to help. A program words it by its own flags and variables;
/// [`Display`](fmt::Display) words it for somebody who writes Rust.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// `http://` in place of `https://`: the server answered in plain HTTP.
    UseHttp,
    /// `https://` in place of `http://`: the server answered in TLS.
    UseHttps,
    /// `http://` in place of `https://`: the server behaves as one of plain HTTP may.
    TryHttp,
    /// `https://` in place of `http://`: the server behaves as one of TLS may.
    TryHttps,
    /// A port of the server, or of the proxy in front of it, that speaks HTTP/1.1.
    UseHttp1Port,
    /// A longer connect timeout.
    RaiseConnectTimeout,
    /// A larger limit on the response's body.
    RaiseResponseLimit,
    /// To trust the server's authority.
    AddRoot,
    /// To trust that very certificate, or to issue one that is no authority's.
    AddRootOrReissue,
    /// To correct the variable, or to install the system's root certificates.
    LoadRoots,
    /// A client certificate.
    AddClientCertificate,
    /// Another host than this container's own `localhost`.
    LeaveContainer,
    /// A look at firewalls, on both sides and between.
    CheckFirewall,
    /// A look at the local policy: `SELinux`, `seccomp`, a firewall's rule for outgoing connections.
    CheckLocalPolicy,
    /// Another user, or other permissions of the socket's file.
    CheckSocketPermissions,
    /// Another value of the proxy's variable.
    CorrectProxy,
    /// The proxy's user name and password in its URL.
    AddProxyCredentials,
}

/// Where the platform's certificates are read from files, not from the operating system's own store.
const HAS_CERT_FILE: bool = cfg!(all(unix, not(target_vendor = "apple"), not(target_os = "android")));

impl Remedy {
    /// The words, for somebody who writes Rust.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UseHttp => "use http:// in the URL, not https://",
            Self::UseHttps => "use https:// in the URL, not http://",
            Self::TryHttp => {
                "a server that speaks plain HTTP on this port may do this: try http:// in the URL"
            }
            Self::TryHttps => "a server that speaks TLS on this port may do this: try https:// in the URL",
            Self::UseHttp1Port => "use a port that speaks HTTP/1.1, or let this one speak it too",
            Self::RaiseConnectTimeout => "the connect_timeout of the transport's builder raises the limit",
            Self::RaiseResponseLimit => "the response_limit of the transport's builder raises the limit",
            Self::AddRoot if HAS_CERT_FILE => {
                "add the certificate of the server's authority with add_root_pem of the transport's \
                 builder, or to the file that SSL_CERT_FILE names"
            }
            Self::AddRoot => {
                "add the certificate of the server's authority with add_root_pem of the transport's \
                 builder, or to the system's certificates"
            }
            Self::AddRootOrReissue => {
                "add that very certificate with add_root_pem of the transport's builder, or make one that is \
                 no authority's: openssl req -x509 -addext basicConstraints=critical,CA:FALSE ..."
            }
            Self::LoadRoots => {
                "correct SSL_CERT_FILE or SSL_CERT_DIR, install the package ca-certificates, or give roots \
                 with add_root_pem of the transport's builder"
            }
            Self::AddClientCertificate => {
                "the server asks for a client certificate: give one with client_certificate_pem of the \
                 transport's builder"
            }
            Self::LeaveContainer => {
                "this program runs in a container, whose localhost is not the host's: use the server's \
                 service name, or host.docker.internal where that exists"
            }
            Self::CheckFirewall => "a firewall that rejects answers like this too",
            Self::CheckLocalPolicy => {
                "a local policy forbids it: SELinux, seccomp, or a firewall's rule for outgoing connections"
            }
            Self::CheckSocketPermissions => "the permissions of the socket do not let this user connect",
            Self::CorrectProxy => "correct the variable, or unset it",
            Self::AddProxyCredentials => {
                "put the proxy's user name and password into its URL, percent-encoded: \
                 http://USER:PASSWORD@HOST:PORT"
            }
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
