//! Messages and their parts, as bytes.

use crate::{
    AssistantBlock, AssistantContent, AssistantMessage, Audio, EmptyContent, Error, File, FileSource, Image,
    ImageSource, JsonSchema, Message, Profile, ReasoningMember, SendReasoning, ToolCall, UserBlock,
    UserContent, Video,
    json::{push_list, push_sorted, push_text},
    request_body::push_object_extras,
    schema_directive::directive,
};
use std::borrow::Cow;

/// About as many bytes as the messages take.
pub(super) fn messages_length(messages: &[Message]) -> usize {
    messages.iter().map(message_length).sum()
}

fn message_length(message: &Message) -> usize {
    match message {
        Message::System { content, .. }
        | Message::Developer { content, .. }
        | Message::User { content: UserContent::Text(content), .. } => content.len() + 48,
        Message::Tool { content, tool_call_id, .. } => content.len() + tool_call_id.len() + 64,
        Message::Assistant(message) => {
            message.text_parts().map(str::len).sum::<usize>() + 64 + 160 * message.tool_calls.len()
        }
        Message::User { content: UserContent::Blocks(blocks), .. } => blocks.iter().map(block_length).sum(),
        Message::Raw { .. } => 128,
    }
}

fn block_length(block: &UserBlock) -> usize {
    match block {
        UserBlock::Text { text } => text.len() + 48,
        UserBlock::Image(Image { source, .. })
        | UserBlock::Audio(Audio { source, .. })
        | UserBlock::Video(Video { source, .. }) => match source {
            ImageSource::Url { url: data } | ImageSource::Inline { base64_data: data } => data.len() + 128,
        },
        UserBlock::File(File { source, .. }) => match source {
            FileSource::Id { id } => id.len() + 64,
            FileSource::Inline { base64_data, .. } => base64_data.len() + 128,
        },
        UserBlock::Raw { .. } => 128,
    }
}

/// Writes the messages; with a schema, its directive is added to the system message, or put first as one. The
/// caller's messages stay as they are.
pub(super) fn push_messages(
    out: &mut Vec<u8>,
    messages: &[Message],
    directed: Option<&JsonSchema>,
    profile: &Profile,
) -> Result<(), Error> {
    let empty = profile.body_form().empty_content;
    let reasoning_from = match profile.send_reasoning() {
        SendReasoning::Never => messages.len(),
        SendReasoning::WithOpenToolCalls => {
            messages.iter().rposition(|message| matches!(message, Message::User { .. })).unwrap_or(0)
        }
        SendReasoning::Always => 0,
    };
    out.push(b'[');
    if let Some(schema) = directed {
        let directive = directive(schema);
        if let [Message::System { content, .. } | Message::Developer { content, .. }, ..] = messages {
            push_message(out, &messages[0], 0, (empty, false), Some(&format!("{content}\n\n{directive}")))?;
        } else {
            push_simple(out, "system", &directive);
            if let Some(first) = messages.first() {
                out.push(b',');
                push_message(out, first, 0, (empty, false), None)?;
            }
        }
    } else if let Some(first) = messages.first() {
        push_message(out, first, 0, (empty, false), None)?;
    }
    for (at, message) in messages.iter().enumerate().skip(1) {
        out.push(b',');
        push_message(out, message, at, (empty, at >= reasoning_from), None)?;
    }
    out.push(b']');
    Ok(())
}

/// The members of a message that are the mapping's own.
const MANAGED: [&str; 4] = ["role", "content", "tool_calls", "tool_call_id"];

/// Writes a message; with `directed` in the place of its text.
fn push_message(
    out: &mut Vec<u8>,
    message: &Message,
    at: usize,
    (empty, with_reasoning): (EmptyContent, bool),
    directed: Option<&str>,
) -> Result<(), Error> {
    let from = out.len();
    let extras = match message {
        Message::System { content, extras } => {
            push_simple(out, "system", directed.unwrap_or(content));
            extras
        }
        Message::Developer { content, extras } => {
            push_simple(out, "developer", directed.unwrap_or(content));
            extras
        }
        Message::User { content: UserContent::Text(text), extras } => {
            push_simple(out, "user", text);
            extras
        }
        Message::User { content: UserContent::Blocks(blocks), extras } => {
            out.extend_from_slice(br#"{"role":"user","content":"#);
            push_list(out, blocks, push_block);
            out.push(b'}');
            extras
        }
        Message::Assistant(message) => {
            push_assistant(out, message, empty, with_reasoning);
            &message.extras
        }
        Message::Tool { content, tool_call_id, extras } => {
            out.extend_from_slice(br#"{"role":"tool","tool_call_id":"#);
            push_text(out, tool_call_id);
            out.extend_from_slice(br#","content":"#);
            push_text(out, content);
            out.push(b'}');
            extras
        }
        Message::Raw { message } => {
            push_sorted(out, message);
            return Ok(());
        }
    };
    push_object_extras(out, from, extras, &MANAGED, || format!("messages[{at}].extras"))
}

#[inline]
fn push_simple(out: &mut Vec<u8>, role: &str, content: &str) {
    out.extend_from_slice(br#"{"role":""#);
    out.extend_from_slice(role.as_bytes());
    out.extend_from_slice(br#"","content":"#);
    push_text(out, content);
    out.push(b'}');
}

fn push_block(out: &mut Vec<u8>, block: &UserBlock) {
    match block {
        UserBlock::Text { text } => {
            out.extend_from_slice(br#"{"type":"text","text":"#);
            push_text(out, text);
            out.push(b'}');
        }
        UserBlock::Image(image) => {
            out.extend_from_slice(br#"{"type":"image_url","image_url":{"url":"#);
            push_url(out, &image.source, image.media_type.as_deref());
            if let Some(detail) = image.detail {
                out.extend_from_slice(br#","detail":"#);
                push_text(out, detail.as_str());
            }
            out.extend_from_slice(b"}}");
        }
        UserBlock::Audio(Audio { source: ImageSource::Inline { base64_data }, format }) => {
            out.extend_from_slice(br#"{"type":"input_audio","input_audio":{"data":"#);
            push_text(out, base64_data);
            out.extend_from_slice(br#","format":"#);
            push_text(out, format.as_deref().unwrap_or_default());
            out.extend_from_slice(b"}}");
        }
        UserBlock::Audio(Audio { source, .. }) => {
            out.extend_from_slice(br#"{"type":"audio_url","audio_url":{"url":"#);
            push_url(out, source, None);
            out.extend_from_slice(b"}}");
        }
        UserBlock::Video(Video { source, media_type }) => {
            out.extend_from_slice(br#"{"type":"video_url","video_url":{"url":"#);
            push_url(out, source, media_type.as_deref());
            out.extend_from_slice(b"}}");
        }
        UserBlock::File(File { source, filename }) => {
            out.extend_from_slice(br#"{"type":"file","file":{"#);
            match source {
                FileSource::Id { id } => {
                    out.extend_from_slice(br#""file_id":"#);
                    push_text(out, id);
                }
                FileSource::Inline { media_type, base64_data } => {
                    out.extend_from_slice(br#""file_data":"#);
                    push_text(out, &format!("data:{media_type};base64,{base64_data}"));
                }
            }
            if let Some(name) = filename {
                out.extend_from_slice(br#","filename":"#);
                push_text(out, name);
            }
            out.extend_from_slice(b"}}");
        }
        UserBlock::Raw { part } => push_sorted(out, part),
    }
}

/// Writes a URL; of inline media one that holds them.
fn push_url(out: &mut Vec<u8>, source: &ImageSource, media_type: Option<&str>) {
    match source {
        ImageSource::Url { url } => push_text(out, url),
        ImageSource::Inline { base64_data } => {
            let media_type = media_type.unwrap_or_default();
            push_text(out, &format!("data:{media_type};base64,{base64_data}"));
        }
    }
}

/// Reasoning is stripped unless it was asked for: it is the model's own, and most servers make the next
/// turn's prompt without it. Text blocks are joined, because chat templates take a string.
fn push_assistant(out: &mut Vec<u8>, message: &AssistantMessage, empty: EmptyContent, with_reasoning: bool) {
    const START: &[u8] = br#"{"role":"assistant","content":"#;
    let (text, has_nothing) = match &message.content {
        AssistantContent::Text(text) => (Cow::Borrowed(text.as_str()), text.is_empty()),
        AssistantContent::Blocks(_) => {
            let text = message.text();
            let has_nothing = text.is_empty() && !message.tool_calls.is_empty();
            (text, has_nothing)
        }
    };
    match empty {
        EmptyContent::Null if has_nothing => {
            out.extend_from_slice(START);
            out.extend_from_slice(b"null");
        }
        EmptyContent::Absent if has_nothing => out.extend_from_slice(br#"{"role":"assistant""#),
        _ => {
            out.extend_from_slice(START);
            push_text(out, &text);
        }
    }
    if !message.tool_calls.is_empty() {
        out.extend_from_slice(br#","tool_calls":"#);
        push_list(out, &message.tool_calls, push_call);
    }
    if with_reasoning {
        push_reasoning(out, message);
    }
    out.push(b'}');
}

/// Writes the reasoning in the member in which it was received, and its details as they are.
fn push_reasoning(out: &mut Vec<u8>, message: &AssistantMessage) {
    let AssistantContent::Blocks(blocks) = &message.content else { return };
    let mut text = String::new();
    let mut name = None;
    for block in blocks {
        if let AssistantBlock::Thinking { text: thought, member, .. } = block {
            text.push_str(thought);
            name = name.or(*member);
        }
    }
    if !text.is_empty() {
        out.push(b',');
        push_text(out, name.unwrap_or(ReasoningMember::Reasoning).as_str());
        out.push(b':');
        push_text(out, &text);
    }
    let details = blocks.iter().find_map(|block| match block {
        AssistantBlock::ReasoningDetails { details } => Some(details),
        _ => None,
    });
    if let Some(details) = details {
        out.extend_from_slice(br#","reasoning_details":"#);
        push_sorted(out, details);
    }
}

fn push_call(out: &mut Vec<u8>, call: &ToolCall) {
    let is_input = call.arguments.is_input();
    let (kind, input) = if is_input { ("custom", "input") } else { ("function", "arguments") };
    out.extend_from_slice(br#"{"type":"#);
    push_text(out, kind);
    out.extend_from_slice(br#","id":"#);
    push_text(out, &call.id);
    out.push(b',');
    push_text(out, kind);
    out.extend_from_slice(br#":{"name":"#);
    push_text(out, &call.name);
    out.push(b',');
    push_text(out, input);
    out.push(b':');
    match call.arguments.as_value() {
        Some(object) => {
            let mut arguments = Vec::new();
            push_sorted(&mut arguments, object);
            push_text(out, &String::from_utf8_lossy(&arguments));
        }
        None => push_text(out, call.arguments.text().unwrap_or("{}")),
    }
    out.extend_from_slice(b"}}");
}
