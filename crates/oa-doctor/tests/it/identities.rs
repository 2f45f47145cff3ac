//! The servers that are recognized, and their load, by their pages.

use crate::support::{doctor, list, page, serving, step};
use oa_sim::{Answer, Sim};
use serde_json::json;

/// The report of an examination without completions.
async fn examined(sim: &Sim, model: &str) -> oa_doctor::Report {
    doctor(sim.base_url()).model(model).no_completion(true).run().await
}

fn owned_by(owner: &str) -> Answer {
    page(200, "", &list("tiny", json!({"owned_by": owner})))
}

#[tokio::test]
async fn vllm() {
    let sim = serving(vec![
        ("/v1/models", owned_by("vllm")),
        ("/version", page(200, "", r#"{"version":"0.32.0"}"#)),
        ("/health", page(200, "", "")),
    ])
    .await;
    let report = examined(&sim, "tiny").await;
    assert_eq!(report.server.as_deref(), Some("vllm 0.32.0"));
    assert_eq!(
        step(&report, "load"),
        ("ok", "/health is 200: it is up, and listens only once the model is loaded")
    );
}

#[tokio::test]
async fn vllm_with_a_dead_engine() {
    let sim = serving(vec![("/v1/models", owned_by("vllm")), ("/health", page(503, "", ""))]).await;
    let report = examined(&sim, "tiny").await;
    assert_eq!(step(&report, "load"), ("failed", "/health is 503: Service Unavailable"));
    assert!(report.step("load").unwrap().cause.as_ref().unwrap().starts_with("the engine is dead"));
    assert_eq!(step(&report, "completion").0, "skipped");
}

#[tokio::test]
async fn llama_cpp_while_it_loads() {
    let loading = r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#;
    let answer = page(503, "Server: llama.cpp\r\n", loading);
    let sim = Sim::builder().script([answer.forever()]).start().await.unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(report.server.as_deref(), Some("llamacpp"));
    assert_eq!(step(&report, "load"), ("failed", "provider_model_not_loaded: Loading model (HTTP 503)"));
}

#[tokio::test]
async fn llama_cpp() {
    let sim = serving(vec![
        ("/", page(404, "Server: llama.cpp\r\n", "{}")),
        ("/v1/models", page(200, "Server: llama.cpp\r\n", &list("tiny", json!({"meta": {"n_ctx": 512}})))),
        ("/props", page(200, "", r#"{"build_info":"b1-0c1e570","total_slots":1}"#)),
        ("/health", page(200, "", r#"{"status":"ok"}"#)),
    ])
    .await;
    let report = examined(&sim, "tiny").await;
    assert_eq!(report.server.as_deref(), Some("llamacpp b1-0c1e570"));
    assert_eq!(step(&report, "models"), ("ok", "tiny is listed, its only one, a context of 512 tokens"));
    assert_eq!(step(&report, "load"), ("ok", "/health is 200: the model is loaded"));
}

#[tokio::test]
async fn litellm_and_its_health_that_costs_money_is_left_alone() {
    let sim = serving(vec![
        ("/", page(200, "", "\"LiteLLM: RUNNING\"")),
        ("/v1/models", owned_by("openai")),
        ("/health", page(200, "", "{}")),
        ("/health/readiness", page(200, "", r#"{"status":"healthy","litellm_version":"1.80.0"}"#)),
    ])
    .await;
    let report = examined(&sim, "tiny").await;
    assert_eq!(report.server.as_deref(), Some("litellm 1.80.0"));
    assert_eq!(step(&report, "load").0, "ok");
    assert!(sim.requests().iter().all(|request| request.path != "/health"));
}

#[tokio::test]
async fn an_unknown_servers_health_is_asked_without_the_key() {
    let sim = serving(vec![("/v1/models", owned_by("acme")), ("/health", page(200, "", "fine"))]).await;
    let report = doctor(sim.base_url()).api_key("sk-canary").no_completion(true).run().await;
    assert_eq!(report.server, None);
    assert_eq!(step(&report, "identity"), ("ok", "none that is known (models owned by acme)"));
    let health: Vec<_> = sim.requests().into_iter().filter(|request| request.path == "/health").collect();
    assert_eq!(health.len(), 1);
    assert_eq!(health[0].header("authorization"), None);
}

#[tokio::test]
async fn ollama() {
    let running = || ("/", page(200, "", "Ollama is running"));
    let models = || ("/v1/models", page(200, "", &list("llama3:latest", json!({"owned_by": "library"}))));
    let version = || ("/api/version", page(200, "", r#"{"version":"0.12.0"}"#));
    for (loaded, status) in [("llama3:latest", "ok"), ("other:latest", "warning")] {
        let memory = json!({"models": [{"name": loaded}]}).to_string();
        let sim = serving(vec![running(), models(), version(), ("/api/ps", page(200, "", &memory))]).await;
        let report = examined(&sim, "llama3").await;
        assert_eq!(report.server.as_deref(), Some("ollama 0.12.0"));
        assert_eq!(step(&report, "load").0, status, "{report}");
    }
}

#[tokio::test]
async fn lm_studio() {
    for (state, status) in [("loaded", "ok"), ("not-loaded", "warning")] {
        let states = list("tiny", json!({"state": state}));
        let sim = serving(vec![
            ("/v1/models", owned_by("organization_owner")),
            ("/api/v0/models", page(200, "", &states)),
        ])
        .await;
        let report = examined(&sim, "tiny").await;
        assert_eq!(report.server.as_deref(), Some("lmstudio"));
        assert_eq!(step(&report, "load").0, status, "{report}");
    }
}

#[tokio::test]
async fn sglang_makes_a_token_for_its_health_only_where_that_is_wanted() {
    for (no_completion, path) in [(true, "/ready"), (false, "/health")] {
        let fine = || page(200, "", "");
        let sim =
            serving(vec![("/v1/models", owned_by("sglang")), ("/health", fine()), ("/ready", fine())]).await;
        let report = doctor(sim.base_url()).no_completion(no_completion).run().await;
        assert_eq!(report.server.as_deref(), Some("sglang"));
        assert!(step(&report, "load").1.starts_with(path), "{report}");
        let asked: Vec<_> = sim.requests().into_iter().map(|request| request.path).collect();
        assert_eq!(asked.contains(&"/health".to_owned()), !no_completion, "{asked:?}");
    }
}
