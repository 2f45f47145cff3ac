//! Anthropic Messages as a wire mapping.

use super::{call::ChatCall, count::CountCall, endpoint::Endpoint, models::ModelsCall};
use crate::{ApiKey, CompletionRequest, CountRoute, Error, Profile, mapping::Mapping};
use http::{HeaderName, HeaderValue};

impl Mapping for Endpoint {
    const GENAI_SYSTEM: &'static str = "anthropic";

    type ChatCall = ChatCall;
    type ModelsCall = ModelsCall;
    type CountCall = CountCall;

    const COUNT_ROUTES: &'static [CountRoute] = &[CountRoute::MessagesCountTokens];

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
        if route != CountRoute::MessagesCountTokens {
            return Err(Error::invalid_request(format!("`{}` takes no messages", route.path())));
        }
        CountCall::new(self, profile, request)
    }
}
