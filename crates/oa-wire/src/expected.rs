//! The answer that a request expects.

use crate::{CompletionRequest, JsonSchema, Profile, SchemaMode, Tools};

/// What an answer is checked against, whatever the wire mapping.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// The tools that were offered.
    pub(crate) tools: Tools,
    /// The schema that the text must satisfy.
    pub(crate) schema: Option<JsonSchema>,
    /// How it is put to the server.
    pub(crate) schema_mode: Option<SchemaMode>,
    /// Whether invalid tool calls are kept instead of failing the call.
    pub(crate) keep_invalid_tool_calls: bool,
    /// Whether more than one choice was asked for.
    pub(crate) many_choices: bool,
}

impl Expected {
    pub(crate) fn new(profile: &Profile, request: &CompletionRequest) -> Self {
        let choices = request.config.extras.get("n").and_then(serde_json::Value::as_u64);
        Self {
            many_choices: choices.is_some_and(|n| n > 1),
            tools: request.tools.clone(),
            schema: request.response_schema.clone(),
            schema_mode: schema_mode(profile, request),
            keep_invalid_tool_calls: request
                .surface_invalid_tool_calls
                .unwrap_or_else(|| profile.surface_invalid_tool_calls()),
        }
    }
}

/// How a request's schema is put to the server; none without one.
pub(crate) fn schema_mode(profile: &Profile, request: &CompletionRequest) -> Option<SchemaMode> {
    request.response_schema.as_ref()?;
    let is_fallback = profile.force_prompt_augmentation_fallback();
    let default = if is_fallback { SchemaMode::Prompt } else { SchemaMode::ResponseFormat };
    Some(request.schema_mode.unwrap_or(default))
}
