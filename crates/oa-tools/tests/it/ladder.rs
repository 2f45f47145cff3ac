//! The ladder of schema modes at servers that refuse or ignore some.

use crate::support::{hello, provider};
use oa_provider::{Layered, OpenAiProvider, Provider};
use oa_sim::{Answer, Sim};
use oa_tools::{ProviderExt, SchemaLadder, SchemaLadderLayer};
use oa_wire::{Category, SchemaMode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use tower_layer::Layer;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Point {
    x: i8,
    y: i8,
}

const POINT: &str = r#"{"x": 1, "y": 2}"#;

fn laddered(sim: &Sim) -> Layered<SchemaLadder<OpenAiProvider>, OpenAiProvider> {
    let provider = provider(sim);
    Layered::new(SchemaLadderLayer::new().layer(provider.clone()), provider)
}

/// How a request puts its schema.
fn mode_of(body: &Value) -> SchemaMode {
    let is_prompt = || body["messages"][0]["role"] == "system";
    [
        (SchemaMode::ResponseFormat, body.get("response_format").is_some()),
        (SchemaMode::StructuredOutputs, body.get("structured_outputs").is_some()),
        (SchemaMode::JsonSchema, body.get("json_schema").is_some()),
        (SchemaMode::ForcedTool, body.get("tools").is_some()),
        (SchemaMode::Prompt, is_prompt()),
    ]
    .into_iter()
    .find_map(|(mode, is)| is.then_some(mode))
    .unwrap()
}

/// A server that takes the schema in one way.
async fn server(
    accepted: SchemaMode,
    otherwise: impl Fn(SchemaMode) -> Answer + Send + Sync + 'static,
) -> Sim {
    let handler = move |request: &oa_sim::Recorded| {
        let mode = mode_of(&request.json());
        Some(match mode {
            mode if mode != accepted => otherwise(mode),
            SchemaMode::ForcedTool => Answer::tool_call("Point", POINT),
            _ if request.json()["stream"] == true => Answer::streamed([POINT]),
            _ => Answer::completion(POINT),
        })
    };
    Sim::builder().handler(handler).start().await.unwrap()
}

fn refuse(mode: SchemaMode) -> Answer {
    match mode {
        SchemaMode::ForcedTool => Answer::error(400, "tool_choice is not supported by this model"),
        mode => Answer::error(400, format!("Extra inputs are not permitted: {mode} (structured output)")),
    }
}

const ALL: [SchemaMode; 5] = [
    SchemaMode::ResponseFormat,
    SchemaMode::StructuredOutputs,
    SchemaMode::JsonSchema,
    SchemaMode::ForcedTool,
    SchemaMode::Prompt,
];

#[tokio::test]
async fn the_first_way_that_is_accepted_is_remembered() {
    for (at, mode) in ALL.into_iter().enumerate() {
        let sim = server(mode, refuse).await;
        let provider = laddered(&sim);
        for _ in 0..2 {
            let answer = provider.complete_as::<Point>(&hello()).await.unwrap();
            assert_eq!((answer.value, answer.response.schema_mode), (Point { x: 1, y: 2 }, Some(mode)));
        }
        let tried: Vec<_> = sim.requests().iter().map(|request| mode_of(&request.json())).collect();
        let expected: Vec<_> = ALL[..=at].iter().copied().chain([mode]).collect();
        assert_eq!(tried, expected);
        assert_eq!(provider.with_service(SchemaLadder::schema_mode).await, Some(mode));
    }
}

#[tokio::test]
async fn a_stream_learns_from_a_refusal_too() {
    let sim = server(SchemaMode::JsonSchema, refuse).await;
    let provider = laddered(&sim);
    let stream = provider.stream_as::<Point>(&hello()).await.unwrap();
    assert_eq!(stream.finish().await.unwrap().value, Point { x: 1, y: 2 });
    assert_eq!(provider.with_service(SchemaLadder::schema_mode).await, Some(SchemaMode::JsonSchema));
}

#[tokio::test]
async fn a_server_that_ignores_the_schema_is_asked_in_another_way() {
    let sim = server(SchemaMode::Prompt, |_| Answer::completion("Sure! It is at (1, 2).")).await;
    let provider = laddered(&sim);
    assert_eq!(provider.complete_as::<Point>(&hello()).await.unwrap().value, Point { x: 1, y: 2 });
    assert_eq!(provider.with_service(SchemaLadder::schema_mode).await, Some(SchemaMode::Prompt));
}

#[tokio::test]
async fn other_failures_are_no_refusals() {
    let cases = [
        Answer::error(400, "temperature must be at most 2"),
        Answer::error(401, "no json_schema for you"),
        Answer::error(503, "json_schema workers are busy"),
        Answer::completion(r#"{"x": 1}"#),
    ];
    for answer in cases {
        let sim = Sim::builder().script([answer]).start().await.unwrap();
        assert!(laddered(&sim).complete_as::<Point>(&hello()).await.is_err());
        assert_eq!(sim.requests().len(), 1);
    }
}

#[tokio::test]
async fn where_no_way_is_accepted_the_first_error_is_returned_and_nothing_is_learnt() {
    let sim = Sim::builder()
        .handler(|request: &oa_sim::Recorded| Some(refuse(mode_of(&request.json()))))
        .start()
        .await
        .unwrap();
    let provider = laddered(&sim);
    let error = provider.complete_as::<Point>(&hello()).await.unwrap_err();
    assert!(
        error.category() == Category::InvalidRequest && error.message().contains("response_format"),
        "{error}"
    );
    assert_eq!(provider.with_service(SchemaLadder::schema_mode).await, Some(SchemaMode::ResponseFormat));
}

#[tokio::test]
async fn an_explicit_way_and_a_request_without_a_schema_pass() {
    let sim = server(SchemaMode::Prompt, refuse).await;
    let provider = laddered(&sim);
    let explicit = hello().with_schema_mode(SchemaMode::ForcedTool);
    assert!(provider.complete_as::<Point>(&explicit).await.is_err());
    assert_eq!(sim.requests().len(), 1);
    let plain = Sim::start().await.unwrap();
    assert_eq!(laddered(&plain).complete(&hello()).await.unwrap().schema_mode, None);
}
