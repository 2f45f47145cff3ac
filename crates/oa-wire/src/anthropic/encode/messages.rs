//! Messages as bytes: the system's text apart, and the blocks of the others.

use crate::{
    AssistantBlock, AssistantContent, AssistantMessage, Error, File, FileSource, Image, ImageSource, Message,
    UserBlock, UserContent,
    json::{push_sorted, push_text},
    request_body::push_object_extras,
};
use serde_json::{Map, Value};

/// About as many bytes as the messages take.
pub(super) fn messages_length(messages: &[Message]) -> usize {
    let length = |message: &Message| match message {
        Message::System { content, .. }
        | Message::Developer { content, .. }
        | Message::User { content: UserContent::Text(content), .. } => content.len() + 48,
        Message::Tool { content, tool_call_id, .. } => content.len() + tool_call_id.len() + 96,
        Message::Assistant(message) => assistant_length(message),
        Message::User { content: UserContent::Blocks(blocks), .. } => blocks.iter().map(block_length).sum(),
        Message::Raw { .. } => 128,
    };
    messages.iter().map(length).sum()
}

fn assistant_length(message: &AssistantMessage) -> usize {
    let block = |block: &AssistantBlock| match block {
        AssistantBlock::Text { text } => text.len() + 32,
        AssistantBlock::Thinking { text, signature, .. } => {
            text.len() + signature.as_ref().map_or(0, String::len) + 64
        }
        AssistantBlock::RedactedThinking { data } => data.len() + 48,
        AssistantBlock::ReasoningDetails { .. } => 0,
    };
    let content = match &message.content {
        AssistantContent::Text(text) => text.len(),
        AssistantContent::Blocks(blocks) => blocks.iter().map(block).sum(),
    };
    content + 64 + 160 * message.tool_calls.len()
}

fn block_length(block: &UserBlock) -> usize {
    match block {
        UserBlock::Text { text } => text.len() + 48,
        UserBlock::Image(Image {
            source: ImageSource::Url { url: data } | ImageSource::Inline { base64_data: data },
            ..
        })
        | UserBlock::File(File {
            source: FileSource::Inline { base64_data: data, .. } | FileSource::Id { id: data },
            ..
        }) => data.len() + 128,
        UserBlock::Audio(_) | UserBlock::Video(_) | UserBlock::Raw { .. } => 128,
    }
}

/// The instructions and their further members.
type System<'a> = (&'a str, &'a Map<String, Value>);

/// The instructions that the messages begin with, and the place of the message behind them.
pub(super) fn system_and_rest(messages: &[Message]) -> (Option<System<'_>>, usize) {
    match messages {
        [Message::System { content, extras } | Message::Developer { content, extras }, ..] => {
            (Some((content, extras)), 1)
        }
        _ => (None, 0),
    }
}

/// Writes the instructions, and a directive behind them: a text, or a block where there are further members,
/// such as `cache_control`.
pub(super) fn push_system(
    out: &mut Vec<u8>,
    system: Option<System<'_>>,
    directive: Option<String>,
) -> Result<(), Error> {
    let joined;
    let (text, extras) = match (system, directive) {
        (Some((text, extras)), Some(directive)) => {
            joined = format!("{text}\n\n{directive}");
            (joined.as_str(), Some(extras))
        }
        (Some((text, extras)), None) => (text, Some(extras)),
        (None, directive) => {
            joined = directive.unwrap_or_default();
            (joined.as_str(), None)
        }
    };
    let Some(extras) = extras.filter(|extras| !extras.is_empty()) else {
        push_text(out, text);
        return Ok(());
    };
    out.push(b'[');
    let from = out.len();
    push_text_block(out, text);
    push_object_extras(out, from, extras, &["type", "text"], || "messages[0].extras".to_owned())?;
    out.push(b']');
    Ok(())
}

/// Writes the messages from this place on; the results of tools that follow each other are one.
pub(super) fn push_messages(out: &mut Vec<u8>, messages: &[Message], from: usize) -> Result<(), Error> {
    out.push(b'[');
    let mut at = from;
    while let Some(message) = messages.get(at) {
        if at > from {
            out.push(b',');
        }
        if matches!(message, Message::Tool { .. }) {
            at = push_results(out, messages, at)?;
        } else {
            push_message(out, message, at)?;
            at += 1;
        }
    }
    out.push(b']');
    Ok(())
}

/// The members of a message that are the mapping's own.
const MANAGED: [&str; 2] = ["role", "content"];

fn push_message(out: &mut Vec<u8>, message: &Message, at: usize) -> Result<(), Error> {
    let from = out.len();
    let extras = match message {
        Message::User { content: UserContent::Text(text), extras } => {
            push_simple(out, "user", text);
            extras
        }
        Message::User { content: UserContent::Blocks(blocks), extras } => {
            out.extend_from_slice(br#"{"role":"user","content":["#);
            for (place, block) in blocks.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                push_block(out, block, || format!("messages[{at}].content[{place}]"))?;
            }
            out.extend_from_slice(b"]}");
            extras
        }
        Message::Assistant(message) => {
            push_assistant(out, message, at)?;
            &message.extras
        }
        Message::Raw { message } => {
            push_sorted(out, message);
            return Ok(());
        }
        // They were taken out, and the results of tools are written together.
        Message::System { .. } | Message::Developer { .. } | Message::Tool { .. } => return Ok(()),
    };
    push_object_extras(out, from, extras, &MANAGED, || format!("messages[{at}].extras"))
}

/// Writes the results of tools from this place on as one message, and gives the place behind them.
fn push_results(out: &mut Vec<u8>, messages: &[Message], mut at: usize) -> Result<usize, Error> {
    out.extend_from_slice(br#"{"role":"user","content":["#);
    let mut is_first = true;
    while let Some(Message::Tool { content, tool_call_id, extras }) = messages.get(at) {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        let from = out.len();
        out.extend_from_slice(br#"{"type":"tool_result","tool_use_id":"#);
        push_text(out, tool_call_id);
        out.extend_from_slice(br#","content":"#);
        push_text(out, content);
        out.push(b'}');
        let own = ["type", "tool_use_id", "content"];
        push_object_extras(out, from, extras, &own, || format!("messages[{at}].extras"))?;
        at += 1;
    }
    out.extend_from_slice(b"]}");
    Ok(at)
}

#[inline]
fn push_simple(out: &mut Vec<u8>, role: &str, content: &str) {
    out.extend_from_slice(br#"{"role":""#);
    out.extend_from_slice(role.as_bytes());
    out.extend_from_slice(br#"","content":"#);
    push_text(out, content);
    out.push(b'}');
}

fn push_text_block(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(br#"{"type":"text","text":"#);
    push_text(out, text);
    out.push(b'}');
}

fn push_block(out: &mut Vec<u8>, block: &UserBlock, place: impl FnOnce() -> String) -> Result<(), Error> {
    match block {
        UserBlock::Text { text } => push_text_block(out, text),
        UserBlock::Image(image) => {
            out.extend_from_slice(br#"{"type":"image","source":"#);
            match &image.source {
                ImageSource::Url { url } => {
                    out.extend_from_slice(br#"{"type":"url","url":"#);
                    push_text(out, url);
                    out.push(b'}');
                }
                ImageSource::Inline { base64_data } => {
                    push_base64(out, image.media_type.as_deref().unwrap_or_default(), base64_data);
                }
            }
            out.push(b'}');
        }
        UserBlock::File(file) => {
            out.extend_from_slice(br#"{"type":"document","source":"#);
            match &file.source {
                FileSource::Id { id } => {
                    out.extend_from_slice(br#"{"type":"file","file_id":"#);
                    push_text(out, id);
                    out.push(b'}');
                }
                FileSource::Inline { media_type, base64_data } => push_base64(out, media_type, base64_data),
            }
            if let Some(name) = &file.filename {
                out.extend_from_slice(br#","title":"#);
                push_text(out, name);
            }
            out.push(b'}');
        }
        UserBlock::Raw { part } => push_sorted(out, part),
        UserBlock::Audio(_) | UserBlock::Video(_) => {
            let text = format!("{}: Anthropic Messages has no audio and no video", place());
            return Err(Error::invalid_request(text));
        }
    }
    Ok(())
}

fn push_base64(out: &mut Vec<u8>, media_type: &str, data: &str) {
    out.extend_from_slice(br#"{"type":"base64","media_type":"#);
    push_text(out, media_type);
    out.extend_from_slice(br#","data":"#);
    push_text(out, data);
    out.push(b'}');
}

fn push_assistant(out: &mut Vec<u8>, message: &AssistantMessage, at: usize) -> Result<(), Error> {
    let (text, blocks) = match &message.content {
        AssistantContent::Text(text) if message.tool_calls.is_empty() => {
            push_simple(out, "assistant", text);
            return Ok(());
        }
        AssistantContent::Text(text) => (Some(text).filter(|text| !text.is_empty()), &[][..]),
        AssistantContent::Blocks(blocks) => (None, &blocks[..]),
    };
    out.extend_from_slice(br#"{"role":"assistant","content":["#);
    let mut is_first = true;
    let mut comma = |out: &mut Vec<u8>| {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
    };
    if let Some(text) = text {
        comma(out);
        push_text_block(out, text);
    }
    for block in blocks.iter().filter(|block| is_of_this_wire(block)) {
        comma(out);
        push_assistant_block(out, block);
    }
    for (place, call) in message.tool_calls.iter().enumerate() {
        comma(out);
        let Some(input) = call.arguments.as_value() else {
            return Err(Error::invalid_request(format!(
                "messages[{at}].tool_calls[{place}].arguments: are no object, which Anthropic Messages needs"
            )));
        };
        out.extend_from_slice(br#"{"type":"tool_use","id":"#);
        push_text(out, &call.id);
        out.extend_from_slice(br#","name":"#);
        push_text(out, &call.name);
        out.extend_from_slice(br#","input":"#);
        push_sorted(out, input);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(())
}

/// False for the reasoning of chat completions: no signature of it is one of this wire.
fn is_of_this_wire(block: &AssistantBlock) -> bool {
    !matches!(
        block,
        AssistantBlock::Thinking { member: Some(_), .. } | AssistantBlock::ReasoningDetails { .. }
    )
}

fn push_assistant_block(out: &mut Vec<u8>, block: &AssistantBlock) {
    match block {
        AssistantBlock::Text { text } => push_text_block(out, text),
        AssistantBlock::Thinking { text, signature, .. } => {
            out.extend_from_slice(br#"{"type":"thinking","thinking":"#);
            push_text(out, text);
            if let Some(signature) = signature {
                out.extend_from_slice(br#","signature":"#);
                push_text(out, signature);
            }
            out.push(b'}');
        }
        AssistantBlock::RedactedThinking { data } => {
            out.extend_from_slice(br#"{"type":"redacted_thinking","data":"#);
            push_text(out, data);
            out.push(b'}');
        }
        AssistantBlock::ReasoningDetails { .. } => {}
    }
}
