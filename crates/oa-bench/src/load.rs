//! The load: so many callers, so many calls.

use crate::{
    alloc,
    args::{Args, Mode},
    client::Client,
    machine::{cpu_us, memory_kb},
    report::Report,
    sink::Sink,
    total::Total,
};
use oa_provider::{OpenAiProvider, Provider};
use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// `wrap` puts around the provider what is to be measured.
pub(crate) async fn measure<P: Provider + 'static>(
    args: Args,
    wrap: fn(OpenAiProvider) -> P,
) -> Result<String, Box<dyn Error>> {
    let warming = args.warming();
    if args.warmup > 0 && warming.model != args.model {
        run(&Arc::new(Client::new(&warming, wrap)?), &warming, args.warmup, None).await?;
    }
    let client = Arc::new(Client::new(&args, wrap)?);
    if args.warmup > 0 && warming.model == args.model {
        run(&client, &args, args.warmup, None).await?;
    }
    let before = memory_kb("VmRSS");
    let begun = Arc::new(AtomicU64::new(0));
    let held = (args.mode == Mode::Hold).then(|| tokio::spawn(held(begun.clone(), args.concurrency as u64)));
    alloc::count(args.count_alloc);
    let (user, system) = cpu_us();
    let start = Instant::now();
    let total = run(&client, &args, args.requests, Some(begun)).await?;
    let wall = start.elapsed();
    let (user_after, system_after) = cpu_us();
    let peak = memory_kb("VmHWM");
    alloc::count(false);
    let held = match held {
        Some(held) => held.await?,
        None => 0,
    };
    let report = Report {
        wall,
        user_us: user_after - user,
        system_us: system_after - system,
        memory_before: before,
        memory_held: held,
        memory_peak: peak,
    };
    Ok(report.line(&args, total))
}

/// The memory when all streams have begun and have come to rest.
async fn held(begun: Arc<AtomicU64>, streams: u64) -> u64 {
    while begun.load(Relaxed) < streams {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    memory_kb("VmRSS")
}

async fn run<P: Provider + 'static>(
    client: &Arc<Client<P>>,
    args: &Args,
    requests: u64,
    begun: Option<Arc<AtomicU64>>,
) -> Result<Total, Box<dyn Error>> {
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..args.concurrency {
        let (client, next, begun) = (client.clone(), next.clone(), begun.clone());
        let stamps = args.mode == Mode::Paced;
        callers.spawn(async move {
            let mut total = Total::default();
            while next.fetch_add(1, Relaxed) < requests {
                let mut sink = Sink { stamps, begun: begun.clone(), ..Sink::default() };
                let start = Instant::now();
                if let Err(error) = client.call(&mut sink).await {
                    total.errors += 1;
                    total.last_error = error.to_string();
                }
                total.latencies.push(start.elapsed().as_nanos() as u64);
                total.firsts.extend(sink.first.map(|first| (first - start).as_nanos() as u64));
                total.sink.add(&mut sink);
            }
            total
        });
    }
    let mut all = Total::default();
    while let Some(total) = callers.join_next().await {
        let mut total = total?;
        all.sink.add(&mut total.sink);
        all.latencies.append(&mut total.latencies);
        all.firsts.append(&mut total.firsts);
        all.errors += total.errors;
        if !total.last_error.is_empty() {
            all.last_error = total.last_error;
        }
    }
    Ok(all)
}
