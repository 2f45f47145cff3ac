//! One completion request, as a value that is cheap to clone.

use crate::{
    JsonSchema, Message, Priority, Response, RuntimeConfig, SchemaMode, SessionId, ToolChoice, Tools,
    TraceContext,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One request for a completion, independent of server and transport.
///
/// Cloning costs a few reference counts, and copies of the config's stop sequences and extras where it has
/// any, so that a layer can keep a copy for a retry.
///
/// ```
/// use oa_wire::{CompletionRequest, Message, RuntimeConfig};
///
/// let request = CompletionRequest::new(Message::user("Hello!"))
///     .with_config(RuntimeConfig::new().with_temperature(0.0));
/// assert_eq!(request.messages().len(), 1);
///
/// let conversation = [Message::system("Be brief."), Message::user("Hello!")];
/// assert_eq!(CompletionRequest::new(conversation).messages().len(), 2);
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CompletionRequest {
    messages: Arc<Vec<Message>>,
    /// The tools that the model may call.
    pub tools: Tools,
    /// Whether and what the model must call; `None` leaves the field out.
    pub tool_choice: Option<ToolChoice>,
    /// Sampling parameters, limits and extras.
    pub config: RuntimeConfig,
    /// The schema that the answer's text must satisfy.
    pub response_schema: Option<JsonSchema>,
    /// How that schema is put to the server; `None` leaves it to the profile.
    pub schema_mode: Option<SchemaMode>,
    /// Whether invalid tool calls are returned, each with its error, instead of failing the call; `None`
    /// leaves it to the profile.
    pub surface_invalid_tool_calls: Option<bool>,
    /// Whether the server streams the answer.
    pub stream: bool,
    /// Further members of `stream_options`, sent verbatim where the server streams.
    pub stream_options: Map<String, Value>,
    /// Whether the messages may end with one of the assistant, which the model goes on with. Off by default.
    pub prefill: bool,
    headers: Option<Arc<HeaderMap>>,
    /// The conversation that the call belongs to. The profile's
    /// [spellings](crate::Profile::with_spellings) say how it is sent.
    pub session_id: Option<SessionId>,
    /// How urgent the call is. The profile's [spellings](crate::Profile::with_spellings) say how it is sent.
    pub priority: Option<Priority>,
    /// The trace that the call belongs to, sent as `traceparent` and `tracestate`.
    pub trace_context: Option<TraceContext>,
    /// Values that layers pass to each other about this call. They are never sent.
    pub extensions: http::Extensions,
}

impl CompletionRequest {
    /// A request with one message, or a list of them, and nothing else set.
    pub fn new(messages: impl Into<Messages>) -> Self {
        Self { messages: Arc::new(messages.into().0), ..Self::default() }
    }

    /// The conversation so far.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The conversation, to be changed. Copies it first if a clone of this request still holds it.
    pub fn messages_mut(&mut self) -> &mut Vec<Message> {
        Arc::make_mut(&mut self.messages)
    }

    /// Appends an answer to the conversation, and says whether it did: one that is
    /// [empty](crate::AssistantMessage::is_empty) is left out, because it cannot be sent back. The results
    /// of its tool calls come next ([`push_results`](Self::push_results)), or the user's next message.
    ///
    /// ```
    /// use oa_wire::{AssistantMessage, CompletionRequest, FinishReason, Response, ToolCall};
    ///
    /// let mut request = CompletionRequest::new("What time is it?");
    /// let call = ToolCall::new("call_1", "get_time", serde_json::json!({}));
    /// let message = AssistantMessage::default().with_tool_calls([call]);
    /// assert!(request.push_answer(&Response::new(message, FinishReason::ToolCalls)));
    /// request.push_results([("call_1", "12:00")]);
    /// assert_eq!(request.messages().len(), 3);
    /// ```
    pub fn push_answer(&mut self, response: &Response) -> bool {
        let is_kept = !response.message.is_empty();
        if is_kept {
            self.messages_mut().push(response.message.clone().into());
        }
        is_kept
    }

    /// Appends the results of tool calls: the id of each, and its result as text.
    pub fn push_results<I: Into<String>, T: Into<String>>(
        &mut self,
        results: impl IntoIterator<Item = (I, T)>,
    ) {
        self.messages_mut().extend(results.into_iter().map(|(id, result)| Message::tool(id, result)));
    }

    /// Sets the tools that the model may call.
    #[must_use]
    pub fn with_tools(mut self, tools: Tools) -> Self {
        self.tools = tools;
        self
    }

    /// Sets whether and what the model must call.
    #[must_use]
    pub fn with_tool_choice(mut self, choice: ToolChoice) -> Self {
        self.tool_choice = Some(choice);
        self
    }

    /// Sets the sampling parameters, limits and extras.
    #[must_use]
    pub fn with_config(mut self, config: RuntimeConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the schema that the answer's text must satisfy.
    #[must_use]
    pub fn with_response_schema(mut self, schema: JsonSchema) -> Self {
        self.response_schema = Some(schema);
        self
    }

    /// Sets how the schema is put to the server.
    #[must_use]
    pub fn with_schema_mode(mut self, mode: SchemaMode) -> Self {
        self.schema_mode = Some(mode);
        self
    }

    /// Sets whether invalid tool calls are returned, each with its error, instead of failing the call.
    #[must_use]
    pub fn with_surface_invalid_tool_calls(mut self, on: bool) -> Self {
        self.surface_invalid_tool_calls = Some(on);
        self
    }

    /// Sets whether the server streams the answer.
    #[must_use]
    pub fn with_stream(mut self, stream: bool) -> Self {
        self.stream = stream;
        self
    }

    /// Sets a header of this call; one of the same name, also of the server, is replaced. A header of
    /// authentication is marked sensitive; mark others that are secrets
    /// ([`HeaderValue::set_sensitive`]): then they are redacted wherever a server echoes them.
    ///
    /// A header of the connection or of the body, such as `content-length`, is refused when the request is
    /// sent ([`InvalidRequest`](crate::Category::InvalidRequest)).
    ///
    /// ```
    /// use http::{HeaderName, HeaderValue};
    /// use oa_wire::CompletionRequest;
    ///
    /// let tenant = (HeaderName::from_static("x-tenant"), HeaderValue::from_static("acme"));
    /// let request = CompletionRequest::new("Hello!").with_header(tenant.0, tenant.1);
    /// assert_eq!(request.headers().unwrap()["x-tenant"], "acme");
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        if [header::AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE].contains(&name)
            || matches!(name.as_str(), "x-api-key" | "api-key")
        {
            value.set_sensitive(true);
        }
        Arc::make_mut(self.headers.get_or_insert_default()).insert(name, value);
        self
    }

    /// Sets the headers of this call, shared with other requests.
    #[must_use]
    pub fn with_headers(mut self, headers: Arc<HeaderMap>) -> Self {
        self.headers = Some(headers);
        self
    }

    /// The headers of this call, if it sets any.
    pub fn headers(&self) -> Option<&Arc<HeaderMap>> {
        self.headers.as_ref()
    }

    /// Sets the conversation that the call belongs to.
    #[must_use]
    pub fn with_session_id(mut self, id: SessionId) -> Self {
        self.session_id = Some(id);
        self
    }

    /// Sets how urgent the call is: a number, or a class of the server's.
    #[must_use]
    pub fn with_priority(mut self, priority: impl Into<Priority>) -> Self {
        self.priority = Some(priority.into());
        self
    }

    /// Sets the trace that the call belongs to.
    #[must_use]
    pub fn with_trace_context(mut self, trace: TraceContext) -> Self {
        self.trace_context = Some(trace);
        self
    }

    /// Adds a further member to `stream_options`, sent verbatim where the server streams:
    /// `continuous_usage_stats`, for instance. `include_usage` is the mapping's: another value for it is
    /// refused when the request is sent ([`InvalidRequest`](crate::Category::InvalidRequest)).
    #[must_use]
    pub fn with_stream_option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.stream_options.insert(name.into(), value.into());
        self
    }

    /// Sets whether the messages may end with one of the assistant, which the model goes on with. Some
    /// servers want more: vLLM and SGLang take the extras `continue_final_message` (true) and
    /// `add_generation_prompt` (false).
    ///
    /// ```
    /// use oa_wire::{CompletionRequest, Message, RuntimeConfig};
    ///
    /// let begun = [Message::user("Name a colour."), Message::assistant("My favourite is")];
    /// let config = RuntimeConfig::new()
    ///     .with_extra("continue_final_message", true)
    ///     .with_extra("add_generation_prompt", false);
    /// let request = CompletionRequest::new(begun).with_prefill(true).with_config(config);
    /// # let _ = request;
    /// ```
    #[must_use]
    pub fn with_prefill(mut self, on: bool) -> Self {
        self.prefill = on;
        self
    }
}

impl<M: Into<Messages>> From<M> for CompletionRequest {
    fn from(messages: M) -> Self {
        Self::new(messages)
    }
}

/// The messages of a request: what [`CompletionRequest::new`] takes. Made from one message, a text as the
/// user's, an array, a `Vec` or a slice.
#[derive(Clone, Debug)]
pub struct Messages(Vec<Message>);

impl From<Message> for Messages {
    fn from(message: Message) -> Self {
        Self(vec![message])
    }
}

impl From<&str> for Messages {
    fn from(text: &str) -> Self {
        Message::user(text).into()
    }
}

impl From<String> for Messages {
    fn from(text: String) -> Self {
        Message::user(text).into()
    }
}

impl From<Vec<Message>> for Messages {
    fn from(messages: Vec<Message>) -> Self {
        Self(messages)
    }
}

impl<const N: usize> From<[Message; N]> for Messages {
    fn from(messages: [Message; N]) -> Self {
        Self(messages.into())
    }
}

impl From<&[Message]> for Messages {
    fn from(messages: &[Message]) -> Self {
        Self(messages.to_vec())
    }
}
