//! The callers: whole calls, streams, streams that are collected inside of retry, and all ways to leave them.

use crate::{random::Random, world::World};
use oa_middleware::{AttemptLog, CollectStream};
use oa_provider::{CompletionRequest, Error, Event, Message, Provider, Response, RuntimeConfig};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

/// A call that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Whole,
    Streamed,
    Collected,
}

/// When a caller leaves.
#[derive(Clone, Copy, PartialEq)]
enum Leave {
    Never,
    /// Wherever the call is then.
    After(Duration),
    AtEvent(u64),
    /// The response is there, and the end of the body is not awaited.
    AtDone,
}

enum Ended {
    Answered(Box<Response>),
    Left(Box<Response>),
    LeftStream,
    /// Before the first event.
    Failed(Error),
    /// After it, in the hands of the caller.
    Broken(Error),
    Wrong(&'static str),
}

/// One call after the other, until all end.
pub(crate) async fn caller(provider: impl Provider, world: Arc<World>, mut random: Random, is_echo: bool) {
    while !world.ends.load(SeqCst) {
        let paused = world.paused();
        if paused.is_zero() {
            call(&provider, &world, &mut random, is_echo).await;
            // Sometimes long enough that the connection is closed meanwhile.
            let most = if random.below(8) == 0 { 1500 } else { 200 };
            sleep(random.between(0, most)).await;
        } else {
            sleep(paused).await;
        }
    }
}

async fn call(provider: &impl Provider, world: &World, random: &mut Random, is_echo: bool) {
    let kind = [Kind::Whole, Kind::Streamed, Kind::Collected][random.below(3) as usize];
    let leave = match (random.below(12), kind) {
        (0 | 1, _) => Leave::After(random.between(0, 150)),
        (2, Kind::Streamed) => Leave::AtEvent(1 + random.below(10)),
        (3, Kind::Streamed) => Leave::AtDone,
        _ => Leave::Never,
    };
    let words = 3 + random.below(30);
    let text: Vec<_> = (0..words).map(|_| random.below(1000).to_string()).collect();
    let text = text.join(" ");
    let config = RuntimeConfig::new().with_max_tokens(words + 8).with_temperature(0.0);
    let mut request = CompletionRequest::new([Message::user(text.clone())]).with_config(config);
    let log = AttemptLog::default();
    request.extensions.insert(log.clone());
    if kind == Kind::Collected {
        request.extensions.insert(CollectStream::new());
        request = request.with_stream(true);
    }

    let counts = &world.counts;
    world.begin(match kind {
        Kind::Whole => &counts.whole,
        Kind::Streamed => &counts.streamed,
        Kind::Collected => &counts.collected,
    });
    let began = Instant::now();
    let has_begun = AtomicU64::new(0);
    let limit = if let Leave::After(limit) = leave { limit } else { LONGEST };
    let ended = timeout(limit, async {
        if kind == Kind::Streamed {
            return stream(provider, &request, leave, &has_begun).await;
        }
        match provider.complete(&request).await {
            Ok(response) => Ended::Answered(Box::new(response)),
            Err(error) => Ended::Failed(error),
        }
    })
    .await;
    // Before the call counts as ended: until then its connection may be open.
    let attempts = log.attempts();
    world.end();

    let add = |count: &AtomicU64| count.fetch_add(1, SeqCst);
    let response = match ended {
        Ok(Ended::Answered(response)) => {
            add(&counts.answered);
            Some(response)
        }
        Ok(Ended::Left(response)) => {
            add(&counts.dropped_ends);
            Some(response)
        }
        Ok(Ended::LeftStream) => {
            add(&counts.dropped_streams);
            None
        }
        Err(_) if leave != Leave::Never => {
            let is_stream = has_begun.load(SeqCst) > 0;
            add(if is_stream { &counts.dropped_streams } else { &counts.dropped_calls });
            None
        }
        Err(_) => {
            world.violation("a call hangs", &format!("{kind:?}, for {LONGEST:?}"));
            None
        }
        Ok(Ended::Failed(error)) => {
            add(&counts.lost);
            world.violation("a call was lost", &format!("{error:#}; its attempts: {:?}", error.attempts()));
            None
        }
        Ok(Ended::Broken(error)) => {
            add(&counts.broken);
            if !world.was_down(Instant::now()) {
                world.violation("a stream broke off while all servers were up", &format!("{error:#}"));
            }
            None
        }
        Ok(Ended::Wrong(what)) => {
            world.violation(what, "");
            None
        }
    };
    if let Some(response) = response.filter(|_| is_echo) {
        if response.text() != format!("You said: {text}") {
            world.violation("an answer of another call", &format!("{:?} to {text:?}", response.text()));
        }
    }
    if !attempts.is_empty() {
        counts.failed_attempts.fetch_add(attempts.len() as u64, SeqCst);
        add(&counts.helped);
        if !world.was_down(began) {
            world.violation("an attempt failed while all servers were up", &format!("{attempts:?}"));
        }
    }
}

async fn stream(
    provider: &impl Provider,
    request: &CompletionRequest,
    leave: Leave,
    has_begun: &AtomicU64,
) -> Ended {
    let mut stream = match provider.stream(request).await {
        Ok(stream) => stream,
        Err(error) => return Ended::Failed(error),
    };
    let mut response = None;
    let mut events = 0;
    while let Some(event) = stream.next().await {
        events += 1;
        has_begun.store(events, SeqCst);
        match event {
            Ok(Event::Done(done)) if leave == Leave::AtDone => return Ended::Left(done),
            Ok(Event::Done(done)) => response = Some(done),
            Ok(_) if leave == Leave::AtEvent(events) => return Ended::LeftStream,
            Ok(_) => {}
            Err(error) => return Ended::Broken(error),
        }
    }
    response.map_or(Ended::Wrong("a stream ended without a response"), Ended::Answered)
}
