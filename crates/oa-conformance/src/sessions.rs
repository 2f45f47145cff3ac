//! One provider instance a session.

use oa_middleware::TraceLayer;
use oa_provider::{DynProvider, HttpProvider};
use oa_wire::{Error, Mapping, Profile, anthropic, openai};
use serde_json::{Map, Value};
use std::{collections::VecDeque, time::Duration};

/// A provider over the mapping that a session names.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) provider: DynProvider,
    pub(crate) profile: Profile,
}

/// The last sessions, and what their providers were built with.
#[derive(Default)]
pub(crate) struct Sessions(VecDeque<(String, String, Session)>);

impl Sessions {
    /// The provider of the request's session.
    pub(crate) fn session(&mut self, request: &Map<String, Value>) -> Result<Session, Error> {
        let settings = ["mapping", "base_url", "model", "api_key", "options"]
            .map(|name| request.get(name).cloned().unwrap_or_default().to_string())
            .join("\n");
        let name = text(request, "session");
        let known = self.0.iter().find(|(of, built, _)| (of, built) == (&name, &settings));
        if let Some((_, _, session)) = known {
            return Ok(session.clone());
        }
        let session = match text(request, "mapping").as_str() {
            "anthropic" => build::<anthropic::Endpoint>(request)?,
            _ => build::<openai::Endpoint>(request)?,
        };
        self.0.push_front((name, settings, session.clone()));
        self.0.truncate(8);
        Ok(session)
    }
}

fn build<M: Mapping>(request: &Map<String, Value>) -> Result<Session, Error> {
    let options = request.get("options").and_then(Value::as_object);
    let option = |name: &str| options.and_then(|options| options.get(name));
    let mut builder = HttpProvider::<M>::builder(text(request, "base_url"), text(request, "model"));
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
    let profile = provider.profile().clone();
    Ok(Session { provider: DynProvider::new(provider), profile })
}

fn text(request: &Map<String, Value>, name: &str) -> String {
    request.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
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
