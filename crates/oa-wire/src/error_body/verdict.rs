//! Decides the category of an error.

use super::{
    parse::{ErrorBody, Form},
    phrases::ErrorText,
    target::Why,
};
use crate::{Category, Challenge, ErrorKind, Origin};
use http::StatusCode;

/// Where an error body was found, which decides what it is when it names nothing itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ErrorContext {
    /// The whole body of a response whose status says that it failed.
    Http,
    /// The whole body of a success. Without a code or type that says more it is
    /// [`InvalidResponse`](Category::InvalidResponse).
    SuccessBody,
    /// Inside the event stream of a success. Where its content says no more it is
    /// [`Unavailable`](Category::Unavailable).
    Stream,
}

pub(super) struct Verdict {
    pub(super) category: Category,
    pub(super) quota_spent: bool,
    /// The status that the category was taken from, if there was one.
    pub(super) effective: Option<u16>,
    /// What is wrong with the URL, where the error is about it and not about what was asked.
    pub(super) wrong_target: Option<Why>,
    /// The answer is about the key.
    pub(super) key_rejected: bool,
    context: ErrorContext,
}

impl Verdict {
    /// True for a response whose own status is 429, so that its headers are about the limit that was hit.
    pub(super) fn is_http_rate_limit(&self) -> bool {
        self.context == ErrorContext::Http && self.effective == Some(429)
    }
}

/// Decides what an error is. `origin` is who answered, and `is_login` says that a redirect leads to a login.
pub(super) fn decide(
    context: ErrorContext,
    status: StatusCode,
    body: &ErrorBody,
    text: &ErrorText,
    origin: &Origin,
    is_login: bool,
) -> Verdict {
    let in_success = context != ErrorContext::Http || status.is_success();
    let effective = if in_success { body.status().or_else(|| text.status()) } else { Some(status.as_u16()) };
    let named = effective.is_some() || context == ErrorContext::Stream;
    let quota_spent = named && text.quota_spent(effective);
    let is_login = is_login && status.is_redirection();
    let category = match effective {
        _ if quota_spent => Category::RateLimit,
        _ if !named => Category::InvalidResponse,
        _ if is_login => Category::Authentication,
        Some(status) => by_status(status, text),
        None => by_phrases(text),
    };
    // A page in the place of an answer: it is the URL's.
    let is_page = context == ErrorContext::SuccessBody && body.form == Form::Page;
    let is_about_target = !in_success
        && match status.as_u16() {
            404 | 405 => category == Category::InvalidRequest,
            403 => text.is_unknown_path_of_aws(),
            _ => status.is_redirection(),
        };
    let wrong_target = (is_page || is_about_target).then_some(match () {
        () if is_login => Why::Login,
        () if body.upstream_message.is_some() => Why::Upstream,
        () if text.is_gateway_without_route() => Why::Gateway,
        () => Why::Path,
    });
    let key_rejected = category == Category::Authentication
        && wrong_target.is_none()
        && is_about_key(effective, body, text, origin);
    Verdict { category, quota_spent, effective, wrong_target, key_rejected, context }
}

/// Whether a refusal is about the key: the body or the challenge says so. A gateway's own page, or a
/// challenge for a password, is about something else.
fn is_about_key(effective: Option<u16>, body: &ErrorBody, text: &ErrorText, origin: &Origin) -> bool {
    let challenges = &origin.challenges;
    if !challenges.is_empty() && !challenges.iter().any(Challenge::is_bearer) {
        return false;
    }
    match body.form {
        Form::Page | Form::Binary => false,
        _ if !challenges.is_empty() || text.is_about_credentials() => true,
        Form::Envelope => !matches!(effective, Some(402 | 403)),
        Form::Empty | Form::Text | Form::Json => effective != Some(403) && origin.server.is_none(),
    }
}

/// The category of this status, corrected by what the body says where the status is known to lie.
fn by_status(status: u16, text: &ErrorText) -> Category {
    match status {
        401 | 403 => Category::Authentication,
        402 if text.is_about_account() => Category::Authentication,
        429 => Category::RateLimit,
        400..=599 if text.unsupported_medium() => Category::UnsupportedContentBlock,
        503 if text.maybe_loading() => Category::ModelNotLoaded,
        404 if text.maybe_unknown_model() => Category::InvalidModel,
        400 | 404 | 422 if text.unknown_model() => Category::InvalidModel,
        400..=599 if text.loading() => Category::ModelNotLoaded,
        500 if text.is_client_error() => Category::InvalidRequest,
        500..=599 if text.is_validation_of_request() => Category::InvalidRequest,
        408 | 409 | 425 | 500..=599 => Category::Unavailable,
        400 if text.is_auth_failure() => Category::Authentication,
        300..=499 => Category::InvalidRequest,
        _ => Category::InvalidResponse,
    }
}

/// The category of an error that has no status at all: one in a stream, with no code or type that names one.
fn by_phrases(text: &ErrorText) -> Category {
    if text.unsupported_medium() {
        Category::UnsupportedContentBlock
    } else if text.unknown_model() {
        Category::InvalidModel
    } else if text.loading() {
        Category::ModelNotLoaded
    } else if text.is_client_error() || text.is_validation_of_request() || text.is(ErrorKind::ContextOverflow)
    {
        Category::InvalidRequest
    } else {
        Category::Unavailable
    }
}
