//! Prompts and outputs as span attributes: sorted, without image data, and cut to a limit.

use oa_wire::{CompletionRequest, Message, ToolCall};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The smallest limit that is taken, in bytes.
pub(super) const MIN_LIMIT: usize = 256;

/// The messages as a JSON list in the specification's shape. Inline images are replaced by their size.
pub(super) fn messages(request: &CompletionRequest) -> String {
    let messages = request.messages().iter().map(message).collect();
    sorted(&Value::Array(messages))
}

/// The extras as a JSON object, if there are any.
pub(super) fn extras(request: &CompletionRequest) -> Option<String> {
    let extras = &request.config.extras;
    (!extras.is_empty()).then(|| {
        let mut out = String::new();
        write_object(&mut out, extras);
        out
    })
}

/// The calls as a JSON list of id, name and arguments. Arguments that are no object are the model's text.
pub(super) fn tool_calls(calls: &[ToolCall]) -> String {
    let calls = calls.iter().map(tool_call).collect();
    sorted(&Value::Array(calls))
}

/// A list of texts as JSON.
pub(super) fn list<'a>(items: impl IntoIterator<Item = &'a str>) -> String {
    sorted(&Value::Array(items.into_iter().map(Value::from).collect()))
}

/// Cuts a text to at most `limit` bytes, at the boundary of a character, and says so at its end.
pub(super) fn cut(mut text: String, limit: usize) -> String {
    if text.len() <= limit {
        return text;
    }
    let marker = format!("…[truncated, {} bytes total]", text.len());
    let mut end = limit.saturating_sub(marker.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push_str(&marker);
    text
}

fn message(message: &Message) -> Value {
    // Inline images can be megabytes: they are left out before anything is copied.
    match message {
        Message::User { content: oa_wire::UserContent::Blocks(blocks), extras, .. } => {
            let blocks: Vec<Value> = blocks.iter().map(block).collect();
            let mut value = json!({"role": "user", "content": blocks});
            for (name, extra) in extras {
                value[name] = extra.clone();
            }
            return value;
        }
        Message::Raw { message, .. } => return redacted(message, ""),
        _ => {}
    }
    let mut value = serde_json::to_value(message).unwrap_or_default();
    if let (Message::Assistant(assistant), Value::Object(members)) = (message, &mut value) {
        if !assistant.tool_calls.is_empty() {
            let calls = assistant.tool_calls.iter().map(tool_call).collect();
            members.insert("tool_calls".to_owned(), Value::Array(calls));
        }
    }
    value
}

fn block(block: &oa_wire::UserBlock) -> Value {
    let image = match block {
        oa_wire::UserBlock::Image(image) => image,
        oa_wire::UserBlock::Raw { part } => return redacted(part, ""),
        other => return redacted(&serde_json::to_value(other).unwrap_or_default(), ""),
    };
    let source = match &image.source {
        oa_wire::ImageSource::Url { url } if !is_inline(url) => json!({"type": "url", "url": url}),
        oa_wire::ImageSource::Url { url: data } | oa_wire::ImageSource::Inline { base64_data: data } => {
            json!({"type": "inline_redacted", "byte_count": data.len()})
        }
        _ => json!({"type": "redacted"}),
    };
    let mut value = json!({"type": "image", "source": source});
    if let Some(media_type) = &image.media_type {
        value["media_type"] = media_type.as_str().into();
    }
    if let Some(detail) = image.detail {
        value["detail"] = detail.as_str().into();
    }
    value
}

/// A value with the size of inline media in the place of each.
fn redacted(value: &Value, name: &str) -> Value {
    match value {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, of)| (name.clone(), redacted(of, name))).collect())
        }
        Value::Array(items) => items.iter().map(|item| redacted(item, name)).collect(),
        Value::String(text) if is_inline(text) || matches!(name, "data" | "base64_data" | "file_data") => {
            json!({"type": "inline_redacted", "byte_count": text.len()})
        }
        other => other.clone(),
    }
}

/// A `data:` URL holds the image itself.
fn is_inline(url: &str) -> bool {
    url.trim_start().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

fn tool_call(call: &ToolCall) -> Value {
    let arguments = match call.arguments.as_object() {
        Some(object) => Value::Object(object.clone()),
        None => call.arguments.text().map_or(Value::Null, Value::from),
    };
    json!({"id": call.id, "name": call.name, "arguments": arguments})
}

/// JSON with the keys in order, whatever order the maps keep.
fn sorted(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Object(members) => write_object(out, members),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        // A string that cannot be written to a `String` does not exist.
        scalar => drop(write!(out, "{scalar}")),
    }
}

fn write_object(out: &mut String, members: &Map<String, Value>) {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (at, (name, value)) in members.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write_value(out, &Value::String(name.clone()));
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use oa_wire::{AssistantMessage, Image, ImageDetail, RuntimeConfig, UserBlock};

    #[test]
    fn a_text_is_cut_at_a_character_and_says_how_long_it_was() {
        for size in [0, 255, 256, 257, 300, 1000] {
            let text = "aß".repeat(size) + "x";
            let whole = text.len();
            let cut = cut(text.clone(), MIN_LIMIT);
            if whole <= MIN_LIMIT {
                assert_eq!(cut, text);
            } else {
                assert!(cut.len() <= MIN_LIMIT && cut.len() > MIN_LIMIT - 4, "{}", cut.len());
                let kept = cut.strip_suffix(&format!("…[truncated, {whole} bytes total]")).unwrap();
                assert!(text.starts_with(kept));
            }
        }
    }

    #[test]
    fn inline_images_are_replaced_by_their_size() {
        let request = CompletionRequest::new([Message::user([
            UserBlock::text("what is it?"),
            Image::base64("image/png", "iVBORw0KGgo=").with_detail(ImageDetail::Auto).into(),
            Image::url("https://example.com/a.png").into(),
            Image::url("DATA:image/png;base64,iVBORw0KGgo=").into(),
        ])]);
        assert_eq!(
            messages(&request),
            concat!(
                r#"[{"content":[{"text":"what is it?","type":"text"},"#,
                r#"{"detail":"auto","media_type":"image/png","#,
                r#""source":{"byte_count":12,"type":"inline_redacted"},"#,
                r#""type":"image"},"#,
                r#"{"source":{"type":"url","url":"https://example.com/a.png"},"type":"image"},"#,
                r#"{"source":{"byte_count":34,"type":"inline_redacted"},"type":"image"}],"role":"user"}]"#
            )
        );
    }

    #[test]
    fn keys_are_sorted_and_calls_have_three_members() {
        let arguments: Value = serde_json::from_str(r#"{"z":1,"a":{"y":[1.5,null],"b":"\"ü\n"}}"#).unwrap();
        let mut message = AssistantMessage::default();
        message.tool_calls.push(ToolCall::new("call_1", "look", arguments));
        let request = CompletionRequest::new([message.into()])
            .with_config(RuntimeConfig::new().with_extra("top_k", 20).with_extra("min_p", 0.5));
        assert_eq!(
            messages(&request),
            concat!(
                r#"[{"content":"","role":"assistant","tool_calls":[{"arguments":"#,
                r#"{"a":{"b":"\"ü\n","y":[1.5,null]},"z":1},"id":"call_1","name":"look"}]}]"#
            )
        );
        assert_eq!(extras(&request).unwrap(), r#"{"min_p":0.5,"top_k":20}"#);
        assert_eq!(list(["END", "STOP"]), r#"["END","STOP"]"#);
    }
}
