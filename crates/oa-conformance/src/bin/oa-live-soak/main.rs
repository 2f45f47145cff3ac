//! Many callers of two replicas for some minutes, with cancellations, pauses and restarts: no call is lost,
//! no connection is left, the memory is flat.
//!
//! ```text
//! oa-live-soak --url URL --url URL [--key KEY] [--minutes 2] [--seed N] [--callers 32] [--echo]
//! ```
//!
//! Whoever starts it owns the servers. A line `restart SERVER kill|term MILLISECONDS` of the output asks to
//! end a server (the first is 0) and to start it again after that time; a line `up` of the input says that
//! this is done. A line `counts` asks for the number of connections that are open at the servers, and of
//! requests that met a connection which the server had just closed; it is answered by a line with both
//! numbers, or by an empty one. All other lines are for people. It ends at once when the input ends.
//! `--echo` says that the servers repeat the last message.

mod callers;
mod random;
mod system;
mod watch;
mod world;

use oa_conformance::{args::Args, owner::Owner, replicas};
use oa_middleware::{OutReason, ServerEvent, ServerStatus, Servers, Stack};
use oa_provider::{Layered, OpenAiProvider, Provider};
use random::Random;
use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use system::{Figures, System};
use tokio::{
    select,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};
use watch::{Growth, IDLE, Watch};
use world::{Violation, World};

/// Both servers are up for so long between two restarts, in milliseconds.
const BETWEEN: (u64, u64) = (6_000, 14_000);
/// A server is down for so long, besides the time that it takes to end and to start.
const DOWN: (u64, u64) = (200, 3_000);
/// From the start of one pause of all callers to that of the next, and how long one is.
const PAUSES: (u64, u64) = (12_000, 20_000);
const PAUSE: (u64, u64) = (4_000, 6_000);
/// The time of the whole run that is left for its end: the last calls, and the connections that wait.
const END: Duration = Duration::from_secs(10);
/// No restart begins so shortly before the last call.
const QUIET: Duration = Duration::from_secs(10);
const REPORTED: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<bool, Box<dyn Error>> {
    let args = Args::of_process();
    let (count, minutes) = (args.number::<usize>("--callers", 32)?, args.number::<u64>("--minutes", 2)?);
    let is_echo = args.has("--echo");
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let seed: u64 = args.number("--seed", now % 1_000_000)?;
    println!("{count} callers for {minutes} minutes, seed {seed}");
    let world = Arc::new(World::new());
    let replicas = replicas::of(&args).await?;
    let port = |(url, _): &(String, OpenAiProvider)| url.rsplit(':').next().unwrap_or_default().parse();
    let ports = replicas.iter().map(port).collect::<Result<Vec<u16>, _>>()?;
    let any = replicas[0].1.clone();
    let servers = Servers::balance(replicas)?
        .seed(seed)
        .probe(|replica: OpenAiProvider| async move { replica.ready().await })
        .on_change({
            let world = Arc::clone(&world);
            move |change| match change {
                ServerEvent::Out { .. } => add(&world.counts.out),
                ServerEvent::Back { .. } => add(&world.counts.back),
                _ => {}
            }
        });
    let status = servers.clone();
    let stack = Stack::new(any.profile());
    let provider = Arc::new(Layered::new(stack.layer(servers), any));

    let watch = Watch::start(System::new(ports.clone()), Arc::clone(&world), count);
    let mut callers = JoinSet::new();
    for caller in 0..count {
        let random = Random(seed.wrapping_mul(1_000_003).wrapping_add(caller as u64));
        callers.spawn(callers::caller(Arc::clone(&provider), Arc::clone(&world), random, is_echo));
    }
    let mut owner = Owner::listen();
    let end = Instant::now() + Duration::from_secs(60 * minutes).saturating_sub(END);
    let done = schedule(&world, &mut owner, Random(seed), end, ports.len()).await?;

    world.ends.store(true, SeqCst);
    let all = timeout(Duration::from_secs(90), async { while callers.join_next().await.is_some() {} });
    if all.await.is_err() {
        world.violation("callers hang", &format!("{} of them", callers.len()));
    }
    // The connections that wait are closed by now, while the transport still stands.
    sleep(IDLE + Duration::from_secs(1)).await;
    let last = System::new(ports).figures();
    let samples = watch.end();
    let counted = owner.counts().await?;
    let growth = last.as_ref().map(|_| Growth::of(&samples));
    judge_end(&world, last.as_ref(), counted, growth.as_ref());
    judge_status(&world, &status.status());
    println!();
    for (name, value) in rows(&world, &done, counted) {
        println!("{name:<44} {value}");
    }
    for (name, value) in system_rows(&samples, last.as_ref(), counted, growth.as_ref()) {
        println!("{name:<44} {value}");
    }
    let violations = world.violations();
    for Violation { what, times, first } in &violations {
        println!("VIOLATED, {times} times: {what}; {first}");
    }
    if !violations.is_empty() {
        println!("seed {seed}");
    }
    drop(provider);
    Ok(violations.is_empty())
}

/// What was done to the servers and the callers.
#[derive(Default)]
struct Done {
    kills: usize,
    terms: usize,
    pauses: usize,
}

/// Restarts and pauses, until the time is over and no server is down.
async fn schedule(
    world: &World,
    owner: &mut Owner,
    mut random: Random,
    end: Instant,
    servers: usize,
) -> Result<Done, Box<dyn Error>> {
    let mut done = Done::default();
    let mut is_down = false;
    let now = Instant::now();
    let mut restart = now + random.between(BETWEEN.0, BETWEEN.1);
    let mut pause = now + random.between(PAUSES.0, PAUSES.1);
    let mut report = now + REPORTED;
    while is_down || Instant::now() < end {
        let mut next = pause.min(report);
        if !is_down {
            next = next.min(restart).min(end);
        }
        select! {
            () = sleep_until(next) => {}
            line = owner.line() => if line? == "up" {
                world.up();
                is_down = false;
                restart = Instant::now() + random.between(BETWEEN.0, BETWEEN.1);
            },
        }
        let now = Instant::now();
        if !is_down && now >= restart {
            let server = random.below(servers as u64) as usize;
            let is_kill = done.kills <= done.terms;
            let down = random.between(DOWN.0, DOWN.1);
            if now + QUIET < end {
                world.down();
                is_down = true;
                *(if is_kill { &mut done.kills } else { &mut done.terms }) += 1;
                Owner::restart(server, if is_kill { "kill" } else { "term" }, down.as_millis());
            } else {
                restart = end + QUIET;
            }
        }
        if now >= pause {
            done.pauses += 1;
            world.pause(random.between(PAUSE.0, PAUSE.1));
            pause = now + random.between(PAUSES.0, PAUSES.1);
        }
        if now >= report {
            let (seconds, calls) = (world.started.elapsed().as_secs(), world.calls());
            println!("{seconds} s: {calls} calls, {} restarts", done.kills + done.terms);
            report += REPORTED;
        }
    }
    Ok(done)
}

fn judge_end(
    world: &World,
    last: Option<&Figures>,
    counted: Option<(usize, usize)>,
    growth: Option<&Growth>,
) {
    if let Some(last) = last {
        let open: usize = last.connections.iter().sum();
        if open > 0 {
            world.violation("connections are left", &format!("{open} at the end"));
        }
        if last.at_servers > 0 {
            world.violation("connections are left at the servers", &last.at_servers.to_string());
        }
    }
    if let Some((open @ 1.., _)) = counted {
        world.violation("connections are left by the servers' own count", &open.to_string());
    }
    if let Some(growth) = growth {
        growth.judge(world);
    }
    if world.counts.answered.load(SeqCst) == 0 {
        world.violation("no call was answered", "");
    }
}

/// A server may be out of rotation for its restart, not for good.
fn judge_status(world: &World, status: &[ServerStatus]) {
    for server in status {
        if let Some(reason @ (OutReason::Authentication | OutReason::UnknownModel | OutReason::QuotaSpent)) =
            server.out
        {
            world.violation("a server is out of rotation", &format!("{}: {reason}", server.name));
        }
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, SeqCst);
}

type Rows = Vec<(&'static str, String)>;

fn rows(world: &World, done: &Done, counted: Option<(usize, usize)>) -> Rows {
    let counts = &world.counts;
    let count = |count: &AtomicU64| count.load(SeqCst);
    vec![
        (
            "calls",
            format!(
                "{} ({} whole, {} streamed, {} collected)",
                world.calls(),
                count(&counts.whole),
                count(&counts.streamed),
                count(&counts.collected),
            ),
        ),
        ("answered to the end", count(&counts.answered).to_string()),
        ("futures dropped", count(&counts.dropped_calls).to_string()),
        ("streams dropped in the middle", count(&counts.dropped_streams).to_string()),
        ("streams dropped at [DONE], before the end", count(&counts.dropped_ends).to_string()),
        ("streams that broke off in a restart", count(&counts.broken).to_string()),
        (
            "attempts that failed, and the calls",
            format!("{} of {} calls", count(&counts.failed_attempts), count(&counts.helped)),
        ),
        ("calls lost", count(&counts.lost).to_string()),
        ("restarts", format!("{} by SIGKILL, {} by SIGTERM", done.kills, done.terms)),
        ("out of rotation, and back", format!("{} and {} times", count(&counts.out), count(&counts.back))),
        (
            "requests that met a closed connection",
            counted.map_or_else(|| "not counted".to_owned(), |(_, closed)| closed.to_string()),
        ),
        ("pauses of all callers", done.pauses.to_string()),
    ]
}

fn system_rows(
    samples: &[Figures],
    last: Option<&Figures>,
    counted: Option<(usize, usize)>,
    growth: Option<&Growth>,
) -> Rows {
    let (Some(last), Some(growth)) = (last, growth) else {
        return vec![("connections, descriptors, memory", "skipped: this system has no /proc".to_owned())];
    };
    let peaks = (0..last.connections.len())
        .map(|server| samples.iter().map(|figures| figures.connections[server]).max().unwrap_or_default());
    let peaks: Vec<_> = peaks.map(|peak| peak.to_string()).collect();
    let open: usize = last.connections.iter().sum();
    let own = counted.map_or_else(String::new, |(open, _)| format!(", {open} by their own count"));
    let (memory, descriptors) = (growth.memory_kib, growth.descriptors);
    vec![
        ("connections at once, by server", peaks.join(" and ")),
        ("connections at the end", format!("{open}; at the servers {}{own}", last.at_servers)),
        (
            "resident memory, third and last quarter",
            format!("{:.1} and {:.1} MiB", memory.0 as f64 / 1024.0, memory.1 as f64 / 1024.0),
        ),
        ("other descriptors, third and last quarter", format!("{} and {}", descriptors.0, descriptors.1)),
    ]
}
