//! The members that the mapping itself writes into the body of a request.

use crate::request_body;

/// The members of a chat completion's request.
pub(super) enum ChatMembers {}

impl request_body::Members for ChatMembers {
    const NAMES: &'static [&'static str] = &[
        "model",
        "messages",
        "tools",
        "tool_choice",
        "response_format",
        "structured_outputs",
        "json_schema",
        "stream",
        "stream_options",
        "temperature",
        "max_tokens",
        "max_completion_tokens",
        "top_p",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "stop",
    ];
}

pub(super) type Member = request_body::Member<ChatMembers>;
pub(super) type RequestBody = request_body::RequestBody<ChatMembers>;
