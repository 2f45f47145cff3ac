//! A JSON value whose objects keep the order of their members.
//!
//! `serde_json::Value` sorts members unless a feature is on, and features are shared by everything in one
//! build: a test tool must not change how the code under test behaves. Hence this small type of its own.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Number, Value, value::RawValue};
use std::fmt;

/// Deeper values are refused, as `serde_json` refuses them.
const MAX_DEPTH: usize = 127;

/// A JSON value whose objects keep the order of their members. Of a repeated member the last value counts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        if depth(text) > MAX_DEPTH {
            return Err(serde_json::Error::custom("recursion limit exceeded"));
        }
        Self::from_raw(serde_json::from_str(text)?)
    }

    fn from_raw(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let text = raw.get();
        match text.as_bytes().first() {
            Some(b'{') => {
                let Members(members) = serde_json::from_str(text)?;
                let mut object: Vec<(String, Self)> = Vec::with_capacity(members.len());
                for (name, raw) in members {
                    let value = Self::from_raw(raw)?;
                    match object.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, slot)) => *slot = value,
                        None => object.push((name, value)),
                    }
                }
                Ok(Self::Object(object))
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(text)?;
                let items: Result<_, _> = items.into_iter().map(Self::from_raw).collect();
                Ok(Self::List(items?))
            }
            _ => Ok(match serde_json::from_str(text)? {
                Value::Bool(value) => Self::Bool(value),
                Value::Number(value) => Self::Number(value),
                Value::String(value) => Self::Text(value),
                Value::Null | Value::Array(_) | Value::Object(_) => Self::Null,
            }),
        }
    }

    pub(crate) fn text(value: impl Into<String>) -> Self {
        Self::Text(value.into())
    }

    pub(crate) fn count(value: usize) -> Self {
        Self::Number(Number::from(value as u64))
    }

    pub(crate) fn object<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The member of that name, unless it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.member(name).filter(|value| !matches!(value, Self::Null))
    }

    /// The member of that name, null included.
    pub(crate) fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    #[cfg(feature = "generate")]
    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(value) => value.as_i64(),
            _ => None,
        }
    }

    #[cfg(feature = "generate")]
    pub(crate) fn as_usize(&self) -> Option<usize> {
        match self {
            Self::Number(value) => value.as_u64().and_then(|value| usize::try_from(value).ok()),
            _ => None,
        }
    }

    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(value) => value.as_f64(),
            _ => None,
        }
    }

    fn write(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => out.write_str("null"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Number(value) => write!(out, "{value}"),
            Self::Text(value) => write!(out, "{}", quoted(value)),
            Self::List(items) => {
                out.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.write_str(",")?;
                    }
                    item.write(out)?;
                }
                out.write_str("]")
            }
            Self::Object(members) => {
                out.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.write_str(",")?;
                    }
                    write!(out, "{}:", quoted(name))?;
                    value.write(out)?;
                }
                out.write_str("}")
            }
        }
    }
}

/// Compact JSON text.
impl fmt::Display for Json {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(out)
    }
}

/// How deep the brackets of a JSON text are nested.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// `text` as a JSON string literal.
pub(crate) fn quoted(text: &str) -> Value {
    Value::String(text.to_owned())
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_the_last_of_a_repeated_one_counts() {
        let json = Json::parse(r#" {"b":1,"a":[true,null,{"z":"\u00e9","y":-1.5}],"b":2} "#).unwrap();
        assert_eq!(json.to_string(), r#"{"b":2,"a":[true,null,{"z":"é","y":-1.5}]}"#);
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{\"a\":}", "[1,]", "nul", "{} x", "\"\\ud800\"", "{\"a\" 1}"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_value_nested_without_end_is_refused() {
        let text = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(Json::parse(&text).is_err());
        let fine = format!("{}\"\\\"{}\"{}", "[".repeat(127), "[{".repeat(99), "]".repeat(127));
        assert!(Json::parse(&fine).is_ok());
    }
}
