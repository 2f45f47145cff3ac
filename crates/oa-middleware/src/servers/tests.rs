//! Tests of servers: which one is called, which is out of rotation, and how it comes back.

mod chaos;
mod hung;
mod membership;
mod simulation;

use super::{call::Completions, *};
use crate::{
    AttemptLog, RetryLayer, RetryPolicy,
    testing::{Script, Step, request},
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::{task::JoinSet, time::sleep};
use tower::ServiceExt;
use tower_layer::Layer;

fn down() -> Error {
    Error::new(Category::Unavailable, "refused")
}

/// Each attempt as `server: reason`.
fn chain(attempts: &[oa_wire::Attempt]) -> Vec<String> {
    let server = |attempt: &oa_wire::Attempt| attempt.server.as_deref().unwrap_or("none").to_owned();
    attempts.iter().map(|attempt| format!("{}: {}", server(attempt), attempt.reason)).collect()
}

async fn text(service: &Servers<impl Completions>) -> Result<String, Error> {
    Ok(service.clone().oneshot(request()).await?.into_response().await?.text().into_owned())
}

/// A server that is up or down at the flip of a switch, and takes a while for its answers.
#[derive(Clone)]
struct Switched {
    name: &'static str,
    up: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    takes: Duration,
}

impl Switched {
    fn new(name: &'static str, takes: u64) -> Self {
        Self {
            name,
            up: Arc::new(AtomicBool::new(true)),
            calls: Arc::default(),
            takes: Duration::from_millis(takes),
        }
    }

    fn turn(&self, up: bool) {
        self.up.store(up, Ordering::SeqCst);
    }

    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

impl Service<CompletionRequest> for Switched {
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: CompletionRequest) -> Self::Future {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let this = self.clone();
        Box::pin(async move {
            // Refused connections come back at once: to least-loaded choices, a dead server looks idle.
            if !this.up.load(Ordering::SeqCst) {
                return Err(down());
            }
            sleep(this.takes).await;
            Ok(Completion::Response(Box::new(crate::testing::response(this.name))))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn failover_goes_by_the_order_and_keeps_the_chain() {
    let (a, b) = (Script::new([Step::error(down())]), Script::new([Step::text("b")]));
    let servers = Servers::failover([("a", a.clone()), ("b", b.clone())]).unwrap();
    let log = AttemptLog::default();
    let mut request = request();
    request.extensions.insert(log.clone());
    let answer = servers.oneshot(request).await.unwrap();
    assert_eq!(answer.into_response().await.unwrap().text(), "b");
    assert_eq!(chain(&log.attempts()), ["a: failed over"]);
    assert_eq!((a.calls(), b.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_would_fail_everywhere_stays_where_it_is() {
    let (a, b) = (Script::new([Step::error(Error::invalid_request("no"))]), Script::new([]));
    let servers = Servers::failover([("a", a), ("b", b.clone())]).unwrap();
    let error = text(&servers).await.unwrap_err();
    assert_eq!(chain(error.attempts()), ["a: not failed over: no other server would do better"]);
    assert_eq!(b.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_begun_stays_where_it_is() {
    let (a, b) = (Script::new([Step::broken_stream([(0, "x")], down())]), Script::new([]));
    let servers = Servers::failover([("a", a), ("b", b.clone())]).unwrap();
    assert!(servers.oneshot(request().with_stream(true)).await.unwrap().into_response().await.is_err());
    assert_eq!(b.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_spent_quota_is_worth_another_server() {
    let spent = Error::new(Category::RateLimit, "no money").with_quota_spent(true);
    let servers = [("a", Script::new([Step::error(spent)])), ("b", Script::new([Step::text("b")]))];
    assert_eq!(text(&Servers::failover(servers).unwrap()).await.unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn the_error_tells_of_every_server_also_through_retry() {
    let fails = || Script::new([Step::error(down()), Step::error(down())]);
    let servers = Servers::failover([("a", fails()), ("b", fails())]).unwrap();
    let log = AttemptLog::default();
    let mut request = request();
    request.extensions.insert(log.clone());
    let retry = RetryLayer::new(RetryPolicy::new().max_attempts(2));
    let error = retry.layer(servers).oneshot(request).await.unwrap_err();
    let want =
        ["a: failed over", "b: transient", "a: failed over", "b: not retried: all 2 attempts were made"];
    assert_eq!(chain(error.attempts()), want);
    assert_eq!(chain(&log.attempts()), want);
    assert_eq!(error.to_string(), "provider_unavailable: refused (server b, 4 attempts)");
    let whole = format!("{error:#}");
    assert!(whole.contains("attempt 0: a: refused (failed over)"), "{whole}");
    let indexes: Vec<_> = log.attempts().iter().map(|attempt| attempt.index).collect();
    assert_eq!(indexes, [0, 1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_failing_is_out_of_rotation_and_tried_by_one_call() {
    let (a, b) = (Switched::new("a", 1), Switched::new("b", 1));
    let servers = Servers::failover([("a", a.clone()), ("b", b.clone())]).unwrap().slow_start(Duration::ZERO);
    a.turn(false);
    for _ in 0..10 {
        assert_eq!(text(&servers).await.unwrap(), "b");
    }
    assert_eq!((a.calls(), b.calls()), (3, 10));

    sleep(Duration::from_secs(10)).await;
    assert_eq!(text(&servers).await.unwrap(), "b");
    assert_eq!(text(&servers).await.unwrap(), "b");
    assert_eq!(a.calls(), 1, "one trial");

    sleep(Duration::from_secs(10)).await;
    a.turn(true);
    assert_eq!(text(&servers).await.unwrap(), "a");
    assert_eq!(text(&servers).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_dropped_is_made_again() {
    let (a, b) = (Switched::new("a", 1000), Switched::new("b", 1));
    let servers = Servers::failover([("a", a.clone()), ("b", b)]).unwrap();
    a.turn(false);
    for _ in 0..3 {
        text(&servers).await.unwrap();
    }
    a.turn(true);
    sleep(Duration::from_secs(10)).await;
    tokio::time::timeout(Duration::from_millis(10), text(&servers)).await.unwrap_err();
    assert_eq!(text(&servers).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn where_all_are_out_they_are_called_all_the_same() {
    let a = Switched::new("a", 1);
    let servers = Servers::balance([("a", a.clone())]).unwrap();
    a.turn(false);
    for _ in 0..5 {
        text(&servers).await.unwrap_err();
    }
    a.turn(true);
    assert_eq!(text(&servers).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_probe_brings_a_server_back_without_costing_a_call() {
    let (a, b) = (Switched::new("a", 1), Switched::new("b", 500));
    let ready = Arc::new(AtomicBool::new(false));
    let probes = Arc::new(AtomicUsize::new(0));
    let servers =
        Servers::failover([("a", a.clone()), ("b", b)]).unwrap().slow_start(Duration::ZERO).probe({
            let (ready, probes) = (ready.clone(), probes.clone());
            move |_| {
                let (ready, probes) = (ready.clone(), probes.clone());
                async move {
                    probes.fetch_add(1, Ordering::SeqCst);
                    // Longer than a call takes: it goes on with the next.
                    sleep(Duration::from_millis(800)).await;
                    if ready.load(Ordering::SeqCst) { Ok(()) } else { Err(down()) }
                }
            }
        });
    a.turn(false);
    for _ in 0..3 {
        text(&servers).await.unwrap();
    }
    a.turn(true);
    a.calls();
    for _ in 0..25 {
        assert_eq!(text(&servers).await.unwrap(), "b");
    }
    assert_eq!((a.calls(), probes.load(Ordering::SeqCst)), (0, 1), "the probe failed: it stays alone");
    ready.store(true, Ordering::SeqCst);
    sleep(Duration::from_secs(10)).await;
    for _ in 0..2 {
        assert_eq!(text(&servers).await.unwrap(), "b");
    }
    assert_eq!(text(&servers).await.unwrap(), "a");
    assert_eq!(probes.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn load_is_spread_by_what_is_under_way() {
    let servers = [Switched::new("a", 100), Switched::new("b", 100), Switched::new("slow", 1000)];
    let balanced = Servers::balance(servers.clone().map(|server| (server.name, server))).unwrap().seed(1);
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let balanced = balanced.clone();
        calls.spawn(async move {
            for _ in 0..25 {
                text(&balanced).await.unwrap();
            }
        });
    }
    calls.join_all().await;
    let [a, b, slow] = servers.map(|server| server.calls());
    assert_eq!(a + b + slow, 400);
    assert!(a.abs_diff(b) < 60 && slow < a / 2, "{a} {b} {slow}");
}

#[tokio::test(start_paused = true)]
async fn load_counts_streams_to_their_end() {
    let servers = Servers::balance([("a", Script::new([Step::stream([(0, "x"), (5, "y")])]))]).unwrap();
    let answer = servers.clone().oneshot(request().with_stream(true)).await.unwrap();
    let under_way = || servers.status().iter().map(|server| (server.calls, server.load)).collect::<Vec<_>>();
    assert_eq!(under_way(), [(1, 1026)]);
    answer.into_response().await.unwrap();
    assert_eq!(under_way(), [(0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn every_call_answers_while_replicas_come_and_go() {
    for seed in 0..100 {
        let replicas = [Switched::new("a", 30), Switched::new("b", 30)];
        let balanced =
            Servers::balance(replicas.clone().map(|replica| (replica.name, replica))).unwrap().seed(seed);
        let mut calls = JoinSet::new();
        for _ in 0..16 {
            let balanced = balanced.clone();
            calls.spawn(async move {
                for _ in 0..50 {
                    text(&balanced).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                }
            });
        }
        let random = Random::seeded(!seed);
        while !calls.is_empty() {
            let victim = &replicas[random.below(2)];
            victim.turn(false);
            sleep(Duration::from_millis(random.next_u64() % 400)).await;
            victim.turn(true);
            while calls.try_join_next().is_some() {}
        }
    }
}

#[test]
fn none_and_two_of_one_name_are_refused() {
    let none: [(&str, Script); 0] = [];
    assert_eq!(Servers::balance(none).unwrap_err().message(), "servers: there are none");
    let twice = ["a", "b", "a"].map(|name| (name, Script::new([])));
    assert_eq!(Servers::failover(twice).unwrap_err().message(), "servers: two are named `a`");
}
