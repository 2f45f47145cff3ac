//! How the model shall answer: the declared parameters, and any other field a server takes.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Sampling parameters and limits of one call. An unset field is left out of the request, never sent as null.
///
/// ```
/// use oa_wire::RuntimeConfig;
///
/// let config = RuntimeConfig::new()
///     .temperature(0.2)
///     .max_tokens(256)
///     .stop_sequences(["\n\n"])
///     .extra("top_k", 20)
///     .extra("chat_template_kwargs", serde_json::json!({"enable_thinking": false}));
/// assert_eq!(config.extras["top_k"], 20);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeConfig {
    /// Sampling temperature; 0 is greedy. Must be finite; the server judges its range.
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
    /// Penalty by how often a token came. Must be finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Penalty for a token that came at all. Must be finite.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Texts that end the answer; `stop` on the wire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_sequences: Option<Vec<String>>,
    /// Any other field of the request body, sent at its root untouched but for the order of keys.
    ///
    /// One that names a field which the mapping itself produces must be equal to it, or the call is refused
    /// ([`InvalidRequest`](crate::Category::InvalidRequest)).
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub extras: Map<String, Value>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $ty:ty;)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, $name: $ty) -> Self {
            self.$name = Some($name);
            self
        }
    )*};
}

impl RuntimeConfig {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Sets the temperature.
        temperature: f64;
        /// Sets the most tokens to generate.
        max_tokens: u64;
        /// Sets nucleus sampling.
        top_p: f64;
        /// Sets the seed.
        seed: i64;
        /// Sets the frequency penalty.
        frequency_penalty: f64;
        /// Sets the presence penalty.
        presence_penalty: f64;
    }

    /// Sets the texts that end the answer.
    pub fn stop_sequences<T: Into<String>>(mut self, stop: impl IntoIterator<Item = T>) -> Self {
        self.stop_sequences = Some(stop.into_iter().map(Into::into).collect());
        self
    }

    /// Adds a field that is not declared here.
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extras.insert(name.into(), value.into());
        self
    }

    /// This config with every field that `over` sets replaced by its; extras are merged by key.
    ///
    /// ```
    /// use oa_wire::RuntimeConfig;
    ///
    /// let base = RuntimeConfig::new().temperature(0.0).max_tokens(64);
    /// let retry = base.merged(&RuntimeConfig::new().temperature(0.7));
    /// assert_eq!((retry.temperature, retry.max_tokens), (Some(0.7), Some(64)));
    /// ```
    pub fn merged(&self, over: &Self) -> Self {
        let mut extras = self.extras.clone();
        extras.extend(over.extras.iter().map(|(name, value)| (name.clone(), value.clone())));
        Self {
            temperature: over.temperature.or(self.temperature),
            max_tokens: over.max_tokens.or(self.max_tokens),
            top_p: over.top_p.or(self.top_p),
            seed: over.seed.or(self.seed),
            frequency_penalty: over.frequency_penalty.or(self.frequency_penalty),
            presence_penalty: over.presence_penalty.or(self.presence_penalty),
            stop_sequences: over.stop_sequences.clone().or_else(|| self.stop_sequences.clone()),
            extras,
        }
    }
}
