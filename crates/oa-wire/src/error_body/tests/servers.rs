//! Forms and words of servers that real exchanges showed.

use super::*;

#[test]
fn unknown_models_in_every_servers_words() {
    for (status, body) in [
        // FastChat 0.2.36, whose codes are fixed.
        (
            400,
            r#"{"object":"error","message":"Only tiny allowed now, your model no-such-model","code":40301}"#,
        ),
        // transformers serve 5.19
        (400, r#"{"detail":"Server is pinned to 'X'; requested 'no-such-model'."}"#),
        // Xinference, Triton's frontend, vLLM's production stack
        (400, r#"{"detail":"[address=0.0.0.0:1, pid=2] Model not found in the model list, uid: x"}"#),
        (400, r#"{"detail":"Unknown model: x"}"#),
        (400, r#"{"error":"Model x not found or vLLM engine is sleeping."}"#),
        // smg 1.13, sglang-router 0.3.2, llama-stack 0.7.3
        (404, r#"{"error":{"code":"model_not_found","message":"No worker available for model 'x'"}}"#),
        (
            404,
            r#"{"error":{"message":"The model `x` does not exist. Valid aliases: tiny.","param":"model"}}"#,
        ),
        (404, r#"{"error":{"message":"Model 'x' not found. Use 'client.models.list()' to list them."}}"#),
        // Bedrock, Gemini, Vertex
        (400, r#"{"message":"The provided model identifier is invalid."}"#),
        (404, r#"[{"error":{"code":404,"message":"models/x is not found for API version v1beta"}}]"#),
        (404, r#"{"error":{"code":404,"message":"Publisher Model `projects/p/x` was not found"}}"#),
        // mlx_lm.server
        (404, r#"{"error":"404 Client Error. Repository Not Found for url: https://huggingface.co/api/x."}"#),
    ] {
        assert_eq!(of(status, body).category(), Model, "{body}");
    }
}

#[test]
fn a_validator_names_the_clients_mistake_under_any_status() {
    let python = |place: &str| {
        let message =
            format!("1 validation error:\n  {{'type': 'a', 'loc': ({place}), 'msg': 'Bad', 'input': 'x'}}");
        serde_json::json!({"error": {"message": message, "type": "internal_server_error", "code": null}})
            .to_string()
    };
    for (status, body, category) in [
        (500, python("'body', 'response_format', 'type'"), Request),
        (503, python("'body', 'n'"), Request),
        (400, python("'body', 'n'"), Request),
        (500, python("'response', 'id'"), Down),
        (500, r#"{"detail":[{"loc":["body","n"],"msg":"Bad"}]}"#.to_owned(), Request),
        (500, r#"{"detail":[{"loc":["query","n"],"msg":"Bad"}]}"#.to_owned(), Down),
        (500, r#"{"error":{"message":"Tool choice 'nope' not found in tools."}}"#.to_owned(), Request),
        (401, python("'body', 'n'"), Auth),
    ] {
        assert_eq!(of(status, &body).category(), category, "{status} {body}");
    }
    let error = of(500, &python("'body', 'response_format', 'type'"));
    assert_eq!(error.message(), "1 validation error: body.response_format.type: Bad");
    let stack = concat!(
        r#"{"error":{"message":"{'errors': [{'loc': ['body', 'temperature'], 'msg': 'Too hot', 'type': 'x'}"#,
        r#"]}"}}"#,
    );
    let error = of(400, stack);
    assert_eq!(
        (error.message(), error.server().upstream_message.as_deref()),
        ("body.temperature: Too hot", None)
    );
    let router = concat!(
        r#"{"error":{"message":"litellm.BadRequestError: Hosted_vllmException - {\"error\":{\"message\":\"1"#,
        r#" validation error:\\n  {'type': 'a', 'loc': ('body', 'n'), 'msg': 'Bad', 'input': 'canary'}\"}}\"#,
        r#"n\nLiteLLM: model group 'a' failed"}}"#,
    );
    let error = of(400, router);
    assert!(error.message().contains("1 validation error: body.n: Bad"), "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn an_empty_message_gives_way_to_the_code() {
    for (body, message) in [
        // FastChat 0.2.36
        (
            concat!(
                r#"{"detail":{"error":{"message":"","type":"invalid_request_error","param":null,"#,
                r#""code":"invalid_api_key"}}}"#,
            ),
            "invalid_api_key",
        ),
        (r#"{"error":{"message":"","type":"invalid_request_error","code":7}}"#, "invalid_request_error"),
        (r#"{"error":{"message":"","code":1033}}"#, "error code 1033"),
        (r#"{"error":{"message":"","code":401}}"#, "Unauthorized"),
        // Portkey
        (r#"{"status":"failure","message":"no such provider"}"#, "no such provider"),
        // Apigee, Bedrock, MiniMax
        (
            r#"{"fault":{"faultstring":"Invalid ApiKey","detail":{"errorcode":"oauth.v2.InvalidApiKey"}}}"#,
            "Invalid ApiKey",
        ),
        (r#"{"Message":"User is not authorized"}"#, "User is not authorized"),
        (
            r#"{"choices":null,"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
            "insufficient balance",
        ),
    ] {
        assert_eq!(of(401, body).message(), message, "{body}");
    }
}

#[test]
fn an_error_in_a_stream_shows_its_own_code() {
    let body =
        r#"{"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","code":500}}"#;
    let error = read(Stream, 200, &[], body);
    assert_eq!(
        error.to_string(),
        "provider_unavailable: EngineCore encountered an issue. (code 500, inside an HTTP 200)"
    );
    assert_eq!(
        of(500, body).to_string(),
        "provider_unavailable: EngineCore encountered an issue. (HTTP 500)"
    );
}

#[test]
fn a_member_of_the_body_says_how_long_to_wait() {
    for (status, body, seconds) in [
        // Gemini and Vertex
        (
            429,
            r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED","details":[
                {"@type":"type.googleapis.com/google.rpc.QuotaFailure"},
                {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"39s"}]}}]"#,
            39.0,
        ),
        (
            429,
            concat!(
                r#"{"error":{"message":"XException - {\"error\":{\"message\":\"m\",\"details\":[{\"retryDel"#,
                r#"ay\":\"1.5s\"}]}}"}}"#,
            ),
            1.5,
        ),
        // Cloudflare
        (530, r#"{"title":"Error 1033","error_code":1033,"cloudflare_error":true,"retry_after":2}"#, 2.0),
        (503, r#"{"error":{"message":"m","retry_after_ms":250}}"#, 0.25),
        (429, r#"{"error":{"message":"m","retry_after":"30"}}"#, 30.0),
        (429, r#"{"detail":{"retry_after":90000}}"#, 90_000.0),
    ] {
        let wait = of(status, body).retry_after().unwrap();
        assert_eq!((wait.source.as_str(), wait.delay.as_secs_f64()), ("body", seconds), "{body}");
    }
    for body in
        [r#"{"error":{"message":"m","retry_after":-1}}"#, r#"{"error":{"message":"m","retry_after":"soon"}}"#]
    {
        assert_eq!(of(429, body).retry_after(), None, "{body}");
    }
    let azure = concat!(
        r#"{"error":{"code":"429","#,
        r#""message":"Requests have exceeded token rate limit. Please retry after 86400 seconds."}}"#,
    );
    assert_eq!(of(429, azure).retry_after().map(|wait| wait.delay.as_secs()), Some(86_400));
}

#[test]
fn overflows_of_other_servers_are_overflows() {
    for (status, body) in [
        (400, r#"{"object":"error","message":"too long","code":40303}"#),
        (
            422,
            concat!(
                r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 1512.","#,
                r#""error_type":"validation"}"#,
            ),
        ),
        (500, r#"{"error":{"message":"Requested tokens (3009) exceed context window of 512"}}"#),
    ] {
        let error = of(status, body);
        assert_eq!(error.category(), Request, "{body}");
        assert!(error.is_context_overflow(), "{body}");
    }
}
