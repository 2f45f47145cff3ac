//! The `oa` command: chat with any OpenAI-compatible server, list its models, ask whether it is ready, find
//! out why not.
//!
//! ```text
//! oa chat "The capital of France?"
//! git diff | oa chat "Write a commit message" --base-url http://localhost:8000
//! oa models --base-url http://localhost:8000
//! oa ready --wait 2m && run-the-tests
//! oa doctor http://localhost:8000
//! ```
//!
//! `oa chat` without a server starts a simulator inside of itself, and prints that it does. The other
//! commands need a server: without one they end as wrong usage.
//!
//! # Exit codes
//!
//! They are stable: a script may rely on them.
//!
//! | code | category | what happened |
//! |---:|---|---|
//! | 0 | | done; also when the reader of the output went away (`oa chat \| head -1`) |
//! | 1 | | the output could not be written |
//! | 2 | | wrong usage |
//! | 10 | `provider_authentication` | the key is missing or refused |
//! | 11 | `provider_unavailable` | not reachable, too slow, cut off, or a failure of the server |
//! | 12 | `provider_invalid_model` | the server does not know the model |
//! | 13 | `provider_model_not_loaded` | the model is loading or not loaded |
//! | 14 | `provider_rate_limit` | too many requests, or a spent quota |
//! | 15 | `provider_invalid_response` | the answer is no completion |
//! | 16 | `provider_invalid_request` | refused by the server, or here before anything was sent |
//! | 17 | `provider_unsupported_content_block` | the model cannot take an image |
//! | 18 | `structured_output_invalid` | the answer does not satisfy the schema |
//! | 130 | | interrupted by Ctrl-C |
//!
//! `oa doctor` ends with the code of its first failed step's category, and with 0 when nothing failed,
//! warnings or not.
//!
//! # Events for scripts
//!
//! `oa chat --json-events` writes one JSON object a line, the kind in `type`. The last is `done` or `error`,
//! unless the command was interrupted.
//!
//! | type | members |
//! |---|---|
//! | `content`, `reasoning` | `text`: the next piece |
//! | `tool_call_delta` | `position` of the call in the message, `id` and `name` in its first piece, `arguments` |
//! | `tool_call` | `tool_call`: a call that is complete (`id`, `name`, `arguments`) |
//! | `usage` | `usage`: the tokens so far, or in all |
//! | `done` | `response`: what `--json` prints |
//! | `error` | `error`: its report; `partial`: what came before it, in the form of `response` |

mod cli;
mod commands;
mod explain;
mod failure;
mod input;
mod process;
mod record;
mod screen;
mod server;
mod spinner;
mod transport;
mod values;

use clap::{CommandFactory, Parser};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::Cli::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(cli::Cli::command()),
    }
}
