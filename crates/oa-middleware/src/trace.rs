//! A span for each attempt, with the specification's attributes and OpenTelemetry's for generative AI.

mod payload;

use crate::{CallContext, CallObserver, Observe, Observer, RetryReason};
use oa_wire::{Category, CompletionRequest, Error, FinishReason, Profile, Response, TraceContext, Usage};
use std::{fmt, sync::Arc};
use tokio::time::Instant;
use tower_layer::Layer;
use tracing::{Level, Span, field::Empty};

/// Puts a span around each attempt, with the specification's attributes and OpenTelemetry's for generative
/// AI.
///
/// The span is a `tracing` span named `openarmature.llm.complete`, at level `INFO`; its fields have the
/// attributes' exact names, so that any subscriber can read them and
/// tracing-opentelemetry exports them as they are. It is open until
/// the answer is whole: for a stream, until the end of the stream. What is not known is left out.
///
/// | field | type | |
/// |---|---|---|
/// | `openarmature.llm.model` | string | the bound model |
/// | `openarmature.llm.attempt_index` | integer | from 0 |
/// | `openarmature.llm.retry_reason` | string | `transient` or `reask`, on retries |
/// | `openarmature.llm.finish_reason` | string | |
/// | `openarmature.llm.usage.prompt_tokens`, `.completion_tokens`, `.total_tokens` | integer | |
/// | `openarmature.llm.cache_read.input_tokens` | integer | |
/// | `openarmature.llm.output.tool_calls.count` | integer | where there are calls |
/// | `openarmature.llm.output.tool_calls.names`, `.ids` | list | |
/// | `openarmature.llm.time_to_first_token` | seconds | of a stream: from the call to its first event |
/// | `openarmature.llm.tokens_per_second` | number | since the first event, or else since the call |
/// | `openarmature.llm.request_id` | string | the server's id of the HTTP request |
/// | `openarmature.llm.abandoned` | boolean | true where the caller dropped the call or the stream |
/// | `openarmature.llm.server` | string | the name of the server that was called last, of several |
/// | `openarmature.error.category` | string | of a failure |
/// | `otel.status_code`, `otel.status_description` | string | `OK`, or `ERROR` and the category |
/// | `openarmature.llm.input.messages`, `.request.extras` | string | payload, off by default |
/// | `openarmature.llm.output.content`, `.output.tool_calls` | string | payload, off by default |
/// | `gen_ai.system`, `gen_ai.request.model` | string | |
/// | `gen_ai.request.temperature`, `.top_p`, `.frequency_penalty`, `.presence_penalty` | number | where set |
/// | `gen_ai.request.max_tokens`, `.seed` | integer | where set |
/// | `gen_ai.request.stop_sequences` | list | where set |
/// | `gen_ai.response.model`, `gen_ai.response.id` | string | |
/// | `gen_ai.response.finish_reasons` | list | |
/// | `gen_ai.usage.input_tokens`, `.output_tokens` | integer | |
///
/// Integers are recorded as `i64` (tracing-opentelemetry makes texts of `u64`), numbers as `f64`. A `tracing`
/// field holds no list: the four lists are JSON text, such as `["stop"]`. With the feature `otel`, and where
/// an OpenTelemetry layer listens, they are true array attributes instead.
///
/// A failure is also an event named `exception` inside the span, at level `WARN`, with `exception.type` and
/// `exception.message`. The message of an error that may quote the model's output is replaced by a fixed one
/// while payload is off.
///
/// A server that failed a call which went on to another, of [`Servers`](crate::Servers), is an event
/// `openarmature.llm.server_failed`, with `openarmature.llm.server` and `openarmature.error.category`.
///
/// Where no subscriber listens, nothing is computed and streams pass through untouched.
///
/// Stack it inside retry, so that each attempt has its own, and outside the timeouts, so that their errors
/// show.
///
/// ```
/// use oa_middleware::TraceLayer;
/// use oa_wire::Profile;
///
/// let profile = Profile::new("my-model").with_genai_system("vllm");
/// let layer = TraceLayer::new(&profile).payload(true);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct TraceLayer {
    config: Arc<Config>,
}

#[derive(Clone, Debug)]
struct Config {
    model: String,
    system: String,
    spans: bool,
    payload: bool,
    gen_ai: bool,
    payload_limit: usize,
    propagator: Option<Propagator>,
}

/// Makes the trace context that a request carries, of a span.
#[derive(Clone)]
struct Propagator(Arc<ContextOf>);

type ContextOf = dyn Fn(&Span) -> Option<TraceContext> + Send + Sync;

impl fmt::Debug for Propagator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Propagator(..)")
    }
}

impl TraceLayer {
    /// A layer for calls of this profile: spans and `gen_ai.*` on, payload off.
    pub fn new(profile: &Profile) -> Self {
        Self {
            config: Arc::new(Config {
                model: profile.model().to_owned(),
                system: profile.genai_system().to_owned(),
                spans: true,
                payload: false,
                gen_ai: true,
                payload_limit: 64 * 1024,
                propagator: None,
            }),
        }
    }

    /// Whether there are spans at all. On by default.
    pub fn spans(self, on: bool) -> Self {
        self.set(|config| config.spans = on)
    }

    /// Whether messages, output and extras are recorded. Off by default. Inline images never are.
    pub fn payload(self, on: bool) -> Self {
        self.set(|config| config.payload = on)
    }

    /// The most bytes of one payload attribute, marker of the cut included. 65536 by default, 256 at least.
    pub fn payload_limit(self, bytes: usize) -> Self {
        self.set(|config| config.payload_limit = bytes.max(payload::MIN_LIMIT))
    }

    /// Whether `gen_ai.*` is recorded beside `openarmature.*`. On by default.
    pub fn gen_ai(self, on: bool) -> Self {
        self.set(|config| config.gen_ai = on)
    }

    /// Gives each attempt's request the trace context that this function makes of the attempt's span, or of
    /// the current one where spans are switched off. It is sent as `traceparent`, so that the server's spans
    /// are children of the attempt's. A request that has a [trace context](TraceContext) of its own keeps it.
    /// Not called where nobody listens to the span. For tracing-opentelemetry there is `traceparent` (feature
    /// `otel`).
    pub fn propagator(
        self,
        context_of: impl Fn(&Span) -> Option<TraceContext> + Send + Sync + 'static,
    ) -> Self {
        self.set(|config| config.propagator = Some(Propagator(Arc::new(context_of))))
    }

    /// Gives each attempt's request the trace context of the attempt's span, as tracing-opentelemetry knows
    /// it. See [`propagator`](Self::propagator).
    #[cfg(feature = "otel")]
    pub fn traceparent(self) -> Self {
        self.propagator(otel::trace_context)
    }

    fn set(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl TraceLayer {
    fn propagate(&self, span: &Span, request: &mut CompletionRequest) {
        if let Some(Propagator(context_of)) = &self.config.propagator {
            if request.trace_context.is_none() && !span.is_disabled() {
                request.trace_context = context_of(span);
            }
        }
    }
}

impl Observer for TraceLayer {
    type Call = Tracer;

    fn begin(&self, request: &mut CompletionRequest) -> Option<Tracer> {
        if !self.config.spans {
            self.propagate(&Span::current(), request);
            return None;
        }
        let span = open(&self.config, request);
        if span.is_disabled() {
            return None;
        }
        self.propagate(&span, request);
        if self.config.gen_ai {
            if let Some(stop) = &request.config.stop_sequences {
                record_list(&span, "gen_ai.request.stop_sequences", stop.iter().map(String::as_str));
            }
        }
        // It will know the server.
        let context = CallContext::of_mut(request).clone();
        Some(Tracer { span, config: self.config.clone(), started: Instant::now(), first: None, context })
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, self.clone())
    }
}

/// A service whose calls have spans.
pub type Trace<S> = Observe<S, TraceLayer>;

/// Opens the span with what is known before the answer. The values are computed only if someone listens.
fn open(config: &Config, request: &CompletionRequest) -> Span {
    let context = CallContext::of(request);
    let set = &request.config;
    let gen_ai = config.gen_ai;
    let payload = |text: &dyn Fn() -> Option<String>| {
        config.payload.then(text).flatten().map(|text| payload::cut(text, config.payload_limit))
    };
    tracing::info_span!(
        "openarmature.llm.complete",
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        openarmature.llm.model = config.model.as_str(),
        openarmature.llm.attempt_index = context.map_or(0, |context| i64::from(context.attempt())),
        openarmature.llm.retry_reason = context.and_then(CallContext::retry_reason).map(RetryReason::as_str),
        openarmature.llm.finish_reason = Empty,
        openarmature.llm.usage.prompt_tokens = Empty,
        openarmature.llm.usage.completion_tokens = Empty,
        openarmature.llm.usage.total_tokens = Empty,
        openarmature.llm.cache_read.input_tokens = Empty,
        openarmature.llm.output.tool_calls.count = Empty,
        openarmature.llm.output.tool_calls.names = Empty,
        openarmature.llm.output.tool_calls.ids = Empty,
        openarmature.llm.time_to_first_token = Empty,
        openarmature.llm.tokens_per_second = Empty,
        openarmature.llm.request_id = Empty,
        openarmature.llm.server = Empty,
        openarmature.llm.abandoned = Empty,
        openarmature.error.category = Empty,
        openarmature.llm.input.messages = payload(&|| Some(payload::messages(request))),
        openarmature.llm.request.extras = payload(&|| payload::extras(request)),
        openarmature.llm.output.content = Empty,
        openarmature.llm.output.tool_calls = Empty,
        gen_ai.system = gen_ai.then_some(config.system.as_str()),
        gen_ai.request.model = gen_ai.then_some(config.model.as_str()),
        gen_ai.request.temperature = set.temperature.filter(|_| gen_ai),
        gen_ai.request.top_p = set.top_p.filter(|_| gen_ai),
        gen_ai.request.frequency_penalty = set.frequency_penalty.filter(|_| gen_ai),
        gen_ai.request.presence_penalty = set.presence_penalty.filter(|_| gen_ai),
        gen_ai.request.max_tokens = set.max_tokens.filter(|_| gen_ai).map(integer),
        gen_ai.request.seed = set.seed.filter(|_| gen_ai),
        gen_ai.request.stop_sequences = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
    )
}

/// One span on its way.
#[derive(Debug)]
pub struct Tracer {
    span: Span,
    config: Arc<Config>,
    started: Instant,
    first: Option<Instant>,
    context: CallContext,
}

impl CallObserver for Tracer {
    fn in_scope<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.span.in_scope(poll)
    }

    fn first_event(&mut self) {
        let now = Instant::now();
        self.first = Some(now);
        let waited = now.saturating_duration_since(self.started);
        self.span.record("openarmature.llm.time_to_first_token", waited.as_secs_f64());
    }

    fn done(self, response: &Response) {
        self.server();
        self.finish(response.finish_reason);
        self.answer(response);
        self.span.record("otel.status_code", "OK");
    }

    fn failed(self, error: &Error) {
        self.server();
        if let Some(partial) = error.partial() {
            self.partial(partial);
        }
        if let Some(failure) = error.structured() {
            self.finish(failure.finish_reason);
            self.usage(failure.usage);
            self.payload("openarmature.llm.output.content", || failure.output_content.clone());
        }
        if let Some(id) = error.request_id() {
            self.span.record("openarmature.llm.request_id", id);
        }
        let category = error.category().as_str();
        self.span.record("openarmature.error.category", category);
        self.span.record("otel.status_code", "ERROR");
        self.span.record("otel.status_description", category);
        let message = self.message(error);
        tracing::event!(
            name: "exception",
            parent: &self.span,
            Level::WARN,
            "exception.type" = "oa_wire::Error",
            "exception.message" = message,
        );
    }

    fn cancelled(self, partial: Option<&dyn Fn() -> Response>) {
        self.server();
        self.span.record("openarmature.llm.abandoned", true);
        if let Some(partial) = partial {
            self.partial(&partial());
        }
    }
}

impl Tracer {
    /// The server that was called, of several.
    fn server(&self) {
        if let Some(server) = self.context.server() {
            self.span.record("openarmature.llm.server", &*server);
        }
    }

    /// What came of an answer that is not whole.
    fn partial(&self, partial: &Response) {
        if partial.server_finish_reason.is_some() || partial.finish_reason != FinishReason::Error {
            self.finish(partial.finish_reason);
        }
        self.answer(partial);
    }

    fn finish(&self, reason: FinishReason) {
        self.span.record("openarmature.llm.finish_reason", reason.as_str());
        if self.config.gen_ai {
            record_list(&self.span, "gen_ai.response.finish_reasons", [reason.as_str()]);
        }
    }

    fn answer(&self, response: &Response) {
        let span = &self.span;
        self.usage(response.usage);
        if let Some(id) = &response.request_id {
            span.record("openarmature.llm.request_id", id.as_str());
        }
        let calls = &response.message.tool_calls;
        if !calls.is_empty() {
            span.record("openarmature.llm.output.tool_calls.count", integer(calls.len() as u64));
            let names = calls.iter().map(|call| call.name.as_str());
            record_list(span, "openarmature.llm.output.tool_calls.names", names);
            let ids = calls.iter().map(|call| call.id.as_str());
            record_list(span, "openarmature.llm.output.tool_calls.ids", ids);
            self.payload("openarmature.llm.output.tool_calls", || payload::tool_calls(calls));
        }
        if response.message.text_parts().any(|text| !text.is_empty()) {
            self.payload("openarmature.llm.output.content", || response.text().into_owned());
        }
        if self.config.gen_ai {
            if let Some(model) = &response.model {
                span.record("gen_ai.response.model", model.as_str());
            }
            if let Some(id) = &response.id {
                span.record("gen_ai.response.id", id.as_str());
            }
        }
    }

    fn usage(&self, usage: Usage) {
        let record = |name, tokens: Option<u64>| {
            if let Some(tokens) = tokens {
                self.span.record(name, integer(tokens));
            }
        };
        record("openarmature.llm.usage.prompt_tokens", usage.prompt_tokens);
        record("openarmature.llm.usage.completion_tokens", usage.completion_tokens);
        record("openarmature.llm.usage.total_tokens", usage.total_tokens);
        record("openarmature.llm.cache_read.input_tokens", usage.cached_tokens);
        if self.config.gen_ai {
            record("gen_ai.usage.input_tokens", usage.prompt_tokens);
            record("gen_ai.usage.output_tokens", usage.completion_tokens);
        }
        let seconds = self.first.unwrap_or(self.started).elapsed().as_secs_f64();
        if let Some(tokens) = usage.completion_tokens.filter(|_| seconds > 0.0) {
            self.span.record("openarmature.llm.tokens_per_second", tokens as f64 / seconds);
        }
    }

    fn payload(&self, name: &'static str, text: impl FnOnce() -> String) {
        if self.config.payload {
            self.span.record(name, payload::cut(text(), self.config.payload_limit).as_str());
        }
    }

    fn message(&self, error: &Error) -> String {
        match error.category() {
            Category::StructuredOutputInvalid if !self.config.payload => {
                "the output does not satisfy the schema".to_owned()
            }
            Category::InvalidResponse if !self.config.payload => "the answer could not be read".to_owned(),
            _ => payload::cut(error.to_string(), self.config.payload_limit),
        }
    }
}

/// tracing-opentelemetry exports `i64` as integers, but `u64` as texts.
pub(crate) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Records a list: as an array where an OpenTelemetry layer takes it, or else as JSON text.
pub(crate) fn record_list<'a>(
    span: &Span,
    name: &'static str,
    items: impl IntoIterator<Item = &'a str> + Clone,
) {
    #[cfg(feature = "otel")]
    if otel::set_array(span, name, items.clone()) {
        return;
    }
    span.record(name, payload::list(items).as_str());
}

#[cfg(feature = "otel")]
mod otel {
    use oa_wire::TraceContext;
    use opentelemetry::{Array, StringValue, Value, trace::TraceContextExt};
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    /// None where no OpenTelemetry layer listens.
    pub(super) fn trace_context(span: &tracing::Span) -> Option<TraceContext> {
        let context = span.context();
        let span = context.span();
        let context = span.span_context();
        if !context.is_valid() {
            return None;
        }
        let flags = context.trace_flags().to_u8();
        let parent = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
        let trace = TraceContext::new(&parent).ok()?;
        let state = context.trace_state().header();
        if state.is_empty() { Some(trace) } else { trace.with_tracestate(&state).ok() }
    }

    /// False where no OpenTelemetry layer listens.
    pub(super) fn set_array<'a>(
        span: &tracing::Span,
        name: &'static str,
        items: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        if !span.context().span().span_context().is_valid() {
            return false;
        }
        let items = items.into_iter().map(|item| StringValue::from(item.to_owned())).collect();
        span.set_attribute(name, Value::Array(Array::String(items)));
        true
    }
}

#[cfg(test)]
pub(crate) mod tests;
