//! The OpenAI Chat Completions mapping.

mod call;
mod decode;
mod encode;
mod endpoint;
mod history;
mod mapping;
mod models;
mod relay;
mod request_body;
mod stream;
mod tool_calls;

pub use call::{ChatCall, ResponseDecoder};
pub use endpoint::Endpoint;
pub use history::{messages_from_json, messages_from_value};
pub use models::ModelsCall;
pub use relay::{ChunkWriter, RelayedRequest, error_body, response_body};
