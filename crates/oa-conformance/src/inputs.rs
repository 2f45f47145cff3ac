//! The protocol's values as the library's.

use oa_wire::{CompletionRequest, Error, JsonSchema, Message, RuntimeConfig, Tool, ToolChoice, Tools};
use serde_json::{Map, Value};

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
