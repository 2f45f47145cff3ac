//! What a request expects of its answer.

use crate::{CompletionRequest, JsonSchema, Profile, Tools};

/// What an answer is checked against, whatever the wire mapping.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// The tools that were offered.
    pub(crate) tools: Tools,
    /// The schema that the text must satisfy.
    pub(crate) schema: Option<JsonSchema>,
    /// Whether invalid tool calls are kept instead of failing the call.
    pub(crate) keep_invalid_tool_calls: bool,
}

impl Expected {
    pub(crate) fn new(profile: &Profile, request: &CompletionRequest) -> Self {
        Self {
            tools: request.tools.clone(),
            schema: request.response_schema.clone(),
            keep_invalid_tool_calls: profile.surface_invalid_tool_calls(),
        }
    }
}
