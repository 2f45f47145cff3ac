//! Calls of cargo and other programs, and the folder where cargo puts what it builds.

use crate::outcome::Outcome;
use serde_json::Value;
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The cargo that runs this program, at the workspace's root.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Runs a command with our own input and output.
pub(crate) fn run(command: &mut Command) -> Outcome {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{} ended with {status}", name(command))),
        Err(error) => Err(format!("{} did not start: {error}", name(command))),
    }
}

/// Runs a command and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{} did not start: {error}", name(command)))?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", name(command), output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{} printed what is no text", name(command)))
}

/// Builds a program in release and says where it is.
pub(crate) fn build(package: &str, bin: &str) -> Outcome<PathBuf> {
    build_with(package, bin, &[])
}

/// The same with further arguments of cargo, such as features.
pub(crate) fn build_with(package: &str, bin: &str, more: &[&str]) -> Outcome<PathBuf> {
    let args = ["build", "--release", "--package", package, "--bin", bin, "--message-format"];
    let messages = output(cargo(&args).arg("json-render-diagnostics").args(more))?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == bin)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .ok_or_else(|| format!("cargo built {bin} and did not say where"))
}

/// The root file of every library, program, test and example of the workspace.
pub(crate) fn source_roots() -> Outcome<Vec<String>> {
    let metadata = output(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)
        .map_err(|error| format!("cargo metadata printed no JSON: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let targets = packages.flat_map(|package| package["targets"].as_array().into_iter().flatten());
    Ok(targets.filter_map(|target| target["src_path"].as_str().map(str::to_owned)).collect())
}

/// A command as a person would type it.
pub(crate) fn name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy();
    let args = command.get_args().map(|arg| match arg.to_string_lossy() {
        plain if plain.contains([' ', '"']) => format!("'{plain}'"),
        plain => plain.into_owned(),
    });
    [program.into_owned()].into_iter().chain(args).collect::<Vec<_>>().join(" ")
}
