//! A tool that is a Rust function.

use crate::StrictSchema;
use oa_wire::{Error, Tool, ToolArguments, ToolCall};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

/// [`Tool::of`](ToolExt::of): a tool whose parameters are a Rust type.
pub trait ToolExt: Sized {
    /// A tool with this name, whose arguments are a value of this type. Its description is that of the type.
    ///
    /// ```
    /// use oa_tools::ToolExt;
    /// use oa_wire::Tool;
    ///
    /// /// Current weather of a city.
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// # #[allow(dead_code)]
    /// struct GetWeather {
    ///     city: String,
    /// }
    ///
    /// let tool = Tool::of::<GetWeather>("get_weather")?;
    /// assert_eq!(tool.description(), Some("Current weather of a city."));
    /// # Ok::<(), oa_wire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) for an empty name, or a type whose schema is no
    /// valid JSON Schema.
    fn of<T>(name: impl Into<Arc<str>>) -> Result<Self, Error>
    where
        T: DeserializeOwned + schemars::JsonSchema + 'static;
}

impl ToolExt for Tool {
    fn of<T>(name: impl Into<Arc<str>>) -> Result<Self, Error>
    where
        T: DeserializeOwned + schemars::JsonSchema + 'static,
    {
        let parameters = crate::answer_schema::<T>()?;
        let description =
            parameters.as_value().get("description").and_then(Value::as_str).map(Arc::<str>::from);
        let is_strict = parameters.is_strict();
        let tool = Self::new(name, parameters)?.with_strict(is_strict);
        Ok(match description {
            Some(description) => tool.with_description(description),
            None => tool,
        })
    }
}

/// [`ToolCall::arguments_as`](ToolCallExt::arguments_as): the arguments of a call as a Rust type.
pub trait ToolCallExt {
    /// The arguments as a value of a type, also where they have the [strict form](StrictSchema) of its
    /// schema.
    ///
    /// # Errors
    ///
    /// Why they are none, with the JSON pointer of the place, worded for a model: the text of a tool message.
    fn arguments_as<T>(&self) -> Result<T, ToolError>
    where
        T: DeserializeOwned + schemars::JsonSchema + 'static;
}

impl ToolCallExt for ToolCall {
    fn arguments_as<T>(&self) -> Result<T, ToolError>
    where
        T: DeserializeOwned + schemars::JsonSchema + 'static,
    {
        read_arguments(&self.arguments)
    }
}

fn read_arguments<T>(arguments: &ToolArguments) -> Result<T, ToolError>
where
    T: DeserializeOwned + schemars::JsonSchema + 'static,
{
    let Some(object) = arguments.as_object() else {
        let problem = arguments.error().unwrap_or("they are no object");
        return Err(ToolError::new(format!("the arguments cannot be read: {problem}")));
    };
    let strict = StrictSchema::of::<T>().map_err(ToolError::from)?;
    strict
        .read(&Value::Object(object.clone()))
        .map_err(|violation| ToolError::new(format!("the arguments are invalid {violation}")))
}

/// Why a tool failed, as a text for the model. Made from any error by `?`, or from a text by
/// [`new`](Self::new).
///
/// The model reads the text: it should say what to do differently, and nothing that is not for the model.
pub struct ToolError(String);

impl ToolError {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ToolError").field(&self.0).finish()
    }
}

impl<E: std::error::Error> From<E> for ToolError {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Reads the arguments and begins the function.
type Start = dyn Fn(&ToolArguments) -> Result<Running, ToolError> + Send + Sync;
type Running = Pin<Box<dyn Future<Output = Result<String, ToolError>> + Send>>;

/// A tool that is an asynchronous function of one argument. Cloning costs a few reference counts.
///
/// ```
/// use oa_tools::{FunctionTool, ToolError};
///
/// /// Current weather of a city.
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct GetWeather {
///     city: String,
/// }
///
/// async fn get_weather(arguments: GetWeather) -> Result<String, ToolError> {
///     match arguments.city.as_str() {
///         "Oslo" => Ok("snow".to_owned()),
///         other => Err(ToolError::new(format!("no station in {other}; try Oslo"))),
///     }
/// }
///
/// let tool = FunctionTool::new("get_weather", get_weather)?;
/// assert_eq!(tool.definition().name(), "get_weather");
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone)]
pub struct FunctionTool {
    definition: Tool,
    time_limit: Option<Duration>,
    function: Arc<Start>,
}

impl FunctionTool {
    /// A tool with this name. Its parameters and its description are those of the argument's type; the result
    /// is serialized to JSON, a string as it is.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) for an empty name, or an argument whose schema
    /// is no valid JSON Schema.
    pub fn new<A, R, F, Fut>(name: impl Into<Arc<str>>, function: F) -> Result<Self, Error>
    where
        A: DeserializeOwned + schemars::JsonSchema + 'static,
        R: Serialize,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, ToolError>> + Send + 'static,
    {
        let function = move |arguments: &ToolArguments| -> Result<Running, ToolError> {
            let running = function(read_arguments::<A>(arguments)?);
            Ok(Box::pin(async move { text_of(&running.await?) }))
        };
        Ok(Self { definition: Tool::of::<A>(name)?, time_limit: None, function: Arc::new(function) })
    }

    /// Sets what the tool does, for the model, in place of the description of the argument's type.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.definition = self.definition.with_description(description);
        self
    }

    /// Sets how long one call of it may take, in place of the set's limit.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// The tool as the model is offered it.
    pub fn definition(&self) -> &Tool {
        &self.definition
    }

    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.time_limit
    }

    /// Starts the function; an error where the arguments are invalid.
    pub(crate) fn start(&self, arguments: &ToolArguments) -> Result<Running, ToolError> {
        (self.function)(arguments)
    }
}

impl fmt::Debug for FunctionTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTool")
            .field("definition", &self.definition)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

/// A result as the content of a tool message.
fn text_of(result: &impl Serialize) -> Result<String, ToolError> {
    Ok(match serde_json::to_value(result)? {
        Value::String(text) => text,
        value => value.to_string(),
    })
}
