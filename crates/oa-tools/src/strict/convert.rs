//! The conversion: a source schema in, the strict one and the way back out.

use super::{
    change::{ChangeKind, SchemaChange, escape},
    keywords::{self, Notes},
    merge::{Object, alternatives, is_composed_object},
    plan::{ENTRY, KEY, Member, Plan, Plans, Types, WRAPPER},
    source::{Source, root_name, unique},
};
use serde_json::{Map, Value, json};
use std::{
    borrow::Cow,
    collections::{HashSet, VecDeque},
};

/// The deepest nesting that is converted.
const MAX_DEPTH: u32 = 100;
/// The most schemas that are converted, those that stand at several places counted at each.
const MAX_VISITS: u32 = 50_000;

pub(super) const WRAPPED: &str = "is the only member, `value`, of an object";

/// What a source schema became.
pub(super) struct Converted {
    pub(super) schema: Value,
    pub(super) plans: Plans,
    /// Whether an object was put around the root.
    pub(super) is_wrapped: bool,
    pub(super) changes: Vec<SchemaChange>,
}

/// A converted part.
struct Part {
    schema: Map<String, Value>,
    plan: Plan,
}

impl Part {
    fn new(schema: Value, plan: Plan) -> Self {
        let schema = match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        };
        Self { schema, plan }
    }

    /// In the place of a part that cannot be expressed; the whole conversion is then not used.
    fn refused() -> Self {
        Self::new(json!({}), Plan::Union(Vec::new()))
    }
}

struct Converter<'a> {
    source: Source<'a>,
    root: &'a Map<String, Value>,
    keep_limits: bool,
    changes: Vec<SchemaChange>,
    noted: HashSet<(String, ChangeKind)>,
    /// The definitions that something refers to: the places in the source and the names.
    names: Vec<(String, String)>,
    queue: VecDeque<(&'a Value, String)>,
    visits: u32,
}

/// Converts a schema. Whether that succeeded is in the changes: none of them is a refusal.
pub(super) fn convert(root: &Map<String, Value>, whole: &Value, keep_limits: bool) -> Converted {
    let mut converter = Converter {
        source: Source::new(whole),
        root,
        keep_limits,
        changes: Vec::new(),
        noted: HashSet::new(),
        names: Vec::new(),
        queue: VecDeque::new(),
        visits: 0,
    };
    let root_part = converter.schema(whole, "", 0);
    let mut definitions = Map::new();
    let mut plans = Vec::new();
    while let Some((schema, place)) = converter.queue.pop_front() {
        let part = converter.schema(schema, &place, 0);
        let name = converter.names[plans.len()].1.clone();
        definitions.insert(name, part.schema.into());
        plans.push(part.plan);
    }
    let is_wrapped = root_part.schema.get("type").is_none_or(|name| name != "object");
    let mut schema = if is_wrapped { converter.wrapped(root_part.schema) } else { root_part.schema };
    if !definitions.is_empty() {
        schema.insert("$defs".into(), definitions.into());
    }
    let plans = Plans { root: root_part.plan, definitions: plans };
    Converted { schema: schema.into(), plans, is_wrapped, changes: converter.changes }
}

impl<'a> Converter<'a> {
    /// Notes a change; once, also where the place is converted at several places.
    fn note(&mut self, place: &str, kind: ChangeKind, text: impl Into<Cow<'static, str>>) {
        let change = SchemaChange::new(place, kind, text);
        if self.noted.insert((change.pointer.clone(), kind)) {
            self.changes.push(change);
        }
    }

    fn refuse(&mut self, place: &str, why: impl Into<Cow<'static, str>>) -> Part {
        self.note(place, ChangeKind::Refused, why);
        Part::refused()
    }

    fn schema(&mut self, schema: &'a Value, place: &str, depth: u32) -> Part {
        if depth > MAX_DEPTH {
            return self.refuse(place, "is nested too deeply");
        }
        self.visits += 1;
        match self.visits {
            0..MAX_VISITS => {}
            MAX_VISITS => return self.refuse(place, "is one schema too many"),
            _ => return Part::refused(),
        }
        let Value::Object(object) = schema else {
            return self.refuse(place, "accepts anything or nothing, which no type says");
        };
        if is_composed_object(object) {
            return self.composed(object, place, depth);
        }
        if let Some(target) = object.get("$ref") {
            return self.reference(object, target, place, depth);
        }
        if object.contains_key("enum") || object.contains_key("const") {
            return self.values(object, place);
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(Value::Array(branches)) = object.get(key) {
                return self.union(object, key, branches, place, depth);
            }
        }
        match object.get("type") {
            Some(Value::String(name)) => self.typed(object, name, place, depth),
            Some(Value::Array(names)) => self.several_types(object, names, place, depth),
            _ if object.contains_key("properties") => self.typed(object, "object", place, depth),
            _ if object.contains_key("items") || object.contains_key("prefixItems") => {
                self.typed(object, "array", place, depth)
            }
            _ => self.refuse(place, "accepts any value: it has no type"),
        }
    }

    fn typed(&mut self, schema: &'a Map<String, Value>, name: &str, place: &str, depth: u32) -> Part {
        match name {
            "object" => self.composed(schema, place, depth),
            "array" => self.array(schema, place, depth),
            "string" | "integer" | "number" | "boolean" | "null" => {
                let mut out = Map::from_iter([("type".to_owned(), name.into())]);
                self.keywords(schema, name, place, &mut out);
                Part { schema: out, plan: scalar(name) }
            }
            _ => self.refuse(place, "has a type that JSON Schema does not know"),
        }
    }

    fn several_types(
        &mut self,
        schema: &'a Map<String, Value>,
        names: &'a [Value],
        place: &str,
        depth: u32,
    ) -> Part {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        if let [name, "null"] | ["null", name] = names[..] {
            let part = self.typed(schema, name, place, depth);
            return nullable(part);
        }
        let mut parts: Vec<Part> = Vec::new();
        for name in &names {
            parts.push(self.typed(schema, name, place, depth));
        }
        if parts.len() == 1 {
            return parts.swap_remove(0);
        }
        self.note(place, ChangeKind::Union, "has a branch of `anyOf` for each of its types");
        any_of(parts, Map::new())
    }

    fn reference(
        &mut self,
        schema: &'a Map<String, Value>,
        target: &'a Value,
        place: &str,
        depth: u32,
    ) -> Part {
        let Some((resolved, at)) = self.source.resolve(target) else {
            return self.refuse(place, "refers to a schema that is not in it");
        };
        if place.is_empty() {
            // The root cannot be a reference.
            self.note(place, ChangeKind::Reference, "is replaced by what it refers to");
            return self.schema(resolved, &at, depth + 1);
        }
        let index = self.definition(resolved, &at);
        if at.is_empty() {
            self.note(place, ChangeKind::Reference, "refers to a definition, not to the root");
        }
        let name = &self.names[index].1;
        let reference = Map::from_iter([("$ref".to_owned(), Value::from(format!("#/$defs/{name}")))]);
        let part = Part { schema: reference, plan: Plan::Definition(index) };
        let mut beside = Map::new();
        self.keywords(schema, "", place, &mut beside);
        if beside.is_empty() {
            return part;
        }
        self.note(
            place,
            ChangeKind::Reference,
            "stands in an `anyOf`, since nothing may stand beside a `$ref`",
        );
        any_of(vec![part], beside)
    }

    /// The place of a definition, which is converted later.
    fn definition(&mut self, schema: &'a Value, at: &str) -> usize {
        if let Some(index) = self.names.iter().position(|(known, _)| known == at) {
            return index;
        }
        let taken = |name: &str| self.names.iter().any(|(_, known)| known == name);
        let name = match at.rsplit('/').next() {
            Some("") | None => root_name(self.root, taken),
            Some(name) => unique(name, taken),
        };
        self.names.push((at.to_owned(), name));
        self.queue.push_back((schema, at.to_owned()));
        self.names.len() - 1
    }

    fn values(&mut self, schema: &'a Map<String, Value>, place: &str) -> Part {
        let values: Vec<Value> = match (schema.get("const"), schema.get("enum")) {
            (Some(value), _) => vec![value.clone()],
            (None, Some(Value::Array(values))) => values.clone(),
            _ => return self.refuse(place, "has an `enum` that is no list"),
        };
        let mut names: Vec<&str> = Vec::new();
        for value in &values {
            let name = match value {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(number) if number.is_f64() => "number",
                Value::Number(_) => "integer",
                Value::String(_) => "string",
                _ => return self.refuse(place, "has an `enum` or `const` of arrays or objects"),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            return self.refuse(place, "has an `enum` without a value");
        }
        let types = names.iter().filter_map(|name| Types::of(name)).fold(Types::default(), Types::and);
        let mut out = Map::new();
        if !schema.contains_key("type") {
            self.note(place, ChangeKind::Type, "has the type of its values");
        }
        let name = if let [name] = names[..] { name.into() } else { json!(names) };
        out.insert("type".into(), name);
        for key in ["const", "enum"] {
            if let Some(value) = schema.get(key) {
                out.insert(key.into(), value.clone());
            }
        }
        self.keywords(schema, "", place, &mut out);
        Part { schema: out, plan: Plan::Scalar { types, values: Some(values) } }
    }

    fn union(
        &mut self,
        schema: &'a Map<String, Value>,
        key: &str,
        branches: &'a [Value],
        place: &str,
        depth: u32,
    ) -> Part {
        if key == "oneOf" {
            self.note(place, ChangeKind::Union, "has `anyOf` in place of `oneOf`");
        }
        let other = if key == "anyOf" { "oneOf" } else { "anyOf" };
        if branches.is_empty() || schema.contains_key(other) {
            return self.refuse(place, "has an empty choice, or `anyOf` beside `oneOf`");
        }
        let mut parts = Vec::with_capacity(branches.len());
        for (at, branch) in branches.iter().enumerate() {
            parts.push(self.schema(branch, &format!("{place}/{key}/{at}"), depth + 1));
        }
        let mut beside = Map::new();
        self.keywords(schema, "", place, &mut beside);
        any_of(parts, beside)
    }

    fn array(&mut self, schema: &'a Map<String, Value>, place: &str, depth: u32) -> Part {
        let (key, tuple) = match (schema.get("prefixItems"), schema.get("items")) {
            (Some(Value::Array(list)), _) => ("prefixItems", Some(list)),
            (_, Some(Value::Array(list))) => ("items", Some(list)),
            _ => ("items", None),
        };
        if let Some(list) = tuple {
            let rest = if key == "items" { "additionalItems" } else { "items" };
            let counts = |key: &str| schema.get(key).and_then(Value::as_u64) == Some(list.len() as u64);
            if !counts("minItems")
                || !(counts("maxItems") || schema.get(rest) == Some(&Value::Bool(false)))
                || list.is_empty()
            {
                return self.refuse(place, "is a tuple of no fixed length");
            }
            return self.tuple(schema, key, list, place, depth);
        }
        let Some(items) = schema.get("items") else {
            return self.refuse(place, "is an array of any values");
        };
        let part = self.schema(items, &format!("{place}/items"), depth + 1);
        let mut out = Map::from_iter([("type".to_owned(), "array".into())]);
        out.insert("items".into(), part.schema.into());
        self.keywords(schema, "array", place, &mut out);
        Part { schema: out, plan: Plan::Array(Box::new(part.plan)) }
    }

    fn tuple(
        &mut self,
        schema: &'a Map<String, Value>,
        key: &str,
        list: &'a [Value],
        place: &str,
        depth: u32,
    ) -> Part {
        self.note(place, ChangeKind::Tuple, "is an object with the members `0`, `1` and so on");
        let mut members = Vec::with_capacity(list.len());
        let mut plans = Vec::with_capacity(list.len());
        for (at, element) in list.iter().enumerate() {
            let part = self.schema(element, &format!("{place}/{key}/{at}"), depth + 1);
            members.push((at.to_string(), part.schema));
            plans.push(part.plan);
        }
        let mut out = closed(members);
        self.keywords(schema, "tuple", place, &mut out);
        Part { schema: out, plan: Plan::Tuple(plans) }
    }

    /// A schema of objects: one, or a choice of several.
    fn composed(&mut self, schema: &'a Map<String, Value>, place: &str, depth: u32) -> Part {
        let objects = match alternatives(&self.source, schema, place, 0) {
            Ok(objects) => objects,
            Err(why) => return self.refuse(place, why),
        };
        if is_composed_object(schema) {
            self.note(place, ChangeKind::Merged, "is one schema, made of those that it is composed of");
        }
        let mut parts: Vec<Part> =
            objects.into_iter().map(|object| self.object(object, place, depth)).collect();
        if parts.len() == 1 {
            return parts.swap_remove(0);
        }
        any_of(parts, Map::new())
    }

    fn object(&mut self, mut object: Object<'a>, place: &str, depth: u32) -> Part {
        let entry = match (&object.properties[..], &object.additional, &object.patterns[..]) {
            ([], Some((schema, at)), []) => Some((None, *schema, at.clone())),
            ([], None, [(pattern, schema, at)]) => Some((Some(*pattern), *schema, at.clone())),
            _ => None,
        };
        if let Some((pattern, schema, at)) = entry {
            return self.map(&object, pattern, schema, &at, place, depth);
        }
        if let Some(at) = object
            .additional
            .as_ref()
            .map(|(_, at)| at)
            .or_else(|| object.patterns.first().map(|(_, _, at)| at))
        {
            let at = at.clone();
            return self.refuse(&at, "takes members beside those that have a name");
        }
        let mut members = Vec::with_capacity(object.properties.len());
        let mut plans = Vec::with_capacity(object.properties.len());
        for property in std::mem::take(&mut object.properties) {
            let mut part = self.schema(property.schema, &property.place, depth + 1);
            let left_out = !object.required.contains(&property.name);
            let optional = left_out && !self.source.accepts_null(property.schema, 0);
            if left_out {
                let text =
                    if optional { "is required, and null where it is left out" } else { "is required" };
                self.note(&property.place, ChangeKind::Required, text);
            }
            if optional {
                part.schema = nullable(Part { schema: part.schema, plan: scalar("null") }).schema;
            }
            members.push((property.name.to_owned(), part.schema));
            plans.push(Member {
                name: property.name.to_owned(),
                plan: part.plan,
                optional,
                may_be_missing: left_out,
            });
        }
        if !object.is_closed {
            self.note(place, ChangeKind::Closed, "is closed to members that it does not name");
        }
        let mut out = closed(members);
        self.keywords(&object.keywords, "object", place, &mut out);
        Part { schema: out, plan: Plan::Object(plans) }
    }

    /// An object whose members have any names.
    fn map(
        &mut self,
        object: &Object<'a>,
        pattern: Option<&str>,
        schema: &'a Value,
        at: &str,
        place: &str,
        depth: u32,
    ) -> Part {
        self.note(place, ChangeKind::Map, "is an array of objects with the members `key` and `value`");
        let part = self.schema(schema, at, depth + 1);
        let mut key = Map::from_iter([("type".to_owned(), "string".into())]);
        if let Some(pattern) = pattern {
            let pattern = Map::from_iter([("pattern".to_owned(), pattern.into())]);
            self.keywords(&pattern, "string", place, &mut key);
        }
        let entry = closed(vec![(KEY.to_owned(), key), (ENTRY.to_owned(), part.schema)]);
        let mut out =
            Map::from_iter([("type".to_owned(), "array".into()), ("items".to_owned(), entry.into())]);
        self.keywords(&object.keywords, "map", place, &mut out);
        Part { schema: out, plan: Plan::Map(Box::new(part.plan)) }
    }

    /// Copies the keywords that strict decoding takes, and moves the others to the description.
    fn keywords(
        &mut self,
        source: &Map<String, Value>,
        name: &str,
        place: &str,
        out: &mut Map<String, Value>,
    ) {
        let mut notes = Notes::default();
        for (key, value) in source {
            let kept = keywords::keep(key, value, name, self.keep_limits, out, &mut notes);
            let at = || format!("{place}/{}", escape(key));
            match kept {
                keywords::Kept::Whole => {}
                keywords::Kept::Moved => {
                    self.note(&at(), ChangeKind::Moved, "is moved to the description");
                }
                keywords::Kept::Bounds => {
                    self.note(&at(), ChangeKind::Moved, "is replaced by `minimum` and `maximum`");
                }
                keywords::Kept::Dropped => self.note(&at(), ChangeKind::Dropped, "is left out"),
            }
        }
        notes.describe(out);
    }

    fn wrapped(&mut self, mut inner: Map<String, Value>) -> Map<String, Value> {
        self.note("", ChangeKind::Wrapped, WRAPPED);
        inner.remove("title");
        if let Some((_, name)) = self.names.iter().find(|(place, _)| place.is_empty()) {
            inner = Map::from_iter([("$ref".to_owned(), format!("#/$defs/{name}").into())]);
        }
        let mut outer = Map::new();
        if let Some(title) = self.root.get("title") {
            outer.insert("title".into(), title.clone());
        }
        outer.extend(closed(vec![(WRAPPER.to_owned(), inner)]));
        outer
    }
}

fn scalar(name: &str) -> Plan {
    Plan::Scalar { types: Types::of(name).unwrap_or_default(), values: None }
}

/// An object with exactly these members.
fn closed(members: Vec<(String, Map<String, Value>)>) -> Map<String, Value> {
    let required: Vec<Value> = members.iter().map(|(name, _)| name.as_str().into()).collect();
    let properties: Map<String, Value> =
        members.into_iter().map(|(name, schema)| (name, schema.into())).collect();
    Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("properties".to_owned(), properties.into()),
        ("required".to_owned(), required.into()),
        ("additionalProperties".to_owned(), false.into()),
    ])
}

fn any_of(parts: Vec<Part>, beside: Map<String, Value>) -> Part {
    let (mut schemas, mut plans): (Vec<Value>, Vec<Plan>) = (Vec::new(), Vec::new());
    for part in parts {
        schemas.push(part.schema.into());
        plans.push(part.plan);
    }
    let mut schema = beside;
    schema.insert("anyOf".into(), schemas.into());
    Part { schema, plan: Plan::Union(plans) }
}

/// The same part, or null.
fn nullable(part: Part) -> Part {
    let Part { mut schema, plan } = part;
    let plan = Plan::Union(vec![plan, scalar("null")]);
    let is_plain = !["enum", "const", "anyOf", "$ref"].iter().any(|key| schema.contains_key(*key));
    match schema.get("type") {
        Some(Value::String(name)) if is_plain && !matches!(name.as_str(), "object" | "array") => {
            let names = json!([name, "null"]);
            schema.insert("type".into(), names);
        }
        Some(Value::Array(names)) if is_plain => {
            let names: Vec<Value> = names.iter().cloned().chain(["null".into()]).collect();
            schema.insert("type".into(), names.into());
        }
        _ if schema.contains_key("anyOf") => {
            if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
                branches.push(json!({"type": "null"}));
            }
        }
        _ => {
            let mut outer = Map::new();
            for key in ["title", "description"] {
                if let Some(text) = schema.remove(key) {
                    outer.insert(key.into(), text);
                }
            }
            outer.insert("anyOf".into(), json!([schema, {"type": "null"}]));
            schema = outer;
        }
    }
    Part { schema, plan }
}
