//! The OpenAI Chat Completions mapping: one file per question.

mod base_url;
mod call;
mod decode;
mod encode;
mod endpoint;
mod fallback;
mod models;
mod stream;
mod tool_calls;

pub use crate::error_body::{ErrorContext, ErrorResponse as Received, classify};
pub use base_url::CorrectedBaseUrl;
pub use call::{ChatCall, ResponseDecoder};
pub use endpoint::{ApiKey, Endpoint, Limits, Profile};
pub use models::{Catalogue, ModelEntry};
