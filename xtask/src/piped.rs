//! A program that is spoken to by lines.

use crate::{cargo, outcome::Outcome};
use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// It ends when its input ends: also when this program is killed.
pub(crate) struct Piped {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Piped {
    pub(crate) fn start(command: &mut Command) -> Outcome<Self> {
        let name = cargo::name(command);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("{name} did not start: {error}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or("a program without output")?;
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    pub(crate) fn send(&mut self, line: &str) -> Outcome {
        let input = self.input.as_mut().ok_or("a program without input")?;
        writeln!(input, "{line}").map_err(|error| format!("a program that is gone: {error}"))
    }

    /// None at the end.
    pub(crate) fn line(&mut self) -> Outcome<Option<String>> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).map_err(|error| format!("no line: {error}"))?;
        Ok((read > 0).then(|| line.trim_end().to_owned()))
    }

    /// Waits for its end, and whether it was content.
    pub(crate) fn end(mut self, what: &str) -> Outcome {
        let status = self.child.wait().map_err(|error| format!("{what}: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("{what} failed ({status}): see above")) }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
