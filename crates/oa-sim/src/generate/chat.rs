//! A chat request as the simulator reads it, and what is wrong with it.

use super::{
    model::{ImageRefusal, Model},
    refusal::{Refusal, bad_request, error, json, unknown_model},
};
use crate::{answer::Answer, json::Json, recorded::Recorded};

/// The part of a chat request that the simulator obeys.
pub(crate) struct ChatRequest {
    pub(crate) model: String,
    pub(crate) messages: Vec<Message>,
    pub(crate) stream: Option<StreamOptions>,
    pub(crate) n: usize,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) stop: Vec<String>,
    pub(crate) seed: Option<i64>,
    pub(crate) format: Format,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    pub(crate) parallel: bool,
    pub(crate) request_id: Option<String>,
}

/// What a stream carries beside the answer.
#[derive(Clone, Copy)]
pub(crate) struct StreamOptions {
    /// A last event with the usage.
    pub(crate) usage_last: bool,
    /// The usage so far in every event.
    pub(crate) usage_each: bool,
}

pub(crate) struct Message {
    pub(crate) role: String,
    pub(crate) text: String,
    pub(crate) images: usize,
}

pub(crate) enum Format {
    Text,
    JsonObject,
    Schema(Json),
}

pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) parameters: Json,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Choice {
    None,
    Auto,
    Required,
    Named(String),
}

impl ChatRequest {
    /// Reads the body, or says in vLLM's form why not.
    pub(crate) fn read(model: &Model, request: &Recorded) -> Result<Self, Refusal> {
        let content_type = request.header("content-type").unwrap_or_default();
        if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        {
            return Err(invalid("  Unsupported Media Type: Only 'application/json' is allowed", None));
        }
        let Ok(text) = std::str::from_utf8(&request.body) else {
            return Err(Box::new(Answer::json(
                400,
                serde_json::json!({"detail": "There was an error parsing the body"}),
            )));
        };
        if text.trim().is_empty() {
            return Err(missing("body"));
        }
        let body = Json::parse(text).map_err(|problem| {
            invalid(
                &format!(
                    "  {{'type': 'json_invalid', 'loc': 'body', 'msg': 'JSON decode error: {problem}'}}"
                ),
                None,
            )
        })?;
        if body.as_object().is_none() {
            return Err(wrong("body", "an object"));
        }
        let name = match body.get("model") {
            None => model.names[0].clone(),
            Some(Json::Text(name)) if name.is_empty() => model.names[0].clone(),
            Some(Json::Text(name)) if model.names.contains(name) => name.clone(),
            Some(Json::Text(name)) => return Err(unknown_model(model, name)),
            Some(_) => return Err(wrong("body.model", "a valid string")),
        };
        let stream = read_stream(model, &body)?;
        let n = whole(&body, "n")?.unwrap_or(1);
        if !(1..=128).contains(&n) {
            return Err(bad_request(format!("n must be at least 1 and at most 128, got {n}."), None));
        }
        check_ranges(&body)?;
        let tools = read_tools(&body)?;
        let choice = read_choice(&body, &tools)?;
        Ok(Self {
            messages: read_messages(model, &name, &body)?,
            model: name,
            stream,
            n: usize::try_from(n).unwrap_or(1),
            max_tokens: read_max_tokens(&body)?,
            stop: read_stop(&body)?,
            seed: whole(&body, "seed")?,
            format: read_format(&body)?,
            tools,
            choice,
            parallel: flag(&body, "parallel_tool_calls")?.unwrap_or(true),
            request_id: request.header("x-request-id").map(str::to_owned),
        })
    }
}

/// A value of the wrong shape, in the words of vLLM's request model.
fn invalid(problem: &str, param: Option<&str>) -> Refusal {
    error(400, format!("1 validation error:\n{problem}"), "Bad Request", param)
}

fn missing(place: &str) -> Refusal {
    let problem = format!("  {{'type': 'missing', 'loc': '{place}', 'msg': 'Field required'}}");
    invalid(&problem, Some(place))
}

fn wrong(place: &str, wanted: &str) -> Refusal {
    let problem = format!("  {{'type': 'type_error', 'loc': '{place}', 'msg': 'Input should be {wanted}'}}");
    invalid(&problem, Some(place))
}

fn value_error(message: &str, param: &str) -> Refusal {
    bad_request(format!("{message} (parameter={param})"), Some(param))
}

fn flag(object: &Json, name: &str) -> Result<Option<bool>, Refusal> {
    match object.get(name) {
        None => Ok(None),
        Some(Json::Bool(value)) => Ok(Some(*value)),
        Some(_) => Err(wrong(&format!("body.{name}"), "a valid boolean")),
    }
}

fn whole(object: &Json, name: &str) -> Result<Option<i64>, Refusal> {
    match object.get(name) {
        None => Ok(None),
        Some(value) => {
            value.as_i64().map(Some).ok_or_else(|| wrong(&format!("body.{name}"), "a valid integer"))
        }
    }
}

fn check_ranges(body: &Json) -> Result<(), Refusal> {
    let ranges = [
        ("temperature", 0.0, f64::INFINITY, "non-negative"),
        ("top_p", 0.0, 1.0, "in [0, 1]"),
        ("presence_penalty", -2.0, 2.0, "in [-2, 2]"),
        ("frequency_penalty", -2.0, 2.0, "in [-2, 2]"),
    ];
    for (name, least, most, words) in ranges {
        let Some(value) = body.get(name) else { continue };
        let number = value.as_f64().ok_or_else(|| wrong(&format!("body.{name}"), "a valid number"))?;
        if !(least..=most).contains(&number) {
            return Err(value_error(&format!("{name} must be {words}, got {number}."), name));
        }
    }
    Ok(())
}

fn read_stream(model: &Model, body: &Json) -> Result<Option<StreamOptions>, Refusal> {
    let options = body.get("stream_options");
    if !flag(body, "stream")?.unwrap_or(false) {
        return match options {
            None => Ok(None),
            Some(_) => {
                Err(value_error("Stream options can only be defined when `stream=True`.", "stream_options"))
            }
        };
    }
    let option = |name: &str| options.map_or(Ok(None), |options| flag(options, name));
    Ok(Some(StreamOptions {
        usage_last: option("include_usage")?.unwrap_or(false) || model.always_usage,
        usage_each: option("continuous_usage_stats")?.unwrap_or(false),
    }))
}

fn read_max_tokens(body: &Json) -> Result<Option<usize>, Refusal> {
    for name in ["max_completion_tokens", "max_tokens"] {
        if let Some(value) = whole(body, name)? {
            return match usize::try_from(value) {
                Ok(value) if value > 0 => Ok(Some(value)),
                _ => Err(value_error(&format!("{name} must be at least 1, got {value}."), name)),
            };
        }
    }
    Ok(None)
}

fn read_stop(body: &Json) -> Result<Vec<String>, Refusal> {
    let stop = match body.get("stop") {
        None => Vec::new(),
        Some(Json::Text(one)) => vec![one.clone()],
        Some(Json::List(items)) => {
            let texts: Option<Vec<String>> =
                items.iter().map(|item| item.as_text().map(str::to_owned)).collect();
            texts.ok_or_else(|| wrong("body.stop", "a string or a list of strings"))?
        }
        Some(_) => return Err(wrong("body.stop", "a string or a list of strings")),
    };
    if stop.iter().any(String::is_empty) {
        return Err(value_error("stop cannot contain an empty string.", "stop"));
    }
    Ok(stop)
}

fn read_format(body: &Json) -> Result<Format, Refusal> {
    let Some(format) = body.get("response_format") else { return Ok(Format::Text) };
    match format.get("type").and_then(Json::as_text) {
        Some("text") => Ok(Format::Text),
        Some("json_object") => Ok(Format::JsonObject),
        Some("json_schema") => {
            let Some(wrapper) = format.get("json_schema") else {
                return Err(value_error(
                    "json_schema is required for this response_format.",
                    "response_format",
                ));
            };
            if wrapper.get("name").and_then(Json::as_text).is_none() {
                return Err(missing("body.response_format.json_schema.name"));
            }
            match wrapper.get("schema") {
                Some(schema) => Ok(Format::Schema(schema.clone())),
                None => Err(missing("body.response_format.json_schema.schema")),
            }
        }
        _ => Err(wrong("body.response_format.type", "'text', 'json_object' or 'json_schema'")),
    }
}

fn read_tools(body: &Json) -> Result<Vec<Tool>, Refusal> {
    let Some(tools) = body.get("tools") else { return Ok(Vec::new()) };
    let tools = tools.as_list().ok_or_else(|| wrong("body.tools", "a valid list"))?;
    if tools.is_empty() {
        return Err(value_error("tools must not be an empty array.", "tools"));
    }
    let mut read = Vec::with_capacity(tools.len());
    for (index, tool) in tools.iter().enumerate() {
        let place = format!("body.tools.{index}.function");
        let function = tool.get("function").ok_or_else(|| missing(&place))?;
        let name =
            function.get("name").and_then(Json::as_text).ok_or_else(|| missing(&format!("{place}.name")))?;
        let parameters = match function.get("parameters") {
            None => Json::object([("type", Json::text("object"))]),
            Some(parameters @ Json::Object(_)) => parameters.clone(),
            Some(_) => return Err(wrong(&format!("{place}.parameters"), "a valid dictionary")),
        };
        read.push(Tool { name: name.to_owned(), parameters });
    }
    Ok(read)
}

fn read_choice(body: &Json, tools: &[Tool]) -> Result<Choice, Refusal> {
    let choice = match body.get("tool_choice") {
        None => return Ok(if tools.is_empty() { Choice::None } else { Choice::Auto }),
        Some(Json::Text(word)) => match word.as_str() {
            "none" => return Ok(Choice::None),
            "auto" => Choice::Auto,
            "required" => Choice::Required,
            other => {
                let message = format!(
                    "Invalid value for `tool_choice`: {other}! Only named tools, \"none\", \"auto\" or \
                     \"required\" are supported."
                );
                return Err(value_error(&message, "tool_choice"));
            }
        },
        Some(named) => {
            match named.get("function").and_then(|function| function.get("name")).and_then(Json::as_text) {
                Some(name) => Choice::Named(name.to_owned()),
                None => return Err(missing("body.tool_choice.function.name")),
            }
        }
    };
    if tools.is_empty() {
        return Err(value_error("When using `tool_choice`, `tools` must be set.", "tool_choice"));
    }
    if let Choice::Named(name) = &choice {
        if !tools.iter().any(|tool| tool.name == *name) {
            let message = "The tool specified in `tool_choice` does not match any of the specified `tools`";
            return Err(value_error(message, "tool_choice"));
        }
    }
    Ok(choice)
}

fn read_messages(model: &Model, name: &str, body: &Json) -> Result<Vec<Message>, Refusal> {
    let messages = body.get("messages").ok_or_else(|| missing("body.messages"))?;
    let messages = messages.as_list().ok_or_else(|| wrong("body.messages", "a valid list"))?;
    if messages.is_empty() {
        let message = "Cannot apply chat template to an empty conversation. Provide at least one message.";
        return Err(bad_request(message, None));
    }
    let mut read = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let place = format!("body.messages.{index}");
        let role =
            message.get("role").and_then(Json::as_text).ok_or_else(|| missing(&format!("{place}.role")))?;
        let mut text = String::new();
        let mut images = 0;
        match message.member("content") {
            None => {}
            Some(Json::Null) if role == "assistant" && message.get("tool_calls").is_some() => {}
            Some(Json::Text(content)) => text.clone_from(content),
            Some(Json::List(parts)) => {
                for part in parts {
                    match part.get("type").and_then(Json::as_text) {
                        Some("text") => match part.get("text").and_then(Json::as_text) {
                            Some(more) => text.push_str(more),
                            None => return Err(missing(&format!("{place}.content.text"))),
                        },
                        Some("image_url") => {
                            let url = part.get("image_url").and_then(|image| image.get("url"));
                            if url.and_then(Json::as_text).is_none() {
                                return Err(missing(&format!("{place}.content.image_url.url")));
                            }
                            images += 1;
                        }
                        Some(other) => return Err(bad_request(format!("Unknown part type: {other}"), None)),
                        None => return Err(missing(&format!("{place}.content.type"))),
                    }
                }
            }
            Some(_) => return Err(wrong(&format!("{place}.content"), "a valid string")),
        }
        if images > 0 {
            if let Some(words) = model.image_refusal {
                return Err(no_images(words, name));
            }
        }
        read.push(Message { role: role.to_owned(), text, images });
    }
    Ok(read)
}

fn no_images(words: ImageRefusal, model: &str) -> Refusal {
    match words {
        ImageRefusal::Vllm => bad_request(format!("{model} is not a multimodal model"), None),
        ImageRefusal::LlamaCpp => Box::new(
            json(
                500,
                &Json::object([(
                    "error",
                    Json::object([
                        ("code", Json::count(500)),
                        (
                            "message",
                            Json::text(
                                "image input is not supported - hint: if this is unexpected, you may need to \
                             provide the mmproj",
                            ),
                        ),
                        ("type", Json::text("server_error")),
                    ]),
                )]),
            )
            .close(),
        ),
    }
}
