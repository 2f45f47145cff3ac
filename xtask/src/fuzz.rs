//! Fuzzing guided by coverage, with a nightly compiler and cargo-fuzz.

use crate::{
    cargo::{self, root},
    outcome::Outcome,
    toolchain::is_there,
};
use std::process::Command;

/// What libFuzzer is told where nothing else is asked for.
const DEFAULT: [&str; 2] = ["-runs=1000000", "-max_len=4096"];

/// `fuzz [TARGET] [-- ARGS]`
pub(crate) fn run(args: &[String]) -> Outcome {
    let (target, args) = match args {
        [] => ("decode", &[][..]),
        [dashes, rest @ ..] if dashes == "--" => ("decode", rest),
        [target] => (target.as_str(), &[][..]),
        [target, dashes, rest @ ..] if dashes == "--" => (target.as_str(), rest),
        _ => return Err("usage: cargo xtask fuzz [TARGET] [-- ARGS]".to_owned()),
    };
    for (program, how) in [("rustup", "https://rustup.rs"), ("cargo-fuzz", "cargo install cargo-fuzz")] {
        if !is_there(program) {
            return Err(format!("there is no {program}: {how}"));
        }
    }
    cargo::run(nightly().args(["run", "--bin", "seed"]))?;
    let mut fuzz = nightly();
    fuzz.args(["fuzz", "run", target, "-s", "none", "--"]);
    if args.is_empty() {
        fuzz.args(DEFAULT)
    } else {
        fuzz.args(args)
    };
    cargo::run(&mut fuzz)
}

/// A nightly cargo in the workspace of the targets, whose target folder is its own.
fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).current_dir(root().join("fuzz"));
    command.env_remove("CARGO").env_remove("CARGO_TARGET_DIR");
    command
}
