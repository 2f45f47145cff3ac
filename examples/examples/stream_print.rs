//! Text as it comes, and what is left of it when the stream breaks.
//!
//! `cargo run -p oa-examples --example stream_print`

mod server;

use oa_provider::Provider;
use oa_wire::{CompletionRequest, Event, Message, Response};
use std::io::{Write, stdout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;
    let request = CompletionRequest::new([Message::user("Count from one to five.")]);

    // Resolves at the first event: a refusal is an error here, as it is without a stream. Dropping the
    // stream at any time closes the request, and the server stops generating.
    let mut stream = provider.stream(&request).await?;
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Content(text)) => {
                print!("{text}");
                stdout().flush()?;
            }
            // The same response that `complete` would have returned.
            Ok(Event::Done(response)) => println!("\n({})", response.finish_reason),
            // Reasoning, tool calls, usage; and what later versions add.
            Ok(_) => {}
            Err(error) => {
                // Nothing is lost: text, reasoning, tool calls and usage so far. (Without an error,
                // `stream.snapshot()` tells the same at any time.)
                let kept = error.partial().map(Response::text).unwrap_or_default();
                println!("\n(broke off after {} characters)", kept.chars().count());
                return Err(error.into());
            }
        }
    }
    Ok(())
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example stream_print
