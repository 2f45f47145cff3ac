//! Names what is wrong with the URL that was called, for an error that is about nothing else.

use crate::{Origin, text::one_line};
use http::StatusCode;

/// The URL without user-info, query and fragment: these may hold secrets.
pub(super) fn redacted_url(url: &str) -> String {
    const LIMIT: usize = 500;
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let authority = url.find("://").map_or(0, |at| at + 3);
    let path = url[authority..].find('/').map_or(url.len(), |at| authority + at);
    let host = url[authority..path].rfind('@').map_or(authority, |at| authority + at + 1);
    one_line(&format!("{}{}", &url[..authority], &url[host..]), LIMIT)
}

/// What to add to the message of a 3xx, 404 or 405 that is not about the model, or of AWS's 403.
pub(super) fn advice(url: &str, status: StatusCode, origin: &Origin, why: Why) -> String {
    let url = redacted_url(url);
    if url.is_empty() {
        return String::new();
    }
    if status.is_redirection() {
        return match (&origin.location, why) {
            (Some(to), Why::Login) => {
                format!("; {url} redirects to {to}, which looks like a login page and is not followed")
            }
            (Some(to), _) => format!("; {url} redirects to {to}, which is not followed: check the base URL"),
            (None, _) => format!("; {url} redirects to nowhere: check the base URL"),
        };
    }
    match why {
        Why::Upstream => {
            return format!("; called {url}: the upstream behind it says so, whose base URL may be wrong");
        }
        Why::Gateway => {
            return format!(
                "; called {url}: a gateway such as Traefik or an ingress answers so while it has no route to \
                 a server, or the server behind it is not up yet; or the path of the base URL is wrong"
            );
        }
        Why::Login | Why::Path => {}
    }
    let is_405 = status == StatusCode::METHOD_NOT_ALLOWED;
    let method = match status {
        StatusCode::METHOD_NOT_ALLOWED => "which does not take this method",
        StatusCode::FORBIDDEN => "whose path or stage may not exist",
        _ => "likely cause",
    };
    format!("; called {url}, {method}: {}", cause(&url, is_405))
}

/// What is known of why the URL is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A router passes on the error of its upstream.
    Upstream,
    /// A gateway answered that has no server for the request.
    Gateway,
    /// The redirect leads to a login.
    Login,
    /// Nothing but the path.
    Path,
}

/// True for a redirect to a login: to a path, a host or a query that speaks of one, or to another host and
/// another path.
pub(super) fn is_login(url: &str, location: &str) -> bool {
    const WORDS: [&str; 15] = [
        "login",
        "signin",
        "sso",
        "saml",
        "saml2",
        "oauth",
        "oauth2",
        "openid-connect",
        "authorize",
        "authn",
        "auth",
        "access",
        "idp",
        "cas",
        "logon",
    ];
    const QUERIES: [&str; 8] = [
        "redirect_uri=",
        "redirect_url=",
        "return_to=",
        "returnurl=",
        "samlrequest=",
        "client_id=",
        "continue=",
        "rd=",
    ];
    let lower = location.to_ascii_lowercase();
    let (address, query) = lower.split_once('?').unwrap_or((&lower, ""));
    let (host, path) = match address.split_once("://") {
        Some((_, rest)) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", address),
    };
    let segments =
        path.split('/').map(|segment| segment.replace(['_', '.'], "-").replace("sign-in", "signin"));
    let is_word = |word: &str| WORDS.contains(&word);
    let says_so =
        segments.into_iter().any(|segment| {
            is_word(&segment)
                || is_word(&segment.replace('-', ""))
                || segment.split('-').any(|word| word == "login")
        }) || host.split(['.', '-']).any(|label| is_word(label) || label == "accounts" || label == "okta")
            || query.split('&').any(|pair| QUERIES.iter().any(|name| pair.starts_with(name)));
    let own = url.find("://").map_or(url, |at| &url[at + 3..]).to_ascii_lowercase();
    let (own_host, own_path) = own.split_at(own.find('/').unwrap_or(own.len()));
    let own_path = own_path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let same_path = own_path.is_empty() || path.trim_end_matches('/').ends_with(own_path);
    let bare = |host: &str| host.split(':').next().unwrap_or_default().trim_start_matches("www.").to_owned();
    let other_host = !host.is_empty() && bare(host) != bare(own_host);
    !same_path && (says_so || other_host)
}

fn cause(url: &str, is_405: bool) -> String {
    let path = url.find("://").map_or(url, |at| &url[at + 3..]);
    let path = path.find('/').map_or("", |at| &path[at..]);
    let lower = path.to_ascii_lowercase();
    let versions = lower.split('/').filter(|segment| *segment == "v1").count();
    let prefix = lower.find("/v1/").map_or("", |end| path[..end].trim_end_matches('/'));
    let is_list = lower.ends_with("/v1/models") && versions == 1;
    if is_list && prefix.is_empty() {
        "the server has no list of models (then only the chat probe can tell whether it is ready), another \
         service answers there, or the base URL leaves out the prefix of a gateway"
            .to_owned()
    } else if is_list {
        format!(
            "the server has no list of models (then only the chat probe can tell whether it is ready), or \
             the prefix `{prefix}` of the base URL is wrong for it"
        )
    } else if versions > 1 {
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
    fn a_redirect_to_a_login_is_told_from_one_to_another_address() {
        let url = "http://llm.corp:8000/v1/chat/completions";
        for (location, login) in [
            (
                "https://team.cloudflareaccess.com/cdn-cgi/access/login/llm.corp?kid=a&redirect_url=%2Fv1",
                true,
            ),
            ("https://login.microsoftonline.com/t/oauth2/v2.0/authorize?client_id=a", true),
            ("https://accounts.google.com/o/oauth2/v2/auth?client_id=a", true),
            ("/login", true),
            ("/oauth2/start?rd=%2Fv1%2Fchat%2Fcompletions", true),
            ("/users/sign_in", true),
            ("/oauth2/sign_in", true),
            ("https://idp.corp/realms/x/protocol/openid-connect/auth?client_id=a", true),
            ("https://sso.corp/?x", true),
            ("http://portal.corp/", true),
            ("https://llm.corp/v1/chat/completions", false),
            ("https://other.corp/v1/chat/completions", false),
            ("https://other.corp/prefix/v1/chat/completions/", false),
            ("/v1/chat/completions/", false),
            ("https://www.llm.corp/", false),
            ("/accessories", false),
            ("/", false),
            ("", false),
        ] {
            assert_eq!(is_login(url, location), login, "{location}");
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
