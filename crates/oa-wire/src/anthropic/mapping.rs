//! Anthropic Messages as a wire mapping.

use super::{call::ChatCall, endpoint::Endpoint, models::ModelsCall};
use crate::{ApiKey, CompletionRequest, Error, Profile, mapping::Mapping};
use http::{HeaderName, HeaderValue};

impl Mapping for Endpoint {
    const GENAI_SYSTEM: &'static str = "anthropic";

    type ChatCall = ChatCall;
    type ModelsCall = ModelsCall;

    fn new(base_url: &str, api_key: Option<ApiKey>) -> Result<Self, Error> {
        Self::new(base_url, api_key)
    }

    fn with_header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.with_header(name, value)
    }

    fn base_url(&self) -> &str {
        self.base_url()
    }

    fn chat_call(&self, profile: &Profile, request: &CompletionRequest) -> Result<ChatCall, Error> {
        ChatCall::new(self, profile, request)
    }

    fn models_call(&self) -> ModelsCall {
        ModelsCall::new(self)
    }
}
