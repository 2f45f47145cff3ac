//! The operations that call a server.

use crate::{
    inputs, outputs,
    sessions::{Sessions, observed, time_limit},
    spans,
};
use oa_middleware::{CollectLayer, CollectStream, DeadlineLayer, RetryLayer, RetryPolicy, TraceLayer};
use oa_provider::{DynProvider, Provider, ProviderService};
use oa_wire::{CompletionRequest, Error, Event, Response};
use serde_json::{Map, Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};

pub(crate) async fn ready(sessions: &mut Sessions, request: &Map<String, Value>) -> Value {
    let ready = match sessions.session(request) {
        Ok(session) => session.provider.ready().await,
        Err(error) => Err(error),
    };
    match ready {
        Ok(()) => json!({"ok": true}),
        Err(error) => json!({"error": outputs::error(&error)}),
    }
}

pub(crate) async fn complete(sessions: &mut Sessions, from: &Map<String, Value>) -> Value {
    let built = sessions.session(from).and_then(|session| Ok((session, inputs::request(from)?)));
    let (session, request) = match built {
        Ok(built) => built,
        Err(error) => return json!({"error": outputs::error(&error)}),
    };
    let stub = from.get("mapping").and_then(Value::as_str) == Some("streaming_unsupported_stub");
    if stub && request.stream {
        let error = Error::invalid_request("stream: this mapping cannot stream");
        return json!({"error": outputs::error(&error), "token_events": []});
    }
    let retrying = match inputs::retrying(from) {
        Ok(retrying) => retrying,
        Err(error) => return json!({"error": outputs::error(&error)}),
    };
    let trace = observed(from, TraceLayer::new(&session.profile));
    let call = Call { provider: session.provider, trace, limit: time_limit(from) };
    if let Some(count) = from.get("concurrency").and_then(Value::as_u64) {
        return concurrent(&call, &request, &retrying.policy(), count).await;
    }
    if let Some(after) = from.get("cancel_after_seconds").and_then(Value::as_f64) {
        let after = Duration::try_from_secs_f64(after).unwrap_or_default();
        return match tokio::time::timeout(after, call.run(&request, retrying.policy())).await {
            Ok(outcome) => outcome.reply(),
            Err(_) => json!({"cancelled": true}),
        };
    }
    let before = format!("{request:?}");
    spans::clear();
    let mut reply = call.run(&request, retrying.policy()).await.reply();
    reply["inputs_unmutated"] = json!(format!("{request:?}") == before);
    reply["spans"] = spans::taken();
    retrying.report(&mut reply);
    reply
}

async fn concurrent(call: &Call, request: &CompletionRequest, policy: &RetryPolicy, count: u64) -> Value {
    let mut tasks = JoinSet::new();
    for _ in 0..count {
        let (call, request, policy) = (call.clone(), request.clone(), policy.clone());
        tasks.spawn(async move { call.run(&request, policy).await.reply() });
    }
    json!({"results": tasks.join_all().await})
}

#[derive(Clone)]
struct Call {
    provider: DynProvider,
    trace: TraceLayer,
    limit: Option<Duration>,
}

struct Outcome {
    result: Result<Response, Error>,
    token_events: Vec<Value>,
}

impl Call {
    async fn run(&self, request: &CompletionRequest, policy: RetryPolicy) -> Outcome {
        let token_events = Arc::new(Mutex::new(Vec::new()));
        let seen = token_events.clone();
        let mut request = request.clone();
        request.extensions.insert(CollectStream::observed(move |event| {
            let (kind, text) = match event {
                Event::Content(text) => ("content", text),
                Event::Reasoning(text) => ("reasoning", text),
                _ => return,
            };
            let event = json!({"delta_kind": kind, "text": text.as_str()});
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        }));
        let attempt =
            CollectLayer::new().layer(self.trace.layer(ProviderService::new(self.provider.clone())));
        let retried = RetryLayer::new(policy).without_budget().layer(attempt);
        let completion = match self.limit {
            Some(limit) => DeadlineLayer::new(limit).layer(retried).oneshot(request).await,
            None => retried.oneshot(request).await,
        };
        let result = match completion {
            Ok(completion) => completion.into_response().await,
            Err(error) => Err(error),
        };
        let token_events = std::mem::take(&mut *token_events.lock().unwrap_or_else(PoisonError::into_inner));
        Outcome { result, token_events }
    }
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
