//! A call of a tool, and its arguments.

mod object;

use crate::{
    json::value_kind,
    schema::{Look, Shape, look},
};
use object::Object;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A call of a tool by the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
#[non_exhaustive]
pub struct ToolCall {
    /// The id that the result must name. Never rewritten.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments; of a custom tool, its input.
    pub arguments: ToolArguments,
    /// A signature, where the provider requires it to be sent back. Not sent by the OpenAI mapping.
    pub signature: Option<String>,
    /// True when the server sent no id and this one was made here: unique in its message, starting with
    /// `call_local_`.
    pub id_is_local: bool,
}

/// A call as it is stored. That the arguments are the input of a custom tool is not to be seen from them.
#[derive(Serialize, Deserialize)]
struct Form {
    id: String,
    name: String,
    #[serde(default)]
    arguments: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    id_is_local: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_custom: bool,
}

impl From<Form> for ToolCall {
    fn from(form: Form) -> Self {
        let Form { id, name, arguments, signature, id_is_local, is_custom } = form;
        let arguments = match arguments {
            Value::String(input) if is_custom => ToolArguments::input(input),
            other => other.into(),
        };
        Self { id, name, arguments, signature, id_is_local }
    }
}

impl From<ToolCall> for Form {
    fn from(call: ToolCall) -> Self {
        let is_custom = call.arguments.is_input();
        let ToolCall { id, name, arguments, signature, id_is_local } = call;
        Self { id, name, arguments: arguments.into(), signature, id_is_local, is_custom }
    }
}

impl ToolCall {
    /// A call with these arguments: a map, or a [`Value`] such as `json!` makes.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<ToolArguments>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            signature: None,
            id_is_local: false,
        }
    }

    /// A call of a custom tool, whose input is a text.
    pub fn custom(id: impl Into<String>, name: impl Into<String>, input: impl Into<String>) -> Self {
        Self::new(id, name, ToolArguments::input(input))
    }
}

/// The arguments of a tool call: an object, or what the model wrote instead of one.
///
/// Invalid arguments fail the completion ([`InvalidResponse`](crate::Category::InvalidResponse)) unless the
/// finish reason is `error`, the stream was cut off, or
/// [`surface_invalid_tool_calls`](crate::Profile::with_surface_invalid_tool_calls) is on; then
/// [`error`](Self::error) says what is wrong.
///
/// ```
/// use oa_wire::ToolArguments;
///
/// let good = ToolArguments::parse(r#"{"city": "Paris"}"#);
/// assert_eq!(good.as_object().unwrap()["city"], "Paris");
///
/// let cut = ToolArguments::parse(r#"{"city": "Par"#);
/// assert!(cut.as_object().is_none());
/// assert_eq!(cut.text(), Some(r#"{"city": "Par"#));
/// assert!(cut.error().is_some());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub struct ToolArguments(Arguments);

#[derive(Clone, Debug, PartialEq)]
enum Arguments {
    Object(Object),
    /// The input of a custom tool, and what is wrong with the call.
    Input(String, Option<String>),
    Invalid(Box<Invalid>),
}

#[derive(Clone, Debug, PartialEq)]
struct Invalid {
    object: Option<Object>,
    text: Option<String>,
    error: String,
}

impl ToolArguments {
    /// Reads what a model wrote. A blank text is an empty object. Never fails: see [`error`](Self::error).
    pub fn parse(text: &str) -> Self {
        Self::read(text.to_owned(), None).0
    }

    /// Reads what a model wrote; true where it is known to be an object of this shape.
    pub(crate) fn read(text: String, shape: Option<&Shape>) -> (Self, bool) {
        if text.trim_ascii().is_empty() {
            return (Self::default(), false);
        }
        let Look { is_object: true, fits } = look(&text, shape) else {
            return (Self::read_value(&text), false);
        };
        (Self(Arguments::Object(Object::of_text(text))), fits && shape.is_some())
    }

    fn read_value(text: &str) -> Self {
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => Self::from(object),
            Ok(other) => Self::invalid(text, format!("expected an object, got {}", value_kind(&other))),
            Err(error) => Self::invalid(text, format!("not JSON: {error}")),
        }
    }

    /// The input of a custom tool: a text, which need not be JSON.
    pub fn input(text: impl Into<String>) -> Self {
        Self(Arguments::Input(text.into(), None))
    }

    /// True for the input of a custom tool, which [`text`](Self::text) has.
    pub fn is_input(&self) -> bool {
        matches!(self.0, Arguments::Input(..))
    }

    fn invalid(text: &str, error: String) -> Self {
        Self(Arguments::Invalid(Box::new(Invalid { object: None, text: Some(text.to_owned()), error })))
    }

    /// The arguments, where they are an object, even one that violates the tool's schema.
    pub fn as_object(&self) -> Option<&Map<String, Value>> {
        self.as_value().and_then(Value::as_object)
    }

    pub(crate) fn as_value(&self) -> Option<&Value> {
        match &self.0 {
            Arguments::Object(object) => Some(object.value()),
            Arguments::Input(..) => None,
            Arguments::Invalid(invalid) => invalid.object.as_ref().map(Object::value),
        }
    }

    /// What the model wrote, where it is no object: the input of a custom tool, or what is wrong.
    pub fn text(&self) -> Option<&str> {
        match &self.0 {
            Arguments::Object(_) => None,
            Arguments::Input(text, _) => Some(text),
            Arguments::Invalid(invalid) => invalid.text.as_deref(),
        }
    }

    /// What is wrong: not JSON, not an object, a violation of the tool's schema, or a tool that was not
    /// offered.
    pub fn error(&self) -> Option<&str> {
        match &self.0 {
            Arguments::Object(_) => None,
            Arguments::Input(_, error) => error.as_deref(),
            Arguments::Invalid(invalid) => Some(&invalid.error),
        }
    }

    /// The same arguments, marked as invalid for this reason.
    pub(crate) fn with_error(self, error: String) -> Self {
        let (object, text) = match self.0 {
            Arguments::Object(object) => (Some(object), None),
            Arguments::Input(text, _) => return Self(Arguments::Input(text, Some(error))),
            Arguments::Invalid(invalid) => (invalid.object, invalid.text),
        };
        Self(Arguments::Invalid(Box::new(Invalid { object, text, error })))
    }
}

impl Default for ToolArguments {
    fn default() -> Self {
        Self::from(Map::new())
    }
}

impl From<Map<String, Value>> for ToolArguments {
    fn from(object: Map<String, Value>) -> Self {
        Self(Arguments::Object(object.into()))
    }
}

impl From<Value> for ToolArguments {
    /// An object as it is, a string as what a model wrote, null as an empty object.
    fn from(value: Value) -> Self {
        match value {
            Value::Object(object) => object.into(),
            Value::String(text) => Self::parse(&text),
            Value::Null => Self::default(),
            other => {
                Self::invalid(&other.to_string(), format!("expected an object, got {}", value_kind(&other)))
            }
        }
    }
}

impl From<ToolArguments> for Value {
    fn from(arguments: ToolArguments) -> Self {
        match arguments.0 {
            Arguments::Object(object) => object.into_value(),
            Arguments::Input(text, _) => Value::String(text),
            Arguments::Invalid(invalid) => match (invalid.object, invalid.text) {
                (Some(object), _) => object.into_value(),
                (None, Some(text)) => Value::String(text),
                (None, None) => Value::Null,
            },
        }
    }
}

#[cfg(test)]
mod tests;
