//! The forms of the members that servers want differently, and the form that a call was answered in.

use serde::{Deserialize, Serialize};

/// The form in which a request says what servers want differently. The default is what most servers take.
///
/// It is a setting of the [`Profile`](crate::Profile). The mapping of Anthropic Messages has one form alone,
/// and takes no notice of it.
///
/// ```
/// use oa_wire::{BodyForm, CompletionRequest, Profile, RuntimeConfig, TokenLimit};
/// use oa_wire::openai::{ChatCall, Endpoint};
///
/// let form = BodyForm::new().with_token_limit(TokenLimit::MaxCompletionTokens);
/// let profile = Profile::new("o4-mini").with_body_form(form);
/// let request =
///     CompletionRequest::new("Hello!").with_config(RuntimeConfig::new().with_max_tokens(64));
/// let call = ChatCall::new(&Endpoint::new("https://api.openai.com", None)?, &profile, &request)?;
/// assert!(call.body().ends_with(br#""max_completion_tokens":64}"#));
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BodyForm {
    /// The member in which [`max_tokens`](crate::RuntimeConfig::max_tokens) is sent.
    pub token_limit: TokenLimit,
    /// The `content` of an answer that has tool calls and no text.
    pub empty_content: EmptyContent,
}

/// The member in which the most tokens to generate are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TokenLimit {
    /// `max_tokens`: nearly every server.
    #[default]
    MaxTokens,
    /// `max_completion_tokens`: OpenAI's reasoning models, which refuse the other.
    MaxCompletionTokens,
}

/// The `content` of an assistant's message that has tool calls and no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EmptyContent {
    /// `null`, as OpenAI itself sends it.
    #[default]
    Null,
    /// An empty text, for servers that want a text.
    Text,
    /// No member at all.
    Absent,
}

/// A form that was learnt from a refusal, on the response to a call that was sent in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Negotiated {
    /// The form that was taken.
    pub form: BodyForm,
    /// True where the server refused this call first, so that it took two requests; false where an earlier
    /// call had learnt the form.
    pub resent: bool,
}

impl BodyForm {
    /// The form that most servers take: `max_tokens`, and `null` for no content.
    pub const fn new() -> Self {
        Self { token_limit: TokenLimit::MaxTokens, empty_content: EmptyContent::Null }
    }

    /// Sets the member in which the most tokens to generate are sent.
    #[must_use]
    pub const fn with_token_limit(mut self, limit: TokenLimit) -> Self {
        self.token_limit = limit;
        self
    }

    /// Sets the `content` of an answer that has tool calls and no text.
    #[must_use]
    pub const fn with_empty_content(mut self, content: EmptyContent) -> Self {
        self.empty_content = content;
        self
    }
}

impl TokenLimit {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

impl Negotiated {
    /// A call that was sent in this form, after a refusal of its own or of an earlier call.
    pub const fn new(form: BodyForm, resent: bool) -> Self {
        Self { form, resent }
    }
}
