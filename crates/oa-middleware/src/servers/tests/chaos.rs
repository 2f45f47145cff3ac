//! A thousand seeded outages over a changing set of servers, in none of which an invariant may break.

use super::*;
use crate::{
    Backoff, CallContext, CollectStream, Stack, StackService,
    servers::{pick::LITTLE, prompt},
};
use oa_wire::{
    CompletionStream, Event, EventSource, FinishReason, Profile, Response, RetryAfter, RetryAfterSource,
};
use std::{
    future::pending,
    sync::{Mutex, OnceLock},
};
use tokio::time::Instant;
use tower::retry::budget::Budget;

const SERVERS: usize = 5;
const CALLERS: usize = 6;
const CALLS: usize = 4;
const HEDGE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Well,
    Dead,
    Silent,
    Breaks,
    Stalls,
    Busy(u64),
    WrongKey,
    Loading,
}

/// What is true of the servers, and what has broken.
struct World {
    random: Random,
    servers: OnceLock<Servers<Node>>,
    /// Of each server: whether it is in the set, how it is, and since when both have been so.
    nodes: Mutex<[(bool, Way, Instant); SERVERS]>,
    checks_bound: bool,
    broken: Mutex<Vec<String>>,
    /// So many retries and hedges in all.
    tokens: AtomicUsize,
    hedges: AtomicUsize,
}

impl Budget for World {
    fn deposit(&self) {}

    fn withdraw(&self) -> bool {
        self.tokens.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}

impl World {
    fn breaks(&self, invariant: String) {
        self.broken.lock().unwrap().push(invariant);
    }

    /// A server that is in the set and well, and has been since then.
    fn well_since(&self, then: Instant, at: usize) -> bool {
        let (is_member, way, since) = self.nodes.lock().unwrap()[at];
        is_member && way == Way::Well && since <= then
    }

    /// The bound on load, by what the set shows while a call begins.
    fn check_bound(&self, chosen: &str, load: u64) {
        let Some(servers) = self.servers.get() else { return };
        let status: Vec<_> = servers.status().into_iter().filter(|server| server.out.is_none()).collect();
        let all: u64 = status.iter().map(|server| server.load).sum();
        let parts: f64 = status.iter().map(|server| server.weight * server.share).sum();
        let within = |server: &ServerStatus| {
            let before = server.load - if server.name == chosen { load } else { 0 };
            let most = 1.25 * all as f64 * server.weight * server.share / parts;
            before <= LITTLE || before as f64 <= most + 1.0
        };
        let Some(server) = status.iter().find(|server| server.name == chosen) else { return };
        if !within(server) && status.iter().any(within) {
            self.breaks(format!("{chosen} is beyond the bound: {status:?}"));
        }
    }
}

#[derive(Clone)]
struct Node {
    at: usize,
    world: Arc<World>,
}

impl Service<CompletionRequest> for Node {
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let (at, world) = (self.at, self.world.clone());
        let (is_member, way, _) = world.nodes.lock().unwrap()[at];
        if !is_member {
            world.breaks(format!("a call to server {at}, which was removed"));
        }
        let context = CallContext::of(&request).unwrap();
        let is_first = context.attempt() == 0 && (0..SERVERS).all(|at| !context.has_failed(&name(at)));
        if world.checks_bound && is_first {
            world.check_bound(&name(at), prompt::load(&request));
        }
        Box::pin(async move {
            sleep(Duration::from_secs_f64(world.random.next_f64() * 0.8)).await;
            let error = |category| Err(Error::new(category, "chaos"));
            match way {
                Way::Well | Way::Breaks | Way::Stalls if request.stream => {
                    Ok(Completion::Stream(CompletionStream::new(Flow { way, events: 0 })))
                }
                Way::Well => Ok(Completion::Response(Box::new(crate::testing::response("ok")))),
                Way::Dead | Way::Breaks => error(Category::Unavailable),
                Way::Silent | Way::Stalls => pending().await,
                Way::Busy(seconds) => {
                    let wait = RetryAfter::new(Duration::from_secs(seconds), RetryAfterSource::Seconds);
                    Err(Error::new(Category::RateLimit, "busy").with_retry_after(Some(wait)))
                }
                Way::WrongKey => error(Category::Authentication),
                Way::Loading => error(Category::ModelNotLoaded),
            }
        })
    }
}

struct Flow {
    way: Way,
    events: u32,
}

impl EventSource for Flow {
    fn poll_event(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        self.events += 1;
        Poll::Ready(Some(match (self.events, self.way) {
            (1 | 2, _) => Ok(Event::Content("x".into())),
            (_, Way::Stalls) => return Poll::Pending,
            (_, Way::Breaks) => Err(Error::new(Category::Unavailable, "cut off")),
            _ => Ok(Event::Done(Box::new(crate::testing::response("ok")))),
        }))
    }

    fn snapshot(&self) -> Response {
        Response::new(oa_wire::AssistantMessage::default(), FinishReason::Error)
    }
}

fn name(at: usize) -> String {
    format!("server-{at}")
}

/// Changes one server: how it is, or whether it is in the set.
fn change(world: &Arc<World>, servers: &Servers<Node>) {
    let random = &world.random;
    let at = random.below(SERVERS);
    let mut nodes = world.nodes.lock().unwrap();
    let (is_member, way, since) = &mut nodes[at];
    if random.below(4) == 0 {
        *is_member = !*is_member;
        if *is_member {
            assert!(servers.add(name(at), Node { at, world: world.clone() }));
        } else {
            assert!(servers.remove(&name(at)));
        }
        *since = Instant::now();
        return;
    }
    let new = match random.below(10) {
        0 | 1 => Way::Dead,
        2 => Way::Silent,
        3 => Way::Breaks,
        4 => Way::Stalls,
        5 => Way::Busy(1 + random.next_u64() % 9),
        6 => Way::WrongKey,
        7 => Way::Loading,
        _ => Way::Well,
    };
    if new != *way {
        (*way, *since) = (new, Instant::now());
    }
}

#[derive(Debug, Default)]
struct Tally {
    answered: u32,
    lost: u32,
    hedges: usize,
    failovers: usize,
}

/// The calls of one caller, one after the other.
async fn call(
    caller: usize,
    service: StackService<Servers<Node>>,
    servers: Servers<Node>,
    world: Arc<World>,
) -> Tally {
    let mut tally = Tally::default();
    for call in 0..CALLS {
        let started = Instant::now();
        let in_rotation: Vec<usize> = (0..SERVERS)
            .filter(|&at| {
                let status = servers.status();
                status.iter().any(|server| server.name == name(at) && server.out.is_none())
            })
            .collect();
        let text = format!("{caller} {}", "x".repeat(world.random.below(50_000)));
        let log = AttemptLog::default();
        let mut request = CompletionRequest::new([oa_wire::Message::user(text)]).with_stream(call % 2 == 0);
        request.extensions.insert(CollectStream::new());
        request.extensions.insert(log.clone());
        match service.clone().oneshot(request).await {
            Ok(answer) => {
                answer.into_response().await.unwrap();
                tally.answered += 1;
            }
            Err(error) => {
                tally.lost += 1;
                let able = in_rotation.into_iter().find(|&at| world.well_since(started, at));
                let is_paid = world.tokens.load(Ordering::SeqCst) > 0;
                if let Some(able) = able.filter(|_| is_paid) {
                    world.breaks(format!("lost, though server {able} was well: {error:#}"));
                }
            }
        }
        tally.failovers += log.attempts().len();
        sleep(Duration::from_millis(world.random.next_u64() % 3000)).await;
    }
    tally
}

async fn outage(seed: u64, tally: &mut Tally) {
    let random = Random::seeded(seed);
    let choice = [ServerChoice::Failover, ServerChoice::Balance, ServerChoice::Affinity][random.below(3)];
    let is_hedged = random.below(3) == 0;
    // Some outages must not end for want of retries, others show that hedges stop.
    let tokens = if random.below(2) == 0 { usize::MAX } else { random.below(6) };
    let world = Arc::new(World {
        servers: OnceLock::new(),
        nodes: Mutex::new([(true, Way::Well, Instant::now()); SERVERS]),
        checks_bound: choice == ServerChoice::Affinity && !is_hedged,
        broken: Mutex::default(),
        tokens: AtomicUsize::new(tokens),
        hedges: AtomicUsize::new(0),
        random,
    });
    let mut servers = Servers::empty(choice).seed(seed).slow_start(Duration::from_secs(3)).on_change({
        let world = world.clone();
        move |event| {
            if let ServerEvent::Hedged { .. } = event {
                world.hedges.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    if is_hedged {
        servers = servers.hedge(Hedge::after(HEDGE));
    }
    for at in 0..SERVERS {
        servers.add(name(at), Node { at, world: world.clone() });
    }
    assert!(world.servers.set(servers.clone()).is_ok());
    let retry = RetryLayer::new(RetryPolicy::new().max_attempts(4).backoff(Backoff::fixed(Duration::ZERO)));
    let service = Stack::new(&Profile::new("m"))
        .retry_layer(retry.budget(world.clone()))
        .first_event_timeout(Duration::from_secs(5))
        .idle_timeout(Duration::from_secs(3))
        .layer(servers.clone());

    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (service, servers, world) = (service.clone(), servers.clone(), world.clone());
        callers.spawn(call(caller, service, servers, world));
    }
    while !callers.is_empty() {
        for _ in 0..world.random.below(4) {
            change(&world, &servers);
        }
        sleep(Duration::from_millis(world.random.next_u64() % 3000)).await;
        while let Some(ended) = callers.try_join_next() {
            let ended = ended.unwrap();
            tally.answered += ended.answered;
            tally.lost += ended.lost;
            tally.failovers += ended.failovers;
        }
    }
    let hedges = world.hedges.load(Ordering::SeqCst);
    assert!(hedges <= tokens, "seed {seed}: {hedges} hedges for {tokens}");
    let broken = world.broken.lock().unwrap();
    assert!(broken.is_empty(), "seed {seed}, {choice:?}: {broken:#?}");
    // Whatever ended early has given its place back.
    let left: Vec<_> =
        servers.status().into_iter().filter(|server| server.calls + server.load as usize > 0).collect();
    assert!(left.is_empty(), "seed {seed}: {left:?}");
    tally.hedges += hedges;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_outages_of_a_changing_set_break_no_invariant() {
    let mut tally = Tally::default();
    for seed in 0..1000 {
        outage(seed, &mut tally).await;
    }
    // The outages are of every kind, or they prove nothing.
    println!("{tally:?}");
    assert!(tally.answered > 10_000 && tally.lost > 100, "{tally:?}");
    assert!(tally.hedges > 250 && tally.failovers > 5000, "{tally:?}");
}
