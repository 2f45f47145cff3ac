//! Names what is wrong with the URL that was called, for an error that is about nothing else.

use super::redact::excerpt;
use http::StatusCode;

/// The URL without user-info, query and fragment: these may hold secrets.
pub(super) fn redacted_url(url: &str) -> String {
    const LIMIT: usize = 500;
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..].find('/').map_or(url.len(), |at| authority + at);
    let host = url[authority..path].rfind('@').map_or(authority, |at| authority + at + 1);
    excerpt(&format!("{}{}", &url[..authority], &url[host..]), LIMIT)
}

/// What to add to the message of a 3xx, 404 or 405 that is not about the model. `location` is where a redirect leads;
/// `wrapped`: a router passes on what its upstream said.
pub(super) fn advice(url: &str, status: StatusCode, location: Option<&str>, wrapped: bool) -> String {
    let url = redacted_url(url);
    if url.is_empty() {
        return String::new();
    }
    if status.is_redirection() {
        return match location.map(redacted_url) {
            Some(to) => format!("; {url} redirects to {to}, which is not followed: check the base URL"),
            None => format!("; {url} redirects to nowhere: check the base URL"),
        };
    }
    if wrapped {
        return format!("; called {url}: the upstream behind it says so, whose base URL may be wrong");
    }
    let is_405 = status == StatusCode::METHOD_NOT_ALLOWED;
    let method = if is_405 { "which does not take this method" } else { "likely cause" };
    format!("; called {url}, {method}: {}", cause(&url, is_405))
}

fn cause(url: &str, is_405: bool) -> String {
    let path = url.find("://").map_or(url, |at| &url[at + 3..]);
    let path = path.find('/').map_or("", |at| &path[at..]);
    let lower = path.to_ascii_lowercase();
    let versions = lower.split('/').filter(|segment| *segment == "v1").count();
    let prefix = lower.find("/v1/").map_or("", |end| path[..end].trim_end_matches('/'));
    if versions > 1 {
        "the path has `/v1` twice, so the base URL must end before it".to_owned()
    } else if !prefix.is_empty() {
        format!(
            "the prefix `{prefix}` of the base URL is wrong for this server, or a proxy does not take it off"
        )
    } else if is_405 {
        "another service answers there, or a proxy changed the method".to_owned()
    } else {
        "this is no OpenAI-compatible server, or it is behind a proxy prefix that the base URL leaves out"
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_secrets() {
        for (url, want) in [
            ("http://h:8000/v1/models", "http://h:8000/v1/models"),
            ("https://user:pa@ss@h/v1?key=secret#x", "https://h/v1"),
            ("https://h?key=a/b@c", "https://h"),
            ("/v1/chat/completions?x", "/v1/chat/completions"),
            ("http://h/a@b", "http://h/a@b"),
            ("http://h/a\u{1b}[2J", "http://h/a [2J"),
            ("", ""),
        ] {
            assert_eq!(redacted_url(url), want);
        }
    }

    #[test]
    fn the_cause_is_told_from_the_path() {
        for (url, is_405, want) in [
            ("http://h/v1/v1/chat/completions", false, "twice"),
            ("http://h/gw/V1/v1/models", true, "twice"),
            ("http://h/nope/v1/chat/completions", false, "`/nope`"),
            ("http://h/a/b/v1/models", true, "`/a/b`"),
            ("http://h//v1/chat/completions", false, "leaves out"),
            ("http://h/v1/chat/completions", false, "leaves out"),
            ("http://h", false, "leaves out"),
            ("http://h/v1/chat/completions", true, "another service"),
        ] {
            assert!(cause(url, is_405).contains(want), "{url}: {}", cause(url, is_405));
        }
    }
}
