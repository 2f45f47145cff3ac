//! Calls go out at once, without a queue between them.

use oa_provider::{DynProvider, Provider};
use oa_sim::{Answer, Gate, Sim};
use tokio::task::JoinSet;

use crate::support::*;

const CALLS: usize = 32;

#[tokio::test]
async fn calls_of_one_provider_are_all_under_way_at_once() {
    let gate = Gate::new();
    let held = (0..CALLS).map(|_| Answer::generated().wait(&gate));
    let sim = Sim::builder().script(held).start().await.unwrap();
    let provider = DynProvider::new(provider(&sim));
    let mut calls = JoinSet::new();
    for number in 0..CALLS {
        let provider = provider.clone();
        let request = hello().with_stream(number % 2 == 0);
        calls.spawn(async move { provider.complete(&request).await });
    }
    // No call is answered before the last has arrived: a queue would wait here forever.
    soon(sim.wait_for(|stats| stats.requests == CALLS)).await;
    assert_eq!((sim.stats().answered, sim.connections()), (0, CALLS));
    gate.open();
    for result in calls.join_all().await {
        assert_eq!(result.unwrap().text(), "You said: Hello there");
    }
    assert_eq!(sim.stats().requests, CALLS);
}
