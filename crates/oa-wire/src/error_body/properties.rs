//! Properties of the reader over any response: it never panics, and shows nothing that it must not.

use super::*;
use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

const CONTEXTS: [ErrorContext; 3] = [ErrorContext::Http, ErrorContext::SuccessBody, ErrorContext::Stream];

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "\\",
        ":",
        ",",
        "error",
        "message",
        "messages",
        "content",
        "code",
        "detail",
        "model",
        " not found",
        "Exception - ",
        "try again in ",
        "9",
        "99999999999999999999",
        "s",
        "sk-",
        "bearer ",
        "é",
        "\u{85}",
        "<",
        "<title>",
        "</title>",
        "<script",
        "data:",
        "\n",
        " ",
        "None",
        "(",
        ")",
        "loading",
        "does not support ",
        "image",
        "\\u",
        "{\"error\":{\"message\":\"",
        "\"}}",
        "{'error': '",
        "'messages': [",
        "{\\\"",
        "1 validation error for X",
        "{'type': 'a', 'loc': ('body',), 'msg': ",
        "  Too low [type=x, input_value=",
        ", input_type=",
        "'input': ",
        "retry_after",
        "<h1>",
        "<!--",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(words, 0..60).prop_map(|words| words.concat().into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_response_makes_it_panic(
        context in prop::sample::select(CONTEXTS.to_vec()),
        status in 100_u16..1000,
        headers in prop::collection::vec((prop::sample::select(vec![
            "retry-after", "retry-after-ms", "llm_provider-retry-after", "x-ratelimit-reset",
            "x-ratelimit-reset-tokens", "x-ratelimit-remaining", "date", "x-should-retry", "x-request-id",
            "location", "www-authenticate", "server", "via", "x-amzn-errortype", "content-encoding",
            "ratelimit",
            "ratelimit-reset",
        ]), prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "[0-9.]{0,25}(ms|s|m0s|h|e9)?".prop_map(String::into_bytes),
            "(Basic|Key|x)? ?(realm|name|t)=?\"?[a-z]{0,4}\"?(, |;)?(/login)?".prop_map(String::into_bytes),
        ]), 0..6),
        body in bodies(),
        url in prop_oneof![Just("http://localhost:8000/v1/chat/completions".to_owned()), any::<String>()],
        key in prop::option::of(any::<String>()),
    ) {
        let headers: HeaderMap = headers
            .into_iter()
            .filter_map(|(name, value)| {
                Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?))
            })
            .collect();
        let status = StatusCode::from_u16(status).unwrap();
        let mut response = ErrorResponse::new(context, status, &headers, &body, &url);
        response.now = Some(SystemTime::UNIX_EPOCH);
        response.key = key.as_deref();
        let error = classify(&response);
        prop_assert!(!error.message().is_empty());
        let odd = |c: char| c == '\u{fffd}' || c.is_control() && c != '\n' && c != '\t';
        prop_assert!(!error.message().contains(odd));
        prop_assert_eq!(error.status(), Some(status.as_u16()));
        if let Some(wait) = error.retry_after() {
            prop_assert!(wait.delay <= delay::LIMIT);
        }
        is_error_envelope(&body);
        drop(crate::ModelList::parse(&body));
    }
}
