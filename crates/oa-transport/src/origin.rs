//! The server that a request is for: scheme, host and port, and nothing secret of its URI.

use std::{fmt, net::IpAddr};

use http::Uri;

/// The server that a URI names. Holds no userinfo, path or query, so that it may be shown anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) scheme: Scheme,
    /// The host name or address without brackets; for a Unix socket its path.
    pub(crate) host: Box<str>,
    /// The port, the scheme's own when the URI has none; 0 for a Unix socket.
    pub(crate) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
    Unix,
}

impl Origin {
    /// Reads a URI; a URI that cannot be sent to gives what is wrong with it.
    pub(crate) fn of(uri: &Uri) -> Result<Self, &'static str> {
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some("unix") => Scheme::Unix,
            Some(_) => return Err("the scheme of the URL is none of http, https and unix"),
            None => return Err("the URL is not absolute: it must begin with http:// or https://"),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL names no host")?;
        if scheme == Scheme::Unix {
            let path = crate::connect::unix::path_of(host)
                .ok_or("the host of a unix URL must be a socket's path in hex")?;
            return Ok(Self { scheme, host: path.to_string_lossy().into(), port: 0 });
        }
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let port = uri.port_u16().unwrap_or(scheme.default_port());
        Ok(Self { scheme, host: host.into(), port })
    }

    /// As [`Origin::of`], for messages about a URI that may be wrong.
    pub(crate) fn of_any(uri: &Uri) -> Self {
        Self::of(uri).unwrap_or_else(|_| Self {
            scheme: Scheme::Http,
            host: uri.host().unwrap_or("(no host)").into(),
            port: uri.port_u16().unwrap_or(80),
        })
    }

    /// Host and port as in a URI and a `host` header: with brackets, without the scheme's own port.
    pub(crate) fn authority(&self) -> String {
        let host = &self.host;
        let mut authority = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
        if self.port != self.scheme.default_port() {
            authority = format!("{authority}:{}", self.port);
        }
        authority
    }

    pub(crate) fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// This machine itself, by name or address.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.ip() {
            Some(ip) => to_v4(ip).is_loopback(),
            None => is_localhost(&self.host),
        }
    }

    /// This machine or its own network segment: what an environment's proxy cannot be meant for.
    pub(crate) fn is_local(&self) -> bool {
        self.scheme == Scheme::Unix
            || self.is_loopback()
            || match self.ip().map(to_v4) {
                Some(IpAddr::V4(ip)) => ip.is_link_local() || ip.is_unspecified(),
                Some(IpAddr::V6(ip)) => ip.is_unicast_link_local() || ip.is_unspecified(),
                None => false,
            }
    }
}

impl Scheme {
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Unix => 0,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Scheme::Http => write!(f, "http://{}", self.authority()),
            Scheme::Https => write!(f, "https://{}", self.authority()),
            Scheme::Unix => write!(f, "unix:{}", self.host),
        }
    }
}

/// An IPv4 address that is written as an IPv6 one is that IPv4 address.
fn to_v4(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let name = host.rsplit('.').next().unwrap_or(host);
    name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(uri: &str) -> Origin {
        Origin::of(&uri.parse().unwrap()).unwrap()
    }

    #[test]
    fn shows_no_userinfo_path_or_query() {
        assert_eq!(origin("http://me:secret@h:8000/v1?key=secret").to_string(), "http://h:8000");
    }

    #[test]
    fn shows_a_port_only_where_it_is_not_the_schemes_own() {
        assert_eq!(origin("https://h:443/").to_string(), "https://h");
        assert_eq!(origin("https://h:80/").to_string(), "https://h:80");
        assert_eq!(origin("http://[::1]/").to_string(), "http://[::1]");
    }

    #[test]
    fn knows_what_is_local() {
        for uri in [
            "http://localhost",
            "http://a.localhost.",
            "http://127.8.9.1",
            "http://[::1]",
            "http://169.254.1.1",
            "http://[fe80::1]",
            "http://[::ffff:127.0.0.1]",
            "http://0.0.0.0:8000",
        ] {
            assert!(origin(uri).is_local(), "{uri}");
        }
        for uri in
            ["http://localhost.example", "http://10.0.0.1", "http://192.168.1.1", "http://[2001:db8::1]"]
        {
            assert!(!origin(uri).is_local(), "{uri}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_uri() {
        let wrong = |uri: &str| Origin::of(&uri.parse().unwrap()).unwrap_err();
        assert_eq!(wrong("/v1/models"), "the URL is not absolute: it must begin with http:// or https://");
        assert_eq!(wrong("ftp://host/"), "the scheme of the URL is none of http, https and unix");
        assert_eq!(wrong("unix://xyz/"), "the host of a unix URL must be a socket's path in hex");
    }
}
