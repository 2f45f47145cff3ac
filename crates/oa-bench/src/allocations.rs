//! The allocations of a call and of an event, counted over a real socket.
#![allow(clippy::unwrap_used)]

use crate::alloc;
use oa_provider::{OpenAiProvider, Provider};
use oa_sim::{Answer, Sim};
use oa_wire::{CompletionRequest, Message};
use std::sync::{Mutex, PoisonError};

const CALL: f64 = 25.0;
const EVENT: f64 = 0.15;

/// Counting is switched on for the whole process: one test at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The allocations of `call` in this thread. The simulator runs in another one.
async fn counted<T>(call: impl Future<Output = T>) -> u64 {
    let before = alloc::counted_here();
    alloc::count(true);
    call.await;
    alloc::count(false);
    alloc::counted_here() - before
}

fn request() -> CompletionRequest {
    CompletionRequest::new([Message::system("Be brief."), Message::user("The capital of France?")])
}

#[test]
fn a_small_call_allocates_little() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let sim = Sim::builder().script([Answer::completion("Paris.").forever()]).start_blocking().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").build().unwrap();
        let request = request();
        for _ in 0..5 {
            provider.complete(&request).await.unwrap();
        }
        let calls = 20;
        let count = counted(async {
            for _ in 0..calls {
                provider.complete(&request).await.unwrap();
            }
        })
        .await;
        let each = count as f64 / f64::from(calls);
        println!("{each:.2} allocations a call");
        assert!(each <= CALL, "{each:.2} allocations a call");
    });
}

#[test]
fn an_event_allocates_next_to_nothing() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let streamed = |events: usize| Answer::streamed((0..events).map(|at| format!(" word{}", at % 10)));
    let (few, many) = (100, 2100);
    let script = [streamed(few), streamed(few), streamed(many)];
    let sim = Sim::builder().script(script).start_blocking().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").build().unwrap();
        let request = request();
        let read = async || {
            let mut stream = provider.stream(&request).await.unwrap();
            while let Some(event) = stream.next().await {
                event.unwrap();
            }
        };
        read().await;
        let short = counted(read()).await;
        let long = counted(read()).await;
        let each = long.saturating_sub(short) as f64 / (many - few) as f64;
        println!("{each:.3} allocations an event");
        assert!(each <= EVENT, "{each:.3} allocations an event: {short} for {few}, {long} for {many}");
    });
}
