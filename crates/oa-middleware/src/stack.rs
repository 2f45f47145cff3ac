//! The layers that nearly everybody wants, in the order that works.

use crate::{
    Collect, CollectLayer, Deadline, DeadlineLayer, FirstEventTimeout, FirstEventTimeoutLayer, GenAi,
    GenAiLayer, IdleTimeout, IdleTimeoutLayer, Observe, Retry, RetryLayer, RetryPolicy, Trace, TraceLayer,
};
use oa_wire::Profile;
use std::time::Duration;
use tower_layer::Layer;

/// The default stack: `Deadline > Retry > Collect > Trace > FirstEventTimeout > IdleTimeout > service`.
///
/// | layer | default |
/// |---|---|
/// | [`DeadlineLayer`] | 30 minutes for the whole call |
/// | [`RetryLayer`] | three attempts, [`RetryPolicy::new`] |
/// | [`CollectLayer`] | for calls that carry [`CollectStream`](crate::CollectStream) |
/// | [`TraceLayer`] | a span for each attempt, without payload |
/// | [`FirstEventTimeoutLayer`] | 10 minutes for each attempt, at each server, to begin its answer |
/// | [`IdleTimeoutLayer`] | 60 seconds between two events of a stream |
///
/// Outside of all, [`GenAiLayer`] may be [switched on](Stack::gen_ai).
///
/// It is a [`Layer`]: what belongs outside (a concurrency limit, [`ObserveLayer`](crate::ObserveLayer)) is
/// put around it. Around [`Servers`](crate::Servers) the limits of an attempt hold for each server: one that
/// does not begin in time has failed, and the call goes on to the next.
///
/// ```
/// # use oa_wire::{Completion, CompletionRequest, Error};
/// # fn example<S>(provider: S)
/// # where
/// #     S: tower_service::Service<CompletionRequest, Response = Completion, Error = Error> + Clone,
/// # {
/// use oa_middleware::{RetryPolicy, Stack};
/// use oa_wire::Profile;
/// use std::time::Duration;
///
/// let service = Stack::new(&Profile::new("my-model"))
///     .retry(RetryPolicy::new().max_attempts(5))
///     .deadline(Duration::from_secs(120))
///     .layer(provider);
/// # let _ = service;
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct Stack {
    gen_ai: Option<GenAiLayer>,
    deadline: DeadlineLayer,
    retry: RetryLayer,
    trace: TraceLayer,
    first_event: FirstEventTimeoutLayer,
    idle: IdleTimeoutLayer,
}

/// What [`Stack`] makes of a service.
pub type StackService<S> = GenAi<Deadline<Retry<Collect<Trace<FirstEventTimeout<IdleTimeout<S>>>>>>>;

impl Stack {
    /// The defaults. The profile says which model the spans are about.
    pub fn new(profile: &Profile) -> Self {
        Self {
            gen_ai: None,
            deadline: DeadlineLayer::new(Duration::from_secs(30 * 60)),
            retry: RetryLayer::default(),
            trace: TraceLayer::new(profile),
            first_event: FirstEventTimeoutLayer::new(Duration::from_secs(10 * 60)),
            idle: IdleTimeoutLayer::default(),
        }
    }

    /// Sets the limit of the whole call.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = DeadlineLayer::new(limit);
        self
    }

    /// Sets what is retried.
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.retry_layer(RetryLayer::new(policy))
    }

    /// Sets the retry layer, to share its budget with others for instance.
    pub fn retry_layer(mut self, layer: RetryLayer) -> Self {
        self.retry = layer;
        self
    }

    /// Changes what the spans hold.
    pub fn trace(mut self, change: impl FnOnce(TraceLayer) -> TraceLayer) -> Self {
        self.trace = change(self.trace);
        self
    }

    /// Puts a span of OpenTelemetry's conventions for generative AI around the whole call. Off by default.
    ///
    /// The attempts' spans are inside of it, unless [`trace`](Self::trace) switches them off.
    pub fn gen_ai(mut self, layer: GenAiLayer) -> Self {
        self.gen_ai = Some(layer);
        self
    }

    /// Sets how long an attempt may take to begin.
    pub fn first_event_timeout(mut self, limit: Duration) -> Self {
        self.first_event = FirstEventTimeoutLayer::new(limit);
        self
    }

    /// Sets how long a stream may be silent.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.idle = IdleTimeoutLayer::new(limit);
        self
    }

    /// Puts the stack around a service.
    pub fn layer<S>(&self, service: S) -> StackService<S> {
        Layer::layer(self, service)
    }
}

impl<S> Layer<S> for Stack {
    type Service = StackService<S>;

    fn layer(&self, service: S) -> StackService<S> {
        let attempt = self.trace.layer(self.first_event.layer(self.idle.layer(service)));
        let call = self.deadline.layer(self.retry.layer(CollectLayer::new().layer(attempt)));
        Observe::new(call, self.gen_ai.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CollectStream,
        testing::{Script, Step, request},
        trace::tests::Spans,
    };
    use oa_wire::{Category, Completion, Error};
    use tower::ServiceExt;

    fn layers() -> Stack {
        Stack::new(&Profile::new("m"))
    }

    #[tokio::test(start_paused = true)]
    async fn each_attempt_has_its_span_and_its_limits() {
        let (spans, _guard) = Spans::listen();
        let script = Script::new([
            Step::stall(),
            Step::error(Error::new(Category::ModelNotLoaded, "loading")),
            Step::stream([(0, "ok")]),
        ]);
        let answer = layers().layer(script).oneshot(request().with_stream(true)).await.unwrap();
        assert_eq!(answer.into_response().await.unwrap().text(), "ok");
        let spans: Vec<_> = spans.get().into_iter().map(|span| span.fields).collect();
        let of = |name| spans.iter().map(|span| span.get(name).cloned()).collect::<Vec<_>>();
        assert_eq!(of("openarmature.llm.attempt_index"), [0, 1, 2].map(|index| Some(index.into())));
        let transient = Some("transient".into());
        assert_eq!(of("openarmature.llm.retry_reason"), [None, transient.clone(), transient]);
        assert_eq!(
            of("openarmature.error.category"),
            [Some("provider_unavailable".into()), Some("provider_model_not_loaded".into()), None]
        );
        assert_eq!(of("openarmature.llm.abandoned"), [None, None, None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_collected_stream_that_stalls_is_retried() {
        let (spans, _guard) = Spans::listen();
        let script = Script::new([Step::stream([(0, "par"), (100, "tial")]), Step::stream([(0, "whole")])]);
        let mut request = request().with_stream(true);
        request.extensions.insert(CollectStream::new());
        let answer = layers().layer(script).oneshot(request).await.unwrap();
        assert!(matches!(answer, Completion::Response(response) if response.text() == "whole"));
        assert_eq!(spans.get()[0].fields["otel.status_code"], "ERROR");
        assert_eq!(spans.get().len(), 2);
    }
}
