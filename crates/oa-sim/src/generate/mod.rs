//! How does the generative mode answer a request: which path, who may, and in which form are errors?

mod chat;
mod pattern;
mod plan;
mod render;
mod schema;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::answer::Answer;
use crate::json::Json;
use crate::state::Recorded;

/// What text the generative mode makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// `You said: ` and the text of the last user message.
    #[default]
    Echo,
    /// Made-up words, the same for the same `seed`, messages and choice index.
    MadeUp {
        /// How many, where `max_tokens` does not end it before.
        words: usize,
    },
    /// Always this.
    Fixed(String),
}

/// In which fields reasoning comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reasoning {
    /// `reasoning` (vLLM since 0.14, Ollama).
    Reasoning,
    /// `reasoning_content` (llama.cpp, SGLang, LiteLLM, older vLLM).
    ReasoningContent,
    /// Both with the same text (vLLM 0.13).
    Both,
}

/// How a model without vision refuses an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextOnly {
    /// 400 `MODEL is not a multimodal model`.
    Vllm,
    /// 500 `image input is not supported ...`.
    LlamaCpp,
}

/// The settings of the generative mode.
pub(crate) struct Model {
    pub(crate) names: Vec<String>,
    pub(crate) status: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) reply: Reply,
    pub(crate) reasoning: Option<(Reasoning, String)>,
    pub(crate) text_only: Option<TextOnly>,
    pub(crate) token_delay: Duration,
    pub(crate) context_length: Option<usize>,
    pub(crate) cached_tokens: Option<usize>,
    pub(crate) always_usage: bool,
    ids: AtomicU64,
}

impl Default for Model {
    fn default() -> Self {
        Model {
            names: vec!["oa-sim".to_owned()],
            status: None,
            api_key: None,
            reply: Reply::Echo,
            reasoning: None,
            text_only: None,
            token_delay: Duration::ZERO,
            context_length: None,
            cached_tokens: None,
            always_usage: false,
            ids: AtomicU64::new(1),
        }
    }
}

impl Model {
    /// A number that no other answer of this simulator has.
    fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

/// The time stamp of everything it makes: made-up like the rest, and the same in every run.
const CREATED: usize = 1_700_000_000;

/// Answers `request` as a small model behind vLLM's API would.
pub(crate) fn answer(model: &Model, request: &Recorded) -> Answer {
    let method = if request.method == "HEAD" { "GET" } else { request.method.as_str() };
    let allowed = match request.path.as_str() {
        "/v1/chat/completions" => "POST",
        "/v1/models" | "/health" | "/version" | "/" => "GET",
        path if path.starts_with("/v1/models/") => "GET",
        _ => "",
    };
    if let Some(refusal) = unauthorized(model, request) {
        return refusal;
    }
    if allowed.is_empty() {
        return Answer::json(404, serde_json::json!({"detail": "Not Found"}));
    }
    if method == "OPTIONS" {
        return Answer::bytes(204, "text/plain", "").header("allow", allowed);
    }
    if method != allowed || (request.method == "HEAD" && allowed == "POST") {
        return Answer::json(405, serde_json::json!({"detail": "Method Not Allowed"}))
            .header("allow", allowed);
    }
    match request.path.as_str() {
        "/v1/chat/completions" => complete(model, request).unwrap_or_else(|refusal| *refusal),
        "/v1/models" => models(model),
        "/version" => Answer::json(200, serde_json::json!({"version": crate::VERSION})),
        "/health" => Answer::text(200, ""),
        "/" => Answer::text(200, "This is a simulator: nothing here was thought by a model.\n"),
        path => one_model(model, path.trim_start_matches("/v1/models/")),
    }
}

fn complete(model: &Model, request: &Recorded) -> Result<Answer, Refusal> {
    let chat = chat::ChatRequest::read(model, request)?;
    let plan = plan::plan(model, &chat)?;
    Ok(render::render(model, &chat, &plan))
}

/// What llama.cpp says on every path while it loads its model.
pub(crate) fn loading() -> Answer {
    json(
        503,
        &Json::object([(
            "error",
            Json::object([
                ("message", Json::text("Loading model")),
                ("type", Json::text("unavailable_error")),
                ("code", Json::count(503)),
            ]),
        )]),
    )
    .close()
}

/// An answer that says why there is no completion.
type Refusal = Box<Answer>;

/// An error in the form of vLLM and OpenAI.
fn error(status: u16, message: impl Into<String>, kind: &str, param: Option<&str>) -> Refusal {
    Box::new(json(status, &error_body(usize::from(status), message, kind, param)))
}

fn error_body(code: usize, message: impl Into<String>, kind: &str, param: Option<&str>) -> Json {
    Json::object([(
        "error",
        Json::object([
            ("message", Json::text(message)),
            ("type", Json::text(kind)),
            ("param", param.map_or(Json::Null, Json::text)),
            ("code", Json::count(code)),
        ]),
    )])
}

/// A value that the request's fields do not allow.
fn bad_request(message: impl Into<String>, param: Option<&str>) -> Refusal {
    error(400, message, "BadRequestError", param)
}

fn unknown_model(model: &Model, name: &str) -> Refusal {
    let message = format!("The model `{name}` does not exist. Valid aliases: {}.", model.names.join(", "));
    error(404, message, "NotFoundError", Some("model"))
}

fn json(status: u16, body: &Json) -> Answer {
    Answer::bytes(status, "application/json", body.to_string())
}

fn unauthorized(model: &Model, request: &Recorded) -> Option<Answer> {
    let key = model.api_key.as_deref()?;
    if !request.path.starts_with("/v1") {
        return None;
    }
    let sent = request.header("authorization").and_then(|value| {
        let (scheme, sent) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(sent.trim())
    });
    match sent {
        Some(sent) if sent == key => None,
        _ => Some(Answer::json(401, serde_json::json!({"error": "Unauthorized"}))),
    }
}

fn models(model: &Model) -> Answer {
    let data = model.names.iter().map(|name| entry(model, name)).collect();
    json(200, &Json::object([("object", Json::text("list")), ("data", Json::List(data))]))
}

fn one_model(model: &Model, name: &str) -> Answer {
    match model.names.iter().find(|known| *known == name) {
        Some(known) => json(200, &entry(model, known)),
        None => *unknown_model(model, name),
    }
}

fn entry(model: &Model, name: &str) -> Json {
    let Json::Object(mut members) = Json::object([
        ("id", Json::text(name)),
        ("object", Json::text("model")),
        ("created", Json::count(CREATED)),
        ("owned_by", Json::text("oa-sim")),
    ]) else {
        return Json::Null;
    };
    if let Some(length) = model.context_length {
        members.push(("max_model_len".to_owned(), Json::count(length)));
    }
    if let Some(status) = &model.status {
        members.push(("status".to_owned(), Json::text(status.as_str())));
    }
    Json::Object(members)
}
