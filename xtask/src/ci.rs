//! The checks that a change must pass: one list of steps, in order; the first that fails ends the run.

use crate::{
    cargo::{self, cargo, source_roots},
    checks::CHECKS,
    judges,
    outcome::{Outcome, Verdict},
    soak,
};
use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

/// Runs every step.
pub(crate) fn run() -> Outcome {
    let mut done = Vec::new();
    let mut skipped = Vec::new();
    for (name, step) in steps() {
        println!("\n==> {name}");
        let start = Instant::now();
        let outcome = step();
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(Verdict::Passed) => {
                println!("==> ok in {seconds:.1} s");
                done.push((name, seconds));
            }
            Ok(Verdict::Skipped(why)) => {
                println!("==> skipped: {why}");
                skipped.push((name, why));
            }
            Err(why) => {
                println!("\n{} passed, 1 failed: {name} ({seconds:.1} s)", done.len());
                return Err(why);
            }
        }
    }
    println!();
    for (name, seconds) in &done {
        println!("{seconds:7.1} s  {name}");
    }
    for (name, why) in &skipped {
        println!("  skipped  {name}: {why}");
    }
    println!("{:7.1} s  in all", done.iter().map(|(_, seconds)| seconds).sum::<f64>());
    println!("steps: {} passed, 0 failed, {} skipped", done.len(), skipped.len());
    Ok(())
}

type Step = (String, Box<dyn Fn() -> Outcome<Verdict>>);

fn steps() -> Vec<Step> {
    let mut steps = vec![
        // The README's second command, word for word.
        plain("test --workspace"),
        plain("test -p oa-middleware --all-features"),
        plain("test -p oa-transport --features http2"),
        plain("test -p oa-wire --no-default-features"),
        // A dependent may switch these on for everybody.
        plain("test -p oa-wire --features serde_json/preserve_order,serde_json/arbitrary_precision"),
        // Each crate brings the features that it needs, and does not live on those that another one switched
        // on.
        plain("check -p oa-sim"),
        plain("check -p oa-doctor"),
        plain("check -p oa-middleware"),
        plain("check -p oa-provider"),
        plain("check -p oa-tools"),
        plain("fmt --all --check"),
        plain("clippy --workspace --all-targets --all-features -- -D warnings"),
        plain("clippy -p oa-wire -p oa-transport -p oa-provider --no-default-features -- -D warnings"),
        step("cargo doc --workspace --all-features --no-deps, no warnings", documentation),
        // What the packages compile to is left to `release-check`.
        plain("publish --workspace --dry-run --no-verify --allow-dirty --quiet"),
        step("no syntax newer than the minimum Rust version", syntax),
        step("cargo oa chat 'Say hello'", first_command),
        ("cargo xtask soak".to_owned(), Box::new(soak::run_if_counted)),
    ];
    steps.extend(
        CHECKS
            .iter()
            .filter(|check| check.in_ci)
            .map(|check| -> Step { (check.name.to_owned(), Box::new(|| check.run_if_there())) }),
    );
    steps.push(judge("conformance", "OA_CONFORMANCE_DIR", |folder| {
        let args = ["-q", "--require", "all", "--fail-unjudged"];
        judges::conformance(&folder, &args).map(Verdict::from)
    }));
    steps.push(judge("answers", "OA_JUDGES_DIR", |folder| judges::answers(&folder)));
    steps.push(judge("corpus", "OA_JUDGES_DIR", |folder| {
        let Some(corpus) = env::var_os("OA_CORPUS_DIR") else {
            return Ok(Verdict::Skipped("OA_CORPUS_DIR is not set".to_owned()));
        };
        if env::var_os("OA_JUDGES").is_none_or(|judges| judges != "all") {
            return Ok(Verdict::Skipped("OA_JUDGES is not `all`".to_owned()));
        }
        judges::corpus(&folder, &[corpus.into()])
    }));
    steps.push(judge("operations", "OA_JUDGES_DIR", |folder| judges::operations(&folder)));
    steps
}

fn step(name: &str, run: fn() -> Outcome) -> Step {
    (name.to_owned(), Box::new(move || run().map(Verdict::from)))
}

/// A harness from outside, in the folder that the variable names.
fn judge(name: &str, variable: &'static str, run: fn(PathBuf) -> Outcome<Verdict>) -> Step {
    let found = move || match env::var_os(variable) {
        Some(folder) => run(folder.into()),
        None => Ok(Verdict::Skipped(format!("{variable} is not set"))),
    };
    (name.to_owned(), Box::new(found))
}

fn plain(args: &'static str) -> Step {
    let run = || cargo::run(&mut cargo(&args.split(' ').collect::<Vec<_>>())).map(Verdict::from);
    (format!("cargo {args}"), Box::new(run))
}

fn documentation() -> Outcome {
    cargo::run(
        cargo(&["doc", "--workspace", "--all-features", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Rust 1.85 has no let-chains, and clippy's `incompatible_msrv` does not see them. Reading the sources as
/// those of the edition before does: there they are errors.
fn syntax() -> Outcome {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--edition", "2021", "--config", "style_edition=2024", "--emit", "stdout", "--quiet"]);
    rustfmt.args(source_roots()?).current_dir(cargo::root()).stdout(Stdio::null());
    cargo::run(&mut rustfmt).map_err(|_| "a syntax that Rust 1.85 does not have: see above".to_owned())
}

/// The README's first command prints a completion where no server is named.
fn first_command() -> Outcome {
    let mut oa = cargo(&["oa", "chat", "Say hello"]);
    for variable in ["OA_BASE_URL", "OPENAI_BASE_URL", "OA_MODEL", "OA_API_KEY", "OPENAI_API_KEY"] {
        oa.env_remove(variable);
    }
    let printed = cargo::output(oa.stdin(Stdio::null()))?;
    print!("{printed}");
    if printed.trim().is_empty() { Err("it printed nothing".to_owned()) } else { Ok(()) }
}
