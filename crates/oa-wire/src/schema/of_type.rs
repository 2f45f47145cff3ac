//! The schemas of Rust types, each made once.

use super::JsonSchema;
use crate::Error;
use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

static SCHEMAS: OnceLock<Mutex<HashMap<TypeId, JsonSchema>>> = OnceLock::new();

pub(super) fn get_or_make<T: schemars::JsonSchema + 'static>() -> Result<JsonSchema, Error> {
    let schemas = || SCHEMAS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let id = TypeId::of::<T>();
    if let Some(schema) = schemas().get(&id) {
        return Ok(schema.clone());
    }
    // Not under the lock: a type may make its schema from another type's.
    let made = JsonSchema::from_text_in_order(&schemars::schema_for!(T).to_value().to_string())?;
    Ok(schemas().entry(id).or_insert(made).clone())
}

#[cfg(test)]
mod tests {
    use super::*;
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
