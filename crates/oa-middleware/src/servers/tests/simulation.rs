//! A seeded simulation of conversations over replicas with prompt caches: how much is prefilled, and how the
//! load is spread, by policy. Its table is in the documentation of [`Servers`].

use super::*;
use crate::{servers::prompt, testing::response};
use oa_wire::Message;
use std::{
    collections::VecDeque,
    future::pending,
    sync::{Mutex, atomic::AtomicU64},
};

const CONVERSATIONS: usize = 64;
const TURNS: usize = 20;
const AT_ONCE: usize = 16;

/// Bytes of a prompt that a replica reads in a second.
const PREFILL: f64 = 20_000.0;

/// A replica: it answers after the prefill of what is not in its cache, and a second or so of writing.
#[derive(Clone)]
struct Replica(Arc<State>);

struct State {
    /// Conversations and the bytes of their prompts, the latest last.
    cache: Mutex<VecDeque<(String, u64)>>,
    room: u64,
    prompted: AtomicU64,
    prefilled: AtomicU64,
    answered: AtomicU64,
    running: AtomicUsize,
    random: Random,
    condition: Mutex<Condition>,
}

#[derive(Clone, Copy, PartialEq)]
enum Condition {
    Well,
    /// So many times as slow.
    Slow(f64),
    /// It refuses connections.
    Dead,
    /// It takes calls and never answers.
    Hung,
}

impl Replica {
    fn new(room: u64, seed: u64) -> Self {
        Self(Arc::new(State {
            cache: Mutex::default(),
            room,
            prompted: AtomicU64::new(0),
            prefilled: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            random: Random::seeded(seed),
            condition: Mutex::new(Condition::Well),
        }))
    }

    fn set(&self, condition: Condition) {
        *self.0.condition.lock().unwrap() = condition;
        if condition == Condition::Dead {
            self.0.cache.lock().unwrap().clear();
        }
    }
}

impl State {
    /// Takes a prompt into the cache; the bytes that were not there.
    fn prefill(&self, conversation: String, bytes: u64) -> u64 {
        let mut cache = self.cache.lock().unwrap();
        let place = cache.iter().position(|(cached, _)| *cached == conversation);
        let cached = place.and_then(|place| cache.remove(place)).map_or(0, |(_, bytes)| bytes);
        cache.push_back((conversation, bytes));
        while cache.len() > 1 && cache.iter().map(|(_, bytes)| bytes).sum::<u64>() > self.room {
            cache.pop_front();
        }
        bytes.saturating_sub(cached)
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
        struct Running(Arc<State>);
        impl Drop for Running {
            fn drop(&mut self) {
                self.0.running.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let state = self.0.clone();
        Box::pin(async move {
            let condition = *state.condition.lock().unwrap();
            let pace = match condition {
                Condition::Well => 1.0,
                Condition::Slow(pace) => pace,
                Condition::Dead => return Err(down()),
                Condition::Hung => pending().await,
            };
            state.running.fetch_add(1, Ordering::SeqCst);
            let running = Running(state.clone());
            let bytes = prompt::load(&request) - prompt::EACH_CALL;
            let Message::User { content: oa_wire::UserContent::Text(first), .. } = &request.messages()[0]
            else {
                panic!("no user message");
            };
            let new = state.prefill(first.clone(), bytes);
            state.prompted.fetch_add(bytes, Ordering::SeqCst);
            state.prefilled.fetch_add(new, Ordering::SeqCst);
            let others = state.running.load(Ordering::SeqCst) as f64;
            let writing = (0.5 + state.random.next_f64()) * (1.0 + 0.05 * others);
            sleep(Duration::from_secs_f64((new as f64 / PREFILL + writing) * pace)).await;
            if *state.condition.lock().unwrap() == Condition::Dead {
                return Err(down());
            }
            drop(running);
            state.answered.fetch_add(1, Ordering::SeqCst);
            Ok(Completion::Response(Box::new(response("x"))))
        })
    }
}

/// What conversations are like. Lengths are in bytes, from the least to the most.
#[derive(Clone)]
struct Talk {
    first: std::ops::Range<u64>,
    turn: std::ops::Range<u64>,
    /// The time between an answer and the next question.
    thinking: Duration,
}

const USUAL: Talk = Talk { first: 800..8000, turn: 200..1400, thinking: Duration::ZERO };

/// One conversation: each turn's prompt holds all turns before it.
async fn converse(servers: Servers<Replica>, number: usize, random: Random, talk: Talk) -> usize {
    let text = |length: &std::ops::Range<u64>| {
        "x".repeat((length.start + random.next_u64() % (length.end - length.start)) as usize)
    };
    let mut request = CompletionRequest::new([Message::user(format!("{number} {}", text(&talk.first)))]);
    let mut lost = 0;
    for _ in 0..TURNS {
        lost += usize::from(servers.clone().oneshot(request.clone()).await.is_err());
        request
            .messages_mut()
            .extend([Message::assistant(text(&talk.turn)), Message::user(text(&talk.turn))]);
        sleep(talk.thinking).await;
    }
    lost
}

/// All conversations, so many at once; the calls that were lost.
async fn converse_all(servers: &Servers<Replica>, seed: u64, talk: &Talk) -> usize {
    let random = Random::seeded(seed);
    let mut left: VecDeque<_> = (0..CONVERSATIONS).collect();
    let mut running = JoinSet::new();
    let mut lost = 0;
    loop {
        while running.len() < AT_ONCE {
            let Some(number) = left.pop_front() else { break };
            let random = Random::seeded(random.next_u64());
            running.spawn(converse(servers.clone(), number, random, talk.clone()));
        }
        match running.join_next().await {
            Some(ended) => lost += ended.unwrap(),
            None => return lost,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Policy {
    Balance,
    Affinity,
    /// Affinity without a bound.
    Hash,
}

fn servers(policy: Policy, replicas: &[Replica], seed: u64) -> Servers<Replica> {
    let named = replicas.iter().enumerate().map(|(at, replica)| (name(at), replica.clone()));
    let servers = match policy {
        Policy::Balance => Servers::balance(named),
        Policy::Affinity => Servers::affinity(named),
        Policy::Hash => Servers::affinity(named).map(|servers| servers.bound(f64::INFINITY)),
    };
    servers.unwrap().seed(seed).first_event_timeout(Duration::from_secs(30))
}

fn name(at: usize) -> String {
    format!("replica-{at}")
}

fn replicas(count: usize, room: u64, seed: u64) -> Vec<Replica> {
    (0..count).map(|at| Replica::new(room, seed + at as u64)).collect()
}

/// The part of the prompts' bytes that was prefilled, and the greatest load by the mean.
fn shares(replicas: &[Replica]) -> (f64, f64) {
    let sum = |of: fn(&State) -> &AtomicU64| {
        replicas.iter().map(|replica| of(&replica.0).load(Ordering::SeqCst)).sum::<u64>() as f64
    };
    let prompted = sum(|state| &state.prompted);
    let most = replicas.iter().map(|replica| replica.0.prompted.load(Ordering::SeqCst)).max().unwrap() as f64;
    (sum(|state| &state.prefilled) / prompted, most * replicas.len() as f64 / prompted)
}

const SEEDS: u64 = 4;
const ENDLESS: u64 = u64::MAX;
/// Room for six conversations near their end.
const SMALL: u64 = 6 * 30_000;

async fn mean(policy: Policy, count: usize, room: u64) -> (f64, f64) {
    let (mut prefilled, mut most) = (0.0, 0.0);
    for seed in 0..SEEDS {
        let replicas = replicas(count, room, seed << 8);
        assert_eq!(converse_all(&servers(policy, &replicas, seed), seed, &USUAL).await, 0);
        let (share, load) = shares(&replicas);
        prefilled += share / SEEDS as f64;
        most += load / SEEDS as f64;
    }
    (prefilled, most)
}

#[tokio::test(start_paused = true)]
async fn affinity_prefills_little_and_spreads_the_load() {
    let (one, _) = mean(Policy::Affinity, 1, ENDLESS).await;
    println!("one server: {:.1} %", one * 100.0);
    assert!((0.08..0.1).contains(&one), "{one}");
    for (room, caches) in [(ENDLESS, "endless"), (SMALL, "small")] {
        for count in [2, 4, 8] {
            let balance = mean(Policy::Balance, count, room).await;
            let affinity = mean(Policy::Affinity, count, room).await;
            let hash = mean(Policy::Hash, count, room).await;
            for (name, (prefilled, most)) in [("balance", balance), ("affinity", affinity), ("hash", hash)] {
                println!("{caches} {count} {name}: prefilled {:.1} %, most {most:.2}", prefilled * 100.0);
            }
            assert!(affinity.1 < 1.3 && affinity.1 < hash.1, "{affinity:?} {hash:?}");
            if (room, count) == (SMALL, 2) {
                // What is under way does not fit into the caches: no policy helps.
                assert!(
                    affinity.0 < balance.0 * 1.1 && affinity.0 < hash.0,
                    "{affinity:?} {balance:?} {hash:?}"
                );
            } else {
                assert!(affinity.0 < one * 1.3 && affinity.0 < balance.0, "{affinity:?} {balance:?}");
            }
        }
    }
}

/// The greatest load by the least, of conversations of this kind.
async fn spread(replicas: &[Replica], seed: u64, talk: &Talk) -> f64 {
    let servers = servers(Policy::Affinity, replicas, seed);
    assert_eq!(converse_all(&servers, seed, talk).await, 0);
    let loads = replicas.iter().map(|replica| replica.0.prompted.load(Ordering::SeqCst));
    loads.clone().max().unwrap() as f64 / loads.min().unwrap() as f64
}

/// While people think nothing is under way: what is says little about how many conversations a server has.
#[tokio::test(start_paused = true)]
async fn conversations_are_spread_also_where_little_is_under_way() {
    let talk = Talk { thinking: Duration::from_secs(10), ..USUAL };
    for (count, at_most) in [(2, 1.25), (4, 1.4)] {
        for seed in 0..8 {
            let ratio = spread(&replicas(count, ENDLESS, seed << 8), seed, &talk).await;
            println!("{count} servers, seed {seed}: {ratio:.2}");
            assert!(ratio < at_most, "{count} servers, seed {seed}: {ratio}");
        }
    }
}

/// A peak at a server sends calls elsewhere, and does not take its conversations from it.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_a_little_slower_keeps_its_conversations() {
    let talk = Talk { first: 200..400, turn: 20..80, ..USUAL };
    for seed in 0..8 {
        let replicas = replicas(2, ENDLESS, seed << 8);
        replicas[0].set(Condition::Slow(1.2));
        let ratio = spread(&replicas, seed, &talk).await;
        let (prefilled, _) = shares(&replicas);
        println!("seed {seed}: {ratio:.2}, prefilled {:.1} %", prefilled * 100.0);
        assert!(ratio < 1.25 && prefilled < 0.1, "seed {seed}: {ratio}, {prefilled}");
    }
}

/// Whether the replica is in the set from the beginning, and what becomes of it when.
struct Situation {
    name: &'static str,
    is_member: bool,
    changes: &'static [(u64, Option<Condition>)],
    /// From when to when its part of the load is measured, in seconds.
    window: (u64, u64),
    /// What its part is by the mean, in the window.
    part: std::ops::Range<f64>,
}

const SITUATIONS: [Situation; 5] = [
    Situation {
        name: "slow",
        is_member: true,
        changes: &[(0, Some(Condition::Slow(4.0)))],
        window: (10, 100),
        part: 0.0..0.7,
    },
    Situation {
        name: "dead",
        is_member: true,
        changes: &[(20, Some(Condition::Dead))],
        window: (25, 100),
        part: 0.0..0.01,
    },
    Situation {
        name: "hung",
        is_member: true,
        changes: &[(20, Some(Condition::Hung))],
        window: (25, 100),
        part: 0.0..0.01,
    },
    Situation {
        name: "returning",
        is_member: true,
        changes: &[(10, Some(Condition::Dead)), (40, Some(Condition::Well))],
        window: (75, 105),
        part: 0.8..1.3,
    },
    // None: it is added.
    Situation { name: "added", is_member: false, changes: &[(30, None)], window: (65, 95), part: 0.8..1.3 },
];

/// The calls that were lost, the part that was prefilled, and the replica's part of the load in the window.
async fn run(situation: &Situation, policy: Policy, count: usize, room: u64, seed: u64) -> (usize, f64, f64) {
    let replicas = replicas(count, room, seed << 8);
    let changing = replicas[0].clone();
    let members = &replicas[usize::from(!situation.is_member)..];
    let servers = servers(policy, members, seed);
    let script = async {
        let start = tokio::time::Instant::now();
        for &(at, change) in situation.changes {
            tokio::time::sleep_until(start + Duration::from_secs(at)).await;
            match change {
                Some(condition) => changing.set(condition),
                None => assert!(servers.add("added", changing.clone())),
            }
        }
        let mut readings = Vec::new();
        for at in [situation.window.0, situation.window.1] {
            tokio::time::sleep_until(start + Duration::from_secs(at)).await;
            let prompted = |replica: &Replica| replica.0.prompted.load(Ordering::SeqCst);
            readings.push(replicas.iter().map(prompted).collect::<Vec<_>>());
        }
        let new: Vec<u64> =
            readings[1].iter().zip(&readings[0]).map(|(after, before)| after - before).collect();
        new[0] as f64 * count as f64 / new.iter().sum::<u64>() as f64
    };
    let (lost, part) = tokio::join!(converse_all(&servers, seed, &USUAL), script);
    (lost, shares(&replicas).0, part)
}

#[tokio::test(start_paused = true)]
async fn no_call_is_lost_whatever_becomes_of_one_replica() {
    for situation in &SITUATIONS {
        for policy in [Policy::Affinity, Policy::Balance] {
            for (count, room) in [(2, ENDLESS), (4, SMALL), (8, ENDLESS)] {
                let (mut lost, mut prefilled, mut part) = (0, 0.0, 0.0);
                for seed in 0..SEEDS {
                    let (one_lost, one_prefilled, one_part) = run(situation, policy, count, room, seed).await;
                    lost += one_lost;
                    prefilled += one_prefilled / SEEDS as f64;
                    part += one_part / SEEDS as f64;
                }
                let case = format!("{} {policy:?} {count} {}", situation.name, room == SMALL);
                println!("{case}: lost {lost}, prefilled {:.1} %, part {part:.2}", prefilled * 100.0);
                assert_eq!(lost, 0, "{case}");
                assert!(situation.part.contains(&part), "{case}: {part}");
                let most = if policy == Policy::Affinity { 0.14 } else { 0.7 };
                assert!(prefilled < most, "{case}: {prefilled}");
            }
        }
    }
}
