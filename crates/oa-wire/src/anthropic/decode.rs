//! Body to response: the answer, checked against the request.

use super::{stop_reason::finish_reason, usage::read_usage};
use crate::{
    AssistantBlock, AssistantContent, AssistantMessage, Error, FinishReason, RawBody, Response, SchemaMode,
    ToolCall, Usage,
    answer_checks::{checked, fill_ids, first_problem, read_arguments},
    expected::Expected,
    json::{Kind, Malformed, Reader, owned, reads_meaningful},
};

/// The parts of an answer, in whatever form it came.
#[derive(Clone, Debug, Default)]
pub(super) struct AnswerParts {
    pub(super) blocks: Vec<Block>,
    pub(super) stop_reason: Option<String>,
    /// The words of `stop_details`.
    pub(super) explanation: Option<String>,
    pub(super) usage: Option<Usage>,
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    pub(super) request_id: Option<String>,
}

/// A block of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Text(String),
    Thinking { text: String, signature: Option<String> },
    Redacted(String),
    Call(Call),
}

/// A call as it was sent: nothing is parsed or checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// The input as JSON text.
    pub(super) input: String,
}

impl AnswerParts {
    /// The response, or why this is none.
    pub(super) fn into_response(mut self, expected: &Expected, raw: RawBody) -> Result<Response, Error> {
        let is_forced = self.take_forced_call(expected);
        let mut response = self.into_response_unchecked(expected, raw);
        if is_forced && response.finish_reason == FinishReason::ToolCalls {
            response.finish_reason = FinishReason::Stop;
        }
        checked(response, expected, |response| first_problem("tool_use", &response.message.tool_calls))
    }

    /// Takes the input of the tool that stands for the answer as the text, where the model called no other.
    fn take_forced_call(&mut self, expected: &Expected) -> bool {
        let is_forced = expected.schema_mode == Some(SchemaMode::ForcedTool);
        let Some(schema) = expected.schema.as_ref().filter(|_| is_forced) else { return false };
        let mut answer = None;
        for block in &self.blocks {
            match block {
                Block::Call(call) if call.name == schema.name() => {
                    // Some models call it several times over: the first call is the answer.
                    answer.get_or_insert_with(|| call.input.clone());
                }
                Block::Call(_) => return false,
                _ => {}
            }
        }
        let Some(answer) = answer else { return false };
        self.blocks.retain(|block| matches!(block, Block::Thinking { .. } | Block::Redacted(_)));
        self.blocks.push(Block::Text(answer));
        true
    }

    /// The response with all that is wrong with it.
    pub(super) fn into_response_unchecked(self, expected: &Expected, raw: RawBody) -> Response {
        let (mut blocks, mut calls) = (Vec::new(), Vec::new());
        for block in self.blocks {
            blocks.push(match block {
                Block::Text(text) if text.is_empty() => continue,
                Block::Text(text) => AssistantBlock::Text { text },
                Block::Thinking { text, signature } => {
                    AssistantBlock::Thinking { text, signature, member: None }
                }
                Block::Redacted(data) => AssistantBlock::RedactedThinking { data },
                Block::Call(call) => {
                    calls.push(call);
                    continue;
                }
            });
        }
        let content = match &mut blocks[..] {
            [] => AssistantContent::default(),
            [AssistantBlock::Text { text }] => AssistantContent::Text(std::mem::take(text)),
            _ => AssistantContent::Blocks(blocks),
        };
        let message = AssistantMessage::new(content).with_tool_calls(tool_calls(calls, expected));
        let mut response = Response::new(message, finish_reason(self.stop_reason.as_deref()));
        if response.finish_reason == FinishReason::ContentFilter {
            response.refusal = self.explanation.or_else(|| self.stop_reason.clone());
        }
        response.server_finish_reason = self.stop_reason;
        response.usage = self.usage.unwrap_or_default();
        response.schema_mode = expected.schema_mode;
        response.id = self.id;
        response.model = self.model;
        response.request_id = self.request_id;
        response.raw = raw;
        response
    }
}

fn tool_calls(calls: Vec<Call>, expected: &Expected) -> Vec<ToolCall> {
    let read = |call: Call| ToolCall {
        arguments: read_arguments(call.input, &call.name, &expected.tools, |_| None),
        id: call.id,
        name: call.name,
        signature: None,
        id_is_local: false,
    };
    let mut calls: Vec<_> = calls.into_iter().map(read).collect();
    fill_ids(&mut calls);
    calls
}

/// What a JSON body of a success is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// A message.
    Message,
    /// An error body with a success status, or an error beside an answer.
    Error { has_answer: bool },
    /// JSON, but no message: what is missing.
    Other(&'static str),
}

/// Reads a JSON body. Only `content` is required; whatever else has another type than it should is absent.
pub(super) fn read_body(text: &str, parts: &mut AnswerParts) -> Result<Body, Malformed> {
    let mut reader = Reader::new(text);
    let (mut has_content, mut is_message, mut error) = (false, false, false);
    let is_object = reader.object(|reader, key| {
        match key {
            "content" => {
                parts.blocks.clear();
                has_content = read_content(reader, |block| parts.blocks.extend(block.into_block()))?;
            }
            "type" => match reader.text()?.as_deref() {
                Some("message") => is_message = true,
                Some("error") => error = true,
                _ => {}
            },
            "error" => error |= reads_meaningful(reader)?,
            "id" => parts.id = owned(reader.text()?),
            "model" => parts.model = owned(reader.text()?),
            "stop_reason" => parts.stop_reason = owned(reader.text()?),
            "stop_details" => parts.explanation = read_explanation(reader)?,
            "usage" => parts.usage = read_usage(reader)?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    reader.end()?;
    let has_answer = has_content || is_message;
    let is_finished = finish_reason(parts.stop_reason.as_deref()) != FinishReason::Error;
    Ok(match () {
        // Beside a good answer an error is none.
        () if error && !(has_content && is_finished) => Body::Error { has_answer },
        () if has_answer => Body::Message,
        () if is_object => Body::Other("content: expected a list, and there is none"),
        () => Body::Other("expected an object"),
    })
}

/// Reads `stop_details`: what it says of a refusal.
pub(super) fn read_explanation(reader: &mut Reader<'_>) -> Result<Option<String>, Malformed> {
    let (mut explanation, mut category) = (None, None);
    reader.object(|reader, key| {
        match key {
            "explanation" => explanation = owned(reader.text()?),
            "category" => category = owned(reader.text()?),
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(explanation.or(category))
}

/// Reads a content: a list of blocks, one of them, or a text. False for anything else.
pub(super) fn read_content<'a>(
    reader: &mut Reader<'a>,
    mut take: impl FnMut(BlockFields<'a>),
) -> Result<bool, Malformed> {
    match reader.kind()? {
        Kind::Array => reader.array(|reader, _| {
            take(BlockFields::read(reader)?);
            Ok(())
        }),
        Kind::Object | Kind::Text => {
            take(BlockFields::read(reader)?);
            Ok(true)
        }
        _ => reader.skip().map(|()| false),
    }
}

/// Which kind of block it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum BlockKind {
    Text,
    Thinking,
    Redacted,
    Call,
    #[default]
    Other,
}

impl BlockKind {
    fn named(name: &str) -> Self {
        match name {
            "text" => Self::Text,
            "thinking" => Self::Thinking,
            "redacted_thinking" => Self::Redacted,
            "tool_use" => Self::Call,
            _ => Self::Other,
        }
    }
}

/// The members of a block, as they were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockFields<'a> {
    pub(super) kind: BlockKind,
    /// The text, reasoning or data, with its quotes.
    pub(super) text: Option<&'a str>,
    pub(super) signature: Option<String>,
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    /// The input as it is written.
    pub(super) input: Option<&'a str>,
    /// All of it as it is written.
    pub(super) raw: &'a str,
}

impl<'a> BlockFields<'a> {
    /// Reads a block; a text alone is one of a text.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let raw = reader.raw()?;
        let mut fields = Self { raw, ..Self::default() };
        if raw.starts_with('"') {
            fields.kind = BlockKind::Text;
            fields.text = Some(raw);
            return Ok(fields);
        }
        let mut kind = None;
        let (mut text, mut thinking, mut data) = (None, None, None);
        Reader::new(raw).object(|reader, key| {
            match key {
                "type" => kind = reader.text()?.map(|name| BlockKind::named(&name)),
                "text" => text = Some(reader.raw()?),
                "thinking" => thinking = Some(reader.raw()?),
                "data" => data = Some(reader.raw()?),
                "signature" => fields.signature = owned(reader.text()?),
                "id" => fields.id = owned(reader.text()?),
                "name" => fields.name = owned(reader.text()?),
                "input" => fields.input = Some(reader.raw()?),
                _ => reader.skip()?,
            }
            Ok(())
        })?;
        // A block without a type is what its members say.
        fields.kind = kind.unwrap_or(match () {
            () if fields.input.is_some() => BlockKind::Call,
            () if thinking.is_some() => BlockKind::Thinking,
            () if text.is_some() => BlockKind::Text,
            () => BlockKind::Other,
        });
        fields.text = match fields.kind {
            BlockKind::Text => text,
            BlockKind::Thinking => thinking,
            BlockKind::Redacted => data,
            BlockKind::Call | BlockKind::Other => None,
        };
        Ok(fields)
    }

    fn text(&self) -> String {
        let piece = self.text.and_then(|raw| Reader::new(raw).piece().ok().flatten());
        piece.map(|piece| piece.text.into_owned()).unwrap_or_default()
    }

    /// The block as a part of the answer; none where it is of another type, or says nothing.
    pub(super) fn into_block(self) -> Option<Block> {
        match self.kind {
            BlockKind::Text => Some(Block::Text(self.text())),
            BlockKind::Thinking => thinking(self.text(), self.signature),
            BlockKind::Redacted => Some(Block::Redacted(self.text())),
            BlockKind::Call => Some(Block::Call(Call {
                input: self.input.map(input_text).unwrap_or_default(),
                id: self.id.unwrap_or_default(),
                name: self.name.unwrap_or_default(),
            })),
            BlockKind::Other => None,
        }
    }
}

/// Reasoning that has a text or a signature.
pub(super) fn thinking(text: String, signature: Option<String>) -> Option<Block> {
    (!text.is_empty() || signature.is_some()).then_some(Block::Thinking { text, signature })
}

/// The JSON text of an input: as it is written, or what a text holds.
pub(super) fn input_text(raw: &str) -> String {
    match Reader::new(raw).text() {
        _ if raw == "null" => String::new(),
        Ok(Some(text)) => text.into_owned(),
        _ => raw.to_owned(),
    }
}
