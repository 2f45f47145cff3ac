//! The metrics of a client, by OpenTelemetry's conventions for generative AI.

use super::names::{self, instruments};
use crate::{
    CallObserver, Observe, Observer,
    metrics::{SECONDS, TOKENS, usage_of},
};
use oa_wire::{CompletionRequest, Error, Profile, Response, Usage};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};
use std::sync::Arc;
use tokio::time::Instant;
use tower_layer::Layer;

/// Records the metrics of OpenTelemetry's conventions for generative AI (version 0.1.0 of
/// `semantic-conventions-genai`) through OpenTelemetry's metrics API.
///
/// | instrument | unit | |
/// |---|---|---|
/// | `gen_ai.client.inference.duration` | `s` | from the call to the end of its answer |
/// | `gen_ai.client.inference.time_to_first_chunk` | `s` | of streams that began |
/// | `gen_ai.client.inference.operation.input_tokens`, `.output_tokens` | `{token}` | of each call |
/// | `gen_ai.client.inference.usage.input_tokens`, `.output_tokens` | `{token}` | in all |
/// | `.usage.cache_read.input_tokens`, `.usage.cache_write.input_tokens`, `.usage.reasoning.output_tokens` | `{token}` | parts of those |
///
/// The first four are histograms, the others counters. Tokens are recorded where the server reports them.
/// The dimensions are `gen_ai.operation.name` (`chat`), `gen_ai.provider.name`, `gen_ai.request.model` and,
/// for the duration of a failure, `error.type`, the category. A call that is dropped is not recorded.
///
/// They are about calls: it belongs outside of retry, with [`GenAiLayer`](crate::GenAiLayer). The
/// specification's own metrics are those of [`MetricsLayer`](crate::MetricsLayer).
///
/// ```
/// use oa_middleware::GenAiMetricsLayer;
/// use oa_wire::Profile;
///
/// let meter = opentelemetry::global::meter("my-program");
/// let layer = GenAiMetricsLayer::new(&Profile::new("my-model"), &meter);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct GenAiMetricsLayer {
    instruments: Arc<Instruments>,
}

#[derive(Debug)]
struct Instruments {
    duration: Histogram<f64>,
    first_chunk: Histogram<f64>,
    /// A histogram of calls and a counter, of the input and of the output.
    input: (Histogram<u64>, Counter<u64>),
    output: (Histogram<u64>, Counter<u64>),
    cache_read: Counter<u64>,
    cache_write: Counter<u64>,
    reasoning: Counter<u64>,
    dimensions: [KeyValue; 3],
}

impl GenAiMetricsLayer {
    /// A layer for calls of this profile, with instruments of this meter.
    pub fn new(profile: &Profile, meter: &Meter) -> Self {
        let seconds = |name, what| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(what);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        let tokens = |name, what| {
            let histogram = meter.u64_histogram(name).with_unit("{token}").with_description(what);
            histogram.with_boundaries(TOKENS.to_vec()).build()
        };
        let counter =
            |name, what| meter.u64_counter(name).with_unit("{token}").with_description(what).build();
        let instruments = Instruments {
            duration: seconds(instruments::DURATION, "Time from a call to the end of its answer."),
            first_chunk: seconds(
                instruments::TIME_TO_FIRST_CHUNK,
                "Time from a call to the first chunk of its stream.",
            ),
            input: (
                tokens(instruments::INPUT_TOKENS, "Tokens of a prompt."),
                counter(instruments::USAGE_INPUT, "Tokens of prompts."),
            ),
            output: (
                tokens(instruments::OUTPUT_TOKENS, "Tokens of an answer."),
                counter(instruments::USAGE_OUTPUT, "Tokens of answers."),
            ),
            cache_read: counter(instruments::USAGE_CACHE_READ, "Tokens of prompts that came from a cache."),
            cache_write: counter(instruments::USAGE_CACHE_WRITE, "Tokens of prompts that went to a cache."),
            reasoning: counter(instruments::USAGE_REASONING, "Tokens of answers that are reasoning."),
            dimensions: [
                KeyValue::new(names::OPERATION, names::CHAT),
                KeyValue::new(names::PROVIDER, profile.genai_system().to_owned()),
                KeyValue::new(names::REQUEST_MODEL, profile.model().to_owned()),
            ],
        };
        Self { instruments: Arc::new(instruments) }
    }
}

impl Observer for GenAiMetricsLayer {
    type Call = GenAiMeasuring;

    fn begin(&self, _: &mut CompletionRequest) -> Option<GenAiMeasuring> {
        Some(GenAiMeasuring { instruments: self.instruments.clone(), started: Instant::now() })
    }
}

impl<S> Layer<S> for GenAiMetricsLayer {
    type Service = GenAiMetrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, self.clone())
    }
}

/// A service whose calls are measured by the conventions.
pub type GenAiMetrics<S> = Observe<S, GenAiMetricsLayer>;

/// One call on its way to its measurements.
#[derive(Debug)]
pub struct GenAiMeasuring {
    instruments: Arc<Instruments>,
    started: Instant,
}

impl GenAiMeasuring {
    fn usage(&self, usage: Usage) {
        let Instruments { input, output, cache_read, cache_write, reasoning, dimensions, .. } =
            &*self.instruments;
        for ((calls, all), tokens) in [(input, usage.prompt_tokens), (output, usage.completion_tokens)] {
            if let Some(tokens) = tokens {
                calls.record(tokens, dimensions);
                all.add(tokens, dimensions);
            }
        }
        let parts = [
            (cache_read, usage.cached_tokens),
            (cache_write, usage.cache_creation_tokens),
            (reasoning, usage.reasoning_tokens),
        ];
        for (counter, tokens) in parts {
            if let Some(tokens) = tokens {
                counter.add(tokens, dimensions);
            }
        }
    }

    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

impl CallObserver for GenAiMeasuring {
    fn first_event(&mut self) {
        self.instruments.first_chunk.record(self.seconds(), &self.instruments.dimensions);
    }

    fn done(self, response: &Response) {
        self.usage(response.usage);
        self.instruments.duration.record(self.seconds(), &self.instruments.dimensions);
    }

    fn failed(self, error: &Error) {
        if let Some(usage) = usage_of(error) {
            self.usage(usage);
        }
        let [operation, provider, model] = self.instruments.dimensions.clone();
        let kind = KeyValue::new(names::ERROR_TYPE, error.category().as_str());
        self.instruments.duration.record(self.seconds(), &[operation, provider, model, kind]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        RetryLayer, RetryPolicy,
        metrics::tests::recorded,
        testing::{Script, Step, request, response},
    };
    use oa_wire::{Category, CompletionRequest};

    const COMMON: &str = "gen_ai.operation.name=chat,gen_ai.provider.name=vllm,gen_ai.request.model=my-model";

    /// Around retry, as it is to be.
    async fn of_a_call(steps: Vec<Step>, request: CompletionRequest) -> Vec<String> {
        recorded(request, |profile, meter| {
            let call = RetryLayer::new(RetryPolicy::new().max_attempts(2)).layer(Script::new(steps));
            GenAiMetricsLayer::new(profile, meter).layer(call)
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_has_a_first_chunk_a_duration_and_tokens() {
        let recorded = of_a_call(vec![Step::stream([(2, "a"), (3, "b")])], request().with_stream(true)).await;
        let want = [
            format!("inference.duration {COMMON} 5"),
            format!("inference.operation.input_tokens {COMMON} 7"),
            format!("inference.operation.output_tokens {COMMON} 5"),
            format!("inference.time_to_first_chunk {COMMON} 2"),
            format!("inference.usage.input_tokens {COMMON} 7"),
            format!("inference.usage.output_tokens {COMMON} 5"),
        ];
        assert_eq!(recorded, want);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_one_with_its_retries_and_has_the_parts_of_its_usage() {
        let down = |after| Step::error(Error::new(Category::Unavailable, "refused")).after(after);
        let failed = of_a_call(vec![down(0), down(4)], request()).await;
        assert_eq!(failed.len(), 1, "{failed:?}");
        let want = format!("inference.duration error.type=provider_unavailable,{COMMON} ");
        assert!(failed[0].starts_with(&want), "{failed:?}");

        let mut answer = response("a");
        answer.usage.cached_tokens = Some(3);
        answer.usage.cache_creation_tokens = Some(2);
        answer.usage.reasoning_tokens = Some(1);
        let recorded = of_a_call(vec![Step::answer(answer)], request()).await;
        for part in ["cache_read.input_tokens", "cache_write.input_tokens", "reasoning.output_tokens"] {
            let line = recorded.iter().find(|line| line.starts_with(&format!("inference.usage.{part}")));
            assert!(line.is_some(), "{part}: {recorded:?}");
        }
        assert_eq!(recorded[0], format!("inference.duration {COMMON} 0"));
    }
}
