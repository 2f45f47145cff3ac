//! The endpoint of an OpenAI-compatible server: its base URL, key and headers.

use crate::{
    ApiKey, Error,
    server::{Route, Server},
};
use http::{HeaderName, HeaderValue, Uri, header};
use std::fmt;

/// The root of a server, checked, with the key and headers of its requests. Cloning costs a reference count.
///
/// The mapping appends `/v1/chat/completions` and `/v1/models` itself, so a base URL that ends in `/v1` is
/// refused: `/v1/v1/...` would be answered by 404 or, worse, half work.
///
/// ```
/// use oa_wire::{ApiKey, openai::Endpoint};
///
/// let endpoint = Endpoint::new("https://gw.example/api/openai-proxy/", Some(ApiKey::new("sk-1")?))?;
/// assert_eq!(endpoint.chat_uri(), "https://gw.example/api/openai-proxy/v1/chat/completions");
///
/// let error = Endpoint::new("http://localhost:8000/v1", None).unwrap_err();
/// assert!(error.message().contains("use `http://localhost:8000`"));
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone)]
pub struct Endpoint(Server);

impl Endpoint {
    /// An endpoint at this base URL: `http`, `https`, or `unix:///path/of/the/socket`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) for a last path segment `v1` in any case, no
    /// scheme or another one, no host, user-info, a query, a fragment, or text that is no URL. The message
    /// quotes the value and, where there is one, the correction.
    pub fn new(base_url: &str, api_key: Option<ApiKey>) -> Result<Self, Error> {
        let auth = api_key.map(|key| (header::AUTHORIZATION, key.bearer()));
        Ok(Self(Server::new(base_url, "/v1/chat/completions", auth)?))
    }

    /// An endpoint whose completions are at this whole URL, for servers whose path is not `/v1/...`: Azure's
    /// deployments with their `api-version`, `/api/v3`, `/v1beta/openai`. Where no URL of the list of models
    /// is given, it is the same with `/models` in place of `/chat/completions`.
    ///
    /// As text, such as the base URL of a provider or the variable `OA_BASE_URL`, the same is `exact:URL`.
    ///
    /// ```
    /// use oa_wire::openai::Endpoint;
    ///
    /// let url = "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions";
    /// let endpoint = Endpoint::exact(url, None, None)?;
    /// assert_eq!(endpoint.chat_uri(), url);
    /// assert_eq!(endpoint.models_uri(), "https://generativelanguage.googleapis.com/v1beta/openai/models");
    /// assert_eq!(Endpoint::new(&format!("exact:{url}"), None)?.chat_uri(), url);
    /// # Ok::<(), oa_wire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) for what is no `http` or `https` URL with a path,
    /// and for user-info or a fragment. The message does not show a query, which may hold a key.
    pub fn exact(chat_url: &str, models_url: Option<&str>, api_key: Option<ApiKey>) -> Result<Self, Error> {
        let auth = api_key.map(|key| (header::AUTHORIZATION, key.bearer()));
        Ok(Self(Server::exact(chat_url, models_url, auth)?))
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

    /// The URI of completions.
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
    use proptest::prelude::*;

    #[test]
    fn good_base_urls() {
        let cases = [
            ("http://localhost:8000", "http://localhost:8000/v1/chat/completions"),
            ("http://localhost:8000///", "http://localhost:8000/v1/chat/completions"),
            ("HTTP://Localhost", "http://Localhost/v1/chat/completions"),
            (
                "https://gw.example/api/openai-proxy/",
                "https://gw.example/api/openai-proxy/v1/chat/completions",
            ),
            ("http://h/v1beta", "http://h/v1beta/v1/chat/completions"),
            ("http://h/v1/x", "http://h/v1/x/v1/chat/completions"),
            ("http://v1", "http://v1/v1/chat/completions"),
            ("http://[::1]:8000", "http://[::1]:8000/v1/chat/completions"),
            ("http://[::1]", "http://[::1]/v1/chat/completions"),
            (" http://h:1 ", "http://h:1/v1/chat/completions"),
            ("unix:///run/a.sock", "unix://2f72756e2f612e736f636b/v1/chat/completions"),
        ];
        for (base, chat) in cases {
            assert_eq!(Endpoint::new(base, None).unwrap().chat_uri().to_string(), chat, "{base}");
        }
    }

    #[test]
    fn bad_base_urls_are_quoted_and_corrected() {
        use crate::Category;

        let cases = [
            ("http://h:8000/v1", "use `http://h:8000`"),
            ("http://h:8000/v1//", "use `http://h:8000`"),
            ("https://h/prefix/V1", "use `https://h/prefix`"),
            ("http://h/v1?x=1", "use `http://h`"),
            ("http://h/v1#x", "use `http://h`"),
            ("localhost:8000", "use `http://localhost:8000`"),
            ("", "use `http://localhost:8000`"),
            ("ftp://h", "none of `http`, `https` or `unix`"),
            ("http://", "has no host"),
            ("http:///x", "has no host"),
            ("http://:80", "has no host"),
            ("http://h?x=1", "use `http://h`"),
            ("http://h/p/#x", "use `http://h/p`"),
            ("http://h:99999", "has the port `99999`"),
            ("http://h:x", "has the port `x`"),
            ("http://a b", "is not a URL"),
            ("http://h/V1\u{2028}/", "use `http://h`"),
            ("http://h/x\u{2028}y/", "is not a URL: it holds `\\u{2028}`"),
            ("unix:///a\u{7}b", "is not a URL: it holds `\\u{7}`"),
            ("unix:///\r\n/", "names no socket"),
            ("http://h/caf\u{e9}", "is not a URL"),
            ("unix://run/a", "names no socket"),
        ];
        for (base, why) in cases {
            let error = Endpoint::new(base, None).unwrap_err();
            assert_eq!(error.category(), Category::InvalidRequest);
            assert!(error.message().contains(why), "{base}: {error}");
            assert!(error.message().contains(&format!("`{base}`")), "{base}: {error}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_shown() {
        for base in
            ["http://user:secret@h", "http://secret@h/v1", "http://user:sec/secret@h", "http://u:#secret@h"]
        {
            let error = Endpoint::new(base, None).unwrap_err();
            assert!(error.message().contains("user-info") && !error.message().contains("secret"), "{error}");
        }
        assert!(Endpoint::new("http://h:8000/@team", None).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(base in ".*") {
            let _ = Endpoint::new(&base, None);
        }

        #[test]
        fn what_is_taken_is_kept(
            base in "(http|https)://[a-z0-9.-]{1,12}(:[0-9]{1,4})?(/[a-z0-9]{1,6}){0,3}/{0,3}"
        ) {
            if let Ok(endpoint) = Endpoint::new(&base, None) {
                let want = format!("{}/v1/chat/completions", base.trim_end_matches('/'));
                prop_assert_eq!(endpoint.chat_uri().to_string(), want);
            } else {
                prop_assert!(base.trim_end_matches('/').ends_with("/v1"), "{}", base);
            }
        }
    }
}
