//! Holds conversations with replicas of one server, and prints as JSON what they cost and who had them.
//!
//! ```text
//! oa-live-replicas --key KEY --model NAME --url URL [--url URL ...]
//!     [--run WORD] [--conversations 64] [--turns 20] [--at-once 16] [--outage]
//! ```
//!
//! The word of the run stands in each prompt: prefixes of another run are no help. With `--outage` new
//! conversations begin until the input ends. A line `kill` on the input says that the first server is about
//! to be killed, a line `up` that it answers again.

use oa_conformance::args::Args;
use oa_middleware::{CallSummary, CollectStream, ObserveLayer, Outcome, ServerEvent, Servers, Stack};
use oa_provider::{CompletionRequest, Error, Layered, Message, OpenAiProvider, Provider, RuntimeConfig};
use serde_json::{Value, json};
use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::ServiceBuilder;

/// The time between an answer and the next question. Without it, callers measure the servers' speed: a server
/// that waits for the processor has fewer calls, as it should.
const THINKING: Duration = Duration::from_millis(200);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::of_process();
    let urls = args.values("--url");
    let (Some(key), Some(model), false) = (args.value("--key"), args.value("--model"), urls.is_empty())
    else {
        eprintln!("usage: oa-live-replicas --key KEY --model NAME --url URL [--url URL ...]");
        return ExitCode::from(2);
    };
    let (Ok(conversations), Ok(turns), Ok(at_once)) =
        (args.number("--conversations", 64), args.number("--turns", 20), args.number("--at-once", 16))
    else {
        eprintln!("--conversations, --turns and --at-once are numbers");
        return ExitCode::from(2);
    };
    let plan = Plan { run: args.value("--run").unwrap_or_default(), conversations, turns, at_once };
    let is_outage = args.has("--outage");
    match run(&urls, &key, &model, plan, is_outage).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Plan {
    run: String,
    conversations: usize,
    turns: usize,
    at_once: usize,
}

/// A call that ended.
struct Call {
    at: Instant,
    server: String,
    error: Option<String>,
    took: Duration,
    prompt_tokens: u64,
    cached_tokens: u64,
}

type Calls = Arc<Mutex<Vec<Call>>>;

async fn run(urls: &[String], key: &str, model: &str, plan: Plan, is_outage: bool) -> Result<Value, Error> {
    let mut replicas = Vec::new();
    for url in urls {
        replicas.push((url.clone(), OpenAiProvider::builder(url, model).api_key(key).build()?));
    }
    let any = replicas[0].1.clone();
    let started = Instant::now();
    let servers = Servers::affinity(replicas)?.on_change(move |change: ServerEvent<'_>| {
        eprintln!("{:.1} s: {change:?}", started.elapsed().as_secs_f64());
    });
    let calls = Calls::default();
    let observe = ObserveLayer::on_end({
        let calls = calls.clone();
        move |call| all(&calls).push(ended(call))
    });
    let layers = ServiceBuilder::new().layer(observe).layer(Stack::new(any.profile()));
    let provider = Layered::new(layers.service(servers), any);

    let last = if is_outage { usize::MAX } else { plan.conversations };
    let marks = Arc::new(Marks { last, ..Marks::default() });
    let mut input = BufReader::new(stdin()).lines();
    let mut callers = JoinSet::new();
    for _ in 0..plan.at_once {
        callers.spawn(caller(provider.clone(), marks.clone(), plan.run.clone(), plan.turns));
    }
    if is_outage {
        while let Ok(Some(line)) = input.next_line().await {
            let now = Some(Instant::now());
            match line.as_str() {
                "kill" => marks.set(|times| times.0 = now),
                "up" => marks.set(|times| times.1 = now),
                _ => {}
            }
        }
        marks.ends.store(true, SeqCst);
    }
    while callers.join_next().await.is_some() {}
    let calls = all(&calls);
    let mut report = figures(urls, &calls);
    report["seconds"] = json!(started.elapsed().as_secs_f64());
    if let (Some(kill), Some(up)) = *marks.times.lock().unwrap_or_else(PoisonError::into_inner) {
        report["outage"] = outage(&urls[0], &calls, kill, up);
    }
    Ok(report)
}

fn all(calls: &Calls) -> std::sync::MutexGuard<'_, Vec<Call>> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What ends the conversations, and when the first server was killed and was up again.
#[derive(Default)]
struct Marks {
    next: AtomicUsize,
    last: usize,
    ends: AtomicBool,
    times: Mutex<(Option<Instant>, Option<Instant>)>,
}

impl Marks {
    fn set(&self, change: impl FnOnce(&mut (Option<Instant>, Option<Instant>))) {
        change(&mut self.times.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// One conversation after the other.
async fn caller(provider: impl Provider, marks: Arc<Marks>, run: String, turns: usize) {
    loop {
        let number = marks.next.fetch_add(1, SeqCst);
        if number >= marks.last {
            return;
        }
        let mut messages = vec![Message::system(format!("You are a model server, {run}."))];
        for turn in 0..turns {
            if marks.ends.load(SeqCst) {
                return;
            }
            messages.push(Message::user(format!("{number} and {turn}: {}", words(number, turn))));
            let config = RuntimeConfig::new().with_max_tokens(4).with_temperature(0.0);
            let mut request =
                CompletionRequest::new(messages.clone()).with_config(config).with_stream(turn % 2 == 1);
            // A stream that breaks is retried as a whole.
            request.extensions.insert(CollectStream::new());
            // Whatever became of it was noted.
            let Ok(response) = provider.complete(&request).await else { break };
            let text = response.text();
            messages.push(Message::assistant(if text.is_empty() { "yes" } else { &*text }));
            sleep(THINKING).await;
        }
    }
}

/// A few words, others for each turn.
fn words(number: usize, turn: usize) -> String {
    const WORDS: [&str; 12] = [
        "the", "quick", "brown", "fox", "hills", "people", "walk", "market", "weather", "today", "london",
        "paris",
    ];
    [number, turn, number + turn].map(|at| WORDS[at % WORDS.len()]).join(" ")
}

fn ended(call: &CallSummary<'_>) -> Call {
    let usage = call.usage().unwrap_or_default();
    Call {
        at: Instant::now(),
        server: call.server.as_deref().unwrap_or_default().to_owned(),
        error: match call.outcome {
            Outcome::Done(_) => None,
            Outcome::Failed(error) => Some(format!("{error:#}")),
            _ => Some("cancelled".to_owned()),
        },
        took: call.duration,
        prompt_tokens: usage.prompt_tokens.unwrap_or(0),
        cached_tokens: usage.cached_tokens.unwrap_or(0),
    }
}

fn figures(urls: &[String], calls: &[Call]) -> Value {
    let sum = |of: fn(&Call) -> u64| calls.iter().map(of).sum::<u64>();
    let servers = urls.iter().map(|url| {
        let own = || calls.iter().filter(|call| call.server == *url);
        let tokens: u64 = own().map(|call| call.prompt_tokens).sum();
        let mut times: Vec<_> = own().map(|call| call.took).collect();
        times.sort_unstable();
        let median = times.get(times.len() / 2).map(Duration::as_secs_f64);
        json!({"server": url, "calls": times.len(), "prompt_tokens": tokens, "median_seconds": median})
    });
    let errors: Vec<_> = calls.iter().filter_map(|call| call.error.as_deref()).collect();
    let (prompt, cached) = (sum(|call| call.prompt_tokens), sum(|call| call.cached_tokens));
    json!({
        "calls": calls.len(),
        "lost": errors.len(),
        "errors": errors[..errors.len().min(5)],
        "prompt_tokens": prompt,
        "cached_tokens": cached,
        "prefill": (prompt - cached) as f64 / prompt.max(1) as f64,
        "longest_prompt": calls.iter().map(|call| call.prompt_tokens).max(),
        "servers": servers.collect::<Vec<_>>(),
    })
}

/// So long a time is looked at for a share.
const WINDOW: Duration = Duration::from_secs(5);

/// The part of the calls that the killed server had before, and from second to second after it was up.
fn outage(killed: &str, calls: &[Call], kill: Instant, up: Instant) -> Value {
    let share = |from: Instant, to: Instant| {
        let within: Vec<_> = calls.iter().filter(|call| (from..to).contains(&call.at)).collect();
        let own = within.iter().filter(|call| call.server == killed && call.error.is_none()).count();
        own as f64 / within.len().max(1) as f64
    };
    let before = share(kill.checked_sub(2 * WINDOW).unwrap_or(kill), kill);
    let after: Vec<f64> = (1..=40)
        .map(|second| {
            let to = up + Duration::from_secs(second);
            share(to - WINDOW, to)
        })
        .collect();
    let back = after.iter().position(|share| *share >= 0.8 * before).map(|second| second + 1);
    json!({
        "share_before": before,
        "calls_while_down": calls.iter().filter(|call| (kill..up).contains(&call.at)).count(),
        "down_seconds": (up - kill).as_secs_f64(),
        "shares_after": after,
        "back_after_seconds": back,
    })
}
