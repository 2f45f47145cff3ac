//! The loop: rounds, steps, cancellation, streams.

use crate::support::{hello, scripted, sim};
use oa_sim::{Answer, Piece};
use oa_tools::{FunctionTool, Step, ToolFailure, ToolLoop, ToolSet};
use oa_wire::{Category, CompletionRequest, Event, Message};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::time::{sleep, timeout};

#[derive(Deserialize, JsonSchema)]
struct GetWeather {
    city: String,
}

fn tools() -> ToolSet {
    let weather = |arguments: GetWeather| async move { Ok(format!("Rain in {}.", arguments.city)) };
    ToolSet::new([FunctionTool::new("get_weather", weather).unwrap()]).unwrap()
}

const PARIS: &str = r#"{"city": "Paris"}"#;

#[tokio::test]
async fn the_model_is_asked_until_it_answers_and_each_step_is_seen() {
    let (sim, provider) = scripted([
        Answer::tool_call("get_weather", PARIS),
        Answer::tool_call("get_weather", r#"{"town": "Paris"}"#),
        Answer::tool_call("get_rain", "{"),
        Answer::completion("It rains."),
    ])
    .await;
    let mut steps = ToolLoop::new(provider.clone(), tools(), hello());
    let mut seen = Vec::new();
    while let Some(step) = steps.next().await.unwrap() {
        match step {
            Step::ToolCalls(response) => seen.push(format!("calls {}", response.message.tool_calls[0].name)),
            Step::ToolResults(results) => seen.push(format!("{:?}", results[0].failure)),
            Step::Answer(response) => seen.push(response.text().into_owned()),
            step => panic!("{step:?}"),
        }
    }
    let failed = |failure| format!("{:?}", Some(failure));
    let expected = [
        "calls get_weather".to_owned(),
        "None".to_owned(),
        "calls get_weather".to_owned(),
        failed(ToolFailure::InvalidArguments),
        "calls get_rain".to_owned(),
        failed(ToolFailure::UnknownTool),
        "It rains.".to_owned(),
    ];
    assert_eq!(seen, expected);
    assert!(steps.next().await.unwrap().is_none());
    assert_eq!(steps.rounds(), 4);
    assert_eq!(steps.request().messages().last(), Some(&Message::assistant("It rains.")));
    let sent = sim.last_request().unwrap().json();
    let messages = sent["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 7);
    assert_eq!(messages[2], json!({"role": "tool", "tool_call_id": "call_sim", "content": "Rain in Paris."}));
    // What is no object is not sent back: servers refuse it.
    assert_eq!(messages[5]["tool_calls"][0]["function"]["arguments"], "{}");
}

#[tokio::test]
async fn rounds_are_bounded() {
    let (sim, provider) = scripted([Answer::tool_call("get_weather", PARIS).forever()]).await;
    let error = ToolLoop::new(provider.clone(), tools(), hello()).with_max_rounds(3).run().await.unwrap_err();
    assert_eq!(error.category(), Category::InvalidResponse);
    assert!(error.message().contains("3 rounds"), "{error}");
    assert_eq!(sim.requests().len(), 3);
}

#[tokio::test]
async fn a_stream_is_seen_event_by_event() {
    let (_sim, provider) = scripted([
        Answer::streamed_tool_call("get_weather", [r#"{"city": "#, r#""Paris"}"#]),
        Answer::streamed(["It ", "rains."]),
    ])
    .await;
    let mut steps = ToolLoop::new(provider.clone(), tools(), hello().with_stream(true));
    let (mut text, mut kinds) = (String::new(), Vec::new());
    while let Some(step) = steps.next().await.unwrap() {
        match step {
            Step::Event(Event::Content(delta)) => text.push_str(&delta),
            Step::Event(Event::Done(_)) => panic!("not the end of one round"),
            Step::Event(_) => {}
            Step::ToolCalls(_) => kinds.push("calls"),
            Step::ToolResults(_) => kinds.push("results"),
            Step::Answer(response) => {
                assert_eq!(response.text(), text);
                kinds.push("answer");
            }
            step => panic!("{step:?}"),
        }
    }
    assert_eq!((text.as_str(), &kinds[..]), ("It rains.", &["calls", "results", "answer"][..]));
}

#[tokio::test]
async fn a_step_that_was_cancelled_begins_again() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let slow = |arguments: GetWeather| async move {
        // The first run does not come to its end.
        if RUNS.fetch_add(1, Ordering::Relaxed) == 0 {
            sleep(Duration::from_secs(3600)).await;
        }
        Ok(arguments.city)
    };
    let tools = ToolSet::new([FunctionTool::new("get_weather", slow).unwrap()]).unwrap();
    let (_sim, provider) =
        scripted([Answer::tool_call("get_weather", PARIS), Answer::completion("Done.")]).await;
    let mut steps = ToolLoop::new(provider.clone(), tools, hello());
    assert!(matches!(steps.next().await.unwrap(), Some(Step::ToolCalls(_))));
    assert!(timeout(Duration::from_millis(1), steps.next()).await.is_err());
    match steps.next().await.unwrap() {
        Some(Step::ToolResults(results)) => assert_eq!(results[0].content, "Paris"),
        step => panic!("{step:?}"),
    }
    assert_eq!(RUNS.load(Ordering::Relaxed), 2);
    assert_eq!(steps.run().await.unwrap().text(), "Done.");
}

#[tokio::test]
async fn a_loop_that_is_dropped_ends_its_request() {
    let pieces = [Piece::from("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"), Piece::Stall];
    let (sim, provider) = scripted([Answer::stream(pieces)]).await;
    let mut steps = ToolLoop::new(provider.clone(), tools(), hello().with_stream(true));
    assert!(matches!(steps.next().await.unwrap(), Some(Step::Event(_))));
    drop(steps);
    sim.wait_for(|stats| stats.client_left == 1).await;
}

#[tokio::test]
async fn the_simulators_model_is_answered() {
    let (sim, provider) = sim().await;
    let request = CompletionRequest::new("Call get_weather, please.");
    let response = ToolLoop::new(provider.clone(), tools(), request).run().await.unwrap();
    assert!(response.text().contains("Rain in"), "{}", response.text());
    assert_eq!(sim.requests().len(), 2);
}
