//! The catalogue of scripts: a plain client gets what each script promises.

use crate::client::{Client, request};
use oa_sim::{
    Piece, Sim,
    scripts::{self, Expected, ExpectedUsage, Script},
};
use serde_json::{Value, json};
use std::collections::HashSet;

/// What the plain client made of a body.
#[derive(Debug, Default)]
struct Got {
    text: String,
    reasoning: String,
    calls: Vec<Call>,
    finish: Option<String>,
    chunks: usize,
    usage: Value,
    done: bool,
    error: Option<String>,
}

/// Id, name and arguments.
type PlainCall<'a> = (Option<&'a str>, &'a str, Option<Value>);

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// The events of a body: name and data. What is pending at the end counts only if the body is complete.
fn events(body: &[u8], complete: bool) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body).replace("\r\n", "\n").replace('\r', "\n");
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut events = Vec::new();
    let (mut name, mut data) = (String::new(), Vec::new());
    let mut lines: Vec<&str> = text.split('\n').collect();
    let pending = lines.pop().unwrap_or_default();
    if complete {
        lines.extend([pending, ""]);
    }
    for line in lines {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => data.push(value),
            "error" => {
                "error".clone_into(&mut name);
                data.push(value);
            }
            _ if line.is_empty() => {
                events.push((std::mem::take(&mut name), std::mem::take(&mut data).join("\n")));
            }
            _ => {}
        }
    }
    events
}

fn read(body: &[u8], complete: bool) -> Got {
    let mut got = Got::default();
    if let Ok(whole) = serde_json::from_slice::<Value>(body) {
        got.payload(&whole);
        got.done = true;
        return got;
    }
    for (name, data) in events(body, complete) {
        let data = data.trim();
        if data == "[DONE]" {
            got.done = true;
            break;
        }
        if data.is_empty() || data.starts_with(':') || name == "ping" {
            continue;
        }
        match serde_json::from_str::<Value>(data) {
            Ok(payload) if name == "error" => got.error = Some(category(&payload)),
            Ok(payload) => got.payload(&payload),
            Err(_) => got.error = Some("provider_invalid_response".to_owned()),
        }
        if got.error.is_some() {
            return got;
        }
    }
    let nothing = got.done && got.chunks == 0;
    if nothing || !body.is_empty() && !body.windows(4).any(|four| four == b"data") {
        got.error = Some("provider_invalid_response".to_owned());
    } else if !got.done && (got.finish.is_none() || !complete) {
        got.error = Some("provider_unavailable".to_owned());
    }
    got
}

impl Got {
    fn payload(&mut self, payload: &Value) {
        if !payload["error"].is_null() || payload["object"] == "error" {
            self.error = Some(category(payload));
            return;
        }
        self.chunks += 1;
        if payload["usage"].is_object() {
            self.usage = payload["usage"].clone();
        }
        for choice in payload["choices"].as_array().into_iter().flatten() {
            if choice["index"].as_u64().unwrap_or(0) != 0 {
                continue;
            }
            if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
                self.finish = Some(reason.to_owned());
            }
            let delta = choice.get("delta").or(choice.get("message")).unwrap_or(&Value::Null);
            match &delta["content"] {
                Value::String(text) => self.text.push_str(text),
                Value::Array(parts) => {
                    for part in parts {
                        self.text.push_str(part["text"].as_str().unwrap());
                    }
                }
                _ => {}
            }
            let thoughts = ["reasoning_content", "reasoning"].map(|name| delta[name].as_str().unwrap_or(""));
            self.reasoning.push_str(if thoughts[0].is_empty() { thoughts[1] } else { thoughts[0] });
            for fragment in delta["tool_calls"].as_array().into_iter().flatten() {
                self.fragment(fragment);
            }
        }
    }

    fn fragment(&mut self, fragment: &Value) {
        let index = fragment["index"].as_u64();
        let id = fragment["id"].as_str().unwrap_or("");
        let name = fragment["function"]["name"].as_str().unwrap_or("");
        let known = match (index, id) {
            (Some(_), _) => self.calls.iter().rposition(|call| call.index == index),
            (None, "") => self.calls.len().checked_sub(1),
            (None, _) => self.calls.iter().rposition(|call| call.id == id),
        };
        let another = |call: &Call| {
            let other_id = !id.is_empty() && !call.id.is_empty() && call.id != id;
            let full = serde_json::from_str::<Value>(&call.arguments).is_ok();
            other_id || !name.is_empty() && full && (id.is_empty() || call.id != id)
        };
        let at = known.filter(|at| !another(&self.calls[*at])).unwrap_or_else(|| {
            self.calls.push(Call { index, ..Call::default() });
            self.calls.len() - 1
        });
        let call = &mut self.calls[at];
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        match &fragment["function"]["arguments"] {
            Value::String(more) => call.arguments.push_str(more),
            Value::Null => {}
            other => call.arguments = other.to_string(),
        }
    }

    /// The calls in the form of the catalogue, and whether one of them is no good one.
    fn calls(&self) -> (Vec<PlainCall<'_>>, bool) {
        let mut bad = false;
        let calls = self.calls.iter().map(|call| {
            let text = if call.arguments.is_empty() { "{}" } else { &call.arguments };
            let arguments = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
            let offered = ["get_weather", "get_time"].contains(&call.name.as_str());
            let fits = |value: &Value| value.as_object().unwrap().values().all(Value::is_string);
            bad |= !offered || !arguments.as_ref().is_some_and(fits);
            (Some(call.id.as_str()).filter(|id| !id.is_empty()), call.name.as_str(), arguments)
        });
        (calls.collect(), bad)
    }

    fn finish(&self) -> &str {
        match self.finish.as_deref() {
            Some("function_call") => "tool_calls",
            Some(known @ ("stop" | "length" | "tool_calls" | "content_filter")) => known,
            _ => "error",
        }
    }
}

/// The category that an error inside of a stream names; where it names none, the server gave up.
fn category(payload: &Value) -> String {
    let error = if payload["error"].is_null() { payload } else { &payload["error"] };
    let text = |name: &str| error[name].as_str().unwrap_or("").to_owned();
    let code = error["code"].as_u64().or(text("code").parse().ok()).unwrap_or(0);
    let words = text("code") + &text("type");
    let category = match code {
        _ if words.contains("quota") || code == 429 || words.contains("rate_limit") => "provider_rate_limit",
        _ if words.contains("authentication") => "provider_authentication",
        404 if text("message").contains("does not exist") => "provider_invalid_model",
        503 if text("message").contains("Loading") => "provider_model_not_loaded",
        400..=499 => "provider_invalid_request",
        _ => "provider_unavailable",
    };
    category.to_owned()
}

fn usage(usage: &Value) -> [Option<u64>; 4] {
    let count = |name: &str| usage[name].as_u64();
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64();
    [count("prompt_tokens"), count("completion_tokens"), count("total_tokens"), cached]
}

fn counters(usage: ExpectedUsage) -> [Option<u64>; 4] {
    [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cached_tokens]
}

fn compare(script: &Script, got: &Got) {
    let Expected { text, reasoning, finish_reason, error, .. } = &script.expected;
    let about = format!("{}: {got:?}", script.name);
    let (calls, bad) = got.calls();
    let expected_calls: Vec<_> =
        script.expected.tool_calls.iter().map(|call| (call.id, call.name, call.arguments.clone())).collect();
    assert_eq!((&got.text, &got.reasoning, calls), (text, reasoning, expected_calls), "{about}");
    assert_eq!(usage(&got.usage), counters(script.expected.usage), "{about}");
    match (error, &got.error) {
        (None, None) => {
            assert_eq!(got.finish(), *finish_reason, "{about}");
            assert!(!bad || got.finish() == "error", "{about}");
        }
        (Some(error), None) => {
            assert!(bad && error.category == "provider_invalid_response", "{about}");
            assert_eq!(got.finish(), *finish_reason, "{about}");
        }
        (Some(error), Some(category)) => {
            assert_eq!((error.category, *finish_reason), (category.as_str(), ""), "{about}");
        }
        (None, Some(_)) => panic!("{about}"),
    }
}

fn ends_early(script: &Script) -> bool {
    script.answer.body().iter().any(|piece| matches!(piece, Piece::Cut | Piece::Reset | Piece::Stall))
}

#[test]
fn each_script_says_what_a_client_gets() {
    let refusals: HashSet<&str> = scripts::refusals::all().iter().map(|script| script.name).collect();
    let scripts = scripts::all();
    for script in scripts.iter().filter(|script| !refusals.contains(script.name)) {
        compare(script, &read(&script.answer.body_bytes(), !ends_early(script)));
    }
}

#[test]
fn each_error_mentions_what_the_server_said() {
    for script in scripts::all() {
        let Some(error) = script.expected.error else { continue };
        let text = String::from_utf8_lossy(&script.answer.body_bytes()).into_owned();
        assert!(text.contains(error.mentions), "{}", script.name);
        assert!(error.category.starts_with("provider_"), "{}", script.name);
    }
}

#[tokio::test]
async fn each_script_is_served_byte_by_byte() {
    for script in scripts::all() {
        let sim = Sim::builder().script([script.answer.clone()]).start().await.unwrap();
        let mut client = Client::connect(&sim).await;
        client.send(request("{}")).await;
        if script.stalls() {
            sim.wait_for(|stats| stats.requests == 1).await;
            drop(client);
            sim.closed_by_client().await;
            continue;
        }
        match client.reply().await {
            Ok(reply) => {
                assert_eq!(reply.bytes(), script.answer.body_bytes(), "{}", script.name);
                assert_eq!(reply.complete, !ends_early(&script), "{}", script.name);
            }
            Err(_) => assert!(["hang_up", "reset_before_head"].contains(&script.name), "{}", script.name),
        }
    }
}

#[test]
fn cutting_the_bytes_anew_changes_none_of_them() {
    for script in scripts::all() {
        let bytes = script.answer.body_bytes();
        for size in [1, 2, 7, 1000] {
            assert_eq!(script.answer.clone().split_every(size).body_bytes(), bytes, "{}", script.name);
        }
        assert_eq!(script.answer.clone().split_at(&[3, 1, 40]).body_bytes(), bytes, "{}", script.name);
    }
}

#[test]
fn names_are_unique_and_each_script_says_what_it_is_about() {
    let scripts = scripts::all();
    let names: HashSet<&str> = scripts.iter().map(|script| script.name).collect();
    assert_eq!(names.len(), scripts.len());
    assert!(scripts.len() > 150, "{}", scripts.len());
    for script in &scripts {
        assert!(script.about.len() > 8, "{}", script.name);
        assert_eq!(scripts::by_name(script.name).map(|found| found.about), Some(script.about));
    }
    let stalling: Vec<&str> =
        scripts.iter().filter(|script| script.stalls()).map(|script| script.name).collect();
    assert_eq!(stalling, ["stall", "stall_after_head", "stall_before_head", "stall_after_done"]);
}

#[test]
fn the_tools_are_those_that_the_scripts_call() {
    let tools = scripts::tools();
    let names: Vec<&Value> = tools.as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(names, [&json!("get_weather"), &json!("get_time")]);
}
