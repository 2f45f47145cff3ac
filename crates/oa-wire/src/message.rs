//! Messages, their content blocks and the tool calls in them.

use crate::UnknownName;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
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
            kind(&other)
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
    pub fn with_media_type(mut self, media_type: impl Into<String>) -> Self {
        self.media_type = Some(media_type.into());
        self
    }

    /// Sets the resolution at which the model sees it.
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

/// A call of a tool by the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// The id that the result must name. Never rewritten.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments.
    #[serde(default)]
    pub arguments: ToolArguments,
    /// A signature, where the provider requires it to be sent back. Not sent by the OpenAI mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// True when the server sent no id and this one was made here: unique in its message, starting with
    /// `call_local_`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub id_is_local: bool,
}

impl ToolCall {
    /// A call with these arguments: a map, or a [`Value`] such as `json!` makes.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<ToolArguments>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            signature: None,
            id_is_local: false,
        }
    }
}

/// The arguments of a tool call: an object, or what the model wrote instead of one.
///
/// Invalid arguments fail the completion ([`InvalidResponse`](crate::Category::InvalidResponse)) unless the
/// finish reason is `error`, the stream was cut off, or
/// [`surface_invalid_tool_calls`](crate::Profile::with_surface_invalid_tool_calls) is on; then
/// [`error`](Self::error) says what is wrong.
///
/// ```
/// use oa_wire::ToolArguments;
///
/// let good = ToolArguments::parse(r#"{"city": "Paris"}"#);
/// assert_eq!(good.as_object().unwrap()["city"], "Paris");
///
/// let cut = ToolArguments::parse(r#"{"city": "Par"#);
/// assert!(cut.as_object().is_none());
/// assert_eq!(cut.text(), Some(r#"{"city": "Par"#));
/// assert!(cut.error().is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub struct ToolArguments(Arguments);

#[derive(Clone, Debug, PartialEq)]
enum Arguments {
    /// Always a [`Value::Object`]: kept as a value because validators take one.
    Object(Value),
    Invalid(Box<Invalid>),
}

#[derive(Clone, Debug, PartialEq)]
struct Invalid {
    object: Option<Value>,
    text: Option<String>,
    error: String,
}

impl ToolArguments {
    /// Reads what a model wrote. A blank text is an empty object. Never fails: see [`error`](Self::error).
    pub fn parse(text: &str) -> Self {
        if text.trim_ascii().is_empty() {
            return Self::from(Map::new());
        }
        match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => Self(Arguments::Object(object)),
            Ok(other) => Self::invalid(text, format!("expected an object, got {}", kind(&other))),
            Err(error) => Self::invalid(text, format!("not JSON: {error}")),
        }
    }

    /// The input of a custom tool: a text, which is no JSON.
    pub(crate) fn custom_input(text: &str, tool: &str) -> Self {
        Self::invalid(text, format!("a call of the custom tool `{tool}`, whose input is a text and no JSON"))
    }

    fn invalid(text: &str, error: String) -> Self {
        Self(Arguments::Invalid(Box::new(Invalid { object: None, text: Some(text.to_owned()), error })))
    }

    /// The arguments, where they are an object, even one that violates the tool's schema.
    pub fn as_object(&self) -> Option<&Map<String, Value>> {
        self.as_value().and_then(Value::as_object)
    }

    pub(crate) fn as_value(&self) -> Option<&Value> {
        match &self.0 {
            Arguments::Object(object) => Some(object),
            Arguments::Invalid(invalid) => invalid.object.as_ref(),
        }
    }

    /// What the model wrote, where it is no object.
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Arguments::Object(_) => None,
            Arguments::Invalid(invalid) => invalid.text.as_deref(),
        }
    }

    /// What is wrong: not JSON, not an object, a violation of the tool's schema, or a tool that was not
    /// offered.
    pub fn error(&self) -> Option<&str> {
        match &self.0 {
            Arguments::Object(_) => None,
            Arguments::Invalid(invalid) => Some(&invalid.error),
        }
    }

    /// The same arguments, marked as invalid for this reason.
    pub(crate) fn with_error(self, error: String) -> Self {
        let (object, text) = match self.0 {
            Arguments::Object(object) => (Some(object), None),
            Arguments::Invalid(invalid) => (invalid.object, invalid.text),
        };
        Self(Arguments::Invalid(Box::new(Invalid { object, text, error })))
    }
}

impl Default for ToolArguments {
    fn default() -> Self {
        Self::from(Map::new())
    }
}

impl From<Map<String, Value>> for ToolArguments {
    fn from(object: Map<String, Value>) -> Self {
        Self(Arguments::Object(Value::Object(object)))
    }
}

impl From<Value> for ToolArguments {
    /// An object as it is, a string as what a model wrote, null as an empty object.
    fn from(value: Value) -> Self {
        match value {
            Value::Object(_) => Self(Arguments::Object(value)),
            Value::String(text) => Self::parse(&text),
            Value::Null => Self::default(),
            other => Self::invalid(&other.to_string(), format!("expected an object, got {}", kind(&other))),
        }
    }
}

impl From<ToolArguments> for Value {
    fn from(arguments: ToolArguments) -> Self {
        match arguments.0 {
            Arguments::Object(object) => object,
            Arguments::Invalid(invalid) => match (invalid.object, invalid.text) {
                (Some(object), _) => object,
                (None, Some(text)) => Value::String(text),
                (None, None) => Value::Null,
            },
        }
    }
}

/// The kind of a JSON value, as messages name it.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
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

    #[test]
    fn arguments_keep_what_the_model_wrote() {
        let number = ToolArguments::parse("935");
        assert_eq!((number.as_object(), number.text()), (None, Some("935")));
        assert_eq!(number.error(), Some("expected an object, got a number"));
        assert_eq!(ToolArguments::parse(" ").as_object(), Some(&Map::new()));
        assert_eq!(Value::from(number), json!("935"));
    }
}
