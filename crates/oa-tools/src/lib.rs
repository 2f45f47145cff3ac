//! Typed answers and typed tools over any [`Provider`](oa_provider::Provider).

mod from_value;
mod partial_json;
mod strict;

pub use partial_json::PartialJson;
pub use strict::{ChangeKind, SchemaChange, StrictSchema};
