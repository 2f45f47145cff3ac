//! Which proxy of the environment stands between? The transport's rules, applied where it can be told.
//!
//! The transport that is used here is then built with just that proxy, or none: what is said is what is done.

use crate::environment::Variables;
use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use std::net::IpAddr;

/// What the environment says of the way to this URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// No variable names a proxy.
    NoneSet,
    /// This variable names one, which is not for this machine itself.
    NotForLocal(&'static str),
    /// This variable names one, and `NO_PROXY` excepts the host.
    Excepted(&'static str),
    /// This variable names one for the URL.
    Through { variable: &'static str, url: String, shown: String, host: String },
    /// This variable names a SOCKS proxy, which the transport does not support.
    Socks { variable: &'static str, shown: String },
}

pub(crate) fn find(variables: &Variables, uri: &Uri) -> Way {
    let own: &[&'static str] = match uri.scheme_str() {
        Some("http") if variables.get("REQUEST_METHOD").is_some() => &["http_proxy"],
        Some("http") => &["HTTP_PROXY", "http_proxy"],
        Some("https") => &["HTTPS_PROXY", "https_proxy"],
        _ => return Way::NoneSet,
    };
    let first = |names: &[&'static str]| {
        names.iter().find_map(|&name| variables.get(name).map(|value| (name, value)))
    };
    let any = Uri::from_static("http://host.invalid/");
    let found =
        [first(own), first(&["ALL_PROXY", "all_proxy"])].into_iter().flatten().find_map(|(variable, url)| {
            Some((variable, url, Matcher::builder().all(url).build().intercept(&any)?.uri().clone()))
        });
    let Some((variable, url, proxy)) = found else { return Way::NoneSet };
    if is_local(uri) {
        return Way::NotForLocal(variable);
    }
    let no = variables.get("NO_PROXY").or_else(|| variables.get("no_proxy")).unwrap_or_default();
    if Matcher::builder().all(url).no(no).build().intercept(uri).is_none() {
        return Way::Excepted(variable);
    }
    let (scheme, host) = (proxy.scheme_str().unwrap_or("http"), proxy.host().unwrap_or_default());
    let port = proxy.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let shown = format!("{scheme}://{host}{port}");
    if !matches!(scheme, "http" | "https") {
        return Way::Socks { variable, shown };
    }
    Way::Through { variable, url: url.to_owned(), shown, host: host.to_owned() }
}

/// This machine or its own network segment: what an environment's proxy cannot be meant for.
fn is_local(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match host.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(ip) if ip.is_loopback() || ip.is_unspecified() => true,
        Ok(IpAddr::V4(ip)) => ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_unicast_link_local(),
        Err(_) => is_localhost(host),
    }
}

/// `localhost` and what is below it.
pub(crate) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(pairs: &[(&str, &str)], uri: &str) -> Way {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        find(&Variables::new(pairs), &uri.parse().unwrap())
    }

    #[test]
    fn the_schemes_own_variable_goes_before_all_proxy() {
        let set = [("https_proxy", "http://me:pw@h:1"), ("ALL_PROXY", "a:2")];
        let through = |variable, url: &str, shown: &str, host: &str| Way::Through {
            variable,
            url: url.into(),
            shown: shown.into(),
            host: host.into(),
        };
        assert_eq!(way(&set, "https://x/"), through("https_proxy", "http://me:pw@h:1", "http://h:1", "h"));
        assert_eq!(way(&set, "http://x/"), through("ALL_PROXY", "a:2", "http://a:2", "a"));
    }

    #[test]
    fn this_machine_is_reached_straight() {
        let set = [("HTTP_PROXY", "http://h:1")];
        for uri in ["http://127.0.0.1:8000/", "http://localhost/", "http://[::1]/", "http://169.254.1.1/"] {
            assert_eq!(way(&set, uri), Way::NotForLocal("HTTP_PROXY"), "{uri}");
        }
        assert_eq!(way(&[], "http://127.0.0.1/"), Way::NoneSet);
    }

    #[test]
    fn no_proxy_excepts_hosts() {
        let set = [("HTTP_PROXY", "http://h:1"), ("no_proxy", "inner.example")];
        assert_eq!(way(&set, "http://a.inner.example/"), Way::Excepted("HTTP_PROXY"));
    }

    #[test]
    fn socks_is_named() {
        let set = [("ALL_PROXY", "socks5://h:1080")];
        assert_eq!(
            way(&set, "http://x/"),
            Way::Socks { variable: "ALL_PROXY", shown: "socks5://h:1080".into() }
        );
    }

    #[test]
    fn in_a_cgi_program_http_proxy_does_not_count() {
        let set = [("HTTP_PROXY", "http://evil:1"), ("REQUEST_METHOD", "GET")];
        assert_eq!(way(&set, "http://x/"), Way::NoneSet);
    }
}
