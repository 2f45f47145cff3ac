//! Errors inside of a 200.

use super::{
    parts::{DONE, TEXT, USAGE, chunk, event, hello_as, hello_broken},
    script::Expected,
};
use crate::{answer::Answer, piece::Piece};
use serde_json::{Value, json};

catalogue! {
    /// vLLM with a full queue: 200, and the error is the first event.
    overload_first: Answer::stream([busy(), DONE.to_owned()])
        => Expected::refused("provider_unavailable", "cannot accept new requests");
    /// A rate limit as the first event.
    rate_limit_first: Answer::stream([
        fault("Rate limit reached, slow down", "rate_limit_error", 429),
    ]) => Expected::refused("provider_rate_limit", "slow down");
    /// A spent quota as the first event: a rate limit that will not pass.
    quota_first: Answer::stream([
        fault("You exceeded your current quota", "insufficient_quota", "insufficient_quota"),
    ]) => Expected::refused("provider_rate_limit", "exceeded your current quota").for_good();
    /// llama.cpp's prompt that is too long, as the first event.
    context_first: Answer::stream([
        event(json!({"error": {
            "code": 400, "message": "request (900 tokens) exceeds the available context size (512 tokens)",
            "type": "exceed_context_size_error", "n_prompt_tokens": 900, "n_ctx": 512,
        }})),
    ]) => Expected::refused("provider_invalid_request", "exceeds the available context size");
    /// A model that is still loading, as the first event.
    loading_first: Answer::stream([
        event(r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#),
    ]) => Expected::refused("provider_model_not_loaded", "Loading model");
    /// An unknown model, as the first event.
    model_first: Answer::stream([
        fault("The model `x` does not exist.", "NotFoundError", 404),
        DONE.to_owned(),
    ]) => Expected::refused("provider_invalid_model", "does not exist");
    /// A wrong key, which only the type names.
    key_first: Answer::stream([
        event(r#"{"error":{"message":"Invalid API Key","type":"authentication_error"}}"#),
    ]) => Expected::refused("provider_authentication", "Invalid API Key");

    /// vLLM's engine died: an error in the middle, and `[DONE]`.
    error_inside: hello_broken(texts([dead(), DONE.to_owned()]))
        => Expected::broken("provider_unavailable", "EngineCore encountered an issue");
    /// llama.cpp: an error in the middle, and the end without `[DONE]`.
    error_inside_no_done: hello_broken(texts([
        event(r#"{"error":{"code":500,"message":"context shift is disabled","type":"server_error"}}"#),
    ])) => Expected::broken("provider_unavailable", "context shift is disabled");
    /// An error in the middle, after which the connection is closed without the last HTTP chunk.
    error_then_cut: hello_broken(texts([dead()]).chain([Piece::Cut]))
        => Expected::broken("provider_unavailable", "EngineCore encountered an issue");
    /// SGLang: nested, with the `object` inside.
    error_inside_sglang: hello_broken(texts([
        event(json!({"error": {
            "object": "error", "message": "Requested token count exceeds the limit",
            "type": "BadRequestError", "param": null, "code": 400,
        }})),
        DONE.to_owned(),
    ])) => Expected::broken("provider_invalid_request", "Requested token count exceeds");
    /// Older vLLM: flat, with `object: error`.
    error_inside_flat: hello_broken(texts([
        event(json!({
            "object": "error", "message": "temperature must be non-negative",
            "type": "BadRequestError", "param": null, "code": 400,
        })),
        DONE.to_owned(),
    ])) => Expected::broken("provider_invalid_request", "temperature must be non-negative");
    /// LiteLLM: the code is a text of digits.
    error_inside_litellm: hello_broken(texts([
        fault(
            "litellm.APIConnectionError: APIConnectionError: Response payload is not completed",
            "internal_server_error", "500",
        ),
        DONE.to_owned(),
    ])) => Expected::broken("provider_unavailable", "Response payload is not completed");
    /// `event: error` with an OpenAI error as data.
    error_event: hello_broken(texts([format!("event: error\n{}", dead())]))
        => Expected::broken("provider_unavailable", "EngineCore encountered an issue");
    /// `event: error` whose data is the error without a wrapper.
    error_event_bare: hello_broken(texts([
        format!(
            "event: error\n{}",
            event(r#"{"message":"Too many requests","type":"rate_limit_error","code":429}"#),
        ),
    ])) => Expected::broken("provider_rate_limit", "Too many requests");
    /// llama.cpp before 2025: a line `error: {...}` instead of `data:`.
    error_field: hello_broken(texts([
        "error: {\"code\":500,\"message\":\"slot unavailable\",\"type\":\"server_error\"}\n\n".to_owned(),
    ])) => Expected::broken("provider_unavailable", "slot unavailable");
    /// The error is a text, as in Ollama and LM Studio; nothing names a category. The server gave up in the
    /// middle of an answer: the same call may succeed.
    error_text: hello_broken(texts([
        event(r#"{"error":"The model has crashed without additional information"}"#),
    ])) => Expected::broken("provider_unavailable", "The model has crashed");
    /// An error beside an empty list of choices.
    error_with_choices: hello_broken(texts([
        event(chunk(r#""choices":[],"error":{"message":"upstream timed out","type":"timeout","code":504}"#)),
    ])) => Expected::broken("provider_unavailable", "upstream timed out");
    /// `"error": null` in every chunk: no error.
    error_null: hello_as(|text| text.replace(r#""choices""#, r#""error":null,"choices""#))
        => Expected::hello();
    /// A payload that is no JSON.
    broken_json: hello_broken(texts([event(r#"{"choices":[{"index":0,"delta":"#), DONE.to_owned()]))
        => Expected::broken("provider_invalid_response", "");

    /// A JSON body with an error instead of a stream, status 200.
    json_error: Answer::json(200, json!({
        "error": {"message": "Rate limit exceeded", "type": "rate_limit_error", "param": null, "code": 429},
    })) => Expected::refused("provider_rate_limit", "Rate limit exceeded");
    /// A whole completion as a JSON body, although a stream was asked for.
    json_completion: Answer::bytes(200, "application/json", whole()) => Expected::hello();
    /// A whole completion as a JSON body that calls itself an event stream.
    json_completion_mislabelled: Answer::stream([whole()]) => Expected::hello();
    /// An HTML page with status 200.
    html_page: Answer::html(200, "<!doctype html><html><title>Log in</title></html>")
        => Expected::refused("provider_invalid_response", "Log in");
}

fn busy() -> String {
    let message = "The engine is currently busy and cannot accept new requests. Please try again later or \
                   on a different instance.";
    fault(message, "Service Unavailable", 503)
}

fn dead() -> String {
    let message = "EngineCore encountered an issue. See stack trace (above) for the root cause.";
    fault(message, "InternalServerError", 500)
}

/// An event with an error in OpenAI's form.
fn fault(message: &str, kind: &str, code: impl Into<Value>) -> String {
    let code: Value = code.into();
    event(json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}

fn texts<const N: usize>(texts: [String; N]) -> impl Iterator<Item = Piece> {
    texts.into_iter().map(Piece::from)
}

fn whole() -> String {
    let message = json!({"role": "assistant", "content": TEXT});
    let choices = format!(r#"[{{"index":0,"message":{message},"finish_reason":"stop"}}]"#);
    format!(r#"{{"id":"chatcmpl-1","object":"chat.completion","choices":{choices},"usage":{USAGE}}}"#)
}
