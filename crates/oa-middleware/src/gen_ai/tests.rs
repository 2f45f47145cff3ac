//! The span of a whole call as a subscriber sees it, around those of its attempts.

use super::*;
use crate::{
    Backoff, RetryPolicy, Servers, Stack, TraceLayer,
    testing::{Script, Step, request},
    trace::tests::{Seen, Spans},
};
use oa_wire::{Category, JsonSchema, RuntimeConfig, SessionId, TraceContext};
use serde_json::json;
use std::time::Duration;
use tower::ServiceExt;

fn profile() -> Profile {
    Profile::new("my-model").with_genai_system("vllm")
}

fn stack() -> Stack {
    let retry = RetryPolicy::new().backoff(Backoff::fixed(Duration::from_secs(1)));
    Stack::new(&profile()).gen_ai(GenAiLayer::new(&profile()).server("gpu1", 8000)).retry(retry)
}

fn down() -> Step {
    Step::error(Error::new(Category::Unavailable, "refused"))
}

/// The spans of a call that is read to its end.
async fn spans(stack: Stack, steps: Vec<Step>, request: CompletionRequest) -> Vec<Seen> {
    let (spans, _guard) = Spans::listen();
    if let Ok(answer) = stack.layer(Script::new(steps)).oneshot(request).await {
        drop(answer.into_response().await);
    }
    let spans = spans.get();
    assert!(spans.iter().all(|span| span.closed));
    spans
}

#[tokio::test(start_paused = true)]
async fn one_span_is_around_all_attempts_and_the_waits_between() {
    let config = RuntimeConfig::new().with_temperature(0.5).with_max_tokens(9).with_stop_sequences(["END"]);
    let schema = JsonSchema::new(json!({"type": "object", "properties": {}})).unwrap();
    let mut request = request().with_stream(true).with_config(config).with_response_schema(schema);
    request.session_id = Some(SessionId::new("s1").unwrap());
    let spans = spans(stack(), vec![down(), Step::stream([(2, "a"), (3, "b")])], request).await;
    let [whole, first, second] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!([first.parent, second.parent, whole.parent], [Some(0), Some(0), None]);
    assert_eq!([whole.name, first.name], ["chat", "openarmature.llm.complete"]);
    assert_eq!(first.fields["openarmature.error.category"], "provider_unavailable");
    let want = json!({
        "otel.name": "chat my-model",
        "otel.kind": "client",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "my-model",
        "gen_ai.request.stream": true,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.stop_sequences": "[\"END\"]",
        "gen_ai.output.type": "json",
        "gen_ai.conversation.id": "s1",
        "server.address": "gpu1",
        "server.port": 8000,
        "gen_ai.response.id": "cc-1",
        "gen_ai.response.model": "served-model",
        "gen_ai.response.finish_reasons": "[\"stop\"]",
        // A second of waiting for the retry, and two for the answer.
        "gen_ai.response.time_to_first_chunk": 3.0,
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 5,
    });
    assert_eq!(serde_json::to_value(&whole.fields).unwrap(), want);
}

#[tokio::test(start_paused = true)]
async fn a_failure_has_its_category() {
    let spans = spans(stack(), vec![down(), down(), down()], request()).await;
    let whole = &spans[0];
    assert_eq!(spans.len(), 4);
    assert_eq!(whole.fields["error.type"], "provider_unavailable");
    assert_eq!(whole.fields["otel.status_code"], "ERROR");
    assert!(!whole.fields.contains_key("gen_ai.usage.input_tokens"));
}

#[tokio::test(start_paused = true)]
async fn it_may_stand_alone_and_is_off_by_default() {
    let alone = spans(stack().trace(|trace| trace.spans(false)), vec![Step::text("a")], request()).await;
    assert_eq!(alone.iter().map(|span| span.name).collect::<Vec<_>>(), ["chat"]);
    let default = spans(Stack::new(&profile()), vec![Step::text("a")], request()).await;
    assert_eq!(default.iter().map(|span| span.name).collect::<Vec<_>>(), ["openarmature.llm.complete"]);
}

#[tokio::test(start_paused = true)]
async fn usage_has_its_parts() {
    let mut response = crate::testing::response("a");
    response.usage.cached_tokens = Some(3);
    response.usage.cache_creation_tokens = Some(2);
    response.usage.reasoning_tokens = Some(1);
    let spans = spans(stack(), vec![Step::answer(response)], request()).await;
    let of = |name: &str| spans[0].fields[format!("gen_ai.usage.{name}").as_str()].clone();
    let parts = ["cache_read.input_tokens", "cache_write.input_tokens", "reasoning.output_tokens"];
    assert_eq!(parts.map(of), [json!(3), json!(2), json!(1)]);
}

#[tokio::test(start_paused = true)]
async fn of_several_servers_named_by_their_urls_it_has_the_last() {
    let (spans, _guard) = Spans::listen();
    let servers =
        [("http://a:8000", Script::new([down()])), ("https://b.example/v", Script::new([Step::text("b")]))];
    let stack = Stack::new(&profile()).gen_ai(GenAiLayer::new(&profile()));
    stack.layer(Servers::failover(servers).unwrap()).oneshot(request()).await.unwrap();
    let spans = spans.get();
    assert_eq!(spans[0].fields["server.address"], "b.example");
    assert_eq!(spans[0].fields["server.port"], 443);
    assert_eq!(spans[1].fields["openarmature.llm.server"], "https://b.example/v");
    // The server that failed the attempt before is in its span too.
    let (name, failure) = &spans[1].events[0];
    assert_eq!(*name, "openarmature.llm.server_failed");
    assert_eq!(failure["openarmature.llm.server"], "http://a:8000");
    assert_eq!(failure["openarmature.error.category"], "provider_unavailable");
}

#[test]
fn addresses_are_those_of_urls_alone() {
    let cases = [
        ("http://a:8000", Some(("a", 8000))),
        ("http://a", Some(("a", 80))),
        ("https://a.example/prefix", Some(("a.example", 443))),
        ("http://[::1]:8000", Some(("::1", 8000))),
        ("http://[::1]", Some(("::1", 80))),
        ("http://a:x", None),
        ("http://", None),
        ("gpu1", None),
        ("unix:///run/vllm.sock", None),
    ];
    for (name, want) in cases {
        assert_eq!(address_of(name), want, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_carry_the_trace_context_of_their_attempt() {
    let parent = |number: u64| format!("00-0000000000000000000000000000abcd-{number:016x}-01");
    let (spans, _guard) = Spans::listen();
    let script = Script::new([down(), Step::text("a"), Step::text("b")]);
    let number = std::sync::atomic::AtomicU64::new(1);
    let context_of = move |span: &Span| {
        assert!(!span.is_disabled());
        TraceContext::new(&parent(number.fetch_add(1, std::sync::atomic::Ordering::SeqCst))).ok()
    };
    let service = stack().trace(|trace| TraceLayer::propagator(trace, context_of)).layer(script.clone());
    service.clone().oneshot(request()).await.unwrap();
    let own = TraceContext::new(&parent(99)).unwrap();
    service.oneshot(request().with_trace_context(own)).await.unwrap();
    let sent: Vec<_> = script
        .requests()
        .iter()
        .map(|request| request.trace_context.as_ref().unwrap().traceparent().to_owned())
        .collect();
    assert_eq!(sent, [1, 2, 99].map(parent), "each attempt its own, and the caller's is kept");
    drop(spans);
}
