//! The spans as OpenTelemetry gets them, through tracing-opentelemetry.

use oa_middleware::{Backoff, GenAiLayer, RetryPolicy, Servers, Stack, TraceLayer};
use oa_provider::OpenAiProvider;
use oa_sim::{Answer, Sim};
use oa_wire::{
    Category, Completion, CompletionRequest, Error, FinishReason, Message, Profile, Response, RuntimeConfig,
};
use opentelemetry::{
    Array, Value,
    trace::{SpanKind, Status, TracerProvider},
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::json;
use std::time::Duration;
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;
use tracing_subscriber::prelude::*;

async fn answer(request: CompletionRequest) -> Result<Completion, Error> {
    if request.config.max_tokens == Some(0) {
        return Err(Error::new(Category::RateLimit, "slow down").with_quota_spent(true));
    }
    let Message::Assistant(message) = Message::assistant("hello") else { unreachable!() };
    let mut response = Response::new(message, FinishReason::Stop);
    response.usage.prompt_tokens = Some(7);
    Ok(Completion::Response(Box::new(response)))
}

async fn exported(request: CompletionRequest) -> SpanData {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(otel));
    let _ = Stack::new(&Profile::new("m")).layer(service_fn(answer)).oneshot(request).await;
    let spans = exporter.get_finished_spans().expect("the exporter is not shut down");
    let [span] = <[SpanData; 1]>::try_from(spans).expect("one span");
    span
}

fn get<'a>(span: &'a SpanData, name: &str) -> &'a Value {
    let mut of_name = span.attributes.iter().filter(|attribute| attribute.key.as_str() == name);
    let value = &of_name.next().unwrap_or_else(|| panic!("no {name} in {span:?}")).value;
    assert!(of_name.next().is_none(), "{name} is there twice");
    value
}

#[tokio::test]
async fn attributes_have_their_types_and_lists_are_lists() {
    let config = RuntimeConfig::new().with_temperature(0.5).with_seed(3).with_stop_sequences(["END", "STOP"]);
    let span = exported(CompletionRequest::new([Message::user("hi")]).with_config(config)).await;
    assert_eq!(span.name, "openarmature.llm.complete");
    assert_eq!(span.span_kind, SpanKind::Client);
    assert_eq!(span.status, Status::Ok);
    let list =
        |items: &[&'static str]| Value::Array(Array::String(items.iter().map(|&item| item.into()).collect()));
    assert_eq!(get(&span, "gen_ai.request.stop_sequences"), &list(&["END", "STOP"]));
    assert_eq!(get(&span, "gen_ai.response.finish_reasons"), &list(&["stop"]));
    assert_eq!(get(&span, "openarmature.llm.attempt_index"), &Value::I64(0));
    assert_eq!(get(&span, "openarmature.llm.usage.prompt_tokens"), &Value::I64(7));
    assert_eq!(get(&span, "gen_ai.request.seed"), &Value::I64(3));
    assert_eq!(get(&span, "gen_ai.request.temperature"), &Value::F64(0.5));
}

#[tokio::test]
async fn a_failure_has_a_status_and_an_exception() {
    let config = RuntimeConfig::new().with_max_tokens(0);
    let span = exported(CompletionRequest::new([Message::user("hi")]).with_config(config)).await;
    assert_eq!(span.status, Status::error("provider_rate_limit"));
    let exception = &span.events[0];
    assert_eq!(exception.name, "exception");
    let message = exception.attributes.iter().find(|attribute| attribute.key.as_str() == "exception.message");
    assert_eq!(message.unwrap().value.as_str(), "provider_rate_limit: slow down (quota spent)");
}

#[tokio::test]
async fn a_call_is_a_span_around_its_attempts_whose_context_goes_out() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(otel));
    let loading = Answer::json(503, json!({"error": {"message": "Loading model", "code": 503}}));
    let sim = Sim::builder().script([loading, Answer::generated()]).start().await.unwrap();
    let server = OpenAiProvider::builder(sim.base_url(), "oa-sim").build().unwrap();
    let stack = Stack::new(server.profile())
        .gen_ai(GenAiLayer::new(server.profile()))
        .trace(|trace| trace.gen_ai(false).traceparent())
        .retry(RetryPolicy::new().backoff(Backoff::fixed(Duration::ZERO)));
    let servers = Servers::failover([(sim.base_url(), server)]).unwrap();
    stack.layer(servers).oneshot(CompletionRequest::new([Message::user("hi")])).await.unwrap();

    let spans = exporter.get_finished_spans().unwrap();
    let [first, second, whole] = <[SpanData; 3]>::try_from(spans).expect("three spans");
    assert_eq!(whole.name, "chat oa-sim");
    assert_eq!((&whole.span_kind, &whole.status), (&SpanKind::Client, &Status::Unset));
    assert_eq!(get(&whole, "gen_ai.operation.name").as_str(), "chat");
    assert_eq!(get(&whole, "server.address").as_str(), "127.0.0.1");
    assert!(matches!(get(&whole, "gen_ai.usage.input_tokens"), Value::I64(1..)));
    let sent = sim.requests();
    for (attempt, request) in [first, second].iter().zip(&sent) {
        assert_eq!(attempt.parent_span_id, whole.span_context.span_id());
        assert_eq!(get(attempt, "openarmature.llm.server").as_str(), sim.base_url());
        let (trace, span) = (attempt.span_context.trace_id(), attempt.span_context.span_id());
        assert_eq!(request.header("traceparent"), Some(&*format!("00-{trace}-{span}-01")));
    }
}

#[tokio::test]
async fn beside_other_subscribers_lists_are_text() {
    use std::sync::{Arc, Mutex};
    use tracing::field::{Field, Visit};

    #[derive(Clone, Default)]
    struct Lists(Arc<Mutex<Vec<String>>>);

    impl Visit for Lists {
        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == "gen_ai.response.finish_reasons" {
                self.0.lock().unwrap().push(value.to_owned());
            }
        }

        fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
    }

    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Lists {
        fn on_record(
            &self,
            _: &tracing::span::Id,
            values: &tracing::span::Record<'_>,
            _: tracing_subscriber::layer::Context<'_, S>,
        ) {
            values.record(&mut self.clone());
        }
    }

    let lists = Lists::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lists.clone()));
    let service = TraceLayer::new(&Profile::new("m")).layer(service_fn(answer));
    service.oneshot(CompletionRequest::new([Message::user("hi")])).await.unwrap();
    assert_eq!(*lists.0.lock().unwrap(), [r#"["stop"]"#]);
}
