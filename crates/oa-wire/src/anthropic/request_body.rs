//! The members that the mapping itself writes into the body of a request.

use crate::request_body;

/// The members of a request for a message.
pub(super) enum MessageMembers {}

impl request_body::Members for MessageMembers {
    const NAMES: &'static [&'static str] = &[
        "model",
        "max_tokens",
        "system",
        "messages",
        "tools",
        "tool_choice",
        "output_config",
        "stream",
        "temperature",
        "top_p",
        "stop_sequences",
    ];
}

pub(super) type Member = request_body::Member<MessageMembers>;
pub(super) type RequestBody = request_body::RequestBody<MessageMembers>;
