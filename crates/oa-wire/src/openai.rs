//! The OpenAI Chat Completions mapping.

mod call;
mod count;
mod decode;
mod encode;
mod endpoint;
mod history;
mod mapping;
mod models;
mod refused_form;
mod relay;
mod request_body;
mod stream;
mod tool_calls;

pub use call::{ChatCall, ResponseDecoder};
pub use count::CountCall;
pub use endpoint::Endpoint;
pub use history::{messages_from_json, messages_from_value};
pub use models::ModelsCall;
pub use refused_form::other_form;
pub use relay::{ChunkWriter, RelayedRequest, error_body, response_body};
