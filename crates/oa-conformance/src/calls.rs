//! The operations that call a server.

use crate::{
    inputs, outputs,
    sessions::{Sessions, time_limit},
};
use oa_provider::{OpenAiProvider, Provider};
use oa_wire::{CompletionRequest, Error, Event, Response};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

pub(crate) async fn ready(sessions: &mut Sessions, request: &Map<String, Value>) -> Value {
    let ready = match sessions.provider(request) {
        Ok(provider) => provider.ready().await,
        Err(error) => Err(error),
    };
    match ready {
        Ok(()) => json!({"ok": true}),
        Err(error) => json!({"error": outputs::error(&error)}),
    }
}

pub(crate) async fn complete(sessions: &mut Sessions, from: &Map<String, Value>) -> Value {
    let built = sessions.provider(from).and_then(|provider| Ok((provider, inputs::request(from)?)));
    let (provider, request) = match built {
        Ok(built) => built,
        Err(error) => return json!({"error": outputs::error(&error)}),
    };
    let stub = from.get("mapping").and_then(Value::as_str) == Some("streaming_unsupported_stub");
    if stub && request.stream {
        let error = Error::invalid_request("stream: this mapping cannot stream");
        return json!({"error": outputs::error(&error), "token_events": []});
    }
    let call = Call { provider, limit: time_limit(from) };
    if let Some(count) = from.get("concurrency").and_then(Value::as_u64) {
        return concurrent(&call, &request, count).await;
    }
    if let Some(after) = from.get("cancel_after_seconds").and_then(Value::as_f64) {
        let after = Duration::try_from_secs_f64(after).unwrap_or_default();
        return match tokio::time::timeout(after, call.run(&request)).await {
            Ok(outcome) => outcome.reply(),
            Err(_) => json!({"cancelled": true}),
        };
    }
    let before = format!("{request:?}");
    let mut reply = call.run(&request).await.reply();
    reply["inputs_unmutated"] = json!(format!("{request:?}") == before);
    reply
}

async fn concurrent(call: &Call, request: &CompletionRequest, count: u64) -> Value {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (call, request) = (call.clone(), request.clone());
        tasks.spawn(async move { call.run(&request).await.reply() });
    }
    json!({"results": tasks.join_all().await})
}

#[derive(Clone)]
struct Call {
    provider: OpenAiProvider,
    limit: Option<Duration>,
}

struct Outcome {
    result: Result<Response, Error>,
    token_events: Vec<Value>,
}

impl Call {
    async fn run(&self, request: &CompletionRequest) -> Outcome {
        match self.limit {
            Some(limit) => {
                tokio::time::timeout(limit, run(&self.provider, request)).await.unwrap_or_else(|_| Outcome {
                    result: Err(Error::new(oa_wire::Category::Unavailable, "timeout")),
                    token_events: vec![],
                })
            }
            None => run(&self.provider, request).await,
        }
    }
}

async fn run(provider: &impl Provider, request: &CompletionRequest) -> Outcome {
    let mut token_events = Vec::new();
    let result = if request.stream {
        read(provider, request, &mut token_events).await
    } else {
        provider.complete(request).await
    };
    Outcome { result, token_events }
}

async fn read(
    provider: &impl Provider,
    request: &CompletionRequest,
    token_events: &mut Vec<Value>,
) -> Result<Response, Error> {
    let mut stream = provider.stream(request).await?;
    let mut keep = |kind: &str, text: &str| token_events.push(json!({"delta_kind": kind, "text": text}));
    while let Some(event) = stream.next().await {
        match event? {
            Event::Content(text) => keep("content", &text),
            Event::Reasoning(text) => keep("reasoning", &text),
            Event::Done(response) => return Ok(*response),
            _ => {}
        }
    }
    Err(Error::invalid_response("the stream ended without a response"))
}

impl Outcome {
    fn reply(self) -> Value {
        let mut reply = match &self.result {
            Ok(response) => json!({"response": outputs::response(response)}),
            Err(error) => json!({"error": outputs::error(error)}),
        };
        reply["token_events"] = json!(self.token_events);
        reply
    }
}
