//! Answers of gateways, proxies and other programs in a server's place.

use super::*;

fn headers_of(error: &Error) -> Option<&str> {
    error.origin().and_then(|origin| origin.server.as_deref())
}

#[test]
fn an_answer_that_is_no_api_error_says_who_gave_it() {
    const NGINX: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 \
                         Bad \
        Gateway</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n";
    for (status, headers, body, message, category) in [
        (502, &[("server", "nginx/1.22.1")][..], NGINX, "502 Bad Gateway (a page from nginx/1.22.1)", Down),
        (502, &[], NGINX, "502 Bad Gateway (a page)", Down),
        (
            503,
            &[],
            "<html><body><h1>503 Service Unavailable</h1>\nNo server is available.\n</body></html>",
            "503 Service Unavailable (a page)",
            Down,
        ),
        (
            403,
            &[("server", "cloudflare"), ("cf-ray", "8a-FRA")],
            "error code: 1010",
            "error code: 1010 (answered by Cloudflare)",
            Auth,
        ),
        (
            530,
            &[("server", "cloudflare")],
            "error code: 1033",
            "error code: 1033 (answered by Cloudflare)",
            Down,
        ),
        (
            530,
            &[("server", "cloudflare")],
            concat!(
                r#"{"title":"Error 1033: Cloudflare Tunnel error","status":530,"#,
                r#""detail":"is unable to reach it."}"#,
            ),
            "is unable to reach it. (answered by Cloudflare)",
            Down,
        ),
        (
            403,
            &[("server", "AirTunes/870.14.1")],
            "",
            "Forbidden (an empty answer from AirTunes/870.14.1, the AirPlay receiver of macOS)",
            Auth,
        ),
        (
            503,
            &[("server", "envoy")],
            "upstream connect error or disconnect/reset before headers. reset reason: connection failure",
            "upstream connect error or disconnect/reset before headers. reset reason: connection failure \
             (answered by envoy)",
            Down,
        ),
        (
            403,
            &[("server", "istio-envoy")],
            "RBAC: access denied",
            "RBAC: access denied (answered by istio-envoy)",
            Auth,
        ),
        (
            429,
            &[("server", "kong/3.4.0")],
            r#"{"message":"API rate limit exceeded"}"#,
            "API rate limit exceeded (answered by kong/3.4.0)",
            Rate,
        ),
        (
            429,
            &[(
                "x-amzn-errortype",
                "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
            )],
            r#"{"message":"Too many tokens, please wait before trying again."}"#,
            "Too many tokens, please wait before trying again. (answered by AWS (ThrottlingException))",
            Rate,
        ),
        (
            404,
            &[("ngrok-error-code", "ERR_NGROK_3200")],
            "<!DOCTYPE html><html><head><title>ngrok</title></head></html>",
            "ngrok (a page from ngrok (ERR_NGROK_3200))",
            Request,
        ),
        (503, &[("server", "awselb/2.0")], "", "Service Unavailable (an empty answer from awselb/2.0)", Down),
        (500, &[("via", "1.1 corp")], "boom", "boom (answered by a proxy (via 1.1 corp))", Down),
        // A server's own error needs no such word.
        (500, &[("server", "uvicorn")], r#"{"error":{"message":"m"}}"#, "m", Down),
        (
            404,
            &[("server", "uvicorn")],
            r#"{"detail":"The model `x` does not exist"}"#,
            "The model `x` does not exist",
            Model,
        ),
    ] {
        let error = read(Http, status, headers, body);
        assert!(error.message().starts_with(message), "{}\n{message}", error.message());
        assert_eq!(error.category(), category, "{body}");
        assert!(!error.message().contains("<html"), "{error}");
        assert!(!error.is_key_rejected(), "{error}");
    }
}

#[test]
fn a_refusal_says_what_is_asked_for() {
    let apim = "AzureApiManagementKey \
                realm=\"https://x.azure-api.net/openai\",name=\"Ocp-Apim-Subscription-Key\",\
        type=\"header\"";
    for (status, challenge, body, message, hint) in [
        (
            401,
            "Basic realm=\"Restricted\"",
            "<html><title>401 Authorization Required</title></html>",
            "401 Authorization Required (a page); it asks for the scheme Basic for `Restricted`, not for a \
             bearer key",
            "`Authorization: Basic ...`",
        ),
        (
            401,
            apim,
            r#"{"statusCode":401,"message":"Access denied due to missing subscription key."}"#,
            "Access denied due to missing subscription key.; it asks for the scheme AzureApiManagementKey \
             for \
             `https://x.azure-api.net/openai`, in the header `Ocp-Apim-Subscription-Key`, not for a bearer \
             key",
            "`Ocp-Apim-Subscription-Key`",
        ),
        (
            401,
            "Key realm=\"kong\"",
            r#"{"message":"No API key found in request"}"#,
            "No API key found in request; it asks for the scheme Key for `kong`, in the header `apikey`, not \
             for a bearer key",
            "`apikey`",
        ),
    ] {
        let error = read(Http, status, &[("www-authenticate", challenge)], body);
        assert_eq!(error.message(), message);
        assert_eq!(error.category(), Auth);
        assert!(!error.is_key_rejected(), "{error}");
        assert!(error.hint().is_some_and(|text| text.contains(hint)), "{error:#}");
    }
}

#[test]
fn a_refusal_is_about_the_key_only_where_it_says_so() {
    let nginx = ("server", "nginx");
    for (status, headers, body, about_key) in [
        (401, &[][..], "", true),
        (401, &[("www-authenticate", "Bearer realm=\"data-plane\"")], "", true),
        (401, &[nginx], "", false),
        (401, &[nginx], "<html><title>401 Authorization Required</title>", false),
        (401, &[], r#"{"error":"Unauthorized"}"#, true),
        (401, &[("server", "uvicorn")], r#"{"error":"Unauthorized"}"#, true),
        (401, &[("server", "uvicorn")], r#"{"detail":"Invalid API key"}"#, true),
        (401, &[("server", "kong/3")], r#"{"message":"Invalid authentication credentials"}"#, true),
        (403, &[], "", false),
        (403, &[], r#"{"error":{"message":"no"}}"#, false),
        (403, &[], r#"{"error":{"message":"You are not allowed to use this API key","code":"x"}}"#, true),
        (403, &[], r#"{"error":{"message":"no","code":"invalid_api_key"}}"#, true),
        (403, &[("www-authenticate", "Bearer error=\"insufficient_scope\"")], "", true),
        (403, &[("server", "cloudflare")], "error code: 1010", false),
        (403, &[], "Host not allowed", false),
        (400, &[], r#"{"error":{"message":"no","type":"no_db_connection"}}"#, true),
        (400, &[], r#"{"error":{"message":"no"}}"#, false),
    ] {
        let error = read(Http, status, headers, body);
        assert_eq!(error.is_key_rejected(), about_key, "{status} {headers:?} {body}");
    }
}

#[test]
fn aws_says_missing_authentication_token_of_an_unknown_path() {
    let headers = [("x-amzn-errortype", "MissingAuthenticationTokenException")];
    let error = read(Http, 403, &headers, r#"{"message":"Missing Authentication Token"}"#);
    assert!(error.message().contains(URL), "{error}");
    assert!(error.message().contains("stage"), "{error}");
    assert!(!error.is_key_rejected());
    assert!(error.hint().is_some_and(|hint| hint.contains("path or stage")), "{error:#}");
}

#[test]
fn a_redirect_to_a_login_is_an_authentication_failure() {
    let access = "https://team.cloudflareaccess.com/cdn-cgi/access/login/llm.corp?kid=abc&redirect_url=%2Fv1";
    let error = read(Http, 302, &[("location", access), ("www-authenticate", "Cloudflare-Access")], "");
    assert_eq!(error.category(), Auth);
    assert!(error.message().contains("looks like a login page"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("CF-Access-Client-Id")), "{error:#}");
    let to = error.origin().and_then(|origin| origin.location.as_deref());
    assert_eq!(to, Some("https://team.cloudflareaccess.com/cdn-cgi/access/login/llm.corp"));
    assert!(!error.message().contains("kid="), "{error}");

    let to_https = read(Http, 301, &[("location", "https://llm.corp/v1/chat/completions")], "");
    assert_eq!(to_https.category(), Request);
    assert!(to_https.message().contains("redirects to https://llm.corp/v1/chat/completions"), "{to_https}");
}

#[test]
fn a_content_coding_that_nobody_asked_for_is_named() {
    // The first bytes of a gzip stream.
    let body = "\u{1f}\u{8}\0\0secret";
    for (status, category) in [(200, Response), (401, Auth), (429, Rate), (503, Down)] {
        let error = read(Http, status, &[("content-encoding", "gzip")], body);
        assert_eq!((error.category(), error.kind()), (category, Some(ErrorKind::ContentCoding)));
        assert!(error.message().contains("content-encoding: gzip"), "{error}");
        assert!(!error.is_transient(), "{error}");
        assert!(!format!("{error:?}").contains("secret"));
        assert_eq!(error.body(), None);
    }
    let identity = read(Http, 503, &[("content-encoding", "identity")], "boom");
    assert_eq!((identity.message(), identity.is_transient()), ("boom", true));
}

#[test]
fn bytes_that_are_no_text_are_not_shown() {
    let headers = HeaderMap::new();
    for (body, message) in [
        (
            &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..],
            "the answer is 10 bytes that are no text, compressed with gzip",
        ),
        (&[0, 1, 2, 3, 0xff, 0xfe, 0x80][..], "the answer is 7 bytes that are no text"),
        (b"caf\xe9 closed, see the page for more", "caf closed, see the page for more"),
        (b"\x1b[31mno\x1b[0m such thing is here", "[31mno [0m such thing is here"),
    ] {
        let error = classify(&ErrorResponse::new(Http, StatusCode::BAD_GATEWAY, &headers, body, URL));
        assert_eq!(error.message(), message);
    }
}

#[test]
fn a_page_knows_no_model() {
    for body in [
        "<html><head><title>Model not found</title></head><body>The model `x` does not exist</body></html>",
        "<!doctype html><title>404</title><p>This model page was not found",
        "Cannot POST /model not found",
    ] {
        assert_eq!(of(404, body).category(), Request, "{body}");
    }
}

#[test]
fn a_gateway_without_a_server_is_named_as_a_cause() {
    for body in [
        "404 page not found\n",
        "default backend - 404",
        r#"{"message":"no Route matched with those values"}"#,
        r#"{"error_msg":"404 Route Not Found"}"#,
    ] {
        let error = of(404, body);
        assert_eq!(error.category(), Request, "{body}");
        assert!(error.message().contains("gateway"), "{error}");
        assert!(error.message().contains("not up yet"), "{error}");
    }
}

#[test]
fn the_proxy_that_a_request_went_through_is_shown() {
    let headers = [("server", "squid/5.7"), ("x-squid-error", "ERR_ACCESS_DENIED 0")];
    let error = read(Http, 403, &headers, "<html><title>ERROR: Access Denied</title></html>");
    assert_eq!(headers_of(&error), Some("squid/5.7 (ERR_ACCESS_DENIED)"));
    let error = error.with_proxy("http://127.0.0.1:3128, from HTTP_PROXY");
    assert_eq!(
        error.to_string(),
        "provider_authentication: ERROR: Access Denied (a page from squid/5.7 (ERR_ACCESS_DENIED)) (HTTP \
         403, through the proxy http://127.0.0.1:3128, from HTTP_PROXY)"
    );
}
