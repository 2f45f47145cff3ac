//! Tests of sets that change: servers are added, removed, discovered and hedged while calls run.

use super::*;
use oa_wire::CompletionStream;
use std::{collections::VecDeque, io, net::SocketAddr, sync::Mutex};
use tower::discover::{Change, ServiceList};
use tower::retry::budget::{Budget, TpsBudget};

fn names(servers: &Servers<Switched>) -> Vec<String> {
    servers.status().into_iter().map(|server| server.name).collect()
}

#[tokio::test(start_paused = true)]
async fn a_removed_server_gets_no_calls_and_its_streams_go_on() {
    let script = Script::new([Step::stream([(0, "x"), (5, "y")])]);
    let other = Script::new([Step::text("other")]);
    let servers = Servers::failover([("a", script.clone())]).unwrap();
    let answer = servers.clone().oneshot(request().with_stream(true)).await.unwrap();
    let Completion::Stream(stream) = answer else { panic!("no stream") };
    assert!(servers.add("b", other));
    assert!(servers.remove("a") && !servers.remove("a"));
    assert_eq!(text(&servers).await.unwrap(), "other");
    assert_eq!(CompletionStream::into_response(stream).await.unwrap().text(), "xy");
    assert_eq!(script.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_empty_set_is_unavailable_until_a_server_comes() {
    let servers = Servers::empty(ServerChoice::Affinity);
    let error = text(&servers).await.unwrap_err();
    assert_eq!((error.category(), error.is_transient()), (Category::Unavailable, true));
    assert!(servers.add("a", Switched::new("a", 1)));
    assert!(!servers.add("a", Switched::new("a", 1)), "a name is one server's");
    assert_eq!(text(&servers).await.unwrap(), "a");
    servers.remove("a");
    assert!(text(&servers).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_feed_of_tower_is_followed() {
    let servers = Servers::empty(ServerChoice::Balance);
    servers.follow(ServiceList::new([Switched::new("a", 1), Switched::new("b", 1)])).await.unwrap();
    assert_eq!(names(&servers), ["0", "1"]);
}

/// What each look-up finds.
fn resolver(
    answers: impl IntoIterator<Item = io::Result<Vec<&'static str>>>,
) -> impl FnMut() -> std::future::Ready<io::Result<Vec<SocketAddr>>> {
    let mut answers: VecDeque<_> = answers.into_iter().collect();
    move || {
        let found = answers.pop_front().unwrap_or_else(|| Err(io::Error::other("no such host")));
        std::future::ready(found.map(|found| found.into_iter().map(|text| text.parse().unwrap()).collect()))
    }
}

#[tokio::test(start_paused = true)]
async fn the_addresses_of_a_name_are_servers() {
    let (one, two, three) = ("127.0.0.1:8000", "127.0.0.2:8000", "127.0.0.3:8000");
    let resolve = resolver([
        Ok(vec![one, two]),
        Err(io::Error::other("a time-out")),
        Ok(vec![]),
        Ok(vec![two, three]),
        Ok(vec![two, three]),
        Ok(vec![three]),
        Ok(vec![two, three]),
    ]);
    let made = Arc::new(Mutex::new(Vec::new()));
    let feed = DnsDiscover::new(resolve, {
        let made = made.clone();
        move |address: SocketAddr| {
            made.lock().unwrap().push(address.to_string());
            Switched::new("pod", 1)
        }
    })
    .interval(Duration::from_secs(5));
    let servers = Servers::empty(ServerChoice::Affinity);
    let task = tokio::spawn({
        let servers = servers.clone();
        async move { servers.follow(feed).await }
    });
    let expected: [&[&str]; 8] = [
        &[one, two],
        &[one, two],
        &[one, two],
        // Missed once.
        &[one, two, three],
        &[two, three],
        &[two, three],
        &[two, three],
        &[two, three],
    ];
    sleep(Duration::from_millis(1)).await;
    for expected in expected {
        assert_eq!(names(&servers), expected);
        sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(*made.lock().unwrap(), [one, two, three], "each address is one service");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_in_the_feed_is_another_one() {
    let servers = Servers::failover([("a", Switched::new("old", 1))]).unwrap();
    let feed = futures_feed([Change::Insert("a", Switched::new("new", 1)), Change::Remove("b")]);
    servers.follow(feed).await.unwrap();
    assert_eq!(text(&servers).await.unwrap(), "new");
}

/// These changes, and the end.
fn futures_feed<K, S>(
    changes: impl IntoIterator<Item = Change<K, S>>,
) -> impl futures_core::Stream<Item = Result<Change<K, S>, std::convert::Infallible>> {
    struct Feed<K, S>(VecDeque<Change<K, S>>);
    impl<K, S> Unpin for Feed<K, S> {}
    impl<K, S> futures_core::Stream for Feed<K, S> {
        type Item = Result<Change<K, S>, std::convert::Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }
    Feed(changes.into_iter().collect())
}

#[tokio::test(start_paused = true)]
async fn a_hedge_takes_the_first_answer_and_drops_the_other() {
    let (slow, fast) = (Switched::new("slow", 60_000), Switched::new("fast", 100));
    let servers = Servers::failover([("slow", slow.clone()), ("fast", fast.clone())]).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let servers = servers.hedge(Hedge::after(Duration::from_secs(2))).on_change({
        let told = told.clone();
        move |event| told.lock().unwrap().push(format!("{event:?}"))
    });
    let start = tokio::time::Instant::now();
    for _ in 0..4 {
        assert_eq!(text(&servers).await.unwrap(), "fast");
    }
    assert_eq!(start.elapsed(), Duration::from_millis(4 * 2100));
    assert_eq!((slow.calls(), fast.calls()), (4, 4));
    assert_eq!(told.lock().unwrap()[0], r#"Hedged { first: "slow", second: "fast" }"#);
    // A server that lost is not a server that failed.
    assert!(servers.status().iter().all(|server| server.out.is_none() && server.calls == 0));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_of_two_failures_names_both() {
    let (a, b) = (Switched::new("a", 3000), Switched::new("b", 1));
    b.turn(false);
    let servers = Servers::failover([("a", a.clone()), ("b", b)]).unwrap();
    let servers = servers.hedge(Hedge::after(Duration::from_secs(2)));
    // The second fails at once; the first still answers.
    assert_eq!(text(&servers).await.unwrap(), "a");
    let hung = Switched::new("a", 60_000);
    let late = Script::new([Step::error(down()).after(1)]);
    let (hung, late) = (Either::Hung(hung), Either::Script(late));
    let servers = Servers::failover([("a", hung), ("b", late)]).unwrap();
    let servers =
        servers.hedge(Hedge::after(Duration::from_secs(2))).first_event_timeout(Duration::from_secs(5));
    let error = servers.oneshot(request()).await.unwrap_err();
    assert_eq!(
        chain(error.attempts()),
        ["b: failed: another server has the call", "a: not failed over: no other server is left"]
    );
}

#[derive(Clone)]
enum Either {
    Hung(Switched),
    Script(Script),
}

impl Service<CompletionRequest> for Either {
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        match self {
            Self::Hung(hung) => hung.call(request),
            Self::Script(script) => script.call(request),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hedges_stay_within_the_budget_of_the_retry_layer_outside() {
    let (slow, fast) = (Switched::new("slow", 5000), Switched::new("fast", 100));
    let servers = Servers::failover([("slow", slow), ("fast", fast.clone())]).unwrap();
    let servers = servers.hedge(Hedge::after(Duration::from_secs(1)));
    // Two hedges are paid; an answered call pays a tenth of one.
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 0, 0.1));
    (0..20).for_each(|_| budget.deposit());
    let service = RetryLayer::new(RetryPolicy::new()).budget(budget).layer(servers);
    let mut calls = JoinSet::new();
    for _ in 0..9 {
        calls.spawn(service.clone().oneshot(request()));
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(fast.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_key_is_told_and_takes_the_server_out() {
    let wrong = || Step::error(Error::new(Category::Authentication, "no such key"));
    let (a, b) = (Script::new([wrong(), Step::text("a")]), Script::new((0..3).map(|_| Step::text("b"))));
    let told = Arc::new(Mutex::new(Vec::new()));
    let servers = Servers::failover([("a", a.clone()), ("b", b.clone())]).unwrap().on_change({
        let told = told.clone();
        move |event| {
            if let ServerEvent::Out { server, reason, .. } = event {
                told.lock().unwrap().push(format!("{server}: {reason}"));
            }
        }
    });
    for _ in 0..3 {
        assert_eq!(text(&servers).await.unwrap(), "b");
    }
    assert_eq!(*told.lock().unwrap(), ["a: it refused the key"]);
    assert_eq!((a.calls(), servers.status()[0].out), (1, Some(OutReason::Authentication)));
    // One call tries it, a minute later.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(text(&servers).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn the_wait_of_a_server_is_time_out_of_rotation() {
    let wait = oa_wire::RetryAfter::new(Duration::from_secs(7), oa_wire::RetryAfterSource::Seconds);
    let busy = Error::new(Category::RateLimit, "busy").with_retry_after(Some(wait));
    let a = Script::new([Step::error(busy), Step::text("a")]);
    let b = Script::new((0..7).map(|_| Step::text("b")));
    let servers = Servers::failover([("a", a), ("b", b)]).unwrap();
    for _ in 0..7 {
        assert_eq!(text(&servers).await.unwrap(), "b");
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(text(&servers).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_elsewhere_does_not_hide_that_a_retry_would_help() {
    let a = Script::new([Step::error(down()), Step::text("a")]);
    let b = Script::new([Step::error(Error::new(Category::Authentication, "no such key"))]);
    let servers = Servers::failover([("a", a), ("b", b)]).unwrap();
    let service = RetryLayer::new(RetryPolicy::new()).layer(servers);
    let answer = service.oneshot(request()).await.unwrap();
    assert_eq!(answer.into_response().await.unwrap().text(), "a");
}
