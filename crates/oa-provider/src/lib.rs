//! Chat completions from any OpenAI-compatible server. One dependency is enough: this crate re-exports the
//! records of [`oa_wire`] at its root, and the other crates as modules.
//!
//! ```no_run
//! use oa_provider::{CompletionRequest, Error, Message, OpenAiProvider, Provider};
//!
//! # async fn example() -> Result<(), Error> {
//! let provider = OpenAiProvider::builder("http://localhost:8000", "my-model").build()?;
//! let request = CompletionRequest::new([Message::user("The capital of France?")]);
//! println!("{}", provider.complete(&request).await?.text());
//! # Ok(()) }
//! ```
//!
//! - [`Provider`] is what callers depend on; [`DynProvider`] is one of any type.
//! - [`OpenAiProvider`] is one over a [`Transport`]: [`HyperTransport`], or yours. [`Client`] is the same
//!   without a model, for the list of models. [`AnthropicProvider`] is the same over `POST /v1/messages`.
//! - [`Provider::layer`] puts tower layers around a provider: those of [`middleware`], tower's own, and
//!   yours.
//!
//! The [`guide`] shows how things are done, a chapter a task, with a page for each server and ten
//! tasks side by side with other libraries.
//!
//! A provider is bound to one model, keeps no conversation, never loops on tool calls, never changes its
//! inputs, adds no queue, and sets no time limits of its own but those of connecting and of probing: limits
//! are layers.
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `tls` | yes | `https` by rustls with the ring provider and the platform's roots |
//! | `validator` | yes | tool arguments and structured output are validated against their JSON Schemas |
//! | `middleware` | yes | the module [`middleware`] |
//! | `schemars` | no | a Rust type as a JSON Schema |
//! | `testing` | no | the module `testing`: a server in the test's own process |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod anthropic;
mod block_on;
mod body;
mod dyn_provider;
mod environment;
mod error;
#[cfg(all(any(doc, doctest), feature = "middleware", feature = "tls", feature = "validator"))]
pub mod guide;
mod http_client;
mod http_client_builder;
mod http_provider;
mod http_provider_builder;
mod layered;
mod near_misses;
mod openai;
mod probe;
mod provider;
mod provider_service;
mod readiness;
mod shared;
mod source;

pub use anthropic::{AnthropicClient, AnthropicClientBuilder, AnthropicProvider, AnthropicProviderBuilder};
pub use block_on::block_on;
pub use dyn_provider::DynProvider;
pub use environment::Environment;
pub use error::from_transport_error;
pub use http_client::HttpClient;
pub use http_client_builder::HttpClientBuilder;
pub use http_provider::HttpProvider;
pub use http_provider_builder::HttpProviderBuilder;
pub use layered::Layered;
pub use near_misses::NearMisses;
pub use openai::{Client, ClientBuilder, OpenAiProvider, OpenAiProviderBuilder};
pub use probe::{Probe, Waiting};
pub use provider::Provider;
pub use provider_service::ProviderService;
pub use shared::Shared;

pub use oa_transport::{BoxError, HyperTransport, HyperTransportBuilder, Transport};
#[doc(inline)]
pub use oa_wire::{
    ApiKey, AssistantBlock, AssistantContent, AssistantMessage, Attempt, AttemptReport, Audio, BaseUrl,
    BodyForm, Category, Challenge, Choice, ChoiceEvent, Completion, CompletionRequest, CompletionStream,
    ConnectionFailure, CorrectedBaseUrl, CountRoute, EmptyContent, Error, ErrorKind, ErrorReport, Event,
    EventSource, File, FileSource, FinishReason, Image, ImageDetail, ImageSource, InvalidSetting, JsonSchema,
    Limits, LiteLlmHeaders, Mapping, Message, Messages, Model, ModelList, Negotiated, Origin, Place,
    Priority, Profile, RateLimit, RateLimits, RawBody, ReasoningMember, Response, ResponseHeaders,
    RetryAfter, RetryAfterSource, RuntimeConfig, SchemaMode, SchemaViolation, SendReasoning,
    ServerErrorDetails, SessionId, Setting, Spellings, StructuredOutputFailure, TextDelta, ThinkPiece,
    ThinkSplitter, Timings, TokenCount, TokenLimit, TokenLogprob, Tool, ToolArguments, ToolCall,
    ToolCallDelta, ToolChoice, ToolMode, Tools, TopLogprob, TraceContext, UnknownName, Usage, UserBlock,
    UserContent, Video,
};

#[cfg(feature = "middleware")]
pub use oa_middleware as middleware;
#[cfg(feature = "testing")]
pub use oa_sim as testing;
pub use oa_transport as transport;
pub use oa_wire as wire;

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
