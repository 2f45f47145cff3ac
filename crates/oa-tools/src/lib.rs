//! Typed answers and typed tools over any [`Provider`](oa_provider::Provider), on servers that constrain what
//! the model writes and on those that do not.
//!
//! - [`ProviderExt::complete_as`] and [`stream_as`](ProviderExt::stream_as): an answer as a value of a Rust
//!   type.
//! - [`FunctionTool`] and [`ToolSet`]: Rust functions that the model may call. [`ToolLoop`] is the loop
//!   around them, step by step; a provider never loops.
//! - [`StrictSchema`]: any JSON Schema in the form that strict decoding accepts, with an explanation of each
//!   change, and the way back.
//! - [`SchemaLadderLayer`]: another way to put a schema to a server, where it refuses the first.
//! - [`PartialJson`]: the value that the start of a JSON text stands for.

mod from_value;
mod function;
mod join;
mod ladder;
mod partial_json;
mod span;
mod strict;
mod tool_loop;
mod tool_set;
mod typed;

pub use function::{FunctionTool, ToolCallExt, ToolError, ToolExt};
pub use ladder::{SchemaLadder, SchemaLadderLayer};
pub use partial_json::PartialJson;
pub use strict::{ChangeKind, SchemaChange, StrictSchema};
pub use tool_loop::{Step, ToolLoop};
pub use tool_set::{ToolFailure, ToolResult, ToolSet};
pub use typed::{ProviderExt, Typed, TypedStream, answer_schema};
