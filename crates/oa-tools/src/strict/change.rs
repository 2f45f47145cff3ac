//! The differences between a source schema and its strict form.

use serde::Serialize;
use std::{borrow::Cow, fmt};

/// A difference between a source schema and the strict one, or why there is no strict one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SchemaChange {
    /// The JSON pointer of the place in the source schema.
    pub(super) pointer: String,
    /// What kind of change it is.
    pub(super) kind: ChangeKind,
    /// What became of the place, as the end of a sentence that begins with it.
    detail: Cow<'static, str>,
}

/// The kinds of [`SchemaChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A property that may be left out is required.
    Required,
    /// An object is closed to members that it does not name.
    Closed,
    /// A map is an array of entries.
    Map,
    /// A tuple is an object.
    Tuple,
    /// A root that is no object is the member of one.
    Wrapped,
    /// A choice is an `anyOf`.
    Union,
    /// A `$ref` points elsewhere, or stands elsewhere.
    Reference,
    /// Several schemas are one.
    Merged,
    /// A type was added.
    Type,
    /// A keyword is told in the description, or by other keywords.
    Moved,
    /// A keyword without a meaning for the model is left out.
    Dropped,
    /// Strict decoding cannot express it: the source is sent as it is.
    Refused,
}

impl SchemaChange {
    pub(super) fn new(
        pointer: impl Into<String>,
        kind: ChangeKind,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { pointer: pointer.into(), kind, detail: detail.into() }
    }

    /// The JSON pointer of the place in the source schema; empty for its root.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What kind of change it is.
    pub const fn kind(&self) -> ChangeKind {
        self.kind
    }

    /// What became of the place.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for SchemaChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the root" } else { &self.pointer };
        let refused = if self.kind == ChangeKind::Refused { "not strict: " } else { "" };
        write!(f, "{refused}{place} {}", self.detail)
    }
}

/// A token of a JSON pointer.
pub(super) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
