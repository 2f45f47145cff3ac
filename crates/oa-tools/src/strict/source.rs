//! The schema that is converted, and the references into it.

use serde_json::{Map, Value};
use std::cell::Cell;

/// The most schemas that are looked at beside those that are converted.
const MAX_VISITS: u32 = 200_000;

#[derive(Debug)]
pub(super) struct Source<'a> {
    root: &'a Value,
    visits: Cell<u32>,
}

impl<'a> Source<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, visits: Cell::new(MAX_VISITS) }
    }

    /// Counts a visit; false when there were too many: a schema that refers to itself from several places
    /// would be visited without end.
    pub(super) fn visit(&self) -> bool {
        let left = self.visits.get().saturating_sub(1);
        self.visits.set(left);
        left > 0
    }

    /// The schema that a `$ref` names, and its place.
    pub(super) fn resolve(&self, target: &Value) -> Option<(&'a Value, String)> {
        let place = pointer_of(target.as_str()?)?;
        Some((self.root.pointer(&place)?, place))
    }

    /// Whether null satisfies a schema.
    pub(super) fn accepts_null(&self, schema: &Value, depth: u32) -> bool {
        let Value::Object(schema) = schema else { return schema == &Value::Bool(true) };
        if depth > 32 || !self.visit() {
            return false;
        }
        let all = |key: &str| schema.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let names = match schema.get("type") {
            Some(Value::Array(names)) => names.iter().any(|name| name == "null"),
            Some(name) => name == "null",
            None => true,
        };
        let any = |key: &str| {
            all(key).is_empty() || all(key).iter().any(|schema| self.accepts_null(schema, depth + 1))
        };
        names
            && schema.get("const").is_none_or(Value::is_null)
            && schema.get("enum").and_then(Value::as_array).is_none_or(|values| values.contains(&Value::Null))
            && any("anyOf")
            && any("oneOf")
            && all("allOf").iter().all(|schema| self.accepts_null(schema, depth + 1))
            && schema.get("$ref").is_none_or(|target| {
                self.resolve(target).is_some_and(|(schema, _)| self.accepts_null(schema, depth + 1))
            })
    }
}

/// The JSON pointer of a local reference.
fn pointer_of(target: &str) -> Option<String> {
    let fragment = target.strip_prefix('#')?;
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (*byte, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push((digit(*high)? << 4 | digit(*low)?) as u8);
                rest = tail;
            }
            (byte, _) => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok().filter(|pointer| pointer.is_empty() || pointer.starts_with('/'))
}

/// The name of the definition that the root of a schema becomes when something is put around it.
pub(super) fn root_name(root: &Map<String, Value>, taken: impl Fn(&str) -> bool) -> String {
    unique(root.get("title").and_then(Value::as_str).unwrap_or("Root"), taken)
}

/// A legal name like this one that is not taken.
pub(super) fn unique(name: &str, taken: impl Fn(&str) -> bool) -> String {
    let legal =
        |char: char| if char.is_ascii_alphanumeric() || matches!(char, '_' | '-') { char } else { '_' };
    let name: String = name.chars().map(legal).collect();
    let name = if name.is_empty() { "Root".to_owned() } else { name };
    let mut candidate = name.clone();
    let mut number = 2;
    while taken(&candidate) {
        candidate = format!("{name}_{number}");
        number += 1;
    }
    candidate
}

/// A schema with an object around it that has it as its only property, for a root that is no object.
pub(super) fn wrap(root: &Map<String, Value>, property: &str) -> Value {
    let mut definitions = Map::new();
    let mut outer = Map::new();
    let mut inner = Map::new();
    let taken = |name: &str| {
        root.get("$defs").and_then(Value::as_object).is_some_and(|known| known.contains_key(name))
    };
    let name = root_name(root, taken);
    for (key, value) in root {
        let mut value = value.clone();
        point_root_to(&mut value, &format!("#/$defs/{name}"));
        match (key.as_str(), value) {
            ("$defs", Value::Object(known)) => definitions.extend(known),
            ("$schema" | "definitions" | "title", value) => drop(outer.insert(key.clone(), value)),
            (_, value) => drop(inner.insert(key.clone(), value)),
        }
    }
    definitions.insert(name.clone(), Value::Object(inner));
    outer.insert("type".into(), "object".into());
    let reference = Map::from_iter([("$ref".to_owned(), Value::from(format!("#/$defs/{name}")))]);
    outer.insert("properties".into(), Map::from_iter([(property.to_owned(), reference.into())]).into());
    outer.insert("required".into(), vec![Value::from(property)].into());
    outer.insert("additionalProperties".into(), false.into());
    outer.insert("$defs".into(), definitions.into());
    outer.into()
}

/// A schema in which `{}` stands for `true`, wherever a schema is that of a property or an element.
pub(super) fn without_true(schema: &Value) -> Value {
    let Value::Object(object) = schema else {
        return if schema == &Value::Bool(true) { Value::Object(Map::new()) } else { schema.clone() };
    };
    let each = |map: &Map<String, Value>| -> Map<String, Value> {
        map.iter().map(|(name, schema)| (name.clone(), without_true(schema))).collect()
    };
    let members = object.iter().map(|(key, value)| {
        let value = match (key.as_str(), value) {
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(map)) => {
                each(map).into()
            }
            ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(list)) => {
                list.iter().map(without_true).collect::<Vec<_>>().into()
            }
            ("items", value) => without_true(value),
            ("additionalProperties", Value::Object(_)) => without_true(value),
            (_, value) => value.clone(),
        };
        (key.clone(), value)
    });
    Value::Object(members.collect())
}

/// Replaces references to the root.
fn point_root_to(schema: &mut Value, target: &str) {
    match schema {
        Value::Object(object) => {
            for (key, value) in object.iter_mut() {
                if key == "$ref" && value == "#" {
                    *value = target.into();
                } else if !matches!(key.as_str(), "enum" | "const" | "default" | "examples") {
                    point_root_to(value, target);
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|value| point_root_to(value, target)),
        _ => {}
    }
}
