//! The provider of Anthropic Messages over the simulator.

use oa_provider::{
    AnthropicProvider, Category, CompletionRequest, ErrorKind, Event, FinishReason, JsonSchema, Message,
    Probe, Provider, RuntimeConfig, Tool, ToolChoice, Tools,
};
use oa_sim::{Answer, Piece, Reasoning, Sim};
use serde_json::json;

fn provider(sim: &Sim) -> AnthropicProvider {
    AnthropicProvider::builder(sim.base_url(), "oa-sim").api_key("sk-canary-1").build().unwrap()
}

fn asked(text: &str) -> CompletionRequest {
    CompletionRequest::new(Message::user(text)).with_config(RuntimeConfig::new().with_max_tokens(64))
}

fn tools() -> Tools {
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    Tools::new([Tool::new("get_weather", parameters).unwrap()]).unwrap()
}

#[tokio::test]
async fn a_conversation_with_a_tool_whole_and_streamed() {
    let sim = Sim::builder().api_key("sk-canary-1").start().await.unwrap();
    let provider = provider(&sim);
    provider.ready().await.unwrap();
    for stream in [false, true] {
        let request = asked("get_weather please").with_tools(tools()).with_stream(stream);
        let called = provider.complete(&request).await.unwrap();
        assert_eq!(called.finish_reason, FinishReason::ToolCalls);
        let call = called.message.tool_calls[0].clone();
        assert!(call.arguments.as_object().unwrap()["city"].is_string());
        let mut further = request.clone();
        further.messages_mut().extend([called.message.into(), Message::tool(&call.id, "rain")]);
        let answer = provider.complete(&further).await.unwrap();
        assert_eq!((&*answer.text(), answer.finish_reason), ("The tool said: rain", FinishReason::Stop));
        let forced =
            asked("hi").with_tools(tools()).with_tool_choice(ToolChoice::Required).with_stream(stream);
        assert_eq!(provider.complete(&forced).await.unwrap().message.tool_calls.len(), 1);
    }
    let sent = sim.requests();
    assert!(sent.iter().skip(1).all(|request| request.path == "/v1/messages"));
    assert_eq!(sent[1].header("x-api-key"), Some("sk-canary-1"));
    assert_eq!(sent[1].header("anthropic-version"), Some("2023-06-01"));
}

#[tokio::test]
async fn a_stream_is_the_whole_answer_with_reasoning_and_usage() {
    let sim = Sim::builder().reasoning(Reasoning::Reasoning, "let me think").start().await.unwrap();
    let provider = provider(&sim);
    let whole = provider.complete(&asked("hello there")).await.unwrap();
    let mut stream = provider.stream(&asked("hello there")).await.unwrap();
    let (mut text, mut reasoning, mut done) = (String::new(), String::new(), None);
    while let Some(event) = stream.next().await {
        match event.unwrap() {
            Event::Content(delta) => text.push_str(&delta),
            Event::Reasoning(delta) => reasoning.push_str(&delta),
            Event::Done(response) => done = Some(response),
            _ => {}
        }
    }
    let done = done.unwrap();
    assert_eq!((text.as_str(), reasoning.as_str()), ("You said: hello there", "let me think"));
    assert_eq!(
        (&done.message, done.finish_reason, done.usage),
        (&whole.message, whole.finish_reason, whole.usage)
    );
    let history = [Message::user("a"), whole.message.into(), Message::user("b")];
    let again = CompletionRequest::new(history).with_config(RuntimeConfig::new().with_max_tokens(9));
    provider.complete(&again).await.unwrap();
    let sent = sim.requests().pop().unwrap().json();
    assert_eq!(
        sent["messages"][1]["content"][0],
        json!({"type": "thinking", "thinking": "let me think", "signature": "c2ltdWxhdGVk"})
    );
}

#[tokio::test]
async fn a_schema_a_stop_sequence_and_a_limit() {
    let sim = Sim::start().await.unwrap();
    let provider = provider(&sim);
    let schema = json!({"type": "object", "properties": {"v": {"type": "integer"}}, "required": ["v"]});
    let request = asked("x").with_response_schema(JsonSchema::new(schema).unwrap());
    assert!(provider.complete(&request).await.unwrap().parsed.unwrap()["v"].is_i64());
    let config = RuntimeConfig::new().with_max_tokens(64).with_stop_sequences(["two"]);
    let stopped = provider.complete(&asked("one two three").with_config(config)).await.unwrap();
    assert_eq!(stopped.server_finish_reason.as_deref(), Some("stop_sequence"));
    assert_eq!(stopped.raw.json().unwrap()["stop_sequence"], "two");
    let cut = asked("one two three").with_config(RuntimeConfig::new().with_max_tokens(2));
    assert_eq!(provider.complete(&cut).await.unwrap().finish_reason, FinishReason::Length);
}

#[tokio::test]
async fn faults_are_what_they_are() {
    let torn = Answer::message_pieces(["It ", "rains."]).into_iter().take(4).chain([Piece::Cut]);
    let overloaded = Answer::message_error_event("overloaded_error", "Overloaded");
    let broken = Answer::message_pieces(["It ", "rains."]).into_iter().take(3).chain([overloaded]);
    let sim = Sim::builder()
        .script([
            Answer::message_error(529, "overloaded_error", "Overloaded"),
            Answer::message_error(401, "authentication_error", "invalid x-api-key sk-canary-1"),
            Answer::message_error(404, "not_found_error", "model: oa-sim"),
            Answer::stream(torn),
            Answer::stream(broken),
            Answer::message_tool_use("nope", "{}"),
            Answer::streamed_message(["It ", "rains."]),
            Answer::message("It rains."),
        ])
        .start()
        .await
        .unwrap();
    let provider = provider(&sim);
    let error = provider.complete(&asked("x")).await.unwrap_err();
    assert_eq!((error.category(), error.request_id()), (Category::Unavailable, Some("req_sim")));
    assert!(error.headers().get("x-oa-simulator").is_some());
    let error = provider.complete(&asked("x")).await.unwrap_err();
    assert_eq!(error.category(), Category::Authentication);
    assert!(!format!("{error:?} {error:#}").contains("sk-canary-1"));
    assert_eq!(provider.complete(&asked("x")).await.unwrap_err().category(), Category::InvalidModel);
    let cut = provider.complete(&asked("x").with_stream(true)).await.unwrap_err();
    assert_eq!(cut.category(), Category::Unavailable);
    assert_eq!(cut.partial().unwrap().text(), "It rains.");
    let broken = provider.complete(&asked("x").with_stream(true)).await.unwrap_err();
    assert_eq!((broken.category(), &*broken.partial().unwrap().text()), (Category::Unavailable, "It "));
    assert_eq!(provider.complete(&asked("x")).await.unwrap_err().category(), Category::InvalidResponse);
    // A stream although none was asked for, and the other way round.
    assert_eq!(provider.complete(&asked("x")).await.unwrap().text(), "It rains.");
    assert_eq!(provider.complete(&asked("x").with_stream(true)).await.unwrap().text(), "It rains.");
    assert_eq!(sim.unused(), 0);
}

#[tokio::test]
async fn readiness_and_a_dropped_stream() {
    let sim = Sim::builder().api_key("sk-canary-1").start().await.unwrap();
    let ready =
        AnthropicProvider::builder(sim.base_url(), "oa-sim").api_key("sk-canary-1").probe(Probe::Both);
    ready.build().unwrap().ready().await.unwrap();
    let wrong = AnthropicProvider::builder(sim.base_url(), "oa-sim").api_key("sk-canary-2").build().unwrap();
    assert_eq!(wrong.ready().await.unwrap_err().category(), Category::Authentication);
    let other = AnthropicProvider::builder(sim.base_url(), "other").api_key("sk-canary-1").build().unwrap();
    assert_eq!(other.ready().await.unwrap_err().category(), Category::InvalidModel);
    assert_eq!(other.complete(&asked("x")).await.unwrap_err().category(), Category::InvalidModel);
    let stalled = Answer::message_pieces(["It ", "rains."]).into_iter().take(3).chain([Piece::Stall]);
    let sim = Sim::builder().script([Answer::stream(stalled)]).start().await.unwrap();
    let stream = provider(&sim).stream(&asked("x")).await.unwrap();
    drop(stream);
    sim.wait_for(|stats| stats.client_left == 1).await;
    let refused = provider(&sim).complete(&CompletionRequest::new("no limit")).await.unwrap_err();
    assert_eq!((refused.category(), refused.kind()), (Category::InvalidRequest, None::<ErrorKind>));
    assert_eq!(sim.requests().len(), 1);
}
