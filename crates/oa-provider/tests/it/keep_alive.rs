//! Calls over a kept connection that the server has just closed.

use oa_provider::Provider;
use oa_sim::{Answer, Sim};
use oa_wire::Category;

use crate::support::*;

#[tokio::test]
async fn a_connection_that_dies_under_a_request_costs_one_replay() {
    let ok = || Answer::json(200, completion("fine"));
    let (sim, provider) = scripted([ok(), Answer::disconnect(), ok()]).await;
    provider.complete(&hello()).await.unwrap();
    settle().await;
    assert_eq!(provider.complete(&hello()).await.unwrap().text(), "fine");
    let carried: Vec<usize> = sim.requests().iter().map(|request| request.connection).collect();
    assert_eq!(carried, [0, 0, 1]);
}

#[tokio::test]
async fn a_replay_is_not_replayed() {
    let ok = Answer::json(200, completion("fine"));
    let (sim, provider) = scripted([ok, Answer::disconnect(), Answer::disconnect()]).await;
    provider.complete(&hello()).await.unwrap();
    settle().await;
    let error = provider.complete(&hello()).await.unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    assert!(error.message().contains("sent once more"), "{error}");
    assert_eq!(sim.stats().requests, 3);
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_an_error_at_once() {
    let (sim, provider) = scripted([Answer::disconnect()]).await;
    let error = provider.complete(&hello()).await.unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    assert_eq!(error.connection().unwrap().stage, "first_byte");
    assert_eq!(sim.stats().requests, 1);
}

#[tokio::test]
async fn a_stream_over_a_dead_connection_is_replayed_too() {
    let (sim, provider) = scripted([texts(["a"]), Answer::reset(), texts(["b"])]).await;
    provider.stream(&hello()).await.unwrap().into_response().await.unwrap();
    settle().await;
    let stream = provider.stream(&hello()).await.unwrap();
    assert_eq!(stream.into_response().await.unwrap().text(), "b");
    assert_eq!(sim.stats().requests, 3);
}

/// The server runs on a thread of its own, so that its closing and the next request really race.
#[tokio::test]
async fn idle_connections_that_are_closed_lose_no_call_and_double_none() {
    const CALLS: usize = 200;
    let sim = Sim::start_blocking().unwrap();
    let provider = provider(&sim);
    for number in 0..CALLS {
        let request = oa_wire::CompletionRequest::new([oa_wire::Message::user(number.to_string())]);
        let response = soon(provider.complete(&request)).await.unwrap();
        assert_eq!(response.text(), format!("You said: {number}"));
        sim.close_idle();
    }
    let sent: Vec<String> = sim
        .requests()
        .iter()
        .map(|request| request.json()["messages"][0]["content"].as_str().unwrap().to_owned())
        .collect();
    let wanted: Vec<String> = (0..CALLS).map(|number| number.to_string()).collect();
    assert_eq!(sent, wanted);
}
