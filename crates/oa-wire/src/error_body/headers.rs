//! Headers of a response that every error keeps.

use http::HeaderMap;

/// What `x-should-retry` says.
pub(super) fn should_retry(headers: &HeaderMap) -> Option<bool> {
    let word = headers.get("x-should-retry")?.to_str().ok()?.trim();
    match word {
        _ if word.eq_ignore_ascii_case("true") => Some(true),
        _ if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The server's id of the request: its own before a gateway's, a gateway's before a network's.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    const NAMES: [&str; 5] = ["x-request-id", "request-id", "x-litellm-call-id", "apim-request-id", "cf-ray"];
    const LIMIT: usize = 200;
    // One walk over the headers, of which there are few, costs less than a look-up for each name.
    let mut found: Option<(usize, &str)> = None;
    for (name, value) in headers {
        let Some(rank) = NAMES.iter().position(|known| name.as_str() == *known) else { continue };
        let id = value.to_str().unwrap_or_default().trim();
        if !id.is_empty() && id.len() <= LIMIT && found.is_none_or(|(best, _)| rank < best) {
            found = Some((rank, id));
        }
    }
    found.map(|(_, id)| id.to_owned())
}
