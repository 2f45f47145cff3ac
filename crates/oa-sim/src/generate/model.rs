//! The settings of the generative mode.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What text the generative mode makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// `You said: ` and the text of the last user message.
    #[default]
    Echo,
    /// Made-up words, the same for the same `seed`, messages and choice index.
    MadeUp {
        /// How many, where `max_tokens` does not end it before.
        words: usize,
    },
    /// Always this.
    Fixed(String),
}

/// In which fields reasoning comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reasoning {
    /// `reasoning` (vLLM since 0.14, Ollama).
    Reasoning,
    /// `reasoning_content` (llama.cpp, SGLang, LiteLLM, older vLLM).
    ReasoningContent,
    /// Both with the same text (vLLM 0.13).
    Both,
}

/// How a model without vision refuses an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageRefusal {
    /// 400 `MODEL is not a multimodal model`.
    Vllm,
    /// 500 `image input is not supported ...`.
    LlamaCpp,
}

/// The settings of the generative mode.
pub(crate) struct Model {
    pub(crate) names: Vec<String>,
    pub(crate) status: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) reply: Reply,
    pub(crate) reasoning: Option<(Reasoning, String)>,
    pub(crate) image_refusal: Option<ImageRefusal>,
    pub(crate) token_delay: Duration,
    pub(crate) context_length: Option<usize>,
    pub(crate) cached_tokens: Option<usize>,
    pub(crate) always_usage: bool,
    ids: AtomicU64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            names: vec!["oa-sim".to_owned()],
            status: None,
            api_key: None,
            reply: Reply::Echo,
            reasoning: None,
            image_refusal: None,
            token_delay: Duration::ZERO,
            context_length: None,
            cached_tokens: None,
            always_usage: false,
            ids: AtomicU64::new(1),
        }
    }
}

impl Model {
    /// A number that no other answer of this simulator has.
    pub(crate) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// The time stamp of everything it makes: made-up like the rest, and the same in every run.
pub(crate) const CREATED: usize = 1_700_000_000;
