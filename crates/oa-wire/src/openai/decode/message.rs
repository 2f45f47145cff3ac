//! The members of a message, or of a delta: the same in a body and in a stream.

use super::super::tool_calls::Fragment;
use crate::{
    ReasoningMember,
    json::{Kind, Malformed, Piece, Reader},
};
use std::borrow::Cow;

/// The members of a message that the answer takes. A member that stands twice has its last value that is not
/// null.
#[derive(Debug, Default)]
pub(in super::super) struct MessageFields<'a> {
    pub(in super::super) content: Option<Content<'a>>,
    pub(in super::super) reasoning: Option<Piece<'a>>,
    pub(in super::super) reasoning_content: Option<Piece<'a>>,
    pub(in super::super) refusal: Option<Piece<'a>>,
    pub(in super::super) calls: Vec<CallFields<'a>>,
    pub(in super::super) function_call: Option<CallFields<'a>>,
    /// A `tool_calls` that is not empty and in which there is no call.
    pub(in super::super) unread_calls: Option<&'a str>,
}

/// A content.
#[derive(Debug)]
pub(in super::super) enum Content<'a> {
    Text(Piece<'a>),
    /// A list of parts, or one part: a reader at its place.
    Parts(Reader<'a>),
}

/// A part of a content.
#[derive(Debug)]
pub(in super::super) struct Part<'a> {
    pub(in super::super) kind: PartKind,
    /// Its pieces of text.
    pub(in super::super) texts: Vec<Piece<'a>>,
    /// The part as it is written.
    pub(in super::super) raw: &'a str,
    /// It has a member beside its type and its text.
    pub(in super::super) has_more: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum PartKind {
    Text,
    Thinking,
    Refusal,
    Other,
}

/// A tool call, or a fragment of one.
#[derive(Debug)]
pub(in super::super) struct CallFields<'a> {
    pub(in super::super) fragment: Fragment<'a>,
    pub(in super::super) has_type: bool,
    /// It has members beside its type that the answer does not take.
    pub(in super::super) has_more: bool,
    /// A reader at its place.
    pub(in super::super) reader: Reader<'a>,
}

impl<'a> MessageFields<'a> {
    /// The member that has the reasoning.
    pub(in super::super) fn reasoning_member(&self) -> ReasoningMember {
        match &self.reasoning {
            Some(piece) if !piece.text.is_empty() || self.reasoning_content.is_none() => {
                ReasoningMember::Reasoning
            }
            _ => ReasoningMember::ReasoningContent,
        }
    }

    /// The reasoning: some servers send both members, with the same text.
    pub(in super::super) fn take_reasoning(&mut self) -> Option<Piece<'a>> {
        match self.reasoning.take() {
            Some(piece) if !piece.text.is_empty() || self.reasoning_content.is_none() => Some(piece),
            _ => self.reasoning_content.take(),
        }
    }
}

/// Reads a message. What the answer does not take, and null, is handed to `other`, which must read it. False,
/// and the value skipped, when it is no object.
#[inline]
pub(in super::super) fn read_message<'a>(
    reader: &mut Reader<'a>,
    fields: &mut MessageFields<'a>,
    mut other: impl FnMut(&mut Reader<'a>, &str) -> Result<(), Malformed>,
) -> Result<bool, Malformed> {
    reader.object(|reader, key| {
        match key {
            "content" | "reasoning" | "reasoning_content" | "refusal" | "tool_calls" | "function_call"
                if reader.kind()? == Kind::Null =>
            {
                other(reader, key)?;
            }
            "content" if is_scalar(reader)? => fields.content = reader.piece()?.map(Content::Text),
            "content" => {
                fields.content = Some(Content::Parts(reader.ahead()));
                reader.skip()?;
            }
            "reasoning" if is_scalar(reader)? => fields.reasoning = reader.piece()?,
            "reasoning_content" if is_scalar(reader)? => fields.reasoning_content = reader.piece()?,
            "refusal" if is_scalar(reader)? => fields.refusal = reader.piece()?,
            "tool_calls" => {
                let mut place = reader.ahead();
                read_calls(reader, fields)?;
                if fields.calls.is_empty() {
                    other(&mut place, key)?;
                }
            }
            "function_call" if reader.kind()? == Kind::Object => {
                fields.function_call = read_call(reader)?;
            }
            _ => other(reader, key)?,
        }
        Ok(())
    })
}

/// True for what is a text or a literal.
fn is_scalar(reader: &mut Reader<'_>) -> Result<bool, Malformed> {
    Ok(!matches!(reader.kind()?, Kind::Null | Kind::Array | Kind::Object))
}

/// Reads `tool_calls`: a list, or the only call that would be in it.
pub(in super::super) fn read_calls<'a>(
    reader: &mut Reader<'a>,
    fields: &mut MessageFields<'a>,
) -> Result<(), Malformed> {
    let kind = reader.kind()?;
    fields.calls.clear();
    fields.unread_calls = None;
    let mut whole = reader.ahead();
    let calls = &mut fields.calls;
    match kind {
        Kind::Array => {
            reader.array(|reader, at| {
                let call = read_call(reader)?;
                calls.extend(call.map(|mut call| {
                    call.fragment.follows = at > 0;
                    call
                }));
                Ok(())
            })?;
        }
        Kind::Object => calls.extend(read_call(reader)?),
        _ => reader.skip()?,
    }
    if calls.iter().all(|call| call.fragment.says_nothing()) {
        let raw = whole.raw()?;
        let is_unread = raw.len() > 2 && gives_something(&mut Reader::new(raw), "")?;
        fields.unread_calls = is_unread.then_some(raw);
    }
    Ok(())
}

/// True for a `tool_calls` that is more than the empty forms that servers send where no tool is called.
fn gives_something(reader: &mut Reader<'_>, key: &str) -> Result<bool, Malformed> {
    let mut gives = false;
    match reader.kind()? {
        Kind::Null => reader.skip()?,
        Kind::Text => {
            let text = reader.text()?.unwrap_or_default();
            gives = !matches!(text.trim_ascii(), "" | "[]" | "{}" | "null") && key != "type";
        }
        Kind::Number | Kind::Bool => gives = reader.raw()? != "false" && key != "index",
        Kind::Array => {
            reader.array(|reader, _| {
                gives |= gives_something(reader, "")?;
                Ok(())
            })?;
        }
        Kind::Object => {
            reader.object(|reader, key| {
                gives |= gives_something(reader, key)?;
                Ok(())
            })?;
        }
    }
    Ok(gives)
}

/// What a call has in itself, and in its `function` or `custom`.
#[derive(Default)]
struct Named<'a> {
    name: Cow<'a, str>,
    arguments: Option<Piece<'a>>,
    is_value: bool,
}

/// Reads a tool call. None when it is no object.
pub(in super::super) fn read_call<'a>(reader: &mut Reader<'a>) -> Result<Option<CallFields<'a>>, Malformed> {
    let place = reader.ahead();
    let mut fragment = Fragment::default();
    let (mut own, mut nested) = (Named::default(), Named::default());
    let (mut has_type, mut has_more) = (false, false);
    let is_object = reader.object(|reader, key| {
        match key {
            "index" => {
                fragment.index = reader.index()?;
                has_more |= fragment.index == crate::json::Index::Unreadable;
            }
            "id" => {
                has_more |= !matches!(reader.kind()?, Kind::Text | Kind::Null);
                set_text(&mut fragment.id, reader.text()?);
            }
            "type" => {
                has_type = true;
                fragment.is_custom |= reader.text()?.as_deref() == Some("custom");
            }
            "function" | "custom" => {
                let is_custom = key == "custom";
                // Or a member of this name that is something else of the server's.
                let names_a_tool = reader.kind()? == Kind::Object
                    && (!is_custom || reader.lookup("name")?.or(reader.lookup("input")?).is_some());
                if !names_a_tool {
                    has_more |= reader.kind()? != Kind::Null;
                    return reader.skip();
                }
                fragment.is_custom |= is_custom;
                fragment.is_nested = true;
                reader.object(|reader, key| {
                    let key = if is_custom && key == "input" { "arguments" } else { key };
                    has_more |= !read_named(reader, key, &mut nested)?;
                    Ok(())
                })?;
            }
            _ => has_more |= !read_named(reader, key, &mut own)?,
        }
        Ok(())
    })?;
    if !is_object {
        return Ok(None);
    }
    // Beside those of its function, a call's own do not count.
    let no_text = |piece: &Option<Piece<'_>>| piece.as_ref().is_none_or(|piece| piece.text.is_empty());
    fragment.name = if nested.name.is_empty() { own.name } else { nested.name };
    let is_own = no_text(&nested.arguments) && own.arguments.is_some();
    (fragment.arguments, fragment.is_value) =
        if is_own { (own.arguments, own.is_value) } else { (nested.arguments, nested.is_value) };
    Ok(Some(CallFields { fragment, has_type, has_more, reader: place }))
}

/// Reads `name` or `arguments`; false, and the value skipped, for any other member.
fn read_named<'a>(reader: &mut Reader<'a>, key: &str, named: &mut Named<'a>) -> Result<bool, Malformed> {
    match (key, reader.kind()?) {
        ("name", Kind::Text) => set_text(&mut named.name, reader.text()?),
        ("name" | "arguments", Kind::Null) => reader.skip()?,
        ("arguments", Kind::Object | Kind::Array) => {
            let raw = reader.raw()?;
            named.arguments = Some(Piece { text: Cow::Borrowed(raw), written: raw, at: None });
            named.is_value = true;
        }
        ("arguments", _) => {
            named.arguments = reader.piece()?;
            named.is_value = false;
        }
        _ => {
            reader.skip()?;
            return Ok(false);
        }
    }
    Ok(true)
}

fn set_text<'a>(slot: &mut Cow<'a, str>, text: Option<Cow<'a, str>>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        *slot = text;
    }
}

impl<'a> CallFields<'a> {
    /// Reads the members again that the answer does not take; true with those of its `function` or `custom`.
    pub(in super::super) fn read_more(
        mut self,
        mut take: impl FnMut(&str, bool, &'a str),
    ) -> Result<(), Malformed> {
        self.reader.object(|reader, key| {
            let kind = reader.kind()?;
            match key {
                "index" if reader.ahead().index()? != crate::json::Index::Unreadable => reader.skip(),
                "id" | "name" | "arguments" if matches!(kind, Kind::Text | Kind::Null) => reader.skip(),
                "arguments" => reader.skip(),
                "function" | "custom" if kind == Kind::Object && self.fragment.is_nested => reader
                    .object(|reader, inner| {
                        let is_taken =
                            matches!(inner, "name" | "arguments") || key == "custom" && inner == "input";
                        if is_taken {
                            return reader.skip();
                        }
                        take(inner, true, reader.raw()?);
                        Ok(())
                    })
                    .map(drop),
                _ => {
                    take(key, false, reader.raw()?);
                    Ok(())
                }
            }
        })?;
        Ok(())
    }
}

/// Reads the parts of a content, or its only part.
pub(in super::super) fn read_parts<'a>(
    reader: &mut Reader<'a>,
    mut take: impl FnMut(Part<'a>),
) -> Result<(), Malformed> {
    if reader.kind()? != Kind::Array {
        take(read_part(reader)?);
        return Ok(());
    }
    reader.array(|reader, _| {
        take(read_part(reader)?);
        Ok(())
    })?;
    Ok(())
}

fn read_part<'a>(reader: &mut Reader<'a>) -> Result<Part<'a>, Malformed> {
    let raw = reader.ahead().raw()?;
    if reader.kind()? != Kind::Object {
        let texts: Vec<_> = reader.piece()?.into_iter().collect();
        let kind = if texts.is_empty() { PartKind::Other } else { PartKind::Text };
        return Ok(Part { kind, texts, raw, has_more: false });
    }
    let (mut text, mut refusal, mut thinking) = (None, None, Vec::new());
    let mut kind = None;
    let mut has_more = false;
    reader.object(|reader, key| {
        match (key, reader.kind()?) {
            ("type", Kind::Text) => {
                kind = Some(match reader.text()?.as_deref() {
                    Some("text" | "output_text") => PartKind::Text,
                    Some("thinking" | "reasoning") => PartKind::Thinking,
                    Some("refusal") => PartKind::Refusal,
                    _ => PartKind::Other,
                });
            }
            ("text", _) => text = reader.piece()?,
            ("refusal", _) => refusal = reader.piece()?,
            ("thinking" | "reasoning", Kind::Array) => {
                reader.array(|reader, _| {
                    if let Some(mut place) = reader.lookup("text")? {
                        thinking.extend(place.piece()?);
                    }
                    reader.skip()
                })?;
            }
            ("thinking" | "reasoning", _) => thinking.extend(reader.piece()?),
            _ => {
                has_more = true;
                reader.skip()?;
            }
        }
        Ok(())
    })?;
    let kind = kind.unwrap_or(if text.is_some() { PartKind::Text } else { PartKind::Other });
    let texts = match kind {
        PartKind::Text => text.into_iter().collect(),
        PartKind::Thinking if thinking.is_empty() => text.into_iter().collect(),
        PartKind::Thinking => thinking,
        PartKind::Refusal => refusal.or(text).into_iter().collect(),
        PartKind::Other => Vec::new(),
    };
    Ok(Part { kind, texts, raw, has_more })
}
