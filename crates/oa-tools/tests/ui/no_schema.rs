//! An answer of a type without a schema.

use oa_provider::OpenAiProvider;
use oa_tools::ProviderExt;
use oa_wire::CompletionRequest;

#[derive(serde::Deserialize)]
struct City {
    name: String,
}

async fn ask(provider: OpenAiProvider, request: CompletionRequest) -> String {
    provider.complete_as::<City>(&request).await.unwrap().value.name
}

fn main() {}
