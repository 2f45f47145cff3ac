//! The endpoint of a server of Anthropic Messages: its base URL, key and headers.

use crate::{
    ApiKey, Error,
    server::{Route, Server},
};
use http::{HeaderName, HeaderValue, Uri, header};
use std::fmt;

/// The root of a server, checked, with the key and headers of its requests. Cloning costs a reference count.
///
/// The mapping appends `/v1/messages` and `/v1/models` itself. The key is sent as `x-api-key`, which
/// Anthropic takes, and as `Authorization: Bearer`, which is the only one that vLLM and SGLang take.
/// [`with_header`](Self::with_header) replaces either, and `anthropic-version`, which is `2023-06-01`.
///
/// ```
/// use oa_wire::{ApiKey, anthropic::Endpoint};
///
/// let endpoint = Endpoint::new("https://gw.example/api/", Some(ApiKey::new("sk-1")?))?;
/// assert_eq!(endpoint.chat_uri(), "https://gw.example/api/v1/messages");
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone)]
pub struct Endpoint(Server);

impl Endpoint {
    /// An endpoint at this base URL: `http`, `https`, or `unix:///path/of/the/socket`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) for a base URL that cannot be used, one that ends
    /// in `/v1` among them. The message quotes the value and, where there is one, the correction.
    pub fn new(base_url: &str, api_key: Option<ApiKey>) -> Result<Self, Error> {
        const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
        const VERSION: (HeaderName, HeaderValue) =
            (HeaderName::from_static("anthropic-version"), HeaderValue::from_static("2023-06-01"));
        let key = api_key.map(|key| [(API_KEY, key.plain()), (header::AUTHORIZATION, key.bearer())]);
        let headers = key.into_iter().flatten().chain([VERSION]);
        Ok(Self(Server::new(base_url, "/v1/messages", headers)?))
    }

    /// Adds a header to every request; one of the same name is replaced. Mark the value sensitive
    /// ([`HeaderValue::set_sensitive`]) where it is a secret: then it is redacted wherever a server echoes
    /// it.
    #[must_use]
    pub fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        Self(self.0.with_header(name, value))
    }

    /// The base URL, without trailing slashes.
    pub fn base_url(&self) -> &str {
        self.0.base_url()
    }

    /// The URI of messages.
    pub fn chat_uri(&self) -> &Uri {
        self.0.uri(Route::Chat)
    }

    /// The URI of the list of models.
    pub fn models_uri(&self) -> &Uri {
        self.0.uri(Route::Models)
    }

    pub(super) fn server(&self) -> &Server {
        &self.0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_sent_under_both_names_and_never_shown() {
        let endpoint = Endpoint::new("http://h", Some(ApiKey::new("sk-canary").unwrap())).unwrap();
        let request = endpoint.server().chat_request(bytes::Bytes::new(), false);
        assert_eq!(request.headers()["x-api-key"], "sk-canary");
        assert_eq!(request.headers()[header::AUTHORIZATION], "Bearer sk-canary");
        assert!(!format!("{endpoint:?} {request:?}").contains("canary"));
        let echo = endpoint.server().redact(Error::invalid_response("bad key sk-canary"));
        assert_eq!(echo.message(), "bad key ***");
        let keyless = Endpoint::new("http://h", None).unwrap().server().models_request();
        assert!(!keyless.headers().contains_key("x-api-key"));
        assert!(!keyless.headers().contains_key(header::AUTHORIZATION));
    }
}
