//! A micro bench of the choice among 16 servers, without a call: `cargo bench -p oa-bench --bench servers`.
//! It fails if a choice allocates. Reading the clock, which every choice does once, is shown for comparison.

#[path = "../src/alloc.rs"]
#[allow(dead_code, reason = "only the count is used")]
mod alloc;

use oa_middleware::{AffinityKey, Servers};
use oa_wire::{Completion, CompletionRequest, Error, Message};
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
    let text = "x".repeat(200);
    let plain = CompletionRequest::new([Message::system("Be brief."), Message::user(text)]);
    let mut keyed = plain.clone();
    keyed.extensions.insert(AffinityKey::new("session"));
    let list = || (0..16).map(|server| (format!("server-{server}"), Idle));
    let rising = Servers::affinity([("server", Idle)]);
    let cases = [
        ("failover", Servers::failover(list()), &plain),
        ("balance", Servers::balance(list()), &plain),
        ("affinity, key given", Servers::affinity(list()), &keyed),
        ("affinity, key hashed", Servers::affinity(list()), &plain),
        ("affinity, shares rising", rising, &keyed),
    ];
    alloc::count(true);
    println!("{:<24} {:>8} {:>12}", "case", "ns", "allocations");
    for (name, servers, request) in cases {
        let servers = servers.unwrap_or_else(|error| panic!("{error}"));
        if servers.status().len() == 1 {
            for (name, server) in list().skip(1) {
                servers.add(name, server);
            }
        }
        let (mut least, mut allocations) = (f64::INFINITY, 0);
        for _ in 0..25 {
            const TIMES: u32 = 20_000;
            let (before, start) = (alloc::counted().0, Instant::now());
            for _ in 0..TIMES {
                black_box(servers.route(black_box(request)));
            }
            least = least.min(start.elapsed().as_nanos() as f64 / f64::from(TIMES));
            allocations += alloc::counted().0 - before;
        }
        println!("{name:<24} {least:>8.0} {allocations:>12}");
        assert_eq!(allocations, 0, "{name}: a choice allocates");
    }
    let (mut least, mut start) = (f64::INFINITY, Instant::now());
    for _ in 0..20_000 {
        let now = Instant::now();
        least = least.min((now - start).as_nanos() as f64);
        start = now;
    }
    println!("{:<24} {least:>8.0}", "the clock");
}
