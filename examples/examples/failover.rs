//! A primary server, and a secondary one where it fails: until the first event of a stream, never after.
//!
//! `OA_BASE_URLS=http://near:8000,http://far:8000 OA_MODEL=m cargo run -p oa-examples --example failover`

mod server;

use oa_middleware::{ObserveLayer, Outcome, Servers};
use oa_provider::{Layered, Provider};
use oa_wire::{CompletionRequest, Event, Message, Response};
use std::time::Duration;
use tower::Layer;

/// How long a server may leave us waiting: longer than its longest prefill.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (servers, _simulators) = server::providers(2)?;
    let primary = servers[0].1.clone();

    // Each server may have layers of its own: here one that tells when it has answered, or not. The limits of
    // an attempt it has anyway.
    let servers = servers.into_iter().map(|(url, provider)| {
        let name = url.clone();
        let tell = ObserveLayer::on_end(move |call| match call.outcome {
            Outcome::Done(_) => println!("\n({url} answered)"),
            _ => println!("\n({url} failed)"),
        });
        (name, tell.layer(provider))
    });
    let provider = Layered::new(
        Servers::failover(servers)?.first_event_timeout(PATIENCE).idle_timeout(PATIENCE),
        primary,
    );

    let request = CompletionRequest::new([Message::user("Count from one to five.")]);
    // Here the second server may still be asked: nothing was shown.
    let mut stream = provider.stream(&request).await?;
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Content(text)) => print!("{text}"),
            Ok(_) => {}
            // Not here: another server would begin from the start, and with other words.
            Err(error) => {
                let kept = error.partial().map(Response::text).unwrap_or_default();
                println!("(broke off after {kept:?})");
                return Err(error.into());
            }
        }
    }
    Ok(())
}

// Against real servers:
// OA_BASE_URLS=http://near:8000,http://far:8000 OA_MODEL=my-model cargo run -p oa-examples --example failover
