//! Two replicas under load for minutes, with cancellations, pauses and restarts: owns the servers; a program
//! over the libraries calls them, says when one is restarted, and judges.

use crate::{
    cargo,
    outcome::{Outcome, Verdict},
    piped::Piped,
    server::{Installation, KEY, LLAMA, Server, free_port},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

const USAGE: &str = "usage: cargo xtask soak [DIR --home HOME] [--minutes N] [--seed N]";

/// `soak [DIR --home HOME] [--minutes N] [--seed N]`
pub(crate) fn run(args: &[String]) -> Outcome {
    let mut installation = None;
    let mut more = Vec::new();
    let mut rest = args;
    loop {
        rest = match rest {
            [] => break,
            [flag, value, rest @ ..] if matches!(flag.as_str(), "--minutes" | "--seed") => {
                value.parse::<u64>().map_err(|_| format!("{flag} {value}: not a number"))?;
                more.extend([flag.clone(), value.clone()]);
                rest
            }
            [scripts, flag, home, rest @ ..] if flag == "--home" && installation.is_none() => {
                installation = Some(Installation::of(scripts, home, LLAMA)?);
                rest
            }
            _ => return Err(USAGE.to_owned()),
        };
    }
    if installation.is_some() && !args.iter().any(|arg| arg == "--minutes") {
        more.extend(["--minutes", "20"].map(str::to_owned));
    }
    match installation {
        Some(installation) => soak(&Servers::Real(installation), &more),
        None => soak(&Servers::Simulated(cargo::build("oa-conformance", "oa-live-sim")?), &more),
    }
}

/// The step of continuous integration: against simulators, if the system can say what leaks.
pub(crate) fn run_if_counted() -> Outcome<Verdict> {
    if !Path::new("/proc/self/fd").exists() {
        return Ok(Verdict::Skipped("no /proc, by which connections and memory are counted".to_owned()));
    }
    run(&[]).map(Verdict::from)
}

fn soak(servers: &Servers, args: &[String]) -> Outcome {
    let program = cargo::build("oa-conformance", "oa-live-soak")?;
    let mut replicas = [Some(servers.start(0, None)?), Some(servers.start(1, None)?)];
    let mut command = Command::new(program);
    for replica in replicas.iter().flatten() {
        command.args(["--url", &format!("http://127.0.0.1:{}", replica.port())]);
    }
    command.args(servers.client_args()).args(args);
    let mut client = Piped::start(&mut command)?;
    let mut ended = Counts::default();
    while let Some(line) = client.line()? {
        match *line.split(' ').collect::<Vec<_>>() {
            ["restart", server, signal, milliseconds] => {
                let server: usize = server.parse().map_err(|_| format!("no such server: {line}"))?;
                let down = milliseconds.parse().map_err(|_| format!("no such time: {line}"))?;
                let place = replicas.get_mut(server).ok_or_else(|| format!("no such server: {line}"))?;
                let port = place.as_ref().map(Replica::port);
                if let Some(mut replica) = place.take() {
                    // Its connections end with it.
                    ended.closed += replica.counts()?.unwrap_or_default().closed;
                    replica.end(signal == "kill")?;
                }
                thread::sleep(Duration::from_millis(down));
                *place = Some(servers.start(server, port)?);
                client.send("up")?;
            }
            ["counts"] => {
                let mut counts = Some(ended);
                for replica in replicas.iter_mut().flatten() {
                    counts = counts.zip(replica.counts()?).map(Counts::sum);
                }
                let line = counts.map(|counts| format!("{} {}", counts.open, counts.closed));
                client.send(&line.unwrap_or_default())?;
            }
            _ => println!("{line}"),
        }
    }
    client.end("the soak")
}

/// Where servers come from.
enum Servers {
    /// The program that is one.
    Simulated(PathBuf),
    Real(Installation),
}

impl Servers {
    fn start(&self, number: usize, port: Option<u16>) -> Outcome<Replica> {
        match self {
            Self::Simulated(program) => {
                let port = port.map_or_else(free_port, Ok)?;
                // One closes idle connections before the pool does, the other as servers usually do.
                let idle = ["1000", "5000"][number % 2];
                let mut command = Command::new(program);
                command.args(["--port", &port.to_string(), "--idle-ms", idle, "--token-ms", "5"]);
                command.args(["--close-every", "40"]);
                let mut piped = Piped::start(&mut command)?;
                match piped.line()? {
                    Some(up) if up == "up" => Ok(Replica::Simulator { piped, port }),
                    _ => Err(format!("the simulator did not start on port {port}")),
                }
            }
            Self::Real(installation) => {
                let name = ["soak-first", "soak-second"][number % 2];
                Server::start_llama(installation, name, 8, port).map(Replica::Real)
            }
        }
    }

    fn client_args(&self) -> &'static [&'static str] {
        match self {
            Self::Simulated(_) => &["--echo"],
            Self::Real(_) => &["--key", KEY],
        }
    }
}

/// A server that runs. Dropping it stops it.
enum Replica {
    Simulator { piped: Piped, port: u16 },
    Real(Server),
}

impl Replica {
    fn port(&self) -> u16 {
        match self {
            Self::Simulator { port, .. } => *port,
            Self::Real(server) => server.port,
        }
    }

    fn end(self, is_kill: bool) -> Outcome {
        match self {
            Self::Simulator { mut piped, .. } => {
                if is_kill {
                    piped.child.kill().map_err(|error| format!("the simulator: {error}"))?;
                } else {
                    cargo::run(Command::new("kill").args(["-TERM", &piped.child.id().to_string()]))?;
                }
                piped.child.wait().map(drop).map_err(|error| format!("the simulator: {error}"))
            }
            Self::Real(server) if is_kill => server.kill(),
            // Dropped, it is asked to end, and awaited.
            Self::Real(_) => Ok(()),
        }
    }

    /// Its own counts, if it has some.
    fn counts(&mut self) -> Outcome<Option<Counts>> {
        let Self::Simulator { piped, .. } = self else { return Ok(None) };
        piped.send("counts")?;
        let line = piped.line()?.unwrap_or_default();
        Ok(line.split_once(' ').and_then(|(open, closed)| {
            Some(Counts { open: open.parse().ok()?, closed: closed.parse().ok()? })
        }))
    }
}

/// What a simulator counts.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// Connections that are open.
    open: usize,
    /// Requests that met a connection which had just been closed.
    closed: usize,
}

impl Counts {
    fn sum((one, other): (Self, Self)) -> Self {
        Self { open: one.open + other.open, closed: one.closed + other.closed }
    }
}
