//! Tables of codes, types and phrases: what the text of an error says that its status does not.

use super::{
    delay,
    parse::{ErrorBody, Form},
};
use crate::{Category, ErrorKind};
use http::StatusCode;

/// Codes and types, lowercase and without separators (`RateLimitError` is `rate_limit_error`), and the status
/// that each stands for.
const STATUSES: &[(u16, &[&str])] = &[
    (400, BAD_REQUEST),
    (401, BAD_KEY),
    (402, BILLING),
    (403, &["permissiondenied", "permissiondeniederror", "permissionerror", "forbidden"]),
    (404, &["notfound", "notfounderror"]),
    (404, UNKNOWN_MODEL),
    (408, &["timeout", "timeouterror", "requesttimeout", "apitimeouterror"]),
    (413, &["requesttoolarge", "payloadtoolarge"]),
    (429, RATE_LIMIT),
    (429, SPENT_QUOTA),
    (500, SERVER_ERROR),
    (503, UNAVAILABLE),
    (503, NOT_LOADED),
    (504, &["gatewaytimeout", "deadlineexceeded"]),
];
const BAD_REQUEST: &[&str] = &[
    "badrequest",
    "badrequesterror",
    "invalidrequest",
    "invalidrequesterror",
    "invalidargument",
    "invalidparameter",
    "validation",
    "validationerror",
    "unprocessableentity",
    "unprocessableentityerror",
    "contextlengthexceeded",
    "exceedcontextsizeerror",
    "contextwindowexceedederror",
    "contentfilter",
    "contentpolicyviolation",
    "contentpolicyviolationerror",
    "imagecontentnotsupported",
    "unsupportedcontentblock",
];
const BAD_KEY: &[&str] = &[
    "invalidapikey",
    "authenticationerror",
    "autherror",
    "unauthorized",
    "unauthenticated",
    "expiredkey",
    "nodbconnection",
];
const BILLING: &[&str] = &["billingerror"];
const RATE_LIMIT: &[&str] = &[
    "ratelimit",
    "ratelimited",
    "ratelimiterror",
    "ratelimitexceeded",
    "ratelimitreached",
    "toomanyrequests",
    "throttlingerror",
    "throttling",
    "resourceexhausted",
    "alldeploymentsincooldown",
    "requests",
    "tokens",
];
const SPENT_QUOTA: &[&str] = &[
    "insufficientquota",
    "insufficientuserquota",
    "exceededcurrentquotaerror",
    "billinghardlimitreached",
    "billingnotactive",
    "budgetexceeded",
    "insufficientbalance",
    "insufficientcredits",
    "insufficientfunds",
    "paymentrequired",
    "arrearage",
];
const SERVER_ERROR: &[&str] = &[
    "servererror",
    "internal",
    "internalerror",
    "internalservererror",
    "apierror",
    "apiconnectionerror",
    "badgateway",
    "badgatewayerror",
];
const UNAVAILABLE: &[&str] = &[
    "serviceunavailable",
    "serviceunavailableerror",
    "unavailable",
    "unavailableerror",
    "overloaded",
    "overloadederror",
    "engineoverloaded",
];
const NOT_LOADED: &[&str] = &["modelnotloaded", "notloaded", "modelloading", "modelunloaded"];
const UNKNOWN_MODEL: &[&str] = &[
    "modelnotfound",
    "modelnotfounderror",
    "unknownmodel",
    "invalidmodel",
    "invalidmodelname",
    "modelnotavailable",
    "modeldecommissioned",
    "deploymentnotfound",
    // FastChat
    "40301",
];
const NO_MEDIUM: &[&str] = &[
    "imagecontentnotsupported",
    "imageinputnotsupported",
    "unsupportedcontentblock",
    "modalitynotsupported",
];
const OVERFLOW: &[&str] = &[
    "contextlengthexceeded",
    "exceedcontextsizeerror",
    "contextwindowexceedederror",
    // FastChat
    "40303",
];
const FILTERED: &[&str] = &[
    "contentfilter",
    "contentpolicyviolation",
    "contentpolicyviolationerror",
    "responsibleaipolicyviolation",
    "datainspectionfailed",
    "moderationblocked",
];

const QUOTA_PHRASES: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "exceeded your current quota",
    "billing hard limit",
    "budget has been exceeded",
    "budget exceeded",
    "exceededbudget",
    "credit balance is too low",
    "insufficient balance",
    "insufficient credits",
    "insufficient quota",
    "insufficient funds",
    "out of credits",
    "have any credits",
    "no credits left",
];
const KEY_PHRASES: &[&str] = &["api key not valid", "invalid api key", "incorrect api key"];
const MEDIUM_PHRASES: &[&str] = &[
    "not a multimodal model",
    "not a vision model",
    "only supported by certain models",
    "no endpoints found that support image",
    "no endpoints found that support input audio",
    "at most 0 image",
    "at most 0 audio",
    "at most 0 video",
    "may need to provide the mmproj",
    "missing data required for image input",
    "unknown variant `image_url`",
    "unknown variant `input_audio`",
    "unsupported content type 'image_url'",
    "unsupported content type \"image_url\"",
    "image input is not enabled",
    "only supports text input",
];
const CLIENT_ERRORS_CALLED_500: &[&str] = &[
    "json.exception.parse_error",
    "parse error at line",
    "failed to parse tools",
    "failed to parse tool call arguments",
    "object is not iterable",
    "unsupported content[].type",
    "unknown part type",
    // llama-cpp-python
    "not found in tools",
    "exceed context window of",
];
const UNKNOWN_MODEL_PHRASES: &[&str] = &[
    "no healthy deployments for this model",
    "invalid model name passed in model=",
    "is not a valid model id",
    "no endpoints found for ",
    "unknown model",
    "no such model",
    "model not exist",
    "model_not_found",
    // transformers serve, vLLM's production stack, Xinference, Triton, Bedrock, Perplexity, mlx_lm,
    // llama-swap
    "server is pinned to",
    "allowed now, your model",
    "not found or vllm engine is sleeping",
    "model not found in the model list",
    "request for unknown model",
    "model identifier is invalid",
    "permitted models can be found",
    "repository not found for url",
    "could not find real modelid",
];
const UNKNOWN_MODEL_PHRASES_OF_404: &[&str] = &[
    "invalid model",
    "unable to access model",
    "not a valid model",
    "could not find model",
    "does not have access to model",
    // Gemini and Vertex, OpenRouter, Envoy's AI gateway
    "is not found for api version",
    "publisher model ",
    "for the selected model",
    "likely that the model specified",
];
const NOT_LOADED_PHRASES: &[&str] = &[
    "no models loaded",
    "no model loaded",
    "no model is loaded",
    "model is warming up",
    "model is starting",
];
const OVERFLOW_PHRASES: &[&str] = &[
    "maximum context length",
    "context_length_exceeded",
    "contextwindowexceedederror",
    "context window exceeded",
    "exceeds the available context size",
    "longer than the model's context length",
    "exceeds the model's context",
    "exceeds the context window",
    "exceeds the context length",
    "exceeds context length",
    "greater than the context length",
    "greater than max_model_len",
    "prompt is too long",
    "prompt too long",
    "loaded with context length of only",
    "context overflows",
    "exceed context window of",
    "`inputs` tokens + `max_new_tokens` must be",
    "`inputs` must have less than",
];
const FILTER_PHRASES: &[&str] = &[
    "contentpolicyviolationerror",
    "content_policy_violation",
    "content management policy",
    "filtered due to the prompt",
    "blocked by content filter",
    "rejected as a result of our safety system",
    "violating our usage policy",
    "violates our usage polic",
];
/// What an error about credentials says, and no other.
const CREDENTIAL_PHRASES: &[&str] = &[
    "api key",
    "api-key",
    "apikey",
    "api_key",
    "subscription key",
    "access token",
    "auth token",
    "bearer token",
    "invalid token",
    "token is invalid",
    "token expired",
    "token has expired",
    "expired token",
    "jwt",
    "credential",
    "unauthorized",
    "unauthenticated",
    "not authenticated",
    "not authorized",
    "authentication error",
    "authentication failed",
    "authentication required",
    "missing authorization",
    "authorization header",
];
/// How servers answer plain HTTP on a port for TLS: nginx, Go's, Apache's, Jetty's.
const TLS_WANTED: &[&str] = &[
    "plain http request was sent to https port",
    "http request to an https server",
    "plain http to an ssl-enabled server port",
    "host and port requires tls",
];
const COOLDOWN: &str = "no deployments available";

/// The texts of an error, ready to be looked up.
pub(super) struct ErrorText {
    /// The messages, lowercase.
    text: String,
    /// Codes and types, the wrapped error's too, lowercase without separators, in the order of their weight.
    names: Vec<String>,
    names_model: bool,
    in_request: bool,
    is_page: bool,
}

impl ErrorText {
    pub(super) fn of(body: &ErrorBody) -> Self {
        let upstream = body.upstream_message.as_deref().unwrap_or_default();
        let names = [&body.code, &body.r#type, &body.upstream_code, &body.upstream_type];
        Self {
            text: format!("{}\n{upstream}", body.message).to_lowercase(),
            names: names.into_iter().flatten().map(|name| squeezed(name)).collect(),
            names_model: body.param.as_deref() == Some("model"),
            in_request: body.in_request,
            is_page: body.form == Form::Page,
        }
    }

    /// The messages, lowercase.
    pub(super) fn messages(&self) -> &str {
        &self.text
    }

    /// The status that a code or type stands for.
    pub(super) fn status(&self) -> Option<u16> {
        self.names.iter().find_map(|name| {
            let known = STATUSES.iter().find(|(_, names)| names.contains(&name.as_str()));
            known.map(|(status, _)| *status)
        })
    }

    /// A quota or budget is spent, and no wait helps.
    pub(super) fn quota_spent(&self, status: Option<u16>) -> bool {
        match status {
            Some(402) => !self.is_about_account(),
            Some(401) => false,
            _ if self.has_name(SPENT_QUOTA) => true,
            // Per-minute quotas are worded like spent ones, but say when they are filled again.
            None | Some(400 | 403 | 429) => {
                self.has_phrase(QUOTA_PHRASES) && delay::in_text(&self.text).is_none()
            }
            Some(_) => false,
        }
    }

    /// The account may not be used, whatever is left of its quota.
    pub(super) fn is_about_account(&self) -> bool {
        self.has_name(BILLING)
    }

    /// The key is wrong, whatever the status says.
    pub(super) fn is_auth_failure(&self) -> bool {
        self.has_name(BAD_KEY) || self.has_phrase(KEY_PHRASES)
    }

    /// The error is about the key that was sent, or that none was.
    pub(super) fn is_about_credentials(&self) -> bool {
        self.is_auth_failure() || self.has_phrase(CREDENTIAL_PHRASES)
    }

    /// A validator complains about the body of the request, whatever the status.
    pub(super) fn is_validation_of_request(&self) -> bool {
        self.in_request
    }

    /// AWS's API gateway has no such path, or wants a signature: it says the same in both cases.
    pub(super) fn is_unknown_path_of_aws(&self) -> bool {
        self.text.trim_end().ends_with("missing authentication token")
    }

    /// A gateway has no route for the request, or nothing is up behind it.
    pub(super) fn is_gateway_without_route(&self) -> bool {
        const ANSWERS: &[&str] = &[
            // Traefik (and Go's own server), nginx's ingress, Kong, APISIX, Envoy, HAProxy
            "404 page not found",
            "default backend - 404",
            "no route matched",
            "404 route not found",
            "no healthy upstream",
        ];
        !self.is_page && self.has_phrase(ANSWERS)
    }

    /// The model cannot take an image, audio, video or document.
    pub(super) fn unsupported_medium(&self) -> bool {
        self.has_name(NO_MEDIUM) || self.has_phrase(MEDIUM_PHRASES) || self.sentences().any(refuses_medium)
    }

    /// The server calls it its own failure, but the request is at fault.
    pub(super) fn is_client_error(&self) -> bool {
        self.has_phrase(CLIENT_ERRORS_CALLED_500)
    }

    /// The model does not exist, in words that mean nothing else.
    pub(super) fn unknown_model(&self) -> bool {
        // A page is not written by what knows the models.
        if self.is_page {
            return false;
        }
        self.has_name(UNKNOWN_MODEL)
            || self.has_phrase(UNKNOWN_MODEL_PHRASES)
            || quoted_model_missing(&self.text)
    }

    /// The model does not exist, for an error that says already that something does not.
    pub(super) fn maybe_unknown_model(&self) -> bool {
        if self.is_page {
            return false;
        }
        self.names_model
            || self.unknown_model()
            || self.has_phrase(UNKNOWN_MODEL_PHRASES_OF_404)
            || self.text.starts_with("model: ")
            || model_then(
                &self.text,
                80,
                &[
                    "does not exist",
                    "doesn't exist",
                    "not found",
                    "not available",
                    "has been deprecated",
                    "decommissioned",
                    "not supported",
                ],
            )
    }

    /// The model is loading or not loaded, in words that mean nothing else.
    pub(super) fn loading(&self) -> bool {
        const STATES: &[&str] = &[
            "is loading",
            "currently loading",
            "still loading",
            "being loaded",
            "not loaded",
            "not yet loaded",
            "unloaded",
        ];
        self.has_name(NOT_LOADED)
            || self.has_phrase(NOT_LOADED_PHRASES)
            || self.text.starts_with("loading model")
            || model_then(&self.text, 60, STATES)
    }

    /// The model is loading, for an error that says already that the server cannot serve now.
    pub(super) fn maybe_loading(&self) -> bool {
        self.loading()
            || self.has_phrase(&["not loaded", "unloaded", "warming up"])
            || word_starts(&self.text, "loading").next().is_some()
    }

    /// The finer kind of an error of this category.
    pub(super) fn kind(&self, category: Category) -> Option<ErrorKind> {
        let kinds = [ErrorKind::ContextOverflow, ErrorKind::ContentFilter];
        match category {
            Category::RateLimit => None,
            // Moderation is refused with 403 by some routers.
            Category::Authentication => Some(ErrorKind::ContentFilter).filter(|kind| self.is(*kind)),
            _ => kinds.into_iter().find(|kind| self.is(*kind)),
        }
    }

    pub(super) fn is(&self, kind: ErrorKind) -> bool {
        match kind {
            ErrorKind::ContextOverflow => self.has_name(OVERFLOW) || self.has_phrase(OVERFLOW_PHRASES),
            ErrorKind::ContentFilter => self.has_name(FILTERED) || self.has_phrase(FILTER_PHRASES),
            _ => false,
        }
    }

    /// The likely cause, where there is evidence for one that the message does not tell.
    pub(super) fn hint(&self, status: StatusCode) -> Option<&'static str> {
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return Some("a forward proxy on the way, not the server, asks for credentials");
        }
        if self.has_phrase(TLS_WANTED) {
            return Some("the server speaks TLS on this port: use https:// in the URL");
        }
        if self.text.contains("api key found in request") {
            return Some(
                "gateways such as Kong and APISIX take the key in a header of their own, unless configured \
                 otherwise in the header `apikey`",
            );
        }
        if self.text.contains(COOLDOWN) || self.has_name(&["alldeploymentsincooldown"]) {
            return Some(
                "the router paused its deployments after an earlier error of their upstream, which this one \
                 hides: look for it (a wrong key, a wrong model, a refused connection) in the call \
                 before, or in the router's log",
            );
        }
        None
    }

    fn has_name(&self, names: &[&str]) -> bool {
        self.names.iter().any(|name| names.contains(&name.as_str()))
    }

    fn has_phrase(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.text.contains(phrase))
    }

    fn sentences(&self) -> impl Iterator<Item = &str> {
        self.text.split(['\n', ';']).flat_map(|line| line.split(". "))
    }
}

/// Lowercase letters and digits alone.
fn squeezed(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// "does not support image inputs", "image input is not supported", and the like.
fn refuses_medium(sentence: &str) -> bool {
    const REFUSALS: [&str; 5] =
        ["does not support", "doesn't support", "do not support", "don't support", "cannot process"];
    const NEAR: usize = 4;
    let words: Vec<&str> = sentence
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\''))
        .filter(|word| !word.is_empty())
        .collect();
    let sentence = words.join(" ");
    let after = REFUSALS.iter().any(|refusal| {
        sentence
            .match_indices(refusal)
            .any(|(at, _)| sentence[at + refusal.len()..].split(' ').skip(1).take(NEAR).any(is_medium))
    });
    after
        || ["not supported", "unsupported", "not enabled"].iter().any(|refusal| {
            sentence
                .match_indices(refusal)
                .any(|(at, _)| sentence[..at].split(' ').rev().skip(1).take(NEAR).any(is_medium))
        })
}

fn is_medium(word: &str) -> bool {
    const MEDIA: [&str; 14] = [
        "image",
        "images",
        "image_url",
        "input_image",
        "audio",
        "input_audio",
        "video",
        "videos",
        "video_url",
        "vision",
        "multimodal",
        "pdf",
        "pdfs",
        "multi_modal",
    ];
    MEDIA.contains(&word)
}

/// True when "model" as a word's end is followed within `reach` characters by one of the phrases.
fn model_then(text: &str, reach: usize, phrases: &[&str]) -> bool {
    text.match_indices("model").any(|(at, model)| {
        let rest = &text[at + model.len()..];
        // `/model` is a path.
        let is_word = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')
            && !text[..at].ends_with(['/', '.', '_', '-']);
        is_word
            && phrases.iter().any(|phrase| {
                rest.find(phrase).is_some_and(|gap| {
                    let cut_off = rest[gap + phrase.len()..].starts_with(char::is_alphanumeric);
                    !cut_off && rest[..gap].chars().count() <= reach
                })
            })
    })
}

/// True for "model `NAME` not found" and "model NAME does not exist", quoted in any way.
fn quoted_model_missing(text: &str) -> bool {
    text.match_indices("model").any(|(at, model)| {
        let rest = text[at + model.len()..].trim_start_matches([' ', ':', '=']);
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '`' | '\'' | '"')) else {
            return false;
        };
        let rest = &rest[1..];
        let Some(end) = rest.find(quote) else {
            return false;
        };
        let rest = rest[end + 1..].trim_start();
        let rest = ["was ", "is ", "could ", "does "]
            .iter()
            .find_map(|word| rest.strip_prefix(word))
            .unwrap_or(rest);
        ["not found", "not exist", "not be found", "not available"]
            .iter()
            .any(|missing| rest.starts_with(missing))
    })
}

/// Where a word that starts like this begins.
fn word_starts<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(start)
        .map(|(at, _)| at)
        .filter(|at| !text[..*at].ends_with(|c: char| c.is_alphanumeric()))
}
