//! Body to response: the answer, checked against the request.

mod message;
mod usage;

use super::tool_calls::{RawCall, distinct, repeated};
use crate::{
    AssistantBlock, AssistantContent, AssistantMessage, Error, FinishReason, RawBody, ReasoningMember,
    Response, SchemaMode, ToolArguments, ToolCall, Tools, Usage,
    answer_checks::{checked, fill_ids, first_problem, read_arguments},
    expected::Expected,
    json::{Index, Kind, Malformed, Reader},
};
use serde_json::Value;

pub(super) use crate::{
    error_body::body_start,
    json::{owned, reads_meaningful as is_meaningful},
};
pub(super) use message::{
    CallFields, Content, MessageFields, PartKind, read_calls, read_message, read_parts,
};
pub(super) use usage::read_usage;

/// The parts of an answer, in whatever form it came.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerParts {
    pub(super) content: String,
    pub(super) reasoning: String,
    /// The member that the reasoning was received in.
    pub(super) reasoning_member: Option<ReasoningMember>,
    pub(super) reasoning_details: Option<Value>,
    pub(super) refusal: String,
    pub(super) calls: Vec<RawCall>,
    /// A `tool_calls` that is not empty and in which there is no call: its start.
    pub(super) unread_calls: Option<String>,
    pub(super) finish: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) choice_usage: Option<Usage>,
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) request_id: Option<String>,
}

impl AnswerParts {
    /// Takes another choice in place of this one.
    pub(super) fn take_choice(&mut self, other: Self) {
        let (usage, id, model) = (self.usage.take(), self.id.take(), self.model.take());
        let request_id = self.request_id.take();
        *self = Self { usage, id, model, request_id, ..other };
    }

    /// The response, or why this is none.
    pub(super) fn into_response(mut self, expected: &Expected, raw: RawBody) -> Result<Response, Error> {
        let is_forced = self.take_forced_call(expected);
        let unread = self.unread_calls.clone();
        let mut response = self.into_response_unchecked(expected, raw);
        if is_forced && response.finish_reason == FinishReason::ToolCalls {
            response.finish_reason = FinishReason::Stop;
        }
        checked(response, expected, |response| {
            let calls = &response.message.tool_calls;
            let unread = unread.filter(|_| calls.is_empty());
            unread
                .map(|start| format!("choices[0].message.tool_calls: it holds no call: `{start}`"))
                .or_else(|| first_problem("choices[0].message.tool_calls", calls))
        })
    }

    /// Takes the arguments of the tool that stands for the answer as the text, where the model called no
    /// other.
    fn take_forced_call(&mut self, expected: &Expected) -> bool {
        let is_forced = expected.schema_mode == Some(SchemaMode::ForcedTool);
        let Some(schema) = expected.schema.as_ref().filter(|_| is_forced) else { return false };
        // Some models call it several times over: the first call is the answer.
        if !self.calls.iter().all(|call| call.name == schema.name()) {
            return false;
        }
        let Some(call) = self.calls.first_mut() else { return false };
        self.content = std::mem::take(&mut call.arguments);
        self.calls.clear();
        true
    }

    /// The response with all that is wrong with it.
    pub(super) fn into_response_unchecked(self, expected: &Expected, raw: RawBody) -> Response {
        let content = if self.reasoning.is_empty() && self.reasoning_details.is_none() {
            AssistantContent::Text(self.content)
        } else {
            let thinking = (!self.reasoning.is_empty()).then_some(AssistantBlock::Thinking {
                text: self.reasoning,
                signature: None,
                member: self.reasoning_member,
            });
            let details = self.reasoning_details.map(|details| AssistantBlock::ReasoningDetails { details });
            let text = (!self.content.is_empty()).then_some(AssistantBlock::Text { text: self.content });
            AssistantContent::Blocks(thinking.into_iter().chain(details).chain(text).collect())
        };
        let message = AssistantMessage::new(content).with_tool_calls(tool_calls(self.calls, expected));
        let mut response = Response::new(message, FinishReason::from_server(self.finish.as_deref()));
        response.server_finish_reason = self.finish;
        response.refusal = (!self.refusal.trim_ascii().is_empty()).then_some(self.refusal);
        response.usage = self.usage.or(self.choice_usage).unwrap_or_default();
        response.schema_mode = expected.schema_mode;
        response.id = self.id;
        response.model = self.model;
        response.request_id = self.request_id;
        response.raw = raw;
        response
    }
}

fn tool_calls(calls: Vec<RawCall>, expected: &Expected) -> Vec<ToolCall> {
    let read = |call: RawCall| ToolCall {
        arguments: arguments(call.arguments, &call.name, call.is_custom, &expected.tools),
        id: call.id,
        name: call.name,
        signature: None,
        id_is_local: false,
    };
    let mut calls: Vec<_> = distinct(calls).into_iter().map(read).collect();
    fill_ids(&mut calls);
    calls
}

/// The arguments, checked against the tool's schema; and the name, against the tools.
fn arguments(text: String, name: &str, is_custom: bool, tools: &Tools) -> ToolArguments {
    if is_custom {
        let input = ToolArguments::input(text);
        return match tools.get(name) {
            Some(tool) if tool.is_custom() => input,
            Some(_) => {
                input.with_error(format!("`{name}` was offered as a function, and called with a text"))
            }
            None => input.with_error(format!("the custom tool `{name}` was not offered")),
        };
    }
    read_arguments(text, name, tools, repeated)
}

/// What a JSON body of a success is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// A completion.
    Completion,
    /// An error body with a success status, or an error beside an answer.
    Error {
        has_answer: bool,
        /// The error of the answer's choice, as an error body.
        of_choice: Option<String>,
    },
    /// JSON, but no completion: what is missing.
    Other(&'static str),
}

/// Reads a JSON body. Only `choices[0].message` is required; whatever else has another type than it should is
/// absent.
pub(super) fn read_body(text: &str, parts: &mut AnswerParts) -> Result<Body, Malformed> {
    let mut reader = Reader::new(text);
    let mut chosen: Option<Choice> = None;
    let (mut error, mut choices) = (false, false);
    let is_object = reader.object(|reader, key| {
        match key {
            "choices" => {
                let mut read = |reader: &mut Reader<'_>, at: usize| {
                    if at == 0 {
                        // The last of two lists is read.
                        if chosen.is_some() {
                            parts.take_choice(AnswerParts::default());
                        }
                        chosen = Some(Choice::read(reader, 0, parts)?);
                        return Ok(());
                    }
                    // The choice of index 0, wherever it stands; where there is none, the first.
                    let mut other = AnswerParts::default();
                    let choice = Choice::read(reader, at as i64, &mut other)?;
                    if choice.index == 0 && chosen.as_ref().is_none_or(|chosen| chosen.index != 0) {
                        parts.take_choice(other);
                        chosen = Some(choice);
                    }
                    Ok(())
                };
                if reader.kind()? == Kind::Object && reader.lookup("message")?.is_some() {
                    read(reader, 0)?;
                    choices = true;
                } else {
                    choices = reader.array(read)?;
                }
            }
            "usage" => parts.usage = read_usage(reader)?,
            "id" => parts.id = owned(reader.text()?),
            "model" => parts.model = owned(reader.text()?),
            "error" => error |= is_meaningful(reader)?,
            "object" => error |= reader.text()?.as_deref() == Some("error"),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    reader.end()?;
    let finish = FinishReason::from_server(parts.finish.as_deref());
    Ok(match chosen {
        Some(Choice { has_message: true, .. }) if error && finish == FinishReason::Error => {
            Body::Error { has_answer: true, of_choice: None }
        }
        Some(Choice { error: Some(error), has_message, .. }) => {
            Body::Error { has_answer: has_message, of_choice: Some(error) }
        }
        // Beside a good answer an error is none.
        Some(Choice { has_message: true, .. }) => Body::Completion,
        _ if error => Body::Error { has_answer: false, of_choice: None },
        Some(_) => Body::Other("choices[0].message: expected an object, and there is none"),
        None if choices => Body::Other("choices[0]: expected a choice, and the list is empty"),
        None if is_object => Body::Other("choices: expected a list, and there is none"),
        None => Body::Other("expected an object"),
    })
}

#[derive(Debug)]
struct Choice {
    index: i64,
    has_message: bool,
    /// The error in this choice, as an error body.
    error: Option<String>,
}

impl Choice {
    fn read(reader: &mut Reader<'_>, at: i64, parts: &mut AnswerParts) -> Result<Self, Malformed> {
        let mut choice = Self { index: at, has_message: false, error: None };
        let mut fields = MessageFields::default();
        reader.object(|reader, key| {
            match key {
                "index" => choice.index = choice_index(reader.index()?, at).unwrap_or(-1),
                "message" => {
                    fields = MessageFields::default();
                    choice.has_message = read_message(reader, &mut fields, |reader, key| {
                        if key == "reasoning_details" && reader.kind()? == Kind::Array {
                            let details = reader.value()?;
                            parts.reasoning_details = is_filled_list(&details).then_some(details);
                            return Ok(());
                        }
                        reader.skip()
                    })?;
                }
                "finish_reason" => parts.finish = owned(reader.text()?),
                "usage" => parts.choice_usage = read_usage(reader)?,
                "error" => choice.error = error_body(reader)?,
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        if choice.has_message {
            parts.take_message(fields)?;
        }
        Ok(choice)
    }
}

impl AnswerParts {
    fn take_message(&mut self, mut fields: MessageFields<'_>) -> Result<(), Malformed> {
        let member = fields.reasoning_member();
        let reasoning = fields.take_reasoning();
        match fields.content {
            Some(Content::Text(piece)) => self.content = piece.text.into_owned(),
            Some(Content::Parts(mut reader)) => read_parts(&mut reader, |part| {
                let slot = match part.kind {
                    PartKind::Text => &mut self.content,
                    PartKind::Thinking => &mut self.reasoning,
                    PartKind::Refusal => &mut self.refusal,
                    PartKind::Other => return,
                };
                slot.extend(part.texts.iter().map(|piece| &*piece.text));
            })?,
            None => {}
        }
        // Where the reasoning has a member of its own, parts repeat it.
        if let Some(piece) = reasoning.filter(|piece| !piece.text.is_empty()) {
            self.reasoning = piece.text.into_owned();
            self.reasoning_member = Some(member);
        }
        if let Some(piece) = fields.refusal.filter(|piece| !piece.text.is_empty()) {
            self.refusal = piece.text.into_owned();
        }
        self.unread_calls = fields.unread_calls.map(body_start);
        let calls = fields.calls.into_iter().map(CallFields::into_raw_call);
        self.calls = calls.filter(|call| !call.says_nothing()).collect();
        if self.calls.is_empty() {
            let call = fields.function_call.map(CallFields::into_raw_call);
            self.calls.extend(call.filter(|call| !call.says_nothing()));
        }
        Ok(())
    }
}

impl CallFields<'_> {
    fn into_raw_call(self) -> RawCall {
        let fragment = self.fragment;
        RawCall {
            id: fragment.id.into_owned(),
            name: fragment.name.into_owned(),
            has_arguments: fragment.arguments.is_some(),
            arguments: fragment.arguments.map(|piece| piece.text.into_owned()).unwrap_or_default(),
            is_value: fragment.is_value,
            is_custom: fragment.is_custom,
            is_nested: fragment.is_nested,
            ..RawCall::default()
        }
    }
}

/// The number of a choice: its index, or without one its place; none for an index that is no such number.
pub(super) fn choice_index(index: Index, at: i64) -> Option<i64> {
    match index {
        Index::Absent => Some(at),
        Index::Number(number) => Some(number).filter(|number| *number >= 0),
        Index::Unreadable => None,
    }
}

/// Reads the error of a choice: as an error body, where it says something.
pub(super) fn error_body(reader: &mut Reader<'_>) -> Result<Option<String>, Malformed> {
    let raw = reader.raw()?;
    Ok(is_meaningful(&mut Reader::new(raw))?.then(|| format!("{{\"error\":{raw}}}")))
}

/// True for a list that is not empty.
pub(super) fn is_filled_list(value: &Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty())
}

/// Reads all choices of a body, by their index.
pub(super) fn read_choices(text: &str, expected: &Expected) -> Vec<crate::Choice> {
    let mut choices = Vec::new();
    let Ok(Some(mut list)) = Reader::new(text).lookup("choices") else { return choices };
    let read = list.array(|reader, at| {
        let mut parts = AnswerParts::default();
        let choice = Choice::read(reader, at as i64, &mut parts)?;
        if choice.has_message {
            let response = parts.into_response_unchecked(expected, RawBody::default());
            choices.push(crate::Choice::of(choice.index, response));
        }
        Ok(())
    });
    // The body was read as JSON before.
    debug_assert!(read.is_ok(), "{read:?}");
    choices.sort_by_key(|choice| choice.index);
    choices
}
