//! Starts a real server, uses the library with it, and stops it whatever happens.

use crate::{
    cargo,
    outcome::Outcome,
    server::{Installation, KEY, Server, Start, existing},
};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// `live DIR --server NAME ...`
pub(crate) fn run(args: &[String]) -> Outcome {
    let options = Options::parse(args)?;
    let oa = cargo::build("oa-cli", "oa")?;
    let adapter = options.judge.as_ref().map(|_| cargo::build("oa-conformance", "oa-conformance-adapter"));
    let adapter = adapter.transpose()?;

    let upstream = match options.server {
        Kind::LiteLlm => Some(start(&options, options.upstream, None)?),
        Kind::Vllm | Kind::LlamaCpp => None,
    };
    let server = start(&options, options.server, upstream.as_ref())?;
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
    installation: Installation,
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
        let home = home.ok_or("where is the server's installation? --home HOME")?;
        Ok(Self { installation: Installation { scripts, home }, server, upstream, judge, judge_args })
    }
}

fn start(options: &Options, kind: Kind, upstream: Option<&Server>) -> Outcome<Server> {
    let base = upstream.map(|upstream| format!("{}/v1", upstream.url()));
    let base = base.as_deref().map(|base| [("VLLM_BASE", base), ("LLAMA_BASE", base), ("VLLM_KEY", KEY)]);
    Server::start(
        &options.installation,
        &Start {
            script: kind.script(),
            name: kind.name(),
            args: kind.args(),
            health: kind.health(),
            environment: base.as_ref().map_or(&[], |base| base),
            port: None,
        },
    )
}
