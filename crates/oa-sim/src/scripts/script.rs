//! One deviation, and the result that is right, as plain data.

use crate::{answer::Answer, piece::Piece};
use serde_json::Value;

/// One deviation, ready to be served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Script {
    /// The name of its function.
    pub name: &'static str,
    /// What deviates, and where it was seen.
    pub about: &'static str,
    /// What is sent.
    pub answer: Answer,
    /// What a right client gets.
    pub expected: Expected,
}

impl Script {
    /// Whether the answer never ends by itself: only a timeout of the client does.
    pub fn stalls(&self) -> bool {
        let stalls = |pieces: &[Piece]| pieces.iter().any(|piece| matches!(piece, Piece::Stall));
        stalls(&self.answer.wire.before) || stalls(&self.answer.wire.body)
    }
}

/// What a right client makes of a script. With an [`error`](Expected::error), the other fields are what
/// arrived before it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Expected {
    /// The text of the choice with index 0.
    pub text: String,
    /// Its reasoning, once also where two fields carry it.
    pub reasoning: String,
    /// Its tool calls, in order.
    pub tool_calls: Vec<ExpectedCall>,
    /// `stop`, `length`, `tool_calls`, `content_filter`, or `error` for everything else the server may say or
    /// leave out. Empty where an error ended the stream before a reason came.
    pub finish_reason: &'static str,
    /// The counters of the usage, each only where the server sent a number that can be one.
    pub usage: ExpectedUsage,
    /// The error that the call ends with.
    pub error: Option<ExpectedError>,
}

/// A tool call that should arrive.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExpectedCall {
    /// Its id; `None` where the server gave none, so that the client has to make one.
    pub id: Option<&'static str>,
    /// The name of the tool.
    pub name: &'static str,
    /// The parsed arguments; `None` where what the server sent is no JSON object.
    pub arguments: Option<Value>,
}

/// The counters that should arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedUsage {
    /// `prompt_tokens`.
    pub prompt_tokens: Option<u64>,
    /// `completion_tokens`.
    pub completion_tokens: Option<u64>,
    /// `total_tokens`.
    pub total_tokens: Option<u64>,
    /// `prompt_tokens_details.cached_tokens`.
    pub cached_tokens: Option<u64>,
}

/// The error that should arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedError {
    /// `provider_unavailable`, `provider_rate_limit`, `provider_authentication`, `provider_invalid_model`,
    /// `provider_model_not_loaded`, `provider_invalid_request`, `provider_invalid_response` or
    /// `provider_unsupported_content_block`.
    pub category: &'static str,
    /// A part of the server's own message, which must not get lost. Empty where the server says nothing.
    pub mentions: &'static str,
    /// Whether the same call may succeed later.
    pub transient: bool,
}
