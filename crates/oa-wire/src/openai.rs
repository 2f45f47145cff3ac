//! The OpenAI Chat Completions mapping.

mod call;
mod decode;
mod encode;
mod endpoint;
mod mapping;
mod models;
mod request_body;
mod stream;
mod tool_calls;

pub use call::{ChatCall, ResponseDecoder};
pub use endpoint::Endpoint;
pub use models::ModelsCall;
