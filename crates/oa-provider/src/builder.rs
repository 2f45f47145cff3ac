//! How a provider is put together, and what is refused while it is.

use crate::{OpenAiProvider, Probe};
use http::{HeaderName, HeaderValue};
use oa_transport::HyperTransport;
use oa_wire::{ApiKey, Error, Limits, Profile, openai::Endpoint};
use std::{fmt, time::Duration};

/// Settings of an [`OpenAiProvider`]. All but the base URL and the model have defaults.
///
/// ```
/// use oa_provider::{OpenAiProvider, Probe};
/// use std::time::Duration;
///
/// let provider = OpenAiProvider::builder("https://gw.example/api/openai-proxy", "llama-3")
///     .api_key("sk-secret")
///     .genai_system("vllm")
///     .header("x-team", "search")
///     .probe(Probe::Both)
///     .build()?;
/// assert!(!format!("{provider:?}").contains("secret"));
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder<T = HyperTransport> {
    base_url: String,
    profile: Profile,
    api_key: Option<Result<ApiKey, Error>>,
    headers: Vec<(String, String)>,
    probe: Probe,
    probe_timeout: Duration,
    transport: Option<T>,
}

impl Builder {
    pub(crate) fn new(base_url: String, model: String) -> Self {
        Self {
            base_url,
            profile: Profile::new(model),
            api_key: None,
            headers: Vec::new(),
            probe: Probe::default(),
            probe_timeout: Duration::from_secs(30),
            transport: None,
        }
    }

    /// Builds the provider, with a [`HyperTransport`] of its own unless one was given.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) for a base URL, key, header or model that cannot be
    /// used. The message quotes the value (never the key) and, where there is one, the correction.
    pub fn build(mut self) -> Result<OpenAiProvider, Error> {
        let transport = self.transport.take().unwrap_or_default();
        self.transport(transport).build_over()
    }
}

impl<T> Builder<T> {
    /// The key, sent as `Authorization: Bearer KEY`. Without one no such header is sent.
    pub fn api_key(mut self, key: impl AsRef<str>) -> Self {
        self.api_key = Some(ApiKey::new(key.as_ref()));
        self
    }

    /// Labels telemetry: `openai` (default), `vllm`, `sglang`, `llamacpp`, `lmstudio`, `ollama`, `litellm`.
    pub fn genai_system(mut self, system: impl Into<String>) -> Self {
        self.profile = self.profile.with_genai_system(system);
        self
    }

    /// Asks for structured output by prompt, for servers that ignore or refuse `response_format`. Default: off.
    pub fn force_prompt_augmentation_fallback(mut self, on: bool) -> Self {
        self.profile = self.profile.with_force_prompt_augmentation_fallback(on);
        self
    }

    /// Surfaces tool calls that do not hold up, with what is wrong with them, instead of failing the call.
    /// Default: off.
    pub fn surface_invalid_tool_calls(mut self, on: bool) -> Self {
        self.profile = self.profile.with_surface_invalid_tool_calls(on);
        self
    }

    /// How much of an answer is read.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.profile = self.profile.with_limits(limits);
        self
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// What [`ready`](crate::Provider::ready) asks. Default: [`Probe::Models`].
    pub fn probe(mut self, probe: Probe) -> Self {
        self.probe = probe;
        self
    }

    /// How long one probe may take. Default: 30 s.
    pub fn probe_timeout(mut self, limit: Duration) -> Self {
        self.probe_timeout = limit;
        self
    }

    /// The transport: ours with other settings, or any tower service of the right shape.
    pub fn transport<U>(self, transport: U) -> Builder<U> {
        Builder {
            base_url: self.base_url,
            profile: self.profile,
            api_key: self.api_key,
            headers: self.headers,
            probe: self.probe,
            probe_timeout: self.probe_timeout,
            transport: Some(transport),
        }
    }

    /// Builds the provider over the transport that was given.
    ///
    /// # Errors
    ///
    /// As for `build`, and when no transport was given.
    pub fn build_over(self) -> Result<OpenAiProvider<T>, Error> {
        if self.profile.model().trim().is_empty() {
            return Err(Error::invalid_request("the model's name is blank"));
        }
        let mut endpoint = Endpoint::new(&self.base_url, self.api_key.transpose()?)?;
        for (name, value) in self.headers {
            let bad = |what: &str| Error::invalid_request(format!("the header `{name}` {what}"));
            let key = HeaderName::try_from(&name).map_err(|_| bad("has a name that no header can have"))?;
            let mut value =
                HeaderValue::try_from(value).map_err(|_| bad("has a value that no header can have"))?;
            // It may be a secret: whoever shows headers shall not show this one.
            value.set_sensitive(true);
            endpoint = endpoint.with_header(key, value);
        }
        let transport = self.transport.ok_or_else(|| Error::invalid_request("no transport was given"))?;
        Ok(OpenAiProvider::assemble(endpoint, self.profile, self.probe, self.probe_timeout, transport))
    }
}

impl<T> fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers may hold secrets under any name: only their names are shown.
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Builder")
            .field("base_url", &without_user_info(&self.base_url))
            .field("profile", &self.profile)
            .field("api_key", &self.api_key)
            .field("headers", &names)
            .field("probe", &self.probe)
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
