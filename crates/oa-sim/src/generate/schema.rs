//! A value that satisfies a JSON Schema.
//!
//! Members come in the order of the schema's `properties`. What cannot be obeyed (`not`, `if`, a pattern with
//! look-around) is an error that names it, not a value that might be wrong. Of `oneOf` the first branch that
//! has a value is taken; that no other branch allows the same value is not checked.

use super::pattern;
use crate::json::Json;
use serde_json::Number;

/// Optional members, and items that nothing asks for, are made down to this nesting.
const GENEROUS: usize = 3;
/// A value nested deeper is given up: the schema asks for one without end.
const MAX_NESTING: usize = 64;
/// Steps through references and alternatives, for schemas that only refer to themselves.
const MAX_CALLS: usize = 512;
/// Values made at most.
const MAX_VALUES: usize = 20_000;
/// The longest text, and the longest list, that a schema may ask for.
const MAX_LENGTH: usize = 100_000;

/// A value for `schema`, always the same one; the error says what stands in the way.
pub(crate) fn value_for(schema: &Json) -> Result<Json, String> {
    let mut builder = ValueBuilder { root: schema, values: 0 };
    builder.make(schema, At { name: "value", nesting: 0, calls: 0, variant: 0 })
}

struct ValueBuilder<'a> {
    root: &'a Json,
    values: usize,
}

/// Where a value is made.
#[derive(Clone, Copy)]
struct At<'a> {
    /// The member that it is for, which is a good text for it, too.
    name: &'a str,
    nesting: usize,
    calls: usize,
    /// Which of the possible values, for lists of different ones.
    variant: usize,
}

impl At<'_> {
    fn inside<'b>(&self, name: &'b str) -> At<'b> {
        At { name, nesting: self.nesting + 1, calls: self.calls, variant: self.variant }
    }
}

impl ValueBuilder<'_> {
    fn make(&mut self, schema: &Json, at: At<'_>) -> Result<Json, String> {
        self.values += 1;
        if at.nesting > MAX_NESTING || at.calls > MAX_CALLS || self.values > MAX_VALUES {
            return Err("the schema asks for a value without end".to_owned());
        }
        let members = match schema {
            Json::Bool(true) => return Ok(text_value(at)),
            Json::Bool(false) => return Err(format!("no value is allowed for {:?}", at.name)),
            Json::Object(members) => members,
            _ => return Err("a schema must be an object or a boolean".to_owned()),
        };
        if let Some(keyword) = ["not", "if"].into_iter().find(|keyword| schema.member(keyword).is_some()) {
            return Err(format!("the simulator makes no values for the keyword {keyword:?}"));
        }
        if let Some(value) = schema.member("const") {
            return Ok(value.clone());
        }
        if let Some(values) = schema.get("enum") {
            let values = values.as_list().filter(|values| !values.is_empty());
            let values = values.ok_or("enum must be a list that is not empty")?;
            return Ok(values[at.variant % values.len()].clone());
        }
        let deeper = At { calls: at.calls + 1, ..at };
        let without = |keyword: &str| {
            Json::Object(members.iter().filter(|(name, _)| name != keyword).cloned().collect())
        };
        if let Some(reference) = schema.get("$ref") {
            let target = self.resolve(reference)?.clone();
            return self.make(&merge(&target, &without("$ref")), deeper);
        }
        if let Some(parts) = schema.get("allOf") {
            let mut merged = without("allOf");
            for part in parts.as_list().ok_or("allOf must be a list")? {
                let part = match part.get("$ref") {
                    Some(reference) => merge(self.resolve(reference)?, &drop_member(part, "$ref")),
                    None => part.clone(),
                };
                merged = merge(&merged, &part);
            }
            return self.make(&merged, deeper);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(branches) = schema.get(keyword) {
                return self.first_of(branches.as_list().unwrap_or_default(), &without(keyword), deeper);
            }
        }
        self.typed(schema, at)
    }

    fn first_of(&mut self, branches: &[Json], rest: &Json, at: At<'_>) -> Result<Json, String> {
        let mut order: Vec<&Json> = branches.iter().collect();
        if at.nesting >= GENEROUS {
            // Deep down, what ends comes before what may go on.
            order.sort_by_key(|branch| !ends(branch));
        }
        let mut problem = "anyOf and oneOf must be lists that are not empty".to_owned();
        for branch in order {
            match self.make(&merge(rest, branch), at) {
                Ok(value) => return Ok(value),
                Err(because) => problem = because,
            }
        }
        Err(problem)
    }

    fn resolve(&self, reference: &Json) -> Result<&Json, String> {
        let reference = reference.as_text().ok_or("$ref must be a text")?;
        let pointer = reference
            .strip_prefix('#')
            .ok_or_else(|| format!("$ref {reference:?} leads out of the schema, which is not supported"))?;
        let mut target = self.root;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match target {
                Json::List(items) => step.parse::<usize>().ok().and_then(|index| items.get(index)),
                other => other.member(&step),
            };
            target = next.ok_or_else(|| format!("$ref {reference:?} leads nowhere"))?;
        }
        Ok(target)
    }

    fn typed(&mut self, schema: &Json, at: At<'_>) -> Result<Json, String> {
        match kind(schema)? {
            "object" => self.object(schema, at),
            "array" => self.list(schema, at),
            "string" => string(schema, at),
            "integer" => number(schema, at, true),
            "number" => number(schema, at, false),
            "boolean" => Ok(Json::Bool(at.variant % 2 == 0)),
            "null" => Ok(Json::Null),
            "any" => Ok(text_value(at)),
            other => Err(format!("Invalid type: {other}")),
        }
    }

    fn object(&mut self, schema: &Json, at: At<'_>) -> Result<Json, String> {
        let none = Json::Object(Vec::new());
        let properties = schema.get("properties").unwrap_or(&none);
        let properties = properties.as_object().ok_or("properties must be an object")?;
        let required = schema.get("required").unwrap_or(&Json::Null);
        let required: Vec<&str> = match required {
            Json::Null | Json::Bool(_) => Vec::new(),
            Json::List(names) => names.iter().filter_map(Json::as_text).collect(),
            _ => return Err("required must be a list of names".to_owned()),
        };
        let most = schema.get("maxProperties").and_then(Json::as_usize).unwrap_or(usize::MAX);
        let least = schema.get("minProperties").and_then(Json::as_usize).unwrap_or(0);
        let others = schema.member("additionalProperties").unwrap_or(&Json::Bool(true));
        let mut members = Vec::new();
        let mut optional_left = most.saturating_sub(required.len());
        for (name, property) in properties {
            if required.contains(&name.as_str()) {
                members.push((name.clone(), self.make(property, at.inside(name))?));
            } else if at.nesting < GENEROUS && optional_left > 0 && self.values < MAX_VALUES / 10 {
                if let Ok(value) = self.make(property, at.inside(name)) {
                    members.push((name.clone(), value));
                    optional_left -= 1;
                }
            }
        }
        for name in required {
            if !members.iter().any(|(known, _)| known == name) {
                members.push((name.to_owned(), self.make(others, at.inside(name))?));
            }
        }
        for index in 1.. {
            if members.len() >= least || index > MAX_LENGTH {
                break;
            }
            let name = format!("extra{index}");
            let value = self.make(others, at.inside(&name))?;
            members.push((name, value));
        }
        if members.len() > most {
            return Err(format!("{:?} requires more members than maxProperties allows", at.name));
        }
        Ok(Json::Object(members))
    }

    fn list(&mut self, schema: &Json, at: At<'_>) -> Result<Json, String> {
        let limit = |name| schema.get(name).and_then(Json::as_usize);
        // Draft 4 wrote a tuple as a list of `items`.
        let old_tuple = schema.get("items").and_then(Json::as_list);
        let first = schema.get("prefixItems").and_then(Json::as_list).or(old_tuple).unwrap_or_default();
        let rest = match old_tuple {
            Some(_) => schema.member("additionalItems"),
            None => schema.member("items"),
        };
        let contained = schema.get("contains");
        let least = limit("minItems").unwrap_or(0).max(usize::from(contained.is_some()));
        let most = limit("maxItems").unwrap_or(usize::MAX);
        let wanted = if at.nesting < GENEROUS { first.len().max(1) } else { 0 };
        let count = least.max(wanted.min(most));
        if count > MAX_LENGTH || least > most {
            return Err(format!("a list of {least} to {most} items cannot be made"));
        }
        let different = schema.get("uniqueItems").and_then(Json::as_bool).unwrap_or(false);
        let mut items: Vec<Json> = Vec::new();
        let mut variant = at.variant;
        while items.len() < count {
            let index = items.len();
            let item = match (first.get(index), contained, rest) {
                (None, Some(contained), _) if index == first.len() => contained,
                (Some(item), _, _) | (None, _, Some(item)) => item,
                (None, _, None) => &Json::Bool(true),
            };
            match self.make(item, At { nesting: at.nesting + 1, variant, ..at }) {
                Ok(value) if different && items.contains(&value) => {
                    if variant > at.variant + count + 64 {
                        return Err(format!("no {count} different items can be made for {:?}", at.name));
                    }
                }
                Ok(value) => items.push(value),
                // An item that nothing asks for may be left out.
                Err(_) if index >= least => break,
                Err(problem) => return Err(problem),
            }
            variant += usize::from(different);
        }
        Ok(Json::List(items))
    }
}

/// The type to make, `any` where all are allowed. Of several types the first that is not null.
fn kind(schema: &Json) -> Result<&str, String> {
    match schema.get("type") {
        Some(Json::Text(kind)) => Ok(kind),
        Some(Json::List(kinds)) => {
            let mut kinds: Vec<&str> = kinds.iter().filter_map(Json::as_text).collect();
            kinds.sort_by_key(|kind| *kind == "null");
            kinds.first().copied().ok_or_else(|| "type must not be an empty list".to_owned())
        }
        Some(other) => Err(format!("Invalid type: {other}")),
        None => {
            let hints = [
                ("object", ["properties", "required", "additionalProperties", "minProperties"].as_slice()),
                ("array", &["items", "prefixItems", "minItems", "contains"]),
                ("string", &["minLength", "maxLength", "pattern", "format"]),
                ("number", &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
            ];
            let named = |names: &&[&str]| names.iter().any(|name| schema.get(name).is_some());
            Ok(hints.iter().find(|(_, names)| named(names)).map_or("any", |(kind, _)| *kind))
        }
    }
}

/// Whether a value of this schema holds no others.
fn ends(schema: &Json) -> bool {
    let scalar = matches!(kind(schema), Ok("string" | "integer" | "number" | "boolean" | "null"));
    scalar || schema.member("const").is_some() || schema.member("enum").is_some()
}

fn drop_member(schema: &Json, name: &str) -> Json {
    let members = schema.as_object().unwrap_or_default();
    Json::Object(members.iter().filter(|(known, _)| known != name).cloned().collect())
}

/// Both schemas at once, as far as one schema can say it.
fn merge(one: &Json, other: &Json) -> Json {
    let (Json::Object(one), Json::Object(other)) = (one, other) else {
        // `true` adds nothing, and `false` allows nothing.
        return if matches!(one, Json::Object(_) | Json::Bool(false)) && !matches!(other, Json::Bool(false)) {
            one.clone()
        } else {
            other.clone()
        };
    };
    let mut merged = one.clone();
    for (name, value) in other {
        let Some((_, known)) = merged.iter_mut().find(|(known, _)| known == name) else {
            merged.push((name.clone(), value.clone()));
            continue;
        };
        let both = (known.as_f64(), value.as_f64());
        *known = match (name.as_str(), &*known, value) {
            ("properties", Json::Object(_), Json::Object(_)) => merge_properties(known, value),
            ("required", Json::List(names), Json::List(more)) => {
                let new = more.iter().filter(|name| !names.contains(name));
                Json::List(names.iter().chain(new).cloned().collect())
            }
            ("enum", Json::List(values), Json::List(allowed)) => {
                Json::List(values.iter().filter(|value| allowed.contains(value)).cloned().collect())
            }
            ("type", Json::List(kinds), kind @ Json::Text(_))
            | ("type", kind @ Json::Text(_), Json::List(kinds))
                if kinds.contains(kind) =>
            {
                kind.clone()
            }
            // The tighter bound stays.
            ("minimum" | "exclusiveMinimum" | "minLength" | "minItems" | "minProperties", _, _) => {
                if both.0 >= both.1 { known.clone() } else { value.clone() }
            }
            ("maximum" | "exclusiveMaximum" | "maxLength" | "maxItems" | "maxProperties", _, _) => {
                if both.0 <= both.1 { known.clone() } else { value.clone() }
            }
            ("additionalProperties", Json::Bool(false), _) => known.clone(),
            _ => value.clone(),
        };
    }
    Json::Object(merged)
}

fn merge_properties(one: &Json, other: &Json) -> Json {
    let mut merged = one.as_object().unwrap_or_default().to_vec();
    for (name, schema) in other.as_object().unwrap_or_default() {
        match merged.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = merge(known, schema),
            None => merged.push((name.clone(), schema.clone())),
        }
    }
    Json::Object(merged)
}

fn text_value(at: At<'_>) -> Json {
    Json::Text(plain_text(at))
}

fn plain_text(at: At<'_>) -> String {
    if at.variant == 0 { at.name.to_owned() } else { format!("{} {}", at.name, at.variant + 1) }
}

fn string(schema: &Json, at: At<'_>) -> Result<Json, String> {
    let limit = |name| schema.get(name).and_then(Json::as_usize);
    let least = limit("minLength").unwrap_or(0);
    let most = limit("maxLength").unwrap_or(usize::MAX);
    if least > most || least > MAX_LENGTH {
        return Err(format!("a text of {least} to {most} characters cannot be made"));
    }
    if let Some(pattern) = schema.get("pattern") {
        let pattern = pattern.as_text().ok_or("pattern must be a text")?;
        return pattern::sample(pattern, least, most, at.variant).map(Json::Text);
    }
    if let Some(text) =
        schema.get("format").and_then(Json::as_text).and_then(|format| formatted(format, at.variant))
    {
        return Ok(Json::Text(text));
    }
    let mut text: String = plain_text(at).chars().take(most).collect();
    let length = text.chars().count();
    text.extend(std::iter::repeat_n('x', least.saturating_sub(length)));
    Ok(Json::Text(text))
}

fn formatted(format: &str, variant: usize) -> Option<String> {
    let day = 1 + variant % 28;
    Some(match format {
        "date-time" => format!("2024-01-{day:02}T12:00:00Z"),
        "date" => format!("2024-01-{day:02}"),
        "time" => format!("12:00:{:02}Z", variant % 60),
        "duration" => format!("P{}D", variant + 1),
        "email" | "idn-email" => format!("user{variant}@example.com"),
        "hostname" | "idn-hostname" => format!("host{variant}.example.com"),
        "ipv4" => format!("192.0.2.{}", variant % 256),
        "ipv6" => format!("2001:db8::{variant:x}"),
        "uri" | "iri" | "url" => format!("https://example.com/{variant}"),
        "uri-reference" | "iri-reference" | "json-pointer" => format!("/{variant}"),
        "uuid" => format!("00000000-0000-4000-8000-{variant:012x}"),
        "regex" => "^.*$".to_owned(),
        _ => return None,
    })
}

fn number(schema: &Json, at: At<'_>, whole: bool) -> Result<Json, String> {
    let bound = |name| schema.get(name).and_then(Json::as_f64);
    // Draft 4 made a bound exclusive by a boolean beside it.
    let exclusive = |name| schema.get(name).and_then(Json::as_bool).unwrap_or(false);
    let step = bound("multipleOf").unwrap_or(if whole { 1.0 } else { 0.0 });
    // Whole multiples of a step that is not whole: 2.5 makes 5, 10, 15.
    let step = (1..=1000)
        .map(|times| f64::from(times) * step)
        .find(|step| !whole || step.fract() == 0.0)
        .ok_or_else(|| format!("no whole number is known to be a multiple of {step}"))?;
    let tighter = |one: Option<f64>, other: Option<f64>, pick: fn(f64, f64) -> f64| match (one, other) {
        (Some(one), Some(other)) => Some(pick(one, other)),
        (one, other) => one.or(other),
    };
    let least = tighter(bound("minimum"), bound("exclusiveMinimum"), f64::max);
    let most = tighter(bound("maximum"), bound("exclusiveMaximum"), f64::min);
    let allowed = |value: f64| {
        let above = |name| bound(name).is_none_or(|least| value > least);
        let below = |name| bound(name).is_none_or(|most| value < most);
        above("exclusiveMinimum")
            && below("exclusiveMaximum")
            && bound("minimum").is_none_or(|least| value >= least)
            && bound("maximum").is_none_or(|most| value <= most)
            && (!exclusive("exclusiveMinimum") || above("minimum"))
            && (!exclusive("exclusiveMaximum") || below("maximum"))
    };
    let variant = at.variant as f64;
    let snapped =
        |bound: f64, round: fn(f64) -> f64| if step > 0.0 { round(bound / step) * step } else { bound };
    let lowest = least.map(|least| snapped(least, f64::ceil));
    let highest = most.map(|most| snapped(most, f64::floor));
    let (usual, unit) = if step > 0.0 { (step, step) } else { (1.5, 1.0) };
    // First what is usual, where it is allowed; then up from the lower bound, down from the upper one, and
    // between them.
    let mut candidates = Vec::new();
    if at.variant == 0 || lowest.is_none() {
        candidates.push(usual + variant * unit);
    }
    let away = (variant - 1.0).max(0.0);
    candidates.extend(lowest.into_iter().flat_map(|low| [low + away * unit, low + (away + 1.0) * unit]));
    candidates.extend(highest.into_iter().flat_map(|high| [high - away * unit, high - (away + 1.0) * unit]));
    if let (Some(least), Some(most), false) = (least, most, step > 0.0) {
        candidates.push(least + (most - least) / (variant + 2.0));
    }
    // Beyond this, not every whole number is one that can be written exactly.
    let exact = |value: &f64| !whole || value.abs() < 9e15;
    let value = candidates.into_iter().filter(exact).find(|value| allowed(*value));
    let number = value.and_then(|value| {
        let integer = value.fract() == 0.0 && step > 0.0 && value.abs() < 9e15;
        if integer { Some(Number::from(value as i64)) } else { Number::from_f64(value) }
    });
    number.map(Json::Number).ok_or_else(|| format!("no number fits the bounds of {:?}", at.name))
}
