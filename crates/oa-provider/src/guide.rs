//! The guide: how to do things with this library, a chapter a task. Every Rust program in it is compiled with
//! the tests, and runs wherever it needs no server but a simulated one.
//!
//! | chapter | what it is about |
//! |---|---|
//! | [`getting_started`] | a server, a model, a first answer, settings, the history, images |
//! | [`streaming`] | text as it comes, cancelling, what is left of a stream that breaks, relaying |
//! | [`tools`] | functions that the model may call, and the way back |
//! | [`structured_output`] | an answer that satisfies a JSON Schema, or is a Rust type |
//! | [`errors`] | errors, retries and limits: which method tells what, and the layers in their order |
//! | [`testing`] | tests against a simulated server: scripts, faults, no sleeping |
//! | [`several_servers`] | failover, balance, affinity, discovery, hedging; routers that exist already |
//! | [`telemetry`] | spans, attributes, the switch for payload, metrics |
//! | [`other_runtimes`] | the wire crate alone: blocking, another runtime, a browser |
//! | [`servers`] | a page for each server: flags, traps, what is handled |
//! | [`refused_connections`] | a connection is refused, or nothing answers: causes and remedies |
//! | [`coming_from`] | ten tasks side by side with other libraries |

use crate::*;

#[doc = include_str!("guide/getting_started.md")]
pub mod getting_started {}

#[doc = include_str!("guide/streaming.md")]
pub mod streaming {}

#[doc = include_str!("guide/tools.md")]
pub mod tools {}

#[doc = include_str!("guide/structured_output.md")]
pub mod structured_output {}

#[doc = include_str!("guide/errors.md")]
pub mod errors {}

#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[doc = include_str!("guide/several_servers.md")]
pub mod several_servers {}

#[doc = include_str!("guide/telemetry.md")]
pub mod telemetry {}

#[doc = include_str!("guide/other_runtimes.md")]
pub mod other_runtimes {}

/// A page for each server: how it is started, what surprises, and what is handled here.
///
/// | server | port | known from |
/// |---|---|---|
/// | [`vllm`](servers::vllm) | 8000 | recorded exchanges |
/// | [`sglang`](servers::sglang) | 30000 | its source |
/// | [`llama_cpp`](servers::llama_cpp) | 8080 | recorded exchanges |
/// | [`lm_studio`](servers::lm_studio) | 1234 | its documentation |
/// | [`ollama`](servers::ollama) | 11434 | its source |
/// | [`litellm`](servers::litellm) | 4000 | recorded exchanges |
/// | [`openai`](servers::openai) | 443 | its documentation |
///
/// There is no switch for a server: rules are about what was sent. The name in
/// [`genai_system`](crate::HttpProviderBuilder::genai_system) is for telemetry alone, and
/// [`spellings`](crate::HttpProviderBuilder::spellings) says where a request's session and priority are sent.
///
/// # True of all of them
///
/// - None but OpenAI asks for a key, unless it was started with one.
/// - An idle connection is closed after 5 s by vLLM, SGLang, the LiteLLM proxy (uvicorn) and llama.cpp
///   (cpp-httplib). The transport keeps one for 3 s, and sends a request once more where a reused connection
///   turns out to be dead.
/// - `Retry-After` is rare. Where there is a delay, in whatever header or words,
///   [`retry_after`](crate::Error::retry_after) has it.
/// - Unknown members of a request are ignored without a word by all of them. A misspelt extra does nothing.
/// - The list of models does not tell whether the model is warm: use the [chat probe](crate::Probe::Chat).
pub mod servers {
    #[doc = include_str!("guide/servers/vllm.md")]
    pub mod vllm {}

    #[doc = include_str!("guide/servers/sglang.md")]
    pub mod sglang {}

    #[doc = include_str!("guide/servers/llama_cpp.md")]
    pub mod llama_cpp {}

    #[doc = include_str!("guide/servers/lm_studio.md")]
    pub mod lm_studio {}

    #[doc = include_str!("guide/servers/ollama.md")]
    pub mod ollama {}

    #[doc = include_str!("guide/servers/litellm.md")]
    pub mod litellm {}

    #[doc = include_str!("guide/servers/openai.md")]
    pub mod openai {}
}

#[doc = include_str!("guide/refused_connections.md")]
pub mod refused_connections {}

/// Ten tasks side by side with other libraries: a client, a completion, a system message and settings, a
/// stream, a tool call, structured output, an image, an error, retries and limits, the list of models.
///
/// - [`async_openai`](coming_from::async_openai)
/// - [`genai_and_rig`](coming_from::genai_and_rig)
/// - [`openarmature`](coming_from::openarmature), the Python `OpenAIProvider`
/// - [`openai_python`](coming_from::openai_python)
pub mod coming_from {
    #[doc = include_str!("guide/coming_from/async_openai.md")]
    pub mod async_openai {}

    #[doc = include_str!("guide/coming_from/genai_and_rig.md")]
    pub mod genai_and_rig {}

    #[doc = include_str!("guide/coming_from/openarmature.md")]
    pub mod openarmature {}

    #[doc = include_str!("guide/coming_from/openai_python.md")]
    pub mod openai_python {}
}
