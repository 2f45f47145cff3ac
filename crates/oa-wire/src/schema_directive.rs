//! Structured output by prompt, for servers that do not constrain: the directive, and where it goes.

use crate::JsonSchema;

/// What the model is told when the server cannot constrain it.
pub(crate) fn directive(schema: &JsonSchema) -> String {
    format!(
        "Respond with one JSON object that satisfies this JSON Schema, and with nothing else: no \
         explanation, no code fence.\n{}",
        schema.as_json()
    )
}
