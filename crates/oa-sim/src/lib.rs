//! An OpenAI-compatible server inside of a test's own process: scripted answers, faults, a generative mode.
//!
//! [`Sim`] listens on a free port of 127.0.0.1 and speaks HTTP/1.1 byte by byte, so that it can do what real
//! servers do and libraries hide: cut a body, reset a connection, stall, lie about a length, close a kept
//! connection just when it is used again. It shares no code with any client.
//!
//! # It answers by itself
//!
//! Without a script it obeys the request as a small model behind vLLM's API would: it echoes, counts, stops,
//! streams, calls tools and fills schemas. What it says is made up, and it says so: its model is named
//! `oa-sim`, and each answer carries the header `x-oa-simulator`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use oa_sim::Sim;
//!
//! let sim = Sim::start().await?;
//! println!("point the program under test at {}", sim.base_url());
//! # Ok(()) }
//! ```
//!
//! - `POST /v1/chat/completions` obeys `messages`, `max_tokens`, `max_completion_tokens`, `stop`, `n`,
//!   `seed`, `stream`, `stream_options`, `response_format`, `tools`, `tool_choice` and `parallel_tool_calls`,
//!   and refuses what vLLM refuses, in its words.
//! - `POST /v1/messages` is Anthropic's form of the same: blocks, tools, `tool_choice`, `stop_sequences`,
//!   `output_config.format` and streams; `max_tokens` is required.
//! - `POST /tokenize`, `POST /v1/chat/completions/input_tokens` and `POST /v1/messages/count_tokens` count
//!   the tokens of a prompt, as vLLM, llama.cpp and Anthropic do.
//! - `GET /v1/models` and `GET /v1/models/ID` show the names that it serves.
//! - `GET /health`, `GET /version` and `GET /` are 200.
//! - Every other path is 404 `{"detail":"Not Found"}`, every other method 405.
//!
//! A token is a word. With `tool_choice: "auto"` it calls the tools that the last user message names, and
//! after their results it answers with them. Text for a schema comes in the order of the schema's properties.
//!
//! # It plays what a test says
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
//! use oa_sim::{Answer, Piece, Sim};
//! use serde_json::json;
//!
//! let sim = Sim::builder()
//!     .script([
//!         Answer::json(503, json!({"error": {"message": "Loading model", "type": "unavailable_error"}})),
//!         Answer::stream([Piece::from("data: {\"choices\":["), Piece::Cut]),
//!         Answer::generated(),
//!     ])
//!     .start()
//!     .await?;
//! // ... run the code under test, and then look at what it did:
//! assert_eq!(sim.unused(), 3);
//! assert!(sim.requests().is_empty());
//! # Ok(()) }
//! ```
//!
//! [`scripts`] is a catalogue of what servers do differently in a stream, each with the right result.
//!
//! # Tests without sleeping
//!
//! [`Sim::wait_for`] waits for what the server sees, such as [`Stats::client_left`], and a [`Gate`] holds an
//! answer until the test lets it go on. All delays use tokio's clock, so that a test with a paused clock
//! (`#[tokio::test(start_paused = true)]`) takes no time, if the simulator runs in its runtime
//! ([`Sim::start`]).
//!
//! # Without tokio
//!
//! ```
//! use std::io::{Read, Write};
//!
//! # fn main() -> std::io::Result<()> {
//! let sim = oa_sim::Sim::start_blocking()?;
//! let mut connection = std::net::TcpStream::connect(sim.addr())?;
//! connection.write_all(b"GET /v1/models HTTP/1.1\r\nHost: sim\r\nConnection: close\r\n\r\n")?;
//! let mut answer = String::new();
//! connection.read_to_string(&mut answer)?;
//! assert!(answer.contains("\"id\":\"oa-sim\""));
//! # Ok(()) }
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod generate;
mod http;
mod json;
mod piece;
mod recorded;
mod respond;
pub mod scripts;
mod server;
mod sim;
mod state;
mod version;

pub use answer::Answer;
pub use generate::{ImageRefusal, Reasoning, Reply};
pub use piece::{Gate, Piece};
pub use recorded::Recorded;
pub use sim::{ClosedPort, Sim, SimBuilder};
pub use state::Stats;
pub use version::VERSION;

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
