//! The ways to put a request's schema to the server.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a request's schema is put to the server. Whatever the way, the answer is checked against the schema.
///
/// ```
/// use oa_wire::{CompletionRequest, SchemaMode};
///
/// // For a server that takes no `response_format`.
/// let request = CompletionRequest::new("Hello!").with_schema_mode(SchemaMode::Prompt);
/// # let _ = request;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SchemaMode {
    /// `response_format` of the type `json_schema`: OpenAI, and nearly every server today.
    ResponseFormat,
    /// `structured_outputs` with `json`: vLLM's own field.
    StructuredOutputs,
    /// `json_schema` at the root of the body: llama.cpp's own field.
    JsonSchema,
    /// A tool whose parameters are the schema, and which the model must call: its arguments are the answer.
    /// The name of the tool is that of the schema. With other tools in the request, the model must call one
    /// of them all.
    ForcedTool,
    /// A directive in the messages. The server does not constrain the answer.
    Prompt,
}

impl SchemaMode {
    /// The name, in logs and in the serde form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResponseFormat => "response_format",
            Self::StructuredOutputs => "structured_outputs",
            Self::JsonSchema => "json_schema",
            Self::ForcedTool => "forced_tool",
            Self::Prompt => "prompt",
        }
    }
}

impl fmt::Display for SchemaMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
