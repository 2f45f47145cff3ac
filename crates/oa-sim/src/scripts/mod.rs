//! Which deviations of real servers can be played back, and what should a right client make of each?
//!
//! Every [`Script`] is an answer to a streamed `POST /v1/chat/completions` together with what a client should
//! get out of it, as plain data. Most were seen on the wire of vLLM, llama.cpp, LiteLLM, SGLang, Ollama or
//! LM Studio; the others are what the event-stream format allows.
//!
//! Play one, or loop over [`all`]. The request should offer [`tools`], since a call of a tool that was not
//! offered is an error in some clients; retries should be off, since each script answers one request; and a
//! read timeout should be on for those that [stall](Script::stalls).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use oa_sim::{Sim, scripts};
//!
//! for script in scripts::all() {
//!     let sim = Sim::builder().script([script.answer.clone()]).start().await?;
//!     // let result = my_client(&sim.base_url()).stream(...).await;
//!     match &script.expected.error {
//!         None => { /* compare script.expected.text, .tool_calls, ... with the result */ }
//!         Some(error) => println!("the call ends with {}, after some text perhaps", error.category),
//!     }
//!     sim.shutdown().await;
//! }
//! # Ok(()) }
//! ```
//!
//! To cut the bytes elsewhere, take [`Answer::split_every`] or [`Answer::split_at`]: no cut may change the
//! result.

/// Makes one documented function for each script, and the list of them all.
macro_rules! catalogue {
    ($($(#[doc = $about:literal])+ $name:ident: $answer:expr => $expected:expr;)+) => {
        $($(#[doc = $about])+
        pub fn $name() -> $crate::scripts::Script {
            let about = concat!($($about),+).trim();
            $crate::scripts::Script { name: stringify!($name), about, answer: $answer, expected: $expected }
        })+

        /// All of this module.
        pub fn all() -> Vec<$crate::scripts::Script> {
            vec![$($name()),+]
        }
    };
}

pub mod endings;
pub mod errors;
pub mod fields;
pub mod framing;
mod parts;
pub mod refusals;
pub mod tool_calls;

use serde_json::{Value, json};

use crate::answer::{Answer, Piece};

/// One deviation, ready to be served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Script {
    /// The name of its function.
    pub name: &'static str,
    /// What deviates, and where it was seen.
    pub about: &'static str,
    /// What is sent.
    pub answer: Answer,
    /// What a right client gets.
    pub expected: Expected,
}

impl Script {
    /// Whether the answer never ends by itself: only a timeout of the client does.
    pub fn stalls(&self) -> bool {
        let stalls = |pieces: &[Piece]| pieces.iter().any(|piece| matches!(piece, Piece::Stall));
        stalls(&self.answer.wire.before) || stalls(&self.answer.wire.body)
    }
}

/// What a right client makes of a script. With an [`error`](Expected::error), the other fields are what
/// arrived before it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Expected {
    /// The text of the choice with index 0.
    pub text: String,
    /// Its reasoning, once also where two fields carry it.
    pub reasoning: String,
    /// Its tool calls, in order.
    pub tool_calls: Vec<ExpectedCall>,
    /// `stop`, `length`, `tool_calls`, `content_filter`, or `error` for everything else the server may say or
    /// leave out. Empty where an error ended the stream before a reason came.
    pub finish_reason: &'static str,
    /// The counters of the usage, each only where the server sent a number that can be one.
    pub usage: ExpectedUsage,
    /// The error that the call ends with.
    pub error: Option<ExpectedError>,
}

/// A tool call that should arrive.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ExpectedCall {
    /// Its id; `None` where the server gave none, so that the client has to make one.
    pub id: Option<&'static str>,
    /// The name of the tool.
    pub name: &'static str,
    /// The parsed arguments; `None` where what the server sent is no JSON object.
    pub arguments: Option<Value>,
}

/// The counters that should arrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedUsage {
    /// `prompt_tokens`.
    pub prompt_tokens: Option<u64>,
    /// `completion_tokens`.
    pub completion_tokens: Option<u64>,
    /// `total_tokens`.
    pub total_tokens: Option<u64>,
    /// `prompt_tokens_details.cached_tokens`.
    pub cached_tokens: Option<u64>,
}

/// The error that should arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpectedError {
    /// `provider_unavailable`, `provider_rate_limit`, `provider_authentication`, `provider_invalid_model`,
    /// `provider_model_not_loaded`, `provider_invalid_request`, `provider_invalid_response` or
    /// `provider_unsupported_content_block`.
    pub category: &'static str,
    /// A part of the server's own message, which must not get lost. Empty where the server says nothing.
    pub mentions: &'static str,
    /// Whether the same call may succeed later.
    pub transient: bool,
}

/// Every script there is.
pub fn all() -> Vec<Script> {
    let parts =
        [framing::all(), endings::all(), errors::all(), fields::all(), tool_calls::all(), refusals::all()];
    parts.into_iter().flatten().collect()
}

/// The script of that name.
///
/// ```
/// assert!(oa_sim::scripts::by_name("keep_alive_comment").is_some());
/// assert!(oa_sim::scripts::by_name("no_such_script").is_none());
/// ```
pub fn by_name(name: &str) -> Option<Script> {
    all().into_iter().find(|script| script.name == name)
}

/// The tools that the scripts call, as they stand in a request: `get_weather` and `get_time`.
pub fn tools() -> Value {
    let tool = |name: &str, argument: &str| {
        json!({"type": "function", "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {argument: {"type": "string"}}},
        }})
    };
    json!([tool("get_weather", "city"), tool("get_time", "zone")])
}
