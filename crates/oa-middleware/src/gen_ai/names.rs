//! The names of OpenTelemetry's conventions for generative AI, version 0.1.0 of `semantic-conventions-genai`.

// Attributes of a call: `docs/gen-ai/client-inference.md` there.
pub(super) const CONVERSATION_ID: &str = "gen_ai.conversation.id";
pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(super) const FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
pub(super) const MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const OUTPUT_TYPE: &str = "gen_ai.output.type";
pub(super) const PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
pub(super) const PROVIDER: &str = "gen_ai.provider.name";
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const RESPONSE_ID: &str = "gen_ai.response.id";
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const SEED: &str = "gen_ai.request.seed";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";
pub(super) const STOP_SEQUENCES: &str = "gen_ai.request.stop_sequences";
pub(super) const STREAM: &str = "gen_ai.request.stream";
pub(super) const TEMPERATURE: &str = "gen_ai.request.temperature";
pub(super) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(super) const TOP_P: &str = "gen_ai.request.top_p";
pub(super) const USAGE_CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
pub(super) const USAGE_CACHE_WRITE: &str = "gen_ai.usage.cache_write.input_tokens";
pub(super) const USAGE_INPUT: &str = "gen_ai.usage.input_tokens";
pub(super) const USAGE_OUTPUT: &str = "gen_ai.usage.output_tokens";
pub(super) const USAGE_REASONING: &str = "gen_ai.usage.reasoning.output_tokens";

/// The value of the operation.
pub(super) const CHAT: &str = "chat";

/// The instruments of a client, in the same document.
#[cfg(feature = "metrics")]
pub(super) mod instruments {
    pub(crate) const DURATION: &str = "gen_ai.client.inference.duration";
    pub(crate) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.client.inference.time_to_first_chunk";
    pub(crate) const INPUT_TOKENS: &str = "gen_ai.client.inference.operation.input_tokens";
    pub(crate) const OUTPUT_TOKENS: &str = "gen_ai.client.inference.operation.output_tokens";
    pub(crate) const USAGE_INPUT: &str = "gen_ai.client.inference.usage.input_tokens";
    pub(crate) const USAGE_OUTPUT: &str = "gen_ai.client.inference.usage.output_tokens";
    pub(crate) const USAGE_CACHE_READ: &str = "gen_ai.client.inference.usage.cache_read.input_tokens";
    pub(crate) const USAGE_CACHE_WRITE: &str = "gen_ai.client.inference.usage.cache_write.input_tokens";
    pub(crate) const USAGE_REASONING: &str = "gen_ai.client.inference.usage.reasoning.output_tokens";
}
