//! Tests of servers that hang: a hung server is a failed one, in the default stack and without it.

use super::*;
use crate::{Backoff, CollectStream, Stack, StackService};
use oa_wire::{CompletionStream, Event, EventSource, FinishReason, Message, Profile, Response};
use std::{future::pending, task::ready};
use tokio::time::{Instant, Sleep};
use tower::retry::budget::TpsBudget;

/// How a server fails to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It answers.
    Well,
    /// It takes the call and never answers.
    Silent,
    /// Its stream begins and stops.
    Stalls,
    /// Its stream begins and is cut off.
    Breaks,
}

/// A server that can be made to hang, and counts its calls.
#[derive(Clone)]
struct Replica {
    name: &'static str,
    way: Arc<std::sync::Mutex<Way>>,
    calls: Arc<AtomicUsize>,
}

impl Replica {
    fn new(name: &'static str, way: Way) -> Self {
        Self { name, way: Arc::new(std::sync::Mutex::new(way)), calls: Arc::default() }
    }

    fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }

    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

impl Service<CompletionRequest> for Replica {
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let count = self.calls.fetch_add(1, Ordering::SeqCst);
        let (name, way) = (self.name, *self.way.lock().unwrap());
        // No two calls that run side by side end at the same time.
        let takes = Duration::from_millis(10 + count as u64 * 7 % 20);
        Box::pin(async move {
            sleep(takes).await;
            match way {
                Way::Silent => pending().await,
                _ if request.stream => {
                    Ok(Completion::Stream(CompletionStream::new(Flow { name, way, events: 0, sleep: None })))
                }
                _ => Ok(Completion::Response(Box::new(crate::testing::response(name)))),
            }
        })
    }
}

/// Three pieces and the end, or what the way makes of them.
struct Flow {
    name: &'static str,
    way: Way,
    events: u32,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl EventSource for Flow {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        if self.events == 1 && self.way == Way::Stalls {
            return Poll::Pending;
        }
        if self.events == 1 && self.way == Way::Breaks {
            return Poll::Ready(Some(Err(Error::new(Category::Unavailable, "cut off"))));
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(Duration::from_millis(1))));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        self.events += 1;
        Poll::Ready(Some(Ok(match self.events {
            1..=3 => Event::Content("x".into()),
            _ => Event::Done(Box::new(crate::testing::response(self.name))),
        })))
    }

    fn snapshot(&self) -> Response {
        Response::new(oa_wire::AssistantMessage::default(), FinishReason::Error)
    }
}

const FIRST_EVENT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(2);
const NO_WAIT: Duration = Duration::ZERO;

/// The default stack around servers, with limits that suit the tests.
fn stack(servers: Servers<Replica>) -> StackService<Servers<Replica>> {
    let no_wait = RetryPolicy::new().backoff(Backoff::fixed(NO_WAIT));
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 100, 1.0));
    Stack::new(&Profile::new("m"))
        .retry_layer(RetryLayer::new(no_wait).budget(budget))
        .first_event_timeout(FIRST_EVENT)
        .idle_timeout(IDLE)
        .layer(servers)
}

/// Whether a call's stream is collected by the stack, or is read by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whole,
    Collected,
    Streamed,
}

async fn ask(service: &StackService<Servers<Replica>>, kind: Kind) -> Result<String, Error> {
    ask_of(service, kind, request()).await
}

async fn ask_of(
    service: &StackService<Servers<Replica>>,
    kind: Kind,
    request: CompletionRequest,
) -> Result<String, Error> {
    let mut request = request.with_stream(kind != Kind::Whole);
    if kind == Kind::Collected {
        request.extensions.insert(CollectStream::new());
    }
    Ok(service.clone().oneshot(request).await?.into_response().await?.text().into_owned())
}

type Make = fn([(&'static str, Replica); 2]) -> Result<Servers<Replica>, Error>;

const POLICIES: [Make; 3] = [Servers::failover, Servers::balance, Servers::affinity];

#[tokio::test(start_paused = true)]
async fn a_hung_server_is_a_failed_one_and_comes_back() {
    for (policy, make) in POLICIES.into_iter().enumerate() {
        for kind in [Kind::Whole, Kind::Collected, Kind::Streamed] {
            let (hung, well) = (Replica::new("hung", Way::Silent), Replica::new("well", Way::Well));
            let servers = make([("hung", hung.clone()), ("well", well.clone())]).unwrap();
            let service = stack(servers.seed(7));
            let case = format!("policy {policy}, {kind:?}");
            for call in 0..20 {
                let start = Instant::now();
                let answer = ask(&service, kind).await;
                assert_eq!(answer.as_deref().ok(), Some("well"), "{case}, call {call}: {answer:?}");
                let took = start.elapsed();
                assert!(took < FIRST_EVENT + Duration::from_secs(1), "{case}, call {call} took {took:?}");
            }
            let to_hung = hung.calls();
            assert!(to_hung <= 3, "{case}: {to_hung} calls to the hung server");

            hung.set(Way::Well);
            well.set(Way::Silent);
            sleep(Duration::from_secs(10)).await;
            let mut answers = 0;
            for _ in 0..10 {
                answers += usize::from(ask(&service, kind).await.is_ok_and(|text| text == "hung"));
            }
            assert_eq!(answers, 10, "{case}: it did not come back");
        }
    }
}

/// A server that answered before it hung is known not to be back long before the limit.
#[tokio::test(start_paused = true)]
async fn the_call_that_is_a_trial_goes_to_another_server_as_well() {
    for kind in [Kind::Whole, Kind::Collected, Kind::Streamed] {
        let (first, second) = (Replica::new("first", Way::Well), Replica::new("second", Way::Well));
        let servers = Servers::failover([("first", first.clone()), ("second", second.clone())]).unwrap();
        let service = stack(servers.slow_start(Duration::ZERO));
        for _ in 0..10 {
            assert_eq!(ask(&service, kind).await.unwrap(), "first");
        }
        first.set(Way::Silent);
        for _ in 0..5 {
            assert_eq!(ask(&service, kind).await.unwrap(), "second");
        }
        for _ in 0..3 {
            first.calls();
            sleep(Duration::from_secs(10)).await;
            for _ in 0..5 {
                let start = Instant::now();
                assert_eq!(ask(&service, kind).await.unwrap(), "second");
                assert!(start.elapsed() < Duration::from_secs(1), "{kind:?}: {:?}", start.elapsed());
            }
            assert_eq!(first.calls(), 1, "{kind:?}: one trial at a time");
        }
        first.set(Way::Well);
        sleep(Duration::from_secs(10)).await;
        assert_eq!(ask(&service, kind).await.unwrap(), "first", "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_streams_stop_after_their_first_event_is_left_as_well() {
    for (policy, make) in POLICIES.into_iter().enumerate() {
        for way in [Way::Stalls, Way::Breaks] {
            let (bad, well) = (Replica::new("bad", way), Replica::new("well", Way::Well));
            let servers = make([("bad", bad.clone()), ("well", well.clone())]).unwrap();
            let service = stack(servers.seed(7));
            let case = format!("policy {policy}, {way:?}");
            // Where the caller reads the stream, what had begun cannot be mended: three at most are lost.
            let mut lost = 0;
            for _ in 0..20 {
                match ask(&service, Kind::Streamed).await {
                    Ok(text) => assert_eq!(text, "well"),
                    Err(error) => {
                        lost += 1;
                        assert_eq!(chain(error.attempts()), ["bad: not failed over: the stream had begun"]);
                    }
                }
            }
            assert!(lost <= 3, "{case}: {lost} streams were lost");
            assert!(bad.calls() <= 3, "{case}");

            // Where the stack collects it, none is lost.
            let (bad, well) = (Replica::new("bad", way), Replica::new("well", Way::Well));
            let service = stack(make([("bad", bad.clone()), ("well", well)]).unwrap().seed(7));
            for call in 0..20 {
                let start = Instant::now();
                assert_eq!(ask(&service, Kind::Collected).await.unwrap(), "well", "{case}, call {call}");
                assert!(start.elapsed() < IDLE + Duration::from_secs(1), "{case}, call {call}");
            }
            assert!(bad.calls() <= 3, "{case}");
        }
    }
}

/// A server that stops when calls of different ages wait there: the first that gives up tells of all of them,
/// so that no other comes in their place.
#[tokio::test(start_paused = true)]
async fn of_many_callers_only_those_wait_that_a_server_had_when_it_froze() {
    for (policy, make) in POLICIES.into_iter().enumerate() {
        for seed in 0..8 {
            let replicas = [Replica::new("one", Way::Well), Replica::new("two", Way::Well)];
            let [one, _] = &replicas;
            let servers = make([("one", replicas[0].clone()), ("two", replicas[1].clone())]).unwrap();
            let service = stack(servers.seed(seed));
            let mut callers = JoinSet::new();
            for caller in 0..16 {
                let service = service.clone();
                callers.spawn(async move {
                    let mut slow = 0;
                    for call in 0..500 {
                        let start = Instant::now();
                        let text = format!("What is {seed} and {caller} and {call}?");
                        let request = CompletionRequest::new([Message::user(text)]);
                        ask_of(&service, Kind::Whole, request).await.unwrap();
                        slow += usize::from(start.elapsed() > Duration::from_secs(1));
                    }
                    slow
                });
            }
            sleep(Duration::from_millis(200)).await;
            one.set(Way::Silent);
            let slow: usize = callers.join_all().await.into_iter().sum();
            // In order, all callers are at the first. Otherwise the bound, or the load, keeps some from it.
            let most = if policy == 0 { 16 } else { 11 };
            assert!(slow <= most, "policy {policy}, seed {seed}: {slow} calls were slow");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_goes_to_another_server_first() {
    let (hung, well) = (Replica::new("hung", Way::Stalls), Replica::new("well", Way::Well));
    // The breaker never opens here: only the call itself knows.
    let servers = Servers::failover([("hung", hung.clone()), ("well", well)]).unwrap();
    let service = stack(servers.breaker(BreakerPolicy::new().failures(u32::MAX)));
    for _ in 0..5 {
        assert_eq!(ask(&service, Kind::Collected).await.unwrap(), "well");
        assert_eq!(hung.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn servers_have_limits_of_their_own_without_a_stack() {
    let (hung, well) = (Replica::new("hung", Way::Silent), Replica::new("well", Way::Well));
    let servers = Servers::failover([("hung", hung), ("well", well)]).unwrap();
    let start = Instant::now();
    assert_eq!(text(&servers).await.unwrap(), "well");
    assert_eq!(start.elapsed().as_secs(), 600, "the default");
    let start = Instant::now();
    assert_eq!(text(&servers.first_event_timeout(Duration::from_secs(3))).await.unwrap(), "well");
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_somebody_else_outside_is_noticed_too() {
    let (hung, well) = (Replica::new("hung", Way::Silent), Replica::new("well", Way::Well));
    let servers = Servers::failover([("hung", hung.clone()), ("well", well)]).unwrap();
    // tower's own timeout drops the call: no error tells the servers anything.
    let limit = Duration::from_secs(2);
    for _ in 0..3 {
        tokio::time::timeout(limit, text(&servers)).await.unwrap_err();
    }
    assert_eq!(text(&servers).await.unwrap(), "well");
    assert_eq!(servers.status()[0].out, Some(OutReason::Failures));
    assert_eq!(hung.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn callers_that_lose_patience_with_a_busy_server_do_not_take_it_out() {
    let slow = Switched::new("slow", 20_000);
    let servers = Servers::balance([("slow", slow)]).unwrap();
    let mut answers = JoinSet::new();
    for call in 0..30 {
        let servers = servers.clone();
        answers.spawn(async move {
            sleep(Duration::from_secs(call)).await;
            text(&servers).await
        });
    }
    sleep(Duration::from_secs(20)).await;
    // Others' answers come in all the time.
    for _ in 0..10 {
        tokio::time::timeout(Duration::from_secs(3), text(&servers)).await.unwrap_err();
        assert_eq!(servers.status()[0].out, None);
    }
}

/// Whole answers take long, and nothing is heard of the server meanwhile.
#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_before_the_usual_time_speaks_for_itself_alone() {
    let servers = Servers::balance([("slow", Switched::new("slow", 10_000))]).unwrap();
    text(&servers).await.unwrap();
    let mut answers = JoinSet::new();
    for _ in 0..5 {
        let servers = servers.clone();
        answers.spawn(async move { text(&servers).await });
    }
    tokio::time::timeout(Duration::from_secs(3), text(&servers)).await.unwrap_err();
    assert_eq!(servers.status()[0].out, None);
    assert!(answers.join_all().await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn an_error_after_failures_names_the_servers_and_what_each_did() {
    let hung = || Replica::new("hung", Way::Silent);
    let servers = Servers::failover([("gpu1", hung()), ("gpu2", hung())]).unwrap();
    let service = stack(servers);
    let error = ask(&service, Kind::Whole).await.unwrap_err();
    let line = error.to_string();
    assert!(line.contains("server gpu2") && line.contains("6 attempts"), "{line}");
    let whole = format!("{error:#}");
    for attempt in
        ["attempt 0: gpu1: first-event timeout: no answer within 5s", "attempt 5: gpu2: first-event"]
    {
        assert!(whole.contains(attempt), "{whole}");
    }
    let report = serde_json::to_value(error.report()).unwrap();
    assert_eq!(report["attempts"][0]["server"], "gpu1");
}
