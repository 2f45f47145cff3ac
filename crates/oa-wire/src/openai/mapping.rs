//! Chat completions as a wire mapping.

use super::{
    call::ChatCall, count::CountCall, endpoint::Endpoint, models::ModelsCall, refused_form::other_form,
};
use crate::{ApiKey, BodyForm, CompletionRequest, CountRoute, Error, Profile, mapping::Mapping};
use http::{HeaderName, HeaderValue};

impl Mapping for Endpoint {
    const GENAI_SYSTEM: &'static str = "openai";

    type ChatCall = ChatCall;
    type ModelsCall = ModelsCall;
    type CountCall = CountCall;

    const COUNT_ROUTES: &'static [CountRoute] = &CountCall::ROUTES;

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

    fn count_call(
        &self,
        profile: &Profile,
        request: &CompletionRequest,
        route: CountRoute,
    ) -> Result<CountCall, Error> {
        CountCall::new(self, profile, request, route)
    }

    fn other_form(&self, profile: &Profile, request: &CompletionRequest, error: &Error) -> Option<BodyForm> {
        other_form(profile, request, error)
    }
}
