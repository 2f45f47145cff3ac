//! The hosts that are reached without a proxy, as `NO_PROXY` lists them, and the entries of it that somebody
//! meant for a host and that do not match it.

use std::fmt;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;

/// The entries of `NO_PROXY`.
pub(super) struct NoProxy {
    variable: &'static str,
    entries: Vec<String>,
}

/// An entry of `NO_PROXY` that does not match a host that it seems to be meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    variable: &'static str,
    entry: String,
    problem: &'static str,
    correction: String,
}

impl NoProxy {
    pub(super) fn new(variable: &'static str, value: &str) -> Self {
        let entries = value.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Self { variable, entries: entries.map(str::to_owned).collect() }
    }

    pub(super) fn variable(&self) -> &'static str {
        self.variable
    }

    /// The entry that matches the URI's host: the host itself or a domain above it, an address, a network in
    /// CIDR form, or `*`.
    pub(super) fn entry_for(&self, uri: &Uri) -> Option<&str> {
        self.entries.iter().map(String::as_str).find(|entry| matches(entry, uri))
    }

    /// The first entry that would match if it were written otherwise.
    pub(super) fn near_miss(&self, uri: &Uri) -> Option<NearMiss> {
        let host = uri.host()?;
        self.entries.iter().find_map(|entry| {
            let (problem, correction) = corrected(entry, host, uri)?;
            Some(NearMiss { variable: self.variable, entry: entry.clone(), problem, correction })
        })
    }
}

fn matches(entry: &str, uri: &Uri) -> bool {
    Matcher::builder().all("http://a.invalid").no(entry).build().intercept(uri).is_none()
}

/// What is wrong with an entry, and what matches in its place.
fn corrected(entry: &str, host: &str, uri: &Uri) -> Option<(&'static str, String)> {
    let quotes = ['"', '\'', '`', '\u{201c}', '\u{201d}'];
    let bare = entry.trim_matches(quotes);
    if bare != entry && matches(bare, uri) {
        return Some(("it is in quotes", bare.to_owned()));
    }
    let parts: Vec<_> = entry.split(|c: char| c == ';' || c == '|' || c.is_whitespace()).collect();
    if parts.len() > 1 && parts.iter().any(|part| matches(part, uri)) {
        return Some(("entries are separated by commas", parts.join(",")));
    }
    let without_scheme = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let without_path = without_scheme.split('/').next().unwrap_or_default();
    // An address with a prefix length has a slash too, and no scheme.
    if without_scheme != entry || without_path.parse::<std::net::IpAddr>().is_err() {
        let name = without_port(without_path);
        if name != entry && matches(name, uri) {
            let is_url = without_scheme != entry || without_path != without_scheme;
            let problem = if is_url { "a URL is not understood" } else { "a port is not understood" };
            return Some((problem, name.to_owned()));
        }
    }
    if let Some(domain) = entry.strip_prefix('*').filter(|domain| domain.starts_with('.') && domain.len() > 1)
    {
        if matches(domain, uri) {
            return Some(("a * is understood only alone", domain.to_owned()));
        }
    }
    let prefix = entry.trim_end_matches(['*', '.']);
    let octets = prefix.split('.').count();
    let is_prefix = (1..4).contains(&octets)
        && prefix.split('.').all(|octet| octet.parse::<u8>().is_ok())
        && host.parse::<std::net::Ipv4Addr>().is_ok()
        && host.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'));
    if is_prefix {
        let network = format!("{prefix}{}/{}", ".0".repeat(4 - octets), octets * 8);
        return Some(("a network is written with its prefix length", network));
    }
    let host = host.strip_suffix('.')?;
    entry
        .eq_ignore_ascii_case(host)
        .then(|| ("the URL's host has a dot at its end, which the entry has not", format!("{host}.")))
}

/// A host without its port and brackets.
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or_default(),
        None => host,
    }
}

impl NearMiss {
    /// `NO_PROXY` or `no_proxy`.
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// The entry as it stands.
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// Why it does not match, as in `a port is not understood`.
    pub fn problem(&self) -> &'static str {
        self.problem
    }

    /// What would match in its place.
    pub fn correction(&self) -> &str {
        &self.correction
    }
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, entry, problem, correction } = self;
        write!(f, "{variable} has the entry {entry}, which does not match: {problem}; write {correction}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(entry: &str, uri: &str) -> Option<(&'static str, String)> {
        let no = NoProxy::new("NO_PROXY", entry);
        let uri = uri.parse().unwrap();
        assert!(no.entry_for(&uri).is_none(), "{entry} matches {uri}");
        no.near_miss(&uri).map(|miss| (miss.problem, miss.correction))
    }

    #[test]
    fn entries_that_match() {
        for (entry, uri) in [
            ("a.example", "http://a.example:8000/"),
            ("example", "http://a.example/"),
            (".example", "http://a.example/"),
            ("10.0.0.0/8", "http://10.1.2.3/"),
            ("x, *", "http://any/"),
        ] {
            assert!(NoProxy::new("NO_PROXY", entry).entry_for(&uri.parse().unwrap()).is_some(), "{entry}");
        }
    }

    #[test]
    fn entries_that_were_meant_to_match() {
        for (entry, uri, correction) in [
            ("http://a.example", "http://a.example/", "a.example"),
            ("https://a.example:8443/v1", "https://a.example:8443/", "a.example"),
            ("a.example:8000", "http://a.example:8000/", "a.example"),
            ("10.0.0.7:8000", "http://10.0.0.7:8000/", "10.0.0.7"),
            ("*.example", "http://a.example/", ".example"),
            ("b.example;a.example", "http://a.example/", "b.example,a.example"),
            ("b.example a.example", "http://a.example/", "b.example,a.example"),
            ("\"a.example\"", "http://a.example/", "a.example"),
            ("10.0.*", "http://10.0.0.7/", "10.0.0.0/16"),
            ("10.", "http://10.0.0.7/", "10.0.0.0/8"),
            ("a.example", "http://a.example./", "a.example."),
        ] {
            assert_eq!(near(entry, uri).map(|(_, correction)| correction).as_deref(), Some(correction));
        }
    }

    #[test]
    fn entries_for_other_hosts() {
        for (entry, uri) in [
            ("b.example", "http://a.example/"),
            ("*.other", "http://a.example/"),
            ("192.168.", "http://10.0.0.7/"),
            ("192.168.0.0/16", "http://10.0.0.7/"),
            ("1", "http://10.0.0.7/"),
            ("", "http://a.example/"),
        ] {
            assert_eq!(near(entry, uri), None, "{entry}");
        }
    }

    #[test]
    fn what_is_said_holds_the_entry_and_its_correction() {
        let miss = NoProxy::new("no_proxy", "a.example:8000").near_miss(&"http://a.example".parse().unwrap());
        assert_eq!(
            miss.unwrap().to_string(),
            "no_proxy has the entry a.example:8000, which does not match: a port is not understood; write \
             a.example"
        );
    }
}
