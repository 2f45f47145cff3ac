//! Answers that say why there is no completion, in the forms of vLLM and llama.cpp.

use super::model::Model;
use crate::{answer::Answer, json::Json};

/// An answer that says why there is no completion.
pub(super) type Refusal = Box<Answer>;

/// An error in the form of vLLM and OpenAI.
pub(super) fn error(status: u16, message: impl Into<String>, kind: &str, param: Option<&str>) -> Refusal {
    Box::new(json(status, &error_body(usize::from(status), message, kind, param)))
}

pub(super) fn error_body(code: usize, message: impl Into<String>, kind: &str, param: Option<&str>) -> Json {
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
pub(super) fn bad_request(message: impl Into<String>, param: Option<&str>) -> Refusal {
    error(400, message, "BadRequestError", param)
}

pub(super) fn unknown_model(model: &Model, name: &str) -> Refusal {
    let message = format!("The model `{name}` does not exist. Valid aliases: {}.", model.names.join(", "));
    error(404, message, "NotFoundError", Some("model"))
}

pub(super) fn json(status: u16, body: &Json) -> Answer {
    Answer::bytes(status, "application/json", body.to_string())
}
