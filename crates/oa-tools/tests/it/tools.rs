//! Functions as tools: arguments, results, failures.

use oa_tools::{FunctionTool, ToolCallExt, ToolError, ToolExt, ToolFailure, ToolSet};
use oa_wire::{Category, Message, Tool, ToolArguments, ToolCall};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// Waits, and says so.
#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Wait {
    /// How long, in seconds.
    seconds: u8,
    note: Option<String>,
}

#[derive(Serialize)]
struct Waited {
    waited: u8,
}

async fn wait(arguments: Wait) -> Result<Waited, ToolError> {
    sleep(Duration::from_secs(arguments.seconds.into())).await;
    match arguments.seconds {
        13 => Err(ToolError::new("13 is unlucky; wait for another time")),
        14 => panic!("a secret of the program"),
        seconds => Ok(Waited { waited: seconds }),
    }
}

fn tools() -> ToolSet {
    let echo = FunctionTool::new("echo", |text: Echo| async move { Ok(text.text) }).unwrap();
    let quick = FunctionTool::new("quick", wait).unwrap().with_time_limit(Duration::from_secs(2));
    ToolSet::new([FunctionTool::new("wait", wait).unwrap(), echo, quick]).unwrap()
}

#[derive(Deserialize, JsonSchema)]
struct Echo {
    text: String,
}

fn call(id: &str, name: &str, arguments: &str) -> ToolCall {
    ToolCall::new(id, name, ToolArguments::parse(arguments))
}

#[test]
fn a_tool_is_made_of_a_type() {
    let tools = tools();
    let tool = tools.definitions().get("wait").unwrap();
    assert_eq!(tool.description(), Some("Waits, and says so."));
    assert!(tool.is_strict());
    let text = tool.parameters().unwrap().as_json();
    assert!(text.find("seconds").unwrap() < text.find("note").unwrap(), "{text}");
    let open = Tool::of::<BTreeMap<String, serde_json::Value>>("open").unwrap();
    assert!(!open.is_strict());
}

#[test]
fn a_name_twice_and_a_blank_one_are_refused() {
    let echo = || FunctionTool::new("echo", |text: Echo| async move { Ok(text.text) }).unwrap();
    let error = ToolSet::new([echo(), echo()]).unwrap_err();
    assert_eq!(error.category(), Category::InvalidRequest);
    assert!(error.message().contains("tools[1].name: `echo` is already the name of another tool"), "{error}");
    assert!(FunctionTool::new("", |text: Echo| async move { Ok(text.text) }).is_err());
}

#[test]
fn an_image_in_a_system_message_is_refused_with_the_reason() {
    let message = json!({"role": "system", "content": [
        {"type": "image", "source": {"type": "url", "url": "http://example.com/a.png"}}]});
    let error = serde_json::from_value::<Message>(message).unwrap_err().to_string();
    assert!(error.contains("system") && error.contains("image"), "{error}");
}

#[test]
fn arguments_are_a_value_or_say_why_not() {
    let wait = |arguments: &str| {
        call("1", "wait", arguments).arguments_as::<Wait>().map_err(|error| error.to_string())
    };
    assert_eq!(wait(r#"{"seconds": 3, "note": null}"#).unwrap(), Wait { seconds: 3, note: None });
    assert_eq!(wait(r#"{"seconds": 3}"#).unwrap(), Wait { seconds: 3, note: None });
    for (arguments, text) in [
        (r#"{"seconds": "three"}"#, "the arguments are invalid at /seconds: "),
        (r#"{"seconds": 300}"#, "the arguments are invalid at /seconds: "),
        ("{}", "the arguments are invalid at the root: "),
        (r#"{"seconds": 3"#, "the arguments cannot be read: not JSON"),
        ("[3]", "the arguments cannot be read: expected an object, got an array"),
    ] {
        let error = wait(arguments).unwrap_err();
        assert!(error.starts_with(text), "{arguments}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_run_at_once_and_results_come_in_order() {
    let calls = [
        call("a", "wait", r#"{"seconds": 20}"#),
        call("b", "echo", r#"{"text": "hi"}"#),
        call("c", "wait", r#"{"seconds": 10, "note": "n"}"#),
    ];
    let started = Instant::now();
    let results = tools().run(&calls).await;
    assert_eq!(started.elapsed(), Duration::from_secs(20));
    let contents: Vec<_> =
        results.iter().map(|result| (result.call_id.as_str(), result.content.as_str())).collect();
    assert_eq!(contents, [("a", r#"{"waited":20}"#), ("b", "hi"), ("c", r#"{"waited":10}"#)]);
    assert_eq!(results[2].elapsed, Duration::from_secs(10));
    assert_eq!(results[1].to_message(), Message::tool("b", "hi"));
    assert!(results.iter().all(|result| result.failure.is_none()));
}

#[tokio::test(start_paused = true)]
async fn every_failure_is_a_result_that_tells_the_model_what_to_do() {
    let long = "x".repeat(1000);
    let cases = [
        (
            call("1", "wait", r#"{"seconds": 13}"#),
            ToolFailure::Failed,
            "error: 13 is unlucky; wait for another time",
        ),
        (
            call("2", "wait", r#"{"seconds": 14}"#),
            ToolFailure::Panicked,
            "error: `wait` failed unexpectedly. The same call would fail again.",
        ),
        (
            call("3", "wait", r#"{"seconds": 200}"#),
            ToolFailure::TimedOut,
            "error: `wait` did not finish within 60s.",
        ),
        (
            call("4", "quick", r#"{"seconds": 3}"#),
            ToolFailure::TimedOut,
            "error: `quick` did not finish within 2s.",
        ),
        (
            call("5", "wait", r#"{"seconds": -1}"#),
            ToolFailure::InvalidArguments,
            "error: the arguments are invalid at /seconds: ",
        ),
        (
            call("6", "wait", "{"),
            ToolFailure::InvalidArguments,
            "error: the arguments cannot be read: not JSON",
        ),
        (
            call("7", "sleep", "{}"),
            ToolFailure::UnknownTool,
            "error: there is no tool `sleep`. Call one of `wait`, `echo`, `quick`, or answer without one.",
        ),
        (call("8", &long, "{}"), ToolFailure::UnknownTool, "error: there is no tool `xxx"),
    ];
    let calls: Vec<_> = cases.iter().map(|(call, ..)| call.clone()).collect();
    let results = tools().run(&calls).await;
    for (result, (call, failure, text)) in results.iter().zip(&cases) {
        assert_eq!((&result.call_id, result.failure), (&call.id, Some(*failure)), "{}", result.content);
        assert!(result.content.starts_with(text), "{}", result.content);
        assert!(!result.content.contains("secret") && result.content.len() < 300, "{}", result.content);
    }
    assert!(results[4].content.ends_with("Call `wait` again with arguments that satisfy its schema."));
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_run_than_allowed() {
    let calls = ["1", "2", "3", "4"].map(|id| call(id, "wait", r#"{"seconds": 10}"#));
    let started = Instant::now();
    assert_eq!(tools().with_max_concurrent(2).run(&calls).await.len(), 4);
    assert_eq!(started.elapsed(), Duration::from_secs(20));
}
