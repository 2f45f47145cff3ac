//! A finished completion: the message, the finish reason, the usage, and the body as the server sent it.

use crate::{
    AssistantMessage, Negotiated, ResponseHeaders, SchemaMode, Timings, TokenLogprob, UnknownName,
    json::Reader,
    measurements::{logprobs_of_body, timings_of_body},
    text::lossy,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

/// A finished completion.
///
/// It is the same whether the server streamed it or not. Only the message is always there: any other field
/// that the server left out, or sent as something else, is `None` here and verbatim in [`raw`](Self::raw).
///
/// Its serde form has all fields but `raw`; `message` has the form of a [`Message`](crate::Message).
///
/// ```
/// use oa_wire::{FinishReason, Response, Usage};
///
/// let response = Response::new("Paris.", FinishReason::Stop).with_usage(Usage::new(7, 2));
/// assert_eq!(response.text(), "Paris.");
/// assert_eq!(
///     serde_json::to_string(&response).unwrap(),
///     r#"{"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop","usage":"#.to_owned()
///         + r#"{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#,
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Response {
    /// The answer.
    #[serde(serialize_with = "with_role")]
    pub message: AssistantMessage,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// The finish reason as the server sent it, `abort` for instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_finish_reason: Option<String>,
    /// The model's words where it refused: they stand in a member of their own, not in the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The tokens that it took.
    pub usage: Usage,
    /// The text as a value, where the request has a schema and no tool was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parsed: Option<Value>,
    /// How the schema was put to the server, where the request has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_mode: Option<SchemaMode>,
    /// The form of the body that was learnt from a refusal, where the call was sent in one
    /// ([`Profile::with_negotiation`](crate::Profile::with_negotiation)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negotiated: Option<Negotiated>,
    /// The server's id of the completion. Not unique on every server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answered, as the server names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The server's id of the HTTP request, from its headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// All choices, the answer among them, where more than one was requested; else empty.
    /// [`choices`](Self::choices) has at least the answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub all_choices: Vec<Choice>,
    /// The headers of the response.
    #[serde(skip)]
    pub headers: ResponseHeaders,
    /// The body as the server sent it.
    #[serde(skip)]
    pub raw: RawBody,
}

impl Response {
    /// A response of this message (a text, say) and finish reason alone, for a test double or a cache.
    pub fn new(message: impl Into<AssistantMessage>, finish_reason: FinishReason) -> Self {
        Self {
            message: message.into(),
            finish_reason,
            server_finish_reason: None,
            refusal: None,
            usage: Usage::default(),
            parsed: None,
            schema_mode: None,
            negotiated: None,
            id: None,
            model: None,
            request_id: None,
            all_choices: Vec::new(),
            headers: ResponseHeaders::default(),
            raw: RawBody::default(),
        }
    }

    /// Sets the tokens that it took.
    #[must_use]
    pub fn with_usage(mut self, usage: Usage) -> Self {
        self.usage = usage;
        self
    }

    /// Sets the server's id of the completion.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets the model that answered.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// Sets the text as a value.
    #[must_use]
    pub fn with_parsed(mut self, value: Value) -> Self {
        self.parsed = Some(value);
        self
    }

    /// Sets the body as the server sent it.
    #[must_use]
    pub fn with_raw(mut self, raw: RawBody) -> Self {
        self.raw = raw;
        self
    }

    /// What an audio answer says: the transcript in `message.audio`. Read from [`raw`](Self::raw) each time.
    pub fn audio_transcript(&self) -> Option<String> {
        let raw = self.raw.json().ok()?;
        Some(raw.pointer("/choices/0/message/audio/transcript")?.as_str()?.to_owned())
    }

    /// The choices, by their index, where [`n`](crate::RuntimeConfig::with_n) of them were requested; else
    /// the answer alone. What they hold is not checked against the request.
    pub fn choices(&self) -> Cow<'_, [Choice]> {
        if self.all_choices.is_empty() {
            return Cow::Owned(vec![Choice::of(0, self.clone())]);
        }
        Cow::Borrowed(&self.all_choices)
    }

    /// The log-probabilities of the answer's tokens, where the request asked for them
    /// ([`with_logprobs`](crate::RuntimeConfig::with_logprobs)); else empty. Read from [`raw`](Self::raw)
    /// each time, without a value of the whole body.
    ///
    /// ```
    /// use oa_wire::openai::ResponseDecoder;
    ///
    /// let body = concat!(
    ///     r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop","logprobs":{"content":["#,
    ///     r#"{"token":"Hi","logprob":-0.5,"top_logprobs":[]}]}}]}"#
    /// );
    /// let mut decoder = ResponseDecoder::new(http::StatusCode::OK, &http::HeaderMap::new());
    /// decoder.push(body.into());
    /// let logprobs = decoder.finish()?.logprobs();
    /// assert_eq!((logprobs[0].token.as_str(), logprobs[0].logprob), ("Hi", -0.5));
    /// # Ok::<(), oa_wire::Error>(())
    /// ```
    pub fn logprobs(&self) -> Vec<TokenLogprob> {
        match &self.raw.0 {
            Repr::Bytes(bytes) => logprobs_of_body(&lossy(bytes)).unwrap_or_default(),
            Repr::Parts(parts) => parts.logprobs(),
        }
    }

    /// What the server says of its own work on the call: vLLM's `metrics`, llama.cpp's `timings`. Read from
    /// [`raw`](Self::raw) each time.
    pub fn timings(&self) -> Option<Timings> {
        timings_of_body(&lossy(&self.raw.to_bytes())).ok().flatten()
    }

    /// The text of the message. Borrowed where it has at most one text.
    pub fn text(&self) -> Cow<'_, str> {
        self.message.text()
    }
}

/// One of several choices.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Choice {
    /// Its number.
    pub index: i64,
    /// The answer.
    #[serde(serialize_with = "with_role")]
    pub message: AssistantMessage,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// The finish reason as the server sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_finish_reason: Option<String>,
    /// The model's words where it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

impl Choice {
    /// The choice of this number that a response is the answer of.
    pub(crate) fn of(index: i64, response: Response) -> Self {
        let Response { message, finish_reason, server_finish_reason, refusal, .. } = response;
        Self { index, message, finish_reason, server_finish_reason, refusal }
    }
}

/// An answer with its role, as a history has it.
fn with_role<S: Serializer>(message: &AssistantMessage, out: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(tag = "role", rename_all = "lowercase")]
    enum Form<'a> {
        Assistant(&'a AssistantMessage),
    }
    Form::Assistant(message).serialize(out)
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// It was done, or came to a stop sequence.
    Stop,
    /// It came to the limit on tokens, or to the end of its context.
    Length,
    /// It calls tools.
    ToolCalls,
    /// A content filter stopped it.
    ContentFilter,
    /// Anything else: a finish reason that is not known, none at all, or a failure.
    Error,
}

impl FinishReason {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Stop, Self::Length, Self::ToolCalls, Self::ContentFilter, Self::Error];

    /// The name in the specification.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Error => "error",
        }
    }

    /// The finish reason that a server sent: `function_call` is [`ToolCalls`](Self::ToolCalls), one that is
    /// not known is [`Error`](Self::Error).
    pub fn from_server(reason: Option<&str>) -> Self {
        match reason {
            Some("stop") => Self::Stop,
            Some("length") => Self::Length,
            Some("tool_calls" | "function_call") => Self::ToolCalls,
            Some("content_filter") => Self::ContentFilter,
            _ => Self::Error,
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for FinishReason {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|reason| reason.as_str() == name);
        found.ok_or_else(|| UnknownName::new("finish reason", name))
    }
}

/// The tokens of a call, as the server counts them. A count that it does not report, or reports as anything
/// but a non-negative integer, is `None`: counts are passed on as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    pub completion_tokens: Option<u64>,
    /// Both.
    pub total_tokens: Option<u64>,
    /// Tokens of the prompt that came from a cache (`prompt_tokens_details.cached_tokens`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Tokens of the prompt that were written to a cache, under each server's name for them
    /// (`cache_write_tokens`, `cache_creation_input_tokens`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_creation_tokens: Option<u64>,
    /// Tokens of the answer that are reasoning (`completion_tokens_details.reasoning_tokens`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// These tokens of the prompt and of the answer, and their sum.
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self {
            prompt_tokens: Some(prompt_tokens),
            completion_tokens: Some(completion_tokens),
            total_tokens: prompt_tokens.checked_add(completion_tokens),
            cached_tokens: None,
            cache_creation_tokens: None,
            reasoning_tokens: None,
        }
    }

    /// Sets the tokens of the prompt that came from a cache.
    #[must_use]
    pub fn with_cached_tokens(mut self, tokens: u64) -> Self {
        self.cached_tokens = Some(tokens);
        self
    }
}

/// The body of a response as the server sent it, or as a stream's chunks add up to it.
///
/// Holding it costs a reference to the received bytes; reading it costs a parse.
///
/// A stream's chunks are put together to the body of the non-streaming call: members of the root and of each
/// choice with their last value, texts joined, the last usage verbatim.
#[derive(Clone, Default)]
pub struct RawBody(Repr);

#[derive(Clone)]
enum Repr {
    Bytes(Bytes),
    Parts(Arc<dyn RawParts>),
}

/// A body that is rendered to JSON when it is read.
pub(crate) trait RawParts: Send + Sync {
    fn render(&self) -> Vec<u8>;

    /// The log-probabilities of the answer's tokens.
    fn logprobs(&self) -> Vec<TokenLogprob> {
        logprobs_of_body(&lossy(&self.render())).unwrap_or_default()
    }
}

impl Default for Repr {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl RawBody {
    pub(crate) fn from_parts(parts: Arc<dyn RawParts>) -> Self {
        Self(Repr::Parts(parts))
    }

    /// The bytes: the body as it was received, or a stream's chunks put together.
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Repr::Bytes(bytes) => bytes.clone(),
            Repr::Parts(parts) => parts.render().into(),
        }
    }

    /// The JSON value. Parses anew each time: keep it if you need it twice. A number beyond every range is a
    /// text of what was sent.
    ///
    /// # Errors
    ///
    /// Where there is no JSON, as in a response that was made in a test.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        let bytes = self.to_bytes();
        let text = lossy(&bytes);
        serde_json::from_str(&text).or_else(|error| {
            let mut reader = Reader::new(&text);
            let value = reader.value().ok();
            value.filter(|_| reader.is_at_end()).ok_or(error)
        })
    }
}

impl From<Bytes> for RawBody {
    fn from(bytes: Bytes) -> Self {
        Self(Repr::Bytes(bytes))
    }
}

impl PartialEq for RawBody {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl fmt::Debug for RawBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawBody(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AssistantBlock;

    #[test]
    fn an_unknown_finish_reason_is_an_error() {
        for word in [Some("abort"), Some(""), Some("STOP"), None] {
            assert_eq!(FinishReason::from_server(word), FinishReason::Error, "{word:?}");
        }
        assert_eq!(FinishReason::from_server(Some("function_call")), FinishReason::ToolCalls);
    }

    #[test]
    fn every_finish_reason_is_read_from_its_name() {
        for reason in FinishReason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
        }
        assert!("STOP".parse::<FinishReason>().is_err());
    }

    #[test]
    fn one_text_is_borrowed_and_several_are_joined() {
        let one = Response::new("Hi", FinishReason::Stop);
        assert!(matches!(one.text(), Cow::Borrowed("Hi")));
        let text = |text: &str| AssistantBlock::Text { text: text.to_owned() };
        let three =
            Response::new(AssistantMessage::new([text("a"), text("b"), text("c")]), FinishReason::Stop);
        assert_eq!(three.text(), "abc");
        assert_eq!(Response::new("", FinishReason::Stop).text(), "");
    }
}
