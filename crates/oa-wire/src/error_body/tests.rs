//! Error responses as servers send them, and what each means.

use super::*;
use crate::{Category, ErrorKind};
use Category::{
    Authentication as Auth, InvalidModel as Model, InvalidRequest as Request, InvalidResponse as Response,
    ModelNotLoaded as Loading, RateLimit as Rate, Unavailable as Down, UnsupportedContentBlock as Block,
};
use ErrorContext::{Http, Stream, SuccessBody};
use http::{HeaderName, HeaderValue};

mod echoes;
mod gateways;
mod servers;

const URL: &str = "http://localhost:8000/v1/chat/completions";

fn read(context: ErrorContext, status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    let status = StatusCode::from_u16(status).unwrap();
    classify(&ErrorResponse::new(context, status, &headers, body.as_bytes(), URL))
}

fn of(status: u16, body: &str) -> Error {
    read(Http, status, &[], body)
}

#[test]
fn the_status_decides_where_the_body_says_no_better() {
    for (status, category) in [
        (401, Auth),
        (403, Auth),
        (402, Rate),
        (429, Rate),
        (400, Request),
        (404, Request),
        (405, Request),
        (407, Request),
        (413, Request),
        (415, Request),
        (422, Request),
        (451, Request),
        (408, Down),
        (409, Down),
        (425, Down),
        (500, Down),
        (501, Down),
        (502, Down),
        (503, Down),
        (504, Down),
        (529, Down),
        (301, Request),
        (307, Request),
        (100, Response),
        (200, Response),
        (204, Response),
        (600, Response),
        (999, Response),
    ] {
        let error = of(status, "");
        assert_eq!(error.category(), category, "{status}");
        assert_eq!(error.status(), Some(status));
        assert!(!error.message().is_empty(), "{status}");
        assert_eq!(
            of(status, r#"{"error":{"message":"boom"}}"#).category(),
            category,
            "{status} with a body"
        );
    }
}

#[test]
fn the_words_are_read_from_every_form() {
    let openai = r#"{"error":{"message":"m","type":"t","param":"p","code":"c"}}"#;
    for (body, message, code, kind, param) in [
        (openai, "m", Some("c"), Some("t"), Some("p")),
        (r#"{"error":{"message":"m","type":null,"param":null,"code":400}}"#, "m", Some("400"), None, None),
        (
            r#"{"object":"error","message":"m","type":"t","param":null,"code":400}"#,
            "m",
            Some("400"),
            Some("t"),
            None,
        ),
        (r#"{"error":{"object":"error","message":"m","code":"7"}}"#, "m", Some("7"), None, None),
        (r#"{"error":{"error":{"message":"m","code":1}}}"#, "m", Some("1"), None, None),
        (r#"{"type":"error","error":{"type":"t","message":"m"}}"#, "m", None, Some("t"), None),
        (r#"[{"error":{"code":400,"message":"m","status":"T"}}]"#, "m", Some("400"), Some("T"), None),
        (r#"{"code":503,"message":"m","type":"t"}"#, "m", Some("503"), Some("t"), None),
        (r#"{"code":"c","error":"m"}"#, "m", Some("c"), None, None),
        (r#"{"error":"m","error_type":"t"}"#, "m", None, Some("t"), None),
        (r#"{"error":"Bad","message":"why","status":400}"#, "Bad: why", None, None, None),
        (r#"{"error":true,"message":"m"}"#, "m", None, None, None),
        (r#"{"error":{"message":""},"message":"m"}"#, "m", None, None, None),
        (r#"{"error":["m"]}"#, "m", None, None, None),
        (r#"{"error":"m"}"#, "m", None, None, None),
        (r#"{"message":"m"}"#, "m", None, None, None),
        (r#"{"detail":"m"}"#, "m", None, None, None),
        (r#"{"detail":{"error":{"message":"m","code":"c"}}}"#, "m", Some("c"), None, None),
        (r#"{"type":"https://x","title":"T","detail":"m","status":400}"#, "m", None, Some("https://x"), None),
        (
            r#"{"detail":[{"loc":["body","messages",0],"msg":"required","input":"secret"},{"msg":"b"}]}"#,
            "body.messages.0: required; b",
            None,
            None,
            None,
        ),
        (r#"{"success":false,"errors":[{"code":7003,"message":"m"}]}"#, "m", Some("7003"), None, None),
        ("\u{feff} {\"error\":\"m\"}\n", "m", None, None, None),
        (
            "data: {\"error\":{\"message\":\"m\",\"code\":400}}\n\ndata: [DONE]\n\n",
            "m",
            Some("400"),
            None,
            None,
        ),
        ("event: error\ndata: {\"message\":\"m\"}\n\n", "m", None, None, None),
        ("error: {\"code\":400,\"message\":\"m\"}", "m", Some("400"), None, None),
        (r#""m""#, "m", None, None, None),
        ("m\n", "m", None, None, None),
        (r#"{"unknown":1}"#, r#"{"unknown":1}"#, None, None, None),
        (r#"{"error":{"message":"cut off"#, r#"{"error":{"message":"cut off"#, None, None, None),
        (
            r#"{"error":{"message":"","type":"Internal Server Error"}}"#,
            "Internal Server Error",
            None,
            None,
            None,
        ),
        ("", "Bad Request", None, None, None),
        ("{}", "Bad Request", None, None, None),
        ("null", "Bad Request", None, None, None),
    ] {
        let error = of(400, body);
        let server = error.server();
        assert_eq!(error.message(), message, "{body}");
        assert_eq!(server.code.as_deref(), code, "{body}");
        if message != "Internal Server Error" {
            assert_eq!(server.r#type.as_deref(), kind, "{body}");
        }
        assert_eq!(server.param.as_deref(), param, "{body}");
        assert_eq!(error.category(), Request, "{body}");
    }
}

#[test]
fn a_status_that_lies_is_corrected() {
    for (status, body, category) in [
        // llama.cpp's own failures that are none.
        (
            500,
            r#"{"error":{"code":500,"message":"[json.exception.parse_error.101] parse error at line 1"}}"#,
            Request,
        ),
        (500, r#"{"error":{"code":500,"message":"Failed to parse tools: Missing tool type"}}"#, Request),
        (
            500,
            r#"{"error":{"code":500,"message":"Failed to parse tool call arguments as JSON: x"}}"#,
            Request,
        ),
        (500, r#"{"error":{"message":"litellm.APIConnectionError: 'int' object is not iterable"}}"#, Request),
        (500, r#"{"error":{"code":500,"message":"image input is not supported - hint: mmproj"}}"#, Block),
        (500, r#"{"error":{"code":500,"message":"audio input is not supported"}}"#, Block),
        // LiteLLM's.
        (400, r#"{"error":{"message":"No connected db.","type":"no_db_connection","code":"400"}}"#, Auth),
        (400, r#"{"error":{"message":"model=x. There are no healthy deployments for this model"}}"#, Model),
        (400, r#"{"error":{"message":"Invalid model name passed in model=x. Call `/v1/models`"}}"#, Model),
        (
            408,
            r#"{"error":{"message":"litellm.Timeout: APITimeoutError - Request timed out.","code":"408"}}"#,
            Down,
        ),
        // Others'.
        (400, r#"{"error":{"message":"x is not a valid model ID","code":400}}"#, Model),
        (
            400,
            r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}"#,
            Model,
        ),
        (400, r#"{"error":{"message":"API key not valid. Please pass a valid API key."}}"#, Auth),
        (400, r#"{"error":{"message":"Your credit balance is too low to access the API."}}"#, Rate),
        (500, r#"{"error":{"message":"litellm.InternalServerError: model group 'tiny' not found"}}"#, Down),
        (500, r#"{"error":{"message":"Error loading model /models/x.gguf"}}"#, Down),
        (401, r#"{"error":{"message":"image input is not supported"}}"#, Auth),
        (429, r#"{"error":{"message":"Model is overloaded, loading"}}"#, Rate),
    ] {
        let error = of(status, body);
        assert_eq!(error.category(), category, "{body}");
        assert!(!error.is_timeout(), "{body}");
    }
}

#[test]
fn a_404_is_a_wrong_model_only_if_it_says_so() {
    for (body, category) in [
        (r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","code":404}}"#, Model),
        (
            r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFound","code":404}"#,
            Model,
        ),
        (r#"{"error":{"message":"no such thing","code":"model_not_found"}}"#, Model),
        (r#"{"error":{"message":"no such thing","param":"model"}}"#, Model),
        (r#"{"error":{"message":"model 'x' not found, try pulling it first","type":"api_error"}}"#, Model),
        (r#"{"error":"model \"x\" not found"}"#, Model),
        (r#"{"detail":"The model `x` does not exist or is not accessible"}"#, Model),
        (r#"{"error":{"message":"No endpoints found for a/b.","code":404}}"#, Model),
        (r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-x"}}"#, Model),
        (r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}"#, Model),
        (
            r#"{"error":{"message":"XException - {\"error\":{\"message\":\"Model x does not exist\"}}"}}"#,
            Model,
        ),
        (r#"{"error":{"message":"No endpoints found that support image input","code":404}}"#, Block),
        (r#"{"error":"Model x is not loaded"}"#, Loading),
        (r#"{"detail":"Not Found"}"#, Request),
        (r#"{"error":{"message":"File Not Found","type":"not_found_error","code":404}}"#, Request),
        (r#"{"error":"Unexpected endpoint or method. (POST /v1/chat)"}"#, Request),
        ("404 page not found", Request),
        ("the remodelling was not found", Request),
        ("this model is not foundational", Request),
        ("", Request),
    ] {
        let error = of(404, body);
        assert_eq!(error.category(), category, "{body}");
        assert_eq!(error.message().contains(URL), category == Request, "{error}");
        assert_eq!(error.url(), Some(URL));
    }
}

#[test]
fn a_wrong_url_is_named_with_its_likely_cause() {
    let headers = HeaderMap::new();
    let body = br#"{"detail":"Not Found"}"#;
    let url = "https://u:p@h/gw/v1/models?key=secret";
    let error = classify(&ErrorResponse::new(Http, StatusCode::NOT_FOUND, &headers, body, url));
    assert_eq!(
        error.message(),
        "Not Found; called https://h/gw/v1/models, likely cause: the server has no list of models (then only \
         the chat probe can tell whether it is ready), or the prefix `/gw` of the base URL is wrong for it"
    );
    let nowhere = classify(&ErrorResponse::new(Http, StatusCode::NOT_FOUND, &headers, body, ""));
    assert_eq!((nowhere.message(), nowhere.url()), ("Not Found", None));
    let wrapped = of(
        404,
        r#"{"error":{"message":"litellm.NotFoundError: OpenAIException - {\"detail\":\"Not Found\"}"}}"#,
    );
    assert!(wrapped.message().contains("the upstream behind it"), "{wrapped}");
    let redirect = read(Http, 307, &[("location", "https://h/v1/chat/completions?token=x")], "");
    assert_eq!(
        redirect.message(),
        "Temporary Redirect; http://localhost:8000/v1/chat/completions redirects to \
         https://h/v1/chat/completions, which is not followed: check the base URL"
    );
}

#[test]
fn a_medium_that_the_model_cannot_take() {
    for (message, category) in [
        ("tiny is not a multimodal model", Block),
        ("video input is not supported", Block),
        ("This model does not support image inputs.", Block),
        ("Model does not support images. Please use a model that does.", Block),
        ("this model doesn't support vision", Block),
        ("The requested model does not support the image_url content type", Block),
        ("Invalid content type. image_url is only supported by certain models.", Block),
        ("unsupported content type 'image_url'", Block),
        ("At most 0 image(s) may be provided in one prompt.", Block),
        ("Input modality audio is not supported by this model", Block),
        ("messages[0]: unknown variant `image_url`, expected `text`", Block),
        ("Image input is not enabled for this model", Block),
        ("At most 1 image(s) may be provided in one prompt.", Request),
        ("Unknown part type: hologram", Request),
        ("This model does not support a temperature above two in a vision request", Request),
        ("unsupported content[].type", Request),
        ("Unsupported Media Type: Only 'application/json' is allowed", Request),
        ("Failed to load image: connection refused", Request),
        ("This server does not support embeddings. See the vision page", Request),
    ] {
        let body = serde_json::json!({"error": {"message": message}}).to_string();
        assert_eq!(of(400, &body).category(), category, "{message}");
    }
    let body = r#"{"error":{"message":"no","code":"image_content_not_supported"}}"#;
    assert_eq!(of(400, body).category(), Block);
}

#[test]
fn a_model_that_is_loading_or_not_loaded() {
    for (status, message, category) in [
        (503, "Loading model", Loading),
        (503, "Model 'm' is configured but not loaded into memory", Loading),
        (503, "Model x/y is currently loading", Loading),
        (503, "The model is warming up", Loading),
        (503, "Loading the weights, please wait", Loading),
        (503, "overloading the server", Down),
        (503, "The request queue is full.", Down),
        (400, "Model is unloaded.", Loading),
        (400, "No models loaded. Please load a model", Loading),
        (500, "the model is still loading", Loading),
        (500, "dyld: Library not loaded", Down),
    ] {
        let body = serde_json::json!({"error": {"message": message}}).to_string();
        assert_eq!(of(status, &body).category(), category, "{status} {message}");
    }
    assert_eq!(of(500, r#"{"error":{"message":"no","type":"model_not_loaded"}}"#).category(), Loading);
}

#[test]
fn a_spent_quota_is_told_from_a_rate_limit() {
    let wrapped = r#"{"error":{
        "message":"XException - {\"error\":{\"message\":\"no\",\"code\":\"insufficient_quota\"}}",
        "type":"throttling_error","code":"429"}}"#;
    for (status, body, category, spent) in [
        (429, r#"{"error":{"message":"slow","code":"rate_limit_exceeded"}}"#, Rate, false),
        (
            429,
            r#"{"error":{"message":"Add a payment method at /account/billing to raise your limit"}}"#,
            Rate,
            false,
        ),
        (429, r#"{"error":{"message":"no","type":"insufficient_quota"}}"#, Rate, true),
        (429, r#"{"error":{"message":"no","code":"billing_hard_limit_reached"}}"#, Rate, true),
        (400, r#"{"error":{"message":"no","code":"billing_hard_limit_reached"}}"#, Rate, true),
        (403, r#"{"error":{"message":"no","code":"insufficient_user_quota"}}"#, Rate, true),
        (403, r#"{"error":"Your team doesn't have any credits yet."}"#, Rate, true),
        (402, r#"{"error":{"message":"Insufficient Balance"}}"#, Rate, true),
        (
            400,
            r#"{"error":{"message":"Budget has been exceeded! Current cost: 1","type":"budget_exceeded"}}"#,
            Rate,
            true,
        ),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan"}}"#,
            Rate,
            true,
        ),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota. Please retry in 34.07s."}}"#,
            Rate,
            false,
        ),
        (429, wrapped, Rate, true),
        (401, r#"{"error":{"message":"no","code":"insufficient_quota"}}"#, Auth, false),
        (500, r#"{"error":{"message":"budget exceeded"}}"#, Down, false),
    ] {
        let error = of(status, body);
        assert_eq!((error.category(), error.is_quota_spent()), (category, spent), "{body}");
        assert_eq!(error.is_transient(), category.is_transient() && !spent, "{body}");
    }
}

#[test]
fn an_error_inside_a_success_is_what_it_names() {
    for (body, in_body, in_stream) in [
        (r#"{"error":{"message":"m","code":429}}"#, Rate, Rate),
        (r#"{"error":{"message":"m","code":"503"}}"#, Down, Down),
        (r#"{"error":{"message":"m","type":"503"}}"#, Down, Down),
        (r#"{"error":{"message":"m","status":401}}"#, Auth, Auth),
        (r#"{"error":{"message":"m","code":400,"type":"BadRequestError"}}"#, Request, Request),
        (r#"{"error":{"message":"The model `x` does not exist","code":404}}"#, Model, Model),
        (r#"{"error":{"message":"gone","code":404}}"#, Request, Request),
        (r#"{"error":{"message":"Loading model","code":503,"type":"unavailable_error"}}"#, Loading, Loading),
        (r#"{"error":{"message":"image input is not supported","code":500}}"#, Block, Block),
        (r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#, Rate, Rate),
        (r#"{"error":{"message":"m","type":"RateLimitError"}}"#, Rate, Rate),
        (r#"{"error":{"message":"m","code":"invalid_api_key"}}"#, Auth, Auth),
        (r#"{"error":{"message":"m","code":"model_not_found"}}"#, Model, Model),
        (r#"{"error":{"message":"m","code":"model_not_loaded"}}"#, Loading, Loading),
        (r#"{"error":{"message":"m","type":"overloaded_error"}}"#, Down, Down),
        (r#"{"error":{"message":"m","type":"server_error"}}"#, Down, Down),
        (r#"{"error":{"message":"m","type":"Internal Server Error"}}"#, Down, Down),
        (r#"{"error":{"message":"m","type":"timeout"}}"#, Down, Down),
        (r#"{"error":{"message":"m","type":"invalid_request_error"}}"#, Request, Request),
        (r#"{"error":{"message":"m","code":"insufficient_quota"}}"#, Rate, Rate),
        (
            r#"{"error":{"message":"Router failed: {\"error\":{\"message\":\"m\",\"code\":429}}"}}"#,
            Rate,
            Rate,
        ),
        (r#"{"error":{"message":"m"}}"#, Response, Down),
        (r#"{"error":{"message":"m","code":200,"type":"odd"}}"#, Response, Down),
        (r#"{"error":"Model is unloaded."}"#, Response, Loading),
        (r#"{"error":"You exceeded your current quota"}"#, Response, Rate),
        (r#"{"error":"tiny is not a multimodal model"}"#, Response, Block),
        (r#"{"error":"model 'x' not found"}"#, Response, Model),
        (r#"{"error":"maximum context length is 512"}"#, Response, Request),
        ("something broke", Response, Down),
        ("", Response, Down),
    ] {
        for (context, category) in [(SuccessBody, in_body), (Stream, in_stream)] {
            let error = read(context, 200, &[], body);
            assert_eq!(error.category(), category, "{context:?} {body}");
            assert_eq!(error.status(), Some(200), "{body}");
            assert!(!error.message().contains(URL), "{error}");
        }
    }
    assert_eq!(of(200, r#"{"error":{"message":"m","code":429}}"#).category(), Rate);
}

#[test]
fn a_wrapped_error_is_not_hidden() {
    let raw = r#"{"error":{"message":"Provider returned error","code":429,
        "metadata":{"raw":"{\"error\":{\"message\":\"slow down\",\"code\":\"rl\"}}","provider_name":"P"}}}"#;
    let escaped = r#"{"error":{
        "message":"XException - {\"error\":{\"message\":\"say \\\"é\\\"\",\"code\":1}}"}}"#;
    let azure =
        r#"{"error":{"code":"content_filter","message":"m","innererror":{"code":"c","message":"why"}}}"#;
    for (body, message, upstream, code) in [
        (raw, "Provider returned error (upstream: slow down)", Some("slow down"), Some("rl")),
        (
            r#"{"error":{"message":"Provider returned error","metadata":{"raw":"plain words"}}}"#,
            "Provider returned error (upstream: plain words)",
            Some("plain words"),
            None,
        ),
        (
            r#"{"error":{"message":"litellm.X: AException - slow down\n\nLiteLLM: model group 'a' failed"}}"#,
            "litellm.X: AException - slow down\n\nLiteLLM: model group 'a' failed",
            Some("slow down"),
            None,
        ),
        (escaped, r#"XException - say "é""#, Some(r#"say "é""#), Some("1")),
        (azure, "m (upstream: why)", Some("why"), Some("c")),
        (r#"{"error":{"message":"m","metadata":{"raw":""}}}"#, "m", None, None),
    ] {
        let error = of(429, body);
        assert_eq!(error.message(), message, "{body}");
        assert_eq!(error.server().upstream_message.as_deref(), upstream, "{body}");
        assert_eq!(error.server().upstream_code.as_deref(), code, "{body}");
    }
}

#[test]
fn a_cooldown_says_its_wait_and_what_it_hides() {
    let body = r#"{"error":{"message":"No deployments available for selected model, Try again in 5 seconds.",
        "type":"all_deployments_in_cooldown","param":null,"code":"429"}}"#;
    let error = of(429, body);
    assert_eq!(error.category(), Rate);
    assert_eq!(error.retry_after().map(|wait| wait.delay.as_secs_f64()), Some(5.0));
    assert!(error.hint().is_some_and(|hint| hint.contains("earlier error")), "{error:#}");
    assert_eq!(of(429, r#"{"error":{"message":"slow down"}}"#).hint(), None);
}

#[test]
fn finer_kinds_leave_the_category_alone() {
    let overflow = Some(ErrorKind::ContextOverflow);
    let filter = Some(ErrorKind::ContentFilter);
    for (status, body, category, kind) in [
        (400, r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#, Request, overflow),
        (400, r#"{"error":{"message":"m","type":"exceed_context_size_error"}}"#, Request, overflow),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 512 tokens."}}"#,
            Request,
            overflow,
        ),
        (
            400,
            r#"{"object":"error","message":"The input is longer than the model's context length (512)."}"#,
            Request,
            overflow,
        ),
        (400, r#"{"error":{"message":"litellm.ContextWindowExceededError: too long"}}"#, Request, overflow),
        (400, r#"{"error":{"message":"prompt is too long: 9 > 8"}}"#, Request, overflow),
        (413, r#"{"error":{"message":"prompt too long"}}"#, Request, overflow),
        (400, r#"{"error":{"message":"m","code":"content_filter"}}"#, Request, filter),
        (400, r#"{"error":{"message":"litellm.ContentPolicyViolationError: no"}}"#, Request, filter),
        (
            400,
            r#"{"error":{"message":"The response was filtered due to the prompt triggering a policy"}}"#,
            Request,
            filter,
        ),
        (403, r#"{"error":{"message":"m","code":"content_filter"}}"#, Auth, filter),
        (429, r#"{"error":{"message":"maximum context length"}}"#, Rate, None),
        (400, r#"{"error":{"message":"max_tokens must be at least 1"}}"#, Request, None),
    ] {
        let error = of(status, body);
        assert_eq!((error.category(), error.kind()), (category, kind), "{body}");
    }
}

#[test]
fn headers_are_read() {
    let body = r#"{"error":{"message":"m"}}"#;
    let headers =
        [("x-should-retry", "False"), ("cf-ray", "c"), ("request-id", ""), ("x-litellm-call-id", "l")];
    let error = read(Http, 500, &headers, body);
    assert_eq!((error.should_retry(), error.request_id()), (Some(false), Some("l")));
    let error =
        read(Http, 500, &[("x-should-retry", "true"), ("x-request-id", "r"), ("request-id", "q")], body);
    assert_eq!((error.should_retry(), error.request_id()), (Some(true), Some("r")));
    assert_eq!(read(Http, 500, &[("x-should-retry", "maybe")], body).should_retry(), None);
    let reset = [("x-ratelimit-reset-requests", "3s")];
    assert_eq!(read(Http, 429, &reset, body).retry_after().map(|wait| wait.delay.as_secs()), Some(3));
    assert_eq!(read(Http, 503, &reset, body).retry_after(), None);
    let stream = r#"{"error":{"message":"m","code":429}}"#;
    assert_eq!(read(Stream, 200, &reset, stream).retry_after(), None);
}

#[test]
fn nothing_secret_is_shown() {
    let body = r#"{"error":{
        "message":"Incorrect API key provided: canary-key. 'messages': [{'content': 'canary-prompt'}]",
        "code":"canary-key","metadata":{"raw":"key canary-key"}}}"#;
    let headers = HeaderMap::new();
    let mut response = ErrorResponse::new(Http, StatusCode::UNAUTHORIZED, &headers, body.as_bytes(), URL);
    response.key = Some("canary-key");
    let error = classify(&response);
    for shown in [format!("{error:#}"), format!("{error:?}"), format!("{response:?}")] {
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert!(!String::from_utf8_lossy(error.body().unwrap()).contains("canary-key"));
    let unknown = of(401, r#"{"error":{"message":"Incorrect API key provided: sk-test-key"}}"#);
    assert_eq!(unknown.message(), "Incorrect API key provided: sk-***");
}

#[test]
fn a_long_message_is_cut_and_keeps_what_it_wraps() {
    let long = format!("{} OpenAIException - the cause", "é".repeat(5000));
    let error = of(500, &serde_json::json!({ "error": { "message": long } }).to_string());
    assert!(error.message().chars().count() < message::MESSAGE_LIMIT + 50);
    assert!(error.message().ends_with("… (upstream: the cause)"), "{error}");
}

#[test]
fn an_envelope_is_told_from_an_answer() {
    for (json, is_error) in [
        (r#"{"error":{"message":"m"}}"#, true),
        (r#"{"error":"m","choices":[]}"#, true),
        (r#"{"object":"error","message":"m"}"#, true),
        (r#"{"error" : 5}"#, true),
        (r#"{"error":null,"choices":[]}"#, false),
        (r#"{"error":{}}"#, false),
        (r#"{"error":""}"#, false),
        (r#"{"error":false}"#, false),
        (r#"{"object":"chat.completion","x":"error"}"#, false),
        (r#"{"choices":[{"message":{"content":"\"error\""}}]}"#, false),
        (r#"{"choices":[{"error":"m"}]}"#, false),
        (r#"["error"]"#, false),
        (r#"{"error":"#, false),
        ("", false),
    ] {
        assert_eq!(is_error_envelope(json.as_bytes()), is_error, "{json}");
    }
}
