//! Composes the message of an error, and its hint.

use super::{
    parse::{ErrorBody, Form},
    target::Why,
    verdict::Verdict,
};
use crate::{Category, Origin, text::bounded};
use http::StatusCode;
use std::borrow::Cow;

/// The most characters of a message.
pub(super) const MESSAGE_LIMIT: usize = 2000;
/// The most characters of a wrapped message that is shown after it.
const UPSTREAM_LIMIT: usize = 500;

/// The server's own message, the one that a router wraps in it, and who answered where that is no API's
/// error.
pub(super) fn compose(body: &ErrorBody, verdict: &Verdict, origin: &Origin) -> String {
    let mut message = bounded(&body.message, MESSAGE_LIMIT);
    if message.is_empty() {
        message = instead(body, verdict);
    }
    if let Some(upstream) = &body.upstream_message {
        let upstream = bounded(upstream, UPSTREAM_LIMIT);
        if !message.contains(upstream.trim_end_matches('…')) {
            message = format!("{message} (upstream: {upstream})");
        }
    }
    let form = match body.form {
        Form::Envelope => return message,
        Form::Page => "a page",
        Form::Empty => "an empty answer",
        Form::Json | Form::Text | Form::Binary => "answered",
    };
    if verdict.category == Category::InvalidResponse && body.form == Form::Page {
        let from = origin.server.as_ref().map(|server| format!(", from {server}")).unwrap_or_default();
        return format!("the answer is a page, `{message}`{from}, not what was asked for");
    }
    match (&origin.server, body.form) {
        (Some(server), Form::Page | Form::Empty) => format!("{message} ({form} from {server})"),
        (Some(server), _) => format!("{message} ({form} by {server})"),
        (None, Form::Page) => format!("{message} ({form})"),
        (None, _) => message,
    }
}

/// What stands for an empty message: a code or type that is a word, or else the status.
fn instead(body: &ErrorBody, verdict: &Verdict) -> String {
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let code = body.code.as_deref();
    let word = code.filter(|code| !is_number(code)).or(body.r#type.as_deref());
    if let Some(word) = word {
        return word.to_owned();
    }
    let status = verdict.effective.and_then(|status| StatusCode::from_u16(status).ok());
    let reason = status.and_then(|status| status.canonical_reason());
    match (code, reason) {
        // A code that is the status adds nothing to its phrase.
        (Some(code), Some(reason)) if status.is_some_and(|status| status.as_str() == code) => {
            reason.to_owned()
        }
        (Some(code), _) => format!("error code {code}"),
        (None, Some(reason)) => reason.to_owned(),
        (None, None) => "an error without a message".to_owned(),
    }
}

/// What a challenge other than for a bearer key asks for, to follow the message.
pub(super) fn challenge(origin: &Origin) -> Option<String> {
    let challenges = &origin.challenges;
    if challenges.is_empty() || challenges.iter().any(crate::Challenge::is_bearer) {
        return None;
    }
    let schemes: Vec<&str> = challenges.iter().take(4).map(|challenge| challenge.scheme.as_str()).collect();
    let first = &challenges[0];
    let realm = first.realm.as_ref().map(|realm| format!(" for `{realm}`")).unwrap_or_default();
    let header = match &first.header {
        Some(header) => format!(", in the header `{header}`"),
        None => String::new(),
    };
    Some(format!("; it asks for the scheme {}{realm}{header}, not for a bearer key", schemes.join(" or ")))
}

/// How to send what a refusal asks for, or who refused in the server's place.
pub(super) fn hint(
    status: StatusCode,
    form: Form,
    verdict: &Verdict,
    origin: &Origin,
) -> Option<Cow<'static, str>> {
    if verdict.category != Category::Authentication || verdict.key_rejected {
        return None;
    }
    if verdict.wrong_target == Some(Why::Login) {
        return Some(Cow::Borrowed(
            "a login page stands before the server: sign in through what guards it, or send its token as a \
             header (for Cloudflare Access: `CF-Access-Client-Id` and `CF-Access-Client-Secret`)",
        ));
    }
    let first = origin.challenges.first();
    match (first, &origin.server) {
        (Some(challenge), _) if challenge.scheme.eq_ignore_ascii_case("basic") => Some(Cow::Borrowed(
            "a reverse proxy before the server wants a user and a password of its own: send them as the \
             header `Authorization: Basic ...`, with `user:password` in base64",
        )),
        (Some(challenge), _) => challenge
            .header
            .as_ref()
            .map(|header| Cow::Owned(format!("send the key in the header `{header}`"))),
        (None, _) if verdict.wrong_target.is_some() => Some(Cow::Borrowed(
            "AWS's API gateway says this of a path or stage that it does not have, and of one that wants a \
             signed request",
        )),
        (None, _) if form == Form::Envelope => Some(Cow::Borrowed(
            "the server itself refused, and says nothing of the key: it may be good, and not be for this \
             model, region or network",
        )),
        (None, Some(server)) => {
            Some(Cow::Owned(format!("{server} refused this, not the model's server: the key may be good")))
        }
        (None, None) if status == StatusCode::FORBIDDEN => Some(Cow::Borrowed(
            "the answer says nothing of a key: a gateway, a firewall or another program may have refused",
        )),
        (None, None) => None,
    }
}
