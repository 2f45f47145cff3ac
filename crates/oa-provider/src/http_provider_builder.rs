//! The settings of a provider.

use crate::{
    HyperTransport, Probe, Transport, http_client::HttpClient, http_client_builder::HttpClientBuilder,
    http_provider::HttpProvider,
};
use oa_wire::{BodyForm, Error, Limits, Mapping, Profile, SendReasoning, Spellings};
use std::{fmt, time::Duration};

/// Settings of an [`HttpProvider`]. All but the base URL and the model have defaults.
///
/// ```
/// use oa_provider::{OpenAiProvider, Probe};
///
/// let provider = OpenAiProvider::builder("https://gw.example/api/openai-proxy", "llama-3")
///     .api_key("sk-secret")
///     .genai_system("vllm")
///     .header("x-team", "search")
///     .probe(Probe::Both)
///     .build()?;
/// assert!(!format!("{provider:?}").contains("secret"));
/// # Ok::<(), oa_provider::Error>(())
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct HttpProviderBuilder<M, T = HyperTransport> {
    client: HttpClientBuilder<M, T>,
    profile: Profile,
    probe: Probe,
}

impl<M: Mapping> HttpProvider<M> {
    /// Starts a provider for the server with this root and this model.
    ///
    /// The base URL is `http://host:port`, or that with a proxy's prefix; never with `/v1` at its end, which
    /// is appended.
    pub fn builder(base_url: impl Into<String>, model: impl Into<String>) -> HttpProviderBuilder<M> {
        HttpProviderBuilder {
            client: HttpClient::builder(base_url),
            profile: Profile::new(model).with_genai_system(M::GENAI_SYSTEM),
            probe: Probe::default(),
        }
    }
}

impl<M, T> HttpProviderBuilder<M, T> {
    /// The key of the server. Without one no such header is sent.
    pub fn api_key(mut self, key: impl AsRef<str>) -> Self {
        self.client = self.client.api_key(key);
        self
    }

    /// The server's name in telemetry: `openai` (default), `vllm`, `sglang`, `llamacpp`, `lmstudio`,
    /// `ollama`, `litellm`.
    pub fn genai_system(mut self, system: impl Into<String>) -> Self {
        self.profile = self.profile.with_genai_system(system);
        self
    }

    /// Requests structured output by prompt, for servers that ignore or refuse `response_format`. Default:
    /// off.
    pub fn force_prompt_augmentation_fallback(mut self, on: bool) -> Self {
        self.profile = self.profile.with_force_prompt_augmentation_fallback(on);
        self
    }

    /// Returns invalid tool calls, each with what is wrong with it, instead of failing the call. Default:
    /// off.
    pub fn surface_invalid_tool_calls(mut self, on: bool) -> Self {
        self.profile = self.profile.with_surface_invalid_tool_calls(on);
        self
    }

    /// How much of a response is read.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.profile = self.profile.with_limits(limits);
        self
    }

    /// Whether the model's reasoning is sent back with the history. Default: never.
    pub fn send_reasoning(mut self, when: SendReasoning) -> Self {
        self.profile = self.profile.with_send_reasoning(when);
        self
    }

    /// How a request's session id and priority are sent, such as `Spellings::of("vllm")`. Default: as OpenAI
    /// takes them.
    pub fn spellings(mut self, spellings: Spellings) -> Self {
        self.profile = self.profile.with_spellings(spellings);
        self
    }

    /// The form in which the body says what servers want differently, such as `max_completion_tokens` for
    /// `max_tokens`. Default: [`BodyForm::new`].
    pub fn body_form(mut self, form: BodyForm) -> Self {
        self.profile = self.profile.with_body_form(form);
        self
    }

    /// Sends a call once more, in the other form, where the server refuses it (400 or 422) for the name
    /// `max_tokens` or `max_completion_tokens`, or for the `content` of an answer that has tool calls alone.
    /// What was learnt is the form of the model's later calls over the same client;
    /// [`Response::negotiated`](oa_wire::Response::negotiated) says so. A call takes one additional request
    /// at most. Default: off.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use oa_provider::{CompletionRequest, OpenAiProvider, Provider, RuntimeConfig, TokenLimit};
    /// use oa_sim::{Answer, Sim};
    /// use serde_json::json;
    ///
    /// let refusal = json!({"error": {"message": "Unsupported parameter: 'max_tokens'."}});
    /// let sim = Sim::builder().script([Answer::json(400, refusal)]).then_generate().start().await?;
    /// let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").negotiation(true).build()?;
    /// let config = RuntimeConfig::new().with_max_tokens(64);
    ///
    /// let response = provider.complete(&CompletionRequest::new("Hello!").with_config(config)).await?;
    /// let negotiated = response.negotiated.unwrap();
    /// assert!(negotiated.resent);
    /// assert_eq!(negotiated.form.token_limit, TokenLimit::MaxCompletionTokens);
    /// # Ok(()) }
    /// ```
    pub fn negotiation(mut self, on: bool) -> Self {
        self.profile = self.profile.with_negotiation(on);
        self
    }

    /// Adds a header to every request.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.client = self.client.header(name, value);
        self
    }

    /// What [`ready`](crate::Provider::ready) asks for. Default: [`Probe::Models`].
    pub fn probe(mut self, probe: Probe) -> Self {
        self.probe = probe;
        self
    }

    /// How long one probe may take. Default: 30 s.
    pub fn probe_timeout(mut self, limit: Duration) -> Self {
        self.client = self.client.probe_timeout(limit);
        self
    }

    /// The transport: [`HyperTransport`] with other settings, a tower stack around it, or any tower service
    /// of the right shape. One that is not `Clone` becomes so in a [`Shared`](crate::Shared).
    pub fn transport<U: Transport>(self, transport: U) -> HttpProviderBuilder<M, U> {
        HttpProviderBuilder {
            client: self.client.transport(transport),
            profile: self.profile,
            probe: self.probe,
        }
    }
}

impl<M: Mapping, T: Transport> HttpProviderBuilder<M, T> {
    /// Builds the provider.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) for a base URL, key, header or model that cannot
    /// be used. The message quotes the value (never the key) and, where there is one, the correction.
    pub fn build(self) -> Result<HttpProvider<M, T>, Error> {
        if self.profile.model().trim().is_empty() {
            return Err(Error::invalid_request("the model's name is blank"));
        }
        Ok(HttpProvider::from_parts(self.client.build()?, self.profile, self.probe))
    }
}

impl<M, T> fmt::Debug for HttpProviderBuilder<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProviderBuilder")
            .field("client", &self.client)
            .field("profile", &self.profile)
            .field("probe", &self.probe)
            .finish()
    }
}
