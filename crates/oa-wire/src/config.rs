//! The parameters of one call: those that are declared, and any other field of the request body.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Sampling parameters and limits of one call. A field that is not set is left out of the request, never sent
/// as null.
///
/// ```
/// use oa_wire::RuntimeConfig;
///
/// let config = RuntimeConfig::new()
///     .with_temperature(0.2)
///     .with_max_tokens(256)
///     .with_stop_sequences(["\n\n"])
///     .with_top_k(20)
///     .with_chat_template_kwarg("enable_thinking", false)
///     .with_extra("min_tokens", 5);
/// assert_eq!(config.extras["top_k"], 20);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RuntimeConfig {
    /// Sampling temperature; 0 is greedy. Must be finite; the server checks its range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The most tokens to generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Nucleus sampling: the probability mass to sample from. Must be finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// The seed of the sampler.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Penalty by how often a token occurred. Must be finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Penalty for a token that occurred at all. Must be finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Texts that end the answer; `stop` on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_sequences: Option<Vec<String>>,
    /// Any other field of the request body, sent at its root verbatim, but with sorted keys.
    ///
    /// One that names a field which the mapping itself writes must be equal to it, or the call is refused
    /// ([`InvalidRequest`](crate::Category::InvalidRequest)).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extras: Map<String, Value>,
}

impl RuntimeConfig {
    /// A config with nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the temperature.
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = Some(temperature);
        self
    }

    /// Sets the most tokens to generate.
    #[must_use]
    pub fn with_max_tokens(mut self, max_tokens: u64) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }

    /// Sets the probability mass of nucleus sampling.
    #[must_use]
    pub fn with_top_p(mut self, top_p: f64) -> Self {
        self.top_p = Some(top_p);
        self
    }

    /// Sets the seed of the sampler.
    #[must_use]
    pub fn with_seed(mut self, seed: i64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the frequency penalty.
    #[must_use]
    pub fn with_frequency_penalty(mut self, penalty: f64) -> Self {
        self.frequency_penalty = Some(penalty);
        self
    }

    /// Sets the presence penalty.
    #[must_use]
    pub fn with_presence_penalty(mut self, penalty: f64) -> Self {
        self.presence_penalty = Some(penalty);
        self
    }

    /// Sets the texts that end the answer.
    #[must_use]
    pub fn with_stop_sequences<T: Into<String>>(mut self, stop: impl IntoIterator<Item = T>) -> Self {
        self.stop_sequences = Some(stop.into_iter().map(Into::into).collect());
        self
    }

    /// Sets how much the model reasons (the extra `reasoning_effort`): `low`, `medium`, `high`, or what else
    /// the server takes.
    #[must_use]
    pub fn with_reasoning_effort(self, effort: impl Into<String>) -> Self {
        self.with_extra("reasoning_effort", effort.into())
    }

    /// Sets the most tokens to generate, reasoning included (the extra `max_completion_tokens`), for servers
    /// that do not take `max_tokens`.
    #[must_use]
    pub fn with_max_completion_tokens(self, max_tokens: u64) -> Self {
        self.with_extra("max_completion_tokens", max_tokens)
    }

    /// Sets whether the model may call several tools at once (the extra `parallel_tool_calls`).
    #[must_use]
    pub fn with_parallel_tool_calls(self, on: bool) -> Self {
        self.with_extra("parallel_tool_calls", on)
    }

    /// Sets of how many of the likeliest tokens the next is drawn (the extra `top_k`); -1 is all, on some
    /// servers.
    #[must_use]
    pub fn with_top_k(self, top_k: i64) -> Self {
        self.with_extra("top_k", top_k)
    }

    /// Sets the least probability of a token, relative to the likeliest (the extra `min_p`).
    #[must_use]
    pub fn with_min_p(self, min_p: f64) -> Self {
        self.with_extra("min_p", min_p)
    }

    /// Sets the penalty for a token that occurred (the extra `repetition_penalty`); 1 is none.
    #[must_use]
    pub fn with_repetition_penalty(self, penalty: f64) -> Self {
        self.with_extra("repetition_penalty", penalty)
    }

    /// Sets an argument of the chat template (in the extra `chat_template_kwargs`): `enable_thinking`, for
    /// instance.
    #[must_use]
    pub fn with_chat_template_kwarg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let kwargs = self.extras.entry("chat_template_kwargs").or_insert_with(|| Map::new().into());
        if !kwargs.is_object() {
            *kwargs = Map::new().into();
        }
        if let Some(kwargs) = kwargs.as_object_mut() {
            kwargs.insert(name.into(), value.into());
        }
        self
    }

    /// Sets how many answers are generated (the extra `n`).
    #[must_use]
    pub fn with_n(self, n: u64) -> Self {
        self.with_extra("n", n)
    }

    /// Requests the log-probability of each token, and of as many of the likeliest at its place (the extras
    /// `logprobs` and `top_logprobs`).
    #[must_use]
    pub fn with_logprobs(self, top: u64) -> Self {
        self.with_extra("logprobs", true).with_extra("top_logprobs", top)
    }

    /// Adds a field that is not declared here.
    #[must_use]
    pub fn with_extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extras.insert(name.into(), value.into());
        self
    }

    /// This config with each field that `overrides` sets in place of its own; extras are merged by key.
    ///
    /// ```
    /// use oa_wire::RuntimeConfig;
    ///
    /// let base = RuntimeConfig::new().with_temperature(0.0).with_max_tokens(64);
    /// let retry = base.with_overrides(&RuntimeConfig::new().with_temperature(0.7));
    /// assert_eq!((retry.temperature, retry.max_tokens), (Some(0.7), Some(64)));
    /// ```
    #[must_use]
    pub fn with_overrides(&self, overrides: &Self) -> Self {
        let mut extras = self.extras.clone();
        extras.extend(overrides.extras.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self {
            temperature: overrides.temperature.or(self.temperature),
            max_tokens: overrides.max_tokens.or(self.max_tokens),
            top_p: overrides.top_p.or(self.top_p),
            seed: overrides.seed.or(self.seed),
            frequency_penalty: overrides.frequency_penalty.or(self.frequency_penalty),
            presence_penalty: overrides.presence_penalty.or(self.presence_penalty),
            stop_sequences: overrides.stop_sequences.clone().or_else(|| self.stop_sequences.clone()),
            extras,
        }
    }
}
