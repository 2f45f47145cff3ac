//! A summary of each call at its end, given to a function.

use crate::{CallContext, CallObserver, ObserveLayer, Observer, RetryReason};
use oa_wire::{Category, CompletionRequest, Error, Event, Response, Usage};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::Instant;

/// What is known of one call at its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallSummary<'a> {
    /// The number of the attempt, from 0; outside of retry always 0.
    pub attempt: u32,
    /// Why the attempt was made; none for the first.
    pub retry_reason: Option<RetryReason>,
    /// From the call to its end; of a stream, to the end of the stream.
    pub duration: Duration,
    /// From the call to the first event, for a stream that began.
    pub first_event: Option<Duration>,
    /// How many events of a stream were handed out.
    pub events: u64,
    /// The name of the server that was called last, where there are several.
    pub server: Option<Arc<str>>,
    /// How it ended.
    pub outcome: Outcome<'a>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// With this answer.
    Done(&'a Response),
    /// With this error.
    Failed(&'a Error),
    /// The caller dropped it.
    Cancelled,
}

impl CallSummary<'_> {
    /// The answer, or what came of it before it failed.
    pub fn response(&self) -> Option<&Response> {
        match self.outcome {
            Outcome::Done(response) => Some(response),
            Outcome::Failed(error) => error.partial(),
            Outcome::Cancelled => None,
        }
    }

    /// The tokens, where the server reported them; also of a failure that did.
    pub fn usage(&self) -> Option<Usage> {
        match self.outcome {
            Outcome::Failed(error) if error.structured().is_some() => {
                error.structured().map(|failure| failure.usage)
            }
            _ => self.response().map(|response| response.usage),
        }
    }

    /// The model that the server names.
    pub fn model(&self) -> Option<&str> {
        self.response()?.model.as_deref()
    }

    /// The server's id of the HTTP request.
    pub fn request_id(&self) -> Option<&str> {
        match self.outcome {
            Outcome::Failed(error) => error.request_id(),
            _ => self.response()?.request_id.as_deref(),
        }
    }

    /// The category, of a failure.
    pub fn category(&self) -> Option<Category> {
        match self.outcome {
            Outcome::Failed(error) => Some(error.category()),
            _ => None,
        }
    }
}

/// Gives a [`CallSummary`] of each call to a function. Made by [`ObserveLayer::on_end`].
#[derive(Clone)]
pub struct OnEnd {
    hook: Hook,
}

type Hook = Arc<dyn Fn(&CallSummary<'_>) + Send + Sync>;

impl ObserveLayer<OnEnd> {
    /// A layer that gives a summary of each call to this function: of whole calls outside of retry, of
    /// attempts inside. It must not block.
    ///
    /// ```
    /// use oa_middleware::ObserveLayer;
    ///
    /// let layer = ObserveLayer::on_end(|call| {
    ///     println!("{:?} {:?} after {:?}", call.category(), call.usage(), call.duration);
    /// });
    /// ```
    pub fn on_end(hook: impl Fn(&CallSummary<'_>) + Send + Sync + 'static) -> Self {
        Self::new(OnEnd { hook: Arc::new(hook) })
    }
}

impl Observer for OnEnd {
    type Call = Stopwatch;

    fn begin(&self, request: &mut CompletionRequest) -> Option<Stopwatch> {
        Some(Stopwatch {
            hook: self.hook.clone(),
            context: CallContext::of_mut(request).clone(),
            started: Instant::now(),
            first_event: None,
            events: 0,
        })
    }
}

impl fmt::Debug for OnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnEnd").finish_non_exhaustive()
    }
}

/// One call on its way to its summary.
pub struct Stopwatch {
    hook: Hook,
    context: CallContext,
    started: Instant,
    first_event: Option<Duration>,
    events: u64,
}

impl Stopwatch {
    fn stop(self, outcome: Outcome<'_>) {
        (self.hook)(&CallSummary {
            attempt: self.context.attempt(),
            retry_reason: self.context.retry_reason(),
            duration: self.started.elapsed(),
            first_event: self.first_event,
            events: self.events,
            server: self.context.server(),
            outcome,
        });
    }
}

impl CallObserver for Stopwatch {
    fn first_event(&mut self) {
        self.first_event = Some(self.started.elapsed());
    }

    fn event(&mut self, _: &Event) {
        self.events += 1;
    }

    fn done(self, response: &Response) {
        self.stop(Outcome::Done(response));
    }

    fn failed(self, error: &Error) {
        self.stop(Outcome::Failed(error));
    }

    fn cancelled(self, _: Option<&dyn Fn() -> Response>) {
        self.stop(Outcome::Cancelled);
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
    use crate::{
        Observe, RetryLayer, RetryPolicy,
        testing::{Script, Step, request},
    };
    use oa_wire::Completion;
    use std::sync::Mutex;
    use tower::ServiceExt;
    use tower_layer::Layer;

    type Lines = Arc<Mutex<Vec<String>>>;

    /// A layer that writes its summaries down.
    fn layer() -> (ObserveLayer<OnEnd>, Lines) {
        let lines = Lines::default();
        let layer = ObserveLayer::on_end({
            let lines = lines.clone();
            move |call| {
                let outcome = match call.outcome {
                    Outcome::Done(_) => "done",
                    Outcome::Failed(error) => error.category().as_str(),
                    Outcome::Cancelled => "cancelled",
                };
                let tokens = call.usage().and_then(|usage| usage.total_tokens);
                lines.lock().unwrap().push(format!(
                    "{} {outcome} {:?} first {:?} events {} tokens {tokens:?} model {:?}",
                    call.attempt,
                    call.duration,
                    call.first_event,
                    call.events,
                    call.model(),
                ));
            }
        });
        (layer, lines)
    }

    fn observed(step: Step) -> (Observe<Script, OnEnd>, Lines) {
        let (layer, lines) = layer();
        (layer.layer(Script::new([step])), lines)
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_observed_to_its_end() {
        let (service, lines) = observed(Step::stream([(2, "a"), (3, "b")]));
        let answer = service.oneshot(request().with_stream(true)).await.unwrap();
        assert!(lines.lock().unwrap().is_empty());
        answer.into_response().await.unwrap();
        let want = "0 done 5s first Some(2s) events 3 tokens Some(12) model Some(\"served-model\")";
        assert_eq!(*lines.lock().unwrap(), [want]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_inside_retry_has_its_number() {
        let (layer, lines) = layer();
        let slow_down = Error::new(Category::RateLimit, "slow down");
        let script = Script::new([Step::error(slow_down).after(1), Step::text("ok").after(2)]);
        let retry = RetryLayer::new(RetryPolicy::new());
        retry.layer(layer.layer(script)).oneshot(request()).await.unwrap();
        let want = [
            "0 provider_rate_limit 1s first None events 0 tokens None model None",
            "1 done 2s first None events 0 tokens Some(12) model Some(\"served-model\")",
        ];
        assert_eq!(*lines.lock().unwrap(), want);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_or_stream_that_is_dropped_is_cancelled_once() {
        let (service, lines) = observed(Step::stall());
        tokio::time::timeout(seconds(4), service.oneshot(request())).await.unwrap_err();
        let want = "0 cancelled 4s first None events 0 tokens None model None";
        assert_eq!(*lines.lock().unwrap(), [want]);

        let (service, lines) = observed(Step::stream([(0, "a"), (3, "b")]));
        let answer = service.oneshot(request().with_stream(true)).await.unwrap();
        let Completion::Stream(mut stream) = answer else { panic!("no stream") };
        stream.next().await.unwrap().unwrap();
        drop(stream);
        let want = "0 cancelled 0ns first Some(0ns) events 1 tokens None model None";
        assert_eq!(*lines.lock().unwrap(), [want]);
    }
}
