//! The choice to send the model's reasoning back with the history, and the member it is sent as.

use serde::{Deserialize, Serialize};

/// Whether the model's reasoning is sent back with the history.
///
/// Most servers make the next turn's prompt without it. Models that reason between tool calls lose their
/// thread without it, and call the same tool again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendReasoning {
    /// Never.
    #[default]
    Never,
    /// While tool calls are open: that of the answers since the last message of the user.
    WithOpenToolCalls,
    /// Always.
    Always,
}

/// The member of a message in which reasoning is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReasoningMember {
    /// `reasoning`.
    Reasoning,
    /// `reasoning_content`.
    ReasoningContent,
}

impl ReasoningMember {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reasoning => "reasoning",
            Self::ReasoningContent => "reasoning_content",
        }
    }
}
