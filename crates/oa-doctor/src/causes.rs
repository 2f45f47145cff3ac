//! The likely causes of what a transport or a gateway reports, by kind, status and words.

use oa_transport::{Stage, TransportError, TransportErrorKind};
use oa_wire::Error;

/// Why an exchange broke after the connection was made.
pub(crate) fn of_exchange(error: &TransportError) -> &'static str {
    use TransportErrorKind as Kind;
    match error.kind() {
        Kind::NotHttp => "something else than an HTTP server listens on this port",
        Kind::InvalidHttp if error.stage() == Stage::Body => {
            "the server, or a gateway before it, breaks the framing of HTTP in its answer"
        }
        Kind::InvalidHttp => "the server, or a gateway before it, breaks the rules of HTTP in its answer",
        Kind::Http2 => "the port speaks HTTP/2 alone, and HTTP/1.1 is spoken here",
        Kind::HeadTooLarge => "an answer has more header fields than are taken here",
        Kind::TooLarge => "an answer is longer than is taken here",
        Kind::CutOff => {
            "the connection was closed before the answer was whole: the server ended, or a gateway's time \
             limit cut it off"
        }
        Kind::Reset | Kind::ClosedBeforeResponse => {
            "the server ended just now, something else than an HTTP server listens here, or a forwarded port \
             leads nowhere"
        }
        Kind::TimedOut => "the server hangs, or its name, its port or a firewall keeps the answer away",
        _ => "the server, or something on the way, broke the connection",
    }
}

/// Whether a gateway answered because it got no answer itself: its page, an empty answer or its words, and no
/// API's error.
pub(crate) fn is_of_a_gateway(error: &Error) -> bool {
    const WORDS: [&str; 12] = [
        "upstream",
        "backend",
        "bad gateway",
        "gateway time",
        "origin ",
        "tunnel",
        "endpoint",
        "no available server",
        "no healthy",
        "error code: 5",
        "error code: 10",
        "err_ngrok",
    ];
    // Cloudflare has statuses of its own.
    let is_status = matches!(error.status(), Some(502..=504 | 520..=530));
    let is_page = error.body().is_none_or(|body| body.trim_ascii_start().starts_with(b"<"));
    let message = error.message().to_ascii_lowercase();
    is_status && is_of_no_api(error) && (is_page || WORDS.iter().any(|word| message.contains(word)))
}

/// Whether the answer is none of an API, as far as it tells.
pub(crate) fn is_of_no_api(error: &Error) -> bool {
    error.server().code.is_none() && error.server().r#type.is_none()
}

/// What a gateway says by a status or words of its own, in the place of the server.
pub(crate) fn of_status(error: &Error) -> Option<&'static str> {
    let message = error.message().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    Some(match error.status()? {
        413 => {
            "the server, or a gateway before it, takes no body of this size (in nginx: client_max_body_size)"
        }
        431 | 494 => "the server, or a gateway before it, takes no headers of this size: a key or a --header",
        400 if says(&["header or cookie too large", "header fields too large"]) => {
            "the server, or a gateway before it, takes no headers of this size: a key or a --header"
        }
        495 | 496 => CLIENT_CERTIFICATE,
        400 if says(&["ssl certificate"]) => CLIENT_CERTIFICATE,
        421 => "what answers serves no host of the URL's name: another name belongs into the URL",
        400 | 403 if says(&["invalid host", "disallowedhost", "host not allowed", "host header"]) => {
            "the server takes requests only for names that it was told: use one of them in the URL, or allow \
             the URL's name there"
        }
        426 | 505 => "what answers wants another version of HTTP than 1.1, or WebSocket",
        _ => return None,
    })
}

const CLIENT_CERTIFICATE: &str = "what answers wants a client certificate, for which the command has no flag";

#[cfg(test)]
mod tests {
    use super::*;
    use oa_wire::Category;

    fn error(status: u16, message: &str, body: &str) -> Error {
        Error::new(Category::Unavailable, message.to_owned()).with_status(status).with_body(body.as_bytes())
    }

    #[test]
    fn a_gateway_is_told_from_the_server_by_its_page_or_its_words() {
        for (status, message, body, is) in [
            (502, "502 Bad Gateway", "<html>", true),
            (503, "no healthy upstream", "no healthy upstream", true),
            (530, "error code: 1033", "error code: 1033", true),
            (503, "default backend - 404", "default backend - 404", true),
            (503, "the queue is full", "the queue is full", false),
            (500, "upstream", "upstream", false),
        ] {
            assert_eq!(is_of_a_gateway(&error(status, message, body)), is, "{status} {message}");
        }
    }

    #[test]
    fn a_status_of_gateways_has_its_cause() {
        for (status, message, want) in [
            (413, "x", Some("no body of this size")),
            (400, "400 Request Header Or Cookie Too Large", Some("no headers of this size")),
            (400, "400 No required SSL certificate was sent", Some("client certificate")),
            (400, "Invalid host header", Some("names that it was told")),
            (426, "x", Some("another version of HTTP")),
            (400, "temperature is too high", None),
        ] {
            let found = of_status(&error(status, message, "x"));
            assert_eq!(found.is_some(), want.is_some(), "{message}");
            assert!(want.is_none_or(|want| found.unwrap().contains(want)), "{message}: {found:?}");
        }
    }
}
