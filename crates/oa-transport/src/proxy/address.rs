//! One proxy: where it is, how it is spoken to, and which variable named it.

use std::{fmt, sync::Arc};

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;

/// A proxy. Cheap to clone. Shows itself without its credentials.
///
/// A [`HyperTransport`](crate::HyperTransport) puts the one that a response came through into the response's
/// extensions: `response.extensions().get::<Proxy>()`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    scheme: ProxyScheme,
    host: Box<str>,
    port: u16,
    credentials: Credentials,
    url: String,
    variable: Option<&'static str>,
}

#[derive(PartialEq, Eq)]
enum Credentials {
    None,
    /// The value of `proxy-authorization`.
    Header(HeaderValue),
    /// User name and password of a SOCKS proxy.
    Pair(String, String),
}

/// How a proxy is spoken to.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyScheme {
    /// HTTP over TCP.
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS 4; the host's name is resolved here.
    Socks4,
    /// SOCKS 4a; the host's name is resolved by the proxy.
    Socks4a,
    /// SOCKS 5; the host's name is resolved here.
    Socks5,
    /// SOCKS 5; the host's name is resolved by the proxy.
    Socks5h,
}

/// A proxy's address that cannot be used: where it stands, and what is wrong with it. Never shows the
/// address, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidProxy {
    variable: Option<&'static str>,
    problem: String,
}

impl Proxy {
    /// Reads `[scheme://][user:password@]host[:port]`. Without a scheme it is `http`.
    pub(super) fn parse(value: &str, variable: Option<&'static str>) -> Result<Self, InvalidProxy> {
        let value = value.trim();
        let parsed = match problem(value) {
            Some(problem) => Err(problem),
            None => Self::read(value, variable).ok_or_else(|| UNREADABLE.to_owned()),
        };
        parsed.map_err(|problem| InvalidProxy { variable, problem })
    }

    fn read(value: &str, variable: Option<&'static str>) -> Option<Self> {
        // Any host will do to be told of the proxy itself.
        let intercept =
            Matcher::builder().all(value).build().intercept(&Uri::from_static("http://a.invalid/"))?;
        let uri = intercept.uri();
        let scheme = ProxyScheme::from_name(uri.scheme_str()?)?;
        let host = uri.host().filter(|host| !host.is_empty())?;
        let port = uri.port_u16().unwrap_or(scheme.default_port());
        let credentials = match (intercept.basic_auth(), intercept.raw_auth()) {
            (Some(header), _) => Credentials::Header(header.clone()),
            (_, Some((user, password))) => Credentials::Pair(user.to_owned(), password.to_owned()),
            _ => Credentials::None,
        };
        Some(Self(Arc::new(Inner {
            scheme,
            port,
            credentials,
            url: format!("{scheme}://{host}:{port}"),
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            variable,
        })))
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> ProxyScheme {
        self.0.scheme
    }

    /// Its host name or address, without brackets.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// Its port: the one given, or 80, 443 or 1080 by its scheme.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Its URL, `scheme://host:port`, without its credentials.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The environment variable that named it; none if it was set in code.
    pub fn variable(&self) -> Option<&'static str> {
        self.0.variable
    }

    /// Whether it was given a user name.
    pub fn has_credentials(&self) -> bool {
        self.0.credentials != Credentials::None
    }

    /// The value of `proxy-authorization`.
    pub(crate) fn authorization(&self) -> Option<&HeaderValue> {
        match &self.0.credentials {
            Credentials::Header(value) => Some(value),
            _ => None,
        }
    }

    /// User name and password for SOCKS.
    pub(crate) fn user_and_password(&self) -> Option<(&str, &str)> {
        match &self.0.credentials {
            Credentials::Pair(user, password) => Some((user, password)),
            _ => None,
        }
    }
}

const UNREADABLE: &str = "it is not a URL such as http://host:3128";

/// What people and programs write for no proxy.
const ABSENT: [&str; 9] =
    ["none", "null", "undefined", "direct", "false", "off", "no", "disabled", "disable"];

/// What is visibly wrong with a proxy's address. What the parser alone can tell is not looked for here.
fn problem(value: &str) -> Option<String> {
    let quotes = ['"', '\'', '`', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
    if value.starts_with(quotes) || value.ends_with(quotes) {
        return Some("it is in quotes".to_owned());
    }
    if value.contains("${") || value.contains("$(") || value.contains("{{") || value.starts_with('$') {
        return Some("it holds a variable that was not replaced".to_owned());
    }
    if value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some("it holds white space".to_owned());
    }
    if !value.is_ascii() {
        return Some("it holds characters that a URL cannot hold".to_owned());
    }
    let (scheme, rest) = match value.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None => ("http", value),
    };
    if scheme.eq_ignore_ascii_case("socks") {
        return Some("its scheme is socks, where socks5h, socks5, socks4a or socks4 is needed".to_owned());
    }
    if ProxyScheme::from_name(&scheme.to_ascii_lowercase()).is_none() {
        let is_word =
            scheme.len() <= 16 && scheme.bytes().all(|c| c.is_ascii_alphanumeric() || b"+-.".contains(&c));
        let shown = if is_word { format!("{scheme}, ") } else { String::new() };
        return Some(format!(
            "its scheme is {shown}none of http, https, socks5h, socks5, socks4a and socks4"
        ));
    }
    if ABSENT.iter().any(|word| rest.trim_end_matches('/').eq_ignore_ascii_case(word)) {
        return Some("it is a word for no proxy: leave the variable unset for none".to_owned());
    }
    let authority = match rest.rsplit_once('@') {
        Some((userinfo, host)) => {
            if let Some(c) = userinfo.chars().find(|c| ['#', '/', '?', '@', '\\'].contains(c)) {
                let code = u32::from(c);
                return Some(format!("a {c} in the user name or password must be written as %{code:02X}"));
            }
            host
        }
        None => rest,
    };
    let (authority, path) = authority.split_at(authority.find(['/', '?', '#']).unwrap_or(authority.len()));
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    if ["pac", "dat"].iter().any(|script| extension.eq_ignore_ascii_case(script)) {
        return Some(
            "it is the address of a script (PAC), which is not read here: name the proxy".to_owned(),
        );
    }
    let port = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']').and_then(|(_, rest)| rest.strip_prefix(':')),
        None if authority.matches(':').count() > 1 => {
            return Some("it has more than one port, or an IPv6 address without brackets".to_owned());
        }
        None => authority.split_once(':').map(|(_, port)| port),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Some("its port is not a number of at most 65535".to_owned());
    }
    None
}

impl InvalidProxy {
    /// The environment variable; none if it was set in code.
    pub fn variable(&self) -> Option<&'static str> {
        self.variable
    }

    /// What is wrong with it, as in `it is in quotes`.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable {
            Some(variable) => {
                write!(f, "{variable} does not name a proxy that can be used: {}", self.problem)
            }
            None => write!(f, "not a proxy that can be used: {}", self.problem),
        }
    }
}

impl std::error::Error for InvalidProxy {}

impl ProxyScheme {
    /// The scheme as it stands in the URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    /// Whether it is one of SOCKS.
    pub const fn is_socks(self) -> bool {
        !matches!(self, Self::Http | Self::Https)
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Http, Self::Https, Self::Socks4, Self::Socks4a, Self::Socks5, Self::Socks5h]
            .into_iter()
            .find(|scheme| scheme.as_str() == name)
    }

    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            _ => 1080,
        }
    }
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable() {
            Some(variable) => write!(f, "the proxy {} (from {variable})", self.url()),
            None => write!(f, "the proxy {}", self.url()),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(value: &str) -> String {
        let error = Proxy::parse(value, Some("HTTP_PROXY")).unwrap_err();
        let shown = error.to_string();
        assert!(!shown.contains("s3cret"), "{shown}");
        error.problem().to_owned()
    }

    #[test]
    fn forms_that_can_be_used() {
        for (value, url) in [
            ("h:1", "http://h:1"),
            ("http://h", "http://h:80"),
            (" https://h:8443/ ", "https://h:8443"),
            ("socks5h://me:s3cret@h", "socks5h://h:1080"),
            ("http://[::1]:3128", "http://[::1]:3128"),
            ("http://me:p%23ss@h:1", "http://h:1"),
        ] {
            assert_eq!(Proxy::parse(value, None).map(|proxy| proxy.url().to_owned()).as_deref(), Ok(url));
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_the_value() {
        assert_eq!(wrong("\"http://me:s3cret@h:1\""), "it is in quotes");
        assert_eq!(wrong("${CORP_PROXY}"), "it holds a variable that was not replaced");
        for word in ["none", "DIRECT", "http://false", "off"] {
            assert_eq!(wrong(word), "it is a word for no proxy: leave the variable unset for none");
        }
        assert!(wrong("http://wpad/wpad.dat").contains("a script (PAC)"));
        assert_eq!(
            wrong("http://DOM\\me:s3cret@h:1"),
            "a \\ in the user name or password must be written as %5C"
        );
        assert_eq!(
            wrong("socks://h:1"),
            "its scheme is socks, where socks5h, socks5, socks4a or socks4 is needed"
        );
        assert_eq!(
            wrong("ftp://me:s3cret@h:1"),
            "its scheme is ftp, none of http, https, socks5h, socks5, socks4a and socks4"
        );
        assert_eq!(
            wrong("http://me:p#s3cret@h:1"),
            "a # in the user name or password must be written as %23"
        );
        assert_eq!(
            wrong("http://me:p/s3cret@h:1"),
            "a / in the user name or password must be written as %2F"
        );
        assert_eq!(
            wrong("http://h:8080:8080"),
            "it has more than one port, or an IPv6 address without brackets"
        );
        assert_eq!(wrong("http://h:99999"), "its port is not a number of at most 65535");
        assert_eq!(wrong("http://h:1 b"), "it holds white space");
        assert_eq!(wrong("http://"), UNREADABLE);
        assert_eq!(wrong("http://h\u{fffd}:1"), "it holds characters that a URL cannot hold");
    }
}
