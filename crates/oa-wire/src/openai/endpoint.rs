//! Where to: the base URL, the key, the headers, and what is bound to them.

use super::base_url::{parse, refused};
use crate::{Error, Setting, error_body::redact_error};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri};
use std::{fmt, sync::Arc};

/// The host root of a server, checked, with the key and headers of its requests. Cloning costs a reference count.
///
/// The mapping appends `/v1/chat/completions` and `/v1/models` itself, so a base URL that ends in `/v1` is
/// refused: `/v1/v1/...` would 404 or, worse, half work.
///
/// ```
/// use oa_wire::openai::{ApiKey, Endpoint};
///
/// let behind_a_gateway = Endpoint::new("https://gw.example/api/openai-proxy/", Some(ApiKey::new("sk-1")?))?;
/// assert_eq!(behind_a_gateway.chat_uri(), "https://gw.example/api/openai-proxy/v1/chat/completions");
///
/// let error = Endpoint::new("http://localhost:8000/v1", None).unwrap_err();
/// assert!(error.message().contains("use `http://localhost:8000`"));
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    base: String,
    chat: Uri,
    models: Uri,
    /// The headers of a request that wants JSON, and of one that wants a stream: a request clones them whole.
    json: HeaderMap,
    stream: HeaderMap,
}

impl Endpoint {
    /// An endpoint at this base URL: `http`, `https`, or `unix:///path/of/the/socket`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) for a last path segment `v1` in any case, no scheme or
    /// another one, no host, user-info, a query, a fragment, or what is no URL. The message quotes the value and,
    /// where there is one, the correction.
    pub fn new(base_url: &str, api_key: Option<ApiKey>) -> Result<Self, Error> {
        let (base, prefix) = parse(base_url)?;
        let at = |path: &str| -> Result<Uri, Error> {
            format!("{prefix}{path}")
                .parse()
                .map_err(|error: uri::InvalidUri| refused(base_url, &format!("is not a URL: {error}")))
        };
        let chat = at("/v1/chat/completions")?;
        let mut headers = HeaderMap::with_capacity(8);
        // Clients make this header for each request where it is missing. A Unix socket has no name to give.
        let host = match chat.authority() {
            Some(authority) if chat.scheme_str() != Some("unix") => authority.as_str(),
            _ => "localhost",
        };
        let host = HeaderValue::from_str(host.trim_end_matches(':'))
            .map_err(|_| refused(base_url, "has a host that no header can have"))?;
        headers.insert(header::HOST, host);
        headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("oa-wire/", env!("CARGO_PKG_VERSION"))),
        );
        if let Some(key) = api_key {
            headers.insert(header::AUTHORIZATION, key.bearer);
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let mut stream = headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        stream.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        Ok(Self(Arc::new(Inner { base, chat, models: at("/v1/models")?, json: headers, stream })))
    }

    /// Adds a header to every request; one of the same name is replaced.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.json.insert(name.clone(), value.clone());
        inner.stream.insert(name, value);
        self
    }

    /// The base URL, without trailing slashes.
    pub fn base_url(&self) -> &str {
        &self.0.base
    }

    /// Where completions are asked for.
    pub fn chat_uri(&self) -> &Uri {
        &self.0.chat
    }

    /// Where the models are listed.
    pub fn models_uri(&self) -> &Uri {
        &self.0.models
    }

    /// The request for the list of models.
    pub fn models_request(&self) -> http::Request<bytes::Bytes> {
        let mut request = http::Request::new(bytes::Bytes::new());
        *request.uri_mut() = self.0.models.clone();
        *request.headers_mut() = self.0.json.clone();
        request.headers_mut().remove(header::CONTENT_TYPE);
        request
    }

    pub(super) fn headers(&self, stream: bool) -> &HeaderMap {
        if stream { &self.0.stream } else { &self.0.json }
    }

    /// Cuts the key, and the values of other headers that are marked sensitive, out of the message, the server's words
    /// and the body of an error: a server may echo them anywhere.
    pub fn strike_secrets(&self, error: Error) -> Error {
        let headers = self.0.json.values().filter(|value| value.is_sensitive());
        let secrets = headers.filter_map(|value| value.to_str().ok());
        secrets.fold(redact_error(error, self.key()), |error, secret| redact_error(error, Some(secret)))
    }

    /// The key, to be cut out of what servers echo. Do not show it.
    pub fn key(&self) -> Option<&str> {
        self.0.json.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets under any name: only their names are shown.
        let names: Vec<_> = self.0.json.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Endpoint").field("base_url", &self.0.base).field("headers", &names).finish()
    }
}

/// A key, known to fit into a header, never shown.
#[derive(Clone)]
pub struct ApiKey {
    bearer: HeaderValue,
}

impl ApiKey {
    /// A key. White space around it is cut off, as a file or a shell may have added it.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) when it is visibly no key (see [`Setting::check`]), or
    /// holds what no header can hold: a line break, a control character, a character outside ASCII.
    pub fn new(key: &str) -> Result<Self, Error> {
        let key = key.trim();
        Setting::ApiKey.check(key).map_err(|flaw| Error::invalid_request(format!("the API key {flaw}")))?;
        let visible = key.bytes().all(|byte| (0x21..0x7f).contains(&byte) || byte == b' ');
        let bearer = visible.then(|| HeaderValue::from_str(&format!("Bearer {key}")).ok()).flatten();
        let mut bearer = bearer.ok_or_else(|| {
            Error::invalid_request(
                "the API key cannot be sent: it holds a line break, a control character or a character outside ASCII",
            )
        })?;
        bearer.set_sensitive(true);
        Ok(Self { bearer })
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

/// What calls of one provider have in common: the model it is bound to, and how it is to be spoken to. Cloning
/// costs a reference count.
#[derive(Clone, Debug)]
pub struct Profile(Arc<ProfileInner>);

#[derive(Clone, Debug)]
struct ProfileInner {
    model: String,
    genai_system: String,
    fallback: bool,
    surface: bool,
    limits: Limits,
}

/// How much of an answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest body that is not a stream, in bytes. 64 MiB by default.
    pub body: usize,
    /// The limits of a stream.
    pub stream: crate::sse::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 64 << 20, stream: crate::sse::Limits::default() }
    }
}

impl Profile {
    /// A profile bound to this model.
    pub fn new(model: impl Into<String>) -> Self {
        Self(Arc::new(ProfileInner {
            model: model.into(),
            genai_system: "openai".to_owned(),
            fallback: false,
            surface: false,
            limits: Limits::default(),
        }))
    }

    /// Labels telemetry: `openai` (default), `vllm`, `sglang`, `llamacpp`, `lmstudio`, `ollama`, `litellm`. It
    /// changes nothing else, and nothing is guessed from the URL.
    pub fn genai_system(mut self, system: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).genai_system = system.into();
        self
    }

    /// Asks for structured output by a directive in the messages, for servers that ignore or refuse
    /// `response_format`. Off by default.
    pub fn force_prompt_augmentation_fallback(mut self, on: bool) -> Self {
        Arc::make_mut(&mut self.0).fallback = on;
        self
    }

    /// Surfaces tool calls that do not hold up, instead of failing the call: arguments that do not parse or
    /// break the tool's schema, and names that were not offered. Off by default.
    pub fn surface_invalid_tool_calls(mut self, on: bool) -> Self {
        Arc::make_mut(&mut self.0).surface = on;
        self
    }

    /// Sets how much of an answer is read.
    pub fn limits(mut self, limits: Limits) -> Self {
        Arc::make_mut(&mut self.0).limits = limits;
        self
    }

    /// The model.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// The label for telemetry.
    pub fn system(&self) -> &str {
        &self.0.genai_system
    }

    pub(super) fn uses_fallback(&self) -> bool {
        self.0.fallback
    }

    pub(super) fn surfaces_invalid_tool_calls(&self) -> bool {
        self.0.surface
    }

    pub(super) fn reading(&self) -> Limits {
        self.0.limits
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

    #[test]
    fn an_echoed_secret_is_cut_out() {
        let mut secret = HeaderValue::from_static("team-canary-2");
        secret.set_sensitive(true);
        let endpoint = Endpoint::new("http://h", Some(ApiKey::new("sk-canary-1").unwrap())).unwrap();
        let endpoint = endpoint.with_header(HeaderName::from_static("x-api-key"), secret);
        let echo = "bad keys sk-canary-1 and team-canary-2";
        let error = endpoint.strike_secrets(Error::invalid_response(echo).with_body(echo.as_bytes()));
        assert_eq!(error.message(), "bad keys *** and ***");
        assert_eq!(error.body().unwrap().as_ref(), b"bad keys *** and ***");
    }

    #[test]
    fn a_key_is_checked_and_never_shown() {
        for key in ["", "  ", "\n"] {
            assert!(ApiKey::new(key).unwrap_err().message().contains("blank"), "{key:?}");
        }
        for key in ["a\nb", "sch\u{f6}n", "a\u{0}b"] {
            let error = ApiKey::new(key).unwrap_err();
            assert!(!error.message().contains(key), "{error}");
        }
        let key = ApiKey::new(" sk-canary\n").unwrap();
        let endpoint = Endpoint::new("http://h", Some(key.clone())).unwrap();
        assert_eq!(endpoint.headers(false)[header::AUTHORIZATION], "Bearer sk-canary");
        let shown = format!("{key:?} {endpoint:?} {:?}", endpoint.models_request());
        assert!(!shown.contains("canary"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(base in ".*") {
            let _ = Endpoint::new(&base, None);
        }

        #[test]
        fn what_is_taken_is_kept(base in "(http|https)://[a-z0-9.-]{1,12}(:[0-9]{1,4})?(/[a-z0-9]{1,6}){0,3}/{0,3}") {
            if let Ok(endpoint) = Endpoint::new(&base, None) {
                let want = format!("{}/v1/chat/completions", base.trim_end_matches('/'));
                prop_assert_eq!(endpoint.chat_uri().to_string(), want);
            } else {
                prop_assert!(base.trim_end_matches('/').ends_with("/v1"), "{}", base);
            }
        }
    }
}
