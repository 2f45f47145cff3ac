//! A loop of twenty tool calls against a real server with a reasoning parser, and what it was sent.
//!
//! `cargo run -p oa-tools --example live_loop -- http://127.0.0.1:8000 MODEL`
//!
//! The loop runs once with each choice of `SendReasoning`. Every call forces a tool and names a session, a
//! priority and a trace. The bodies and headers are looked at as they leave; the exit status is 1 where they
//! are not as they should be. The key is read from `OA_API_KEY`.

use bytes::Bytes;
use oa_provider::{HyperTransport, OpenAiProvider};
use oa_tools::{FunctionTool, Step, ToolLoop, ToolSet};
use oa_wire::{
    CompletionRequest, RuntimeConfig, SendReasoning, SessionId, Spellings, ToolChoice, TraceContext,
};
use serde_json::{Value, json};
use std::{
    process::ExitCode,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tower_service::Service;

const ROUNDS: usize = 20;
const SESSION: &str = "live-loop-1";
const PRIORITY: i64 = 3;
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A place to ask the weather of. One city, so that weights without sense write a short call.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct GetWeather {
    city: City,
}

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
enum City {
    Paris,
}

/// A transport that keeps what is sent.
#[derive(Clone)]
struct Recorder {
    inner: HyperTransport,
    sent: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

impl Service<http::Request<Bytes>> for Recorder {
    type Response = <HyperTransport as Service<http::Request<Bytes>>>::Response;
    type Error = <HyperTransport as Service<http::Request<Bytes>>>::Error;
    type Future = <HyperTransport as Service<http::Request<Bytes>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        if let Ok(mut sent) = self.sent.lock() {
            sent.push(request.clone());
        }
        self.inner.call(request)
    }
}

/// What the requests of one loop hold.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    requests: usize,
    /// Messages of the assistant with tool calls, over all requests.
    replayed: usize,
    /// Those of them that hold the reasoning that the model wrote.
    with_reasoning: usize,
    /// Requests with the session, the priority and the trace that were named.
    labelled: usize,
}

fn count(sent: &[http::Request<Bytes>]) -> Result<Seen, serde_json::Error> {
    let mut seen = Seen { requests: sent.len(), ..Seen::default() };
    for request in sent {
        let body: Value = serde_json::from_slice(request.body())?;
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let labels = (header("x-session-id"), &body["priority"], header("traceparent"));
        seen.labelled += usize::from(labels == (Some(SESSION), &json!(PRIORITY), Some(TRACE)));
        for message in body["messages"].as_array().into_iter().flatten() {
            if message["tool_calls"].is_array() {
                seen.replayed += 1;
                let reasoning = message["reasoning"].as_str().or(message["reasoning_content"].as_str());
                seen.with_reasoning += usize::from(reasoning.is_some_and(|text| text.contains("think")));
            }
        }
    }
    Ok(seen)
}

async fn run(url: &str, model: &str, when: SendReasoning, stream: bool) -> Result<Seen, String> {
    let text = |error: &dyn std::fmt::Display| format!("{error:#}");
    let sent = Arc::new(Mutex::new(Vec::new()));
    let inner = HyperTransport::builder().build().map_err(|error| text(&error))?;
    let mut builder = OpenAiProvider::builder(url, model)
        .send_reasoning(when)
        .spellings(Spellings::of("vllm").ok_or("no spellings")?)
        .transport(Recorder { inner, sent: Arc::clone(&sent) });
    if let Ok(key) = std::env::var("OA_API_KEY") {
        builder = builder.api_key(key);
    }
    let weather = |arguments: GetWeather| async move { Ok(format!("Rain in {:?}.", arguments.city)) };
    let tool = FunctionTool::new("get_weather", weather).map_err(|error| text(&error))?;
    let tools = ToolSet::new([tool]).map_err(|error| text(&error))?;
    let config = RuntimeConfig::new()
        .with_max_tokens(120)
        .with_temperature(0.0)
        .with_extra("chat_template_kwargs", json!({"enable_thinking": true}));
    let request = CompletionRequest::new("The weather in Paris?")
        .with_config(config)
        .with_stream(stream)
        .with_tool_choice(ToolChoice::Tool("get_weather".into()))
        .with_session_id(SessionId::new(SESSION).map_err(|error| text(&error))?)
        .with_priority(PRIORITY)
        .with_trace_context(TraceContext::new(TRACE).map_err(|error| text(&error))?);
    let provider = builder.build().map_err(|error| text(&error))?;
    let mut steps = ToolLoop::new(provider, tools, request).with_max_rounds(ROUNDS as u32);
    let mut answered = 0;
    while answered < ROUNDS {
        match steps.next().await.map_err(|error| text(&error))? {
            Some(Step::ToolCalls(response)) if response.message.reasoning().is_none() => {
                return Err(format!("no reasoning: {:?}", response.message));
            }
            Some(Step::ToolResults(results)) => {
                answered += 1;
                if let Some(wrong) = results.iter().find(|result| result.failure.is_some()) {
                    return Err(format!("a call failed: {wrong:?}"));
                }
            }
            Some(Step::Answer(answer)) => return Err(format!("an answer without a call: {answer:?}")),
            Some(_) => {}
            None => return Err("the loop ended".into()),
        }
    }
    let sent = sent.lock().map_err(|_| "a panic while a request was kept")?;
    count(&sent).map_err(|error| text(&error))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(model)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: live_loop URL MODEL");
        return ExitCode::from(2);
    };
    // Of 20 requests, the first replays no call and the last one 19.
    let replayed = ROUNDS * (ROUNDS - 1) / 2;
    let mut code = ExitCode::SUCCESS;
    for when in [SendReasoning::Never, SendReasoning::WithOpenToolCalls, SendReasoning::Always] {
        for stream in [false, true] {
            let with_reasoning = if when == SendReasoning::Never { 0 } else { replayed };
            let want = Seen { requests: ROUNDS, replayed, with_reasoning, labelled: ROUNDS };
            let got = run(&url, &model, when, stream).await;
            let right = got.as_ref() == Ok(&want);
            println!("{} {when:?}, stream {stream}: {got:?}", if right { "right" } else { "WRONG" });
            if !right {
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
