//! One provider instance a session.

use oa_middleware::TraceLayer;
use oa_provider::OpenAiProvider;
use oa_wire::Error;
use serde_json::{Map, Value};
use std::{collections::VecDeque, time::Duration};

/// The last sessions, and what their providers were built with.
#[derive(Default)]
pub(crate) struct Sessions(VecDeque<(String, String, OpenAiProvider)>);

impl Sessions {
    /// The provider of the request's session.
    pub(crate) fn provider(&mut self, request: &Map<String, Value>) -> Result<OpenAiProvider, Error> {
        let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let session = text("session");
        let settings = ["base_url", "model", "api_key", "options"]
            .map(|name| request.get(name).cloned().unwrap_or_default().to_string())
            .join("\n");
        let known = self.0.iter().find(|(of, built, _)| (of, built) == (&session, &settings));
        if let Some((_, _, provider)) = known {
            return Ok(provider.clone());
        }
        let options = request.get("options").and_then(Value::as_object);
        let option = |name: &str| options.and_then(|options| options.get(name));
        let mut builder = OpenAiProvider::builder(text("base_url"), text("model"));
        if let Some(key) = request.get("api_key").and_then(Value::as_str) {
            builder = builder.api_key(key);
        }
        if let Some(on) = option("force_prompt_augmentation_fallback").and_then(Value::as_bool) {
            builder = builder.force_prompt_augmentation_fallback(on);
        }
        if let Some(system) = option("genai_system").and_then(Value::as_str) {
            builder = builder.genai_system(system);
        }
        if let Some(limit) = time_limit(request) {
            builder = builder.probe_timeout(limit);
        }
        let provider = builder.build()?;
        self.0.push_front((session, settings, provider.clone()));
        self.0.truncate(8);
        Ok(provider)
    }
}

/// The limit for a whole request that the options set.
pub(crate) fn time_limit(request: &Map<String, Value>) -> Option<Duration> {
    let seconds = request.get("options")?.get("timeout_seconds")?.as_f64()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The observer whose spans are reported, as the options configure it.
pub(crate) fn observed(request: &Map<String, Value>, mut layer: TraceLayer) -> TraceLayer {
    let off = |name: &str| request.get("options")?.get("observer")?.get(name)?.as_bool();
    if let Some(off) = off("disable_llm_spans") {
        layer = layer.spans(!off);
    }
    if let Some(off) = off("disable_provider_payload") {
        layer = layer.payload(!off);
    }
    if let Some(off) = off("disable_genai_semconv") {
        layer = layer.gen_ai(!off);
    }
    layer
}
