//! Body to response: what an answer says, held against what was asked.

use super::tool_calls::RawCall;
use crate::{
    AssistantBlock, AssistantContent, AssistantMessage, Error, FinishReason, JsonSchema, RawBody, Response,
    StructuredOutputFailure, ToolArguments, ToolCall, Tools, Usage,
    error_body::excerpt,
    json::{Kind, Malformed, Reader},
};
use serde_json::Value;
use std::borrow::Cow;

pub(super) use crate::expected::Expected as Asked;

/// What an answer says, in whatever form it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    pub(super) content: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<RawCall>,
    pub(super) finish: Option<String>,
    pub(super) usage: Usage,
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) request_id: Option<String>,
}

impl Parts {
    /// Takes what another choice says in place of this one's.
    fn take_message(&mut self, other: Self) {
        self.content = other.content;
        self.reasoning = other.reasoning;
        self.calls = other.calls;
        self.finish = other.finish;
    }

    /// The response, or why this is none.
    pub(super) fn respond(self, asked: &Asked, raw: RawBody) -> Result<Response, Error> {
        let mut response = self.surface(asked, raw);
        if response.finish_reason != FinishReason::Error && !asked.keep_invalid_tool_calls {
            if let Some(problem) = first_problem(&response.message.tool_calls) {
                return Err(Error::invalid_response(problem).with_partial(response));
            }
        }
        let Some(schema) = &asked.schema else { return Ok(response) };
        if !response.message.tool_calls.is_empty() {
            return Ok(response);
        }
        match parse(&response.message, schema) {
            Ok(value) => {
                response.parsed = Some(value);
                Ok(response)
            }
            Err(problem) => Err(Error::structured_output(StructuredOutputFailure {
                response_schema: schema.clone(),
                output_content: response.text().into_owned(),
                error_message: problem,
                finish_reason: response.finish_reason,
                usage: response.usage,
            })
            .with_partial(response)),
        }
    }

    /// The response with all that is wrong with it.
    pub(super) fn surface(self, asked: &Asked, raw: RawBody) -> Response {
        let content = if self.reasoning.is_empty() {
            AssistantContent::Text(self.content)
        } else {
            let thinking = AssistantBlock::Thinking { text: self.reasoning, signature: None };
            let text = (!self.content.is_empty()).then_some(AssistantBlock::Text { text: self.content });
            AssistantContent::Blocks(std::iter::once(thinking).chain(text).collect())
        };
        Response {
            message: AssistantMessage { content, tool_calls: tool_calls(self.calls, asked) },
            finish_reason: FinishReason::from_server(self.finish.as_deref()),
            server_finish_reason: self.finish,
            usage: self.usage,
            parsed: None,
            id: self.id,
            model: self.model,
            request_id: self.request_id,
            raw,
        }
    }
}

fn tool_calls(calls: Vec<RawCall>, asked: &Asked) -> Vec<ToolCall> {
    let mut local = 0;
    let missing = calls.iter().any(|call| call.id.is_empty());
    let taken: Vec<String> = calls.iter().filter(|_| missing).map(|call| call.id.clone()).collect();
    let mut local_id = || loop {
        let id = format!("call_local_{local}");
        local += 1;
        if !taken.contains(&id) {
            return id;
        }
    };
    calls
        .into_iter()
        .map(|call| {
            let id_is_local = call.id.is_empty();
            let arguments = hold(ToolArguments::parse(&call.arguments), &call.name, &asked.tools);
            ToolCall {
                id: if id_is_local { local_id() } else { call.id },
                name: call.name,
                arguments,
                signature: None,
                id_is_local,
            }
        })
        .collect()
}

/// Holds arguments against the tool's schema, and the name against the tools.
fn hold(arguments: ToolArguments, name: &str, tools: &Tools) -> ToolArguments {
    let Some(tool) = tools.get(name) else {
        return arguments.with_error(format!("the tool `{name}` was not offered"));
    };
    let breach = arguments.as_value().and_then(|object| tool.parameters().validate(object).err());
    match breach {
        Some(breach) => arguments.with_error(format!("they break the schema of `{name}` {breach}")),
        None => arguments,
    }
}

fn first_problem(calls: &[ToolCall]) -> Option<String> {
    calls.iter().enumerate().find_map(|(at, call)| {
        let problem = call.arguments.error()?;
        Some(format!("choices[0].message.tool_calls[{at}] (`{}`): {problem}", call.name))
    })
}

fn parse(message: &AssistantMessage, schema: &JsonSchema) -> Result<Value, String> {
    let text = message.text();
    if text.is_empty() {
        return Err("at the root: the text is empty".to_owned());
    }
    let value = serde_json::from_str(&text).map_err(|error| format!("at the root: not JSON: {error}"))?;
    schema.validate(&value).map_err(|breach| breach.to_string())?;
    Ok(value)
}

/// What a JSON body of a success turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// A completion.
    Completion,
    /// An error in the clothes of a success.
    ErrorEnvelope,
    /// JSON, but no completion: what is missing.
    Other(&'static str),
}

/// Reads a JSON body. Only `choices[0].message` is required; whatever else has another type than it should is
/// absent.
pub(super) fn read_body(text: &str, parts: &mut Parts) -> Result<Body, Malformed> {
    let mut reader = Reader::new(text);
    let mut chosen: Option<Choice> = None;
    let (mut error, mut choices) = (false, false);
    let is_object = reader.object(|reader, key| {
        match key {
            "choices" => {
                choices = reader.array(|reader, at| {
                    if at == 0 {
                        chosen = Some(Choice::read(reader, 0, parts)?);
                        return Ok(());
                    }
                    // The choice of index 0, wherever it stands; for want of one, the first.
                    let mut said = Parts::default();
                    let choice = Choice::read(reader, at as u64, &mut said)?;
                    if choice.index == 0 && chosen.as_ref().is_none_or(|chosen| chosen.index != 0) {
                        parts.take_message(said);
                        chosen = Some(choice);
                    }
                    Ok(())
                })?;
            }
            "usage" => parts.usage = read_usage(reader)?,
            "id" => parts.id = owned(reader.text()?),
            "model" => parts.model = owned(reader.text()?),
            "error" => {
                error = reader.kind()? != Kind::Null;
                reader.skip()?;
            }
            "object" => error |= reader.text()?.as_deref() == Some("error"),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    reader.end()?;
    Ok(match chosen {
        Some(Choice { has_message: true, .. }) => Body::Completion,
        _ if error => Body::ErrorEnvelope,
        Some(_) => Body::Other("choices[0].message: expected an object, and there is none"),
        None if choices => Body::Other("choices[0]: expected a choice, and the list is empty"),
        None if is_object => Body::Other("choices: expected a list, and there is none"),
        None => Body::Other("expected an object"),
    })
}

#[derive(Debug)]
struct Choice {
    index: u64,
    has_message: bool,
}

impl Choice {
    fn read(reader: &mut Reader<'_>, at: u64, parts: &mut Parts) -> Result<Self, Malformed> {
        let mut choice = Self { index: at, has_message: false };
        reader.object(|reader, key| {
            match key {
                "index" => choice.index = reader.counter()?.unwrap_or(at),
                "message" => choice.has_message = read_message(reader, parts)?,
                "finish_reason" => parts.finish = owned(reader.text()?),
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        Ok(choice)
    }
}

fn read_message(reader: &mut Reader<'_>, parts: &mut Parts) -> Result<bool, Malformed> {
    let mut reasoning_content = String::new();
    let mut function_call = None;
    let is_object = reader.object(|reader, key| {
        match key {
            "content" => read_content(reader, &mut parts.content)?,
            "reasoning" => parts.reasoning = owned(reader.text()?).unwrap_or_default(),
            "reasoning_content" => reasoning_content = owned(reader.text()?).unwrap_or_default(),
            "tool_calls" => {
                reader.array(|reader, _| {
                    parts.calls.extend(read_call(reader)?);
                    Ok(())
                })?;
            }
            "function_call" => function_call = read_call(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    // Some servers send both, with the same text: it is taken once.
    if parts.reasoning.is_empty() {
        parts.reasoning = reasoning_content;
    }
    if parts.calls.is_empty() {
        parts.calls.extend(function_call);
    }
    Ok(is_object)
}

/// Reads a content: a text, or a list of text parts.
pub(super) fn read_content(reader: &mut Reader<'_>, content: &mut String) -> Result<(), Malformed> {
    match reader.kind()? {
        Kind::Text => {
            let text = reader.text()?.unwrap_or_default();
            if content.is_empty() {
                *content = text.into_owned();
            } else {
                content.push_str(&text);
            }
        }
        Kind::Array => {
            reader.array(|reader, _| {
                if reader.kind()? == Kind::Text {
                    content.push_str(&reader.text()?.unwrap_or_default());
                    return Ok(());
                }
                let mut text = None;
                let mut is_text = true;
                reader.object(|reader, key| {
                    match key {
                        "type" => is_text = matches!(reader.text()?.as_deref(), Some("text" | "output_text")),
                        "text" => text = reader.text()?,
                        _ => reader.skip()?,
                    }
                    Ok(())
                })?;
                if let Some(text) = text.filter(|_| is_text) {
                    content.push_str(&text);
                }
                Ok(())
            })?;
        }
        _ => reader.skip()?,
    }
    Ok(())
}

fn read_call(reader: &mut Reader<'_>) -> Result<Option<RawCall>, Malformed> {
    let mut call = RawCall::default();
    let is_object = reader.object(|reader, key| match key {
        "id" => {
            call.id = owned(reader.text()?).unwrap_or_default();
            Ok(())
        }
        "function" => reader.object(|reader, key| read_function(reader, key, &mut call)).map(drop),
        _ => read_function(reader, key, &mut call),
    })?;
    Ok(is_object.then_some(call))
}

fn read_function(reader: &mut Reader<'_>, key: &str, call: &mut RawCall) -> Result<(), Malformed> {
    match key {
        "name" => call.name = owned(reader.text()?).unwrap_or_default(),
        "arguments" => call.arguments = read_arguments(reader)?.0.into_owned(),
        _ => reader.skip()?,
    }
    Ok(())
}

/// The arguments' text, and whether they came as a JSON value of their own.
pub(super) fn read_arguments<'a>(reader: &mut Reader<'a>) -> Result<(Cow<'a, str>, bool), Malformed> {
    Ok(match reader.kind()? {
        Kind::Text => (reader.text()?.unwrap_or_default(), false),
        Kind::Null => {
            reader.skip()?;
            (Cow::Borrowed(""), false)
        }
        _ => (Cow::Borrowed(reader.raw()?), true),
    })
}

/// Reads a usage block: each counter that is a non-negative integer.
pub(super) fn read_usage(reader: &mut Reader<'_>) -> Result<Usage, Malformed> {
    let mut usage = Usage::default();
    reader.object(|reader, key| {
        match key {
            "prompt_tokens" => usage.prompt_tokens = reader.counter()?,
            "completion_tokens" => usage.completion_tokens = reader.counter()?,
            "total_tokens" => usage.total_tokens = reader.counter()?,
            "prompt_tokens_details" => {
                reader.object(|reader, key| {
                    if key == "cached_tokens" {
                        usage.cached_tokens = reader.counter()?;
                        return Ok(());
                    }
                    reader.skip()
                })?;
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(usage)
}

/// A text of the server's, where it is one and says something.
pub(super) fn owned(text: Option<Cow<'_, str>>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(Cow::into_owned)
}

/// The start of a body, for a message: one line, at most 200 characters.
pub(super) fn start_of(text: &str) -> String {
    excerpt(text, 200)
}
