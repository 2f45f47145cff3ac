//! An examination ends: by itself, at its limit, or when it is dropped.

use crate::support::{doctor, step};
use oa_sim::{Answer, Sim};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// A server that answers the first so many requests, and then no more.
async fn stalling_after(requests: usize) -> Sim {
    let mut script: Vec<Answer> = (0..requests).map(|_| Answer::generated()).collect();
    script.push(Answer::stall().forever());
    Sim::builder().script(script).start().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_is_told_from_one_that_is_not_there() {
    let sim = stalling_after(0).await;
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "tcp").0, "ok");
    assert_eq!(step(&report, "identity"), ("failed", "nothing came within 10.0 s"));
    assert_eq!(step(&report, "models"), ("skipped", "no answer"));
}

#[tokio::test(start_paused = true)]
async fn the_limit_holds_for_all_steps_together() {
    // Up to the completion, which is never answered.
    let sim = Sim::builder()
        .script([Answer::stall().on("POST", "/v1/chat/completions").forever()])
        .then_generate()
        .start()
        .await
        .unwrap();
    let start = Instant::now();
    let report = doctor(sim.base_url()).time_limit(Duration::from_secs(7)).run().await;
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    assert_eq!(step(&report, "completion").0, "failed");
    assert_eq!(step(&report, "stream"), ("skipped", "the 7.0 s for all steps are spent"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_page_costs_its_step_alone() {
    let slow = Answer::generated().delay(Duration::from_secs(20)).on("GET", "/health").forever();
    let sim = Sim::builder().script([slow]).then_generate().start().await.unwrap();
    let report = doctor(sim.base_url()).run().await;
    assert_eq!(step(&report, "load"), ("warning", "nothing came within 15.0 s"));
    assert!(report.step("load").unwrap().cause.as_ref().unwrap().contains("all the same"), "{report}");
}

#[tokio::test]
async fn dropping_it_closes_its_connection() {
    let sim = stalling_after(1).await;
    let doctor = doctor(sim.base_url());
    let mut examination = Box::pin(doctor.run());
    tokio::select! {
        report = &mut examination => panic!("{report}"),
        () = sim.wait_for(|stats| stats.requests == 2) => {}
    }
    drop(examination);
    timeout(Duration::from_secs(10), sim.closed_by_client()).await.unwrap();
}
