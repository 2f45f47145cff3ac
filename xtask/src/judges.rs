//! Runs the harnesses outside of this repository, which judge the library through the adapter or the command.

use crate::{
    cargo,
    outcome::{Outcome, Verdict},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// `conformance DIR [-- ARGS]`
pub(crate) fn run(args: &[String]) -> Outcome {
    match args {
        [folder] => conformance(folder.as_ref(), &[]),
        [folder, dashes, rest @ ..] if dashes == "--" => {
            conformance(folder.as_ref(), &rest.iter().map(String::as_str).collect::<Vec<_>>())
        }
        _ => Err("usage: cargo xtask conformance DIR [-- ARGS]".to_owned()),
    }
}

/// Builds the adapter and runs the harness of this folder on it.
pub(crate) fn conformance(folder: &Path, args: &[&str]) -> Outcome {
    let harness = existing(folder.join("conformance.py"))?;
    cargo::run(Command::new("python3").arg(harness).arg("--adapter").arg(adapter()?).args(args))
}

/// Answers of servers, replayed with their own cuts and with these.
pub(crate) fn answers(folder: &Path) -> Outcome<Verdict> {
    let judge = existing(folder.join("answers/judge.py"))?;
    let adapter = adapter()?;
    for split in ["0", "1", "7"] {
        let mut python = Command::new("python3");
        cargo::run(python.arg(&judge).arg("--adapter").arg(&adapter).args(["--split", split]))?;
    }
    Ok(Verdict::Passed)
}

/// Recorded exchanges, graded by what the judge itself makes of their bytes.
pub(crate) fn corpus(folder: &Path, corpora: &[PathBuf]) -> Outcome<Verdict> {
    let judge = existing(folder.join("corpus/judge.py"))?;
    let adapter = adapter()?;
    for more in [&["--strict"][..], &["--split", "1"], &["--split", "7"]] {
        let mut python = Command::new("python3");
        python.arg(&judge).arg("--adapter").arg(&adapter).args(more);
        for corpus in corpora {
            python.arg("--corpus").arg(corpus);
        }
        cargo::run(&mut python)?;
    }
    Ok(Verdict::Passed)
}

/// What the command says where something is wrong between it and a server.
pub(crate) fn operations(folder: &Path) -> Outcome<Verdict> {
    let judge = existing(folder.join("operations/judge.py"))?;
    let oa = cargo::build("oa-cli", "oa")?;
    cargo::run(Command::new("python3").arg(judge).arg("--oa").arg(oa)).map(Verdict::from)
}

fn adapter() -> Outcome<PathBuf> {
    cargo::build("oa-conformance", "oa-conformance-adapter")
}

fn existing(path: PathBuf) -> Outcome<PathBuf> {
    if path.is_file() { Ok(path) } else { Err(format!("there is no {}", path.display())) }
}
