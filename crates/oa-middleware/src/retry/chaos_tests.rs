//! A thousand seeded outages, in none of which an invariant of the retry layer may break.

use super::*;
use crate::{
    AttemptLog, DeadlineLayer, FirstEventTimeoutLayer, IdleTimeoutLayer, ObserveLayer, testing::request,
};
use oa_wire::{
    Category, Completion, CompletionStream, Event, EventSource, FinishReason, Response, RetryAfter,
    RetryAfterSource,
};
use std::{sync::Mutex, time::Duration};
use tower::ServiceExt;

/// A server under a generator's control, which records its calls and their ends.
#[derive(Clone)]
struct Chaos(Arc<World>);

struct World {
    random: Random,
    calls: Mutex<Vec<Call>>,
}

#[derive(Debug)]
struct Call {
    at: Instant,
    /// None while it runs, and when it was dropped.
    ended: Option<(Instant, Option<Error>)>,
}

const CATEGORIES: [Category; 6] = [
    Category::Unavailable,
    Category::RateLimit,
    Category::ModelNotLoaded,
    Category::InvalidRequest,
    Category::Authentication,
    Category::InvalidResponse,
];

impl World {
    fn seconds(&self, most: f64) -> Duration {
        Duration::from_secs_f64(self.random.next_f64() * most)
    }

    fn chance(&self, of: f64) -> bool {
        self.random.next_f64() < of
    }

    fn error(&self) -> Error {
        // Mostly transient, as outages are.
        let kinds = if self.chance(0.8) { 3 } else { CATEGORIES.len() };
        let mut error = Error::new(CATEGORIES[self.random.below(kinds)], "chaos");
        if self.chance(0.3) {
            let wait = RetryAfter::new(self.seconds(45.0), RetryAfterSource::Seconds);
            error = error.with_retry_after(Some(wait));
        }
        if self.chance(0.1) {
            let limited = error.category() == Category::RateLimit;
            error = error.with_quota_spent(limited);
        }
        if self.chance(0.1) {
            error = error.with_should_retry(Some(false));
        }
        error
    }
}

impl Service<CompletionRequest> for Chaos {
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let world = self.0.clone();
        let call = {
            let mut calls = world.calls.lock().unwrap();
            calls.push(Call { at: Instant::now(), ended: None });
            calls.len() - 1
        };
        Box::pin(async move {
            sleep(world.seconds(15.0)).await;
            let fails = world.chance(0.7);
            let error = fails.then(|| world.error());
            world.calls.lock().unwrap()[call].ended = Some((Instant::now(), error.clone()));
            match error {
                Some(error) => Err(error),
                None if request.stream => {
                    let left = world.random.below(20);
                    Ok(Completion::Stream(CompletionStream::new(Flow { world, left, wait: None })))
                }
                None => Ok(Completion::Response(Box::new(crate::testing::response("ok")))),
            }
        })
    }
}

/// A stream that stalls, breaks off or ends.
struct Flow {
    world: Arc<World>,
    left: usize,
    wait: Option<Pin<Box<Sleep>>>,
}

impl EventSource for Flow {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let this = &mut *self;
        let wait = this.wait.get_or_insert_with(|| {
            let stalls = this.world.chance(0.02);
            Box::pin(sleep(if stalls { Duration::from_secs(86_400) } else { this.world.seconds(4.0) }))
        });
        ready!(wait.as_mut().poll(cx));
        this.wait = None;
        if this.world.chance(0.03) {
            return Poll::Ready(Some(Err(Error::new(Category::Unavailable, "cut off"))));
        }
        this.left = this.left.saturating_sub(1);
        Poll::Ready(Some(Ok(match this.left {
            0 => Event::Done(Box::new(crate::testing::response("ok"))),
            _ => Event::Content("x".into()),
        })))
    }

    fn snapshot(&self) -> Response {
        Response::new(oa_wire::AssistantMessage::default(), FinishReason::Error)
    }
}

const DEADLINE: Duration = Duration::from_secs(60);
const FIRST_EVENT: Duration = Duration::from_secs(12);
const IDLE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 4;
// What tokio's timer may add to a wait.
const TICK: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
struct Tally {
    answered: u32,
    failed: u32,
    retried: u32,
    broken_streams: u32,
}

/// One outage of one call, and every invariant checked against what the server saw.
async fn outage(seed: u64, tally: &mut Tally) {
    let random = Random::seeded(seed);
    let world = Arc::new(World { random: random.clone(), calls: Mutex::default() });
    let ended = Arc::new(Mutex::new(None));
    let log = AttemptLog::default();
    let mut request = request().with_stream(seed % 2 == 0);
    request.extensions.insert(log.clone());
    let retry = RetryLayer::new(RetryPolicy::new().max_attempts(ATTEMPTS)).without_budget();
    let retry = RetryLayer { random, ..retry };
    let inner = FirstEventTimeoutLayer::new(FIRST_EVENT)
        .layer(IdleTimeoutLayer::new(IDLE).layer(Chaos(world.clone())));
    let observe = ObserveLayer::on_end({
        let ended = ended.clone();
        move |call| *ended.lock().unwrap() = Some(call.duration)
    });
    let service = observe.layer(DeadlineLayer::new(DEADLINE).layer(retry.layer(inner)));

    let started = Instant::now();
    let answer = service.oneshot(request).await;
    let calls_at_the_head = world.calls.lock().unwrap().len();
    let began = answer.is_ok();
    let result = match answer {
        Ok(answer) => answer.into_response().await,
        Err(error) => Err(error),
    };
    let took = started.elapsed();
    let calls = world.calls.lock().unwrap();

    assert!(took <= DEADLINE + TICK, "it took {took:?}");
    assert!(ended.lock().unwrap().is_some(), "the end was not seen");
    assert!((1..=ATTEMPTS as usize).contains(&calls.len()), "{} attempts", calls.len());
    assert_eq!(calls.len(), calls_at_the_head, "retried after the first event");
    let timed_out = Error::new(Category::Unavailable, "our limit");
    for (failed, next) in calls.iter().zip(calls.iter().skip(1)) {
        let (end, error) = match &failed.ended {
            Some((end, error)) => (*end, error.as_ref().expect("retried after an answer")),
            None => (failed.at + FIRST_EVENT, &timed_out),
        };
        assert!(is_retryable(error), "{error:?} was retried");
        assert!(error.category().is_transient(), "{error:?} was retried");
        let wait = next.at.saturating_duration_since(end);
        let asked = error.retry_after().map_or(Duration::ZERO, |asked| asked.delay);
        assert!(asked <= Duration::from_secs(30), "waited {wait:?} although {asked:?} is too long");
        assert!(wait >= asked, "waited {wait:?}, asked for {asked:?}");
        assert!(wait <= asked.max(Duration::from_secs(30)) + 2 * TICK, "waited {wait:?}");
        assert!(next.at < started + DEADLINE + TICK, "an attempt after the deadline");
    }
    // Every failure but one that the deadline cut off was written down; an answer's own is none.
    let noted = log.attempts().len();
    assert!(noted == calls.len() || noted + 1 == calls.len(), "{noted} of {} noted", calls.len());
    if let Err(error) = &result {
        if !began && !error.attempts().is_empty() {
            assert_eq!(error.attempts().len(), calls.len(), "the chain is not whole");
        }
    }
    tally.answered += u32::from(result.is_ok());
    tally.failed += u32::from(result.is_err());
    tally.retried += u32::from(calls.len() > 1);
    tally.broken_streams += u32::from(began && result.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_outages_break_no_invariant() {
    struct Seed(u64);
    impl Drop for Seed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the outage with seed {} broke an invariant", self.0);
            }
        }
    }
    let mut tally = Tally::default();
    for seed in 0..1000 {
        let _shown = Seed(seed);
        outage(seed, &mut tally).await;
    }
    // The outages are of every kind, or they prove nothing.
    assert!(tally.answered > 100 && tally.failed > 100, "{tally:?}");
    assert!(tally.retried > 100 && tally.broken_streams > 50, "{tally:?}");
}
