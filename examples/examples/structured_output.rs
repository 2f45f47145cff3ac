//! An answer as a Rust type: its JSON Schema goes out, a value of it comes back.
//!
//! `cargo run -p oa-examples --example structured_output`

mod server;

use oa_provider::Provider;
use oa_wire::{CompletionRequest, JsonSchema, Message};
use serde::Deserialize;

/// A city.
// Doc comments become the schema's descriptions: the model reads them. `deny_unknown_fields` makes the schema
// strict, which lets a server hold the model to it while it writes.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct City {
    /// Its English name.
    name: String,
    /// The country that it lies in.
    country: String,
    /// How many people live there.
    inhabitants: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;

    // Made once and cloned into requests: making one compiles the schema, a clone costs a reference count.
    let schema = JsonSchema::of::<City>()?;
    let request = CompletionRequest::new([Message::user("Which is the largest city of Japan?")])
        .with_response_schema(schema);

    // An answer that breaks the schema is an error of the call, which keeps the text: `error.structured()`.
    let response = provider.complete(&request).await?;

    // Absent where the model called a tool instead, which nobody offered here.
    let value = response.parsed.ok_or("no structured output")?;
    let city: City = serde_json::from_value(value)?;
    println!("{}, {}: {} inhabitants", city.name, city.country, city.inhabitants);
    Ok(())
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example structured_output
