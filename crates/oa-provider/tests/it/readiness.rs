//! `ready` succeeds exactly when the next completion is expected to work.

use oa_provider::{OpenAiProvider, Probe, Provider};
use oa_sim::{Answer, Sim};
use oa_wire::{Category, Error, ErrorKind};
use serde_json::{Value, json};

use crate::support::*;

fn probing(sim: &Sim, probe: Probe) -> OpenAiProvider {
    OpenAiProvider::builder(sim.base_url(), "oa-sim").probe(probe).build().unwrap()
}

/// What a server that answers `GET /v1/models` so is not ready for.
async fn refused_by(answer: Answer) -> Error {
    let (_sim, provider) = scripted([answer]).await;
    provider.ready().await.unwrap_err()
}

fn listing(entries: &Value) -> Answer {
    Answer::json(200, json!({"object": "list", "data": entries}))
}

fn paths(sim: &Sim) -> Vec<String> {
    sim.requests().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
}

#[tokio::test]
async fn a_server_that_lists_the_model_is_ready() {
    let sim = Sim::start().await.unwrap();
    provider(&sim).ready().await.unwrap();
    assert_eq!(paths(&sim), ["GET /v1/models"]);
}

#[tokio::test]
async fn a_model_that_is_not_listed_is_invalid_and_the_nearest_are_named() {
    let ids: Vec<Value> = (0..12).map(|n| json!({"id": format!("oa-si{n:02}")})).collect();
    let far = json!({"id": "something-else-entirely"});
    let error = refused_by(listing(&ids.into_iter().chain([far]).collect())).await;
    assert_eq!(error.category(), Category::InvalidModel);
    assert_eq!(error.message().matches("oa-si0").count() + error.message().matches("oa-si1").count(), 10);
    assert!(error.message().contains("13") && error.message().contains("chat"), "{error}");
    assert!(!error.message().contains("entirely"), "{error}");
}

#[tokio::test]
async fn an_id_that_ends_in_a_star_is_a_pattern() {
    let (_sim, provider) =
        scripted([listing(&json!([{"id": "oa-*"}])), listing(&json!([{"id": "ob-*"}]))]).await;
    provider.ready().await.unwrap();
    assert_eq!(provider.ready().await.unwrap_err().category(), Category::InvalidModel);
}

#[tokio::test]
async fn a_model_that_is_listed_as_loading_is_not_loaded() {
    for status in [
        json!("loading"),
        json!("LOADING"),
        json!("not loaded"),
        json!("Not-Loaded"),
        json!("not_loaded"),
        json!({"value": "loading"}),
        json!({"value": "Not Loaded", "args": []}),
    ] {
        let error = refused_by(listing(&json!([{"id": "oa-sim", "status": status}]))).await;
        assert_eq!(error.category(), Category::ModelNotLoaded, "{status}: {error}");
    }
}

#[tokio::test]
async fn a_model_that_is_listed_as_loaded_is_ready() {
    for status in [json!("loaded"), json!({"value": "loaded"}), json!(null), json!(3)] {
        let (_sim, provider) = scripted([listing(&json!([{"id": "oa-sim", "status": status}]))]).await;
        provider.ready().await.unwrap();
    }
}

#[tokio::test]
async fn a_refused_key_is_authentication() {
    for status in [401, 403] {
        let error = refused_by(Answer::json(status, json!({"error": "Unauthorized"}))).await;
        assert_eq!((error.category(), error.status()), (Category::Authentication, Some(status)));
    }
}

#[tokio::test]
async fn a_failing_server_is_unavailable() {
    for status in [500, 502, 503, 504] {
        let error = refused_by(Answer::text(status, "oops")).await;
        assert_eq!((error.category(), error.status()), (Category::Unavailable, Some(status)));
    }
}

#[tokio::test]
async fn a_failing_connection_is_unavailable() {
    for answer in
        [Answer::disconnect(), Answer::reset(), Answer::bytes(200, "application/json", "{").content_length(9)]
    {
        let error = refused_by(answer).await;
        assert_eq!(error.category(), Category::Unavailable, "{error}");
        assert!(error.connection().is_some());
    }
}

#[tokio::test]
async fn a_closed_port_is_unavailable() {
    let port = Sim::closed_port().unwrap();
    let provider = OpenAiProvider::builder(port.base_url(), "m").build().unwrap();
    let error = provider.ready().await.unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    assert_eq!(error.connection().unwrap().stage, "connect");
}

#[tokio::test]
async fn an_unknown_host_is_unavailable() {
    // A label of more than 63 letters is refused by the resolver itself: nothing leaves the machine.
    let url = format!("http://{}.invalid", "x".repeat(64));
    let provider = OpenAiProvider::builder(url, "m").build().unwrap();
    let error = provider.ready().await.unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    assert_eq!(error.connection().unwrap().stage, "dns");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_failing_handshake_is_unavailable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let provider = OpenAiProvider::builder(url, "m").build().unwrap();
    let error = provider.ready().await.unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    assert_eq!(error.connection().unwrap().stage, "tls");
}

#[tokio::test]
async fn a_rate_limit_is_one_and_keeps_the_wait() {
    let error = refused_by(Answer::text(429, "slow down").header("retry-after", "7")).await;
    assert_eq!(error.category(), Category::RateLimit);
    assert_eq!(error.retry_after().unwrap().delay.as_secs(), 7);
}

#[tokio::test]
async fn a_server_that_loads_its_model_is_not_loaded() {
    let sim = Sim::builder().loading_for(1).start().await.unwrap();
    let error = provider(&sim).ready().await.unwrap_err();
    assert_eq!((error.category(), error.status()), (Category::ModelNotLoaded, Some(503)));
}

#[tokio::test]
async fn what_is_no_list_of_models_is_an_invalid_response() {
    for answer in [
        Answer::html(200, "<html>Welcome"),
        Answer::text(200, ""),
        Answer::json(200, json!({})),
        Answer::json(200, json!({"data": {"id": "oa-sim"}})),
    ] {
        let error = refused_by(answer).await;
        assert_eq!((error.category(), error.status()), (Category::InvalidResponse, Some(200)), "{error}");
    }
}

#[tokio::test]
async fn an_error_inside_of_a_success_is_that_error() {
    let body = json!({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}});
    assert_eq!(refused_by(Answer::json(200, body)).await.category(), Category::ModelNotLoaded);
}

#[tokio::test]
async fn a_list_without_end_is_not_read_to_it() {
    let megabyte = "x".repeat(1 << 20);
    let double = Double::new([Step::stream(Frames::open(vec![megabyte; 20]))]);
    let error = soon(double.provider().ready()).await.unwrap_err();
    assert_eq!((error.category(), error.kind()), (Category::InvalidResponse, Some(ErrorKind::TooLarge)));
}

#[tokio::test]
async fn the_chat_probe_is_one_token_at_temperature_zero() {
    let sim = Sim::start().await.unwrap();
    probing(&sim, Probe::Chat).ready().await.unwrap();
    assert_eq!(paths(&sim), ["POST /v1/chat/completions"]);
    let body = sim.last_request().unwrap().json();
    assert_eq!((&body["max_tokens"], &body["temperature"]), (&json!(1), &json!(0.0)));
}

#[tokio::test]
async fn a_gateway_that_lists_but_refuses_chat_is_found_by_the_probes_that_chat() {
    let refusal = || Answer::json(403, json!({"error": "no chat"})).on("POST", CHAT).forever();
    for (probe, ready) in [(Probe::Models, true), (Probe::Chat, false), (Probe::Both, false)] {
        let sim = Sim::builder().script([refusal()]).then_generate().start().await.unwrap();
        let found = probing(&sim, probe).ready().await;
        assert_eq!(found.as_ref().map_err(Error::category).is_ok(), ready, "{probe:?}: {found:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_serves_what_it_does_not_list_is_ready_by_the_chat_probe_alone() {
    let list = || listing(&json!([{"id": "other"}])).on("GET", MODELS).forever();
    for (probe, ready) in [(Probe::Models, false), (Probe::Chat, true), (Probe::Both, false)] {
        let sim = Sim::builder().script([list()]).then_generate().start().await.unwrap();
        assert_eq!(probing(&sim, probe).ready().await.is_ok(), ready, "{probe:?}");
    }
}

#[tokio::test]
async fn both_ask_for_the_list_first_and_for_a_completion_whatever_is_on_it() {
    const ASKED: [&str; 2] = ["GET /v1/models", "POST /v1/chat/completions"];
    let sim = Sim::start().await.unwrap();
    probing(&sim, Probe::Both).ready().await.unwrap();
    assert_eq!(paths(&sim), ASKED);

    let list = || listing(&json!([{"id": "other"}])).on("GET", MODELS).forever();
    let unknown =
        || Answer::json(404, json!({"error": {"message": "x", "code": "model_not_found"}})).on("POST", CHAT);
    let refused = || Answer::json(401, json!({"error": "no"})).on("POST", CHAT);
    for (script, category, told) in [
        (
            vec![list()],
            Category::InvalidModel,
            "which the chat probe tells; asked now, it does: a completion works",
        ),
        (vec![list(), unknown()], Category::InvalidModel, "asked now, it does not serve this model"),
        (vec![list(), refused()], Category::Authentication, ""),
    ] {
        let sim = Sim::builder().script(script).then_generate().start().await.unwrap();
        let error = probing(&sim, Probe::Both).ready().await.unwrap_err();
        assert_eq!(error.category(), category, "{error}");
        assert!(error.message().ends_with(told), "{error}");
        assert_eq!(paths(&sim), ASKED);
    }
}

#[tokio::test]
async fn without_a_list_both_are_what_the_completion_is() {
    for status in [404, 405, 501] {
        let missing = Answer::json(status, json!({"detail": "Not Found"})).on("GET", MODELS).forever();
        let sim = Sim::builder().script([missing]).then_generate().start().await.unwrap();
        probing(&sim, Probe::Both).ready().await.unwrap();
    }
    let broken = Answer::json(200, json!({"hello": "world"})).on("GET", MODELS).forever();
    let sim = Sim::builder().script([broken]).then_generate().start().await.unwrap();
    let error = probing(&sim, Probe::Both).ready().await.unwrap_err();
    assert_eq!(error.category(), Category::InvalidResponse);
}

#[tokio::test]
async fn warming_up_is_the_probe_and_a_completion() {
    let sim = Sim::start().await.unwrap();
    provider(&sim).warm_up().await.unwrap();
    assert_eq!(paths(&sim), ["GET /v1/models", "POST /v1/chat/completions"]);
    assert_eq!(sim.last_request().unwrap().json()["max_tokens"], 1);
}

#[tokio::test]
async fn a_completion_never_probes() {
    let sim = Sim::start().await.unwrap();
    provider(&sim).complete(&hello()).await.unwrap();
    assert_eq!(paths(&sim), ["POST /v1/chat/completions"]);
}

#[tokio::test]
async fn the_list_of_models_can_be_read() {
    let sim = Sim::builder().models(["a", "b"]).context_length(512).start().await.unwrap();
    let catalogue = provider(&sim).models().await.unwrap();
    assert_eq!(catalogue.ids().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(catalogue.entries()[0].max_model_len, Some(512));
}
