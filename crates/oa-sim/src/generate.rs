//! The generative mode: requests are answered as a small model behind vLLM's API would.

mod chat;
mod messages;
mod model;
#[cfg(feature = "generate")]
mod pattern;
mod plan;
mod refusal;
mod render;
#[cfg(feature = "generate")]
mod schema;
mod text;

pub(crate) use model::Model;
pub use model::{ImageRefusal, Reasoning, Reply};

use crate::{answer::Answer, json::Json, recorded::Recorded, version::VERSION};
use model::CREATED;
use refusal::{Refusal, json, unknown_model};

/// The path of Anthropic Messages.
const MESSAGES: &str = "/v1/messages";

/// The paths at which tokens are counted: vLLM's, llama.cpp's, and that of Anthropic Messages.
const TOKENIZE: &str = "/tokenize";
const INPUT_TOKENS: &str = "/v1/chat/completions/input_tokens";
const COUNT_TOKENS: &str = "/v1/messages/count_tokens";

/// Answers `request` as a small model behind vLLM's API would.
pub(crate) fn answer(model: &Model, request: &Recorded) -> Answer {
    let method = if request.method == "HEAD" { "GET" } else { request.method.as_str() };
    let allowed = match request.path.as_str() {
        "/v1/chat/completions" | MESSAGES | TOKENIZE | INPUT_TOKENS | COUNT_TOKENS => "POST",
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
        MESSAGES => messages::answer(model, request).unwrap_or_else(|refusal| *refusal),
        TOKENIZE => count(model, request, tokenized).unwrap_or_else(|refusal| *refusal),
        INPUT_TOKENS => count(model, request, input_tokens).unwrap_or_else(|refusal| *refusal),
        COUNT_TOKENS => messages::count(model, request).unwrap_or_else(|refusal| *refusal),
        "/v1/models" => models(model),
        "/version" => Answer::json(200, serde_json::json!({"version": VERSION})),
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

/// Counts the tokens of a chat request's prompt, and answers in a form.
fn count(
    model: &Model,
    request: &Recorded,
    form: fn(&Model, &chat::ChatRequest) -> Json,
) -> Result<Answer, Refusal> {
    Ok(json(200, &form(model, &chat::ChatRequest::read(model, request)?)))
}

/// vLLM's form of a count. A token is a word, and its number is made up: its place.
fn tokenized(model: &Model, chat: &chat::ChatRequest) -> Json {
    let count = plan::prompt_tokens(chat);
    Json::object([
        ("count", Json::count(count)),
        ("max_model_len", model.context_length.map_or(Json::Null, Json::count)),
        ("tokens", Json::List((0..count).map(Json::count).collect())),
        ("token_strs", Json::Null),
    ])
}

/// llama.cpp's form of a count.
fn input_tokens(_: &Model, chat: &chat::ChatRequest) -> Json {
    Json::object([
        ("input_tokens", Json::count(plan::prompt_tokens(chat))),
        ("object", Json::text("response.input_tokens")),
    ])
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
    // There are clients of Anthropic Messages that send the key in a header of its own.
    let sent = sent.or_else(|| request.header("x-api-key").filter(|_| request.path.starts_with(MESSAGES)));
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
