//! Object schemas that are put together of several: `$ref` with members beside it, `allOf`, flattened enums.

use super::{change::escape, source::Source};
use serde_json::{Map, Value};

/// The most objects that one schema may stand for.
const MAX_ALTERNATIVES: usize = 64;
/// The deepest nesting of compositions.
const MAX_DEPTH: u32 = 32;

/// What one object schema says, with the place of each part in the source.
#[derive(Clone, Debug, Default)]
pub(super) struct Object<'a> {
    /// All keywords that are not named below.
    pub(super) keywords: Map<String, Value>,
    pub(super) properties: Vec<Property<'a>>,
    pub(super) required: Vec<&'a str>,
    /// The schema of members that are not named, unless it is `false`.
    pub(super) additional: Option<(&'a Value, String)>,
    /// The schemas of members by the patterns of their names.
    pub(super) patterns: Vec<(&'a str, &'a Value, String)>,
    /// Whether it forbids members that are not named.
    pub(super) is_closed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Property<'a> {
    pub(super) name: &'a str,
    pub(super) schema: &'a Value,
    pub(super) place: String,
}

const COMPOSING: [&str; 4] = ["$ref", "allOf", "anyOf", "oneOf"];

/// Whether a schema's members, or what they are composed of, make it one of objects.
pub(super) fn is_composed_object(schema: &Map<String, Value>) -> bool {
    let composed = COMPOSING.into_iter().any(|key| schema.contains_key(key));
    let own = schema.contains_key("properties") || schema.get("type").is_some_and(|name| name == "object");
    (composed && own) || schema.contains_key("allOf")
}

/// The objects that a schema stands for: one, or several where there is a choice.
pub(super) fn alternatives<'a>(
    source: &Source<'a>,
    schema: &'a Map<String, Value>,
    place: &str,
    depth: u32,
) -> Result<Vec<Object<'a>>, String> {
    if depth > MAX_DEPTH || !source.visit() {
        return Err("is composed too deeply".to_owned());
    }
    let mut all = vec![own(schema, place)?];
    let of = |schema: &'a Value, place: String| match schema {
        Value::Object(schema) => alternatives(source, schema, &place, depth + 1),
        _ => Err("composes schemas that are not objects".to_owned()),
    };
    if let Some(target) = schema.get("$ref") {
        let (target, place) = source.resolve(target).ok_or("refers to a schema that is not in it")?;
        all = product(&all, &of(target, place)?)?;
    }
    let list = |key: &str| schema.get(key).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, part) in list("allOf").iter().enumerate() {
        all = product(&all, &of(part, format!("{place}/allOf/{at}"))?)?;
    }
    for key in ["anyOf", "oneOf"] {
        let mut choices = Vec::new();
        for (at, part) in list(key).iter().enumerate() {
            choices.extend(of(part, format!("{place}/{key}/{at}"))?);
        }
        if !choices.is_empty() {
            all = product(&all, &choices)?;
        }
    }
    Ok(all)
}

/// What a schema says itself.
fn own<'a>(schema: &'a Map<String, Value>, place: &str) -> Result<Object<'a>, String> {
    if schema.get("type").is_some_and(|name| name != "object") {
        return Err("composes objects with other types".to_owned());
    }
    let mut object = Object::default();
    for (key, value) in schema {
        match (key.as_str(), value) {
            ("type" | "$ref" | "allOf" | "anyOf" | "oneOf" | "$defs" | "definitions" | "$schema", _) => {}
            ("additionalProperties" | "unevaluatedProperties", Value::Bool(false)) => object.is_closed = true,
            ("properties", Value::Object(properties)) => {
                object.properties.extend(properties.iter().map(|(name, schema)| Property {
                    name,
                    schema,
                    place: format!("{place}/properties/{}", escape(name)),
                }));
            }
            ("required", Value::Array(names)) => {
                object.required.extend(names.iter().filter_map(Value::as_str));
            }
            ("additionalProperties" | "unevaluatedProperties", schema) => {
                object.additional = Some((schema, format!("{place}/{key}")));
            }
            ("patternProperties", Value::Object(patterns)) => {
                object.patterns.extend(patterns.iter().map(|(pattern, schema)| {
                    let place = format!("{place}/patternProperties/{}", escape(pattern));
                    (pattern.as_str(), schema, place)
                }));
            }
            _ => {
                object.keywords.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(object)
}

fn product<'a>(left: &[Object<'a>], right: &[Object<'a>]) -> Result<Vec<Object<'a>>, String> {
    if left.len() * right.len() > MAX_ALTERNATIVES {
        return Err(format!("stands for more than {MAX_ALTERNATIVES} different objects"));
    }
    left.iter().flat_map(|left| right.iter().map(move |right| both(left, right))).collect()
}

/// The object that satisfies two schemas.
fn both<'a>(left: &Object<'a>, right: &Object<'a>) -> Result<Object<'a>, String> {
    let mut object = left.clone();
    for (key, value) in &right.keywords {
        let annotation =
            matches!(key.as_str(), "title" | "description" | "default" | "examples" | "deprecated");
        match object.keywords.get(key) {
            None => drop(object.keywords.insert(key.clone(), value.clone())),
            Some(known) if annotation || known == value => {}
            Some(_) => return Err(format!("composes schemas that differ in `{key}`")),
        }
    }
    for property in &right.properties {
        match object.properties.iter().find(|known| known.name == property.name) {
            None => object.properties.push(property.clone()),
            Some(known) if known.schema == property.schema => {}
            Some(_) => {
                return Err(format!("composes schemas that differ in the property `{}`", property.name));
            }
        }
    }
    object.is_closed |= right.is_closed;
    object.required.extend(&right.required);
    object.additional = object.additional.or_else(|| right.additional.clone());
    object.patterns.extend(right.patterns.iter().cloned());
    Ok(object)
}
