//! Verdicts that a later step revises, and health pages.

use crate::support::{doctor, list, page, serving, step};
use oa_sim::{Answer, Sim};
use serde_json::json;

/// A server whose completions work and whose other pages are these.
async fn report_of(pages: Vec<(&'static str, Answer)>) -> oa_doctor::Report {
    let sim = serving(pages).await;
    doctor(sim.base_url()).model("tiny").run().await
}

#[tokio::test]
async fn a_server_without_a_list_works() {
    for status in [404, 405, 501] {
        let report = report_of(vec![("/v1/models", page(status, "", "{}"))]).await;
        let models = report.step("models").unwrap();
        assert_eq!(models.status.as_str(), "warning", "{report}");
        assert!(models.cause.as_ref().unwrap().contains("has no list of models"), "{report}");
        assert!(models.next.as_ref().unwrap().starts_with("oa ready --probe chat "), "{report}");
        assert!(report.first_failure().is_none(), "{report}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_list_what_it_serves_works() {
    for listed in [list("unknown", json!({})), r#"{"object":"list","data":[]}"#.to_owned()] {
        let report = report_of(vec![("/v1/models", page(200, "", &listed))]).await;
        let models = report.step("models").unwrap();
        assert_eq!((models.status.as_str(), models.category), ("warning", None), "{report}");
        assert!(models.cause.as_ref().unwrap().contains("does not list it"), "{report}");
        assert!(report.first_failure().is_none(), "{report}");
    }
}

#[tokio::test]
async fn a_list_that_is_forbidden_is_a_warning_where_completions_work() {
    let no = page(403, "", r#"{"error":{"message":"not allowed"}}"#);
    let report = report_of(vec![("/v1/models", no)]).await;
    assert_eq!(step(&report, "models").0, "warning", "{report}");
}

#[tokio::test]
async fn health_is_empty_json_or_a_few_words_and_sickness_a_5xx() {
    let long = "x".repeat(300);
    for (answer, status) in [
        (page(200, "", ""), "ok"),
        (page(200, "", r#"{"status":"healthy"}"#), "ok"),
        (page(200, "", "OK"), "ok"),
        (page(200, "", "<!doctype html><title>Open WebUI</title>"), "skipped"),
        (page(200, "", &long), "skipped"),
        (page(301, "location: https://elsewhere.invalid/health\r\n", ""), "skipped"),
        (page(302, "location: /login\r\n", ""), "skipped"),
        (page(400, "", "<h1>The plain HTTP request was sent to HTTPS port</h1>"), "skipped"),
        (page(404, "", ""), "skipped"),
        (page(503, "", "<title>503</title>"), "failed"),
    ] {
        let listed = page(200, "", &list("tiny", json!({})));
        let sim = serving(vec![("/v1/models", listed), ("/health", answer)]).await;
        let report = doctor(sim.base_url()).no_completion(true).run().await;
        assert_eq!(step(&report, "load").0, status, "{report}");
        let cause = report.step("load").unwrap().cause.clone().unwrap_or_default();
        assert!(!cause.contains("not healthy"), "{report}");
    }
}

#[tokio::test]
async fn a_health_page_that_a_working_completion_contradicts_is_a_warning() {
    let report = report_of(vec![
        ("/v1/models", page(200, "", &list("tiny", json!({})))),
        ("/health", page(502, "", "<title>502 Bad Gateway</title>")),
    ])
    .await;
    assert_eq!(step(&report, "load").0, "warning", "{report}");
    assert!(report.first_failure().is_none(), "{report}");
}

#[tokio::test(start_paused = true)]
async fn a_health_page_that_a_hanging_completion_contradicts_is_no_ok() {
    let sim = Sim::builder()
        .script([Answer::stall().on("POST", "/v1/chat/completions").forever()])
        .then_generate()
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "load"), ("warning", "/health is 200, and no completion comes"));
    let next = report.step("completion").unwrap().next.clone().unwrap();
    assert!(next.starts_with("oa chat Hi ") && next.ends_with(" --timeout 5m"), "{report}");
}

#[tokio::test]
async fn a_vllm_that_sleeps_is_found_asleep() {
    let sim = serving(vec![
        ("/v1/models", page(200, "", &list("tiny", json!({"owned_by": "vllm"})))),
        ("/health", page(200, "", "")),
        ("/is_sleeping", page(200, "", r#"{"is_sleeping":true}"#)),
    ])
    .await;
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "load"), ("failed", "/is_sleeping says that it sleeps"));
    assert_eq!(report.first_failure().unwrap().category, Some(oa_wire::Category::ModelNotLoaded));
    assert_eq!(step(&report, "completion").0, "skipped");
}

#[tokio::test]
async fn a_revision_of_the_model_is_the_model() {
    let any = Answer::json(
        200,
        json!({"model": "tiny@main", "choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}]}),
    );
    let sim =
        Sim::builder().models(["other"]).script([any.on("POST", "/v1/chat/completions")]).then_generate();
    let sim = sim.start().await.unwrap();
    let report = doctor(sim.base_url()).model("tiny").run().await;
    assert_eq!(step(&report, "completion").0, "ok", "{report}");
}

#[tokio::test]
async fn a_tool_call_is_forced_by_name_where_any_is_not_enough() {
    let text = || {
        Answer::json(200, json!({"choices": [{"message": {"content": "Sunny."}, "finish_reason": "stop"}]}))
    };
    let sim = Sim::builder()
        .handler(move |request| (request.json()["tool_choice"] == "required").then(text))
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "tools"), ("ok", "get_weather was called"));
    assert!(
        sim.requests().iter().filter(|one| one.method == "POST").all(|one| one.json()["temperature"] == 0.0)
    );
}

#[tokio::test]
async fn a_call_that_breaks_its_schema_is_not_blamed_on_the_servers_settings() {
    let call = json!({"id": "c", "type": "function", "function": {"name": "get_weather",
        "arguments": "{\"city\": \"Paris\", \"unit\": \"C\"}"}});
    let answer = json!({"choices": [{"index": 0, "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": null, "tool_calls": [call]}}]});
    let sim = Sim::builder()
        .handler(move |request| {
            (!request.json()["tools"].is_null()).then(|| Answer::json(200, answer.clone()))
        })
        .start()
        .await
        .unwrap();
    let report = doctor(sim.base_url()).run().await;
    let tools = report.step("tools").unwrap();
    assert_eq!(step(&report, "tools").0, "warning", "{report}");
    assert!(tools.observed.starts_with("get_weather was called, but: "), "{report}");
    assert!(tools.cause.as_ref().unwrap().contains("the server reads calls"), "{report}");
}
