//! The OpenAI Chat Completions mapping: one file per question.

mod call;
mod classify;
mod decode;
mod encode;
mod endpoint;
mod fallback;
mod models;
mod stream;
mod tool_calls;

pub use call::{ChatCall, ResponseDecoder};
pub use classify::{ErrorContext, Received, classify};
pub use endpoint::{ApiKey, Endpoint, Limits, Profile};
pub use models::{Catalogue, ModelEntry};
