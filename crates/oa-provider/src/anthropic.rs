//! The registration of the Anthropic Messages mapping: its client, its provider, and their builders.

use crate::{
    HyperTransport, http_client::HttpClient, http_client_builder::HttpClientBuilder,
    http_provider::HttpProvider, http_provider_builder::HttpProviderBuilder,
};
use oa_wire::anthropic::Endpoint;

/// A client of one server of Anthropic Messages, not bound to a model.
pub type AnthropicClient<T = HyperTransport> = HttpClient<Endpoint, T>;

/// Settings of an [`AnthropicClient`].
pub type AnthropicClientBuilder<T = HyperTransport> = HttpClientBuilder<Endpoint, T>;

/// A provider of completions by `POST /v1/messages`: of Anthropic, and of the servers that have it beside
/// chat completions. The same records, layers and events as of an
/// [`OpenAiProvider`](crate::OpenAiProvider); what the wire has and lacks is told in
/// [`oa_wire::anthropic`].
///
/// The key is sent as `x-api-key` and as `Authorization: Bearer`. `max_tokens` must be set.
///
/// ```no_run
/// use oa_provider::{AnthropicProvider, CompletionRequest, Error, Provider, RuntimeConfig};
///
/// # async fn example() -> Result<(), Error> {
/// let provider = AnthropicProvider::builder("http://localhost:8000", "my-model").build()?;
/// let request = CompletionRequest::new("The capital of France?")
///     .with_config(RuntimeConfig::new().with_max_tokens(256));
/// println!("{}", provider.complete(&request).await?.text());
/// # Ok(()) }
/// ```
pub type AnthropicProvider<T = HyperTransport> = HttpProvider<Endpoint, T>;

/// Settings of an [`AnthropicProvider`].
///
/// ```
/// use oa_provider::AnthropicProvider;
///
/// let provider = AnthropicProvider::builder("https://gw.example", "my-model")
///     .api_key("sk-secret")
///     .header("anthropic-beta", "interleaved-thinking-2025-05-14")
///     .build()?;
/// assert!(!format!("{provider:?}").contains("secret"));
/// # Ok::<(), oa_provider::Error>(())
/// ```
pub type AnthropicProviderBuilder<T = HyperTransport> = HttpProviderBuilder<Endpoint, T>;
