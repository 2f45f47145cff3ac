//! JSON Schemas in the form that strict decoding accepts, and values back in the form of the source.

mod change;
mod convert;
mod keywords;
mod merge;
mod plan;
mod source;
mod type_cache;

pub use change::{ChangeKind, SchemaChange};

use crate::from_value::from_value;
use convert::convert;
use oa_wire::{Error, JsonSchema, SchemaViolation};
use plan::{Plans, WRAPPER};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::{fmt, sync::Arc};
use type_cache::TypeCache;

static SCHEMAS: TypeCache<StrictSchema> = TypeCache::new();

/// A schema in the form that strict decoding accepts, and the way from its values back to the source's.
///
/// Servers that decode strictly accept a part of JSON Schema: every object closed and all its properties
/// required, no `oneOf`, no tuples, no maps, few keywords, an object at the root. The conversion says the
/// same within that part:
///
/// | in the source | sent | in an answer |
/// |---|---|---|
/// | a property that may be left out | required, or null | null is left out again |
/// | an object open to unknown members | closed | |
/// | a map | an array of `{"key": …, "value": …}` | an object again |
/// | a tuple | an object with the members `0`, `1`, … | an array again |
/// | a root that is no object | the member `value` of one | taken out again |
/// | `oneOf`; `allOf`, `$ref` with keywords beside it | `anyOf`; one schema, or the `$ref` in an `anyOf` | |
/// | a keyword that strict decoding does not know | its text in the description | checked here |
///
/// What cannot be expressed, such as a member of any type, is sent as it is, and then
/// [`is_strict`](Self::is_strict) is false. [`changes`](Self::changes) lists each change and each refusal
/// before anything is sent.
///
/// ```
/// use oa_tools::StrictSchema;
/// use serde_json::json;
///
/// #[derive(schemars::JsonSchema)]
/// # #[allow(dead_code)]
/// struct City {
///     name: String,
///     nickname: Option<String>,
/// }
///
/// let city = StrictSchema::of::<City>()?;
/// assert!(city.is_strict());
/// assert_eq!(city.changes()[0].to_string(), "/properties/nickname is required");
/// let answer = json!({"name": "Tokyo", "nickname": null});
/// assert_eq!(city.restore(&answer).unwrap(), answer);
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone)]
pub struct StrictSchema(Arc<Inner>);

struct Inner {
    /// What is sent.
    schema: JsonSchema,
    /// What a restored value is checked against.
    source: JsonSchema,
    /// Whether an object was put around the root of `source`, because a schema must describe one.
    source_is_wrapped: bool,
    /// None where the source is sent as it is.
    plans: Option<Plans>,
    is_wrapped: bool,
    changes: Vec<SchemaChange>,
}

impl StrictSchema {
    /// The strict schema of a Rust type, in the order of its declaration. Made once for each type.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) when the type's schema is not a valid JSON
    /// Schema.
    pub fn of<T: schemars::JsonSchema + 'static>() -> Result<Self, Error> {
        SCHEMAS.get_or_make::<T, _>(|| Self::new(&schemars::schema_for!(T).to_value()))
    }

    /// The strict schema of any JSON Schema of draft 2020-12 or draft 7, whatever its root is.
    ///
    /// The order of its `properties` is kept where its map keeps it.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) when it is not a valid JSON Schema.
    pub fn new(source: &Value) -> Result<Self, Error> {
        Self::build(source, true)
    }

    /// The same without any limit on numbers, lengths, patterns and formats: they stand in the descriptions.
    ///
    /// For servers that refuse them, such as Azure's. Answers are checked against them all the same.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new).
    pub fn without_limits(source: &Value) -> Result<Self, Error> {
        Self::build(source, false)
    }

    fn build(value: &Value, keep_limits: bool) -> Result<Self, Error> {
        let Value::Object(root) = value else {
            return Err(Error::invalid_request("a schema must be an object to be converted"));
        };
        let converted = convert(root, value, keep_limits);
        let refused = converted.changes.iter().any(|change| change.kind == ChangeKind::Refused);
        // Some servers refuse the schema `true`, which says the same as `{}`.
        let value = &source::without_true(value);
        let (source, source_is_wrapped) = match ordered(value) {
            Ok(schema) => (schema, false),
            // Where the root is no object, or no valid schema, which the second try tells.
            Err(error) => match value {
                Value::Object(root) => (ordered(&source::wrap(root, WRAPPER))?, true),
                _ => return Err(error),
            },
        };
        let inner = if refused {
            let mut changes = converted.changes;
            changes.retain(|change| change.kind == ChangeKind::Refused);
            if source_is_wrapped {
                changes.push(SchemaChange::new("", ChangeKind::Wrapped, convert::WRAPPED));
            }
            Inner {
                schema: source.clone(),
                source,
                source_is_wrapped,
                plans: None,
                is_wrapped: source_is_wrapped,
                changes,
            }
        } else {
            Inner {
                schema: ordered(&converted.schema)?,
                source,
                source_is_wrapped,
                plans: Some(converted.plans),
                is_wrapped: converted.is_wrapped,
                changes: converted.changes,
            }
        };
        Ok(Self(Arc::new(inner)))
    }

    /// The schema to send.
    pub fn schema(&self) -> &JsonSchema {
        &self.0.schema
    }

    /// Whether strict decoding accepts it.
    pub fn is_strict(&self) -> bool {
        self.0.schema.is_strict()
    }

    /// What differs from the source schema, each with its place there.
    pub fn changes(&self) -> &[SchemaChange] {
        &self.0.changes
    }

    /// The value that an answer stands for, in the form of the source schema, checked against it.
    ///
    /// An answer that has the form of the source already, or leaves out what the source does not require, is
    /// accepted as well: servers that do not constrain give such.
    ///
    /// # Errors
    ///
    /// The first place, in the answer, that is not accepted.
    pub fn restore(&self, answer: &Value) -> Result<Value, SchemaViolation> {
        let (inside, prefix) = self.unwrap(answer);
        let plans = self.0.plans.as_ref();
        if let Some((plans, restored)) = plans.and_then(|plans| Some((plans, plans.restore(inside)?))) {
            return self.check(restored).map_err(|violation| {
                let place = plans.locate(inside, &violation.pointer);
                SchemaViolation::new(format!("{prefix}{place}"), violation.message)
            });
        }
        self.check(inside.clone()).map_err(|violation| {
            let pointer = format!("{prefix}{}", violation.pointer);
            match self.0.schema.validate(answer) {
                // Of what the two forms lack, the deeper place is the model's mistake: the other is that of
                // the form.
                Err(sent) if depth(&sent.pointer) >= depth(&pointer) => sent,
                _ => SchemaViolation::new(pointer, violation.message),
            }
        })
    }

    /// What the beginning of an answer stands for, in the form of the source schema; as it is where it has no
    /// such form. Nothing is checked.
    pub fn restore_partial(&self, answer: &Value) -> Value {
        let inner = &*self.0;
        let answer = match answer.get(WRAPPER) {
            Some(inside) if inner.is_wrapped => inside,
            None if inner.is_wrapped => &Value::Null,
            _ => answer,
        };
        let restored = inner.plans.as_ref().and_then(|plans| plans.restore_partial(answer));
        restored.unwrap_or_else(|| answer.clone())
    }

    /// The value inside of the object that was put around the root, and its place.
    fn unwrap<'a>(&self, answer: &'a Value) -> (&'a Value, &'static str) {
        match answer.get(WRAPPER) {
            Some(inside) if self.0.is_wrapped => (inside, "/value"),
            _ => (answer, ""),
        }
    }

    /// Checks a restored value against the source.
    fn check(&self, value: Value) -> Result<Value, SchemaViolation> {
        let source = &self.0.source;
        if !self.0.source_is_wrapped {
            return source.validate(&value).map(|()| value);
        }
        let mut wrapped = Value::Object(Map::from_iter([(WRAPPER.to_owned(), value)]));
        source.validate(&wrapped).map_err(|violation| {
            let pointer = violation.pointer.strip_prefix("/value").unwrap_or_default();
            SchemaViolation::new(pointer, violation.message)
        })?;
        Ok(wrapped[WRAPPER].take())
    }

    /// The value of a type that an answer stands for.
    ///
    /// # Errors
    ///
    /// The first place in the answer that the schema or the type does not accept.
    pub fn read<T: DeserializeOwned>(&self, answer: &Value) -> Result<T, SchemaViolation> {
        let restored = self.restore(answer)?;
        from_value(&restored).map_err(|failure| {
            let (answer, prefix) = self.unwrap(answer);
            let pointer = failure.pointer();
            let place = match &self.0.plans {
                Some(plans) => plans.locate(answer, &pointer),
                None => pointer,
            };
            SchemaViolation::new(format!("{prefix}{place}"), failure.message().to_owned())
        })
    }
}

impl fmt::Debug for StrictSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrictSchema")
            .field("schema", &self.0.schema)
            .field("changes", &self.0.changes)
            .finish_non_exhaustive()
    }
}

/// A schema whose properties are in the order of this value's map.
fn ordered(value: &Value) -> Result<JsonSchema, Error> {
    JsonSchema::from_text_in_order(&value.to_string())
}

fn depth(pointer: &str) -> usize {
    pointer.matches('/').count()
}
