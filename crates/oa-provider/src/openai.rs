//! The registration of the OpenAI Chat Completions mapping: its client, its provider, and their builders.

use crate::{
    HyperTransport, http_client::HttpClient, http_client_builder::HttpClientBuilder,
    http_provider::HttpProvider, http_provider_builder::HttpProviderBuilder,
};
use oa_wire::openai::Endpoint;

/// A client of one OpenAI-compatible server, not bound to a model.
///
/// ```no_run
/// use oa_provider::{Client, Error, Provider};
///
/// # async fn example() -> Result<(), Error> {
/// let client = Client::new("http://localhost:8000")?;
/// for id in client.models().await?.ids() {
///     println!("{id}");
/// }
/// let provider = client.model("my-model");
/// println!("{}", provider.complete(&"The capital of France?".into()).await?.text());
/// # Ok(()) }
/// ```
pub type Client<T = HyperTransport> = HttpClient<Endpoint, T>;

/// Settings of a [`Client`].
pub type ClientBuilder<T = HyperTransport> = HttpClientBuilder<Endpoint, T>;

/// A provider of chat completions by an OpenAI-compatible server.
///
/// ```no_run
/// use oa_provider::{Error, OpenAiProvider, Provider};
///
/// # async fn example() -> Result<(), Error> {
/// let provider = OpenAiProvider::builder("http://localhost:8000", "my-model").build()?;
/// println!("{}", provider.complete(&"The capital of France?".into()).await?.text());
/// # Ok(()) }
/// ```
pub type OpenAiProvider<T = HyperTransport> = HttpProvider<Endpoint, T>;

/// Settings of an [`OpenAiProvider`].
pub type OpenAiProviderBuilder<T = HyperTransport> = HttpProviderBuilder<Endpoint, T>;
