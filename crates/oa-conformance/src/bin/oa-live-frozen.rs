//! Many callers of two replicas, of which the first is stopped by a signal: no call is lost that had not
//! begun, few are slow, and the server is called again when it goes on.
//!
//! ```text
//! oa-live-frozen --url URL --url URL [--key KEY] --policy failover|balance|affinity [--stream]
//!     [--calls 3000] [--callers 16]
//! ```
//!
//! Whoever starts it owns the servers. A line `stop 0` of the output asks to stop the first by a signal, a
//! line `continue 0` to let it go on; each is answered by a line of the input once it is done. All other
//! lines are for people. It ends at once when the input ends.

use oa_conformance::{args::Args, owner::Owner, replicas};
use oa_middleware::{AttemptLog, ServerEvent, Servers, Stack};
use oa_provider::{CompletionRequest, Layered, Message, OpenAiProvider, Provider, RuntimeConfig};
use std::{
    error::Error,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// The limits of an attempt: to its first event, and between two.
const LIMIT: Duration = Duration::from_secs(5);
/// A call that takes longer waited for the server that was stopped.
const SLOW: Duration = Duration::from_secs(4);
/// The breaker of the servers lets one call try it every ten seconds.
const BACK: Duration = Duration::from_secs(30);
/// Two servers have sixteen callers: eight each, and a quarter more by the bound, and one call beyond it.
const MOST_SLOW: usize = 11;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::of_process()).await {
        Ok(failed) if failed.is_empty() => ExitCode::SUCCESS,
        Ok(failed) => {
            println!("VIOLATED: {}", failed.join("; "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Default)]
struct World {
    next: AtomicUsize,
    stop: Notify,
    ended: Mutex<Vec<Ended>>,
}

struct Ended {
    took: Duration,
    /// Failed attempts, and what became of the call.
    attempts: usize,
    error: Option<(bool, String)>,
}

async fn run(args: &Args) -> Result<Vec<String>, Box<dyn Error>> {
    let policy = args.required("--policy")?;
    let (calls, callers) = (args.number("--calls", 3000)?, args.number("--callers", 16)?);
    let is_stream = args.has("--stream");
    let replicas = replicas::of(args).await?;
    let any = replicas[0].1.clone();
    let servers = match policy.as_str() {
        "failover" => Servers::failover(replicas)?,
        "balance" => Servers::balance(replicas)?,
        "affinity" => Servers::affinity(replicas)?,
        other => return Err(format!("--policy {other}: there is none").into()),
    };
    let started = Instant::now();
    let servers = servers.on_change(move |change: ServerEvent<'_>| {
        println!("  {:.1} s: {change:?}", started.elapsed().as_secs_f64());
    });
    let stack = Stack::new(any.profile()).first_event_timeout(LIMIT).idle_timeout(LIMIT);
    let provider: Layered<_, OpenAiProvider> = Layered::new(stack.layer(servers.clone()), any);

    let mut owner = Owner::listen();
    let world = Arc::new(World::default());
    let mut running = JoinSet::new();
    for _ in 0..callers {
        running.spawn(caller(provider.clone(), world.clone(), calls, is_stream));
    }
    world.stop.notified().await;
    owner.stop(0).await?;
    let stopped = started.elapsed();
    while running.join_next().await.is_some() {}
    let took = started.elapsed();
    owner.go_on(0).await?;
    let back = timeout(BACK, async {
        let since = Instant::now();
        // A conversation that goes on stays where it is: only another may find out.
        for number in 0.. {
            if servers.status()[0].out.is_none() {
                break;
            }
            one(&provider, &format!("Are you back? {number}"), is_stream).await;
            sleep(Duration::from_millis(100)).await;
        }
        since.elapsed()
    })
    .await;

    let ended = world.ended.lock().unwrap_or_else(PoisonError::into_inner);
    let count = |is_such: fn(&&Ended) -> bool| ended.iter().filter(is_such).count();
    let broken = count(|call| matches!(call.error, Some((true, _))));
    let lost = count(|call| matches!(call.error, Some((false, _))));
    let slow = count(|call| call.took > SLOW);
    let helped = count(|call| call.attempts > 0 && call.error.is_none());
    let longest = ended.iter().map(|call| call.took).max().unwrap_or_default();
    println!(
        "{policy}, {}: {} calls of {callers} callers in {:.1} s, the first server stopped after {:.1} s: \
         {lost} lost, \
         {broken} streams broke, {slow} took more than {} s, the longest {:.1} s; {helped} were helped; {}",
        if is_stream { "streamed" } else { "whole" },
        ended.len(),
        took.as_secs_f64(),
        stopped.as_secs_f64(),
        SLOW.as_secs(),
        longest.as_secs_f64(),
        match back {
            Ok(after) => format!("back {:.1} s after it went on", after.as_secs_f64()),
            Err(_) => "it did not come back".to_owned(),
        },
    );
    for (_, error) in ended.iter().filter_map(|call| call.error.as_ref()) {
        println!("  {error}");
    }
    // In order, all callers are at the first.
    let most = if policy == "failover" { callers } else { MOST_SLOW };
    let checks = [
        (lost == 0, "calls were lost that had not begun"),
        (slow <= most, "too many calls were slow"),
        (longest < LIMIT + SLOW, "a call took longer than one attempt's limit"),
        (ended.len() == calls, "not all calls ended"),
        (back.is_ok(), "the server did not come back"),
    ];
    Ok(checks.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what.to_owned()).collect())
}

/// One call after the other, each with a prompt of its own. A fifth of all have begun when the first server
/// is stopped.
async fn caller(provider: impl Provider, world: Arc<World>, calls: usize, is_stream: bool) {
    loop {
        let number = world.next.fetch_add(1, SeqCst);
        if number >= calls {
            break;
        }
        if number == calls / 5 {
            world.stop.notify_one();
        }
        let call = one(&provider, &format!("What is {number} plus one?"), is_stream).await;
        world.ended.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }
}

async fn one(provider: &impl Provider, prompt: &str, is_stream: bool) -> Ended {
    let config = RuntimeConfig::new().with_max_tokens(8).with_temperature(0.0);
    let mut request = CompletionRequest::new([Message::user(prompt)]).with_config(config);
    let log = AttemptLog::default();
    request.extensions.insert(log.clone());
    let since = Instant::now();
    let mut has_begun = false;
    let answer = if is_stream {
        match provider.stream(&request).await {
            Ok(stream) => {
                has_begun = true;
                stream.into_response().await
            }
            Err(error) => Err(error),
        }
    } else {
        provider.complete(&request).await
    };
    let error = answer.err().map(|error| (has_begun, format!("{error:#}")));
    Ended { took: since.elapsed(), attempts: log.attempts().len(), error }
}
