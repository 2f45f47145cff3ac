//! One completion: the shortest program there is.
//!
//! `cargo run -p oa-examples --example quickstart`

mod server;

use oa_provider::Provider;
use oa_wire::{CompletionRequest, Message};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In your program: `let provider = OpenAiProvider::from_env()?;`
    let (provider, _simulator) = server::provider()?;

    // A request is a value: keep it, clone it for next to nothing, send it again.
    let request = CompletionRequest::new([Message::user("The capital of France, in one word?")]);
    let response = provider.complete(&request).await?;

    println!("{}", response.text());
    // Not every server counts. What it did not say is absent, never 0.
    if let Some(tokens) = response.usage.total_tokens {
        println!("({tokens} tokens)");
    }
    Ok(())
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example quickstart
