//! A micro bench of the choice among 16 servers, without a call: `cargo bench -p oa-bench --bench servers`.
//! It fails if a choice allocates. Reading the clock, which every choice does once, is shown for comparison.
//! Instruction counts are steadier: `cargo xtask bench choose`.

#[path = "../src/alloc.rs"]
#[allow(dead_code, reason = "only the count is used")]
mod alloc;

use oa_middleware::{AffinityKey, ServerChoice, Servers, Stack};
use oa_wire::{
    AssistantMessage, Completion, CompletionRequest, Error, FinishReason, Message, Profile, Response,
};
use std::{
    future::{Ready, ready},
    hint::black_box,
    task::{Context, Poll},
    time::Instant,
};

/// A server that is never called.
#[derive(Clone)]
struct Idle;

impl tower_service::Service<CompletionRequest> for Idle {
    type Response = Completion;
    type Error = Error;
    type Future = Ready<Result<Completion, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: CompletionRequest) -> Self::Future {
        ready(Err(Error::invalid_request("nobody calls it")))
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |option: &str| words.iter().position(|word| word == option).and_then(|at| words.get(at + 1));
    let mut cases = cases();
    if let Some(name) = value("--exact") {
        cases.retain(|case| case.name == name);
    }
    if words.iter().any(|word| word == "--list") {
        for case in &cases {
            println!("{}", case.name);
        }
        return;
    }
    if let Some(iterations) = value("--iterations") {
        for case in &cases {
            case.times(iterations.parse().unwrap_or(1));
        }
        return;
    }
    alloc::count(true);
    println!("{:<32} {:>8} {:>12}", "case", "ns", "allocations");
    for case in cases {
        let (mut least, mut allocations) = (f64::INFINITY, 0);
        // Many short rounds: on a shared machine, some are not disturbed.
        for _ in 0..2000 {
            const TIMES: u32 = 200;
            let (before, start) = (alloc::counted().0, Instant::now());
            case.times(TIMES);
            least = least.min(start.elapsed().as_nanos() as f64 / f64::from(TIMES));
            allocations += alloc::counted().0 - before;
        }
        println!("{:<32} {least:>8.0} {allocations:>12}", case.name);
        assert_eq!(allocations, 0, "{}: a choice allocates", case.name);
    }
    stack_allocations();
    let (mut least, mut start) = (f64::INFINITY, Instant::now());
    for _ in 0..20_000 {
        let now = Instant::now();
        least = least.min((now - start).as_nanos() as f64);
        start = now;
    }
    println!("{:<32} {least:>8.0}", "the clock");
}

struct Case {
    name: &'static str,
    servers: Servers<Idle>,
    request: CompletionRequest,
}

impl Case {
    fn times(&self, times: u32) {
        for _ in 0..times {
            black_box(self.servers.route(black_box(&self.request)));
        }
    }
}

fn cases() -> Vec<Case> {
    let request =
        |text: &str| CompletionRequest::new([Message::system("Be brief."), Message::user(text.to_owned())]);
    let plain = request(&"x".repeat(200));
    let mut keyed = plain.clone();
    keyed.extensions.insert(AffinityKey::new("session"));
    let list = || (0..16).map(|server| (format!("server-{server}"), Idle));
    let case = |name, servers: Result<Servers<Idle>, Error>, request: &CompletionRequest| Case {
        name,
        servers: servers.unwrap_or_else(|error| panic!("{error}")),
        request: request.clone(),
    };
    let rising = Servers::empty(ServerChoice::Affinity);
    for (name, server) in list() {
        rising.add(name, server);
    }
    vec![
        case("choose/failover", Servers::failover(list()), &plain),
        case("choose/balance", Servers::balance(list()), &plain),
        case("choose/affinity-key-given", Servers::affinity(list()), &keyed),
        case("choose/affinity-key-hashed", Servers::affinity(list()), &plain),
        case("choose/affinity-16k-hashed", Servers::affinity(list()), &request(&"x".repeat(16 * 1024))),
        case("choose/affinity-shares-rising", Ok(rising), &keyed),
    ]
}

/// A server that answers at once.
#[derive(Clone)]
struct Answering;

impl tower_service::Service<CompletionRequest> for Answering {
    type Response = Completion;
    type Error = Error;
    type Future = Ready<Result<Completion, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: CompletionRequest) -> Self::Future {
        let response = Response::new(AssistantMessage::default(), FinishReason::Stop);
        ready(Ok(Completion::Response(Box::new(response))))
    }
}

/// Shows how many allocations the default stack adds to a call, by itself and around servers.
fn stack_allocations() {
    let stack = Stack::new(&Profile::new("m"));
    let servers =
        Servers::affinity([("a", Answering), ("b", Answering)]).unwrap_or_else(|error| panic!("{error}"));
    let bare = allocations(Answering);
    println!("{:<32} {:>21}", "the stack", allocations(stack.layer(Answering)) - bare);
    println!("{:<32} {:>21}", "servers", allocations(servers.clone()) - bare);
    println!("{:<32} {:>21}", "the stack and servers", allocations(stack.layer(servers)) - bare);
}

/// The allocations of one call.
fn allocations<S>(mut service: S) -> u64
where
    S: tower_service::Service<CompletionRequest, Response = Completion, Error = Error>,
{
    const CALLS: u64 = 100;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let request = CompletionRequest::new([Message::user("hi")]);
    runtime.block_on(async {
        let before = alloc::counted().0;
        for _ in 0..CALLS {
            let _ = std::future::poll_fn(|cx| service.poll_ready(cx)).await;
            let answer = service.call(request.clone()).await;
            assert!(answer.is_ok(), "{answer:?}");
        }
        (alloc::counted().0 - before) / CALLS
    })
}
