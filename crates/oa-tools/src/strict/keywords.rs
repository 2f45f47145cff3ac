//! The keywords that strict decoding takes, and the fate of the others.

use serde_json::{Map, Value};
use std::fmt::Write as _;

/// The formats that strict decoding knows.
const FORMATS: [&str; 9] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// What became of a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It stays, or is dealt with elsewhere.
    Whole,
    /// It is told to the model in the description.
    Moved,
    /// It is a minimum and a maximum.
    Bounds,
    Dropped,
}

/// What is added to a description.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    fn add(&mut self, key: &str, value: &Value) {
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        self.0.push(format!("{key}: {text}"));
    }

    /// Puts the notes behind the description.
    pub(super) fn describe(self, out: &mut Map<String, Value>) {
        if self.0.is_empty() {
            return;
        }
        let mut text = match out.get("description") {
            Some(Value::String(text)) => format!("{text}\n"),
            _ => String::new(),
        };
        let _ = write!(text, "({})", self.0.join("; "));
        out.insert("description".into(), text.into());
    }
}

/// Puts a keyword of a schema of this type where it belongs.
pub(super) fn keep(
    key: &str,
    value: &Value,
    name: &str,
    keep_limits: bool,
    out: &mut Map<String, Value>,
    notes: &mut Notes,
) -> Kept {
    let is_number = matches!(name, "integer" | "number");
    match key {
        // The form of the schema itself, which the conversion makes anew.
        "type"
        | "enum"
        | "const"
        | "anyOf"
        | "oneOf"
        | "allOf"
        | "$ref"
        | "$defs"
        | "definitions"
        | "properties"
        | "required"
        | "additionalProperties"
        | "patternProperties"
        | "items"
        | "prefixItems"
        | "additionalItems" => Kept::Whole,
        // A tuple's length is that of its members.
        "minItems" | "maxItems" if name == "tuple" => Kept::Whole,
        "title" | "description" => {
            out.insert(key.into(), value.clone());
            Kept::Whole
        }
        "format" if is_number => match bounds(value.as_str().unwrap_or_default()) {
            Some((least, most)) => {
                for (key, bound) in [("minimum", least), ("maximum", most)] {
                    if !keep_limits {
                        notes.add(key, &bound.into());
                    } else if !out.contains_key(key) {
                        out.insert(key.into(), bound.into());
                    }
                }
                Kept::Bounds
            }
            None => Kept::Dropped,
        },
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf"
            if is_number && keep_limits =>
        {
            out.insert(key.into(), value.clone());
            Kept::Whole
        }
        "minItems" | "maxItems" if name == "array" && keep_limits => {
            out.insert(key.into(), value.clone());
            Kept::Whole
        }
        "pattern" if name == "string" && keep_limits && is_plain(value) => {
            out.insert(key.into(), value.clone());
            Kept::Whole
        }
        "format"
            if name == "string"
                && keep_limits
                && value.as_str().is_some_and(|name| FORMATS.contains(&name)) =>
        {
            out.insert(key.into(), value.clone());
            Kept::Whole
        }
        "default" if value.is_null() => Kept::Dropped,
        "$schema" | "$id" | "$comment" | "$anchor" | "deprecated" | "readOnly" | "writeOnly" => Kept::Dropped,
        key if key.starts_with("x-") => Kept::Dropped,
        // A map's members are the elements of an array.
        "minProperties" if name == "map" && keep_limits => {
            out.insert("minItems".into(), value.clone());
            Kept::Whole
        }
        key => {
            notes.add(key, value);
            Kept::Moved
        }
    }
}

/// The least and the most of the integers whose formats say no more; of 64 bits and above, decoders and
/// readers differ.
fn bounds(format: &str) -> Option<(i64, i64)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        _ => return None,
    })
}

/// Whether a pattern has nothing that a decoder's automaton cannot follow: no look-around, no back reference.
fn is_plain(pattern: &Value) -> bool {
    let Some(pattern) = pattern.as_str() else { return false };
    let bytes = pattern.as_bytes();
    let after = |at: usize, skip: usize| bytes.get(at + skip).copied().unwrap_or_default();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if matches!(after(at, 1), b'1'..=b'9' | b'k' | b'b' | b'B' | b'p' | b'P') => return false,
            b'\\' => at += 1,
            b'(' if after(at, 1) == b'?' && after(at, 2) != b':' => return false,
            _ => {}
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_with_look_around_or_references_are_not_plain() {
        for pattern in ["^[a-z]+$", r"^\d+(?:\.\d+)?$", r"\(\?=", "(a|b)*"] {
            assert!(is_plain(&pattern.into()), "{pattern}");
        }
        for pattern in ["(?=a)", "(?<!a)b", r"(a)\1", r"\bword\b", r"\p{L}", "(?i)a"] {
            assert!(!is_plain(&pattern.into()), "{pattern}");
        }
    }
}
