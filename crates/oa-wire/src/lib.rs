//! The OpenAI-compatible chat protocol as values: no I/O, no clock, no runtime, no randomness.
//!
//! Bytes in, values out. A program that has its own way to make HTTP calls, blocking or not, in a browser or
//! on another runtime, uses this crate alone:
//!
//! ```
//! use oa_wire::openai::{ChatCall, Endpoint};
//! use oa_wire::{CompletionRequest, Message, Profile};
//!
//! let endpoint = Endpoint::new("http://localhost:8000", None)?;
//! let profile = Profile::new("my-model");
//! let request = CompletionRequest::new([Message::user("Hello!")]);
//!
//! // Validates and encodes; nothing was sent.
//! let call = ChatCall::new(&endpoint, &profile, &request)?;
//! let http: http::Request<bytes::Bytes> = call.http_request();
//! assert_eq!(http.uri(), "http://localhost:8000/v1/chat/completions");
//!
//! // Send it as you like, then hand over what comes back, in any split.
//! let mut answer = call.on_response(http::StatusCode::OK, &http::HeaderMap::new(), None);
//! let body = br#"{"choices":[{"message":{"content":"Hi!"},"finish_reason":"stop"}]}"#;
//! answer.push(bytes::Bytes::from_static(body));
//! let response = answer.finish()?;
//! assert_eq!(response.text(), "Hi!");
//! # Ok::<(), oa_wire::Error>(())
//! ```
//!
//! The neutral records come first: [`Message`], [`Tool`], [`JsonSchema`], [`RuntimeConfig`],
//! [`CompletionRequest`], [`Response`], [`Error`]. A wire mapping, [`openai`] or [`anthropic`], turns them
//! into bytes and back. [`sse`] is the event-stream decoder, usable by itself.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer_checks;
mod answer_stream;
pub mod anthropic;
mod api_key;
mod base_url;
mod body_decoder;
mod body_form;
mod call_headers;
mod chunk_template;
mod completion;
mod config;
mod count_decoder;
mod error;
mod error_body;
mod event;
mod expected;
mod json;
mod limits;
pub mod mapping;
mod measurements;
mod media;
mod message;
mod models;
mod models_decoder;
pub mod openai;
mod profile;
mod request;
mod request_body;
mod response;
mod response_decoder;
mod response_head;
mod response_headers;
mod schema;
mod schema_directive;
mod schema_mode;
mod send_reasoning;
mod server;
mod session;
mod spelling;
pub mod sse;
mod text;
mod think;
mod token_count;
mod tool;
mod tool_call;
mod unknown_name;
mod validate;
mod value_check;
mod whole_body;

pub use api_key::ApiKey;
pub use base_url::{BaseUrl, CorrectedBaseUrl};
pub use body_form::{BodyForm, EmptyContent, Negotiated, TokenLimit};
pub use completion::{Completion, CompletionStream, EventSource};
pub use config::RuntimeConfig;
pub use count_decoder::CountDecoder;
pub use error::{
    Attempt, AttemptReport, BODY_LIMIT, Category, Challenge, ConnectionFailure, Error, ErrorKind,
    ErrorReport, Origin, RetryAfter, RetryAfterSource, ServerErrorDetails, StructuredOutputFailure,
};
pub use event::{ChoiceEvent, Event, TextDelta, ToolCallDelta};
pub use limits::Limits;
pub use mapping::Mapping;
pub use measurements::{Timings, TokenLogprob, TopLogprob};
pub use media::{Audio, File, FileSource, Image, ImageDetail, ImageSource, Video};
pub use message::{AssistantBlock, AssistantContent, AssistantMessage, Message, UserBlock, UserContent};
pub use models::{Model, ModelList};
pub use models_decoder::ModelsDecoder;
pub use profile::Profile;
pub use request::{CompletionRequest, Messages};
pub use response::{Choice, FinishReason, RawBody, Response, Usage};
pub use response_headers::{LiteLlmHeaders, RateLimit, RateLimits, ResponseHeaders};
pub use schema::{JsonSchema, SchemaViolation};
pub use schema_mode::SchemaMode;
pub use send_reasoning::{ReasoningMember, SendReasoning};
pub use session::{Priority, SessionId, TraceContext};
pub use spelling::{Place, Spellings};
pub use think::{ThinkPiece, ThinkSplitter};
pub use token_count::{CountRoute, TokenCount};
pub use tool::{Tool, ToolChoice, ToolMode, Tools};
pub use tool_call::{ToolArguments, ToolCall};
pub use unknown_name::UnknownName;
pub use value_check::{InvalidSetting, Setting};

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
