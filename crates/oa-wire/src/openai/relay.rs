//! The other direction, for relays: bodies of OpenAI's form to requests, and answers to bodies.

use super::history::messages_from_value;
use crate::{
    AssistantBlock, AssistantContent, AssistantMessage, Category, CompletionRequest, Error, Event,
    FinishReason, Response, Tool, ToolCall, ToolCallDelta, ToolChoice, Tools, Usage,
    json::{push_sorted, value_kind},
};
use http::StatusCode;
use serde_json::{Map, Value, json};

/// A request as a relay's caller sent it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RelayedRequest {
    /// The model that it names.
    pub model: Option<String>,
    /// Whether its stream ends with the usage.
    pub include_usage: bool,
    /// The request, to be sent on by a provider. Tool calls are surfaced as they are, and a history may end
    /// with the assistant: to judge either is the caller's.
    pub request: CompletionRequest,
}

impl RelayedRequest {
    /// Reads the body of a request for a completion. What this crate does not know is kept, as an extra or
    /// in a raw form.
    ///
    /// ```
    /// use oa_wire::openai::RelayedRequest;
    ///
    /// let body = r#"{"model": "m", "messages": [{"role": "user", "content": "Hi"}], "top_k": 5}"#;
    /// let relayed = RelayedRequest::from_json(body.as_bytes())?;
    /// assert_eq!(relayed.model.as_deref(), Some("m"));
    /// assert_eq!(relayed.request.config.extras["top_k"], 5);
    /// # Ok::<(), oa_wire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest), with the path of what is wrong.
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Error::invalid_request(format!("the body is not JSON: {error}")))?;
        let Value::Object(mut members) = body else {
            let kind = value_kind(&body);
            return Err(Error::invalid_request(format!("the body: expected an object, got {kind}")));
        };
        let mut take = |name: &str| members.remove(name).filter(|value| !value.is_null());
        let model = match take("model") {
            Some(Value::String(model)) => Some(model),
            Some(other) => return Err(wrong("model", "a text", &other)),
            None => None,
        };
        let messages = take("messages").ok_or_else(|| Error::invalid_request("messages: there is none"))?;
        let mut request = CompletionRequest::new(messages_from_value(messages)?)
            .with_prefill(true)
            .with_surface_invalid_tool_calls(true);
        if let Some(tools) = take("tools") {
            request.tools = read_tools(tools)?;
        }
        if let Some(choice) = take("tool_choice") {
            request.tool_choice = Some(read_choice(choice, &request.tools));
        }
        match take("stream") {
            None => {}
            Some(Value::Bool(stream)) => request.stream = stream,
            Some(other) => return Err(wrong("stream", "true or false", &other)),
        }
        let mut include_usage = false;
        match take("stream_options") {
            None => {}
            Some(Value::Object(mut options)) => {
                include_usage = options.remove("include_usage") == Some(Value::Bool(true));
                request.stream_options = options;
            }
            Some(other) => return Err(wrong("stream_options", "an object", &other)),
        }
        request.config.extras = members;
        Ok(Self { model, include_usage, request })
    }
}

fn wrong(place: &str, expected: &str, got: &Value) -> Error {
    Error::invalid_request(format!("{place}: expected {expected}, got {}", value_kind(got)))
}

fn read_tools(tools: Value) -> Result<Tools, Error> {
    let Value::Array(tools) = tools else { return Err(wrong("tools", "a list", &tools)) };
    let read = |(at, tool): (usize, Value)| {
        if !tool.is_object() {
            return Err(wrong(&format!("tools[{at}]"), "an object", &tool));
        }
        match function(&tool) {
            Some(tool) => Ok(tool),
            None => Tool::raw(tool),
        }
    };
    Tools::new(tools.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?)
}

/// A function whose schema can be used; any other tool is raw.
fn function(tool: &Value) -> Option<Tool> {
    let members = tool.as_object()?;
    let function = members.get("function")?.as_object()?;
    if members.get("type")? != "function" || members.len() != 2 {
        return None;
    }
    let mut read = Tool::new(function.get("name")?.as_str()?, function.get("parameters")?.clone()).ok()?;
    for (name, value) in function {
        match (name.as_str(), value) {
            ("name" | "parameters", _) => {}
            ("description", Value::String(text)) => read = read.with_description(text.as_str()),
            ("strict", Value::Bool(true)) => read = read.with_strict(true),
            _ => read = read.with_extra(name.as_str(), value.clone()),
        }
    }
    Some(read)
}

fn read_choice(choice: Value, tools: &Tools) -> ToolChoice {
    match choice.as_str() {
        Some("auto") => return ToolChoice::Auto,
        Some("none") => return ToolChoice::None,
        Some("required") if !tools.is_empty() => return ToolChoice::Required,
        _ => {}
    }
    let name = choice.get("function").and_then(|function| function.get("name")).and_then(Value::as_str);
    match name.and_then(|name| tools.get(name)) {
        Some(tool)
            if !tool.is_custom()
                && choice == json!({"type": "function", "function": {"name": tool.name()}}) =>
        {
            ToolChoice::Tool(tool.name().to_owned())
        }
        _ => ToolChoice::raw(choice),
    }
}

/// The body of a response, in OpenAI's form. `created` is the time, in seconds since 1970.
///
/// ```
/// use oa_wire::{FinishReason, Response, openai::response_body};
///
/// let body = response_body(&Response::new("Hi!", FinishReason::Stop).with_model("m"), 1_700_000_000);
/// assert_eq!(body["choices"][0]["message"]["content"], "Hi!");
/// ```
pub fn response_body(response: &Response, created: u64) -> Value {
    let logprobs = response.raw.json().ok();
    let logprobs = logprobs.as_ref().and_then(|raw| raw.get("choices")?.as_array());
    let choices = response.choices();
    let choices = choices.iter().map(|choice| {
        let mut message = message(&choice.message);
        if let Some(refusal) = &choice.refusal {
            message["refusal"] = refusal.as_str().into();
        }
        let finish = finish_reason(choice.finish_reason, choice.server_finish_reason.as_deref());
        let mut out = json!({"index": choice.index, "message": message, "finish_reason": finish});
        let same = |other: &&Value| other.get("index").and_then(Value::as_i64).unwrap_or(0) == choice.index;
        let found = logprobs.and_then(|choices| choices.iter().find(same)?.get("logprobs"));
        if let Some(logprobs) = found {
            out["logprobs"] = logprobs.clone();
        }
        out
    });
    let mut body = head(response.id.as_deref(), "chat.completion", response.model.as_deref(), created);
    body.insert("choices".to_owned(), choices.collect());
    if let Some(usage) = usage(&response.usage) {
        body.insert("usage".to_owned(), usage);
    }
    Value::Object(body)
}

fn head(id: Option<&str>, object: &str, model: Option<&str>, created: u64) -> Map<String, Value> {
    let id = id.map_or_else(|| format!("chatcmpl-{created}"), str::to_owned);
    let head = json!({"id": id, "object": object, "created": created, "model": model.unwrap_or_default()});
    head.as_object().cloned().unwrap_or_default()
}

fn message(message: &AssistantMessage) -> Value {
    let text = message.text();
    let is_null = text.is_empty() && !message.tool_calls.is_empty();
    let content = if is_null { Value::Null } else { Value::from(&*text) };
    let mut out = json!({"role": "assistant", "content": content});
    if let Some(reasoning) = message.reasoning() {
        out["reasoning"] = reasoning.into();
        // Most clients read the older name.
        out["reasoning_content"] = reasoning.into();
    }
    if let AssistantContent::Blocks(blocks) = &message.content {
        for block in blocks {
            if let AssistantBlock::ReasoningDetails { details } = block {
                out["reasoning_details"] = details.clone();
            }
        }
    }
    if !message.tool_calls.is_empty() {
        out["tool_calls"] = message.tool_calls.iter().map(whole_call).collect();
    }
    out
}

fn whole_call(call: &ToolCall) -> Value {
    let input = arguments(call);
    if call.arguments.is_input() {
        return json!({"id": call.id, "type": "custom", "custom": {"name": call.name, "input": input}});
    }
    json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": input}})
}

fn arguments(call: &ToolCall) -> String {
    match call.arguments.as_value() {
        Some(object) => {
            let mut out = Vec::new();
            push_sorted(&mut out, object);
            String::from_utf8_lossy(&out).into_owned()
        }
        None => call.arguments.text().unwrap_or("{}").to_owned(),
    }
}

/// The server's own word where it has one: nothing is lost.
fn finish_reason(reason: FinishReason, of_server: Option<&str>) -> Value {
    match (of_server, reason) {
        (Some(word), _) => word.into(),
        (None, FinishReason::Error) => Value::Null,
        (None, reason) => reason.as_str().into(),
    }
}

fn usage(usage: &Usage) -> Option<Value> {
    let mut out = Map::new();
    let mut put = |name: &str, count: Option<u64>| {
        out.extend(count.map(|count| (name.to_owned(), Value::from(count))));
    };
    put("prompt_tokens", usage.prompt_tokens);
    put("completion_tokens", usage.completion_tokens);
    put("total_tokens", usage.total_tokens);
    if usage.cached_tokens.is_some() || usage.cache_creation_tokens.is_some() {
        let mut details = Map::new();
        details.extend(usage.cached_tokens.map(|count| ("cached_tokens".to_owned(), count.into())));
        details
            .extend(usage.cache_creation_tokens.map(|count| ("cache_write_tokens".to_owned(), count.into())));
        out.insert("prompt_tokens_details".to_owned(), details.into());
    }
    if let Some(count) = usage.reasoning_tokens {
        out.insert("completion_tokens_details".to_owned(), json!({"reasoning_tokens": count}));
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// Writes the events of one stream as the event stream of OpenAI's form.
///
/// ```
/// use oa_wire::{Event, openai::ChunkWriter};
///
/// let mut writer = ChunkWriter::new("my-model", 1_700_000_000);
/// let frame = writer.frame(&Event::Content("Hi".into()));
/// assert!(frame.starts_with("data: {") && frame.ends_with("}\n\n"));
/// ```
#[derive(Clone, Debug)]
pub struct ChunkWriter {
    model: String,
    created: u64,
    include_usage: bool,
    has_role: bool,
    /// How many tool calls had fragments.
    begun_calls: usize,
    /// The places of calls of custom tools.
    /// The custom calls that have begun: of which choice, and where.
    custom_calls: Vec<(i64, usize)>,
    whole_calls: usize,
}

impl ChunkWriter {
    /// A writer of a stream by this model. `created` is the time, in seconds since 1970.
    pub fn new(model: impl Into<String>, created: u64) -> Self {
        Self {
            model: model.into(),
            created,
            include_usage: false,
            has_role: false,
            begun_calls: 0,
            custom_calls: Vec::new(),
            whole_calls: 0,
        }
    }

    /// Sets whether the stream ends with a chunk of the usage, which the request's
    /// `stream_options.include_usage` asks for. Off by default.
    #[must_use]
    pub fn with_usage(mut self, on: bool) -> Self {
        self.include_usage = on;
        self
    }

    /// The event as text of the stream: one chunk, several, or none. Of the last, the end of the stream too.
    pub fn frame(&mut self, event: &Event) -> String {
        match event {
            Event::Content(text) => self.delta(0, json!({"content": text.as_str()})),
            Event::Reasoning(text) => {
                self.delta(0, json!({"reasoning": text.as_str(), "reasoning_content": text.as_str()}))
            }
            Event::Choice(piece) => match &piece.event {
                Event::Content(text) => self.delta(piece.index, json!({"content": text.as_str()})),
                Event::Reasoning(text) => self.delta(piece.index, json!({"reasoning": text.as_str()})),
                Event::ToolCallDelta(delta) => self.call_delta(piece.index, delta),
                _ => String::new(),
            },
            Event::ToolCallDelta(delta) => {
                self.begun_calls = self.begun_calls.max(delta.position + 1);
                self.call_delta(0, delta)
            }
            Event::ToolCall(call) => {
                let position = self.whole_calls;
                self.whole_calls += 1;
                // Its fragments had it before.
                if position < self.begun_calls {
                    return String::new();
                }
                let mut whole = whole_call(call);
                whole["index"] = position.into();
                self.delta(0, json!({"tool_calls": [whole]}))
            }
            Event::Usage(_) => String::new(),
            Event::Done(response) => self.end(response),
        }
    }

    fn call_delta(&mut self, choice: i64, delta: &ToolCallDelta) -> String {
        let place = (choice, delta.position);
        if delta.is_custom && !self.custom_calls.contains(&place) {
            self.custom_calls.push(place);
        }
        let is_custom = self.custom_calls.contains(&place);
        let (kind, input) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        let mut function = Map::new();
        if let Some(name) = &delta.name {
            function.insert("name".to_owned(), name.as_str().into());
        }
        function.insert(input.to_owned(), delta.arguments.as_str().into());
        let mut call = json!({"index": delta.position, kind: function});
        if let Some(id) = &delta.id {
            call["id"] = id.as_str().into();
            call["type"] = kind.into();
        }
        self.delta(choice, json!({"tool_calls": [call]}))
    }

    /// The error that ends a stream, and the end of the stream.
    pub fn error_frame(&mut self, error: &Error) -> String {
        format!("data: {}\n\ndata: [DONE]\n\n", error_body(error).1)
    }

    fn end(&mut self, response: &Response) -> String {
        let mut out = String::new();
        if let Some(refusal) = &response.refusal {
            out.push_str(&self.delta(0, json!({"refusal": refusal})));
        }
        for choice in response.choices().iter() {
            let finish = finish_reason(choice.finish_reason, choice.server_finish_reason.as_deref());
            let last = json!([{"index": choice.index, "delta": {}, "finish_reason": finish}]);
            out.push_str(&self.chunk(last, None));
        }
        if let Some(usage) = usage(&response.usage).filter(|_| self.include_usage) {
            out.push_str(&self.chunk(json!([]), Some(usage)));
        }
        out.push_str("data: [DONE]\n\n");
        out
    }

    fn delta(&mut self, index: i64, mut delta: Value) -> String {
        if index == 0 && !std::mem::replace(&mut self.has_role, true) {
            delta["role"] = "assistant".into();
        }
        self.chunk(json!([{"index": index, "delta": delta, "finish_reason": null}]), None)
    }

    fn chunk(&self, choices: Value, usage: Option<Value>) -> String {
        let mut chunk = head(None, "chat.completion.chunk", Some(&self.model), self.created);
        chunk.insert("choices".to_owned(), choices);
        chunk.extend(usage.map(|usage| ("usage".to_owned(), usage)));
        format!("data: {}\n\n", Value::Object(chunk))
    }
}

/// An error as a relay answers it: the status, and the body in OpenAI's form.
///
/// The status is the server's own where it was an error; else one that says the same.
///
/// ```
/// use oa_wire::{Category, Error, openai::error_body};
///
/// let (status, body) = error_body(&Error::new(Category::RateLimit, "too many requests"));
/// assert_eq!((status.as_u16(), body["error"]["type"].as_str()), (429, Some("provider_rate_limit")));
/// ```
pub fn error_body(error: &Error) -> (StatusCode, Value) {
    let of_category = match error.category() {
        Category::Authentication => StatusCode::UNAUTHORIZED,
        Category::InvalidModel => StatusCode::NOT_FOUND,
        Category::RateLimit => StatusCode::TOO_MANY_REQUESTS,
        Category::InvalidRequest | Category::UnsupportedContentBlock => StatusCode::BAD_REQUEST,
        Category::Unavailable | Category::ModelNotLoaded => StatusCode::SERVICE_UNAVAILABLE,
        Category::InvalidResponse | Category::StructuredOutputInvalid => StatusCode::BAD_GATEWAY,
    };
    let of_server = error.status().and_then(|status| StatusCode::from_u16(status).ok());
    let status = of_server.filter(|status| status.is_client_error() || status.is_server_error());
    let body = json!({"error": {
        "message": error.message(),
        "type": error.category().as_str(),
        "param": error.server().param,
        "code": error.server().code,
    }});
    (status.unwrap_or(of_category), body)
}
