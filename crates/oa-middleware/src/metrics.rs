//! Token usage and durations as OpenTelemetry histograms.

use crate::{CallObserver, Observe, Observer};
use oa_wire::{CompletionRequest, Error, Profile, Response, Usage};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, Meter},
};
use std::sync::Arc;
use tokio::time::Instant;
use tower_layer::Layer;

/// The boundaries that OpenTelemetry's conventions advise for tokens: powers of 4.
pub(crate) const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The same for seconds: 10 ms times powers of 2.
pub(crate) const SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// What a failure cost, as far as it says.
pub(crate) fn usage_of(error: &Error) -> Option<Usage> {
    let usage = error.structured().map(|failure| failure.usage);
    usage.or_else(|| error.partial().map(|partial| partial.usage))
}

/// Records two histograms through OpenTelemetry's metrics API.
///
/// - `openarmature.gen_ai.client.token.usage`, in `{token}`: one value for the tokens of the prompt
///   (`openarmature.gen_ai.token.type` is `input`) and one for those of the answer (`output`), each where the
///   server reports it;
/// - `openarmature.gen_ai.client.operation.duration`, in `s`: from the call to its end; of a stream, to
///   the end of the stream.
///
/// Both have the dimensions `openarmature.gen_ai.operation` (`chat`), `gen_ai.request.model` and
/// `gen_ai.system`; the duration of a failure also has `error.type`, the category. A failure that reports its
/// usage, such as an output that does not satisfy the schema, counts its tokens. A call that is dropped is
/// not recorded.
///
/// Inside retry, each attempt is recorded; that is what the specification asks for.
///
/// ```
/// use oa_middleware::MetricsLayer;
/// use oa_wire::Profile;
///
/// let meter = opentelemetry::global::meter("my-program");
/// let layer = MetricsLayer::new(&Profile::new("my-model"), &meter);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct MetricsLayer {
    instruments: Arc<Instruments>,
}

#[derive(Debug)]
struct Instruments {
    tokens: Histogram<u64>,
    duration: Histogram<f64>,
    dimensions: [KeyValue; 3],
    input: [KeyValue; 4],
    output: [KeyValue; 4],
}

impl MetricsLayer {
    /// A layer for calls of this profile, with instruments of this meter.
    pub fn new(profile: &Profile, meter: &Meter) -> Self {
        let dimensions = [
            KeyValue::new("openarmature.gen_ai.operation", "chat"),
            KeyValue::new("gen_ai.request.model", profile.model().to_owned()),
            KeyValue::new("gen_ai.system", profile.genai_system().to_owned()),
        ];
        let tokens_of = |kind: &'static str| {
            let [operation, model, system] = dimensions.clone();
            [operation, model, system, KeyValue::new("openarmature.gen_ai.token.type", kind)]
        };
        let tokens = meter
            .u64_histogram("openarmature.gen_ai.client.token.usage")
            .with_unit("{token}")
            .with_description("Tokens of prompts and answers.")
            .with_boundaries(TOKENS.to_vec())
            .build();
        let duration = meter
            .f64_histogram("openarmature.gen_ai.client.operation.duration")
            .with_unit("s")
            .with_description("Time from a call to the end of its answer.")
            .with_boundaries(SECONDS.to_vec())
            .build();
        let (input, output) = (tokens_of("input"), tokens_of("output"));
        Self { instruments: Arc::new(Instruments { tokens, duration, dimensions, input, output }) }
    }
}

impl Observer for MetricsLayer {
    type Call = Measuring;

    fn begin(&self, _: &mut CompletionRequest) -> Option<Measuring> {
        Some(Measuring { instruments: self.instruments.clone(), started: Instant::now() })
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, self.clone())
    }
}

/// A service whose calls are measured.
pub type Metrics<S> = Observe<S, MetricsLayer>;

/// One call on its way to its measurements.
#[derive(Debug)]
pub struct Measuring {
    instruments: Arc<Instruments>,
    started: Instant,
}

impl Measuring {
    fn usage(&self, usage: Usage) {
        let Instruments { tokens, input, output, .. } = &*self.instruments;
        if let Some(count) = usage.prompt_tokens {
            tokens.record(count, input);
        }
        if let Some(count) = usage.completion_tokens {
            tokens.record(count, output);
        }
    }

    fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

impl CallObserver for Measuring {
    fn done(self, response: &Response) {
        self.usage(response.usage);
        self.instruments.duration.record(self.seconds(), &self.instruments.dimensions);
    }

    fn failed(self, error: &Error) {
        if let Some(usage) = usage_of(error) {
            self.usage(usage);
        }
        let [operation, model, system] = self.instruments.dimensions.clone();
        let kind = KeyValue::new("error.type", error.category().as_str());
        self.instruments.duration.record(self.seconds(), &[operation, model, system, kind]);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::{Script, Step, request, structured_failure};
    use oa_wire::{Category, Completion};
    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::{
        InMemoryMetricExporter, PeriodicReader, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData, ScopeMetrics},
    };
    use tower::{Service, ServiceExt};

    /// What was recorded of a call that is read to its end: instrument, dimensions and sum, sorted.
    pub(crate) async fn recorded<S>(
        request: CompletionRequest,
        service: impl FnOnce(&Profile, &Meter) -> S,
    ) -> Vec<String>
    where
        S: Service<CompletionRequest, Response = Completion, Error = Error>,
    {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let profile = Profile::new("my-model").with_genai_system("vllm");
        if let Ok(answer) = service(&profile, &provider.meter("test")).oneshot(request).await {
            drop(answer.into_response().await);
        }
        provider.force_flush().unwrap();
        let mut lines = Vec::new();
        for resource in exporter.get_finished_metrics().unwrap() {
            for metric in resource.scope_metrics().flat_map(ScopeMetrics::metrics) {
                let name = metric.name().rsplit("client.").next().unwrap();
                match metric.data() {
                    AggregatedMetrics::U64(MetricData::Histogram(histogram)) => {
                        for point in histogram.data_points() {
                            lines.push(format!("{name} {} {}", tags(point.attributes()), point.sum()));
                        }
                    }
                    AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                        for point in histogram.data_points() {
                            lines.push(format!("{name} {} {}", tags(point.attributes()), point.sum()));
                        }
                    }
                    AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                        for point in sum.data_points() {
                            lines.push(format!("{name} {} {}", tags(point.attributes()), point.value()));
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        lines.sort();
        lines
    }

    fn tags<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> String {
        let mut tags: Vec<_> = attributes.map(|tag| format!("{}={}", tag.key, tag.value)).collect();
        tags.sort();
        tags.join(",")
    }

    async fn of_an_attempt(step: Step) -> Vec<String> {
        let service =
            |profile: &Profile, meter: &Meter| MetricsLayer::new(profile, meter).layer(Script::new([step]));
        recorded(request(), service).await
    }

    const COMMON: &str =
        "gen_ai.request.model=my-model,gen_ai.system=vllm,openarmature.gen_ai.operation=chat";

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_tokens_and_a_duration() {
        let want = [
            format!("operation.duration {COMMON} 5"),
            format!("token.usage {COMMON},openarmature.gen_ai.token.type=input 7"),
            format!("token.usage {COMMON},openarmature.gen_ai.token.type=output 5"),
        ];
        assert_eq!(of_an_attempt(Step::stream([(2, "a"), (3, "b")])).await, want);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_has_its_category_and_the_tokens_it_cost() {
        let refused = Step::error(Error::new(Category::Unavailable, "refused")).after(1);
        let want = format!("operation.duration error.type=provider_unavailable,{COMMON} 1");
        assert_eq!(of_an_attempt(refused).await, [want]);
        let want = [
            format!("operation.duration error.type=structured_output_invalid,{COMMON} 0"),
            format!("token.usage {COMMON},openarmature.gen_ai.token.type=input 20"),
            format!("token.usage {COMMON},openarmature.gen_ai.token.type=output 16"),
        ];
        assert_eq!(of_an_attempt(Step::error(structured_failure("x"))).await, want);
    }
}
