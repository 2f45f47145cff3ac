//! Finds the error that a router quotes inside the text of its own message.

use super::python;
use crate::json::is_meaningful;
use serde_json::Value;
use std::ops::Range;

/// How many places of a text are looked at.
const PLACES: usize = 16;

/// What stands after `XException - `, without what LiteLLM adds.
pub(super) fn by_litellm(text: &str) -> Option<&str> {
    const QUOTES: &str = "Exception - ";
    const ADDS: [&str; 5] =
        ["\n\nLiteLLM: ", "\nmodel=", "\nReceived Model Group=", "\n\nDeployment Info:", " LiteLLM Retried:"];
    let from = text.find(QUOTES)? + QUOTES.len();
    let quoted = &text[from..];
    let to = ADDS.iter().filter_map(|adds| quoted.find(adds)).min().unwrap_or(quoted.len());
    Some(quoted[..to].trim()).filter(|quoted| !quoted.is_empty())
}

/// The first object in the text that is an error, and where it stands.
pub(super) fn error_object(text: &str) -> Option<(Value, Range<usize>)> {
    let mut at = 0;
    for _ in 0..PLACES {
        at += text.get(at..)?.find('{')?;
        match object_at(&text[at..]) {
            Some((value, length)) => {
                if is_error(&value) {
                    return Some((value, at..at + length));
                }
                at += length;
            }
            None => at += 1,
        }
    }
    None
}

/// The object that this text starts with, and its length: as JSON, as JSON inside a JSON string, as Python's.
fn object_at(text: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(value)) = values.next() {
        return Some((value, values.byte_offset()));
    }
    if text.starts_with("{\\\"") {
        let unescaped = text.replace("\\\"", "\"").replace("\\\\", "\\");
        let mut values = serde_json::Deserializer::from_str(&unescaped).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            return Some((value, text.len()));
        }
    }
    let (json, length) = python::to_json(text)?;
    Some((serde_json::from_str(&json).ok()?, length))
}

/// True for an object that is an error and not, say, a tool that the text is about.
fn is_error(value: &Value) -> bool {
    let has = |name: &str| value.get(name).is_some_and(is_meaningful);
    let alone = value.as_object().is_some_and(|object| object.len() == 1);
    has("error")
        || has("detail") && alone
        || has("errors")
        || has("message") && ["code", "type", "status", "object"].into_iter().any(has)
}
