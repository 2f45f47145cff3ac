//! What came back: the message, why it ended, what it cost, and everything the server sent.

use crate::{AssistantMessage, text::lossy};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, sync::Arc};

/// A finished completion.
///
/// The same whether it came whole or as a stream. Only the message is sure to be there: any other field that the
/// server left out, or sent as something else, is absent here and verbatim in [`raw`](Self::raw).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Response {
    /// What the model said.
    pub message: AssistantMessage,
    /// Why it stopped.
    pub finish_reason: FinishReason,
    /// The server's own word for it, where it sent one: `abort` for instance.
    pub server_finish_reason: Option<String>,
    /// What it cost.
    pub usage: Usage,
    /// The text as a value, where a schema was asked for and no tool was called.
    pub parsed: Option<Value>,
    /// The server's id of the completion. Not unique on every server.
    pub id: Option<String>,
    /// The model that answered, as the server names it.
    pub model: Option<String>,
    /// The server's id of the HTTP request, from its headers.
    pub request_id: Option<String>,
    /// Everything the server sent.
    pub raw: Raw,
}

impl Response {
    /// A response of this message and finish reason alone, as a test double makes it.
    pub fn new(message: AssistantMessage, finish_reason: FinishReason) -> Self {
        Self {
            message,
            finish_reason,
            server_finish_reason: None,
            usage: Usage::default(),
            parsed: None,
            id: None,
            model: None,
            request_id: None,
            raw: Raw::default(),
        }
    }

    /// The text of the message.
    pub fn text(&self) -> String {
        self.message.text()
    }
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinishReason {
    /// It had said all, or came to a stop sequence.
    Stop,
    /// The limit on tokens, or the context, ran out.
    Length,
    /// It calls tools.
    ToolCalls,
    /// A content filter cut it off.
    ContentFilter,
    /// Anything else: an unknown word, none at all, or a failure.
    Error,
}

impl FinishReason {
    /// The specification's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Error => "error",
        }
    }

    /// What a server's word means: `function_call` is `tool_calls`, an unknown one is `error`.
    pub fn from_server(word: Option<&str>) -> Self {
        match word {
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

/// The tokens of a call, as the server counts them. What it does not report, or reports as anything but a
/// non-negative integer, is absent; nothing is repaired or added up.
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
}

/// Everything the server sent, as JSON: the body itself, or what a stream's chunks add up to.
///
/// Holding it costs a reference to the received bytes; reading it costs a parse.
///
/// A stream's chunks are put together as the body that the atomic call would have had: members of the root and of
/// each choice with their last value, texts joined, the terminal usage verbatim.
#[derive(Clone, Default)]
pub struct Raw(Repr);

#[derive(Clone)]
enum Repr {
    Bytes(Bytes),
    Parts(Arc<dyn RawParts>),
}

/// Something that can be rendered to JSON later.
pub(crate) trait RawParts: Send + Sync {
    fn render(&self) -> Vec<u8>;
}

impl Default for Repr {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl Raw {
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

    /// The JSON value. Parses anew each time: keep it if you need it twice.
    ///
    /// # Errors
    ///
    /// Where the server sent what no JSON value can hold, such as a number beyond every range.
    pub fn json(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(&lossy(&self.to_bytes()))
    }
}

impl From<Bytes> for Raw {
    fn from(bytes: Bytes) -> Self {
        Self(Repr::Bytes(bytes))
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Raw(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_finish_reason_is_an_error() {
        for word in [Some("abort"), Some(""), Some("STOP"), None] {
            assert_eq!(FinishReason::from_server(word), FinishReason::Error, "{word:?}");
        }
        assert_eq!(FinishReason::from_server(Some("function_call")), FinishReason::ToolCalls);
    }
}
