//! Tools that the model may call, the set of them, and the choice among them.

use crate::{Category, Error, JsonSchema, json::value_kind};
use serde_json::{Map, Value};
use std::{collections::HashSet, sync::Arc};

/// A tool that the model may call: a function of JSON arguments, mostly.
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
    form: ToolForm,
    extras: Map<String, Value>,
}

/// What a tool takes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ToolForm {
    /// Arguments of this schema.
    Function { parameters: JsonSchema, strict: bool },
    /// A text.
    Custom,
    /// What the server says: this is how the tool is sent.
    Raw(Value),
}

impl Tool {
    /// A tool with this name and the JSON Schema of its arguments: a [`Value`], a [`JsonSchema`], or with
    /// the feature `schemars` a `schemars::Schema`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for an empty name or a schema that [`JsonSchema`]
    /// refuses.
    pub fn new(
        name: impl Into<Arc<str>>,
        parameters: impl TryInto<JsonSchema, Error = impl Into<Error>>,
    ) -> Result<Self, Error> {
        let name = named(name.into())?;
        let parameters = parameters.try_into().map_err(|error| {
            let error: Error = error.into();
            error.prefixed(&format!("parameters of tool `{name}`"))
        })?;
        Ok(Self::of(name, ToolForm::Function { parameters, strict: false }))
    }

    /// A tool whose input is a text and no JSON (`"type": "custom"`). Its format, if it has one, is an
    /// extra.
    ///
    /// ```
    /// use oa_wire::Tool;
    ///
    /// let sql = Tool::custom("sql")?
    ///     .with_description("Runs a query.")
    ///     .with_extra("format", serde_json::json!({"type": "text"}));
    /// assert!(sql.is_custom());
    /// # Ok::<(), oa_wire::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for an empty name.
    pub fn custom(name: impl Into<Arc<str>>) -> Result<Self, Error> {
        Ok(Self::of(named(name.into())?, ToolForm::Custom))
    }

    /// A tool that the types here cannot say, as the server takes it: an object. It is sent verbatim, its
    /// keys sorted. Its name is that of its `function` or `custom`, or its own; it may have none.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for what is no object.
    pub fn raw(tool: impl Into<Value>) -> Result<Self, Error> {
        let tool = tool.into();
        if !tool.is_object() {
            let text = format!("a raw tool is an object, got {}", value_kind(&tool));
            return Err(Error::new(Category::InvalidRequest, text));
        }
        let name_of = |owner: &Value| owner.get("name").and_then(Value::as_str).map(Arc::from);
        let inner = ["function", "custom"].into_iter().find_map(|key| tool.get(key).and_then(name_of));
        let name = inner.or_else(|| name_of(&tool)).unwrap_or_default();
        Ok(Self::of(name, ToolForm::Raw(tool)))
    }

    fn of(name: Arc<str>, form: ToolForm) -> Self {
        Self { name, description: None, form, extras: Map::new() }
    }

    /// Sets what the tool does, for the model to read. No change to a raw tool.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<Arc<str>>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets whether the server is asked to decode the arguments strictly (`"strict": true`), which some
    /// servers do for a schema that [`is_strict`](JsonSchema::is_strict) and others refuse or ignore. Off by
    /// default: the member is left out. No change to a tool without a schema.
    #[must_use]
    pub fn with_strict(mut self, on: bool) -> Self {
        if let ToolForm::Function { strict, .. } = &mut self.form {
            *strict = on;
        }
        self
    }

    /// Adds a further member beside name and description, sent verbatim: `defer_loading`, for instance. One
    /// that the mapping itself writes, with another value, is refused when the request is sent
    /// ([`InvalidRequest`](Category::InvalidRequest)).
    #[must_use]
    pub fn with_extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extras.insert(name.into(), value.into());
        self
    }

    /// The name; empty only for a raw tool that has none.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the tool does, if set.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether the server is asked to decode the arguments strictly.
    pub fn is_strict(&self) -> bool {
        matches!(self.form, ToolForm::Function { strict: true, .. })
    }

    /// Whether its input is a text and no JSON.
    pub fn is_custom(&self) -> bool {
        match &self.form {
            ToolForm::Function { .. } => false,
            ToolForm::Custom => true,
            ToolForm::Raw(tool) => tool.get("type").and_then(Value::as_str) == Some("custom"),
        }
    }

    /// The schema of the arguments; none of a custom or raw tool.
    pub fn parameters(&self) -> Option<&JsonSchema> {
        match &self.form {
            ToolForm::Function { parameters, .. } => Some(parameters),
            ToolForm::Custom | ToolForm::Raw(_) => None,
        }
    }

    /// The further members.
    pub fn extras(&self) -> &Map<String, Value> {
        &self.extras
    }

    pub(crate) fn form(&self) -> &ToolForm {
        &self.form
    }
}

fn named(name: Arc<str>) -> Result<Arc<str>, Error> {
    if name.is_empty() {
        return Err(Error::new(Category::InvalidRequest, "a tool's name is empty"));
    }
    Ok(name)
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
            if !tool.name().is_empty() && !names.insert(tool.name()) {
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
        self.as_slice().iter().find(|tool| tool.name() == name && !name.is_empty())
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
    /// The model may call these tools of the list alone.
    #[non_exhaustive]
    Allowed {
        /// Whether it must call one of them.
        mode: ToolMode,
        /// The names of the tools.
        tools: Vec<String>,
    },
    /// Any other choice, sent verbatim: a text or an object.
    #[non_exhaustive]
    Raw {
        /// The choice as the server takes it.
        choice: Value,
    },
}

impl ToolChoice {
    /// The model may call these tools of the list alone (`allowed_tools`).
    ///
    /// ```
    /// use oa_wire::{ToolChoice, ToolMode};
    ///
    /// let choice = ToolChoice::allowed(ToolMode::Required, ["get_weather", "get_time"]);
    /// # let _ = choice;
    /// ```
    pub fn allowed<T: Into<String>>(mode: ToolMode, tools: impl IntoIterator<Item = T>) -> Self {
        Self::Allowed { mode, tools: tools.into_iter().map(Into::into).collect() }
    }

    /// A choice that the types here cannot say, as the server takes it: a text or an object.
    pub fn raw(choice: impl Into<Value>) -> Self {
        Self::Raw { choice: choice.into() }
    }
}

/// Whether the model must call one of the allowed tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolMode {
    /// The model decides.
    Auto,
    /// It must.
    Required,
}
