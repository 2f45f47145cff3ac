//! Values of one member, joined over the chunks.

use serde_json::{Map, Value};

/// True for members whose texts are pieces of one text.
pub(super) fn is_in_pieces(key: &str) -> bool {
    matches!(
        key,
        "content"
            | "text"
            | "arguments"
            | "input"
            | "data"
            | "transcript"
            | "thinking"
            | "summary"
            | "refusal"
            | "reasoning"
            | "reasoning_content"
    )
}

/// The values of a member, in their order.
pub(super) fn join_members(key: &str, values: impl Iterator<Item = Value>) -> Value {
    values.reduce(|known, value| join(key, known, value)).unwrap_or_default()
}

/// Joins two values of one member: lists one after the other (elements that carry an index by index), objects
/// by member, texts where they are pieces; else the later counts, if it is more than a placeholder.
fn join(key: &str, known: Value, value: Value) -> Value {
    match (known, value) {
        (known, Value::Null) => known,
        (Value::String(known), Value::String(value)) if is_in_pieces(key) => Value::String(known + &value),
        (Value::String(known), Value::String(value)) if value.is_empty() => Value::String(known),
        (Value::Array(mut known), Value::Array(values)) => {
            for element in values {
                let index = element.get("index").filter(|index| index.is_number());
                let at =
                    index.and_then(|index| known.iter().position(|other| other.get("index") == Some(index)));
                match at {
                    Some(at) => known[at] = join("", std::mem::take(&mut known[at]), element),
                    None => known.push(element),
                }
            }
            Value::Array(known)
        }
        (Value::Object(known), Value::Object(value)) => Value::Object(join_objects(known, value)),
        (_, value) => value,
    }
}

fn join_objects(mut known: Map<String, Value>, values: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in values {
        let joined = match known.remove(&key) {
            Some(known) => join(&key, known, value),
            None => value,
        };
        known.insert(key, joined);
    }
    known
}
