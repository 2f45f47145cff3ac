//! The span as a subscriber sees it.

use super::*;
use crate::{
    Servers,
    testing::{Script, Step, request, response, structured_failure},
};
use oa_wire::{Completion, Message, RuntimeConfig, ToolCall};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};
use tower::ServiceExt;
use tower_layer::Layer as _;
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*, registry::LookupSpan};

/// The spans that a subscriber has seen, in the order of their opening.
#[derive(Clone, Default)]
pub(crate) struct Spans(Arc<Mutex<Vec<Seen>>>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    /// The place of the span that it is inside of.
    pub(crate) parent: Option<usize>,
    pub(crate) fields: BTreeMap<&'static str, Value>,
    pub(crate) events: Vec<(&'static str, BTreeMap<&'static str, Value>)>,
    pub(crate) closed: bool,
}

impl Spans {
    /// Listens in this thread while the guard lives.
    pub(crate) fn listen() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
        (spans, guard)
    }

    pub(crate) fn get(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.0.lock().unwrap()
    }
}

struct Place(usize);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let parent = span.parent().and_then(|parent| Some(parent.extensions().get::<Place>()?.0));
        let mut seen = Seen { name: attributes.metadata().name(), parent, ..Seen::default() };
        attributes.record(&mut Fields(&mut seen.fields));
        let mut spans = self.lock();
        span.extensions_mut().insert(Place(spans.len()));
        spans.push(seen);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let place = context.span(id).unwrap().extensions().get::<Place>().unwrap().0;
        values.record(&mut Fields(&mut self.lock()[place].fields));
    }

    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        let place = context.event_span(event).unwrap().extensions().get::<Place>().unwrap().0;
        self.lock()[place].events.push((event.metadata().name(), fields));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let place = context.span(&id).unwrap().extensions().get::<Place>().unwrap().0;
        self.lock()[place].closed = true;
    }
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, Value>);

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // The name of a span is no attribute.
        assert_eq!(field.name(), "otel.name", "{field} is recorded as text: {value:?}");
        self.0.insert(field.name(), format!("{value:?}").into());
    }
}

fn layer() -> TraceLayer {
    TraceLayer::new(&Profile::new("my-model").with_genai_system("vllm"))
}

/// The one span of a call that is made and read to its end.
async fn traced(layer: TraceLayer, step: Step, request: CompletionRequest) -> Seen {
    let (spans, _guard) = Spans::listen();
    if let Ok(answer) = layer.layer(Script::new([step])).oneshot(request).await {
        drop(answer.into_response().await);
    }
    let [span] = <[Seen; 1]>::try_from(spans.get()).unwrap();
    assert!(span.closed);
    assert_eq!(span.name, "openarmature.llm.complete");
    span
}

fn all_set() -> RuntimeConfig {
    RuntimeConfig::new()
        .with_temperature(0.7)
        .with_max_tokens(256)
        .with_top_p(0.95)
        .with_seed(-42)
        .with_frequency_penalty(0.3)
        .with_presence_penalty(0.4)
        .with_stop_sequences(["END", "STOP"])
        .with_extra("top_k", 20)
}

#[tokio::test(start_paused = true)]
async fn a_call_has_the_contracts_attributes() {
    let request = request().with_config(all_set());
    let span = traced(layer(), Step::text("hello").after(2), request).await;
    let want = json!({
        "otel.kind": "client",
        "otel.status_code": "OK",
        "openarmature.llm.model": "my-model",
        "openarmature.llm.attempt_index": 0,
        "openarmature.llm.finish_reason": "stop",
        "openarmature.llm.usage.prompt_tokens": 7,
        "openarmature.llm.usage.completion_tokens": 5,
        "openarmature.llm.usage.total_tokens": 12,
        "openarmature.llm.tokens_per_second": 2.5,
        "gen_ai.system": "vllm",
        "gen_ai.request.model": "my-model",
        "gen_ai.request.temperature": 0.7,
        "gen_ai.request.max_tokens": 256,
        "gen_ai.request.top_p": 0.95,
        "gen_ai.request.seed": -42,
        "gen_ai.request.frequency_penalty": 0.3,
        "gen_ai.request.presence_penalty": 0.4,
        "gen_ai.request.stop_sequences": "[\"END\",\"STOP\"]",
        "gen_ai.response.model": "served-model",
        "gen_ai.response.id": "cc-1",
        "gen_ai.response.finish_reasons": "[\"stop\"]",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 5,
    });
    assert_eq!(json!(span.fields), want);
    assert!(span.events.is_empty());
}

#[tokio::test]
async fn without_gen_ai_only_ours_are_left() {
    let span = traced(layer().gen_ai(false), Step::text("hello"), request().with_config(all_set())).await;
    assert!(span.fields.keys().all(|name| !name.starts_with("gen_ai")), "{span:?}");
    assert_eq!(span.fields["openarmature.llm.finish_reason"], "stop");
}

#[tokio::test]
async fn without_spans_there_are_none() {
    let (spans, _guard) = Spans::listen();
    layer().spans(false).layer(Script::new([Step::text("a")])).oneshot(request()).await.unwrap();
    assert!(spans.get().is_empty());
}

#[tokio::test]
async fn payload_is_recorded_when_asked_for_and_cut() {
    let mut answer = response("hello");
    answer.message.tool_calls.push(ToolCall::new("call_a", "get_time", serde_json::Map::new()));
    let request = CompletionRequest::new([Message::user("x".repeat(1000))]).with_config(all_set());
    let span = traced(layer().payload(true).payload_limit(1), Step::answer(answer), request).await;
    assert_eq!(span.fields["openarmature.llm.output.content"], "hello");
    assert_eq!(span.fields["openarmature.llm.request.extras"], r#"{"top_k":20}"#);
    assert_eq!(
        span.fields["openarmature.llm.output.tool_calls"],
        r#"[{"arguments":{},"id":"call_a","name":"get_time"}]"#
    );
    assert_eq!(span.fields["openarmature.llm.output.tool_calls.count"], 1);
    assert_eq!(span.fields["openarmature.llm.output.tool_calls.names"], r#"["get_time"]"#);
    assert_eq!(span.fields["openarmature.llm.output.tool_calls.ids"], r#"["call_a"]"#);
    let messages = span.fields["openarmature.llm.input.messages"].as_str().unwrap();
    assert_eq!(messages.len(), 256);
    assert!(messages.ends_with("…[truncated, 1030 bytes total]"), "{messages}");
}

#[tokio::test]
async fn a_failure_has_its_category_and_what_is_known_of_the_answer() {
    for payload in [false, true] {
        let step = Step::error(structured_failure("canary"));
        let span = traced(layer().payload(payload), step, request()).await;
        assert_eq!(span.fields["openarmature.error.category"], "structured_output_invalid");
        assert_eq!(span.fields["otel.status_code"], "ERROR");
        assert_eq!(span.fields["otel.status_description"], "structured_output_invalid");
        assert_eq!(span.fields["openarmature.llm.finish_reason"], "stop");
        assert_eq!(span.fields["openarmature.llm.usage.total_tokens"], 36);
        let output = span.fields.get("openarmature.llm.output.content");
        assert_eq!(output, payload.then(|| json!("canary")).as_ref());
        assert_eq!(span.events[0].0, "exception");
        assert_eq!(span.events[0].1["exception.type"], "oa_wire::Error");
        assert!(payload || !format!("{span:?}").contains("canary"));
        let message = span.events[0].1["exception.message"].as_str().unwrap();
        assert_eq!(message == "the output does not satisfy the schema", !payload, "{message}");
    }
}

#[tokio::test]
async fn a_failure_without_an_answer_shows_none() {
    let error = Error::new(Category::Unavailable, "refused").with_request_id(Some("req-1".to_owned()));
    let span = traced(layer(), Step::error(error), request()).await;
    assert_eq!(span.events[0].1["exception.message"], "provider_unavailable: refused (request id req-1)");
    assert_eq!(span.fields["openarmature.llm.request_id"], "req-1");
    assert!(!span.fields.contains_key("openarmature.llm.finish_reason"));
    assert!(!span.fields.contains_key("openarmature.llm.usage.total_tokens"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_open_until_its_end() {
    let (spans, _guard) = Spans::listen();
    let service = layer().payload(true).layer(Script::new([Step::stream([(2, "a"), (10, "b")])]));
    let answer = service.oneshot(request().with_stream(true)).await.unwrap();
    assert!(!spans.get()[0].closed);
    answer.into_response().await.unwrap();
    let span = &spans.get()[0];
    assert!(span.closed);
    assert_eq!(span.fields["openarmature.llm.time_to_first_token"], 2.0);
    assert_eq!(span.fields["openarmature.llm.tokens_per_second"], 0.5);
    assert_eq!(span.fields["openarmature.llm.output.content"], "ab");
    assert_eq!(span.fields["otel.status_code"], "OK");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_is_a_failure() {
    let error = Error::new(Category::Unavailable, "cut off").with_partial(response("a"));
    let step = Step::broken_stream([(2, "a")], error);
    let span = traced(layer().payload(true), step, request().with_stream(true)).await;
    assert_eq!(span.fields["otel.status_code"], "ERROR");
    assert_eq!(span.fields["openarmature.llm.output.content"], "a");
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_is_marked_as_abandoned() {
    let (spans, _guard) = Spans::listen();
    let service =
        layer().payload(true).layer(Script::new([Step::stall(), Step::stream([(0, "a"), (9, "b")])]));
    let call = service.clone().oneshot(request());
    tokio::time::timeout(Duration::from_secs(1), call).await.unwrap_err();
    let answer = service.oneshot(request().with_stream(true)).await.unwrap();
    let Completion::Stream(mut stream) = answer else { panic!("no stream") };
    stream.next().await.unwrap().unwrap();
    drop(stream);
    for span in spans.get() {
        assert!(span.closed);
        assert_eq!(span.fields["openarmature.llm.abandoned"], true);
        assert!(!span.fields.contains_key("otel.status_code"));
        assert!(!span.fields.contains_key("openarmature.llm.finish_reason"));
    }
    assert_eq!(spans.get()[1].fields["openarmature.llm.output.content"], "a");
}

#[tokio::test]
async fn a_retry_says_which_it_is_and_why() {
    let mut request = request();
    let context = CallContext::of_mut(&mut request);
    (context.attempt, context.reason) = (2, Some(RetryReason::Reask));
    let span = traced(layer(), Step::text("a"), request).await;
    assert_eq!(span.fields["openarmature.llm.attempt_index"], 2);
    assert_eq!(span.fields["openarmature.llm.retry_reason"], "reask");
}

#[tokio::test(start_paused = true)]
async fn the_span_names_the_server_that_answered() {
    let (spans, _guard) = Spans::listen();
    let down = Step::error(Error::new(Category::Unavailable, "refused"));
    let servers = [("gpu1", Script::new([down])), ("gpu2", Script::new([Step::text("a")]))];
    layer().layer(Servers::failover(servers).unwrap()).oneshot(request()).await.unwrap();
    assert_eq!(spans.get()[0].fields["openarmature.llm.server"], "gpu2");
}
