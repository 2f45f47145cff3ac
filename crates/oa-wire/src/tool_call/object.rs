//! An object that a model wrote: its text, and the value once it is asked for.

use serde_json::{Map, Value};
use std::{fmt, sync::OnceLock};

/// An object. Most programs read the arguments into a type of their own or pass them on: the value is built
/// when it is first asked for.
#[derive(Clone)]
pub(super) struct Object {
    /// Empty where the value did not come from a text.
    text: String,
    /// Always a [`Value::Object`]: validators take a value.
    value: OnceLock<Value>,
}

impl Object {
    /// The object of a text that `serde_json` reads as one.
    pub(super) fn of_text(text: String) -> Self {
        Self { text, value: OnceLock::new() }
    }

    pub(super) fn value(&self) -> &Value {
        self.value.get_or_init(|| read(&self.text))
    }

    pub(super) fn into_value(self) -> Value {
        self.value.into_inner().unwrap_or_else(|| read(&self.text))
    }
}

/// Reads a text that was checked before.
fn read(text: &str) -> Value {
    let value = serde_json::from_str(text);
    debug_assert!(matches!(value, Ok(Value::Object(_))), "{text}: {value:?}");
    value.unwrap_or_else(|_| Value::Object(Map::new()))
}

impl From<Map<String, Value>> for Object {
    fn from(object: Map<String, Value>) -> Self {
        Self { text: String::new(), value: Value::Object(object).into() }
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        (!self.text.is_empty() && self.text == other.text) || self.value() == other.value()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}
