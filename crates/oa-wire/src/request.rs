//! What is asked: one completion request as a value that is cheap to clone.

use crate::{JsonSchema, Message, RuntimeConfig, ToolChoice, Tools};
use std::sync::Arc;

/// One request for a completion, independent of server and transport.
///
/// Cloning costs a few reference counts (and copies of the config's stop sequences and extras, where it has
/// any), so that a layer may keep a copy to ask again.
///
/// ```
/// use oa_wire::{CompletionRequest, Message, RuntimeConfig};
///
/// let request = CompletionRequest::new([Message::user("Hello!")])
///     .with_config(RuntimeConfig::new().temperature(0.0));
/// assert_eq!(request.messages().len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct CompletionRequest {
    messages: Arc<Vec<Message>>,
    /// What the model may call.
    pub tools: Tools,
    /// Whether and what it must call; absent leaves the field out.
    pub tool_choice: Option<ToolChoice>,
    /// Sampling parameters, limits and extras.
    pub config: RuntimeConfig,
    /// The schema that the answer's text must satisfy.
    pub response_schema: Option<JsonSchema>,
    /// Whether the server shall stream the answer.
    pub stream: bool,
    /// Values that layers pass to each other about this call. They never reach the wire.
    pub extensions: http::Extensions,
}

impl CompletionRequest {
    /// A request with these messages and nothing else set.
    pub fn new(messages: impl Into<Vec<Message>>) -> Self {
        Self { messages: Arc::new(messages.into()), ..Self::default() }
    }

    /// The conversation so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The conversation, to be changed. Copies it first if a clone of this request still holds it.
    pub fn messages_mut(&mut self) -> &mut Vec<Message> {
        Arc::make_mut(&mut self.messages)
    }

    /// Sets what the model may call.
    pub fn with_tools(mut self, tools: Tools) -> Self {
        self.tools = tools;
        self
    }

    /// Sets whether and what the model must call.
    pub fn with_tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = Some(choice);
        self
    }

    /// Sets the sampling parameters, limits and extras.
    pub fn with_config(mut self, config: RuntimeConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the schema that the answer's text must satisfy.
    pub fn with_response_schema(mut self, schema: JsonSchema) -> Self {
        self.response_schema = Some(schema);
        self
    }

    /// Sets whether the server shall stream the answer.
    pub fn with_stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }
}
