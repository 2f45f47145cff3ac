//! Which proxy is a request sent through, and who said so?

use std::fmt;
use std::sync::Arc;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::origin::Origin;

/// The proxies in force.
#[derive(Default)]
pub(crate) struct Proxies {
    http: Option<Rule>,
    https: Option<Rule>,
    /// Set in code: then it is for every host, those of this machine too.
    explicit: bool,
}

struct Rule {
    matcher: Matcher,
    proxy: Arc<Proxy>,
}

/// One proxy. Shows itself without its credentials.
pub(crate) struct Proxy {
    pub(crate) scheme: ProxyScheme,
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    /// The value of `proxy-authorization`.
    pub(crate) auth: Option<HeaderValue>,
    url: String,
    variable: Option<&'static str>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyScheme {
    Http,
    Https,
    Socks,
}

impl Proxies {
    /// The proxies that the environment names, read through `get`.
    ///
    /// The upper-case name goes before the lower-case one, the scheme's own before `ALL_PROXY`. What
    /// cannot be read as a proxy's URL is passed over, as everybody does. In a CGI program
    /// (`REQUEST_METHOD` is set) `HTTP_PROXY` is what a stranger sent as a header `Proxy`: it does not count.
    pub(crate) fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let no = get("NO_PROXY").or_else(|| get("no_proxy")).unwrap_or_default();
        let is_cgi = get("REQUEST_METHOD").is_some();
        let rule = |own: &[&'static str]| {
            let first = |names: &[&'static str]| names.iter().find_map(|name| Some((*name, get(name)?)));
            [first(own), first(&["ALL_PROXY", "all_proxy"])]
                .into_iter()
                .flatten()
                .find_map(|(variable, url)| Rule::new(&url, &no, Some(variable)))
        };
        Self {
            http: rule(if is_cgi { &["http_proxy"] } else { &["HTTP_PROXY", "http_proxy"] }),
            https: rule(&["HTTPS_PROXY", "https_proxy"]),
            explicit: false,
        }
    }

    /// One proxy for every request, whatever the host; none if the URL cannot be read as a proxy's.
    pub(crate) fn explicit(url: &str) -> Option<Self> {
        let http = Rule::new(url, "", None)?;
        let https = Rule { matcher: matcher(url, ""), proxy: Arc::clone(&http.proxy) };
        Some(Self { http: Some(http), https: Some(https), explicit: true })
    }

    /// The proxy for a request to `uri`, whose origin is given.
    pub(crate) fn find(&self, uri: &Uri, origin: &Origin) -> Option<&Arc<Proxy>> {
        let rule = match uri.scheme_str() {
            Some("http") => self.http.as_ref(),
            Some("https") => self.https.as_ref(),
            _ => None,
        }?;
        if !self.explicit && origin.is_local() {
            return None;
        }
        rule.matcher.intercept(uri).map(|_| &rule.proxy)
    }

    /// What a plain HTTP request to `uri` must carry to please its proxy. Costs nothing where no proxy has
    /// a password.
    pub(crate) fn authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        let rule = self.http.as_ref().filter(|rule| rule.proxy.auth.is_some())?;
        if uri.scheme() != Some(&http::uri::Scheme::HTTP) {
            return None;
        }
        self.find(uri, &Origin::of(uri).ok()?).and_then(|_| rule.proxy.auth.clone())
    }

    pub(crate) fn uses_socks(&self) -> bool {
        self.http.as_ref().is_some_and(|rule| rule.proxy.scheme == ProxyScheme::Socks)
    }
}

impl Rule {
    fn new(url: &str, no: &str, variable: Option<&'static str>) -> Option<Self> {
        // Any host will do to ask for the proxy itself: nothing is excepted here.
        let asked = Uri::from_static("http://host.invalid/");
        let intercept = matcher(url, "").intercept(&asked)?;
        Some(Self { matcher: matcher(url, no), proxy: Arc::new(Proxy::new(&intercept, variable)?) })
    }
}

fn matcher(url: &str, no: &str) -> Matcher {
    Matcher::builder().all(url).no(no).build()
}

impl Proxy {
    fn new(intercept: &Intercept, variable: Option<&'static str>) -> Option<Self> {
        let uri = intercept.uri();
        let (scheme, default_port) = match uri.scheme_str()? {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            _ => (ProxyScheme::Socks, 1080),
        };
        let host = uri.host()?;
        let port = uri.port_u16().unwrap_or(default_port);
        Some(Self {
            scheme,
            port,
            auth: intercept.basic_auth().cloned(),
            url: format!("{}://{host}:{port}", uri.scheme_str()?),
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            variable,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn variable(&self) -> Option<&'static str> {
        self.variable
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable {
            Some(variable) => write!(f, "the proxy {} (from {variable})", self.url),
            None => write!(f, "the proxy {}", self.url),
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

    fn env(pairs: &[(&str, &str)]) -> Proxies {
        Proxies::from_env(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    fn used(proxies: &Proxies, uri: &str) -> Option<String> {
        let uri: Uri = uri.parse().unwrap();
        proxies.find(&uri, &Origin::of(&uri).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_stands_in() {
        let proxies = env(&[("http_proxy", "http://h:1"), ("ALL_PROXY", "a:2")]);
        assert_eq!(used(&proxies, "http://x/").unwrap(), "the proxy http://h:1 (from http_proxy)");
        assert_eq!(used(&proxies, "https://x/").unwrap(), "the proxy http://a:2 (from ALL_PROXY)");
    }

    #[test]
    fn an_unreadable_value_gives_way_to_all_proxy() {
        let proxies = env(&[("HTTP_PROXY", "ftp://h:1"), ("all_proxy", "http://a:2")]);
        assert_eq!(used(&proxies, "http://x/").unwrap(), "the proxy http://a:2 (from all_proxy)");
    }

    #[test]
    fn no_proxy_excepts_hosts() {
        let proxies = env(&[("HTTP_PROXY", "http://h:1"), ("NO_PROXY", "inner.example, 10.0.0.0/8")]);
        assert_eq!(used(&proxies, "http://a.inner.example/"), None);
        assert_eq!(used(&proxies, "http://10.1.2.3/"), None);
        assert!(used(&proxies, "http://outer.example/").is_some());
    }

    #[test]
    fn this_machine_is_never_reached_through_the_environments_proxy() {
        let proxies = env(&[("ALL_PROXY", "http://h:1")]);
        for uri in
            ["http://localhost:8000/", "https://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/"]
        {
            assert_eq!(used(&proxies, uri), None, "{uri}");
        }
    }

    #[test]
    fn a_proxy_set_in_code_is_for_this_machine_too() {
        let proxies = Proxies::explicit("http://me:secret@h:1").unwrap();
        assert_eq!(used(&proxies, "http://localhost:8000/").unwrap(), "the proxy http://h:1");
    }

    #[test]
    fn in_a_cgi_program_http_proxy_does_not_count() {
        let proxies = env(&[("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(used(&proxies, "http://x/"), None);
    }

    #[test]
    fn credentials_are_sent_to_plain_http_and_never_shown() {
        let proxies = env(&[("HTTP_PROXY", "http://me:s3cret@h:1")]);
        let auth = proxies.authorization(&Uri::from_static("http://x/")).unwrap();
        assert_eq!(auth, "Basic bWU6czNjcmV0");
        assert!(auth.is_sensitive());
        assert_eq!(proxies.authorization(&Uri::from_static("https://x/")), None);
        assert_eq!(proxies.authorization(&Uri::from_static("http://127.0.0.1/")), None);
        assert!(!format!("{:?}", proxies.http.unwrap().proxy).contains("s3cret"));
    }
}
