//! A span around a whole call, by OpenTelemetry's conventions for generative AI.

#[cfg(feature = "metrics")]
pub(crate) mod metrics;
mod names;

use crate::{
    CallContext, CallObserver, Observe, Observer,
    trace::{integer, record_list},
};
use oa_wire::{CompletionRequest, Error, FinishReason, Profile, Response, SessionId, Usage};
use std::sync::Arc;
use tokio::time::Instant;
use tower_layer::Layer;
use tracing::{Span, field::Empty};

/// Puts a span around a whole call with its retries, by OpenTelemetry's conventions for generative AI
/// (version 0.1.0 of
/// [`semantic-conventions-genai`](https://github.com/open-telemetry/semantic-conventions-genai)).
///
/// The spans of [`TraceLayer`](crate::TraceLayer), which have the specification's names, are inside of it,
/// one for each attempt; where they are switched off, it stands alone. It belongs outside of retry;
/// [`Stack::gen_ai`](crate::Stack::gen_ai) puts it there.
///
/// The span is a `tracing` span named `chat`, at level `INFO`; its field `otel.name` makes
/// tracing-opentelemetry export it as `chat {model}`. What is not known is left out.
///
/// | field | type | |
/// |---|---|---|
/// | `gen_ai.operation.name` | string | `chat` |
/// | `gen_ai.provider.name` | string | [`Profile::genai_system`] |
/// | `gen_ai.request.model` | string | the bound model |
/// | `gen_ai.request.stream` | boolean | |
/// | `gen_ai.request.temperature`, `.top_p`, `.frequency_penalty`, `.presence_penalty` | number | where set |
/// | `gen_ai.request.max_tokens`, `.seed` | integer | where set |
/// | `gen_ai.request.stop_sequences` | list | where set |
/// | `gen_ai.output.type` | string | `json` where a schema is asked for |
/// | `gen_ai.conversation.id` | string | the request's session |
/// | `server.address`, `server.port` | string, integer | as [set](Self::server), or of [`Servers`](crate::Servers) that are named by their URLs the last one |
/// | `gen_ai.response.id`, `gen_ai.response.model` | string | |
/// | `gen_ai.response.finish_reasons` | list | |
/// | `gen_ai.response.time_to_first_chunk` | seconds | of a stream: from the call to its first event |
/// | `gen_ai.usage.input_tokens`, `.output_tokens` | integer | |
/// | `gen_ai.usage.cache_read.input_tokens`, `.cache_write.input_tokens` | integer | |
/// | `gen_ai.usage.reasoning.output_tokens` | integer | |
/// | `error.type` | string | the category of a failure |
/// | `otel.status_code`, `otel.status_description` | string | `ERROR` and the category, of a failure |
///
/// ```
/// use oa_middleware::{GenAiLayer, Stack};
/// use oa_wire::Profile;
///
/// let profile = Profile::new("my-model").with_genai_system("vllm");
/// let stack = Stack::new(&profile)
///     .gen_ai(GenAiLayer::new(&profile).server("gpu1.example", 8000))
///     .trace(|attempts| attempts.gen_ai(false)); // the old names of `gen_ai.*`
/// # let _ = stack;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct GenAiLayer {
    config: Arc<Config>,
}

#[derive(Clone, Debug)]
struct Config {
    model: String,
    provider: String,
    server: Option<(String, u16)>,
}

impl GenAiLayer {
    /// A layer for calls of this profile.
    pub fn new(profile: &Profile) -> Self {
        let config = Config {
            model: profile.model().to_owned(),
            provider: profile.genai_system().to_owned(),
            server: None,
        };
        Self { config: Arc::new(config) }
    }

    /// Sets the server's address and port. Without it they are those of the server that was called last, of
    /// [`Servers`](crate::Servers) that are named by their URLs.
    pub fn server(mut self, address: impl Into<String>, port: u16) -> Self {
        Arc::make_mut(&mut self.config).server = Some((address.into(), port));
        self
    }
}

impl<S> Layer<S> for GenAiLayer {
    type Service = GenAi<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe::new(inner, Some(self.clone()))
    }
}

/// A service whose calls have spans by the conventions, unless there is no layer.
pub type GenAi<S> = Observe<S, Option<GenAiLayer>>;

impl Observer for GenAiLayer {
    type Call = GenAiCall;

    fn begin(&self, request: &mut CompletionRequest) -> Option<GenAiCall> {
        let span = open(&self.config, request);
        if span.is_disabled() {
            return None;
        }
        if let Some(stop) = &request.config.stop_sequences {
            record_list(&span, names::STOP_SEQUENCES, stop.iter().map(String::as_str));
        }
        // It will know the server.
        let context = CallContext::of_mut(request).clone();
        Some(GenAiCall { span, config: self.config.clone(), started: Instant::now(), context })
    }
}

fn open(config: &Config, request: &CompletionRequest) -> Span {
    let set = &request.config;
    tracing::info_span!(
        "chat",
        otel.name = format_args!("{} {}", names::CHAT, config.model),
        otel.kind = "client",
        otel.status_code = Empty,
        otel.status_description = Empty,
        { names::OPERATION } = names::CHAT,
        { names::PROVIDER } = config.provider.as_str(),
        { names::REQUEST_MODEL } = config.model.as_str(),
        { names::STREAM } = request.stream,
        { names::TEMPERATURE } = set.temperature,
        { names::TOP_P } = set.top_p,
        { names::FREQUENCY_PENALTY } = set.frequency_penalty,
        { names::PRESENCE_PENALTY } = set.presence_penalty,
        { names::MAX_TOKENS } = set.max_tokens.map(integer),
        { names::SEED } = set.seed,
        { names::STOP_SEQUENCES } = Empty,
        { names::OUTPUT_TYPE } = request.response_schema.as_ref().map(|_| "json"),
        { names::CONVERSATION_ID } = request.session_id.as_ref().map(SessionId::as_str),
        { names::SERVER_ADDRESS } = Empty,
        { names::SERVER_PORT } = Empty,
        { names::RESPONSE_ID } = Empty,
        { names::RESPONSE_MODEL } = Empty,
        { names::FINISH_REASONS } = Empty,
        { names::TIME_TO_FIRST_CHUNK } = Empty,
        { names::USAGE_INPUT } = Empty,
        { names::USAGE_OUTPUT } = Empty,
        { names::USAGE_CACHE_READ } = Empty,
        { names::USAGE_CACHE_WRITE } = Empty,
        { names::USAGE_REASONING } = Empty,
        { names::ERROR_TYPE } = Empty,
    )
}

/// One call on its way.
#[derive(Debug)]
pub struct GenAiCall {
    span: Span,
    config: Arc<Config>,
    started: Instant,
    context: CallContext,
}

impl CallObserver for GenAiCall {
    fn in_scope<T>(&self, poll: impl FnOnce() -> T) -> T {
        self.span.in_scope(poll)
    }

    fn first_event(&mut self) {
        self.span.record(names::TIME_TO_FIRST_CHUNK, self.started.elapsed().as_secs_f64());
    }

    fn done(self, response: &Response) {
        self.server();
        self.answer(response);
    }

    fn failed(self, error: &Error) {
        self.server();
        if let Some(partial) = error.partial() {
            self.answer(partial);
        }
        if let Some(failure) = error.structured() {
            self.finish(failure.finish_reason);
            self.usage(failure.usage);
        }
        let category = error.category().as_str();
        self.span.record(names::ERROR_TYPE, category);
        self.span.record("otel.status_code", "ERROR");
        self.span.record("otel.status_description", category);
    }

    fn cancelled(self, partial: Option<&dyn Fn() -> Response>) {
        self.server();
        if let Some(partial) = partial {
            self.answer(&partial());
        }
    }
}

impl GenAiCall {
    fn server(&self) {
        let last = self.context.server();
        let of_url = || address_of(last.as_deref()?);
        let configured = self.config.server.as_ref().map(|(address, port)| (address.as_str(), *port));
        if let Some((address, port)) = configured.or_else(of_url) {
            self.span.record(names::SERVER_ADDRESS, address);
            self.span.record(names::SERVER_PORT, i64::from(port));
        }
    }

    fn answer(&self, response: &Response) {
        if let Some(id) = &response.id {
            self.span.record(names::RESPONSE_ID, id.as_str());
        }
        if let Some(model) = &response.model {
            self.span.record(names::RESPONSE_MODEL, model.as_str());
        }
        // What a partial answer ended with is known where the server gave it.
        if response.server_finish_reason.is_some() || response.finish_reason != FinishReason::Error {
            self.finish(response.finish_reason);
        }
        self.usage(response.usage);
    }

    fn finish(&self, reason: FinishReason) {
        record_list(&self.span, names::FINISH_REASONS, [reason.as_str()]);
    }

    fn usage(&self, usage: Usage) {
        let record = |name, tokens: Option<u64>| {
            if let Some(tokens) = tokens {
                self.span.record(name, integer(tokens));
            }
        };
        record(names::USAGE_INPUT, usage.prompt_tokens);
        record(names::USAGE_OUTPUT, usage.completion_tokens);
        record(names::USAGE_CACHE_READ, usage.cached_tokens);
        record(names::USAGE_CACHE_WRITE, usage.cache_creation_tokens);
        record(names::USAGE_REASONING, usage.reasoning_tokens);
    }
}

/// Host and port of a URL, which servers are often named by.
fn address_of(name: &str) -> Option<(&str, u16)> {
    let (scheme, rest) = name.split_once("://")?;
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let authority = rest.split('/').next()?;
    let (host, port) = match authority.rsplit_once(':') {
        // The colons of an IPv6 address are within its brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (authority, default),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty()).then_some((host, port))
}

#[cfg(test)]
mod tests;
