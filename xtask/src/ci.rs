//! What a change must pass: one list of steps, in order; the first that fails ends the run.

use crate::{
    cargo::{self, cargo, source_roots},
    conformance,
    outcome::Outcome,
};
use std::{
    env,
    process::{Command, Stdio},
    time::Instant,
};

/// Runs every step.
pub(crate) fn run() -> Outcome {
    let mut done = Vec::new();
    for (name, step) in steps() {
        println!("\n==> {name}");
        let start = Instant::now();
        let outcome = step();
        let seconds = start.elapsed().as_secs_f64();
        if let Err(why) = outcome {
            println!("\n{} passed, 1 failed: {name} ({seconds:.1} s)", done.len());
            return Err(why);
        }
        println!("==> ok in {seconds:.1} s");
        done.push((name, seconds));
    }
    println!();
    for (name, seconds) in &done {
        println!("{seconds:7.1} s  {name}");
    }
    println!("{:7.1} s  in all", done.iter().map(|(_, seconds)| seconds).sum::<f64>());
    println!("steps: {} passed, 0 failed", done.len());
    Ok(())
}

type Step = (String, Box<dyn Fn() -> Outcome>);

fn steps() -> Vec<Step> {
    let mut steps = vec![
        // The README's second command, word for word.
        plain("test --workspace"),
        plain("test -p oa-middleware --all-features"),
        plain("test -p oa-wire --no-default-features"),
        // A dependent may switch these on for everybody.
        plain("test -p oa-wire --features serde_json/preserve_order,serde_json/arbitrary_precision"),
        plain("fmt --all --check"),
        plain("clippy --workspace --all-targets --all-features -- -D warnings"),
        plain("clippy -p oa-wire -p oa-transport -p oa-provider --no-default-features -- -D warnings"),
        ("cargo doc --workspace --all-features --no-deps, no warnings".to_owned(), Box::new(documentation)),
        ("no syntax newer than the minimum Rust version".to_owned(), Box::new(syntax)),
        ("cargo oa chat 'Say hello'".to_owned(), Box::new(first_command)),
    ];
    if let Some(folder) = env::var_os("OA_CONFORMANCE_DIR") {
        let judge =
            move || conformance::judge(folder.as_ref(), &["-q", "--require", "all", "--fail-unjudged"]);
        steps.push(("conformance".to_owned(), Box::new(judge)));
    }
    steps
}

fn plain(args: &'static str) -> Step {
    (format!("cargo {args}"), Box::new(|| cargo::run(&mut cargo(&args.split(' ').collect::<Vec<_>>()))))
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
