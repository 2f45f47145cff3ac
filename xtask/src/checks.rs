//! Checks beyond the tests: dependencies, features, versions, spelling. Some need a tool, which is installed
//! on request.

use crate::{
    cargo::{self, cargo, output, root},
    external_types,
    outcome::{Outcome, Verdict},
    toolchain::{Toolchain, is_there},
    wasm,
};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// One check. `cargo xtask checks NAME` runs it alone.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// The program that it needs, and the package that has it.
    pub(crate) tool: Option<(&'static str, &'static str)>,
    pub(crate) run: fn() -> Outcome<Verdict>,
    /// Whether it is one of the steps of `ci` too, where its tool is there.
    pub(crate) in_ci: bool,
}

pub(crate) const CHECKS: &[Check] = &[
    Check { name: "spelling", tool: Some(("typos", "typos-cli")), run: spelling, in_ci: true },
    Check { name: "unused", tool: Some(("cargo-machete", "cargo-machete")), run: unused, in_ci: true },
    Check { name: "deny", tool: Some(("cargo-deny", "cargo-deny")), run: deny, in_ci: true },
    Check { name: "features", tool: Some(("cargo-hack", "cargo-hack")), run: features, in_ci: false },
    Check {
        name: "semver",
        tool: Some(("cargo-semver-checks", "cargo-semver-checks")),
        run: semver,
        in_ci: true,
    },
    Check { name: "minimum", tool: None, run: minimum, in_ci: false },
    Check { name: "wasm", tool: None, run: wasm::run, in_ci: true },
    Check { name: "platforms", tool: None, run: platforms, in_ci: true },
    Check { name: "documentation", tool: None, run: documentation, in_ci: false },
    Check { name: "external-types", tool: None, run: external_types::run, in_ci: false },
    Check { name: "minimal-versions", tool: None, run: minimal_versions, in_ci: false },
];

/// `checks [NAME ...]`: installs what is missing, runs all of them, and says at the end which failed.
pub(crate) fn run(names: &[String]) -> Outcome {
    if let Some(unknown) = names.iter().find(|name| CHECKS.iter().all(|check| check.name != *name)) {
        let known: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        return Err(format!("no such check: {unknown}; there are {}", known.join(", ")));
    }
    let (mut passed, mut skipped, mut failed) = (0, 0, Vec::new());
    for check in CHECKS.iter().filter(|check| names.is_empty() || names.iter().any(|name| name == check.name))
    {
        println!("\n==> {}", check.name);
        match install(check).and_then(|()| (check.run)()) {
            Ok(Verdict::Passed) => passed += 1,
            Ok(Verdict::Skipped(why)) => {
                println!("==> skipped: {why}");
                skipped += 1;
            }
            Err(why) => {
                println!("==> failed: {why}");
                failed.push(check.name);
            }
        }
    }
    println!("\nchecks: {passed} passed, {} failed, {skipped} skipped", failed.len());
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

impl Check {
    /// Runs it where its tool is there.
    pub(crate) fn run_if_there(&self) -> Outcome<Verdict> {
        match self.tool {
            Some((program, _)) if !is_there(program) => Ok(Verdict::Skipped(format!(
                "{program} is not installed; `cargo xtask checks {}` installs and runs it",
                self.name
            ))),
            _ => (self.run)(),
        }
    }
}

fn install(check: &Check) -> Outcome {
    match check.tool {
        Some((program, package)) if !is_there(program) => {
            cargo::run(&mut cargo(&["install", "--locked", "--quiet", package]))
        }
        _ => Ok(()),
    }
}

fn spelling() -> Outcome<Verdict> {
    cargo::run(Command::new("typos").current_dir(root())).map(Verdict::from)
}

fn unused() -> Outcome<Verdict> {
    // By its own name: as `cargo machete` it takes the variables of a running task for those of a build.
    cargo::run(Command::new("cargo-machete").current_dir(root())).map(Verdict::from)
}

fn deny() -> Outcome<Verdict> {
    cargo::run(&mut cargo(&["deny", "check", "bans", "licenses", "sources"]))?;
    // The list of advisories is fetched; where that is impossible, a copy from before will do.
    let fetched = cargo(&["deny", "fetch", "db"]).stderr(Stdio::null()).status();
    let is_fetched = fetched.is_ok_and(|status| status.success());
    if is_fetched {
        return cargo::run(&mut cargo(&["deny", "check", "advisories"])).map(Verdict::from);
    }
    if has_advisories() {
        return cargo::run(&mut cargo(&["deny", "--offline", "check", "advisories"])).map(Verdict::from);
    }
    println!("no list of advisories: it could not be fetched, and there is no copy");
    Ok(Verdict::Passed)
}

/// Whether there is a copy of the list. A fetch that failed leaves the folder without one.
fn has_advisories() -> bool {
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo/advisory-dbs"));
    let entries = home.and_then(|folder| fs::read_dir(folder).ok());
    entries.is_some_and(|entries| entries.flatten().any(|entry| entry.path().join(".git").exists()))
}

/// Every combination of two features compiles, of each crate alone.
fn features() -> Outcome<Verdict> {
    let args =
        ["hack", "check", "--workspace", "--feature-powerset", "--depth", "2", "--no-dev-deps", "--quiet"];
    // It rewrites the manifests while it runs, so it works on a copy.
    let copy = copy("features")?;
    let mut hack = cargo(&args);
    cargo::run(hack.current_dir(&copy).env("CARGO_TARGET_DIR", copy.join("target"))).map(Verdict::from)
}

fn semver() -> Outcome<Verdict> {
    let mut describe = Command::new("git");
    describe.args(["describe", "--tags", "--abbrev=0", "--match", "v*"]).current_dir(root());
    let Ok(tag) = output(describe.stderr(Stdio::null())) else {
        return Ok(Verdict::Skipped("there is no tag yet to compare with".to_owned()));
    };
    let args = ["semver-checks", "--workspace", "--baseline-rev", tag.trim()];
    cargo::run(&mut cargo(&args)).map(Verdict::from)
}

/// The compiler of the minimum version takes the crates. Their tests may need a newer one: the certificates
/// that they make use `time`, whose versions for 1.85 have a known vulnerability (RUSTSEC-2026-0009).
fn minimum() -> Outcome<Verdict> {
    match Toolchain::find(Some("1.85"), false) {
        Ok(toolchain) => {
            cargo::run(&mut toolchain.cargo(&["check", "--quiet", "--workspace"])).map(Verdict::from)
        }
        Err(why) => Ok(Verdict::Skipped(why)),
    }
}

/// The libraries compile for Windows and macOS. Their standard libraries are built from source. TLS is left
/// out: its C code needs the platform's own headers, which the public workflow has.
fn platforms() -> Outcome<Verdict> {
    const LIBRARIES: [&str; 7] =
        ["oa-wire", "oa-transport", "oa-provider", "oa-middleware", "oa-tools", "oa-doctor", "oa-sim"];
    let toolchain = match Toolchain::find(None, true) {
        Ok(toolchain) => toolchain,
        Err(why) => return Ok(Verdict::Skipped(why)),
    };
    for (target, needed) in
        [("aarch64-apple-darwin", None), ("x86_64-pc-windows-gnu", Some("x86_64-w64-mingw32-dlltool"))]
    {
        if let Some(program) = needed.filter(|program| !is_there(program)) {
            println!("{target} is left out: there is no {program}");
            continue;
        }
        let mut check = toolchain.cargo(&["check", "--quiet", "--lib", "--no-default-features"]);
        check.args(["--target", target, "-Zbuild-std=std,panic_abort"]);
        check.args(LIBRARIES.iter().flat_map(|library| ["--package", library]));
        check.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-D warnings");
        cargo::run(&mut check)?;
    }
    Ok(Verdict::Passed)
}

/// The documentation as it is rendered for the public, with all features and what each item needs.
fn documentation() -> Outcome<Verdict> {
    let mut doc =
        cargo(&["doc", "--workspace", "--all-features", "--no-deps", "--target-dir", "target/docs"]);
    doc.env("RUSTC_BOOTSTRAP", "1").env("RUSTDOCFLAGS", "--cfg docsrs -D warnings");
    cargo::run(&mut doc).map(Verdict::from)
}

/// The libraries compile with the oldest versions that their manifests allow.
fn minimal_versions() -> Outcome<Verdict> {
    let copy = copy("minimal-versions")?;
    let mut resolve = cargo(&["update", "--quiet", "-Zdirect-minimal-versions"]);
    cargo::run(resolve.current_dir(&copy).env("RUSTC_BOOTSTRAP", "1"))?;
    let mut check = cargo(&["check", "--quiet", "--workspace", "--lib"]);
    cargo::run(check.current_dir(&copy).env("CARGO_TARGET_DIR", copy.join("target"))).map(Verdict::from)
}

/// The repository's files, in a folder below the target folder.
fn copy(name: &str) -> Outcome<std::path::PathBuf> {
    let folder = root().join("target/copies").join(name);
    let files = output(Command::new("git").args(["ls-files", "-z"]).current_dir(root()))?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (root().join(file), folder.join(file));
        let fail = |error: std::io::Error| format!("{}: {error}", to.display());
        fs::create_dir_all(to.parent().unwrap_or(&folder)).map_err(fail)?;
        if from.is_file() {
            fs::copy(&from, &to).map_err(fail)?;
        }
    }
    Ok(folder)
}
