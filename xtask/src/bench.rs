//! Instructions of the micro benches, counted by valgrind and compared with those that were recorded.

use crate::{
    cargo::{cargo, output, root},
    outcome::Outcome,
    toolchain::is_there,
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const BENCHES: &[&str] = &["wire", "servers"];
/// What was recorded: a line for each bench, its name and its instructions.
const BASELINE: &str = "crates/oa-bench/instructions.txt";
/// How far above the recorded count is a failure, in percent.
const GATE: f64 = 2.0;
/// Each bench runs this often twice; the difference is free of what comes before the first run.
const RUNS: (u64, u64) = (20, 120);

/// `bench [--check | --record] [NAME]`
pub(crate) fn run(args: &[String]) -> Outcome {
    let (flags, names): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| arg.starts_with("--"));
    let (check, record) = match flags.iter().map(|flag| flag.as_str()).collect::<Vec<_>>().as_slice() {
        [] => (false, false),
        ["--check"] => (true, false),
        ["--record"] if names.is_empty() => (false, true),
        _ => return Err("usage: cargo xtask bench [--check | --record] [NAME]".to_owned()),
    };
    if !is_there("valgrind") {
        return Err("there is no valgrind".to_owned());
    }
    let wanted = |case: &str| names.iter().all(|name| case.contains(name.as_str()));
    let mut cases = Vec::new();
    for bench in BENCHES {
        let program = build(bench)?;
        let listed = output(Command::new(&program).arg("--list"))?;
        let listed = listed.lines().filter(|case| wanted(case));
        cases.extend(listed.map(|case| (program.clone(), case.to_owned())));
    }
    let recorded = read().unwrap_or_default();
    let compiler =
        output(Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version"))?;
    let mut counted = format!("# {compiler}");
    let mut worse = Vec::new();
    println!("{:<32} {:>12} {:>12} {:>8}", "bench", "instructions", "recorded", "%");
    for (program, case) in &cases {
        let count = instructions(program, case)?;
        counted.extend([case, " ", &count.to_string(), "\n"]);
        match recorded.get(case) {
            Some(before) => {
                let percent = (count as f64 / *before as f64 - 1.0) * 100.0;
                println!("{case:<32} {count:>12} {before:>12} {percent:>+8.2}");
                if percent > GATE {
                    worse.push(format!("{case} {percent:+.2} %"));
                }
            }
            None => println!("{case:<32} {count:>12} {:>12}", "-"),
        }
    }
    if record {
        return fs::write(root().join(BASELINE), counted).map_err(|error| format!("{BASELINE}: {error}"));
    }
    if check && !worse.is_empty() {
        return Err(format!("more than {GATE} % above the recorded count: {}", worse.join(", ")));
    }
    Ok(())
}

fn read() -> Option<BTreeMap<String, u64>> {
    let text = fs::read_to_string(root().join(BASELINE)).ok()?;
    if let Some(compiler) = text.lines().next() {
        println!("recorded with {}", compiler.trim_start_matches("# "));
    }
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    Some(lines.filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?))).collect())
}

/// The instructions of one run of this bench.
fn instructions(program: &Path, case: &str) -> Outcome<u64> {
    let (few, many) = (total(program, case, RUNS.0)?, total(program, case, RUNS.1)?);
    Ok(many.saturating_sub(few) / (RUNS.1 - RUNS.0))
}

fn total(program: &Path, case: &str, runs: u64) -> Outcome<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    valgrind.args(["--exact", case, "--iterations", &runs.to_string()]);
    let run = valgrind.output().map_err(|error| format!("valgrind did not start: {error}"))?;
    let printed = String::from_utf8_lossy(&run.stderr);
    let line = printed.lines().find_map(|line| line.split_once("Collected :"));
    line.and_then(|(_, count)| count.trim().parse().ok()).ok_or_else(|| {
        format!("valgrind counted nothing for {case}: {}", printed.lines().last().unwrap_or_default())
    })
}

/// Builds a bench and says where it is.
fn build(bench: &str) -> Outcome<PathBuf> {
    let args = ["bench", "--no-run", "--package", "oa-bench", "--bench", bench, "--message-format"];
    let messages = output(cargo(&args).arg("json-render-diagnostics"))?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == bench)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| format!("cargo built the bench {bench} and did not say where"))
}
