//! The failure of a text to be the structured output that the request wants.

use crate::{FinishReason, JsonSchema, Response, Usage};

/// Why a text is not the structured output that the request wants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StructuredOutputFailure {
    /// The schema of the request.
    pub response_schema: JsonSchema,
    /// The text of the answer, verbatim.
    pub output_content: String,
    /// What is wrong with it, with its JSON pointer.
    pub error_message: String,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
    /// The tokens that it took.
    pub usage: Usage,
}

impl StructuredOutputFailure {
    /// The failure of this response: what is wrong with its text, with the JSON pointer.
    pub fn new(schema: JsonSchema, response: &Response, message: impl Into<String>) -> Self {
        Self {
            response_schema: schema,
            output_content: response.text().into_owned(),
            error_message: message.into(),
            finish_reason: response.finish_reason,
            usage: response.usage,
        }
    }
}
