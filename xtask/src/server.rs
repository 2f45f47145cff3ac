//! A real server that runs for a while: started by a script, stopped whatever happens.

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
pub(crate) const KEY: &str = "sk-test-key";

/// The script that starts a llama.cpp.
pub(crate) const LLAMA: &str = "start-llama-server.sh";

/// Where the scripts are that start servers, and where the servers are installed.
pub(crate) struct Installation {
    pub(crate) scripts: PathBuf,
    pub(crate) home: PathBuf,
}

impl Installation {
    /// Of these folders, with the script that is needed.
    pub(crate) fn of(scripts: &str, home: &str, script: &str) -> Outcome<Self> {
        let installation = Self { scripts: existing(scripts)?, home: existing(home)? };
        existing(&installation.scripts.join(script).to_string_lossy())?;
        Ok(installation)
    }
}

/// The path, if there is something.
pub(crate) fn existing(path: &str) -> Outcome<PathBuf> {
    fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))
}

/// A server to start.
pub(crate) struct Start<'a> {
    pub(crate) script: &'a str,
    /// For its log.
    pub(crate) name: &'a str,
    pub(crate) args: &'a [&'a str],
    /// What answers 200 once it is up, and needs no key.
    pub(crate) health: &'a str,
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// None: a free one.
    pub(crate) port: Option<u16>,
}

/// A server that runs. Dropping it stops it.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) log: PathBuf,
    pid: u32,
    _stop: StopWhenDropped,
}

impl Server {
    pub(crate) fn start(installation: &Installation, start: &Start<'_>) -> Outcome<Self> {
        let port = start.port.map_or_else(free_port, Ok)?;
        let log = installation.home.join(format!("live-{}.log", start.name));
        println!("==> {} on port {port}, log {}", start.script, log.display());

        let mut script = Command::new(installation.scripts.join(start.script));
        script.args(start.args).current_dir(&installation.home).stdin(Stdio::null());
        script.envs(start.environment.iter().copied());
        script.env("PORT", port.to_string()).env("LOG", &log).env("API_KEY", KEY);
        // Without it the script returns when the server is up, and nobody could stop it until then.
        script.env("NOWAIT", "1");
        let printed = cargo::output(&mut script)?;
        let pid: u32 = printed
            .trim()
            .parse()
            .map_err(|_| format!("{} printed `{}` and no pid", start.script, printed.trim()))?;
        let stop = StopWhenDropped::new(&installation.scripts.join("stop.sh"), pid)?;
        let server = Self { port, log, pid, _stop: stop };
        server.wait_until_up(start)?;
        Ok(server)
    }

    /// A llama.cpp that answers so many calls at once. Where more wait, it may leave one waiting for seconds.
    pub(crate) fn start_llama(
        installation: &Installation,
        name: &str,
        slots: u32,
        port: Option<u16>,
    ) -> Outcome<Self> {
        let slots = slots.to_string();
        let environment = [("SLOTS", slots.as_str()), ("CTX", "4096")];
        let start =
            Start { script: LLAMA, name, args: &[], health: "/health", environment: &environment, port };
        Self::start(installation, &start)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it with all its processes, as a machine that goes down does.
    pub(crate) fn kill(self) -> Outcome {
        self.signal("KILL")
    }

    /// Stops all its processes where they are, as a machine that hangs does, until they are continued.
    pub(crate) fn freeze(&self) -> Outcome<Frozen<'_>> {
        self.signal("STOP").map(|()| Frozen(self))
    }

    fn signal(&self, signal: &str) -> Outcome {
        // The scripts give each server a process group of its own.
        let group = format!("-{}", self.pid);
        cargo::run(Command::new("kill").args([&format!("-{signal}"), "--", &group]))
    }

    fn wait_until_up(&self, started: &Start<'_>) -> Outcome {
        let (start, limit) = (Instant::now(), Duration::from_secs(300));
        while !self.is_up(started.health) {
            let alive =
                Command::new("kill").args(["-0", &self.pid.to_string()]).stderr(Stdio::null()).status();
            let why = match alive {
                Ok(status) if !status.success() => "has ended",
                _ if start.elapsed() > limit => "is not up after 300 s",
                _ => {
                    thread::sleep(Duration::from_millis(250));
                    continue;
                }
            };
            return Err(format!("{} {why}; the end of its log:\n{}", started.name, self.log_tail()));
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

/// A server that is stopped. It goes on when this is dropped: a stopped process cannot be asked to end.
pub(crate) struct Frozen<'a>(&'a Server);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.signal("CONT") {
            eprintln!("xtask: the server is still stopped: {error}");
        }
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

pub(crate) fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}
