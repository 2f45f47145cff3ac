//! The repository's own tasks: `cargo xtask TASK`.

mod cargo;
mod ci;
mod conformance;
mod live;
mod outcome;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask TASK

  ci
      Everything that a change must pass, in this order: tests, tests under other
      features, format, clippy, documentation, the language of the minimum Rust version,
      the README's first command, conformance. Stops at the first failure.
        OA_CONFORMANCE_DIR  a folder with conformance.py; without it that step is left out
        OA_CORPUS_DIR       more recorded exchanges for the tests that read them

  conformance DIR [-- ARGS]
      Builds the adapter and has DIR/conformance.py judge it. ARGS go to conformance.py.

  live DIR --server vllm|litellm|llama --home HOME [--upstream vllm|llama] [--judge FILE] [-- ARGS]
      Starts a real server with the scripts in DIR, runs `oa ready`, `oa models` and
      `oa chat` against it, then the judge if there is one, and stops the server in
      every case.
        --home      where the server's installation is; the logs go there too
        --upstream  what the LiteLLM proxy stands before (default: llama); started too
        --judge     a Python program that judges the adapter; ARGS go to it

Python 3 is needed for `conformance` and for a judge. CARGO_TARGET_DIR is respected.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.split_first() {
        Some((task, [])) if task == "ci" => ci::run(),
        Some((task, rest)) if task == "conformance" => conformance::run(rest),
        Some((task, rest)) if task == "live" => live::run(rest),
        Some((task, [])) if matches!(task.as_str(), "help" | "-h" | "--help") => {
            print!("{USAGE}");
            Ok(())
        }
        Some((task, _)) => Err(format!("no such task, or too many arguments: {task}\n\n{USAGE}")),
        None => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("xtask: {why}");
            ExitCode::FAILURE
        }
    }
}
