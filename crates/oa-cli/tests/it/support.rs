//! Helpers of the tests: running the command, and answers of a server.

use oa_sim::{Answer, Sim};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// What a finished command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Its standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The lines of its standard output as JSON.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(line).collect()
    }
}

/// The command with nothing on its standard input, and none of the variables that matter to it.
pub(crate) fn oa<'a>(args: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oa"));
    command.args(args).stdin(Stdio::null());
    for name in ["OA_BASE_URL", "OA_MODEL", "OA_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY"] {
        command.env_remove(name);
    }
    for name in
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NO_COLOR"]
    {
        command.env_remove(name);
    }
    command
}

/// `oa COMMAND` at this simulator.
pub(crate) fn oa_at<'a>(sim: &Sim, args: impl IntoIterator<Item = &'a str>) -> Command {
    let args: Vec<&str> = args.into_iter().collect();
    let mut command = oa(args.iter().copied());
    // A test of a failure does not wait for retries, unless it is about them.
    if args.first() == Some(&"chat") && !args.contains(&"--retries") {
        command.args(["--retries", "0"]);
    }
    command.env("OA_BASE_URL", sim.base_url()).env("OA_MODEL", "oa-sim");
    command
}

/// Runs it to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    ran(command.output().unwrap())
}

/// Runs it to its end with this on its standard input.
pub(crate) fn run_with(command: &mut Command, input: &str) -> Ran {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ran(child.wait_with_output().unwrap())
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A simulator with all defaults.
pub(crate) fn sim() -> Sim {
    Sim::start_blocking().unwrap()
}

/// A simulator that gives this answer, always.
pub(crate) fn answering(answer: Answer) -> Sim {
    Sim::builder().script([answer.forever()]).start_blocking().unwrap()
}

/// A whole completion of this message.
pub(crate) fn completion(message: &Value, finish_reason: &str) -> Answer {
    Answer::json(
        200,
        json!({
            "id": "chatcmpl-1", "object": "chat.completion", "model": "the-model",
            "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        }),
    )
}

/// A chunk of a stream with this text.
pub(crate) fn chunk(content: &str) -> String {
    let chunk =
        json!({"id": "c", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": null}]});
    format!("data: {chunk}\n\n")
}

/// A file that is removed with this value.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, bytes: impl AsRef<[u8]>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("oa-cli-test-{}-{count}-{name}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
