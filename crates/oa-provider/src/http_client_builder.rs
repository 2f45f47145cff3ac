//! The settings of a client.

use crate::{HyperTransport, Transport, http_client::HttpClient};
use http::{HeaderName, HeaderValue};
use oa_wire::{ApiKey, Error, Mapping};
use std::{fmt, marker::PhantomData, time::Duration};

/// Settings of an [`HttpClient`]. All but the base URL have defaults.
///
/// ```
/// use oa_provider::Client;
///
/// let client = Client::builder("https://gw.example/api/openai-proxy")
///     .api_key("sk-secret")
///     .header("x-team", "search")
///     .build()?;
/// assert!(!format!("{client:?}").contains("secret"));
/// # Ok::<(), oa_provider::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct HttpClientBuilder<M, T = HyperTransport> {
    base_url: String,
    api_key: Option<Result<ApiKey, Error>>,
    headers: Vec<(String, String)>,
    probe_timeout: Duration,
    transport: T,
    mapping: PhantomData<fn() -> M>,
}

impl<M: Mapping> HttpClient<M> {
    /// A client for the server with this root: `http://host:port`, or that with a proxy's prefix; never with
    /// `/v1` at its end, which is appended.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) for a base URL that cannot be used. The message
    /// quotes it and, where there is one, the correction.
    pub fn new(base_url: impl Into<String>) -> Result<Self, Error> {
        Self::builder(base_url).build()
    }

    /// Starts a client for the server with this root.
    pub fn builder(base_url: impl Into<String>) -> HttpClientBuilder<M> {
        HttpClientBuilder {
            base_url: base_url.into(),
            api_key: None,
            headers: Vec::new(),
            probe_timeout: Duration::from_secs(30),
            transport: HyperTransport::new(),
            mapping: PhantomData,
        }
    }
}

impl<M, T> HttpClientBuilder<M, T> {
    /// The key of the server. Without one no such header is sent.
    pub fn api_key(mut self, key: impl AsRef<str>) -> Self {
        self.api_key = Some(ApiKey::new(key.as_ref()));
        self
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long the list of models, or another probe, may take. Default: 30 s.
    pub fn probe_timeout(mut self, limit: Duration) -> Self {
        self.probe_timeout = limit;
        self
    }

    /// The transport: [`HyperTransport`] with other settings, a tower stack around it, or any tower service
    /// of the right shape. One that is not `Clone` becomes so in a [`Shared`](crate::Shared).
    pub fn transport<U: Transport>(self, transport: U) -> HttpClientBuilder<M, U> {
        HttpClientBuilder {
            base_url: self.base_url,
            api_key: self.api_key,
            headers: self.headers,
            probe_timeout: self.probe_timeout,
            transport,
            mapping: PhantomData,
        }
    }
}

impl<M: Mapping, T: Transport> HttpClientBuilder<M, T> {
    /// Builds the client.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) for a base URL, key or header that cannot be
    /// used. The message quotes the value (never the key) and, where there is one, the correction.
    pub fn build(self) -> Result<HttpClient<M, T>, Error> {
        let mut endpoint = M::new(&self.base_url, self.api_key.transpose()?)?;
        for (name, value) in self.headers {
            let bad = |what: &str| Error::invalid_request(format!("the header `{name}` {what}"));
            let key = HeaderName::try_from(&name).map_err(|_| bad("has a name that no header can have"))?;
            let mut value =
                HeaderValue::try_from(value).map_err(|_| bad("has a value that no header can have"))?;
            // It may be a secret: then it is redacted wherever it is echoed.
            value.set_sensitive(true);
            endpoint = endpoint.with_header(key, value);
        }
        Ok(HttpClient::from_parts(endpoint, self.probe_timeout, self.transport))
    }
}

impl<M, T> fmt::Debug for HttpClientBuilder<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets under any name: only their names are shown.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("HttpClientBuilder")
            .field("base_url", &without_user_info(&self.base_url))
            .field("api_key", &self.api_key)
            .field("headers", &names)
            .field("probe_timeout", &self.probe_timeout)
            .finish_non_exhaustive()
    }
}

/// A URL that was not checked yet, as it may be shown.
pub(crate) fn without_user_info(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => url.to_owned(),
    }
}
