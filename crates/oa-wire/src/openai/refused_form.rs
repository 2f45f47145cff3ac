//! The refusals of a form of the body, and the other form that is taken in its place.

use crate::{
    BodyForm, Category, CompletionRequest, EmptyContent, Error, Message, Profile, SchemaMode, TokenLimit,
    expected::schema_mode,
};

/// The other form of a request that was refused for its form; none where the refusal is about anything else.
///
/// Two refusals are known, by the words of the servers and libraries that make them (OpenAI, Azure, pydantic,
/// Go's and Rust's decoders, llama.cpp, Groq): the name of the limit on tokens, and the `content` of an
/// answer that has tool calls alone. Both only where the request has such a member, and with the status 400
/// or 422, or a code of that number as the first event of a success.
///
/// ```
/// use oa_wire::{BodyForm, CompletionRequest, Error, Profile, RuntimeConfig, TokenLimit, openai};
///
/// let profile = Profile::new("o4-mini");
/// let request =
///     CompletionRequest::new("Hello!").with_config(RuntimeConfig::new().with_max_tokens(64));
/// let refusal = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.";
/// let error = Error::invalid_request(refusal).with_status(400);
///
/// let other = openai::other_form(&profile, &request, &error).unwrap();
/// assert_eq!(other.token_limit, TokenLimit::MaxCompletionTokens);
/// let profile = profile.with_body_form(other); // for the second request, and the calls after it
/// # let _ = profile;
/// ```
pub fn other_form(profile: &Profile, request: &CompletionRequest, error: &Error) -> Option<BodyForm> {
    let has_status = match error.status() {
        Some(200) => matches!(error.server().code.as_deref(), Some("400" | "422")),
        status => matches!(status, Some(400 | 422)),
    };
    let is_refusal = has_status && error.category() == Category::InvalidRequest && error.partial().is_none();
    if !is_refusal || error.kind().is_some() {
        return None;
    }
    let refusal = Refusal::new(error);
    let form = profile.body_form();
    other_limit(form.token_limit, request, &refusal)
        .map(|limit| form.with_token_limit(limit))
        .or_else(|| Some(form.with_empty_content(other_content(profile, request, &refusal)?)))
}

/// The texts of a refusal, in lower case.
struct Refusal {
    text: String,
    /// The member that it is about, where the server names one.
    param: String,
}

impl Refusal {
    fn new(error: &Error) -> Self {
        let details = error.server();
        let parts = [Some(error.message()), details.code.as_deref(), details.r#type.as_deref()];
        let text: Vec<String> = parts.into_iter().flatten().map(str::to_lowercase).collect();
        Self { text: text.join(" "), param: details.param.as_deref().unwrap_or_default().to_lowercase() }
    }

    fn has_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.text.contains(word))
    }
}

/// How servers refuse a member that they do not know. A value that is not taken is another matter.
const UNKNOWN: [&str; 14] = [
    "unsupported",
    "not supported",
    "not support",
    "unrecognized",
    "unknown",
    "unexpected",
    "extra inputs",
    "extra_forbidden",
    "extra fields",
    "not permitted",
    "not allowed",
    "not a valid field",
    "additional propert",
    "deprecated",
];

fn other_limit(sent: TokenLimit, request: &CompletionRequest, refusal: &Refusal) -> Option<TokenLimit> {
    let other = match sent {
        TokenLimit::MaxTokens => TokenLimit::MaxCompletionTokens,
        TokenLimit::MaxCompletionTokens => TokenLimit::MaxTokens,
    };
    let is_sent = request.config.max_tokens.is_some() && !request.config.extras.contains_key(other.as_str());
    // Decoders list the members that they know after the one that they do not.
    let text = refusal.text.split("expected one of").next().unwrap_or_default();
    let is_named = match refusal.param.as_str() {
        "" => text.contains(sent.as_str()),
        param => param.ends_with(sent.as_str()),
    };
    let is_unknown = UNKNOWN.iter().any(|word| text.contains(word)) && !text.contains("unsupported value");
    (is_sent && is_named && is_unknown).then_some(other)
}

/// How servers refuse a content that is null, missing or empty.
const NO_CONTENT: [&str; 14] = [
    "null",
    "none",
    "required",
    "missing",
    "valid string",
    "a string",
    "be string",
    "must contain",
    "non-empty",
    "nonempty",
    "empty",
    "blank",
    "at least one",
    "must have",
];

fn other_content(profile: &Profile, request: &CompletionRequest, refusal: &Refusal) -> Option<EmptyContent> {
    let about = if refusal.param.is_empty() { &refusal.text } else { &refusal.param };
    let is_meant = names_content(about) && refusal.has_any(&NO_CONTENT);
    let added = usize::from(
        schema_mode(profile, request) == Some(SchemaMode::Prompt)
            && !matches!(request.messages(), [Message::System { .. } | Message::Developer { .. }, ..]),
    );
    let messages = request.messages();
    let is_sent = match place(about).or_else(|| place(&refusal.text)) {
        Some(at) => at.checked_sub(added).and_then(|at| messages.get(at)).is_some_and(has_calls_alone),
        None => messages.iter().any(has_calls_alone),
    };
    if !is_meant || !is_sent {
        return None;
    }
    let is_about_null = refusal.has_any(&["null", "none", "string"]);
    let is_about_empty = refusal.has_any(&["empty", "blank"]);
    Some(match profile.body_form().empty_content {
        EmptyContent::Null if is_about_empty && !is_about_null => EmptyContent::Absent,
        EmptyContent::Null => EmptyContent::Text,
        EmptyContent::Absent if refusal.has_any(&["string"]) => EmptyContent::Text,
        EmptyContent::Text | EmptyContent::Absent => EmptyContent::Null,
    })
}

/// Whether a message is an answer with tool calls and no text.
fn has_calls_alone(message: &Message) -> bool {
    let Message::Assistant(message) = message else { return false };
    !message.tool_calls.is_empty() && message.text_parts().all(str::is_empty)
}

/// Whether a text names the member `content`, and not a type or a filter of that name.
fn names_content(text: &str) -> bool {
    text.match_indices("content").any(|(at, word)| {
        let rest = &text[at + word.len()..];
        let is_other = ["-type", " type", "_type", "_filter", " filter", " manag"];
        !is_other.iter().any(|other| rest.starts_with(other))
    })
}

/// The place of the message that a text names: `messages.2.content`, `messages[2]`, `'messages', 2`.
fn place(text: &str) -> Option<usize> {
    const BETWEEN: usize = 4;
    text.match_indices("messages").find_map(|(at, word)| {
        let rest = &text[at + word.len()..];
        let from = rest.find(|c: char| c.is_ascii_digit()).filter(|from| *from <= BETWEEN)?;
        if rest[..from].contains(char::is_alphabetic) {
            return None;
        }
        let digits = &rest[from..];
        digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())].parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AssistantMessage, RuntimeConfig, ToolCall,
        openai::{ChatCall, Endpoint},
    };
    use http::{HeaderMap, StatusCode};
    use serde_json::{Map, json};

    fn limited() -> CompletionRequest {
        CompletionRequest::new("Hi").with_config(RuntimeConfig::new().with_max_tokens(5))
    }

    /// A user's message, an answer that is a call alone, and its result.
    fn called() -> CompletionRequest {
        let call = ToolCall::new("c1", "f", Map::new());
        CompletionRequest::new([
            Message::user("Hi"),
            AssistantMessage::default().with_tool_calls([call]).into(),
            Message::tool("c1", "r"),
        ])
    }

    /// The form after a server answered a call in this form with this body.
    fn after(form: BodyForm, request: &CompletionRequest, status: u16, body: &str) -> Option<BodyForm> {
        let profile = Profile::new("m").with_body_form(form);
        let endpoint = Endpoint::new("http://h:8000", None).unwrap();
        let call = ChatCall::new(&endpoint, &profile, request).unwrap();
        let mut decoder = call.on_response(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), None);
        decoder.push(body.to_owned().into());
        other_form(&profile, request, &decoder.finish().unwrap_err())
    }

    /// The body of an error with this message, and the member that it is about.
    fn error_body(message: &str, param: Option<&str>) -> String {
        json!({"error": {"message": message, "type": "invalid_request_error", "param": param}}).to_string()
    }

    const RENAMED: BodyForm = BodyForm::new().with_token_limit(TokenLimit::MaxCompletionTokens);

    const MAX_TOKENS: &str = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                              'max_completion_tokens' instead.";

    #[test]
    fn the_limit_goes_by_its_other_name() {
        for (message, param) in [
            (MAX_TOKENS, Some("max_tokens")),
            (MAX_TOKENS, None),
            ("Unsupported parameter: 'max_tokens'", None),
            (
                &format!("litellm.BadRequestError: OpenAIException - {MAX_TOKENS}\n\nLiteLLM: model group m"),
                None,
            ),
            ("max_tokens is deprecated, use max_completion_tokens", None),
        ] {
            let form = after(BodyForm::new(), &limited(), 400, &error_body(message, param));
            assert_eq!(form, Some(RENAMED), "{message}");
        }
    }

    #[test]
    fn and_back_by_its_first() {
        let extra = json!([{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"],
            "msg": "Extra inputs are not permitted", "input": 5}]);
        let python = "[{'type': 'extra_forbidden', 'loc': ('body', 'max_completion_tokens'), 'msg': 'Extra \
                      inputs are not permitted', 'input': 5}]";
        let flat = json!({"object": "error", "message": python, "type": "BadRequestError", "code": 400});
        let unknown = "unknown field `max_completion_tokens`, expected one of `model`, `max_tokens`";
        for (status, body) in [
            (422, json!({"detail": extra}).to_string()),
            (400, flat.to_string()),
            (400, error_body("json: unknown field \"max_completion_tokens\"", None)),
            (400, error_body(unknown, None)),
            (400, error_body("property 'max_completion_tokens' is unsupported", None)),
            (400, error_body("Unrecognized request argument supplied: max_completion_tokens", None)),
        ] {
            assert_eq!(after(RENAMED, &limited(), status, &body), Some(BodyForm::new()), "{body}");
        }
    }

    #[test]
    fn an_answer_without_text_is_sent_in_another_form() {
        let (null, text, absent) = (EmptyContent::Null, EmptyContent::Text, EmptyContent::Absent);
        let groq = |why: &str| {
            let who = "'messages.1' : for 'role:assistant' the following must be satisfied";
            format!("{who}[('messages.1.content' : {why})]")
        };
        let expected = "Invalid value for 'content': expected a string, got null.";
        let azure = "Invalid type for 'messages[1].content': expected one of a string or array of objects, \
                     but got null instead.";
        let rust = "Failed to deserialize the JSON body into the target type: messages[1]: missing field \
                    `content` at line 1 column 99";
        let bedrock = "bedrock error: The content field in the Message object at messages.1 is empty. Add a \
                       ContentBlock object to the content field and try again.";
        for (sent, message, param, next) in [
            (null, expected, Some("messages.[1].content"), text),
            (null, azure, Some("messages[1].content"), text),
            (null, "The content field is a required field.", None, text),
            (null, rust, None, text),
            (null, &groq("value must be a string"), None, text),
            (null, "messages[1].content must not be null", None, text),
            (null, "Expected 'content' to be a string or an array", None, text),
            (null, bedrock, None, absent),
            (text, "messages.1: text content blocks must be non-empty", None, null),
            (absent, "All non-assistant messages must contain 'content'", None, null),
            (absent, &groq("property 'content' is missing"), None, null),
        ] {
            let form = BodyForm::new().with_empty_content(sent);
            let other = after(form, &called(), 400, &error_body(message, param));
            assert_eq!(other, Some(form.with_empty_content(next)), "{message}");
        }
        let pydantic = json!({"detail": [{"type": "string_type", "loc": ["body", "messages", 1, "content"],
            "msg": "Input should be a valid string", "input": null}]});
        let other = after(BodyForm::new(), &called(), 422, &pydantic.to_string());
        assert_eq!(other, Some(BodyForm::new().with_empty_content(text)));
    }

    #[test]
    fn other_refusals_are_about_no_form() {
        let no_text = "messages[1].content must not be null";
        let too_large = "'max_tokens' or 'max_completion_tokens' is too large: 100000. This model's maximum \
                         context length is 512 tokens";
        let temperature = "Unsupported value: 'temperature' does not support 0 with this model.";
        let filtered = "The response was filtered due to the prompt triggering the content management \
                        policy: it must not be null";
        for (request, status, message) in [
            // Nothing of the kind was sent.
            (CompletionRequest::new("Hi"), 400, MAX_TOKENS),
            (limited(), 400, no_text),
            // A message that is not the one.
            (called(), 400, "messages[2].content must not be null"),
            (called(), 400, "messages[9].content must not be null"),
            // Not the status of a refusal.
            (limited(), 500, MAX_TOKENS),
            (limited(), 401, MAX_TOKENS),
            // Values, and other members.
            (limited(), 400, too_large),
            (limited(), 400, "max_tokens must be at least 1, got 0."),
            (limited(), 400, temperature),
            (limited(), 400, "unknown field `foo`, expected one of `model`, `max_tokens`"),
            (called(), 400, "Unsupported Content-Type: must not be empty"),
            (called(), 400, filtered),
        ] {
            let form = after(BodyForm::new(), &request, status, &error_body(message, None));
            assert_eq!(form, None, "{status} {message}");
        }
        let param = error_body(MAX_TOKENS, Some("temperature"));
        assert_eq!(after(BodyForm::new(), &limited(), 400, &param), None);
        let config = RuntimeConfig::new().with_max_tokens(5).with_extra("max_completion_tokens", 6);
        let both = limited().with_config(config);
        assert_eq!(after(BodyForm::new(), &both, 400, &error_body(MAX_TOKENS, None)), None);
    }

    #[test]
    fn the_place_of_a_message_takes_no_notice_of_one_that_was_added() {
        let schema = crate::JsonSchema::new(json!({"type": "object"})).unwrap();
        let request = called().with_response_schema(schema).with_schema_mode(SchemaMode::Prompt);
        let at = |n: usize| error_body(&format!("messages[{n}].content must not be null"), None);
        assert!(after(BodyForm::new(), &request, 400, &at(2)).is_some());
        assert_eq!(after(BodyForm::new(), &request, 400, &at(1)), None);
    }

    #[test]
    fn an_error_of_ours_is_no_refusal() {
        let error = Error::new(Category::InvalidRequest, "Unsupported parameter: 'max_tokens'");
        assert_eq!(other_form(&Profile::new("m"), &limited(), &error), None);
    }
}
