//! An answer as a value of a Rust type, shown while it is written.
//!
//! `cargo run -p oa-examples --example typed_extraction`

mod server;

use oa_provider::OpenAiProvider;
use oa_tools::ProviderExt;
use oa_wire::{CompletionRequest, Error};

/// A city.
// The model reads the doc comments, and writes the members in this order.
#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
struct City {
    /// What is known of it, in one sentence.
    reasoning: String,
    name: String,
    mayor: Option<String>,
    inhabitants: u32,
}

// An answer that is no `City` is an error with its place, its text, and what was expected:
// `error.structured()`.
async fn extract(provider: &OpenAiProvider, text: &str) -> Result<City, Error> {
    let request = CompletionRequest::new(format!("Which city is this about? {text}"));
    let mut stream = provider.stream_as::<City>(&request).await?;
    while let Some(event) = stream.next().await {
        event?;
        if let Some(so_far) = stream.value() {
            println!("{so_far}");
        }
    }
    Ok(stream.finish().await?.value)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;
    let city = extract(&provider, "The capital of Japan has 14 million inhabitants.").await?;
    println!("{}: {} inhabitants, mayor {:?}", city.name, city.inhabitants, city.mayor);

    // Without the stream, one line: `provider.complete_as::<City>(&request).await?.value`.
    let request = CompletionRequest::new("The largest city of Japan?");
    println!("{}", provider.complete_as::<City>(&request).await?.value.reasoning.len());
    Ok(())
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example typed_extraction
