//! Deviations of real servers, ready to be played back, each with what a client should make of it.
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
//! To cut the bytes elsewhere, take [`split_every`](crate::Answer::split_every) or
//! [`split_at`](crate::Answer::split_at): no cut may change the result.

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
mod script;
pub mod tool_calls;

pub use script::{Expected, ExpectedCall, ExpectedError, ExpectedUsage, Script};

use serde_json::{Value, json};

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
