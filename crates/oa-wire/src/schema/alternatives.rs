//! Alternatives that lead back to themselves, for which the validator's errors cost too much.

use super::reference::resolve;
use serde_json::{Map, Value};
use std::{collections::HashSet, ptr};

/// How deep a value may be nested for its first violation to be looked for, where alternatives lead back to
/// themselves: the validator lists the errors of every branch, and those double with each level.
const MAX_NESTING: u32 = 4;

/// Whether two branches of an `anyOf`, `oneOf` or `allOf` lead back to it, through `$ref`.
pub(super) fn lead_back(schema: &Value, root: &Map<String, Value>) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(key, value)| {
            let list = value.as_array().filter(|_| is_list_of_branches(key));
            list.is_some_and(|list| {
                list.iter().filter(|branch| reaches(branch, list, root, &mut HashSet::new())).nth(1).is_some()
            }) || lead_back(value, root)
        }),
        Value::Array(items) => items.iter().any(|item| lead_back(item, root)),
        _ => false,
    }
}

fn is_list_of_branches(key: &str) -> bool {
    matches!(key, "anyOf" | "oneOf" | "allOf")
}

/// Whether the schema has this list of branches, in itself or behind references.
fn reaches(
    schema: &Value,
    list: &Vec<Value>,
    root: &Map<String, Value>,
    seen: &mut HashSet<*const Value>,
) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(key, value)| match value {
            Value::Array(branches) if is_list_of_branches(key) && ptr::eq(branches, list) => true,
            Value::String(target) if key == "$ref" => match resolve(target, root) {
                Some(target) => seen.insert(ptr::from_ref(target)) && reaches(target, list, root, seen),
                // The root itself, which has every list.
                None => target == "#",
            },
            value => reaches(value, list, root, seen),
        }),
        Value::Array(items) => items.iter().any(|item| reaches(item, list, root, seen)),
        _ => false,
    }
}

/// Whether the value is nested too deep for its violation to be looked for.
pub(super) fn is_too_deep(value: &Value) -> bool {
    fn exceeds(value: &Value, left: u32) -> bool {
        let below = |value: &Value| left.checked_sub(1).is_none_or(|left| exceeds(value, left));
        match value {
            Value::Object(members) => members.values().any(below),
            Value::Array(items) => items.iter().any(below),
            _ => false,
        }
    }
    exceeds(value, MAX_NESTING)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::JsonSchema;
    use serde_json::json;

    fn node(extra: &Value) -> Value {
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}, "b": extra}, "required": ["a"]})
    }

    fn schema(keyword: &str) -> Value {
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n":
            {keyword: [node(&json!({"type": "string"})), node(&json!({"type": "integer"})),
                {"type": "null"}]}}})
    }

    fn nested(depth: u32, innermost: Value) -> Value {
        (0..depth).fold(innermost, |value, _| json!({"a": value}))
    }

    #[test]
    fn only_two_branches_that_lead_back_are_too_many() {
        let of = |schema: &Value| lead_back(schema, schema.as_object().unwrap());
        for keyword in ["anyOf", "oneOf", "allOf"] {
            assert!(of(&schema(keyword)), "{keyword}");
        }
        let list =
            json!({"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}});
        assert!(!of(&list));
        let twice = json!({"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"},
            {"type": "array", "items": {"$ref": "#"}}]}}});
        assert!(of(&twice));
        assert!(!of(&json!({"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/$defs/s"},
            {"$ref": "#/$defs/s"}]}}, "$defs": {"s": {"type": "string"}}})));
    }

    #[test]
    #[cfg(feature = "validator")]
    fn a_deep_value_is_refused_at_once() {
        // Without the bound, 20 levels take half a minute, and each further one twice as long.
        for keyword in ["anyOf", "oneOf"] {
            let schema = JsonSchema::new(schema(keyword)).unwrap();
            let shallow = schema.validate(&nested(2, json!(1))).unwrap_err();
            assert_eq!(shallow.pointer, "/a", "{shallow}");
            let deep = schema.validate(&nested(100, json!(1))).unwrap_err();
            assert_eq!(deep.pointer, "", "{deep}");
            assert!(deep.message.contains("nested"), "{deep}");
        }
        let schema = JsonSchema::new(schema("anyOf")).unwrap();
        assert_eq!(schema.validate(&nested(100, Value::Null)), Ok(()));
    }
}
