//! The span of a tool that runs.

use oa_tools::{FunctionTool, ToolSet};
use oa_wire::{ToolArguments, ToolCall};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{Arc, Mutex},
};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// Echoes.
#[derive(Deserialize, JsonSchema)]
struct Echo {
    text: String,
}

type Fields = BTreeMap<&'static str, String>;

/// The fields of each span, in the order of the spans' beginnings.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<BTreeMap<u64, Fields>>>);

struct Fill<'a>(&'a mut Fields);

impl Visit for Fill<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber> Layer<S> for Captured {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut spans = self.0.lock().unwrap();
        let fields = spans.entry(id.into_u64()).or_default();
        fields.insert("name", attributes.metadata().name().to_owned());
        attributes.record(&mut Fill(fields));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut Fill(self.0.lock().unwrap().entry(id.into_u64()).or_default()));
    }
}

async fn spans(payload: bool, calls: &[ToolCall]) -> Vec<Fields> {
    let echo = FunctionTool::new("echo", |echo: Echo| async move { Ok(echo.text) }).unwrap();
    let tools = ToolSet::new([echo]).unwrap().with_payload(payload);
    let captured = Captured::default();
    let subscriber = tracing_subscriber::registry().with(captured.clone());
    tools.run(calls).with_subscriber(subscriber).await;
    let spans = captured.0.lock().unwrap();
    spans.values().cloned().collect()
}

fn call(name: &str, arguments: &str) -> ToolCall {
    ToolCall::new("call_1", name, ToolArguments::parse(arguments))
}

#[tokio::test]
async fn a_call_is_a_span_with_the_conventions_attributes() {
    let spans = spans(false, &[call("echo", r#"{"text": "a secret"}"#)]).await;
    let expected = [
        ("gen_ai.operation.name", "execute_tool"),
        ("gen_ai.tool.call.id", "call_1"),
        ("gen_ai.tool.description", "Echoes."),
        ("gen_ai.tool.name", "echo"),
        ("gen_ai.tool.type", "function"),
        ("name", "execute_tool"),
        ("otel.kind", "internal"),
        ("otel.name", "execute_tool echo"),
        ("otel.status_code", "OK"),
    ];
    assert_eq!(spans, [expected.map(|(name, value)| (name, value.to_owned())).into()]);
}

#[tokio::test]
async fn a_failure_has_its_type_and_payload_is_a_choice() {
    let unknown = "x".repeat(50);
    let calls = [call("echo", r#"{"text": 7}"#), call(&unknown, "{}"), call("echo", r#"{"text": "hi"}"#)];
    let spans = spans(true, &calls).await;
    let types: Vec<_> = spans.iter().map(|span| span.get("error.type").map(String::as_str)).collect();
    assert_eq!(types, [Some("invalid_arguments"), Some("unknown_tool"), None]);
    // The model's own names are no dimension.
    assert_eq!(
        (spans[1]["gen_ai.tool.name"].as_str(), spans[1]["otel.status_code"].as_str()),
        ("unknown", "ERROR")
    );
    assert_eq!(spans[2]["gen_ai.tool.call.arguments"], r#"{"text":"hi"}"#);
    assert_eq!(spans[2]["gen_ai.tool.call.result"], "hi");
}

#[tokio::test]
async fn a_long_payload_is_cut_at_a_character() {
    let text = "é".repeat(40_000);
    let spans = spans(true, &[call("echo", &format!(r#"{{"text": "{text}"}}"#))]).await;
    let result = &spans[0]["gen_ai.tool.call.result"];
    assert!(
        result.len() <= 64 * 1024 && result.ends_with("…[truncated, 80000 bytes total]"),
        "{}",
        result.len()
    );
}
