//! One strict schema for each Rust type.

use super::StrictSchema;
use oa_wire::Error;
use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

static SCHEMAS: OnceLock<Mutex<HashMap<TypeId, StrictSchema>>> = OnceLock::new();

pub(super) fn get_or_make<T: 'static>(
    make: impl FnOnce() -> Result<StrictSchema, Error>,
) -> Result<StrictSchema, Error> {
    let schemas = || SCHEMAS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    let id = TypeId::of::<T>();
    if let Some(schema) = schemas().get(&id) {
        return Ok(schema.clone());
    }
    // Not under the lock: the schema of a type may be made from that of another.
    let schema = make()?;
    Ok(schemas().entry(id).or_insert(schema).clone())
}
