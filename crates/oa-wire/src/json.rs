//! JSON as this crate needs it: a pull reader that borrows, and a writer that sorts keys.
//!
//! Values that users see are those of `serde_json`. These two exist for what it does not do: reading an
//! answer whose fields may have any type without failing as a whole, remembering where in the bytes a text
//! lies, and writing the same bytes whatever order a map was built in (a dependent may switch on
//! `serde_json/preserve_order`).

mod escapes;
mod joined;
mod malformed;
mod read;
mod special;
mod write;

use serde_json::Value;

pub(crate) use escapes::{scan_text, unescape};
pub(crate) use joined::Joined;
pub(crate) use malformed::{Malformed, Missing};
pub(crate) use read::{Index, Kind, Piece, Reader, owned, reads_meaningful};
pub(crate) use write::{equal, push_list, push_schema_in_order, push_sorted, push_text};

/// True for a member that carries a value: not null, false, or empty.
pub(crate) fn is_meaningful(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// The kind of a JSON value, as messages name it.
pub(crate) fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
