//! The protocol's values as the library's.

use oa_middleware::{Backoff, RetryPolicy};
use oa_wire::{CompletionRequest, Error, JsonSchema, Message, RuntimeConfig, Tool, ToolChoice, Tools};
use serde_json::{Map, Value, json};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The request of a `complete` operation. What the library's types cannot hold is an invalid request.
pub(crate) fn request(from: &Map<String, Value>) -> Result<CompletionRequest, Error> {
    let given = |name: &str| from.get(name).filter(|value| !value.is_null());
    let mut request = CompletionRequest::new(match given("messages") {
        Some(messages) => read::<Vec<Message>>("messages", messages)?,
        None => Vec::new(),
    });
    if let Some(tools) = given("tools").and_then(Value::as_array) {
        let tools: Result<Vec<Tool>, Error> = tools.iter().map(tool).collect();
        request.tools = Tools::new(tools?)?;
    }
    request.tool_choice = given("tool_choice").map(tool_choice).transpose()?;
    if let Some(given) = given("config") {
        request.config = config(given)?;
    }
    if let Some(schema) = given("response_schema") {
        request.response_schema = Some(JsonSchema::new(schema.clone())?);
    }
    request.stream = given("stream").and_then(Value::as_bool).unwrap_or(false);
    Ok(request)
}

pub(crate) fn config(from: &Value) -> Result<RuntimeConfig, Error> {
    let mut fields = from.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    read("config", &fields)
}

fn tool(from: &Value) -> Result<Tool, Error> {
    let name = from.get("name").and_then(Value::as_str).unwrap_or_default();
    let tool = Tool::new(name, from.get("parameters").cloned().unwrap_or_default())?;
    Ok(match from.get("description").and_then(Value::as_str) {
        Some(description) => tool.with_description(description),
        None => tool,
    })
}

fn tool_choice(from: &Value) -> Result<ToolChoice, Error> {
    let named = || Some(from.get("name")?.as_str()?.to_owned());
    match (from.as_str(), from.get("type").and_then(Value::as_str)) {
        (Some("auto"), _) => Some(ToolChoice::Auto),
        (Some("required"), _) => Some(ToolChoice::Required),
        (Some("none"), _) => Some(ToolChoice::None),
        (None, Some("tool")) => named().map(ToolChoice::Tool),
        _ => None,
    }
    .ok_or_else(|| Error::invalid_request(format!("tool_choice: {from} is none of the forms")))
}

fn read<T: serde::de::DeserializeOwned>(name: &str, value: &Value) -> Result<T, Error> {
    serde_json::from_value(value.clone()).map_err(|error| Error::invalid_request(format!("{name}: {error}")))
}

/// How a call is retried, and the attempts that the hooks were called with.
pub(crate) struct Retrying {
    policy: RetryPolicy,
    backoffs: Arc<Mutex<Vec<u32>>>,
    retries: Arc<Mutex<Vec<u32>>>,
}

/// The retry settings of a `complete` operation.
pub(crate) fn retrying(from: &Map<String, Value>) -> Result<Retrying, Error> {
    let backoffs = Arc::new(Mutex::new(Vec::new()));
    let retries = Arc::new(Mutex::new(Vec::new()));
    let given = |name: &str| from.get(name).filter(|value| !value.is_null());
    let mut policy = RetryPolicy::never();
    if let Some(retry) = given("retry_middleware") {
        policy = attempts(retry).backoff(Backoff::fixed(Duration::ZERO));
    }
    if let Some(retry) = given("retry") {
        policy = attempts(retry);
        if let Some(seconds) = retry["backoff"]["seconds"].as_f64() {
            let (seen, delay) = (backoffs.clone(), Duration::try_from_secs_f64(seconds).unwrap_or_default());
            policy = policy.backoff(Backoff::custom(move |attempt| {
                note(&seen, attempt);
                delay
            }));
        }
        if retry["on_retry"] == true {
            let seen = retries.clone();
            policy = policy.on_retry(move |retry| note(&seen, retry.attempt));
        }
        if let Some(configs) = retry["per_attempt_override"].as_array() {
            let configs: Result<Vec<_>, Error> = configs.iter().map(config).collect();
            policy = policy.per_attempt_override(configs?);
        }
        if let Some(template) = retry["reask"]["template"].as_str() {
            let template = template.to_owned();
            policy = policy.reask(move |error| fill(&template, error));
        }
    }
    Ok(Retrying { policy, backoffs, retries })
}

impl Retrying {
    pub(crate) fn policy(&self) -> RetryPolicy {
        self.policy.clone()
    }

    pub(crate) fn report(&self, reply: &mut Value) {
        for (name, seen) in [("backoff_calls", &self.backoffs), ("on_retry_calls", &self.retries)] {
            reply[name] = json!(*seen.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

fn attempts(retry: &Value) -> RetryPolicy {
    match retry["max_attempts"].as_u64() {
        Some(attempts) => RetryPolicy::new().max_attempts(u32::try_from(attempts).unwrap_or(u32::MAX)),
        None => RetryPolicy::new(),
    }
}

fn note(seen: &Mutex<Vec<u32>>, attempt: u32) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(attempt);
}

fn fill(template: &str, error: &Error) -> String {
    let Some(failure) = error.structured() else { return template.to_owned() };
    template
        .replace("{output_content}", &failure.output_content)
        .replace("{error_message}", &failure.error_message)
}
