//! Answers that a gateway or a proxy gives in the place of the server.

use crate::support::{doctor, doctor_in, page, step};
use oa_sim::{Answer, Sim};

/// A server that gives this answer to everything.
async fn answering(answer: Answer) -> Sim {
    Sim::builder().script([answer.forever()]).start().await.unwrap()
}

/// The cause and the next command of the step `models` for this answer, a key being sent.
async fn models(status: u16, headers: &str, body: &str) -> (String, String) {
    let sim = answering(page(status, headers, body)).await;
    let report = doctor(sim.base_url()).model("m").api_key("sk-canary-key").run().await;
    let models = report.step("models").unwrap();
    let text = models.to_string();
    assert!(!text.contains("is not one of this server"), "{text}");
    assert!(!text.contains("export OA_API_KEY"), "{text}");
    let cause = models.cause.clone().unwrap_or_else(|| panic!("{report}"));
    (format!("{} {cause}", models.observed), models.next.clone().unwrap())
}

#[tokio::test]
async fn a_refusal_that_is_not_about_the_key_does_not_blame_it() {
    for (status, headers, body, want) in [
        (403, "server: cloudflare\r\ncf-ray: 8a-FRA\r\n", "error code: 1010", "loudflare"),
        (403, "server: AirTunes/870.14.1\r\n", "", "AirTunes"),
        (
            403,
            "x-amzn-errortype: MissingAuthenticationTokenException\r\n",
            r#"{"message":"Missing Authentication Token"}"#,
            "stage",
        ),
        (403, "server: awselb/2.0\r\n", "<title>403 Forbidden</title>", "awselb"),
    ] {
        let (cause, _) = models(status, headers, body).await;
        assert!(cause.contains(want), "{cause}, want {want}");
    }
}

#[tokio::test]
async fn a_challenge_says_how_to_send_what_it_wants() {
    let basic = "www-authenticate: Basic realm=\"Restricted\"\r\nserver: nginx\r\n";
    let (cause, next) = models(401, basic, "<title>401 Authorization Required</title>").await;
    assert!(cause.contains("the scheme Basic"), "{cause}");
    assert!(next.ends_with("--header 'Authorization: Basic BASE64_OF_USER:PASSWORD'"), "{next}");
    let apim = "www-authenticate: AzureApiManagementKey \
                realm=\"https://x\",name=\"Ocp-Apim-Subscription-Key\",\
                type=\"header\"\r\n";
    let (cause, next) = models(401, apim, r#"{"statusCode":401,"message":"Access denied"}"#).await;
    assert!(cause.contains("Ocp-Apim-Subscription-Key"), "{cause}");
    assert!(next.ends_with("--header 'Ocp-Apim-Subscription-Key: KEY'"), "{next}");
}

#[tokio::test]
async fn credentials_of_a_header_are_not_called_the_key() {
    let sim = answering(page(401, "", r#"{"error":{"message":"Invalid API Key","code":401}}"#)).await;
    let doctor = doctor(sim.base_url()).model("m").api_key("sk-canary-key");
    let report = doctor.header("Authorization", "Basic canary-of-a-header").run().await;
    let cause = report.step("models").unwrap().cause.clone().unwrap();
    assert!(cause.contains("the header Authorization are not the server's"), "{report}");
    assert!(!report.to_string().contains("canary"), "{report}");
}

#[tokio::test]
async fn a_refusal_of_the_servers_own_is_told_from_a_gateways() {
    let body = r#"{"error":{"message":"Project p has no access to model m","code":"forbidden"}}"#;
    let (cause, next) = models(403, "", body).await;
    assert!(cause.contains("the server itself refuses"), "{cause}");
    assert!(next.starts_with("oa models "), "{next}");
}

#[tokio::test]
async fn a_gateways_own_status_has_its_cause() {
    for (status, body, want) in [
        (413, "<title>413 Request Entity Too Large</title>", "client_max_body_size"),
        (400, "<title>400 No required SSL certificate was sent</title>", "a client certificate"),
        (400, "Invalid host header", "only for names that it was told"),
        (503, "no healthy upstream", "answers in the place of the server"),
    ] {
        let (cause, _) = models(status, "server: nginx\r\n", body).await;
        assert!(cause.contains(want), "{cause}, want {want}");
    }
}

#[tokio::test]
async fn a_health_page_that_complains_is_no_health() {
    for (body, want) in [
        (r#"{"status":"loading model"}"#, "/health is 200, and says: loading model"),
        (r#"{"healthy":false}"#, "/health is 200, and says: healthy is false"),
        ("UNHEALTHY", "/health is 200, and says: UNHEALTHY"),
    ] {
        let health = page(200, "", body).on("GET", "/health").forever();
        let sim = Sim::builder().script([health]).then_generate().start().await.unwrap();
        let report = doctor(sim.base_url()).model("oa-sim").run().await;
        assert_eq!(step(&report, "load"), ("warning", want), "{report}");
    }
    for body in
        [r#"{"status":"ok"}"#, "OK", r#"{"status":"no slot available"}"#, r#"{"state":"RUNNING"}"#, ""]
    {
        let health = page(200, "", body).on("GET", "/health").forever();
        let sim = Sim::builder().script([health]).then_generate().start().await.unwrap();
        let report = doctor(sim.base_url()).model("oa-sim").run().await;
        assert_eq!(step(&report, "load").0, "ok", "{report}");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_the_doctor_there_or_to_a_login() {
    let (_, next) = models(301, "location: https://llm.corp.invalid/v1/models\r\n", "").await;
    assert_eq!(next, "oa doctor https://llm.corp.invalid");
    let (_, next) = models(308, "location: /gateway/v1/models\r\n", "").await;
    assert!(next.starts_with("oa doctor http://127.0.0.1:") && next.ends_with("/gateway"), "{next}");
    let access = "location: https://team.cloudflareaccess.com/cdn-cgi/access/login/x?kid=a\r\n";
    let (cause, next) = models(302, access, "").await;
    assert!(cause.contains("a login page") && cause.contains("CF-Access-Client-Id"), "{cause}");
    assert!(next.ends_with("--header 'NAME: VALUE'"), "{next}");
}

#[tokio::test]
async fn the_answer_of_a_forward_proxy_is_not_the_servers() {
    let squid = "server: squid/5.7\r\nx-squid-error: ERR_ACCESS_DENIED 0\r\n";
    let proxy = answering(page(403, squid, "<title>ERROR</title>")).await;
    let variables = [
        ("OA_BASE_URL", "http://vllm.invalid:8000".to_owned()),
        ("OA_API_KEY", "sk-canary-key".to_owned()),
        ("HTTP_PROXY", proxy.base_url()),
        ("NO_PROXY", "localhost".to_owned()),
    ];
    let report = doctor_in(&variables).model("m").run().await;
    assert_eq!(step(&report, "proxy").0, "warning", "{report}");
    for name in ["proxy", "models"] {
        let found = report.step(name).unwrap();
        assert!(found.to_string().contains("HTTP_PROXY"), "{report}");
        let want = "NO_PROXY=\"$NO_PROXY\",vllm.invalid oa doctor";
        assert!(found.next.as_ref().unwrap().starts_with(want), "{report}");
    }
}

#[tokio::test]
async fn a_proxy_that_cannot_be_read_is_not_passed_over() {
    for value in ["\"http://127.0.0.1:1\"", "socks://127.0.0.1:1/", "http://proxy.corp:8080:8080"] {
        let variables =
            [("OA_BASE_URL", "http://llm.invalid:8000".to_owned()), ("HTTP_PROXY", value.to_owned())];
        let report = doctor_in(&variables).run().await;
        let (status, observed) = step(&report, "proxy");
        assert!(status == "failed" && observed.starts_with("HTTP_PROXY "), "{report}");
    }
}

#[tokio::test]
async fn a_proxy_that_wants_a_password_is_asked_for_no_exception() {
    let wants = page(407, "proxy-authenticate: Basic realm=\"corp\"\r\n", "");
    for url in ["http://llm.invalid", "https://llm.invalid"] {
        let proxy = answering(wants.clone()).await;
        let at = proxy.base_url().replace("http://", "http://me:canary@");
        let variables = [("OA_BASE_URL", url.to_owned()), ("ALL_PROXY", at)];
        let report = doctor_in(&variables).run().await;
        let found = report.step("proxy").unwrap();
        assert_eq!(found.status.as_str(), "failed", "{report}");
        assert!(found.cause.as_ref().unwrap().contains("password"), "{report}");
        assert!(
            !report.to_string().contains("NO_PROXY=") && !report.to_string().contains("canary"),
            "{report}"
        );
    }
}

#[tokio::test]
async fn an_exception_that_was_meant_for_the_host_is_corrected() {
    let proxy = Sim::start().await.unwrap();
    let variables = [
        ("OA_BASE_URL", "http://llm.invalid:8000".to_owned()),
        ("HTTP_PROXY", proxy.base_url()),
        ("NO_PROXY", "llm.invalid:8000".to_owned()),
    ];
    let report = doctor_in(&variables).no_completion(true).run().await;
    let found = report.step("proxy").unwrap();
    assert_eq!(found.status.as_str(), "warning", "{report}");
    assert_eq!(found.next.as_deref(), Some("NO_PROXY=\"$NO_PROXY\",llm.invalid oa doctor"), "{report}");
}
