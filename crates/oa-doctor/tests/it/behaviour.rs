//! Things an examination never does, and its log lines.

use crate::support::{doctor, doctor_in};
use oa_doctor::Progress;
use oa_sim::{Answer, Sim};
use serde_json::json;

const NAMES: [&str; 14] = [
    "environment",
    "proxy",
    "dns",
    "tcp",
    "tls",
    "identity",
    "models",
    "load",
    "completion",
    "stream",
    "tools",
    "schema",
    "usage",
    "messages",
];

#[tokio::test]
async fn no_secret_is_shown() {
    let canaries = ["sk-canary-key", "canary-header", "canary-proxy", "sk-canary-openai"];
    let echo = json!({"error": {"message":
        "bad key sk-canary-key and canary-header, sk-canary-openai", "code": canaries[0], "type":
         canaries[1]}});
    for status in [401, 404, 429, 500, 200] {
        let sim = Sim::builder()
            .script([Answer::json(status, &echo).header("server", "sk-canary-key canary-header").forever()])
            .start()
            .await
            .unwrap();
        let variables = [
            ("OA_BASE_URL", sim.base_url()),
            ("OA_API_KEY", "sk-canary-key".to_owned()),
            ("OA_MODEL", "m".to_owned()),
            ("OPENAI_API_KEY", "sk-canary-openai".to_owned()),
            ("OPENAI_BASE_URL", "http://me:canary-proxy@h/v1".to_owned()),
            ("HTTP_PROXY", "http://me:canary-proxy@h:1".to_owned()),
        ];
        let doctor = doctor_in(&variables).header("x-team", "canary-header");
        let mut described = vec![format!("{doctor:?}")];
        let report = doctor.run_with(|progress| described.push(format!("{progress:?}"))).await;
        described.push(format!("{report}{report:?}{}", serde_json::to_string(&report).unwrap()));
        let seen = described.concat();
        for canary in canaries {
            assert!(!seen.contains(canary), "{status}: {canary} in {seen}");
        }
    }
}

#[tokio::test]
async fn no_completion_is_made_where_none_is_wanted() {
    let sim = Sim::start().await.unwrap();
    let report = doctor(sim.base_url()).no_completion(true).run().await;
    assert!(sim.requests().iter().all(|request| request.method == "GET"), "{:?}", sim.requests());
    assert_eq!(report.step("usage").unwrap().observed, "no completion is to be made");
}

#[tokio::test]
async fn the_key_goes_to_no_other_port() {
    let closed = Sim::closed_port().unwrap();
    let sim = Sim::start().await.unwrap();
    doctor(closed.base_url()).api_key("sk-canary").ports([(sim.addr().port(), "vLLM")]).run().await;
    let requests = sim.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("authorization"), None);
}

#[tokio::test]
async fn the_key_and_the_headers_go_to_the_server() {
    let sim = Sim::start().await.unwrap();
    doctor(sim.base_url()).api_key("sk-1").header("x-team", "a").run().await;
    for request in sim.requests() {
        assert_eq!(request.header("x-team"), Some("a"), "{}", request.path);
        let wanted = (request.path != "/health").then_some("Bearer sk-1");
        assert_eq!(request.header("authorization"), wanted, "{}", request.path);
    }
}

#[tokio::test]
async fn every_step_is_reported_and_told_in_order() {
    let sim = Sim::start().await.unwrap();
    let closed = Sim::closed_port().unwrap();
    for url in [sim.base_url(), closed.base_url()] {
        let (mut started, mut finished) = (Vec::new(), Vec::new());
        let report = doctor(url)
            .run_with(|progress| match progress {
                Progress::Started(name) => started.push(name),
                Progress::Finished(step) => finished.push(step.name),
                _ => {}
            })
            .await;
        assert_eq!(finished, NAMES);
        assert_eq!(report.steps.iter().map(|step| step.name).collect::<Vec<_>>(), NAMES);
        assert!(started.iter().all(|name| NAMES.contains(name)) && started.contains(&"tcp"));
    }
}

#[tokio::test]
async fn a_model_of_a_server_cannot_smuggle_a_command() {
    let sim = Sim::builder().models(["x'; reboot; '", "b"]).start().await.unwrap();
    let report = doctor(sim.base_url()).no_completion(true).run().await;
    let want = format!(r"oa doctor {} --model 'x'\''; reboot; '\'''", sim.base_url());
    assert_eq!(report.step("models").unwrap().next, Some(want));
}

#[tokio::test]
async fn the_record_has_names_and_seconds() {
    let sim = Sim::builder().api_key("sk-right").start().await.unwrap();
    let report = doctor(sim.base_url()).run().await;
    let record = serde_json::to_value(&report).unwrap();
    let models = &record["steps"][6];
    assert_eq!(models["name"], "models");
    assert_eq!(models["status"], "failed");
    assert_eq!(models["category"], "provider_authentication");
    assert!(models["took_seconds"].is_f64());
    assert_eq!(models["next"], "export OA_API_KEY=KEY");
    assert!(record["steps"][1].get("category").is_none());
}

#[tokio::test]
async fn a_transport_of_the_callers_is_used_as_it_is() {
    let sim = Sim::start().await.unwrap();
    let closed = Sim::closed_port().unwrap();
    let transport = oa_transport::HyperTransport::builder().proxy(&sim.base_url()).build().unwrap();
    let variables = [("OA_BASE_URL", sim.base_url()), ("HTTP_PROXY", closed.base_url())];
    let report = doctor_in(&variables).transport(transport).no_completion(true).run().await;
    assert_eq!(report.step("proxy").unwrap().observed, "the transport was given, and its proxy with it");
    // What goes through a proxy names the whole URL.
    assert!(sim.requests().iter().all(|request| request.target.starts_with("http://")), "{report}");
}

#[tokio::test]
async fn messages_that_do_not_work_are_a_warning_and_absent_ones_are_none() {
    for (status, word) in [(404, "skipped"), (405, "skipped"), (500, "warning"), (403, "warning")] {
        let sim = Sim::builder()
            .handler(move |request| {
                let refusal = Answer::json(status, json!({"detail": "no such thing"}));
                (request.path == "/v1/messages").then_some(refusal)
            })
            .start()
            .await
            .unwrap();
        let report = doctor(sim.base_url()).run().await;
        assert_eq!(report.step("messages").unwrap().status.as_str(), word, "{status}: {report}");
        assert!(report.first_failure().is_none(), "{status}: {report}");
    }
}
