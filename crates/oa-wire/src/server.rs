//! A server as the calls of a mapping see it: its URIs, the headers of its requests, and the secrets among
//! them.

use crate::{CountRoute, Error, base_url::BaseUrl, error_body::redact_error};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use std::{fmt, sync::Arc};

/// What a mapping's endpoint is made of. Cloning costs a reference count.
#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    base: BaseUrl,
    chat: Uri,
    models: Uri,
    /// By [`CountRoute`].
    count: [Uri; CountRoute::ALL.len()],
    /// The headers of a request that wants JSON, and of one that wants a stream: a request clones them whole.
    json: HeaderMap,
    stream: HeaderMap,
}

/// Which URI of a server a call goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route {
    /// Completions.
    Chat,
    /// The list of models.
    Models,
    /// A count of tokens.
    Count(CountRoute),
}

impl Server {
    /// A server at this base URL, with the mapping's path of completions and its headers of authentication.
    pub(crate) fn new(
        base_url: &str,
        chat_path: &str,
        auth: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<Self, Error> {
        Self::at(BaseUrl::parse(base_url)?, chat_path, auth)
    }

    /// A server at these whole URLs.
    pub(crate) fn exact(
        chat_url: &str,
        models_url: Option<&str>,
        auth: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<Self, Error> {
        Self::at(BaseUrl::exact(chat_url, models_url)?, "", auth)
    }

    fn at(
        base: BaseUrl,
        chat_path: &str,
        auth: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
    ) -> Result<Self, Error> {
        const USER_AGENT: HeaderValue =
            HeaderValue::from_static(concat!("oa-wire/", env!("CARGO_PKG_VERSION")));
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
        let (chat, models) = (base.join(chat_path)?, base.join("/v1/models")?);
        let [tokenize, input_tokens, count_tokens] = CountRoute::ALL.map(|route| base.join(route.path()));
        let count = [tokenize?, input_tokens?, count_tokens?];
        let mut json = HeaderMap::with_capacity(8);
        // Clients make this header for each request where it is missing.
        json.insert(header::HOST, base.host()?);
        json.insert(header::USER_AGENT, USER_AGENT);
        json.extend(auth);
        json.insert(header::CONTENT_TYPE, JSON);
        let mut stream = json.clone();
        json.insert(header::ACCEPT, JSON);
        stream.insert(header::ACCEPT, EVENT_STREAM);
        Ok(Self(Arc::new(Inner { base, chat, models, count, json, stream })))
    }

    /// Adds a header to every request; one of the same name is replaced.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.json.insert(name.clone(), value.clone());
        inner.stream.insert(name, value);
        self
    }

    /// The base URL, without trailing slashes.
    pub(crate) fn base_url(&self) -> &str {
        self.0.base.as_str()
    }

    /// The URI of a route.
    pub(crate) fn uri(&self, route: Route) -> &Uri {
        match route {
            Route::Chat => &self.0.chat,
            Route::Models => &self.0.models,
            Route::Count(route) => &self.0.count[route as usize],
        }
    }

    /// The request for a completion.
    pub(crate) fn chat_request(&self, body: Bytes, stream: bool) -> Request<Bytes> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.0.chat.clone();
        *request.headers_mut() = if stream { self.0.stream.clone() } else { self.0.json.clone() };
        request
    }

    /// The request for a count of tokens.
    pub(crate) fn count_request(&self, route: CountRoute, body: Bytes) -> Request<Bytes> {
        let mut request = self.chat_request(body, false);
        *request.uri_mut() = self.uri(Route::Count(route)).clone();
        request
    }

    /// The request for the list of models.
    pub(crate) fn models_request(&self) -> Request<Bytes> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.0.models.clone();
        *request.headers_mut() = self.0.json.clone();
        request.headers_mut().remove(header::CONTENT_TYPE);
        request
    }

    /// Removes the values of sensitive headers from the message, the server's details and the body of an
    /// error: a server may echo them anywhere.
    pub(crate) fn redact(&self, error: Error) -> Error {
        let error = self.secrets().fold(error, |error, secret| redact_error(error, Some(secret)));
        // What looks like a key is one, whoever's it is.
        redact_error(error, None)
    }

    /// What must not be shown: the values of sensitive headers, without the scheme of `Authorization`.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let sensitive = self
            .0
            .json
            .iter()
            .filter(|(name, value)| value.is_sensitive() || **name == header::AUTHORIZATION);
        sensitive.filter_map(|(_, value)| {
            let value = value.to_str().ok()?;
            Some(value.strip_prefix("Bearer ").unwrap_or(value))
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets under any name: only their names are shown.
        let names: Vec<_> = self.0.json.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Endpoint").field("base_url", &self.base_url()).field("headers", &names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ApiKey;

    fn server() -> Server {
        let key = ApiKey::new("sk-canary-1").unwrap();
        let mut secret = HeaderValue::from_static("team-canary-2");
        secret.set_sensitive(true);
        Server::new("http://h", "/v1/x", [(header::AUTHORIZATION, key.bearer())])
            .unwrap()
            .with_header(HeaderName::from_static("x-team"), secret)
    }

    #[test]
    fn an_echoed_secret_is_redacted() {
        let echo = "bad keys sk-canary-1 and team-canary-2";
        let error = server().redact(Error::invalid_response(echo).with_body(echo.as_bytes()));
        assert_eq!(error.message(), "bad keys *** and ***");
        assert_eq!(error.body().unwrap().as_ref(), b"bad keys *** and ***");
    }

    #[test]
    fn no_debug_form_shows_a_secret() {
        let server = server();
        let shown =
            format!("{server:?} {:?} {:?}", server.models_request(), server.chat_request(Bytes::new(), true));
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(server.models_request().headers()[header::AUTHORIZATION], "Bearer sk-canary-1");
    }
}
