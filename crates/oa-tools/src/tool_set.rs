//! A set of functions that a model may call, and the results of its calls.

use crate::{
    FunctionTool,
    join::{caught, join_in_order},
    span,
};
use oa_wire::{Error, Message, Tool, ToolCall, Tools};
use serde::Serialize;
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};
use tracing::Instrument;

/// How long one call of a tool may take, unless another limit is set.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// How many calls run at a time, unless another number is set.
const MAX_CONCURRENT: usize = 16;
/// The most characters of a tool's name that are shown, where the model made it up.
const MAX_NAME: usize = 64;

/// A set of functions that a model may call. Cloning costs a reference count.
///
/// It runs the calls of a response concurrently and returns their results in the order of the calls, so that
/// every call has a result: a failure, a panic, a time limit that has passed, invalid arguments and a tool
/// that does not exist are results too, as texts that tell the model what to do differently.
///
/// ```
/// use oa_tools::{FunctionTool, ToolSet};
/// use oa_wire::{ToolCall, ToolArguments};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Add {
///     a: i64,
///     b: i64,
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let add = FunctionTool::new("add", |sum: Add| async move { Ok(sum.a + sum.b) })?;
/// let tools = ToolSet::new([add])?;
///
/// let good = ToolCall::new("1", "add", ToolArguments::parse(r#"{"a": 1, "b": 2}"#));
/// let bad = ToolCall::new("2", "add", ToolArguments::parse(r#"{"a": 1, "b": "two"}"#));
/// let results = tools.run(&[good, bad]).await;
/// assert_eq!(results[0].content, "3");
/// assert!(results[1].content.contains("/b"));
/// # Ok::<(), oa_wire::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct ToolSet(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    functions: Vec<FunctionTool>,
    definitions: Tools,
    time_limit: Duration,
    max_concurrent: usize,
    payload: bool,
}

/// What came of one call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ToolResult {
    /// The id of the call.
    pub call_id: String,
    /// The name of the tool, as the model wrote it.
    pub name: String,
    /// The text for the model: the result, or how the call failed.
    pub content: String,
    /// How the call failed, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<ToolFailure>,
    /// How long it ran.
    pub elapsed: Duration,
}

/// How a call of a tool failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolFailure {
    /// There is no tool of this name.
    UnknownTool,
    /// The arguments are not JSON, or no value of the function's argument.
    InvalidArguments,
    /// The function returned an error.
    Failed,
    /// The function panicked.
    Panicked,
    /// The time limit has passed.
    TimedOut,
}

impl ToolFailure {
    /// The name, in spans and in the serde form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTool => "unknown_tool",
            Self::InvalidArguments => "invalid_arguments",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::TimedOut => "timed_out",
        }
    }
}

impl fmt::Display for ToolFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ToolResult {
    /// The message that tells the model.
    pub fn to_message(&self) -> Message {
        Message::tool(self.call_id.as_str(), self.content.as_str())
    }
}

impl ToolSet {
    /// A set of functions, with a limit of 60 seconds for each call and of 16 calls at a time.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) when two have the same name.
    pub fn new(functions: impl IntoIterator<Item = FunctionTool>) -> Result<Self, Error> {
        let functions: Vec<FunctionTool> = functions.into_iter().collect();
        let definitions = Tools::new(functions.iter().map(|function| function.definition().clone()))?;
        let (time_limit, max_concurrent) = (TIME_LIMIT, MAX_CONCURRENT);
        Ok(Self(Arc::new(Inner { functions, definitions, time_limit, max_concurrent, payload: false })))
    }

    /// Sets how long one call may take, where its function has no limit of its own. 60 seconds by default.
    #[must_use]
    pub fn with_time_limit(self, limit: Duration) -> Self {
        self.set(|inner| inner.time_limit = limit)
    }

    /// Sets how many calls run at a time. 16 by default; 0 counts as 1.
    #[must_use]
    pub fn with_max_concurrent(self, calls: usize) -> Self {
        self.set(|inner| inner.max_concurrent = calls)
    }

    /// Sets whether spans have the arguments and results of calls. Off by default.
    #[must_use]
    pub fn with_payload(self, on: bool) -> Self {
        self.set(|inner| inner.payload = on)
    }

    fn set(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The tools as a request has them.
    pub fn definitions(&self) -> &Tools {
        &self.0.definitions
    }

    /// Runs calls and returns their results in the order of the calls. Dropping the future ends those that
    /// run.
    ///
    /// Each call is a span `execute_tool` at level `INFO`, with the attributes of OpenTelemetry's conventions
    /// for generative AI: `gen_ai.tool.name`, `.description`, `.type`, `.call.id`, `error.type`; and, where
    /// [`with_payload`](Self::with_payload) is on, `gen_ai.tool.call.arguments` and `.result`.
    ///
    /// Time limits need a Tokio runtime with its timer.
    pub async fn run(&self, calls: &[ToolCall]) -> Vec<ToolResult> {
        let running =
            calls.iter().map(|call| -> std::pin::Pin<Box<dyn Future<Output = ToolResult> + Send>> {
                Box::pin(self.run_one(call))
            });
        join_in_order(running, self.0.max_concurrent).await
    }

    async fn run_one(&self, call: &ToolCall) -> ToolResult {
        let function = self.0.functions.iter().find(|function| function.definition().name() == call.name);
        let payload = self.0.payload;
        let span = span::open(call, function.map(FunctionTool::definition), payload);
        let started = Instant::now();
        let outcome = match function {
            Some(function) => self.call(function, call).instrument(span.clone()).await,
            None => Err((ToolFailure::UnknownTool, self.no_such_tool(&call.name))),
        };
        let (content, failure) = match outcome {
            Ok(content) => (content, None),
            Err((failure, text)) => (format!("error: {text}"), Some(failure)),
        };
        let (call_id, name) = (call.id.clone(), call.name.clone());
        let result = ToolResult { call_id, name, content, failure, elapsed: started.elapsed() };
        span::close(&span, failure.map(ToolFailure::as_str), &result.content, payload);
        result
    }

    async fn call(&self, function: &FunctionTool, call: &ToolCall) -> Result<String, (ToolFailure, String)> {
        let name = function.definition().name();
        let limit = function.time_limit().unwrap_or(self.0.time_limit);
        let running = caught(async {
            let running = function.start(&call.arguments).map_err(|error| {
                let text = format!("{error}. Call `{name}` again with arguments that satisfy its schema.");
                (ToolFailure::InvalidArguments, text)
            })?;
            running.await.map_err(|error| (ToolFailure::Failed, error.to_string()))
        });
        match timeout(limit, running).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                let text = format!("`{name}` failed unexpectedly. The same call would fail again.");
                Err((ToolFailure::Panicked, text))
            }
            Err(_) => {
                let text = format!("`{name}` did not finish within {limit:?}.");
                Err((ToolFailure::TimedOut, text))
            }
        }
    }

    fn no_such_tool(&self, name: &str) -> String {
        let name: String = name.chars().take(MAX_NAME).collect();
        let names: Vec<&str> = self.0.definitions.as_slice().iter().map(Tool::name).collect();
        if names.is_empty() {
            return format!("there is no tool `{name}`, nor any other. Answer without one.");
        }
        let names = names.join("`, `");
        format!("there is no tool `{name}`. Call one of `{names}`, or answer without one.")
    }
}
