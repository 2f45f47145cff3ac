//! Messages, their content blocks and the tool calls in them.

use crate::{ToolCall, UnknownName, json::value_kind};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::{borrow::Cow, fmt, str::FromStr};

/// One turn of a conversation.
///
/// The serde form is `{"role": "user", "content": "..."}`, content a string or a list of blocks tagged by
/// `type`, so that a history can be stored and read back. It is not the wire form of any server: a mapping
/// writes that.
///
/// ```
/// use oa_wire::Message;
///
/// let history = vec![
///     Message::system("Answer in one word."),
///     Message::user("The capital of France?"),
///     Message::assistant("Paris."),
///     Message::user("And of Japan?"),
/// ];
/// let text = serde_json::to_string(&history[1]).unwrap();
/// assert_eq!(text, r#"{"role":"user","content":"The capital of France?"}"#);
/// assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), history[1]);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Message {
    /// Instructions. Only as the first message; the text is not empty.
    #[non_exhaustive]
    System {
        /// The instructions.
        #[serde(deserialize_with = "system_text")]
        content: String,
    },
    /// Input of the user.
    #[non_exhaustive]
    User {
        /// Text, or text and images.
        content: UserContent,
    },
    /// An answer of the model.
    Assistant(AssistantMessage),
    /// The result of a tool call.
    #[non_exhaustive]
    Tool {
        /// The result as text; may be empty.
        content: String,
        /// The id of a tool call of an earlier assistant message.
        tool_call_id: String,
    },
}

fn system_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        other => Err(serde::de::Error::custom(format_args!(
            "a system message is text alone, without blocks such as images: expected a string, got {}",
            value_kind(&other)
        ))),
    }
}

impl Message {
    /// A system message.
    pub fn system(content: impl Into<String>) -> Self {
        Self::System { content: content.into() }
    }

    /// A user message: a text, or a list of blocks.
    pub fn user(content: impl Into<UserContent>) -> Self {
        Self::User { content: content.into() }
    }

    /// An assistant message: a text, or a list of blocks.
    pub fn assistant(content: impl Into<AssistantContent>) -> Self {
        Self::Assistant(AssistantMessage::new(content))
    }

    /// The result of the tool call with this id.
    pub fn tool(tool_call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Tool { content: content.into(), tool_call_id: tool_call_id.into() }
    }
}

impl From<AssistantMessage> for Message {
    fn from(message: AssistantMessage) -> Self {
        Self::Assistant(message)
    }
}

/// The content of a user message. Exhaustive: the wire has these two forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UserContent {
    /// Text; not empty.
    Text(String),
    /// A list of blocks; not empty.
    Blocks(Vec<UserBlock>),
}

impl From<&str> for UserContent {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for UserContent {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<UserBlock>> for UserContent {
    fn from(blocks: Vec<UserBlock>) -> Self {
        Self::Blocks(blocks)
    }
}

impl<const N: usize> From<[UserBlock; N]> for UserContent {
    fn from(blocks: [UserBlock; N]) -> Self {
        Self::Blocks(blocks.into())
    }
}

/// A block of a user message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum UserBlock {
    /// Text; not empty.
    Text {
        /// The text.
        text: String,
    },
    /// An image.
    Image(Image),
}

impl UserBlock {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }
}

impl From<Image> for UserBlock {
    fn from(image: Image) -> Self {
        Self::Image(image)
    }
}

/// An image: by URL, or inline as base64.
///
/// ```
/// use oa_wire::{Image, ImageDetail, Message, UserBlock};
///
/// let by_url = Image::url("https://example.com/cat.png").with_detail(ImageDetail::Low);
/// let inline = Image::base64("image/png", "iVBORw0KGgo=");
/// let message = Message::user([UserBlock::text("Which is the cat?"), by_url.into(), inline.into()]);
/// # let _ = message;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// Where the bytes are.
    pub source: ImageSource,
    /// The media type, such as `image/png`. Required for an inline image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The resolution at which the model sees it; `None` leaves it to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<ImageDetail>,
}

impl Image {
    /// An image that the server fetches. The URL is passed on unchanged.
    pub fn url(url: impl Into<String>) -> Self {
        Self { source: ImageSource::Url { url: url.into() }, media_type: None, detail: None }
    }

    /// An image sent with the request, as base64. Neither the base64 nor the bytes are inspected.
    pub fn base64(media_type: impl Into<String>, base64_data: impl Into<String>) -> Self {
        Self {
            source: ImageSource::Inline { base64_data: base64_data.into() },
            media_type: Some(media_type.into()),
            detail: None,
        }
    }

    /// Sets the media type.
    #[must_use]
    pub fn with_media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }

    /// Sets the resolution at which the model sees it.
    #[must_use]
    pub fn with_detail(mut self, detail: ImageDetail) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// Where an image's bytes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
#[non_exhaustive]
pub enum ImageSource {
    /// At a URL.
    Url {
        /// The URL.
        url: String,
    },
    /// Here, as base64 without a `data:` prefix.
    Inline {
        /// The base64 text.
        base64_data: String,
    },
}

/// The resolution at which a model sees an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ImageDetail {
    /// The server chooses.
    Auto,
    /// Few tokens.
    Low,
    /// Many tokens.
    High,
}

impl ImageDetail {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Low => "low",
            Self::High => "high",
        }
    }
}

impl fmt::Display for ImageDetail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ImageDetail {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        [Self::Auto, Self::Low, Self::High]
            .into_iter()
            .find(|detail| detail.as_str() == name)
            .ok_or_else(|| UnknownName::new("image detail", name))
    }
}

/// An answer of the model: content, tool calls, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AssistantMessage {
    /// Text, or blocks where there is reasoning beside it.
    #[serde(default)]
    pub content: AssistantContent,
    /// The tools that the model calls, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub tool_calls: Vec<ToolCall>,
}

impl AssistantMessage {
    /// A message of this content, without tool calls.
    pub fn new(content: impl Into<AssistantContent>) -> Self {
        Self { content: content.into(), tool_calls: Vec::new() }
    }

    /// Sets the tool calls.
    #[must_use]
    pub fn with_tool_calls(mut self, calls: impl Into<Vec<ToolCall>>) -> Self {
        self.tool_calls = calls.into();
        self
    }

    /// The text: that of the text blocks, joined, without the reasoning. Empty when there is none. Borrowed
    /// where there is at most one text.
    pub fn text(&self) -> Cow<'_, str> {
        let mut parts = self.text_parts();
        let Some(first) = parts.next() else { return Cow::Borrowed("") };
        match parts.next() {
            None => Cow::Borrowed(first),
            Some(second) => {
                let mut text = [first, second].concat();
                text.extend(parts);
                Cow::Owned(text)
            }
        }
    }

    /// The parts of the text, one for each text block.
    pub fn text_parts(&self) -> impl Iterator<Item = &str> {
        let (text, blocks) = match &self.content {
            AssistantContent::Text(text) => (Some(text.as_str()), &[][..]),
            AssistantContent::Blocks(blocks) => (None, &blocks[..]),
        };
        text.into_iter().chain(blocks.iter().filter_map(|block| match block {
            AssistantBlock::Text { text } => Some(text.as_str()),
            _ => None,
        }))
    }

    /// The first reasoning, if the server sends any.
    pub fn reasoning(&self) -> Option<&str> {
        let AssistantContent::Blocks(blocks) = &self.content else { return None };
        blocks.iter().find_map(|block| match block {
            AssistantBlock::Thinking { text, .. } => Some(text.as_str()),
            _ => None,
        })
    }
}

impl<T: Into<AssistantContent>> From<T> for AssistantMessage {
    fn from(content: T) -> Self {
        Self::new(content)
    }
}

/// The content of an assistant message. Exhaustive: the wire has these two forms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AssistantContent {
    /// Text; empty when the model only called tools, or wrote nothing.
    Text(String),
    /// Blocks, in the model's order.
    Blocks(Vec<AssistantBlock>),
}

impl Default for AssistantContent {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<&str> for AssistantContent {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AssistantContent {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<AssistantBlock>> for AssistantContent {
    fn from(blocks: Vec<AssistantBlock>) -> Self {
        Self::Blocks(blocks)
    }
}

impl<const N: usize> From<[AssistantBlock; N]> for AssistantContent {
    fn from(blocks: [AssistantBlock; N]) -> Self {
        Self::Blocks(blocks.into())
    }
}

impl<'de> Deserialize<'de> for AssistantContent {
    /// A string, a list of blocks, or null for an empty text.
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Blocks(Vec<AssistantBlock>),
        }
        Ok(match Option::deserialize(input)? {
            None => Self::default(),
            Some(Form::Text(text)) => Self::Text(text),
            Some(Form::Blocks(blocks)) => Self::Blocks(blocks),
        })
    }
}

/// A block of an assistant message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AssistantBlock {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// The model's reasoning. Not sent back by the OpenAI mapping.
    Thinking {
        /// The reasoning.
        text: String,
        /// A signature, where the provider requires it to be sent back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// Reasoning that only the provider can read. Not sent back by the OpenAI mapping.
    RedactedThinking {
        /// The opaque data.
        data: String,
    },
}

impl AssistantBlock {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// Reasoning without a signature.
    pub fn thinking(text: impl Into<String>) -> Self {
        Self::Thinking { text: text.into(), signature: None }
    }
}

fn null_is_empty<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<ToolCall>, D::Error> {
    Ok(Option::deserialize(input)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_assistant_message_reads_the_specifications_shape() {
        let message: Message = serde_json::from_value(json!({
            "role": "assistant", "content": null,
            "tool_calls": [{"id": "a", "name": "f", "arguments": {"x": 1}}],
        }))
        .unwrap();
        let Message::Assistant(assistant) = &message else { panic!("{message:?}") };
        assert_eq!(assistant.text(), "");
        assert_eq!(assistant.tool_calls[0].arguments.as_object().unwrap()["x"], 1);
        let blocks: Message = serde_json::from_value(json!({
            "role": "assistant", "tool_calls": null,
            "content": [{"type": "thinking", "text": "hm", "signature": "s"}, {"type": "text",
            "text": "42."}],
        }))
        .unwrap();
        let Message::Assistant(assistant) = &blocks else { panic!("{blocks:?}") };
        assert_eq!((&*assistant.text(), assistant.reasoning()), ("42.", Some("hm")));
    }

    #[test]
    fn an_image_in_an_assistant_message_cannot_be_expressed() {
        let image = json!({"role": "assistant", "content": [{"type": "image", "source": {"type": "url",
            "url": "u"}}]});
        assert!(serde_json::from_value::<Message>(image).is_err());
    }
}
