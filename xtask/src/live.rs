//! Starts a real server, uses the library with it, and stops it whatever happens.

use crate::{cargo, outcome::Outcome};
use std::{
    env, fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The key that the servers are started with. It opens nothing else.
const KEY: &str = "sk-test-key";

/// `live DIR --server NAME ...`
pub(crate) fn run(args: &[String]) -> Outcome {
    let options = Options::parse(args)?;
    let oa = cargo::build("oa-cli", "oa")?;
    let adapter = options.judge.as_ref().map(|_| cargo::build("oa-conformance", "oa-conformance-adapter"));
    let adapter = adapter.transpose()?;

    let upstream = match options.server {
        Kind::LiteLlm => Some(Server::start(&options, options.upstream, None)?),
        Kind::Vllm | Kind::LlamaCpp => None,
    };
    let server = Server::start(&options, options.server, upstream.as_ref())?;
    let model = match (options.server, options.upstream) {
        (Kind::LiteLlm, Kind::Vllm) => "vllm",
        (Kind::LiteLlm, _) => "llamacpp",
        _ => "tiny",
    };

    let mut checks: Vec<Command> = [&["ready"][..], &["models"], &["chat", "Say hello"]]
        .into_iter()
        .map(|args| {
            let mut check = Command::new(&oa);
            check.args(args).stdin(Stdio::null());
            check.env("OA_BASE_URL", server.url()).env("OA_MODEL", model).env("OA_API_KEY", KEY);
            check
        })
        .collect();
    if options.server != Kind::LiteLlm {
        let mut check = Command::new(cargo::build("oa-conformance", "oa-live-messages")?);
        check.args(["--base-url", &server.url(), "--key", KEY, "--model", model]);
        checks.push(check);
    }
    if let (Some(judge), Some(adapter)) = (&options.judge, &adapter) {
        let mut check = Command::new("python3");
        check.arg(judge).arg("--adapter").arg(adapter).args(["--server", options.server.name()]);
        check.args(["--base-url", &server.url(), "--key", KEY, "--model", model]).args(&options.judge_args);
        checks.push(check);
    }

    let mut failed = 0;
    for check in &mut checks {
        println!("\n==> {}", cargo::name(check));
        if let Err(why) = cargo::run(check) {
            println!("==> {why}");
            failed += 1;
        }
    }
    println!("\nlive, {}: {} passed, {failed} failed", options.server.name(), checks.len() - failed);
    if failed == 0 { Ok(()) } else { Err(format!("see above, and {}", server.log.display())) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vllm,
    LiteLlm,
    LlamaCpp,
}

impl Kind {
    fn parse(name: &str) -> Outcome<Self> {
        match name {
            "vllm" => Ok(Self::Vllm),
            "litellm" => Ok(Self::LiteLlm),
            "llama" => Ok(Self::LlamaCpp),
            _ => Err(format!("no such server: {name}; there are vllm, litellm and llama")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::LiteLlm => "litellm",
            Self::LlamaCpp => "llama",
        }
    }

    fn script(self) -> &'static str {
        match self {
            Self::Vllm => "start-vllm.sh",
            Self::LiteLlm => "start-litellm.sh",
            Self::LlamaCpp => "start-llama-server.sh",
        }
    }

    fn args(self) -> &'static [&'static str] {
        match self {
            Self::Vllm => {
                &["--served-model-name", "tiny", "--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
            }
            Self::LiteLlm => &[],
            Self::LlamaCpp => {
                &["--jinja", "-a", "tiny", "--chat-template-kwargs", "{\"enable_thinking\":false}"]
            }
        }
    }

    /// What answers 200 once the server is up, and needs no key.
    fn health(self) -> &'static str {
        match self {
            Self::LiteLlm => "/health/readiness",
            Self::Vllm | Self::LlamaCpp => "/health",
        }
    }
}

struct Options {
    scripts: PathBuf,
    home: PathBuf,
    server: Kind,
    upstream: Kind,
    judge: Option<PathBuf>,
    judge_args: Vec<String>,
}

impl Options {
    fn parse(args: &[String]) -> Outcome<Self> {
        let (mut scripts, mut home, mut server, mut judge) = (None, None, None, None);
        let (mut upstream, mut judge_args) = (Kind::LlamaCpp, Vec::new());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--server" => server = Some(Kind::parse(value()?)?),
                "--upstream" => upstream = Kind::parse(value()?)?,
                "--home" => home = Some(existing(value()?)?),
                "--judge" => judge = Some(existing(value()?)?),
                "--" => judge_args = args.by_ref().cloned().collect(),
                folder if scripts.is_none() && !folder.starts_with('-') => scripts = Some(existing(folder)?),
                _ => return Err(format!("unexpected argument: {arg}")),
            }
        }
        if upstream == Kind::LiteLlm {
            return Err("--upstream is vllm or llama".to_owned());
        }
        let scripts: PathBuf = scripts.ok_or("which folder has the start scripts?")?;
        let server: Kind = server.ok_or("which server? --server vllm, litellm or llama")?;
        for script in [server.script(), "stop.sh"] {
            existing(&scripts.join(script).to_string_lossy())?;
        }
        Ok(Self {
            scripts,
            home: home.ok_or("where is the server's installation? --home HOME")?,
            server,
            upstream,
            judge,
            judge_args,
        })
    }
}

fn existing(path: &str) -> Outcome<PathBuf> {
    fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))
}

/// A server that runs. Dropping it stops it.
struct Server {
    port: u16,
    log: PathBuf,
    _stop: StopWhenDropped,
}

impl Server {
    fn start(options: &Options, kind: Kind, upstream: Option<&Self>) -> Outcome<Self> {
        let port = free_port()?;
        let log = options.home.join(format!("live-{}.log", kind.name()));
        println!("==> {} on port {port}, log {}", kind.script(), log.display());

        let mut script = Command::new(options.scripts.join(kind.script()));
        script.args(kind.args()).current_dir(&options.home).stdin(Stdio::null());
        script.env("PORT", port.to_string()).env("LOG", &log).env("API_KEY", KEY);
        // Without it the script returns when the server is up, and nobody could stop it until then.
        script.env("NOWAIT", "1");
        if let Some(upstream) = upstream {
            let base = format!("{}/v1", upstream.url());
            script.env("VLLM_BASE", &base).env("LLAMA_BASE", &base).env("VLLM_KEY", KEY);
        }
        let printed = cargo::output(&mut script)?;
        let pid: u32 = printed
            .trim()
            .parse()
            .map_err(|_| format!("{} printed `{}` and no pid", kind.script(), printed.trim()))?;
        let server = Self { port, log, _stop: StopWhenDropped::new(&options.scripts.join("stop.sh"), pid)? };
        server.wait_until_up(kind, pid)?;
        Ok(server)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn wait_until_up(&self, kind: Kind, pid: u32) -> Outcome {
        let (start, limit) = (Instant::now(), Duration::from_secs(300));
        while !self.is_up(kind.health()) {
            let alive = Command::new("kill").args(["-0", &pid.to_string()]).stderr(Stdio::null()).status();
            let why = match alive {
                Ok(status) if !status.success() => "has ended",
                _ if start.elapsed() > limit => "is not up after 300 s",
                _ => {
                    thread::sleep(Duration::from_millis(250));
                    continue;
                }
            };
            return Err(format!("{} {why}; the end of its log:\n{}", kind.name(), self.log_tail()));
        }
        println!("==> up after {:.1} s", start.elapsed().as_secs_f64());
        Ok(())
    }

    fn is_up(&self, path: &str) -> bool {
        let ask = || -> std::io::Result<bool> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
            let mut status = [0; 12];
            stream.read_exact(&mut status)?;
            Ok(&status == b"HTTP/1.1 200")
        };
        ask().unwrap_or(false)
    }

    fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// A helper process that waits for its input to end and then stops a server. The input is a pipe that only
/// this program holds: it ends when this value is dropped, and also when the program is interrupted or
/// killed.
struct StopWhenDropped(Child);

impl StopWhenDropped {
    fn new(stop: &Path, pid: u32) -> Outcome<Self> {
        let mut helper = Command::new("sh");
        helper.args(["-c", "cat >/dev/null; exec \"$0\" \"$1\""]).arg(stop).arg(pid.to_string());
        // A group of its own: Ctrl-C on the terminal shall not end it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut helper, 0);
        helper.current_dir(env::temp_dir());
        let helper = helper.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
        helper
            .map(Self)
            .map_err(|error| format!("cannot watch over the server, pid {pid}: {error}; stop it yourself"))
    }
}

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            eprintln!("xtask: the server may still run: {error}");
        }
    }
}

fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}
