//! Writes JSON the same way whatever order its maps were built in, and compares values by what they mean.

use super::{
    Kind, Malformed, Reader,
    special::{Specials, special},
};
use serde_json::{Map, Number, Value};

/// Writes a text with its quotes.
#[inline]
pub(crate) fn push_text(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.push(b'"');
    // Names and short texts have none.
    if bytes.len() < 32 && special(bytes, 0) == bytes.len() {
        out.extend_from_slice(bytes);
        out.push(b'"');
        return;
    }
    let mut specials = Specials::new(bytes);
    let mut from = 0;
    loop {
        let at = specials.next(from);
        out.extend_from_slice(&bytes[from..at]);
        let Some(&byte) = bytes.get(at) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        from = at + 1;
    }
    out.push(b'"');
}

/// Writes a list, each element as `push` writes it.
pub(crate) fn push_list<'a, T: 'a>(
    out: &mut Vec<u8>,
    list: impl IntoIterator<Item = &'a T>,
    mut push: impl FnMut(&mut Vec<u8>, &T),
) {
    out.push(b'[');
    for (at, element) in list.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push(out, element);
    }
    out.push(b']');
}

/// Writes a value, the keys of every object in order.
pub(crate) fn push_sorted(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => push_text(out, text),
        Value::Array(array) => {
            out.push(b'[');
            for (at, element) in array.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push_sorted(out, element);
            }
            out.push(b']');
        }
        Value::Object(object) => {
            out.push(b'{');
            for (at, (key, value)) in sorted(object).into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push_text(out, key);
                out.push(b':');
                push_sorted(out, value);
            }
            out.push(b'}');
        }
    }
}

fn sorted(object: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = object.iter().collect();
    members.sort_unstable_by(|a, b| a.0.cmp(b.0));
    members
}

/// Writes a JSON Schema given as text: keys sorted, but the members of `properties` in the order given.
///
/// Constrained decoders write members in the schema's order, so that order is part of what the caller says.
pub(crate) fn push_schema_in_order(out: &mut Vec<u8>, text: &str) -> Result<(), Malformed> {
    let mut reader = Reader::new(text);
    push_in_order(out, &mut reader, Place::Schema)?;
    reader.end()
}

/// What an object inside a schema is.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// A schema: its keys are keywords.
    Schema,
    /// The value of `properties`: its keys are names, and their order counts.
    Properties,
    /// A map of names to schemas whose order says nothing.
    Schemas,
    /// Data, such as a default.
    Data,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Data, _) | (Self::Schema, "enum" | "const" | "default" | "examples" | "required") => {
                Self::Data
            }
            (Self::Schema, "properties") => Self::Properties,
            (Self::Schema, "$defs" | "definitions" | "patternProperties" | "dependentSchemas") => {
                Self::Schemas
            }
            _ => Self::Schema,
        }
    }
}

fn push_in_order(out: &mut Vec<u8>, reader: &mut Reader<'_>, place: Place) -> Result<(), Malformed> {
    match reader.kind()? {
        Kind::Object => {
            let mut members: Vec<(String, Vec<u8>)> = Vec::new();
            reader.object(|reader, key| {
                let mut value = Vec::new();
                push_in_order(&mut value, reader, place.below(key))?;
                match members.iter_mut().find(|(known, _)| known == key) {
                    Some(member) => member.1 = value,
                    None => members.push((key.to_owned(), value)),
                }
                Ok(())
            })?;
            if place != Place::Properties {
                members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            }
            out.push(b'{');
            for (at, (key, value)) in members.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push_text(out, key);
                out.push(b':');
                out.extend_from_slice(value);
            }
            out.push(b'}');
        }
        Kind::Array => {
            out.push(b'[');
            reader.array(|reader, at| {
                if at > 0 {
                    out.push(b',');
                }
                push_in_order(out, reader, place)
            })?;
            out.push(b']');
        }
        Kind::Text => {
            let text = reader.text()?.unwrap_or_default();
            push_text(out, &text);
        }
        Kind::Number | Kind::Bool | Kind::Null => out.extend_from_slice(reader.raw()?.as_bytes()),
    }
    Ok(())
}

/// Whether two values mean the same: objects by member, arrays in order, numbers numerically, and a boolean
/// is no number.
pub(crate) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => equal_numbers(a, b),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        _ => a == b,
    }
}

fn equal_numbers(a: &Number, b: &Number) -> bool {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        return a == b;
    }
    if let (Some(a), Some(b)) = (a.as_u64(), b.as_u64()) {
        return a == b;
    }
    #[expect(clippy::float_cmp, reason = "equal by value is what is asked")]
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) => x == y,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn written(value: &Value) -> String {
        let mut out = Vec::new();
        push_sorted(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn keys_are_sorted_at_every_level_and_lists_keep_their_order() {
        let value: Value =
            serde_json::from_str(r#"{"b":[{"z":1,"a":2.0},3],"a":{"y":null,"x":true}}"#).unwrap();
        assert_eq!(written(&value), r#"{"a":{"x":true,"y":null},"b":[{"a":2.0,"z":1},3]}"#);
    }

    #[test]
    fn a_schema_in_order_keeps_the_order_of_its_properties_alone() {
        let text = r#"{"type":"object","required":["why","answer"],"properties":{
            "why":{"type":"string","default":{"properties":{"z":1,"a":2}}},
            "answer":{"properties":{"q":{},"p":{}},"items":[{"type":"x","$ref":"y"}]}},
            "$defs":{"b":{},"a":{}}}"#;
        let mut out = Vec::new();
        push_schema_in_order(&mut out, text).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"$defs":{"a":{},"b":{}},"properties":{"why":{"default":{"properties":{"a":2,"z":1}},"#,
                r#""type":"string"},"answer":{"items":[{"$ref":"y","type":"x"}],"properties":{"q":{},"#,
                r#""p":{}}}},"required":["why","answer"],"type":"object"}"#,
            )
        );
    }

    #[test]
    fn equality_is_by_meaning() {
        let same = [(json!(1), json!(1.0)), (json!({"a": 1, "b": [2]}), json!({"b": [2.0], "a": 1}))];
        let different = [
            (json!(1), json!(true)),
            (json!([1, 2]), json!([2, 1])),
            (json!({"a": 1}), json!({"a": 1, "b": null})),
            (json!("1"), json!(1)),
            (json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64)),
        ];
        assert!(same.iter().all(|(a, b)| equal(a, b) && equal(b, a)));
        assert!(!different.iter().any(|(a, b)| equal(a, b) || equal(b, a)));
    }

    proptest! {
        #[test]
        fn a_text_is_written_as_serde_json_writes_it(text in ".*") {
            let mut out = Vec::new();
            push_text(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}
