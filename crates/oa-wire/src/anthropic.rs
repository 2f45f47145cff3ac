//! The Anthropic Messages mapping: `POST /v1/messages`, as Anthropic serves it, and vLLM, SGLang, llama.cpp,
//! Ollama, LM Studio and `LiteLLM` beside their chat completions.
//!
//! ```
//! use oa_wire::{
//!     CompletionRequest, Message, Profile, RuntimeConfig,
//!     anthropic::{ChatCall, Endpoint},
//!     mapping::Exchange,
//! };
//!
//! let endpoint = Endpoint::new("http://localhost:8000", None)?;
//! let request = CompletionRequest::new([Message::user("Hello!")])
//!     .with_config(RuntimeConfig::new().with_max_tokens(256));
//! let call = ChatCall::new(&endpoint, &Profile::new("my-model"), &request)?;
//! let http: http::Request<bytes::Bytes> = call.http_request();
//! assert_eq!(http.uri(), "http://localhost:8000/v1/messages");
//! assert_eq!(http.headers()["anthropic-version"], "2023-06-01");
//!
//! let mut answer = call.on_response(http::StatusCode::OK, &http::HeaderMap::new(), None);
//! let body = br#"{"type":"message","content":[{"type":"text","text":"Hi!"}],"stop_reason":"end_turn"}"#;
//! answer.push(bytes::Bytes::from_static(body));
//! assert_eq!(answer.finish()?.text(), "Hi!");
//! # Ok::<(), oa_wire::Error>(())
//! ```
//!
//! # How requests are written
//!
//! - The system message is the member `system`; the results of consecutive tool calls are one user message;
//!   reasoning is sent back where it stands, with its signature. An image's `detail` is left out: this wire
//!   has none.
//! - `max_tokens` must be set: there is no default. `seed`, `frequency_penalty` and `presence_penalty` are
//!   refused, because this wire has none of them.
//! - Further members of a message, such as `cache_control`, go to the block of the system's text, to the
//!   `tool_result` (`is_error`), or to the message; raw blocks, messages, tools and choices as they are.
//!   Audio, video, custom tools and allowed tools are refused; the reasoning of chat completions is left out.
//! - Extras go to the root of the body: `thinking`, `top_k`, `cache_control`; `tool_choice` with
//!   `disable_parallel_tool_use`, alone or beside an equal [`ToolChoice`](crate::ToolChoice).
//!   `stop_sequences` are merged.
//! - A schema is `output_config.format`. With
//!   [`force_prompt_augmentation_fallback`](crate::Profile::with_force_prompt_augmentation_fallback) it is a
//!   tool that the model must call, or, where the request has tools of its own, a directive in `system`.
//!
//! # How answers are read
//!
//! - `prompt_tokens` are `input_tokens` alone, as the server counts them: those that were read from a cache
//!   ([`cached_tokens`](crate::Usage)) or written to one stand beside them, not within. `total_tokens` is the
//!   sum of `input_tokens` and `output_tokens`.
//! - `end_turn`, `stop_sequence` and `pause_turn` are [`Stop`](crate::FinishReason::Stop), `max_tokens` and
//!   `model_context_window_exceeded` are `Length`, `tool_use` is `ToolCalls`, `refusal` is `ContentFilter`.
//! - Blocks of other types than text, reasoning and tool calls are in [`raw`](crate::Response::raw) alone.

mod call;
mod count;
mod decode;
mod encode;
mod endpoint;
mod mapping;
mod models;
mod request_body;
mod stop_reason;
mod stream;
mod usage;

pub use call::{ChatCall, ResponseDecoder};
pub use count::CountCall;
pub use endpoint::Endpoint;
pub use models::ModelsCall;
