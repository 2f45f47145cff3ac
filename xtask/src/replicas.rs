//! Two real vLLM with prefix caching as one service: what conversations cost there, and what an outage costs.

use crate::{
    cargo,
    outcome::Outcome,
    server::{Installation, KEY, Server, Start},
};
use serde_json::Value;
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const SCRIPT: &str = "start-vllm.sh";

/// `replicas DIR --home HOME [-- ARGS]`
pub(crate) fn run(args: &[String]) -> Outcome {
    let (scripts, home, more) = match args {
        [scripts, flag, home] if flag == "--home" => (scripts, home, &[][..]),
        [scripts, flag, home, dashes, more @ ..] if flag == "--home" && dashes == "--" => {
            (scripts, home, more)
        }
        _ => return Err("usage: cargo xtask replicas DIR --home HOME [-- ARGS]".to_owned()),
    };
    let installation = Installation::of(scripts, home, SCRIPT)?;
    let program = cargo::build("oa-conformance", "oa-live-replicas")?;
    let mut first = start(&installation, "vllm-first", None)?;
    let second = start(&installation, "vllm-second", None)?;
    let urls = [first.url(), second.url()];
    let mut failed = Vec::new();

    // Each by itself first: the first calls of a server that has just started are slow.
    let one = report(client(&program, &urls[1..], more).args(["--run", "the second"]))?;
    println!("\nthe second server: {}", summary(&one));
    let one = report(client(&program, &urls[..1], more).args(["--run", "the first"]))?;
    println!("the first server: {}", summary(&one));
    let two = report(client(&program, &urls, more).args(["--run", "two servers"]))?;
    println!("two servers: {}", summary(&two));
    let prefill = number(&two["prefill"]) / number(&one["prefill"]);
    let load = ratio(&two, "prompt_tokens");
    let calls = ratio(&two, "calls");
    println!("prefill by one server's: {prefill:.2}; load: {load:.2} in tokens, {calls:.2} in calls");
    check(&mut failed, prefill <= 1.3, "the prefill is more than 1.3 times one server's");
    check(&mut failed, load <= 1.3, "one server has more than 1.3 times the other's load");
    check(&mut failed, number(&one["lost"]) + number(&two["lost"]) < 0.5, "calls were lost");

    println!("\none is killed under load, and started again");
    let mut outage = client(&program, &urls, more);
    outage.args(["--run", "an outage", "--outage"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut outage = outage.spawn().map_err(|error| format!("the client did not start: {error}"))?;
    let mut input = outage.stdin.take().ok_or("the client has no input")?;
    let mut tell = |line: &str| writeln!(input, "{line}").map_err(|error| format!("the client: {error}"));
    thread::sleep(Duration::from_secs(20));
    tell("kill")?;
    let port = first.port;
    first.kill()?;
    thread::sleep(Duration::from_secs(10));
    first = start(&installation, "vllm-first", Some(port))?;
    tell("up")?;
    thread::sleep(Duration::from_secs(45));
    drop(input);
    let output = outage.wait_with_output().map_err(|error| format!("the client: {error}"))?;
    let outage = parse(&output.stdout)?;
    println!("{}", summary(&outage));
    let lost = number(&outage["lost"]);
    let times = &outage["outage"];
    println!(
        "down for {:.0} s, {} calls meanwhile; its share before: {:.2}; 80 % of it {} s after it was up; \
         from second to second after it was up:",
        number(&times["down_seconds"]),
        times["calls_while_down"],
        number(&times["share_before"]),
        times["back_after_seconds"],
    );
    let shares: Vec<f64> = times["shares_after"].as_array().into_iter().flatten().map(number).collect();
    println!("{}", shares.iter().map(|share| format!("{share:.2}")).collect::<Vec<_>>().join(" "));
    check(&mut failed, lost < 0.5, "calls were lost in the outage");
    let is_back = times["back_after_seconds"].as_u64().is_some_and(|seconds| seconds <= 30);
    check(&mut failed, is_back, "it had not 80 % of its share within 30 s");
    let final_shares = &shares[shares.len().saturating_sub(10)..];
    let kept = final_shares.iter().sum::<f64>() / final_shares.len() as f64;
    println!("in the last 10 s: {kept:.2}");
    check(&mut failed, kept >= 0.8 * number(&times["share_before"]), "it did not keep 80 % of its share");
    drop((first, second));
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

fn check(failed: &mut Vec<&'static str>, holds: bool, otherwise: &'static str) {
    if !holds {
        failed.push(otherwise);
    }
}

fn start(installation: &Installation, name: &str, port: Option<u16>) -> Outcome<Server> {
    // The least blocks that vLLM has on a CPU: what is cached is counted in whole blocks.
    let args = [
        "--served-model-name",
        "tiny",
        "--enable-prefix-caching",
        "--enable-prompt-tokens-details",
        "--block-size",
        "32",
    ];
    let start =
        Start { script: SCRIPT, name, args: &args, health: "/health", environment: &[("KV_GIB", "1")], port };
    Server::start(installation, &start)
}

fn client(program: &Path, urls: &[String], more: &[String]) -> Command {
    let mut client = Command::new(program);
    client.args(["--key", KEY, "--model", "tiny"]).stdin(Stdio::null());
    for url in urls {
        client.args(["--url", url]);
    }
    client.args(more);
    client
}

fn report(client: &mut Command) -> Outcome<Value> {
    parse(cargo::output(client)?.as_bytes())
}

fn parse(printed: &[u8]) -> Outcome<Value> {
    serde_json::from_slice(printed).map_err(|error| format!("the client printed no JSON: {error}"))
}

fn summary(report: &Value) -> String {
    let servers = report["servers"].as_array().into_iter().flatten();
    let parts = servers.map(|server| {
        let milliseconds = number(&server["median_seconds"]) * 1000.0;
        format!("{} calls, {} tokens, {milliseconds:.0} ms", server["calls"], server["prompt_tokens"])
    });
    let errors = report["errors"].as_array().filter(|errors| !errors.is_empty());
    format!(
        "{} calls in {:.1} s, {} lost; {} prompt tokens, {} of them cached: {:.1} % prefilled ({}){}",
        report["calls"],
        number(&report["seconds"]),
        report["lost"],
        report["prompt_tokens"],
        report["cached_tokens"],
        number(&report["prefill"]) * 100.0,
        parts.collect::<Vec<_>>().join("; "),
        errors.map(|errors| format!("\n{errors:?}")).unwrap_or_default(),
    )
}

/// The greatest of the servers by the least.
fn ratio(report: &Value, of: &str) -> f64 {
    let servers = report["servers"].as_array().into_iter().flatten();
    let (least, most) = servers
        .map(|server| number(&server[of]))
        .fold((f64::INFINITY, 0.0_f64), |(least, most), count| (least.min(count), most.max(count)));
    most / least
}

/// NaN where there is none, which is within no limit.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}
