//! A reading of received bytes with `serde_json` and nothing of the crate under test.

use serde_json::Value;

/// A tool call as it was sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    /// The text of the arguments, or the value that stands in its place.
    pub(crate) arguments: Value,
}

impl Call {
    /// The arguments as an object, if they are one.
    pub(crate) fn object(&self) -> Option<Value> {
        let value = match &self.arguments {
            Value::Null => return Some(Value::Object(serde_json::Map::new())),
            Value::String(text) if text.trim().is_empty() => {
                return Some(Value::Object(serde_json::Map::new()));
            }
            Value::String(text) => serde_json::from_str(text).ok()?,
            value => value.clone(),
        };
        value.is_object().then_some(value)
    }
}

/// What an answer says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reading {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Option<String>,
    pub(crate) usage: Value,
    pub(crate) id: Option<String>,
    pub(crate) model: Option<String>,
    /// The error inside a stream.
    pub(crate) error: Option<Value>,
    /// `[DONE]` came.
    pub(crate) done: bool,
}

impl Reading {
    /// The finish reason's name in the contract.
    pub(crate) fn finish_name(&self) -> &str {
        match self.finish.as_deref() {
            Some("function_call") => "tool_calls",
            Some(word @ ("stop" | "length" | "tool_calls" | "content_filter")) => word,
            _ => "error",
        }
    }

    /// A counter of the usage, where it is one.
    pub(crate) fn counter(&self, pointer: &str) -> Option<u64> {
        self.usage.pointer(pointer).and_then(Value::as_u64)
    }
}

/// A body that came whole; none if it is no completion.
pub(crate) fn atomic(body: &[u8]) -> Option<Reading> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let choices = body.get("choices")?.as_array()?;
    let choice = choices.iter().find(|choice| choice["index"] == 0).or_else(|| choices.first())?;
    let message = choice.get("message").filter(|message| message.is_object())?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| Call {
        id: text(&call["id"]).filter(|id| !id.is_empty()),
        name: text(&call["function"]["name"]).unwrap_or_default(),
        arguments: call["function"]["arguments"].clone(),
    });
    Some(Reading {
        text: content(&message["content"]),
        reasoning: reasoning(message),
        calls: calls.collect(),
        finish: text(&choice["finish_reason"]),
        usage: body["usage"].clone(),
        id: text(&body["id"]),
        model: text(&body["model"]),
        error: None,
        done: true,
    })
}

/// A text, or the text parts of a list.
fn content(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

/// Under either of its names; where both are, they are the same.
fn reasoning(message: &Value) -> String {
    let names = ["reasoning", "reasoning_content"];
    names
        .iter()
        .filter_map(|name| message[name].as_str())
        .find(|text| !text.is_empty())
        .unwrap_or_default()
        .to_owned()
}

/// The data of each event, as the format has it.
pub(crate) fn events(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    let mut events = Vec::new();
    let mut data: Option<String> = None;
    for line in text.split('\n').chain([""]) {
        if line.is_empty() {
            events.extend(data.take());
        } else if let Some(value) = line.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            data = Some(data.map_or_else(|| value.to_owned(), |before| before + "\n" + value));
        }
    }
    events
}

/// A stream of OpenAI's form, whose fragments of calls have an index.
pub(crate) fn joined(text: &str) -> Reading {
    let mut reading = Reading::default();
    let mut calls: Vec<(u64, Call)> = Vec::new();
    for data in events(text) {
        if data == "[DONE]" {
            reading.done = true;
            break;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(&data) else {
            // A keep-alive in the clothes of data, or a chunk that was cut off.
            continue;
        };
        if chunk.get("error").is_some_and(|error| !error.is_null()) || chunk["object"] == "error" {
            reading.error = Some(chunk.get("error").unwrap_or(&chunk).clone());
            break;
        }
        reading.id = reading.id.or_else(|| chunk["id"].as_str().map(str::to_owned));
        reading.model = reading.model.or_else(|| chunk["model"].as_str().map(str::to_owned));
        if chunk["usage"].is_object() {
            reading.usage = chunk["usage"].clone();
        }
        let choices = chunk["choices"].as_array().into_iter().flatten();
        for choice in choices.filter(|choice| choice["index"].as_u64().unwrap_or(0) == 0) {
            let delta = &choice["delta"];
            reading.text += &content(&delta["content"]);
            reading.reasoning += &reasoning(delta);
            for fragment in delta["tool_calls"].as_array().into_iter().flatten() {
                add(&mut calls, fragment);
            }
            reading.finish = choice["finish_reason"].as_str().map(str::to_owned).or(reading.finish);
        }
    }
    reading.calls = calls.into_iter().map(|(_, call)| call).collect();
    reading
}

fn add(calls: &mut Vec<(u64, Call)>, fragment: &Value) {
    let last = calls.last().map_or(0, |(index, _)| *index);
    let index = fragment["index"].as_u64().unwrap_or(last);
    let at = calls.iter().position(|(known, _)| *known == index).unwrap_or_else(|| {
        calls.push((index, Call { id: None, name: String::new(), arguments: Value::String(String::new()) }));
        calls.len() - 1
    });
    let call = &mut calls[at].1;
    let function = &fragment["function"];
    call.id =
        call.id.take().or_else(|| fragment["id"].as_str().filter(|id| !id.is_empty()).map(str::to_owned));
    if call.name.is_empty() {
        function["name"].as_str().unwrap_or_default().clone_into(&mut call.name);
    }
    match (&mut call.arguments, &function["arguments"]) {
        (Value::String(text), Value::String(more)) => text.push_str(more),
        (_, Value::Null) => {}
        (whole, other) => *whole = other.clone(),
    }
}
