//! Composes the message of an error.

use super::{parse::ErrorBody, verdict::Verdict};
use crate::text::bounded;
use http::StatusCode;

/// The most characters of a message.
pub(super) const MESSAGE_LIMIT: usize = 2000;
/// The most characters of a wrapped message that is shown after it.
const UPSTREAM_LIMIT: usize = 500;

/// The server's own message, and the one that a router wraps in it.
pub(super) fn compose(body: &ErrorBody, verdict: &Verdict) -> String {
    let mut message = bounded(&body.message, MESSAGE_LIMIT);
    if message.is_empty() {
        let status = verdict.effective.and_then(|status| StatusCode::from_u16(status).ok());
        let reason = status.and_then(|status| status.canonical_reason());
        let instead = body.r#type.as_deref().or(body.code.as_deref()).or(reason);
        instead.unwrap_or("an error without a message").clone_into(&mut message);
    }
    if let Some(upstream) = &body.upstream_message {
        let upstream = bounded(upstream, UPSTREAM_LIMIT);
        if !message.contains(upstream.trim_end_matches('…')) {
            message = format!("{message} (upstream: {upstream})");
        }
    }
    message
}
