//! The everyday part of a JSON Schema, checked on the bytes of a value before a tree of it is built.

use super::reference::resolve;
use crate::json::{Kind, Malformed, Reader};
use serde_json::{Map, Value};
use std::cell::Cell;

/// What a schema of everyday keywords allows. It never accepts a value that the schema does not; what it
/// does not accept, the validator decides.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The types that are allowed.
    kinds: u8,
    /// The least integer; fractions are left to the validator where it is set.
    least: Option<i64>,
    /// The texts that are allowed, where not all are.
    texts: Option<Vec<String>>,
    properties: Vec<(String, Shape)>,
    /// A bit for each of the properties that must be there.
    required: u64,
    /// Of the other members.
    others: Others,
    items: Option<Box<Shape>>,
}

#[derive(Debug)]
enum Others {
    Any,
    Forbidden,
    Shape(Box<Shape>),
}

const NULL: u8 = 1;
const BOOL: u8 = 2;
const INTEGER: u8 = 4;
/// Integers are numbers, so their bit is always set beside this one.
const FRACTION: u8 = 8;
const TEXT: u8 = 16;
const ARRAY: u8 = 32;
const OBJECT: u8 = 64;
const ALL: u8 = 127;

/// The most schemas that a shape is made of: one that refers to itself has no end.
const MAX_SHAPES: u32 = 200;

/// The most digits of a number that any reader takes for the same integer.
const INTEGER_DIGITS: usize = 18;

/// A number of at most so many bytes and without an exponent is in the range of `serde_json`.
const SURE_NUMBER: usize = 64;

/// What is known of a value from its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// `serde_json` reads the text as an object.
    pub(crate) is_object: bool,
    /// The value is one of the shape, where `is_object`.
    pub(crate) fits: bool,
}

/// Looks at the text of a value, which `serde_json` need not read then. Without a shape any object fits.
pub(crate) fn look(text: &str, shape: Option<&Shape>) -> Look {
    let mut look = Look { is_object: !has_surrogate(text), fits: true };
    let mut reader = Reader::new(text);
    let is_read = reader.kind() == Ok(Kind::Object)
        && look.read(&mut reader, shape).and_then(|()| reader.end()).is_ok();
    look.is_object &= is_read;
    look
}

/// Whether a text may have the escape of a surrogate, of which `serde_json` takes only pairs.
fn has_surrogate(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'\\', bytes).any(|at| matches!(bytes[at + 1..], [b'u', b'd' | b'D', ..]))
}

impl Look {
    /// Reads a value.
    fn read(&mut self, reader: &mut Reader<'_>, shape: Option<&Shape>) -> Result<(), Malformed> {
        let kind = match reader.kind()? {
            Kind::Null => reader.skip().map(|()| NULL),
            Kind::Bool => reader.skip().map(|()| BOOL),
            Kind::Number => self.read_number(reader, shape.and_then(|shape| shape.least)),
            Kind::Text => match shape.and_then(|shape| shape.texts.as_ref()) {
                Some(texts) => {
                    let text = reader.text()?.unwrap_or_default();
                    self.fits &= texts.iter().any(|known| *known == text);
                    Ok(TEXT)
                }
                None => reader.skip().map(|()| TEXT),
            },
            Kind::Array => {
                let items = shape.and_then(|shape| shape.items.as_deref());
                reader.array(|reader, _| self.read(reader, items)).map(|_| ARRAY)
            }
            Kind::Object => self.read_object(reader, shape).map(|()| OBJECT),
        }?;
        self.fits &= shape.is_none_or(|shape| shape.kinds & kind != 0);
        Ok(())
    }

    fn read_number(&mut self, reader: &mut Reader<'_>, least: Option<i64>) -> Result<u8, Malformed> {
        let raw = reader.raw()?;
        // An exponent may lead out of the range, and features of `serde_json` change how -0 is read.
        self.is_object &= raw.len() <= SURE_NUMBER && !raw.bytes().any(|byte| matches!(byte, b'e' | b'E'));
        let is_integer = raw.len() <= INTEGER_DIGITS && !raw.contains('.') && raw != "-0";
        if let Some(least) = least {
            self.fits &= is_integer && raw.parse::<i64>().is_ok_and(|number| number >= least);
        }
        Ok(if is_integer { INTEGER } else { FRACTION })
    }

    fn read_object(&mut self, reader: &mut Reader<'_>, shape: Option<&Shape>) -> Result<(), Malformed> {
        let (mut found, mut next) = (0, 0);
        reader.object(|reader, key| {
            // Features of `serde_json` give such keys a meaning.
            self.is_object &= !key.starts_with("$serde_json");
            let Some(shape) = shape else { return self.read(reader, None) };
            let others = match shape.place(key, next) {
                Some(at) => {
                    found |= 1 << at;
                    next = at + 1;
                    // Where a key stands twice, each value must fit: so does the one that counts.
                    return self.read(reader, Some(&shape.properties[at].1));
                }
                None => &shape.others,
            };
            match others {
                Others::Any => self.read(reader, None),
                Others::Shape(shape) => self.read(reader, Some(shape)),
                Others::Forbidden => {
                    self.fits = false;
                    self.read(reader, None)
                }
            }
        })?;
        self.fits &= shape.is_none_or(|shape| shape.required & !found == 0);
        Ok(())
    }
}

impl Shape {
    /// The shape of a schema; none where it has keywords that are not understood here.
    pub(super) fn of(schema: &Value, root: &Map<String, Value>) -> Option<Self> {
        Self::below(schema, root, &Cell::new(MAX_SHAPES))
    }

    fn any() -> Self {
        Self {
            kinds: ALL,
            least: None,
            texts: None,
            properties: Vec::new(),
            required: 0,
            others: Others::Any,
            items: None,
        }
    }

    fn below(schema: &Value, root: &Map<String, Value>, left: &Cell<u32>) -> Option<Self> {
        left.set(left.get().checked_sub(1)?);
        let below = |schema: &Value| Self::below(schema, root, left);
        let members = match schema {
            Value::Bool(true) => return Some(Self::any()),
            Value::Object(members) => members,
            _ => return None,
        };
        let mut shape = Self::any();
        // What other schemas say, and how many keywords say something.
        let (mut other, mut keywords, mut has_format) = (None, 0, false);
        for (key, value) in members {
            keywords += 1;
            match (key.as_str(), value) {
                (
                    "title" | "description" | "default" | "examples" | "deprecated" | "$comment" | "$schema"
                    | "$defs" | "definitions",
                    _,
                ) => keywords -= 1,
                ("type", kinds) => shape.kinds &= kinds_of(kinds)?,
                ("enum", Value::Array(values)) => {
                    // Others of its values are left to the validator.
                    shape.kinds &= TEXT;
                    shape.texts = Some(values.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                }
                ("properties", Value::Object(properties)) => {
                    let shape_of = |(name, schema): (&String, _)| Some((name.clone(), below(schema)?));
                    shape.properties = properties.iter().map(shape_of).collect::<Option<_>>()?;
                }
                ("minimum", Value::Number(least)) => shape.least = Some(least.as_i64()?),
                // A format is one of texts.
                ("format", _) => has_format = true,
                // Read below: it needs the properties.
                ("required", Value::Array(_)) => {}
                ("additionalProperties", Value::Bool(false)) => shape.others = Others::Forbidden,
                ("additionalProperties", schema) => shape.others = Others::Shape(Box::new(below(schema)?)),
                ("items", schema) => shape.items = Some(Box::new(below(schema)?)),
                ("anyOf" | "oneOf", Value::Array(schemas)) => {
                    let alternatives = schemas.iter().map(below).collect::<Option<Vec<_>>>()?;
                    other = alternatives.into_iter().map(Some).reduce(either).flatten();
                    other.as_ref()?;
                }
                ("$ref", Value::String(target)) => other = Some(below(definition(target, root)?)?),
                _ => return None,
            }
        }
        if let Some(other) = other {
            return (keywords == 1).then_some(other);
        }
        if shape.properties.len() > 64 || (has_format && shape.kinds & TEXT != 0) {
            return None;
        }
        if let Some(Value::Array(required)) = members.get("required") {
            for name in required {
                let place = shape.place(name.as_str()?, 0)?;
                shape.required |= 1 << place;
            }
        }
        Some(shape)
    }

    /// The place of a property, which mostly stands where the one before ended.
    fn place(&self, name: &str, next: usize) -> Option<usize> {
        let is_named = |at: &usize| self.properties[*at].0 == name;
        (next..self.properties.len()).find(is_named).or_else(|| (0..next).find(is_named))
    }

    /// True where nothing but the type counts.
    fn is_plain(&self) -> bool {
        self.texts.is_none()
            && self.least.is_none()
            && self.properties.is_empty()
            && matches!(self.others, Others::Any)
            && self.items.is_none()
    }
}

/// The shape of values that are of the one or of the other, where their types tell which.
fn either(a: Option<Shape>, b: Option<Shape>) -> Option<Shape> {
    let (a, b) = (a?, b?);
    if a.kinds & b.kinds != 0 {
        return None;
    }
    let kinds = a.kinds | b.kinds;
    match (a.is_plain(), b.is_plain()) {
        (_, true) => Some(Shape { kinds, ..a }),
        (true, false) => Some(Shape { kinds, ..b }),
        (false, false) => None,
    }
}

/// The schema that a `$ref` to a definition of the root names.
fn definition<'a>(target: &str, root: &'a Map<String, Value>) -> Option<&'a Value> {
    let name = target.strip_prefix("#/$defs/").or_else(|| target.strip_prefix("#/definitions/"))?;
    // No `$id` is on the way, which would change what the references behind it name.
    if name.contains(['/', '~', '%']) { None } else { resolve(target, root) }
}

fn kinds_of(names: &Value) -> Option<u8> {
    match names {
        Value::String(name) => Some(match name.as_str() {
            "null" => NULL,
            "boolean" => BOOL,
            "integer" => INTEGER,
            "number" => INTEGER | FRACTION,
            "string" => TEXT,
            "array" => ARRAY,
            "object" => OBJECT,
            _ => return None,
        }),
        Value::Array(names) => names.iter().try_fold(0, |kinds, name| match name {
            Value::String(_) => Some(kinds | kinds_of(name)?),
            _ => None,
        }),
        _ => None,
    }
}
