//! Messages, their content blocks and the tool calls in them.

use crate::{Audio, File, Image, ReasoningMember, ToolCall, Video, json::value_kind};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::{borrow::Cow, sync::LazyLock};

/// One turn of a conversation.
///
/// The serde form is `{"role": "user", "content": "..."}`, content a string or a list of blocks tagged by
/// `type`, so that a history can be stored and read back. It is not the wire form of any server: a mapping
/// writes that. Members that are not known here are kept as [extras](Self::extras).
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
        /// Further members of the message.
        #[serde(flatten)]
        extras: Map<String, Value>,
    },
    /// Instructions under the role `developer`, which some models have in the place of `system`.
    #[non_exhaustive]
    Developer {
        /// The instructions.
        #[serde(deserialize_with = "system_text")]
        content: String,
        /// Further members of the message.
        #[serde(flatten)]
        extras: Map<String, Value>,
    },
    /// Input of the user.
    #[non_exhaustive]
    User {
        /// Text, or text and media.
        content: UserContent,
        /// Further members of the message.
        #[serde(flatten)]
        extras: Map<String, Value>,
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
        /// Further members of the message.
        #[serde(flatten)]
        extras: Map<String, Value>,
    },
    /// Any other message, sent verbatim: an object with a `role`. The rules on the order of roles do not
    /// apply to it.
    #[non_exhaustive]
    Raw {
        /// The message as the server takes it.
        message: Value,
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
        Self::System { content: content.into(), extras: Map::new() }
    }

    /// A message of the role `developer`: instructions, as a system message.
    pub fn developer(content: impl Into<String>) -> Self {
        Self::Developer { content: content.into(), extras: Map::new() }
    }

    /// A user message: a text, or a list of blocks.
    pub fn user(content: impl Into<UserContent>) -> Self {
        Self::User { content: content.into(), extras: Map::new() }
    }

    /// An assistant message: a text, or a list of blocks.
    pub fn assistant(content: impl Into<AssistantContent>) -> Self {
        Self::Assistant(AssistantMessage::new(content))
    }

    /// The result of the tool call with this id.
    pub fn tool(tool_call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self::Tool { content: content.into(), tool_call_id: tool_call_id.into(), extras: Map::new() }
    }

    /// A message that the types here cannot say, as the server takes it: an object with a `role`. It is sent
    /// verbatim, its keys sorted.
    ///
    /// ```
    /// use oa_wire::Message;
    ///
    /// let late = Message::raw(serde_json::json!({"role": "system", "content": "Now in French."}));
    /// # let _ = late;
    /// ```
    pub fn raw(message: impl Into<Value>) -> Self {
        Self::Raw { message: message.into() }
    }

    /// Adds a further member to the message, sent verbatim: `cache_control`, for instance. One that the
    /// mapping itself writes, with another value, is refused when the request is sent
    /// ([`InvalidRequest`](crate::Category::InvalidRequest)).
    #[must_use]
    pub fn with_extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let (name, value) = (name.into(), value.into());
        match &mut self {
            Self::System { extras, .. }
            | Self::Developer { extras, .. }
            | Self::User { extras, .. }
            | Self::Assistant(AssistantMessage { extras, .. })
            | Self::Tool { extras, .. }
            | Self::Raw { message: Value::Object(extras) } => {
                extras.insert(name, value);
            }
            Self::Raw { .. } => {}
        }
        self
    }

    /// Sets the name of the participant, which some models tell apart from others of the same role.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        self.with_extra("name", name.into())
    }

    /// The further members of the message; of a raw one, all.
    pub fn extras(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        match self {
            Self::System { extras, .. }
            | Self::Developer { extras, .. }
            | Self::User { extras, .. }
            | Self::Assistant(AssistantMessage { extras, .. })
            | Self::Tool { extras, .. }
            | Self::Raw { message: Value::Object(extras) } => extras,
            Self::Raw { .. } => &NONE,
        }
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
    /// Audio.
    Audio(Audio),
    /// A video.
    Video(Video),
    /// A file.
    File(File),
    /// Any other part, sent verbatim: an object.
    Raw {
        /// The part as the server takes it.
        part: Value,
    },
}

impl UserBlock {
    /// A text block.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into() }
    }

    /// A part that the types here cannot say, as the server takes it: an object. It is sent verbatim, its
    /// keys sorted.
    ///
    /// ```
    /// use oa_wire::{Message, UserBlock};
    /// use serde_json::json;
    ///
    /// let cached = json!({"type": "text", "text": "Long.", "cache_control": {"type": "ephemeral"}});
    /// let message = Message::user([UserBlock::raw(cached)]);
    /// # let _ = message;
    /// ```
    pub fn raw(part: impl Into<Value>) -> Self {
        Self::Raw { part: part.into() }
    }
}

impl From<Audio> for UserBlock {
    fn from(audio: Audio) -> Self {
        Self::Audio(audio)
    }
}

impl From<Video> for UserBlock {
    fn from(video: Video) -> Self {
        Self::Video(video)
    }
}

impl From<File> for UserBlock {
    fn from(file: File) -> Self {
        Self::File(file)
    }
}

impl From<Image> for UserBlock {
    fn from(image: Image) -> Self {
        Self::Image(image)
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
    /// Further members of the message, sent verbatim.
    #[serde(flatten)]
    pub extras: Map<String, Value>,
}

impl AssistantMessage {
    /// A message of this content, without tool calls.
    pub fn new(content: impl Into<AssistantContent>) -> Self {
        Self { content: content.into(), ..Self::default() }
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

    /// True when there is neither text nor a tool call: a model that was cut off while it reasoned gives such
    /// an answer. It cannot be sent back.
    pub fn is_empty(&self) -> bool {
        self.tool_calls.is_empty() && self.text_parts().all(str::is_empty)
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
    /// The model's reasoning. The OpenAI mapping sends it back where the profile
    /// [says so](crate::Profile::with_send_reasoning).
    #[non_exhaustive]
    Thinking {
        /// The reasoning.
        text: String,
        /// A signature, where the provider requires it to be sent back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        /// The member of the message in which it was received, and is sent back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<ReasoningMember>,
    },
    /// Further parts of the reasoning as the server sent them (`reasoning_details`), sent back verbatim
    /// where the reasoning is.
    ReasoningDetails {
        /// The list.
        details: Value,
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
        Self::Thinking { text: text.into(), signature: None, member: None }
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
