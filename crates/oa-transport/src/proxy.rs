//! The proxies in force, and which of them a request goes through.

mod address;
mod no_proxy;

pub use address::{InvalidProxy, Proxy, ProxyScheme};
pub use no_proxy::NearMiss;

use http::Uri;

use crate::origin::Origin;
use no_proxy::NoProxy;

/// The proxies of an environment, or those set in code.
///
/// The scheme's own variable takes precedence over `ALL_PROXY`, the upper-case name over the lower-case one;
/// a blank value counts as unset. An environment's proxy is never used for this machine itself (loopback,
/// link-local addresses, Unix sockets), nor for what `NO_PROXY` lists. In a CGI program (`REQUEST_METHOD` is
/// set) `HTTP_PROXY` does not count: it is what a stranger sent as a header `Proxy`.
///
/// ```
/// use oa_transport::{Proxies, ProxyRoute};
///
/// let proxies = Proxies::from_lookup(|name| match name {
///     "HTTPS_PROXY" => Some("http://me:secret@proxy.example:3128".to_owned()),
///     "NO_PROXY" => Some("inner.example".to_owned()),
///     _ => None,
/// });
/// let uri = http::Uri::from_static("https://llm.example/");
/// let ProxyRoute::Through(proxy) = proxies.for_uri(&uri) else { panic!("it has a proxy") };
/// assert_eq!(proxy.url(), "http://proxy.example:3128");
/// assert_eq!(proxy.variable(), Some("HTTPS_PROXY"));
/// ```
#[derive(Default)]
pub struct Proxies {
    http: Setting,
    https: Setting,
    no_proxy: Option<NoProxy>,
    /// Set in code: then it is for every host, those of this machine too.
    explicit: bool,
}

#[derive(Clone, Default)]
enum Setting {
    #[default]
    Unset,
    Proxy(Proxy),
    Invalid(InvalidProxy),
}

/// The way to a server, as far as proxies are concerned.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyRoute<'a> {
    /// No proxy is set for the URI's scheme.
    Unset,
    /// A proxy is set, and is not for this machine itself.
    Local {
        /// The variable that names it.
        variable: &'static str,
    },
    /// A proxy is set, and the host is excepted.
    Excepted {
        /// The variable that names the proxy.
        variable: &'static str,
        /// `NO_PROXY` or `no_proxy`.
        by: &'static str,
        /// The entry that matches.
        entry: &'a str,
    },
    /// Through this proxy.
    Through(&'a Proxy),
    /// A proxy is set that cannot be used: a request fails with
    /// [`ProxyInvalid`](crate::TransportErrorKind::ProxyInvalid).
    Invalid(&'a InvalidProxy),
}

impl Proxies {
    /// No proxy at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// The proxies of the process's environment.
    pub fn from_env() -> Self {
        // What is not UTF-8 must not pass for unset.
        Self::from_lookup(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// The proxies of the environment that `get` knows.
    pub fn from_lookup(get: impl Fn(&str) -> Option<String>) -> Self {
        let set = |names: &[&'static str]| {
            let values = names.iter().filter_map(|name| Some((*name, get(name)?)));
            values.into_iter().find(|(_, value)| !value.trim().is_empty())
        };
        let setting = |own: &[&'static str]| match set(own).or_else(|| set(&["ALL_PROXY", "all_proxy"])) {
            None => Setting::Unset,
            Some((variable, value)) => match Proxy::parse(&value, Some(variable)) {
                Ok(proxy) => Setting::Proxy(proxy),
                Err(error) => Setting::Invalid(error),
            },
        };
        let is_cgi = get("REQUEST_METHOD").is_some();
        Self {
            http: setting(if is_cgi { &["http_proxy"] } else { &["HTTP_PROXY", "http_proxy"] }),
            https: setting(&["HTTPS_PROXY", "https_proxy"]),
            no_proxy: set(&["NO_PROXY", "no_proxy"]).map(|(name, value)| NoProxy::new(name, &value)),
            explicit: false,
        }
    }

    /// One proxy for every request, whatever the host, this machine too.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, which is not shown.
    pub fn all(url: &str) -> Result<Self, InvalidProxy> {
        let setting = Setting::Proxy(Proxy::parse(url, None)?);
        Ok(Self { http: setting.clone(), https: setting, no_proxy: None, explicit: true })
    }

    /// The way that a request to `uri` takes.
    pub fn for_uri(&self, uri: &Uri) -> ProxyRoute<'_> {
        let setting = match uri.scheme_str() {
            Some("http") => &self.http,
            Some("https") => &self.https,
            _ => return ProxyRoute::Unset,
        };
        let variable = match setting {
            Setting::Unset => return ProxyRoute::Unset,
            Setting::Proxy(proxy) => proxy.variable(),
            Setting::Invalid(error) => error.variable(),
        };
        if let (false, Some(variable)) = (self.explicit, variable) {
            if Origin::of(uri).is_ok_and(|origin| origin.is_local()) {
                return ProxyRoute::Local { variable };
            }
            if let Some(no_proxy) = &self.no_proxy {
                if let Some(entry) = no_proxy.entry_for(uri) {
                    return ProxyRoute::Excepted { variable, by: no_proxy.variable(), entry };
                }
            }
        }
        match setting {
            Setting::Proxy(proxy) => ProxyRoute::Through(proxy),
            Setting::Invalid(error) => ProxyRoute::Invalid(error),
            Setting::Unset => ProxyRoute::Unset,
        }
    }
    /// The first entry of `NO_PROXY` that seems to be meant for a URI which goes through a proxy, and does
    /// not match it.
    pub fn near_miss(&self, uri: &Uri) -> Option<NearMiss> {
        match self.for_uri(uri) {
            ProxyRoute::Through(_) | ProxyRoute::Invalid(_) => self.no_proxy.as_ref()?.near_miss(uri),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Proxies {
        Proxies::from_lookup(|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    /// The proxy, or another way as it shows itself.
    fn way(proxies: &Proxies, uri: &str) -> String {
        match proxies.for_uri(&uri.parse().unwrap()) {
            ProxyRoute::Through(proxy) => proxy.to_string(),
            ProxyRoute::Invalid(error) => error.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_scheme_has_its_variable_and_all_proxy_stands_in() {
        let proxies = env(&[("http_proxy", "http://h:1"), ("ALL_PROXY", "a:2")]);
        assert_eq!(way(&proxies, "http://x/"), "the proxy http://h:1 (from http_proxy)");
        assert_eq!(way(&proxies, "https://x/"), "the proxy http://a:2 (from ALL_PROXY)");
        assert_eq!(way(&env(&[]), "http://x/"), "Unset");
    }

    #[test]
    fn an_unreadable_value_is_not_passed_over_and_a_blank_one_is() {
        let proxies = env(&[("HTTP_PROXY", "ftp://h:1"), ("HTTPS_PROXY", " "), ("all_proxy", "http://a:2")]);
        assert_eq!(
            way(&proxies, "http://x/"),
            "HTTP_PROXY does not name a proxy that can be used: its scheme is ftp, none of http, https, \
             socks5h, socks5, socks4a and socks4"
        );
        assert_eq!(way(&proxies, "http://localhost/"), r#"Local { variable: "HTTP_PROXY" }"#);
        assert_eq!(way(&proxies, "https://x/"), "the proxy http://a:2 (from all_proxy)");
    }

    #[test]
    fn no_proxy_excepts_hosts() {
        let proxies = env(&[("HTTP_PROXY", "http://h:1"), ("NO_PROXY", "inner.example, 10.0.0.0/8")]);
        assert_eq!(
            way(&proxies, "http://a.inner.example/"),
            r#"Excepted { variable: "HTTP_PROXY", by: "NO_PROXY", entry: "inner.example" }"#
        );
        assert!(way(&proxies, "http://10.1.2.3/").starts_with("Excepted"));
        assert!(way(&proxies, "http://outer.example/").starts_with("the proxy"));
    }

    #[test]
    fn an_entry_that_was_meant_to_match_is_found_only_where_a_proxy_is_used() {
        let set = ("NO_PROXY", "llm.example:8000");
        let uri = Uri::from_static("http://llm.example:8000/");
        assert_eq!(env(&[("HTTP_PROXY", "h:1"), set]).near_miss(&uri).unwrap().correction(), "llm.example");
        assert_eq!(env(&[set]).near_miss(&uri), None);
    }

    #[test]
    fn this_machine_is_never_reached_through_the_environments_proxy() {
        let proxies = env(&[("ALL_PROXY", "http://h:1")]);
        for uri in
            ["http://localhost:8000/", "https://127.0.0.1/", "http://[::1]/", "http://169.254.169.254/"]
        {
            assert_eq!(way(&proxies, uri), r#"Local { variable: "ALL_PROXY" }"#, "{uri}");
        }
    }

    #[test]
    fn a_proxy_set_in_code_is_for_this_machine_too() {
        let proxies = Proxies::all("http://me:secret@h:1").unwrap();
        assert_eq!(way(&proxies, "http://localhost:8000/"), "the proxy http://h:1");
    }

    #[test]
    fn in_a_cgi_program_http_proxy_does_not_count() {
        let proxies = env(&[("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(way(&proxies, "http://x/"), "Unset");
    }

    #[test]
    fn credentials_are_sensitive_and_never_shown() {
        let proxies = env(&[("HTTP_PROXY", "http://me:s3cret@h:1")]);
        let ProxyRoute::Through(proxy) = proxies.for_uri(&Uri::from_static("http://x/")) else { panic!() };
        let value = proxy.authorization().unwrap();
        assert_eq!(value, "Basic bWU6czNjcmV0");
        assert!(value.is_sensitive() && proxy.has_credentials());
        assert!(!format!("{proxy:?}{proxies:?}").contains("s3cret"));
    }
}
