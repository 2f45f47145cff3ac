//! Every named deviation of a server's stream gives what it should, over a socket, however it is cut.

use oa_provider::{OpenAiProvider, Provider};
use oa_sim::scripts::{self, Expected, ExpectedCall, ExpectedUsage, Script};
use oa_sim::{Answer, Sim};
use oa_wire::{Error, Event, Response};

use crate::support::*;

/// What came of a script: the texts of its events, and how it ended.
struct Outcome {
    streamed: String,
    end: Result<Response, Error>,
}

async fn play(provider: &OpenAiProvider) -> Outcome {
    let mut outcome = Outcome { streamed: String::new(), end: Err(Error::invalid_response("no end came")) };
    let mut stream = match provider.stream(&hello().with_tools(tools())).await {
        Ok(stream) => stream,
        Err(error) => return Outcome { end: Err(error), ..outcome },
    };
    while let Some(event) = stream.next().await {
        match event {
            Ok(Event::Content(text)) => outcome.streamed.push_str(&text),
            Ok(Event::Done(response)) => outcome.end = Ok(*response),
            Ok(_) => {}
            Err(error) => outcome.end = Err(error),
        }
    }
    outcome
}

fn check(name: &str, expected: &Expected, outcome: &Outcome) {
    let nothing = Response::new(oa_wire::AssistantMessage::default(), oa_wire::FinishReason::Error);
    let response = match (&expected.error, &outcome.end) {
        (None, Ok(response)) => response,
        (Some(wanted), Err(error)) => {
            assert_eq!(error.category().as_str(), wanted.category, "{name}: {error}");
            assert_eq!(error.is_transient(), wanted.transient, "{name}: {error}");
            assert!(error.message().contains(wanted.mentions), "{name}: {error}");
            error.partial().unwrap_or(&nothing)
        }
        (_, end) => panic!("{name}: expected {expected:?}, got {end:?}"),
    };
    assert_eq!(response.text(), expected.text, "{name}");
    assert_eq!(outcome.streamed, expected.text, "{name}");
    assert_eq!(response.message.reasoning().unwrap_or_default(), expected.reasoning, "{name}");
    let reason = if expected.finish_reason.is_empty() { "error" } else { expected.finish_reason };
    assert_eq!(response.finish_reason.as_str(), reason, "{name}");
    let usage = response.usage;
    let found = [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cached_tokens];
    let ExpectedUsage { prompt_tokens, completion_tokens, total_tokens, cached_tokens, .. } = expected.usage;
    assert_eq!(found, [prompt_tokens, completion_tokens, total_tokens, cached_tokens], "{name}");
    check_calls(name, &expected.tool_calls, response);
}

fn check_calls(name: &str, expected: &[ExpectedCall], response: &Response) {
    let calls = &response.message.tool_calls;
    assert_eq!(calls.len(), expected.len(), "{name}: {calls:?}");
    for (call, wanted) in calls.iter().zip(expected) {
        assert_eq!((!call.id_is_local).then_some(call.id.as_str()), wanted.id, "{name}");
        assert_eq!(call.name, wanted.name, "{name}");
        let arguments = wanted.arguments.as_ref().map(|value| value.as_object().unwrap());
        assert_eq!(call.arguments.as_object(), arguments, "{name}");
    }
}

async fn play_all(recut: impl Fn(Answer) -> Answer) {
    let ending = scripts::all().into_iter().filter(|script| !never_ends(script));
    for script in ending {
        let (_sim, provider) = scripted([recut(script.answer)]).await;
        let outcome = soon(play(&provider)).await;
        check(script.name, &script.expected, &outcome);
    }
}

/// Only a time limit ends these, and a provider sets none.
fn never_ends(script: &Script) -> bool {
    script.stalls() && script.expected.error.is_some()
}

#[tokio::test]
async fn as_they_are() {
    play_all(|answer| answer).await;
}

#[tokio::test]
async fn cut_every_byte() {
    // A quarter of a million writes of one byte would show nothing that its shorter fellows do not.
    play_all(|answer| if answer.body_bytes().len() > 100_000 { answer } else { answer.split_every(1) }).await;
}

#[tokio::test]
async fn cut_every_seven_bytes() {
    play_all(|answer| answer.split_every(7)).await;
}

#[tokio::test]
async fn those_without_an_end_give_what_they_have_and_end_when_dropped() {
    let mut played = Vec::new();
    for script in scripts::all().into_iter().filter(never_ends) {
        let sim = Sim::builder().script([script.answer]).start().await.unwrap();
        let provider = provider(&sim);
        let wanted = script.expected.text;
        let call = tokio::spawn(async move {
            let mut stream = provider.stream(&hello()).await.unwrap();
            while stream.snapshot().text() != wanted {
                stream.next().await.unwrap().unwrap();
            }
            stream
        });
        soon(sim.wait_for(|stats| stats.requests == 1)).await;
        if script.name == "stall" {
            drop(soon(call).await.unwrap());
        } else {
            call.abort();
        }
        soon(sim.closed_by_client()).await;
        played.push(script.name);
    }
    assert_eq!(played, ["stall", "stall_after_head", "stall_before_head"]);
}
