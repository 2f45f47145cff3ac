//! Recorded exchanges with servers through `/v1/messages`.

use super::endpoint;
use crate::common::{
    self, cut,
    exchange::{Exchange, load},
    render_error, singles, steps,
};
use bytes::Bytes;
use oa_wire::{
    Category, CompletionRequest, JsonSchema, Message, Profile, RuntimeConfig, Tool, Tools,
    anthropic::ChatCall, mapping::Exchange as _,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Those of our own, and those of `OA_CORPUS_DIR`.
fn exchanges() -> Vec<Exchange> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages");
    let more = std::env::var_os("OA_CORPUS_DIR").map(PathBuf::from);
    std::iter::once(own).chain(more).flat_map(|folder| load(&folder)).filter(Exchange::is_message).collect()
}

/// A call that expects what the exchange's request asked for.
fn call(exchange: &Exchange) -> ChatCall {
    let asked = &exchange.asked;
    let tools = asked["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tool| Tool::new(tool["name"].as_str()?, tool["input_schema"].clone()).ok());
    let mut request = CompletionRequest::new([Message::user("hi")])
        .with_tools(Tools::new(tools).unwrap())
        .with_config(RuntimeConfig::new().with_max_tokens(1))
        .with_stream(asked["stream"] == true);
    let schema = asked.pointer("/output_config/format/schema").cloned();
    request.response_schema = schema.and_then(|schema| JsonSchema::new(schema).ok());
    ChatCall::new(&endpoint(), &Profile::new("tiny"), &request).unwrap()
}

fn judge(exchange: &Exchange) -> Result<(), String> {
    let call = call(exchange);
    let decoder = || call.clone().on_response(exchange.status, &exchange.headers, None);
    let body = &exchange.body;
    let whole = steps(decoder(), vec![body.clone()]);
    if steps(decoder(), singles(body)) != whole {
        return Err("one byte a piece".to_owned());
    }
    for from in 0..23 {
        let cuts: Vec<_> = (from..body.len()).step_by(23).collect();
        if steps(decoder(), cut(body, &cuts)) != whole {
            return Err(format!("cut at every 23 from {from}"));
        }
    }
    let got = common::finish(decoder(), [body.clone()]);
    if let Some(category) = exchange.expect["category"].as_str() {
        let error = got.as_ref().err().ok_or("want an error")?;
        return same("category", error.category().as_str(), category);
    }
    if !exchange.status.is_success() {
        let error = got.as_ref().err().ok_or("want an error")?;
        let refused = [Category::InvalidResponse, Category::Unavailable].contains(&error.category());
        return same("a refusal", &refused, &false);
    }
    let want = if exchange.is_stream { joined(body) } else { serde_json::from_slice(body).ok() };
    let want: Value = want.ok_or("no message")?;
    let response = match got {
        Ok(response) => response,
        Err(error)
            if matches!(error.category(), Category::InvalidResponse | Category::StructuredOutputInvalid) =>
        {
            error.partial().cloned().ok_or_else(|| render_error(&error))?
        }
        Err(error) => return Err(render_error(&error)),
    };
    let block = |name: &str, key: &str| -> String {
        let blocks = want["content"].as_array().into_iter().flatten();
        blocks.filter(|block| block["type"] == name).filter_map(|block| block[key].as_str()).collect()
    };
    same("text", &*response.text(), &*block("text", "text"))?;
    same("reasoning", response.message.reasoning().unwrap_or_default(), &*block("thinking", "thinking"))?;
    same("stop reason", &json!(response.server_finish_reason), &want["stop_reason"])?;
    same("id", &json!(response.id), &want["id"])?;
    same("model", &json!(response.model), &want["model"])?;
    same("input", &json!(response.usage.prompt_tokens), &want["usage"]["input_tokens"])?;
    same("output", &json!(response.usage.completion_tokens), &want["usage"]["output_tokens"])?;
    same("raw", &response.raw.json().map_err(|error| error.to_string())?, &want)
}

/// The message that a stream adds up to, read with `serde_json` and nothing of the crate under test.
fn joined(body: &Bytes) -> Option<Value> {
    let text = std::str::from_utf8(body).ok()?;
    let mut message = Value::Null;
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        let event: Value = serde_json::from_str(data).ok()?;
        let at = event["index"].as_u64().unwrap_or(0) as usize;
        match event["type"].as_str()? {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => message["content"].as_array_mut()?.push(event["content_block"].clone()),
            "content_block_delta" => {
                let delta = &event["delta"];
                let block = &mut message["content"][at];
                for (key, slot) in [("text", "text"), ("thinking", "thinking"), ("signature", "signature")] {
                    if let Some(piece) = delta[key].as_str() {
                        block[slot] = json!(format!("{}{piece}", block[slot].as_str().unwrap_or_default()));
                    }
                }
                if let Some(piece) = delta["partial_json"].as_str() {
                    block["input"] = json!(format!("{}{piece}", block["input"].as_str().unwrap_or_default()));
                }
            }
            "message_delta" => {
                for (key, value) in event["delta"].as_object()? {
                    message[key] = value.clone();
                }
                for (key, value) in event["usage"].as_object().into_iter().flatten() {
                    message["usage"][key] = value.clone();
                }
            }
            _ => {}
        }
    }
    for block in message["content"].as_array_mut()? {
        let input = block["input"].as_str().and_then(|text| serde_json::from_str(text).ok());
        if let Some(input) = input {
            block["input"] = input;
        }
        // What is read from a block that has no input makes none.
        if let Some(block) = block.as_object_mut() {
            block.retain(|_, value| !value.is_null());
        }
    }
    Some(message)
}

fn same<T: ?Sized + PartialEq + std::fmt::Debug>(what: &str, got: &T, want: &T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: {got:?}, want {want:?}")) }
}

#[test]
fn every_exchange_is_read_as_what_it_says() {
    let judged = exchanges();
    assert!(judged.len() >= 26, "{} exchanges", judged.len());
    let wrong: Vec<_> = judged
        .iter()
        .filter_map(|exchange| judge(exchange).err().map(|why| format!("{}: {why}", exchange.name)))
        .collect();
    assert!(wrong.is_empty(), "{} of {} are wrong:\n{}", wrong.len(), judged.len(), wrong.join("\n"));
}
