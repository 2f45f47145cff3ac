//! The layers around the real provider, over real sockets of this machine.

use oa_middleware::{AttemptLog, Backoff, CollectStream, RetryPolicy, Servers, Stack};
use oa_provider::{Layered, OpenAiProvider, Provider};
use oa_sim::{Answer, Piece, Sim};
use oa_wire::{Category, Completion, CompletionRequest, Error, Message};
use serde_json::json;
use std::{error::Error as StdError, time::Duration};
use tower::ServiceExt;

type Done = Result<(), Box<dyn StdError>>;

fn provider(sim: &Sim) -> Result<OpenAiProvider, Error> {
    OpenAiProvider::builder(sim.base_url(), "oa-sim").build()
}

fn request() -> CompletionRequest {
    CompletionRequest::new([Message::user("Hello!")])
}

fn loading() -> Answer {
    Answer::json(
        503,
        json!({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
    )
}

fn stack(provider: &OpenAiProvider) -> Stack {
    Stack::new(provider.profile()).retry(RetryPolicy::new().backoff(Backoff::fixed(Duration::ZERO)))
}

#[tokio::test]
async fn a_loading_server_is_retried() -> Done {
    let sim = Sim::builder().script([loading(), Answer::generated()]).start().await?;
    let provider = provider(&sim)?;
    let provider = Layered::new(stack(&provider).layer(provider.clone()), provider);
    provider.complete(&request()).await?;
    assert_eq!(sim.requests().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_collected_stream_that_is_cut_off_is_retried() -> Done {
    let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"par\"}}]}\n\n";
    let cut = Answer::stream([Piece::from(chunk), Piece::Cut]);
    let sim = Sim::builder().script([cut, Answer::generated()]).start().await?;
    let provider = provider(&sim)?;
    let mut request = request().with_stream(true);
    request.extensions.insert(CollectStream::new());
    let answer = stack(&provider).layer(provider).oneshot(request).await?;
    assert!(matches!(answer, Completion::Response(_)));
    assert_eq!(sim.requests().len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_dead_server_is_passed_over_and_the_log_tells() -> Done {
    let gone = Sim::start().await?;
    let dead = provider(&gone)?;
    drop(gone);
    let sim = Sim::start().await?;
    let alive = provider(&sim)?;
    let servers = Servers::failover([("dead", dead), ("alive", alive)])?
        .probe(|provider: OpenAiProvider| async move { provider.ready().await });
    let log = AttemptLog::default();
    let mut request = request();
    request.extensions.insert(log.clone());
    servers.oneshot(request).await?;
    let attempts = log.attempts();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].category, Some(Category::Unavailable));
    assert_eq!(attempts[0].server.as_deref(), Some("dead"));
    assert_eq!(attempts[0].reason, "failed over");
    Ok(())
}

type Make = fn([(&'static str, OpenAiProvider); 2]) -> Result<Servers<OpenAiProvider>, Error>;

#[tokio::test]
async fn a_hung_server_is_left_for_a_good_one_whatever_it_does() -> Done {
    let first = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"par\"}}]}\n\n";
    let hanging = [
        ("accepts and hangs", Answer::stall()),
        ("sends the head and hangs", Answer::stream([Piece::Stall])),
        ("stops in the middle", Answer::stream([Piece::from(first), Piece::Stall])),
    ];
    let policies: [Make; 3] = [Servers::failover, Servers::balance, Servers::affinity];
    for (way, answer) in hanging {
        for (policy, make) in policies.into_iter().enumerate() {
            let hung = Sim::builder().script([answer.clone().forever()]).start().await?;
            let good = Sim::start().await?;
            let servers = make([("hung", provider(&hung)?), ("good", provider(&good)?)])?.seed(1);
            let limit = Duration::from_millis(150);
            let service =
                stack(&provider(&good)?).first_event_timeout(limit).idle_timeout(limit).layer(servers);
            for call in 0..8 {
                let mut request = request().with_stream(true);
                request.extensions.insert(CollectStream::new());
                let answer = service.clone().oneshot(request).await;
                assert!(answer.is_ok(), "{way}, policy {policy}, call {call}: {:?}", answer.err());
            }
            let to_hung = hung.requests().len();
            assert!(to_hung <= 3, "{way}, policy {policy}: {to_hung} requests to the hung one");
        }
    }
    Ok(())
}
