//! Tools that the model may call, the set of them, and the choice among them.

use crate::{Category, Error, JsonSchema};
use std::{collections::HashSet, sync::Arc};

/// A function that the model may call.
///
/// Building one validates and compiles the schema of its parameters: build it once and clone it, which costs
/// a reference count.
///
/// ```
/// use oa_wire::Tool;
/// use serde_json::json;
///
/// let weather = Tool::new(
///     "get_weather",
///     json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}),
/// )?
/// .with_description("Current weather of a city.");
/// assert_eq!(weather.name(), "get_weather");
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    name: Arc<str>,
    description: Option<Arc<str>>,
    parameters: JsonSchema,
    strict: bool,
}

impl Tool {
    /// A tool with this name and the JSON Schema of its arguments: a [`Value`](serde_json::Value), a
    /// [`JsonSchema`], or with the feature `schemars` a `schemars::Schema`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for an empty name or a schema that [`JsonSchema`]
    /// refuses.
    pub fn new(
        name: impl Into<Arc<str>>,
        parameters: impl TryInto<JsonSchema, Error = impl Into<Error>>,
    ) -> Result<Self, Error> {
        let name = name.into();
        if name.is_empty() {
            return Err(Error::new(Category::InvalidRequest, "a tool's name is empty"));
        }
        let parameters = parameters.try_into().map_err(|error| {
            let error: Error = error.into();
            error.prefixed(&format!("parameters of tool `{name}`"))
        })?;
        Ok(Self { name, description: None, parameters, strict: false })
    }

    /// Sets what the tool does, for the model to read.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets whether the server is asked to decode the arguments strictly (`"strict": true`), which some
    /// servers do for a schema that [`is_strict`](JsonSchema::is_strict) and others refuse or ignore. Off by
    /// default: the member is left out.
    #[must_use]
    pub fn with_strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the tool does, if set.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether the server is asked to decode the arguments strictly.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// The schema of the arguments.
    pub fn parameters(&self) -> &JsonSchema {
        &self.parameters
    }
}

/// The tools of a call, their names unique. Cloning costs a reference count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tools(Option<Arc<[Tool]>>);

impl Tools {
    /// A set of tools.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) when two have the same name.
    pub fn new(tools: impl IntoIterator<Item = Tool>) -> Result<Self, Error> {
        let tools: Arc<[Tool]> = tools.into_iter().collect();
        let mut names = HashSet::with_capacity(tools.len());
        for (at, tool) in tools.iter().enumerate() {
            if !names.insert(tool.name()) {
                let text = format!("tools[{at}].name: `{}` is already the name of another tool", tool.name());
                return Err(Error::new(Category::InvalidRequest, text));
            }
        }
        Ok(Self((!tools.is_empty()).then_some(tools)))
    }

    /// The tools, in the order given.
    pub fn as_slice(&self) -> &[Tool] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The tool with this name.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.as_slice().iter().find(|tool| tool.name() == name)
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// Whether and what the model must call. Absent, the server decides (`auto` where there are tools).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// The model must call some tool. Needs tools.
    Required,
    /// The model must not call any.
    None,
    /// The model must call the tool with this name, which must be in the list.
    Tool(String),
}
