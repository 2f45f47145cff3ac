//! The repository's own tasks: `cargo xtask TASK`.

mod bench;
mod cargo;
mod checks;
mod ci;
mod external_types;
mod frozen;
mod fuzz;
mod judges;
mod live;
mod nginx;
mod outcome;
mod piped;
mod release;
mod replicas;
mod server;
mod soak;
mod toolchain;
mod wasm;

use outcome::{Outcome, Verdict};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask TASK

  ci
      Everything that a change must pass, in this order: tests, tests under other
      features, format, clippy, documentation, the language of the minimum Rust version,
      the packages, the README's first command, the checks below whose tool is there,
      the judges. Stops at the first failure, and names what it skipped.
        OA_CONFORMANCE_DIR  a folder with conformance.py
        OA_JUDGES_DIR       a folder with answers/, corpus/ and operations/
        OA_CORPUS_DIR       recorded exchanges, for the tests that read them and a judge
        OA_JUDGES           `all` runs the judge of recorded exchanges too

  checks [NAME ...]
      Installs what is missing, and runs: spelling, unused dependencies, deny (licenses,
      bans, sources, advisories), features (every two), semver (against the last tag),
      minimum (a compiler of Rust 1.85), wasm, documentation (as it is published),
      minimal-versions. No NAME: all of them.

  bench [--check | --record] [NAME]
      Instructions of the micro benches, counted by valgrind. --check compares them with
      the recorded ones and fails where one is more than 2 % above; --record writes them.

  wasm
      Builds the wire crate for wasm32-unknown-unknown and drives exchanges under Node.

  fuzz [TARGET] [-- ARGS]
      A million inputs, guided by coverage, in one of the targets of fuzz/: decode (the
      default) or requests. Needs a nightly compiler and cargo-fuzz. ARGS go to libFuzzer
      in the place of the usual ones.

  release-check vX.Y.Z
      Whether the tag agrees with manifests and changelog, and the packages compile.

  conformance DIR [-- ARGS]
      Builds the adapter and has DIR/conformance.py judge it. ARGS go to conformance.py.

  live DIR --server vllm|litellm|llama --home HOME [--upstream vllm|llama] [--judge FILE] [-- ARGS]
      Starts a real server with the scripts in DIR, runs `oa ready`, `oa models` and
      `oa chat` against it, then the judge if there is one, and stops the server in
      every case.
        --home      where the server's installation is; the logs go there too
        --upstream  what the LiteLLM proxy stands before (default: llama); started too
        --judge     a Python program that judges the adapter; ARGS go to it

  replicas DIR --home HOME [-- ARGS]
      Starts two vLLM with prefix caching with the scripts in DIR, holds conversations
      with one of them and with both, kills one under load and starts it again, and
      prints what was prefilled, who had the load and what was lost. Takes eight minutes
      on two cores that do nothing else; where one server is starved of them, the other
      has more of the load. ARGS go to oa-live-replicas: --conversations 64 --turns 20
      --at-once 16

  frozen DIR --home HOME
      Starts two llama.cpp with the scripts in DIR, and stops one by a signal under the
      load of 16 callers, for each way to choose a server, whole and streamed, and for the
      example `replicas`. Fails if a call is lost that had not begun, if more than eleven
      are slow, or if the server is not called again once it goes on.

  soak [DIR --home HOME] [--minutes N] [--seed N]
      Two replicas under load from one program, with calls and streams that are dropped,
      pauses of all callers, and restarts of one at a time. Fails if a call is lost that
      could be sent again, if a connection is left, or if memory or descriptors grow, as
      the system counts them (Linux). Without DIR against two simulators, in 2 minutes;
      with DIR and HOME against two llama.cpp that its scripts start, in 20.

  nginx
      300 streams at once through nginx, over TLS with HTTP/2 by ALPN, where it takes 100
      on a connection: all have begun before one ends.

Python 3 is needed for `conformance` and for the judges. CARGO_TARGET_DIR is respected.
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome: Outcome = match args.split_first() {
        Some((task, [])) if task == "ci" => ci::run(),
        Some((task, rest)) if task == "checks" => checks::run(rest),
        Some((task, rest)) if task == "bench" => bench::run(rest),
        Some((task, [])) if task == "wasm" => wasm::run().map(report),
        Some((task, rest)) if task == "fuzz" => fuzz::run(rest),
        Some((task, rest)) if task == "release-check" => release::check(rest),
        Some((task, rest)) if task == "conformance" => judges::run(rest),
        Some((task, rest)) if task == "live" => live::run(rest),
        Some((task, rest)) if task == "replicas" => replicas::run(rest),
        Some((task, [])) if task == "nginx" => nginx::run().map(report),
        Some((task, rest)) if task == "frozen" => frozen::run(rest),
        Some((task, rest)) if task == "soak" => soak::run(rest),
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

/// Of a task that may find nothing to run.
fn report(verdict: Verdict) {
    if let Verdict::Skipped(why) = verdict {
        println!("skipped: {why}");
    }
}
