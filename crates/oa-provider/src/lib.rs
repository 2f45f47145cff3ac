//! Chat completions from any OpenAI-compatible server: [`oa_wire`] and a transport behind one trait.
//!
//! ```no_run
//! use oa_provider::{OpenAiProvider, Provider};
//! use oa_wire::{CompletionRequest, Message};
//!
//! # async fn example() -> Result<(), oa_wire::Error> {
//! let provider = OpenAiProvider::builder("http://localhost:8000", "my-model").build()?;
//! let request = CompletionRequest::new([Message::user("The capital of France?")]);
//! let response = provider.complete(&request).await?;
//! println!("{}", response.text());
//! # Ok(()) }
//! ```
//!
//! - [`Provider`] is what callers depend on; [`DynProvider`] is the same behind a pointer.
//! - [`OpenAiProvider`] speaks to a server over a [`Transport`]: ours over hyper, or yours.
//! - It is also a [`tower_service::Service`] over [`CompletionRequest`](oa_wire::CompletionRequest), so that tower
//!   layers compose around it; [`ServiceProvider`] makes a provider of such a stack again.
//!
//! A provider is bound to one model, keeps no conversation, never loops on tool calls, never changes its inputs, adds
//! no queue, and sets no time limits of its own but that of connecting and that of probing: limits are layers.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod environment;
mod failure;
mod near_misses;
mod openai;
mod provider;
mod readiness;
mod service;
mod source;

pub use builder::Builder;
pub use environment::Environment;
pub use near_misses::NearMisses;
pub use oa_transport::{HyperTransport, Transport};
pub use openai::OpenAiProvider;
pub use provider::{DynProvider, Provider};
pub use readiness::{Probe, Waiting};
pub use service::ServiceProvider;

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
