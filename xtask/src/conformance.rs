//! Runs a harness outside of this repository, which judges the library through the adapter.

use crate::{cargo, outcome::Outcome};
use std::{path::Path, process::Command};

/// `conformance DIR [-- ARGS]`
pub(crate) fn run(args: &[String]) -> Outcome {
    match args {
        [folder] => judge(folder.as_ref(), &[]),
        [folder, dashes, rest @ ..] if dashes == "--" => {
            judge(folder.as_ref(), &rest.iter().map(String::as_str).collect::<Vec<_>>())
        }
        _ => Err("usage: cargo xtask conformance DIR [-- ARGS]".to_owned()),
    }
}

/// Builds the adapter and runs the harness of this folder on it.
pub(crate) fn judge(folder: &Path, args: &[&str]) -> Outcome {
    let harness = folder.join("conformance.py");
    if !harness.is_file() {
        return Err(format!("there is no {}", harness.display()));
    }
    let adapter = cargo::build("oa-conformance", "oa-conformance-adapter")?;
    cargo::run(Command::new("python3").arg(harness).arg("--adapter").arg(adapter).args(args))
}
