//! A value for each Rust type, made once.

use crate::Error;
use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

pub(super) struct TypeCache<V>(OnceLock<Mutex<HashMap<TypeId, V>>>);

impl<V: Clone> TypeCache<V> {
    pub(super) const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The value of a type; the first time, what `make` makes.
    pub(super) fn get_or_make<T: 'static, F: FnOnce() -> Result<V, Error>>(
        &self,
        make: F,
    ) -> Result<V, Error> {
        let id = TypeId::of::<T>();
        if let Some(value) = self.values().get(&id) {
            return Ok(value.clone());
        }
        // Not under the lock: the value of a type may be made from that of another.
        let value = make()?;
        Ok(self.values().entry(id).or_insert(value).clone())
    }

    fn values(&self) -> MutexGuard<'_, HashMap<TypeId, V>> {
        self.0.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}
