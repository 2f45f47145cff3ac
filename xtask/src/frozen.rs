//! Two llama.cpp as one service, of which one is stopped by a signal under load: owns the servers; programs
//! over the libraries call them.

use crate::{
    cargo,
    outcome::Outcome,
    piped::Piped,
    server::{Installation, KEY, LLAMA, Server},
};
use std::{
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Of the program and of the example.
const CALLERS: u32 = 16;

/// `frozen DIR --home HOME`
pub(crate) fn run(args: &[String]) -> Outcome {
    let [scripts, flag, home] = args else {
        return Err("usage: cargo xtask frozen DIR --home HOME".to_owned());
    };
    if flag != "--home" {
        return Err(format!("{flag}: no such argument"));
    }
    let installation = Installation::of(scripts, home, LLAMA)?;
    let program = cargo::build("oa-conformance", "oa-live-frozen")?;
    let first = Server::start_llama(&installation, "frozen-first", CALLERS, None)?;
    let second = Server::start_llama(&installation, "frozen-second", CALLERS, None)?;
    let mut failed = Vec::new();
    for policy in ["failover", "balance", "affinity"] {
        for kind in [&[][..], &["--stream"]] {
            let mut client = Command::new(&program);
            client.args(["--url", &first.url(), "--url", &second.url(), "--key", KEY]);
            client.args(["--policy", policy]).args(kind);
            failed.extend(stopped_when_asked(&mut client, &first).err());
        }
    }
    failed.extend(example(&first, &second).err());
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Runs a program that asks to stop the first server, and to let it go on.
fn stopped_when_asked(client: &mut Command, first: &Server) -> Outcome {
    let name = cargo::name(client);
    let mut client = Piped::start(client)?;
    let mut frozen = None;
    while let Some(line) = client.line()? {
        match line.as_str() {
            "stop 0" => {
                frozen = Some(first.freeze()?);
                client.send("stopped")?;
            }
            "continue 0" => {
                drop(frozen.take());
                client.send("continued")?;
            }
            _ => println!("{line}"),
        }
    }
    client.end(&name)
}

/// The example as it is shipped: each call is answered, and few of them needed a second server.
fn example(first: &Server, second: &Server) -> Outcome {
    const CALLS: usize = 3000;
    const MOST_HELPED: usize = 11;
    cargo::run(&mut cargo::cargo(&[
        "build",
        "--release",
        "--package",
        "oa-examples",
        "--example",
        "replicas",
    ]))?;
    let mut example = cargo::cargo(&["run", "--quiet", "--release", "--package", "oa-examples"]);
    example.args(["--example", "replicas", "--", &CALLS.to_string()]);
    example.env("OA_BASE_URLS", format!("{},{}", first.url(), second.url()));
    example.env("OA_MODEL", "tiny").env("OA_API_KEY", KEY);
    let since = Instant::now();
    let example = example.stdout(Stdio::piped()).spawn();
    let example = example.map_err(|error| format!("the example did not start: {error}"))?;
    thread::sleep(Duration::from_millis(1500));
    let frozen = first.freeze()?;
    let output = example.wait_with_output().map_err(|error| format!("the example: {error}"))?;
    let took = since.elapsed();
    drop(frozen);
    let output = String::from_utf8_lossy(&output.stdout);
    let timeouts = output.lines().filter(|line| line.contains("timeout: ")).count();
    let last = output.lines().last().unwrap_or_default();
    println!("the example, in {:.1} s: {last}; {timeouts} attempts met a limit", took.as_secs_f64());
    if !last.starts_with(&format!("{CALLS} calls: {CALLS} answered")) {
        return Err(format!("the example: not all calls were answered:\n{output}"));
    }
    match timeouts {
        0 => Err("the example had ended before the server was stopped".to_owned()),
        1..=MOST_HELPED => Ok(()),
        _ => Err(format!("the example: more than {MOST_HELPED} calls met a limit:\n{output}")),
    }
}
