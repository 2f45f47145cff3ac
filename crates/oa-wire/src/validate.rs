//! The validation of a request, whatever the wire mapping. Every message names the place.

use crate::{
    AssistantBlock, AssistantContent, AssistantMessage, Audio, CompletionRequest, Error, File, FileSource,
    Image, ImageSource, Message, RuntimeConfig, ToolChoice, UserBlock, UserContent, Video, json::value_kind,
};
use serde_json::Value;

/// Checks a request against the rules that its types do not hold already.
pub(crate) fn validate(request: &CompletionRequest) -> Result<(), Error> {
    messages(request.messages(), request.prefill)?;
    tool_choice(request)?;
    config(&request.config)
}

fn messages(messages: &[Message], prefill: bool) -> Result<(), Error> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else {
        return Err(Error::invalid_request("messages: there is none"));
    };
    if matches!(first, Message::Assistant(_) | Message::Tool { .. }) {
        return Err(Error::invalid_request("messages[0].role: the first message must be system or user"));
    }
    for (at, message) in messages.iter().enumerate() {
        let place =
            |rest: &str, why: &str| Err(Error::invalid_request(format!("messages[{at}]{rest}: {why}")));
        match message {
            Message::System { .. } | Message::Developer { .. } if at > 0 => {
                return place(".role", "a system message may only come first");
            }
            Message::System { content, .. } | Message::Developer { content, .. } if content.is_empty() => {
                return place(".content", "is empty");
            }
            Message::System { .. } | Message::Developer { .. } => {}
            Message::Raw { message } => raw(message).or_else(|(rest, why)| place(&rest, &why))?,
            Message::User { content, .. } => user(content).or_else(|(rest, why)| place(&rest, &why))?,
            Message::Assistant(message) => assistant(message).or_else(|(rest, why)| place(&rest, &why))?,
            Message::Tool { tool_call_id, .. } => {
                if !called_before(&messages[..at], tool_call_id) {
                    let why =
                        format!("`{tool_call_id}` is the id of no tool call of an earlier assistant message");
                    return place(".tool_call_id", &why);
                }
            }
        }
    }
    let at = messages.len() - 1;
    match last {
        Message::System { .. } | Message::Developer { .. } => {
            let why = format!("messages[{at}].role: the last message must be user or tool");
            Err(Error::invalid_request(why))
        }
        Message::Assistant(_) if !prefill => Err(Error::invalid_request(format!(
            "messages[{at}].role: the last message must be user or tool; for the model to go on with it, set \
             `prefill`"
        ))),
        _ => Ok(()),
    }
}

/// A message that is sent verbatim needs no more than a role.
fn raw(message: &Value) -> Result<(), Wrong> {
    let Value::Object(members) = message else {
        return Err((String::new(), format!("a raw message is an object, got {}", value_kind(message))));
    };
    match members.get("role").and_then(Value::as_str) {
        Some(role) => non_empty(role, ".role"),
        None => Err((".role".into(), "a raw message needs one, a text".into())),
    }
}

/// The place inside a message, and what is wrong there.
type Wrong = (String, String);

fn user(content: &UserContent) -> Result<(), Wrong> {
    let blocks = match content {
        UserContent::Text(text) => return non_empty(text, ".content"),
        UserContent::Blocks(blocks) if blocks.is_empty() => {
            return Err((".content".into(), "the list of blocks is empty".into()));
        }
        UserContent::Blocks(blocks) => blocks,
    };
    for (at, block) in blocks.iter().enumerate() {
        match block {
            UserBlock::Text { text } => non_empty(text, &format!(".content[{at}].text"))?,
            UserBlock::Image(one) => {
                image(one).map_err(|(rest, why)| (format!(".content[{at}]{rest}"), why))?;
            }
            UserBlock::Audio(Audio { source, format }) => {
                media(source, format.as_deref(), (".format", "inline audio needs one, such as wav"))
                    .map_err(|(rest, why)| (format!(".content[{at}]{rest}"), why))?;
            }
            UserBlock::Video(Video { source, media_type }) => {
                media(
                    source,
                    media_type.as_deref(),
                    (".media_type", "an inline video needs one, such as video/mp4"),
                )
                .map_err(|(rest, why)| (format!(".content[{at}]{rest}"), why))?;
            }
            UserBlock::File(File { source, .. }) => match source {
                FileSource::Id { id } => non_empty(id, &format!(".content[{at}].source.id"))?,
                FileSource::Inline { media_type, base64_data } => {
                    non_empty(media_type, &format!(".content[{at}].source.media_type"))?;
                    non_empty(base64_data, &format!(".content[{at}].source.base64_data"))?;
                }
            },
            UserBlock::Raw { part } if !part.is_object() => {
                let why = format!("a raw part is an object, got {}", value_kind(part));
                return Err((format!(".content[{at}]"), why));
            }
            UserBlock::Raw { .. } => {}
        }
    }
    Ok(())
}

/// Checks where media are, and that inline ones have a type.
fn media(source: &ImageSource, kind: Option<&str>, (place, why): (&str, &str)) -> Result<(), Wrong> {
    let (data, name) = match source {
        ImageSource::Url { url } => (url, ".source.url"),
        ImageSource::Inline { base64_data } => (base64_data, ".source.base64_data"),
    };
    non_empty(data, name)?;
    match (source, kind) {
        (ImageSource::Inline { .. }, None | Some("")) => Err((place.into(), why.into())),
        _ => Ok(()),
    }
}

fn image(image: &Image) -> Result<(), Wrong> {
    let lacking = (".media_type", "an inline image needs one, such as image/png");
    media(&image.source, image.media_type.as_deref(), lacking)?;
    match (&image.source, &image.media_type) {
        (ImageSource::Inline { .. }, Some(media)) if !is_image_type(media) => {
            Err((".media_type".into(), format!("`{media}` is no image type, such as image/png")))
        }
        _ => Ok(()),
    }
}

fn is_image_type(media: &str) -> bool {
    let subtype = media.strip_prefix("image/").unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    !subtype.is_empty() && subtype.bytes().all(legal)
}

fn assistant(message: &AssistantMessage) -> Result<(), Wrong> {
    let may_be_empty = !message.tool_calls.is_empty();
    match &message.content {
        AssistantContent::Text(text) if text.is_empty() && !may_be_empty => {
            return Err((".content".into(), "is empty, and there is no tool call".into()));
        }
        AssistantContent::Blocks(blocks) if blocks.is_empty() && !may_be_empty => {
            return Err((".content".into(), "the list of blocks is empty, and there is no tool call".into()));
        }
        AssistantContent::Text(_) => {}
        AssistantContent::Blocks(blocks) => {
            for (at, block) in blocks.iter().enumerate() {
                if let AssistantBlock::Text { text } = block {
                    non_empty(text, &format!(".content[{at}].text"))?;
                }
            }
        }
    }
    for (at, call) in message.tool_calls.iter().enumerate() {
        if call.id.is_empty() {
            return Err((format!(".tool_calls[{at}].id"), "is empty".into()));
        }
        if message.tool_calls[..at].iter().any(|other| other.id == call.id) {
            let why = format!("`{}` is already the id of another call of this message", call.id);
            return Err((format!(".tool_calls[{at}].id"), why));
        }
        non_empty(&call.name, &format!(".tool_calls[{at}].name"))?;
    }
    Ok(())
}

fn called_before(messages: &[Message], id: &str) -> bool {
    messages.iter().rev().any(|message| match message {
        Message::Assistant(assistant) => assistant.tool_calls.iter().any(|call| call.id == id),
        Message::Raw { message } => {
            let calls = message.get("tool_calls").and_then(Value::as_array);
            calls.is_some_and(|calls| calls.iter().any(|call| call.get("id").is_some_and(|of| of == id)))
        }
        _ => false,
    })
}

fn non_empty(text: &str, place: &str) -> Result<(), Wrong> {
    if text.is_empty() { Err((place.to_owned(), "is empty".to_owned())) } else { Ok(()) }
}

fn tool_choice(request: &CompletionRequest) -> Result<(), Error> {
    match &request.tool_choice {
        Some(ToolChoice::Required) if request.tools.is_empty() => {
            Err(Error::invalid_request("tool_choice: `required` needs tools, and there are none"))
        }
        Some(ToolChoice::Tool(name)) if request.tools.get(name).is_none() => {
            Err(Error::invalid_request(format!("tool_choice: `{name}` is not among the tools")))
        }
        Some(ToolChoice::Allowed { tools, .. }) => {
            if tools.is_empty() {
                return Err(Error::invalid_request("tool_choice: no tool is allowed: use `none` for that"));
            }
            match tools.iter().find(|name| request.tools.get(name).is_none()) {
                Some(name) => {
                    Err(Error::invalid_request(format!("tool_choice: `{name}` is not among the tools")))
                }
                None => Ok(()),
            }
        }
        Some(ToolChoice::Raw { choice }) if !choice.is_object() && !choice.is_string() => {
            let kind = value_kind(choice);
            Err(Error::invalid_request(format!(
                "tool_choice: a raw choice is a text or an object, got {kind}"
            )))
        }
        _ => Ok(()),
    }
}

fn config(config: &RuntimeConfig) -> Result<(), Error> {
    let numbers = [
        ("temperature", config.temperature),
        ("top_p", config.top_p),
        ("frequency_penalty", config.frequency_penalty),
        ("presence_penalty", config.presence_penalty),
    ];
    match numbers.into_iter().find(|(_, number)| number.is_some_and(|number| !number.is_finite())) {
        Some((name, _)) => Err(Error::invalid_request(format!("config.{name}: is not a finite number"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Category, Tool, ToolCall, Tools};
    use serde_json::{Map, json};

    fn called(ids: &[&str]) -> Message {
        let calls = ids.iter().map(|id| ToolCall::new(*id, "f", Map::new())).collect();
        AssistantMessage { tool_calls: calls, ..AssistantMessage::default() }.into()
    }

    fn blocks(blocks: &Value) -> Message {
        serde_json::from_value(json!({"role": "user", "content": blocks})).unwrap()
    }

    #[test]
    fn good_conversations() {
        let cases = [
            vec![Message::user("a")],
            vec![Message::system("s"), Message::user("a")],
            vec![Message::user("a"), Message::assistant("b"), Message::user("c")],
            vec![Message::user("a"), called(&["x", "y"]), Message::tool("y", ""), Message::tool("x", "1")],
            vec![
                Message::user("a"),
                called(&["x"]),
                Message::tool("x", "1"),
                called(&["x"]),
                Message::tool("x", "2"),
            ],
            vec![blocks(&json!([{"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "inline", "base64_data": "AA"},
                    "media_type": "image/svg+xml"}]))],
        ];
        for messages in cases {
            validate(&CompletionRequest::new(messages)).unwrap();
        }
    }

    #[test]
    fn bad_conversations_name_the_place() {
        let image = |source: Value, media: Value| {
            vec![blocks(&json!([{"type": "image", "source": source, "media_type": media}]))]
        };
        let inline = json!({"type": "inline", "base64_data": "AA"});
        let cases = [
            (vec![], "messages:"),
            (vec![Message::assistant("a"), Message::user("b")], "messages[0].role:"),
            (vec![Message::user("a"), Message::system("b"), Message::user("c")], "messages[1].role:"),
            (vec![Message::system("a")], "messages[0].role:"),
            (vec![Message::user("a"), Message::assistant("b")], "messages[1].role:"),
            (vec![Message::system(""), Message::user("a")], "messages[0].content:"),
            (vec![Message::user("")], "messages[0].content:"),
            (vec![blocks(&json!([]))], "messages[0].content:"),
            (vec![blocks(&json!([{"type": "text", "text": ""}]))], "messages[0].content[0].text:"),
            (image(json!({"type": "url", "url": ""}), json!(null)), "messages[0].content[0].source.url:"),
            (image(inline.clone(), json!(null)), "messages[0].content[0].media_type:"),
            (image(inline.clone(), json!("")), "messages[0].content[0].media_type:"),
            (image(inline, json!("text/html")), "messages[0].content[0].media_type:"),
            (vec![Message::user("a"), Message::assistant(""), Message::user("b")], "messages[1].content:"),
            (
                vec![Message::user("a"), called(&["x", "x"]), Message::tool("x", "")],
                "messages[1].tool_calls[1].id:",
            ),
            (vec![Message::user("a"), called(&["x"]), Message::tool("y", "")], "messages[2].tool_call_id:"),
            (vec![Message::user("a"), Message::tool("x", ""), called(&["x"])], "messages[1].tool_call_id:"),
        ];
        for (messages, place) in cases {
            let error = validate(&CompletionRequest::new(messages)).unwrap_err();
            assert_eq!(error.category(), Category::InvalidRequest);
            assert!(error.message().starts_with(place), "{error}, want {place}");
        }
    }

    #[test]
    fn a_tool_choice_needs_its_tools() {
        let tools = Tools::new([Tool::new("f", json!({"type": "object"})).unwrap()]).unwrap();
        let request = CompletionRequest::new([Message::user("a")]);
        let named = |name: &str| request.clone().with_tool_choice(ToolChoice::Tool(name.into()));
        assert!(validate(&named("f")).unwrap_err().message().contains("`f`"));
        assert!(validate(&named("g").with_tools(tools.clone())).is_err());
        assert!(validate(&named("f").with_tools(tools.clone())).is_ok());
        let required = request.clone().with_tool_choice(ToolChoice::Required);
        assert!(validate(&required).is_err());
        assert!(validate(&required.with_tools(tools)).is_ok());
    }

    #[test]
    fn a_number_must_be_finite() {
        let config = RuntimeConfig::new().with_temperature(f64::NAN);
        let error = validate(&CompletionRequest::new([Message::user("a")]).with_config(config)).unwrap_err();
        assert!(error.message().starts_with("config.temperature:"), "{error}");
    }
}
