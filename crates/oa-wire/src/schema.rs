//! A JSON Schema that is known to be valid: its root is an object, and it is compiled once.

#[cfg(feature = "validator")]
mod alternatives;
mod reference;
mod shape;
#[cfg(feature = "schemars")]
mod type_cache;

pub(crate) use shape::{Look, Shape, look};

use crate::{
    Error,
    json::{push_schema_in_order, push_sorted, value_kind},
};
use reference::resolve;
use serde_json::{Map, Value};
use std::{cell::Cell, fmt, sync::Arc};

/// The schema of a tool's arguments or of a structured output.
///
/// Holding one means that it is valid and that what it describes is an object. Building one compiles it:
/// build it once and clone it, which costs a reference count.
///
/// ```
/// use oa_wire::JsonSchema;
/// use serde_json::json;
///
/// let person = JsonSchema::new(json!({
///     "title": "person",
///     "type": "object",
///     "properties": {"name": {"type": "string"}},
///     "required": ["name"],
///     "additionalProperties": false,
/// }))?;
/// assert_eq!(person.name(), "person");
/// assert!(person.is_strict());
/// assert!(JsonSchema::new(json!({"type": "string"})).is_err());
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone)]
pub struct JsonSchema(Arc<Inner>, Option<Check>);

/// What checks values in place of the schema.
type Check = Arc<dyn Fn(&Value) -> Result<(), SchemaViolation> + Send + Sync>;

struct Inner {
    value: Value,
    json: String,
    name: String,
    strict: bool,
    /// None: the schema has keywords that only the validator understands.
    shape: Option<Shape>,
    #[cfg(feature = "validator")]
    validator: jsonschema::Validator,
    #[cfg(feature = "validator")]
    alternatives_lead_back: bool,
}

/// Where and how a value breaks a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaViolation {
    /// The JSON pointer of the place in the value; empty for its root.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl SchemaViolation {
    /// A violation at this place, which says this.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

impl fmt::Display for SchemaViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pointer = if self.pointer.is_empty() { "the root" } else { &self.pointer };
        write!(f, "at {pointer}: {}", self.message)
    }
}

impl JsonSchema {
    /// A schema given as a value. Its keys are sorted on the wire.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) when it is no JSON Schema, or when its root does
    /// not describe an object: `"type": "object"`, a local `$ref` to such a schema, or an `anyOf`, `oneOf` or
    /// `allOf` of them.
    pub fn new(value: Value) -> Result<Self, Error> {
        let mut json = Vec::new();
        push_sorted(&mut json, &value);
        Self::with_json(value, json)
    }

    /// A schema given as text that keeps the order of its `properties`.
    ///
    /// Constrained decoders write members in the schema's order, and "reasoning" had better come before
    /// "answer": the order is then part of the input. All other keys are sorted.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), and for a text that is not JSON.
    pub fn from_text_in_order(text: &str) -> Result<Self, Error> {
        let mut json = Vec::new();
        let value = serde_json::from_str(text)
            .map_err(|error| Error::invalid_request(format!("the schema is not JSON: {error}")))?;
        push_schema_in_order(&mut json, text)
            .map_err(|error| Error::invalid_request(format!("the schema is not JSON: {error}")))?;
        Self::with_json(value, json)
    }

    /// The schema of a Rust type, its properties in the order of the declaration. Made once for each type:
    /// the feature `schemars` switches on `preserve_order` of `schemars` and `serde_json`, without which that
    /// order is lost.
    ///
    /// # Errors
    ///
    /// When the type's schema does not describe an object.
    #[cfg(feature = "schemars")]
    pub fn of<T: schemars::JsonSchema + 'static>() -> Result<Self, Error> {
        static SCHEMAS: type_cache::TypeCache<JsonSchema> = type_cache::TypeCache::new();
        SCHEMAS.get_or_make::<T, _>(|| schemars::schema_for!(T).try_into())
    }

    /// This schema with a function that checks values in place of its own validator, such as whether one is a
    /// value of a Rust type. What is sent stays the same.
    ///
    /// An answer, or the arguments of a call, that the function does not accept is treated as one that
    /// violates the schema.
    #[must_use]
    pub fn with_validator(
        self,
        validator: impl Fn(&Value) -> Result<(), SchemaViolation> + Send + Sync + 'static,
    ) -> Self {
        Self(self.0, Some(Arc::new(validator)))
    }

    fn with_json(value: Value, json: Vec<u8>) -> Result<Self, Error> {
        let Value::Object(root) = &value else {
            return Err(Error::invalid_request(format!(
                "a schema must be an object, not {}",
                value_kind(&value)
            )));
        };
        if !describes_object(root, root, &Cell::new(MAX_LOOKS)) {
            return Err(Error::invalid_request(format!(
                "the schema's root must describe an object (`\"type\": \"object\"`), got type {}",
                root.get("type").unwrap_or(&Value::Null)
            )));
        }
        #[cfg(feature = "validator")]
        let validator = jsonschema::options()
            .offline()
            .build(&value)
            .map_err(|error| Error::invalid_request(format!("not a valid JSON Schema: {error}")))?;
        let json = String::from_utf8(json)
            .map_err(|error| Error::invalid_request(format!("the schema is not UTF-8: {error}")))?;
        Ok(Self(
            Arc::new(Inner {
                name: name(root, &json),
                strict: is_strict(&value, root, 0),
                shape: Shape::of(&value, root),
                json,
                #[cfg(feature = "validator")]
                validator,
                #[cfg(feature = "validator")]
                alternatives_lead_back: alternatives::lead_back(&value, root),
                value,
            }),
            None,
        ))
    }

    /// The schema as it was given.
    pub fn as_value(&self) -> &Value {
        &self.0.value
    }

    /// The schema as it is sent: compact, keys sorted.
    pub fn as_json(&self) -> &str {
        &self.0.json
    }

    /// Its title where that is a legal name (1 to 64 of `A-Z a-z 0-9 _ -`), else a name made from a hash of
    /// the schema, the same on every machine.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether every object in it, through `$ref`, `anyOf`, arrays and definitions, forbids additional
    /// properties and requires every property: what servers call `strict`.
    pub fn is_strict(&self) -> bool {
        self.0.strict
    }

    /// What every value that it accepts is valid by; none where only [`validate`](Self::validate) can tell.
    pub(crate) fn shape(&self) -> Option<&Shape> {
        if self.1.is_some() { None } else { self.0.shape.as_ref() }
    }

    /// Checks a value: by the function of [`with_validator`](Self::with_validator), or else against the
    /// schema. Without the feature `validator`, of the schema only that it is an object.
    ///
    /// # Errors
    ///
    /// The first violation that is found. Its place is not looked for in a value that is nested deeper than
    /// 4 levels where alternatives of the schema lead back to themselves: that would take time exponential in
    /// the depth.
    pub fn validate(&self, value: &Value) -> Result<(), SchemaViolation> {
        if let Some(check) = &self.1 {
            return check(value);
        }
        #[cfg(feature = "validator")]
        if self.0.alternatives_lead_back && alternatives::is_too_deep(value) {
            return if self.0.validator.is_valid(value) {
                Ok(())
            } else {
                Err(SchemaViolation::new("", "it fits none of the schema's nested alternatives"))
            };
        }
        #[cfg(feature = "validator")]
        return self.0.validator.validate(value).map_err(|error| SchemaViolation {
            pointer: error.instance_path().to_string(),
            // What the model wrote is not for messages and logs.
            message: error.masked().to_string(),
        });
        #[cfg(not(feature = "validator"))]
        match value {
            Value::Object(_) => Ok(()),
            other => Err(SchemaViolation::new("", format!("expected an object, got {}", value_kind(other)))),
        }
    }
}

impl TryFrom<Value> for JsonSchema {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self, Error> {
        Self::new(value)
    }
}

#[cfg(feature = "schemars")]
impl TryFrom<schemars::Schema> for JsonSchema {
    type Error = Error;

    /// The order of the properties is kept.
    fn try_from(schema: schemars::Schema) -> Result<Self, Error> {
        Self::from_text_in_order(&schema.to_value().to_string())
    }
}

impl PartialEq for JsonSchema {
    fn eq(&self, other: &Self) -> bool {
        self.0.json == other.0.json
    }
}

impl fmt::Debug for JsonSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonSchema").field(&self.0.json).finish()
    }
}

/// The most schemas that are looked at to find out what the root describes.
const MAX_LOOKS: u32 = 1000;
/// The deepest that a schema is nested; `serde_json` reads none that is deeper.
const MAX_DEPTH: u32 = 128;

/// `looks` is how many more schemas are looked at: one that refers to itself from several places would be
/// looked at without end.
fn describes_object(schema: &Map<String, Value>, root: &Map<String, Value>, looks: &Cell<u32>) -> bool {
    let Some(left) = looks.get().checked_sub(1) else { return false };
    looks.set(left);
    let below = |schema: &Value| {
        let schema = schema.as_object();
        schema.is_some_and(|schema| describes_object(schema, root, looks))
    };
    match schema.get("type") {
        Some(Value::String(name)) => return name == "object",
        Some(Value::Array(names)) => return names.len() == 1 && names[0] == "object",
        Some(_) => return false,
        None => {}
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return resolve(target, root).is_some_and(below);
    }
    let list = |key: &str| schema.get(key).and_then(Value::as_array).filter(|list| !list.is_empty());
    list("allOf").is_some_and(|all| all.iter().any(below))
        || ["anyOf", "oneOf"].into_iter().any(|key| list(key).is_some_and(|any| any.iter().all(below)))
        || schema.contains_key("properties")
}

fn name(root: &Map<String, Value>, json: &str) -> String {
    let legal = |title: &&str| {
        (1..=64).contains(&title.len())
            && title.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    match root.get("title").and_then(Value::as_str).filter(legal) {
        Some(title) => title.to_owned(),
        None => format!("schema_{:016x}", fnv1a(json.as_bytes())),
    }
}

/// FNV-1a, 64 bits: short, and the same everywhere (the standard library's hasher promises neither).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn is_strict(schema: &Value, root: &Map<String, Value>, depth: u32) -> bool {
    let Value::Object(schema) = schema else { return schema == &Value::Bool(false) };
    if depth > MAX_DEPTH {
        return true;
    }
    let below = |schema: &Value| is_strict(schema, root, depth + 1);
    let may_be_object = match schema.get("type") {
        Some(Value::String(name)) => name == "object",
        Some(Value::Array(names)) => names.iter().any(|name| name == "object"),
        _ => {
            // Without a type, only these narrow a schema so that it need not forbid anything itself.
            !["$ref", "anyOf", "oneOf", "allOf", "enum", "const"]
                .into_iter()
                .any(|key| schema.contains_key(key))
        }
    } || schema.contains_key("properties");
    if may_be_object {
        let required = schema.get("required").and_then(Value::as_array);
        let properties = schema.get("properties").and_then(Value::as_object);
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let all_required = properties.into_iter().flatten().all(|(name, _)| {
            required.is_some_and(|required| required.iter().any(|required| required == name.as_str()))
        });
        if !closed || !all_required {
            return false;
        }
    }
    schema.iter().all(|(key, value)| match (key.as_str(), value) {
        ("$ref", Value::String(target)) if target == "#" => true,
        // What lies in the definitions is looked at where it stands.
        ("$ref", Value::String(target)) => resolve(target, root).is_some(),
        (
            "properties" | "$defs" | "definitions" | "patternProperties" | "dependentSchemas",
            Value::Object(map),
        ) => map.values().all(below),
        ("anyOf" | "oneOf" | "allOf" | "prefixItems" | "items", Value::Array(list)) => list.iter().all(below),
        ("items" | "contains" | "not" | "if" | "then" | "else" | "propertyNames", value) => below(value),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn closed(properties: &Value) -> Value {
        let required: Vec<_> = properties.as_object().unwrap().keys().cloned().collect();
        json!({"type": "object", "properties": properties, "required": required,
            "additionalProperties": false})
    }

    #[test]
    fn the_root_must_describe_an_object() {
        let good = [
            json!({"type": "object"}),
            json!({"type": ["object"]}),
            json!({"properties": {"a": {}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}}),
            json!({"oneOf": [{"type": "object"}, {"properties": {}}]}),
        ];
        let bad = [
            json!({"type": "string"}),
            json!({"type": ["object", "null"]}),
            json!({}),
            json!([]),
            json!(true),
            json!({"anyOf": [{"type": "object"}, {"type": "string"}]}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}),
            json!({"type": 3}),
            json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]}),
        ];
        for schema in good {
            assert!(JsonSchema::new(schema.clone()).is_ok(), "{schema}");
        }
        for schema in bad {
            assert!(JsonSchema::new(schema.clone()).is_err(), "{schema}");
        }
    }

    #[cfg(feature = "validator")]
    #[test]
    fn a_schema_that_is_none_is_refused() {
        for schema in [
            json!({"type": "object", "properties": {"a": {"type": "strin"}}}),
            json!({"type": "object", "properties": {"a": {"pattern": "("}}}),
            json!({"type": "object", "properties": {"a": {"$ref": "http://example.com/other"}}}),
        ] {
            assert!(JsonSchema::new(schema.clone()).is_err(), "{schema}");
        }
    }

    #[test]
    fn strict_means_every_object_is_closed_and_requires_all() {
        let leaf = closed(&json!({"a": {"type": "string"}}));
        let strict = [
            leaf.clone(),
            closed(&json!({"list": {"type": "array", "items": leaf}, "maybe": {"anyOf": [leaf,
                    {"type": "null"}]}})),
            json!({"$ref": "#/$defs/x", "$defs": {"x": leaf}}),
            closed(&json!({"kind": {"enum": ["a", "b"]}})),
        ];
        let open = json!({"type": "object", "properties": {}});
        let optional =
            json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false});
        let loose = [
            open.clone(),
            optional.clone(),
            closed(&json!({"deep": open})),
            closed(&json!({"list": {"type": "array", "items": optional}})),
            closed(&json!({"maybe": {"anyOf": [{"type": "null"}, open]}})),
            json!({"$ref": "#/$defs/x", "$defs": {"x": open}}),
            closed(&json!({"any": {}})),
        ];
        for schema in strict {
            assert!(JsonSchema::new(schema.clone()).unwrap().is_strict(), "{schema}");
        }
        for schema in loose {
            assert!(!JsonSchema::new(schema.clone()).unwrap().is_strict(), "{schema}");
        }
    }

    #[test]
    fn the_name_is_the_title_or_a_stable_hash() {
        let named = |title: &str| {
            JsonSchema::new(json!({"title": title, "type": "object"})).unwrap().name().to_owned()
        };
        assert_eq!(named("my_Thing-1"), "my_Thing-1");
        assert_eq!(named("my thing"), named("my thing"));
        assert!(named("my thing").starts_with("schema_"));
        assert_ne!(named("my thing"), named("my  thing"));
        assert!(named(&"x".repeat(65)).starts_with("schema_"));
    }

    #[cfg(feature = "validator")]
    #[test]
    fn a_breach_names_the_place() {
        let schema = closed(&json!({"list": {"type": "array", "items": {"type": "integer"}}}));
        let schema = JsonSchema::new(schema).unwrap();
        assert_eq!(schema.validate(&json!({"list": [1]})), Ok(()));
        let breach = schema.validate(&json!({"list": [1, "x"]})).unwrap_err();
        assert_eq!(breach.pointer, "/list/1");
        let missing = schema.validate(&json!({})).unwrap_err();
        assert!(missing.to_string().contains("list"), "{missing}");
    }
}

#[cfg(all(test, feature = "schemars"))]
mod type_tests {
    use super::JsonSchema;
    use schemars::{Schema, SchemaGenerator, json_schema};
    use std::{
        borrow::Cow,
        sync::atomic::{AtomicU32, Ordering},
    };

    static MADE: AtomicU32 = AtomicU32::new(0);

    struct Counted;

    impl schemars::JsonSchema for Counted {
        fn schema_name() -> Cow<'static, str> {
            "Counted".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            MADE.fetch_add(1, Ordering::Relaxed);
            json_schema!({"type": "object", "properties": {
                "reasoning": {"type": "string"}, "answer": {"type": "string"}, "aside": {"type": "string"},
            }})
        }
    }

    #[test]
    fn a_types_schema_is_made_once_and_keeps_its_order() {
        let (first, second) = (JsonSchema::of::<Counted>().unwrap(), JsonSchema::of::<Counted>().unwrap());
        assert_eq!(MADE.load(Ordering::Relaxed), 1);
        assert!(std::ptr::eq(first.as_json(), second.as_json()));
        let places = ["reasoning", "answer", "aside"].map(|name| first.as_json().find(name).unwrap());
        assert!(places.is_sorted(), "{first:?}");
    }
}
