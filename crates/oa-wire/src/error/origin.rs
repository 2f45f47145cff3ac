//! The origin of an answer, as far as its headers tell.

use serde::Serialize;

/// Who gave an answer, and what it asks for: a gateway or proxy on the way often answers in the server's
/// place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Origin {
    /// Who answered, from `Server`, `Via` and the headers that gateways add: `nginx/1.24.0`, `Cloudflare`,
    /// `squid/5.7 (ERR_ACCESS_DENIED)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What `WWW-Authenticate` or `Proxy-Authenticate` asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub challenges: Vec<Challenge>,
    /// The forward proxy that the request went through, with the variable that names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Where a redirect leads, without its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// One challenge of a `WWW-Authenticate` header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Challenge {
    /// `Basic`, `Bearer`, `Negotiate`, ...
    pub scheme: String,
    /// What is protected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The header that the credentials belong in, where the challenge or the scheme names one other than
    /// `Authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
}

impl Challenge {
    /// A challenge of this scheme.
    pub fn new(scheme: impl Into<String>) -> Self {
        Self { scheme: scheme.into(), realm: None, header: None }
    }

    /// True for `Bearer`, the scheme in which an API key is sent.
    pub fn is_bearer(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("bearer")
    }
}
