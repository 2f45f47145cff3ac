//! What a conversation is made of: messages, their content blocks and the tool calls in them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One turn of a conversation.
///
/// The serde form is the specification's: `{"role": "user", "content": "..."}`, content a string or a list of
/// blocks tagged by `type`, so that a history can be stored and read back. It is not the wire form of any
/// server: a mapping such as [`openai`](crate::openai) makes that.
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
    System {
        /// The instructions.
        content: String,
    },
    /// What the person or program says.
    User {
        /// Text, or text and images.
        content: UserContent,
    },
    /// What the model said.
    Assistant(AssistantMessage),
    /// The result of a tool call.
    Tool {
        /// The result as text; may be empty.
        content: String,
        /// The id of a tool call of an earlier assistant message.
        tool_call_id: String,
    },
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

    /// An assistant message of text alone.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::Assistant(AssistantMessage {
            content: AssistantContent::Text(text.into()),
            tool_calls: Vec::new(),
        })
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

/// The content of a user message.
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
/// let by_url = Image::url("https://example.com/cat.png").detail(ImageDetail::Low);
/// let inline = Image::base64("image/png", "iVBORw0KGgo=");
/// let message = Message::user([UserBlock::text("Which is the cat?"), by_url.into(), inline.into()]);
/// # let _ = message;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Image {
    /// Where the bytes are.
    pub source: ImageSource,
    /// The media type, such as `image/png`. Required for an inline image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// How closely the model shall look; absent leaves it to the server.
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

    /// Sets how closely the model shall look.
    pub fn detail(mut self, detail: ImageDetail) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// Where an image's bytes are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
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

/// How closely a model shall look at an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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

/// What the model said: content, tool calls, or both.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AssistantMessage {
    /// Text, or blocks where there is reasoning beside it.
    #[serde(default)]
    pub content: AssistantContent,
    /// The calls that the model asks for, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub tool_calls: Vec<ToolCall>,
}

impl AssistantMessage {
    /// The text: that of the text blocks, joined, without the reasoning. Empty when there is none.
    pub fn text(&self) -> String {
        match &self.content {
            AssistantContent::Text(text) => text.clone(),
            AssistantContent::Blocks(_) => self.texts().collect(),
        }
    }

    /// The pieces of the text, without copying them.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (text, blocks) = match &self.content {
            AssistantContent::Text(text) => (Some(text.as_str()), &[][..]),
            AssistantContent::Blocks(blocks) => (None, &blocks[..]),
        };
        text.into_iter().chain(blocks.iter().filter_map(|block| match block {
            AssistantBlock::Text { text } => Some(text.as_str()),
            _ => None,
        }))
    }

    /// The reasoning that came before the text, if the server sends it.
    pub fn reasoning(&self) -> Option<&str> {
        let AssistantContent::Blocks(blocks) = &self.content else { return None };
        blocks.iter().find_map(|block| match block {
            AssistantBlock::Thinking { text, .. } => Some(text.as_str()),
            _ => None,
        })
    }
}

/// The content of an assistant message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Option<ContentRepr>")]
#[serde(untagged)]
pub enum AssistantContent {
    /// Text; empty when the model only called tools, or said nothing.
    Text(String),
    /// Blocks, in the model's order.
    Blocks(Vec<AssistantBlock>),
}

impl Default for AssistantContent {
    fn default() -> Self {
        Self::Text(String::new())
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
        /// A signature, where the model's maker demands it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// Reasoning that only its maker can read. Not sent back by the OpenAI mapping.
    RedactedThinking {
        /// The opaque data.
        data: String,
    },
}

/// A call that the model asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The id that the result must name. Never rewritten.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments.
    #[serde(default)]
    pub arguments: ToolArguments,
    /// A signature, where the model's maker demands it back. Not sent by the OpenAI mapping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// True when the server sent no id and this one was made here: unique in its message, starting with
    /// `call_local_`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub id_is_local: bool,
}

impl ToolCall {
    /// A call with parsed arguments, as a history or a test has it.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: Map<String, Value>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments: ToolArguments::from(arguments),
            signature: None,
            id_is_local: false,
        }
    }
}

/// The arguments of a tool call: an object, or what the model wrote instead of one.
///
/// A call that does not hold up is an error of the completion
/// ([`InvalidResponse`](crate::Category::InvalidResponse)) unless the finish reason is `error`, the stream broke
/// off, or the caller asked to see such calls; then [`problem`](Self::problem) says what is wrong.
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
/// assert!(cut.problem().is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub struct ToolArguments(Arguments);

#[derive(Clone, Debug, PartialEq)]
enum Arguments {
    /// Always a [`Value::Object`]: kept as a value because validators take one.
    Object(Value),
    Broken(Box<Broken>),
}

#[derive(Clone, Debug, PartialEq)]
struct Broken {
    object: Option<Value>,
    text: Option<String>,
    problem: String,
}

impl ToolArguments {
    /// Reads what a model wrote. A blank text is an empty object. Never fails: see [`problem`](Self::problem).
    pub fn parse(text: &str) -> Self {
        if text.trim_ascii().is_empty() {
            return Self::from(Map::new());
        }
        match serde_json::from_str(text) {
            Ok(object @ Value::Object(_)) => Self(Arguments::Object(object)),
            Ok(other) => Self::broken(text, format!("expected an object, got {}", kind(&other))),
            Err(error) => Self::broken(text, format!("not JSON: {error}")),
        }
    }

    fn broken(text: &str, problem: String) -> Self {
        Self(Arguments::Broken(Box::new(Broken { object: None, text: Some(text.to_owned()), problem })))
    }

    /// The arguments, where they are an object (also one that breaks the tool's schema).
    pub fn as_object(&self) -> Option<&Map<String, Value>> {
        self.as_value().and_then(Value::as_object)
    }

    pub(crate) fn as_value(&self) -> Option<&Value> {
        match &self.0 {
            Arguments::Object(object) => Some(object),
            Arguments::Broken(broken) => broken.object.as_ref(),
        }
    }

    /// What the model wrote, where it is no object.
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Arguments::Object(_) => None,
            Arguments::Broken(broken) => broken.text.as_deref(),
        }
    }

    /// What is wrong with them: not JSON, no object, or a breach of the tool's schema. None when nothing is.
    pub fn problem(&self) -> Option<&str> {
        match &self.0 {
            Arguments::Object(_) => None,
            Arguments::Broken(broken) => Some(&broken.problem),
        }
    }

    /// The same arguments, marked as broken for this reason.
    pub(crate) fn with_problem(self, problem: String) -> Self {
        let (object, text) = match self.0 {
            Arguments::Object(object) => (Some(object), None),
            Arguments::Broken(broken) => (broken.object, broken.text),
        };
        Self(Arguments::Broken(Box::new(Broken { object, text, problem })))
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
            other => Self::broken(&other.to_string(), format!("expected an object, got {}", kind(&other))),
        }
    }
}

impl From<ToolArguments> for Value {
    fn from(arguments: ToolArguments) -> Self {
        match arguments.0 {
            Arguments::Object(object) => object,
            Arguments::Broken(broken) => match (broken.object, broken.text) {
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

#[derive(Deserialize)]
#[serde(untagged)]
enum ContentRepr {
    Text(String),
    Blocks(Vec<AssistantBlock>),
}

impl From<Option<ContentRepr>> for AssistantContent {
    fn from(content: Option<ContentRepr>) -> Self {
        match content {
            None => Self::default(),
            Some(ContentRepr::Text(text)) => Self::Text(text),
            Some(ContentRepr::Blocks(blocks)) => Self::Blocks(blocks),
        }
    }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Vec<ToolCall>, D::Error> {
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
            "content": [{"type": "thinking", "text": "hm", "signature": "s"}, {"type": "text", "text": "42."}],
        }))
        .unwrap();
        let Message::Assistant(assistant) = &blocks else { panic!("{blocks:?}") };
        assert_eq!((assistant.text().as_str(), assistant.reasoning()), ("42.", Some("hm")));
    }

    #[test]
    fn an_image_in_an_assistant_message_cannot_be_expressed() {
        let image = json!({"role": "assistant", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]});
        assert!(serde_json::from_value::<Message>(image).is_err());
    }

    #[test]
    fn arguments_keep_what_the_model_wrote() {
        let number = ToolArguments::parse("935");
        assert_eq!((number.as_object(), number.text()), (None, Some("935")));
        assert_eq!(number.problem(), Some("expected an object, got a number"));
        assert_eq!(ToolArguments::parse(" ").as_object(), Some(&Map::new()));
        assert_eq!(Value::from(number), json!("935"));
    }
}
