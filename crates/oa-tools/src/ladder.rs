//! The ways to put a schema to a server, tried in order until one is accepted.

use oa_wire::{Category, Completion, CompletionRequest, Error, FinishReason, SchemaMode};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

/// Tries the ways to put a schema to a server in order, and remembers the first that it accepts.
///
/// For a request with a schema and without a [`schema_mode`](CompletionRequest::schema_mode) of its own. The
/// next way is tried where the server refuses the schema (a status of 4xx, in whose text `response_format`,
/// `json_schema`, a grammar or such is named) or ignores it (a whole answer, that ended by itself, is not
/// JSON: no server that constrains gives one; seen only where the answer is not streamed). When the next way
/// gives an answer, it is remembered for all further calls through this service: put the layer around the
/// provider of one server and model, inside of retry. Any other error is returned as it is, and when no way
/// is accepted, the first error.
///
/// [`Response::schema_mode`](oa_wire::Response::schema_mode) says which way an answer came.
///
/// ```
/// use oa_provider::{OpenAiProvider, Provider};
/// use oa_tools::SchemaLadderLayer;
/// use oa_wire::SchemaMode;
///
/// let provider = OpenAiProvider::builder("http://localhost:8000", "my-model").build()?;
/// let provider = provider.layer(SchemaLadderLayer::new());
/// let for_vllm = SchemaLadderLayer::of([SchemaMode::ResponseFormat, SchemaMode::StructuredOutputs]);
/// # let _ = (provider, for_vllm);
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct SchemaLadderLayer {
    modes: Arc<[SchemaMode]>,
}

impl SchemaLadderLayer {
    /// All ways: `response_format`, vLLM's `structured_outputs`, llama.cpp's `json_schema`, a forced tool, a
    /// directive in the messages.
    pub fn new() -> Self {
        Self::of([
            SchemaMode::ResponseFormat,
            SchemaMode::StructuredOutputs,
            SchemaMode::JsonSchema,
            SchemaMode::ForcedTool,
            SchemaMode::Prompt,
        ])
    }

    /// These ways, in this order. Without any, requests are passed on as they are.
    pub fn of(modes: impl Into<Arc<[SchemaMode]>>) -> Self {
        Self { modes: modes.into() }
    }
}

impl Default for SchemaLadderLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for SchemaLadderLayer {
    type Service = SchemaLadder<S>;

    fn layer(&self, inner: S) -> SchemaLadder<S> {
        SchemaLadder { inner, modes: self.modes.clone(), accepted: Arc::default() }
    }
}

/// The service of [`SchemaLadderLayer`]. Its clones share what was learnt.
#[derive(Clone, Debug)]
pub struct SchemaLadder<S> {
    inner: S,
    modes: Arc<[SchemaMode]>,
    /// The place of the way that was accepted last.
    accepted: Arc<AtomicUsize>,
}

impl<S> SchemaLadder<S> {
    /// The way that the next request with a schema goes.
    pub fn schema_mode(&self) -> Option<SchemaMode> {
        self.modes.get(self.accepted.load(Ordering::Relaxed)).copied()
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S> Service<CompletionRequest> for SchemaLadder<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let first = self.accepted.load(Ordering::Relaxed);
        let is_set = request.response_schema.is_none() || request.schema_mode.is_some();
        let Some(&mode) = self.modes.get(first).filter(|_| !is_set) else {
            return Box::pin(self.inner.call(request));
        };
        let answer = self.inner.call(request.clone().with_schema_mode(mode));
        let (mut inner, modes, accepted) = (self.inner.clone(), self.modes.clone(), self.accepted.clone());
        Box::pin(async move {
            let refusal = match answer.await {
                Err(error) if is_refusal(&error, mode) => error,
                other => return other,
            };
            for (at, &mode) in modes.iter().enumerate().skip(first + 1) {
                poll_fn(|cx| inner.poll_ready(cx)).await?;
                match inner.call(request.clone().with_schema_mode(mode)).await {
                    Ok(completion) => {
                        accepted.store(at, Ordering::Relaxed);
                        return Ok(completion);
                    }
                    Err(error) if is_refusal(&error, mode) => {}
                    Err(error) => return Err(error),
                }
            }
            Err(refusal)
        })
    }
}

/// Whether an error says that the server does not take a schema in this way.
fn is_refusal(error: &Error, mode: SchemaMode) -> bool {
    match error.category() {
        Category::InvalidRequest => {
            error.status().is_some() && !error.is_context_overflow() && !error.is_content_filter() && {
                let text = error.message().to_ascii_lowercase();
                let param = error.server().param.as_deref().unwrap_or_default().to_ascii_lowercase();
                let words = [
                    "response_format",
                    "response format",
                    "json_schema",
                    "json schema",
                    "structured",
                    "guided",
                    "grammar",
                ];
                let tools = ["tool", "function"];
                let of_mode = if mode == SchemaMode::ForcedTool { &tools[..] } else { &[] };
                words.iter().chain(of_mode).any(|word| text.contains(word) || param.contains(word))
            }
        }
        Category::StructuredOutputInvalid => error.structured().is_some_and(|failure| {
            let text = failure.output_content.as_str();
            failure.finish_reason == FinishReason::Stop
                && !error.is_refusal()
                && !text.trim().is_empty()
                && serde_json::from_str::<serde::de::IgnoredAny>(text).is_err()
        }),
        _ => false,
    }
}
