//! Replicas of one model as one server: a conversation stays where its prefix is cached, and a call goes on
//! to another replica where its own fails or hangs.
//!
//! `OA_BASE_URLS=http://a:8000,http://b:8000 OA_MODEL=m cargo run -p oa-examples --example replicas -- 64`

mod server;

use futures_util::{StreamExt, stream};
use oa_middleware::{AttemptLog, BreakerPolicy, Servers, Stack};
use oa_provider::{Layered, OpenAiProvider, Provider};
use oa_wire::{CompletionRequest, Error, Message};
use std::time::Duration;

const CALLERS: usize = 16;
/// Longer than the longest prefill, and than the longest whole answer of a call that does not stream.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let calls: usize = std::env::args().nth(1).map_or(Ok(64), |number| number.parse())?;
    let (replicas, _simulators) = server::providers(3)?;
    let provider = balanced(replicas)?;

    let ask = async |call: usize| {
        // A call that succeeds in the end tells of its failures only where it is asked to.
        let log = AttemptLog::default();
        let mut request = CompletionRequest::new([Message::user(format!("What is {call} plus one?"))]);
        request.extensions.insert(log.clone());
        (call, provider.complete(&request).await, log.attempts())
    };
    let mut answers = std::pin::pin!(stream::iter(0..calls).map(ask).buffer_unordered(CALLERS));
    let (mut answered, mut helped) = (0, 0);
    while let Some((call, answer, failures)) = answers.next().await {
        for attempt in &failures {
            let server = attempt.server.as_deref().unwrap_or("?");
            println!("call {call}: {server}: {} ({})", attempt.message, attempt.reason);
        }
        match answer {
            Ok(_) => {
                answered += 1;
                helped += usize::from(!failures.is_empty());
            }
            Err(error) => println!("call {call}: {error}"),
        }
    }
    println!("{calls} calls: {answered} answered, {helped} of them by more than one attempt");
    Ok(())
}

/// One provider of them all.
fn balanced(replicas: Vec<(String, OpenAiProvider)>) -> Result<impl Provider, Error> {
    let any = replicas[0].1.clone(); // for the model's name
    let servers = Servers::affinity(replicas)?
        .on_change(|change| println!("{change:?}"))
        // After three failures in a row a replica is out of rotation for two seconds; then `ready` decides.
        .breaker(BreakerPolicy::new().open_for(Duration::from_secs(2)))
        .probe(|replica: OpenAiProvider| async move { replica.ready().await });
    // A call changes replicas at once; only where that does not help, the stack's retry waits. The limits of
    // the stack hold for each replica: one that hangs has failed after five seconds.
    let stack = Stack::new(any.profile()).first_event_timeout(PATIENCE).idle_timeout(PATIENCE);
    Ok(Layered::new(stack.layer(servers), any))
}

// Against real servers:
// OA_BASE_URLS=http://a:8000,http://b:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example replicas -- 64
