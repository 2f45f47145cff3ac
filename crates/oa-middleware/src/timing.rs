//! How long calls take, told to a function.

use crate::observe::{Observer, observing};
use oa_wire::{Category, CompletionRequest, Error, Response};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// What became of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timing {
    /// From the call to its end; of a stream, to the end of the stream.
    pub duration: Duration,
    /// From the call to the first event, for a stream that began.
    pub first_event: Option<Duration>,
    /// How it ended.
    pub outcome: Outcome,
    /// The category, of a failure.
    pub category: Option<Category>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// With an answer.
    Success,
    /// With an error.
    Failure,
    /// The caller dropped it.
    Abandoned,
}

/// Calls a function at the end of each call that goes through it: outside retry for whole calls, inside for
/// attempts.
///
/// ```
/// use oa_middleware::TimingLayer;
///
/// let layer = TimingLayer::new(|timing| println!("{:?} after {:?}", timing.outcome, timing.duration));
/// ```
#[derive(Clone)]
pub struct TimingLayer {
    hook: Hook,
}

type Hook = Arc<dyn Fn(&Timing) + Send + Sync>;

impl TimingLayer {
    /// A layer that calls this function. It must not block.
    pub fn new(hook: impl Fn(&Timing) + Send + Sync + 'static) -> Self {
        Self { hook: Arc::new(hook) }
    }

    #[expect(clippy::unnecessary_wraps, reason = "other observing layers may be off")]
    fn observe(&self, _: &CompletionRequest) -> Option<Stopwatch> {
        Some(Stopwatch { hook: self.hook.clone(), started: Instant::now(), first_event: None })
    }
}

impl fmt::Debug for TimingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimingLayer").finish_non_exhaustive()
    }
}

observing!(TimingLayer, TimingService, TimingFuture, Stopwatch);

struct Stopwatch {
    hook: Hook,
    started: Instant,
    first_event: Option<Duration>,
}

impl Stopwatch {
    fn stop(self, outcome: Outcome, category: Option<Category>) {
        let duration = self.started.elapsed();
        (self.hook)(&Timing { duration, first_event: self.first_event, outcome, category });
    }
}

impl Observer for Stopwatch {
    fn began(&mut self) {
        self.first_event = Some(self.started.elapsed());
    }

    fn done(self, _: &Response) {
        self.stop(Outcome::Success, None);
    }

    fn failed(self, error: &Error) {
        self.stop(Outcome::Failure, Some(error.category()));
    }

    fn abandoned(self, _: Option<&dyn Fn() -> Response>) {
        self.stop(Outcome::Abandoned, None);
    }
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopwatch").field("started", &self.started).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, Step, request};
    use oa_wire::Completion;
    use std::sync::Mutex;
    use tower::ServiceExt;
    use tower_layer::Layer;

    fn timed(step: Step) -> (TimingService<Script>, Arc<Mutex<Vec<Timing>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let layer = TimingLayer::new({
            let seen = seen.clone();
            move |timing| seen.lock().unwrap().push(*timing)
        });
        (layer.layer(Script::new([step])), seen)
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_timed_to_its_end() {
        let (service, seen) = timed(Step::stream([(2, "a"), (3, "b")]));
        let answer = service.oneshot(request().with_stream(true)).await.unwrap();
        assert!(seen.lock().unwrap().is_empty());
        answer.into_response().await.unwrap();
        let want = Timing {
            duration: seconds(5),
            first_event: Some(seconds(2)),
            outcome: Outcome::Success,
            category: None,
        };
        assert_eq!(*seen.lock().unwrap(), [want]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_has_its_category() {
        let step = Step::error(Error::new(Category::RateLimit, "slow down")).after(1);
        let (service, seen) = timed(step);
        service.oneshot(request()).await.unwrap_err();
        let want = Timing {
            duration: seconds(1),
            first_event: None,
            outcome: Outcome::Failure,
            category: Some(Category::RateLimit),
        };
        assert_eq!(*seen.lock().unwrap(), [want]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_or_stream_that_is_dropped_was_abandoned_once() {
        let (service, seen) = timed(Step::stall());
        tokio::time::timeout(seconds(4), service.oneshot(request())).await.unwrap_err();
        assert_eq!(seen.lock().unwrap()[0].outcome, Outcome::Abandoned);
        assert_eq!(seen.lock().unwrap()[0].duration, seconds(4));

        let (service, seen) = timed(Step::stream([(0, "a"), (3, "b")]));
        let answer = service.oneshot(request().with_stream(true)).await.unwrap();
        let Completion::Stream(mut stream) = answer else { panic!("no stream") };
        stream.next().await.unwrap().unwrap();
        drop(stream);
        let seen = seen.lock().unwrap();
        assert_eq!((seen.len(), seen[0].outcome), (1, Outcome::Abandoned));
    }
}
