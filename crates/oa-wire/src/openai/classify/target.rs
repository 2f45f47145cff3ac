//! What is wrong with the URL that was called, for an error that is about nothing else.

use super::{Received, sound};
use http::header::LOCATION;

/// The URL without user-info, query and fragment: these may hold secrets.
pub(super) fn shown(url: &str) -> String {
    const LIMIT: usize = 500;
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..].find('/').map_or(url.len(), |at| authority + at);
    let host = url[authority..path].rfind('@').map_or(authority, |at| authority + at + 1);
    sound::bounded(&sound::flat(&sound::clean(&format!("{}{}", &url[..authority], &url[host..]))), LIMIT)
}

/// What to add to the message of a 3xx, 404 or 405 that is not about the model. `wrapped`: a router passes on what
/// its upstream said.
pub(super) fn advice(received: &Received<'_>, wrapped: bool) -> String {
    let url = shown(received.url);
    if received.status.is_redirection() {
        let location = received.headers.get(LOCATION).map(|to| shown(&String::from_utf8_lossy(to.as_bytes())));
        return match location {
            Some(to) => format!("; {url} redirects to {to}, which is not followed: check the base URL"),
            None => format!("; {url} redirects to nowhere: check the base URL"),
        };
    }
    if wrapped {
        return format!("; called {url}: the upstream behind it says so, whose base URL may be wrong");
    }
    let method = if received.status.as_u16() == 405 { "which does not take this method" } else { "likely cause" };
    format!("; called {url}, {method}: {}", cause(&url))
}

fn cause(url: &str) -> String {
    let path = url.find("://").map_or(url, |at| &url[at + 3..]);
    let path = path.find('/').map_or("", |at| &path[at..]);
    let lower = path.to_ascii_lowercase();
    let versions = lower.split('/').filter(|segment| *segment == "v1").count();
    match lower.find("/v1/") {
        _ if versions > 1 => "the path has `/v1` twice, so the base URL must end before it".to_owned(),
        Some(0) | None => "this is no OpenAI-compatible server, or it is behind a proxy prefix that the base URL \
                           leaves out"
            .to_owned(),
        Some(prefix) => format!(
            "the prefix `{}` of the base URL is wrong for this server, or a proxy does not take it off",
            &path[..prefix]
        ),
    }
}
