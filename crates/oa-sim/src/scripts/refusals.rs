//! Requests that are refused before they are answered.

use super::script::Expected;
use crate::answer::Answer;
use serde_json::{Value, json};

catalogue! {
    /// vLLM and SGLang without a key: the error is a text.
    unauthorized_text: Answer::json(401, json!({"error": "Unauthorized"}))
        => Expected::refused("provider_authentication", "Unauthorized");
    /// llama.cpp with a wrong key.
    unauthorized_llama_cpp: Answer::json(401, json!({
        "error": {"message": "Invalid API Key", "type": "authentication_error", "code": 401},
    })) => Expected::refused("provider_authentication", "Invalid API Key");
    /// LiteLLM with a wrong key and no database: status 400.
    unauthorized_litellm: openai(400, "No connected db.", "no_db_connection", "400")
        => Expected::refused("provider_authentication", "No connected db.");
    /// A key that may not do this.
    forbidden: Answer::json(403, json!({"detail": "Forbidden"}))
        => Expected::refused("provider_authentication", "Forbidden");

    /// vLLM: an unknown model.
    unknown_model_vllm: Answer::json(404, json!({"error": {
        "message": "The model `x` does not exist.", "type": "NotFoundError", "param": "model", "code": 404,
    }})) => Expected::refused("provider_invalid_model", "does not exist");
    /// vLLM up to 0.9 and SGLang: flat.
    unknown_model_flat: Answer::json(404, json!({
        "object": "error", "message": "The model `x` does not exist.", "type": "NotFoundError", "code": 404,
    })) => Expected::refused("provider_invalid_model", "does not exist");
    /// OpenAI: an unknown model, by a code that is a word.
    unknown_model_openai: openai(
        404, "The model 'x' does not exist or you do not have access to it.", "invalid_request_error",
        "model_not_found",
    ) => Expected::refused("provider_invalid_model", "does not exist");
    /// Ollama: an unknown model.
    unknown_model_ollama: openai(
        404, "model \"x\" not found, try pulling it first", "not_found_error", Value::Null,
    )
        => Expected::refused("provider_invalid_model", "not found");
    /// LiteLLM: an unknown model has status 400.
    unknown_model_litellm: Answer::json(400, json!({"error": {
        "message": "/chat/completions: Invalid model name passed in model=x. Call `/v1/models` to view \
                    available models for your key.",
        "type": "invalid_request_error", "param": "model", "code": "400",
    }})) => Expected::refused("provider_invalid_model", "Invalid model name");
    /// A wrong path, which is no wrong model.
    wrong_path: Answer::json(404, json!({"detail": "Not Found"}))
        => Expected::refused("provider_invalid_request", "Not Found");
    /// A wrong method.
    wrong_method: Answer::json(405, json!({"detail": "Method Not Allowed"})).header("allow", "GET")
        => Expected::refused("provider_invalid_request", "Method Not Allowed");

    /// llama.cpp while it loads.
    loading: Answer::loading() => Expected::refused("provider_model_not_loaded", "Loading model");
    /// vLLM with a full queue.
    overloaded: openai(
        503, "The engine is currently busy and cannot accept new requests.", "Service Unavailable", 503,
    )
        => Expected::refused("provider_unavailable", "currently busy");
    /// A gateway's page.
    bad_gateway: Answer::html(502, "<html><head><title>502 Bad Gateway</title></head></html>")
        => Expected::refused("provider_unavailable", "502 Bad Gateway");
    /// Plain text from a server that fell over.
    internal_text: Answer::text(500, "Internal Server Error")
        => Expected::refused("provider_unavailable", "Internal Server Error");
    /// 500 with an empty body.
    internal_empty: Answer::text(500, "") => Expected::refused("provider_unavailable", "");
    /// LiteLLM: a timeout upstream has status 408.
    timeout_litellm: openai(
        408, "litellm.Timeout: APITimeoutError - Request timed out.", "invalid_request_error", "408",
    )
        => Expected::refused("provider_unavailable", "Request timed out");

    /// A rate limit with the time to wait.
    rate_limit: openai(
        429, "Rate limit reached", "rate_limit_error", "rate_limit_exceeded").header("retry-after", "2",
    )
        => Expected::refused("provider_rate_limit", "Rate limit reached");
    /// A quota that is spent.
    quota: openai(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota")
        => Expected::refused("provider_rate_limit", "exceeded your current quota").for_good();

    /// vLLM: a value that is not allowed.
    bad_request: openai(400, "temperature must be non-negative, got -5.0.", "BadRequestError", 400)
        => Expected::refused("provider_invalid_request", "temperature must be non-negative");
    /// FastAPI: the list of what is wrong.
    validation_list: Answer::json(422, json!({
        "detail": [{"type": "missing", "loc": ["body", "messages"], "msg": "Field required", "input": {}}],
    })) => Expected::refused("provider_invalid_request", "Field required");
    /// llama.cpp: the client's malformed JSON has status 500.
    malformed_llama_cpp: Answer::json(500, json!({
        "error": {
            "code": 500,
            "message": "[json.exception.parse_error.101] parse error at line 1, column 29: syntax error \
                        while parsing value",
            "type": "server_error",
        },
    })) => Expected::refused("provider_invalid_request", "parse error");
    /// vLLM: a model without vision.
    image_vllm: openai(400, "tiny is not a multimodal model", "BadRequestError", 400)
        => Expected::refused("provider_unsupported_content_block", "not a multimodal model");
    /// llama.cpp: a model without vision has status 500.
    image_llama_cpp: Answer::json(500, json!({
        "error": {
            "code": 500,
            "message": "image input is not supported - hint: if this is unexpected, you may need to provide \
                        the mmproj",
            "type": "server_error",
        },
    })) => Expected::refused("provider_unsupported_content_block", "image input is not supported");
}

/// An error in OpenAI's form.
fn openai(status: u16, message: &str, kind: &str, code: impl Into<Value>) -> Answer {
    let code: Value = code.into();
    Answer::json(status, json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}
