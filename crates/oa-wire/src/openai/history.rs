//! Histories in OpenAI's own form, as data sets, logs and browsers have them.

use crate::{
    AssistantBlock, AssistantContent, AssistantMessage, Audio, Error, File, FileSource, Image, ImageDetail,
    ImageSource, Message, ReasoningMember, ToolArguments, ToolCall, UserBlock, UserContent, Video,
    json::value_kind,
};
use serde_json::{Map, Value};

/// The messages of a history in OpenAI's own form: the list that is `messages` in the body of a request.
///
/// What the types of this crate do not say is kept: unknown members as extras, unknown parts and messages as
/// raw ones. So the messages are sent as they were read, but for the order of members.
///
/// ```
/// use oa_wire::{CompletionRequest, Message, openai::messages_from_json};
///
/// let history = messages_from_json(
///     r#"[{"role": "user", "content": [{"type": "text", "text": "What is this?"},
///         {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]}]"#,
/// )?;
/// assert!(matches!(history[0], Message::User { .. }));
///
/// let error = messages_from_json(r#"[{"role": "user", "content": [{"type": "text", "text": 7}]}]"#);
/// assert!(error.unwrap_err().message().starts_with("messages[0].content[0].text: "));
/// # Ok::<(), oa_wire::Error>(())
/// ```
///
/// # Errors
///
/// [`InvalidRequest`](crate::Category::InvalidRequest) for what is no such list, with the path of what is
/// wrong.
pub fn messages_from_json(text: &str) -> Result<Vec<Message>, Error> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| Error::invalid_request(format!("messages: not JSON: {error}")))?;
    messages_from_value(value)
}

/// The same of a value: [`messages_from_json`].
///
/// # Errors
///
/// Those of [`messages_from_json`].
pub fn messages_from_value(messages: Value) -> Result<Vec<Message>, Error> {
    let Value::Array(messages) = messages else { return Err(wrong("messages", "a list", &messages)) };
    let one = |(at, message): (usize, Value)| {
        let place = format!("messages[{at}]");
        let Value::Object(members) = message else { return Err(wrong(&place, "an object", &message)) };
        read_message(members, at == 0, &place)
    };
    messages.into_iter().enumerate().map(one).collect()
}

fn wrong(place: &str, expected: &str, got: &Value) -> Error {
    Error::invalid_request(format!("{place}: expected {expected}, got {}", value_kind(got)))
}

fn read_message(mut members: Map<String, Value>, is_first: bool, place: &str) -> Result<Message, Error> {
    let role = match members.get("role") {
        Some(Value::String(role)) => role.clone(),
        Some(other) => return Err(wrong(&format!("{place}.role"), "a text", other)),
        None => return Err(Error::invalid_request(format!("{place}.role: is missing"))),
    };
    check_content(members.get("content"), place)?;
    let raw = |members: Map<String, Value>| Ok(Message::raw(members));
    let text = match members.get("content") {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    match (&*role, text) {
        // The order of roles is the history's own.
        ("system", Some(text)) if is_first && !text.is_empty() => {
            let extras = without(members, &["role", "content"]);
            Ok(Message::System { content: text, extras })
        }
        ("developer", Some(text)) if is_first && !text.is_empty() => {
            let extras = without(members, &["role", "content"]);
            Ok(Message::Developer { content: text, extras })
        }
        ("user", Some(text)) if !text.is_empty() => {
            let extras = without(members, &["role", "content"]);
            Ok(Message::User { content: UserContent::Text(text), extras })
        }
        ("user", None) => match members.remove("content") {
            Some(Value::Array(parts)) if !parts.is_empty() => {
                let part = |(at, part)| read_part(part, &format!("{place}.content[{at}]"));
                let blocks = parts.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
                let extras = without(members, &["role"]);
                Ok(Message::User { content: UserContent::Blocks(blocks), extras })
            }
            other => {
                members.extend(other.map(|content| ("content".to_owned(), content)));
                raw(members)
            }
        },
        ("tool", Some(content)) if !is_first => match members.get("tool_call_id") {
            Some(Value::String(id)) => {
                let tool_call_id = id.clone();
                let extras = without(members, &["role", "content", "tool_call_id"]);
                Ok(Message::Tool { content, tool_call_id, extras })
            }
            Some(other) => Err(wrong(&format!("{place}.tool_call_id"), "a text", other)),
            None => Err(Error::invalid_request(format!("{place}.tool_call_id: is missing"))),
        },
        ("assistant", text) if !is_first => Ok(match read_assistant(&members, text, place)? {
            Some(message) => Message::Assistant(message),
            None => Message::raw(members),
        }),
        _ => raw(members),
    }
}

fn without(mut members: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    for name in names {
        members.remove(*name);
    }
    members
}

/// A content is a text, null, or a list of parts.
fn check_content(content: Option<&Value>, place: &str) -> Result<(), Error> {
    match content {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(Value::Array(parts)) => match parts.iter().enumerate().find(|(_, part)| !part.is_object()) {
            Some((at, part)) => Err(wrong(&format!("{place}.content[{at}]"), "an object", part)),
            None => Ok(()),
        },
        Some(other) => Err(wrong(&format!("{place}.content"), "a text or a list of parts", other)),
    }
}

/// Reads a part; one with more than its type has is raw.
fn read_part(part: Value, place: &str) -> Result<UserBlock, Error> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    let only = |names: &[&str]| {
        let members = part.as_object().into_iter().flatten();
        members.map(|(name, _)| name.as_str()).all(|name| name == "type" || names.contains(&name))
    };
    let member = |owner: &Value, path: &str, name: &str| match owner.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(wrong(&format!("{place}{path}.{name}"), "a text", other)),
        None => Err(Error::invalid_request(format!("{place}{path}.{name}: is missing"))),
    };
    // The object of a part's own name, where it has no members but these.
    let inner = |names: &[&str]| {
        let inner = part.get(kind)?.as_object()?;
        (only(&[kind]) && inner.keys().all(|name| names.contains(&name.as_str()))).then(|| &part[kind])
    };
    let path = format!(".{kind}");
    Ok(match kind {
        "text" => {
            let text = member(&part, "", "text")?;
            if text.is_empty() || !only(&["text"]) { UserBlock::Raw { part } } else { UserBlock::text(text) }
        }
        "image_url" => {
            let Some(image) = inner(&["url", "detail"]) else { return Ok(UserBlock::Raw { part }) };
            let url = member(image, &path, "url")?;
            let detail =
                match image.get("detail").map(|detail| detail.as_str().and_then(|name| name.parse().ok())) {
                    Some(Some(detail)) => Some::<ImageDetail>(detail),
                    Some(None) => return Ok(UserBlock::Raw { part }),
                    None => None,
                };
            let source = ImageSource::Url { url };
            UserBlock::Image(Image { source, media_type: None, detail })
        }
        "input_audio" => {
            let Some(audio) = inner(&["data", "format"]) else { return Ok(UserBlock::Raw { part }) };
            Audio::base64(member(audio, &path, "format")?, member(audio, &path, "data")?).into()
        }
        "audio_url" | "video_url" => {
            let Some(media) = inner(&["url"]) else { return Ok(UserBlock::Raw { part }) };
            let url = member(media, &path, "url")?;
            if kind == "audio_url" { Audio::url(url).into() } else { Video::url(url).into() }
        }
        "file" => match inner(&["file_id", "filename"]) {
            Some(file)
                if file.get("file_id").is_some() && file.get("filename").is_none_or(Value::is_string) =>
            {
                let filename = file.get("filename").and_then(Value::as_str).map(str::to_owned);
                UserBlock::File(File {
                    source: FileSource::Id { id: member(file, &path, "file_id")? },
                    filename,
                })
            }
            _ => UserBlock::Raw { part },
        },
        _ => UserBlock::Raw { part },
    })
}

/// Reads an answer; none where the types do not say it all.
fn read_assistant(
    members: &Map<String, Value>,
    text: Option<String>,
    place: &str,
) -> Result<Option<AssistantMessage>, Error> {
    if members.get("content").is_some_and(Value::is_array) {
        return Ok(None);
    }
    let calls = match members.get("tool_calls") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(calls)) => {
            let mut read = Vec::new();
            for (at, call) in calls.iter().enumerate() {
                match read_call(call, &format!("{place}.tool_calls[{at}]"))? {
                    Some(call) => read.push(call),
                    None => return Ok(None),
                }
            }
            read
        }
        Some(other) => return Err(wrong(&format!("{place}.tool_calls"), "a list", other)),
    };
    let text = text.unwrap_or_default();
    if text.is_empty() && calls.is_empty() {
        return Ok(None);
    }
    let mut taken = vec!["role", "content", "tool_calls"];
    let mut blocks = Vec::new();
    for member in [ReasoningMember::Reasoning, ReasoningMember::ReasoningContent] {
        match members.get(member.as_str()) {
            Some(Value::String(thought)) if blocks.is_empty() && !thought.is_empty() => {
                taken.push(member.as_str());
                blocks.push(AssistantBlock::Thinking {
                    text: thought.clone(),
                    signature: None,
                    member: Some(member),
                });
            }
            _ => {}
        }
    }
    if let Some(details) = members.get("reasoning_details").filter(|details| details.is_array()) {
        taken.push("reasoning_details");
        blocks.push(AssistantBlock::ReasoningDetails { details: details.clone() });
    }
    let content = if blocks.is_empty() {
        AssistantContent::Text(text)
    } else {
        blocks.extend((!text.is_empty()).then_some(AssistantBlock::Text { text }));
        AssistantContent::Blocks(blocks)
    };
    let mut message = AssistantMessage::new(content).with_tool_calls(calls);
    message.extras = without(members.clone(), &taken);
    Ok(Some(message))
}

fn read_call(call: &Value, place: &str) -> Result<Option<ToolCall>, Error> {
    let Value::Object(members) = call else { return Err(wrong(place, "an object", call)) };
    let kind = members.get("type").and_then(Value::as_str).unwrap_or("function");
    let (inner, input) = match kind {
        "function" => ("function", "arguments"),
        "custom" => ("custom", "input"),
        _ => return Ok(None),
    };
    let text = |owner: &Map<String, Value>, path: &str, name: &str| match owner.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(wrong(&format!("{place}{path}.{name}"), "a text", other)),
        None => Err(Error::invalid_request(format!("{place}{path}.{name}: is missing"))),
    };
    let id = text(members, "", "id")?;
    let function = match members.get(inner) {
        Some(Value::Object(function)) => function,
        Some(other) => return Err(wrong(&format!("{place}.{inner}"), "an object", other)),
        None => return Err(Error::invalid_request(format!("{place}.{inner}: is missing"))),
    };
    let path = format!(".{inner}");
    let name = text(function, &path, "name")?;
    let is_plain = members.keys().all(|key| ["id", "type", "index", inner].contains(&key.as_str()))
        && function.keys().all(|key| ["name", input].contains(&key.as_str()));
    if !is_plain || id.is_empty() || name.is_empty() {
        return Ok(None);
    }
    let input = text(function, &path, input)?;
    let arguments = if kind == "custom" { ToolArguments::input(input) } else { ToolArguments::parse(&input) };
    Ok(Some(ToolCall::new(id, name, arguments)))
}
