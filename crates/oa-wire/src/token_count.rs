//! The tokens of a request as its server counts them, and the paths at which servers count.

use serde::Serialize;

/// The tokens of a request's prompt, as the server counts them: with its template, tools included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenCount {
    /// The tokens of the prompt.
    pub tokens: u64,
    /// The tokens of the model's context, prompt and answer together (vLLM, SGLang).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u64>,
}

impl TokenCount {
    /// A count without the length of the context, for a test double.
    pub const fn new(tokens: u64) -> Self {
        Self { tokens, max_model_len: None }
    }

    /// Sets the tokens of the model's context.
    #[must_use]
    pub const fn with_max_model_len(mut self, tokens: u64) -> Self {
        self.max_model_len = Some(tokens);
        self
    }

    /// The tokens that are left for the answer, where the server names the length of the context. 0 for a
    /// prompt that does not fit.
    pub const fn left(&self) -> Option<u64> {
        match self.max_model_len {
            Some(length) => Some(length.saturating_sub(self.tokens)),
            None => None,
        }
    }
}

/// A path at which servers count the tokens of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CountRoute {
    /// `POST /tokenize` with messages: vLLM.
    Tokenize,
    /// `POST /v1/chat/completions/input_tokens`: llama.cpp.
    InputTokens,
    /// `POST /v1/messages/count_tokens`: Anthropic Messages, on vLLM and llama.cpp too.
    MessagesCountTokens,
}

impl CountRoute {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tokenize, Self::InputTokens, Self::MessagesCountTokens];

    /// The path below a base URL.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Tokenize => "/tokenize",
            Self::InputTokens => "/v1/chat/completions/input_tokens",
            Self::MessagesCountTokens => "/v1/messages/count_tokens",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_context() {
        assert_eq!(TokenCount::new(5).left(), None);
        assert_eq!(TokenCount::new(5).with_max_model_len(7).left(), Some(2));
        assert_eq!(TokenCount::new(9).with_max_model_len(7).left(), Some(0));
    }
}
