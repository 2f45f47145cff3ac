//! The settings that all calls of one provider share.

use crate::{BodyForm, Limits, SendReasoning, Spellings};
use std::sync::Arc;

/// The settings that all calls of one provider share, whatever the wire mapping: the model, and how its
/// answers are treated. Cloning costs a reference count.
///
/// ```
/// use oa_wire::Profile;
///
/// let profile = Profile::new("my-model").with_genai_system("vllm");
/// assert_eq!((profile.model(), profile.genai_system()), ("my-model", "vllm"));
/// ```
#[derive(Clone, Debug)]
pub struct Profile(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    model: String,
    genai_system: String,
    force_prompt_augmentation_fallback: bool,
    surface_invalid_tool_calls: bool,
    limits: Limits,
    send_reasoning: SendReasoning,
    spellings: Spellings,
    body_form: BodyForm,
    negotiation: bool,
}

impl Profile {
    /// A profile bound to this model.
    pub fn new(model: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            model: model.into(),
            genai_system: "openai".to_owned(),
            force_prompt_augmentation_fallback: false,
            surface_invalid_tool_calls: false,
            limits: Limits::default(),
            send_reasoning: SendReasoning::default(),
            spellings: Spellings::of("openai").unwrap_or_default(),
            body_form: BodyForm::new(),
            negotiation: false,
        }))
    }

    /// Sets the server's name in telemetry: `openai` (default), `vllm`, `sglang`, `llamacpp`, `lmstudio`,
    /// `ollama`, `litellm`. It changes nothing else, and nothing is guessed from the URL.
    #[must_use]
    pub fn with_genai_system(self, system: impl Into<String>) -> Self {
        let system = system.into();
        self.set(|inner| inner.genai_system = system)
    }

    /// Sets whether structured output is requested by a directive in the messages, for servers that ignore or
    /// refuse `response_format`. Off by default.
    #[must_use]
    pub fn with_force_prompt_augmentation_fallback(self, on: bool) -> Self {
        self.set(|inner| inner.force_prompt_augmentation_fallback = on)
    }

    /// Sets whether invalid tool calls are returned, each with its problem, instead of failing the call:
    /// arguments that are not JSON or violate the tool's schema, and tools that were not offered. Off by
    /// default.
    #[must_use]
    pub fn with_surface_invalid_tool_calls(self, on: bool) -> Self {
        self.set(|inner| inner.surface_invalid_tool_calls = on)
    }

    /// Sets how much of a response is read.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.set(|inner| inner.limits = limits)
    }

    /// Sets whether the model's reasoning is sent back with the history. Never by default.
    #[must_use]
    pub fn with_send_reasoning(self, when: SendReasoning) -> Self {
        self.set(|inner| inner.send_reasoning = when)
    }

    /// Sets how a request's session id and priority are sent. By default as OpenAI takes them:
    /// `prompt_cache_key` and `service_tier`.
    #[must_use]
    pub fn with_spellings(self, spellings: Spellings) -> Self {
        self.set(|inner| inner.spellings = spellings)
    }

    /// Sets the form in which the body says what servers want differently.
    #[must_use]
    pub fn with_body_form(self, form: BodyForm) -> Self {
        self.set(|inner| inner.body_form = form)
    }

    /// Sets whether a call that the server refuses for the form of its body is sent once more in the other
    /// form ([`Mapping::other_form`](crate::Mapping::other_form)). Off by default.
    #[must_use]
    pub fn with_negotiation(self, on: bool) -> Self {
        self.set(|inner| inner.negotiation = on)
    }

    /// The model.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// The server's name in telemetry.
    pub fn genai_system(&self) -> &str {
        &self.0.genai_system
    }

    /// Whether structured output is requested by a directive in the messages.
    pub fn force_prompt_augmentation_fallback(&self) -> bool {
        self.0.force_prompt_augmentation_fallback
    }

    /// Whether invalid tool calls are returned instead of failing the call.
    pub fn surface_invalid_tool_calls(&self) -> bool {
        self.0.surface_invalid_tool_calls
    }

    /// How much of a response is read.
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// Whether the model's reasoning is sent back.
    pub fn send_reasoning(&self) -> SendReasoning {
        self.0.send_reasoning
    }

    /// How a request's session id and priority are sent.
    pub fn spellings(&self) -> &Spellings {
        &self.0.spellings
    }

    /// The form in which the body says what servers want differently.
    pub fn body_form(&self) -> BodyForm {
        self.0.body_form
    }

    /// Whether a call that the server refuses for the form of its body is sent once more.
    pub fn negotiation(&self) -> bool {
        self.0.negotiation
    }

    fn set(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}
