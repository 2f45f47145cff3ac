//! The servers that a program calls as one.

use crate::args::Args;
use oa_provider::{Client, HyperTransport, OpenAiProvider};
use std::error::Error;

/// Providers, each with its URL.
pub type Replicas = Vec<(String, OpenAiProvider)>;

/// One for each `--url`, with the `--key` if there is one, and the model that the first server lists: that is
/// what readiness asks for. All have one transport.
///
/// # Errors
///
/// There is no URL, the first server has no model, or it does not answer.
pub async fn of(args: &Args) -> Result<Replicas, Box<dyn Error>> {
    let transport = HyperTransport::new();
    let key = args.value("--key");
    let mut client = Client::builder(args.required("--url")?).transport(transport.clone());
    if let Some(key) = &key {
        client = client.api_key(key);
    }
    let models = client.build()?.models().await?;
    let model = models.ids().next().ok_or("the server has no model")?;
    let mut replicas = Vec::new();
    for url in args.values("--url") {
        let mut replica = OpenAiProvider::builder(&url, model).transport(transport.clone());
        if let Some(key) = &key {
            replica = replica.api_key(key);
        }
        replicas.push((url, replica.build()?));
    }
    Ok(replicas)
}
