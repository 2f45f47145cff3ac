//! Builds the wire crate for WebAssembly and has Node drive whole exchanges with `fetch`.

use crate::{
    cargo::{self, cargo, root},
    outcome::{Outcome, Verdict},
    toolchain::{Toolchain, is_there, lld},
};
use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const TARGET: &str = "wasm32-unknown-unknown";

pub(crate) fn run() -> Outcome<Verdict> {
    if !is_there("node") {
        return Ok(Verdict::Skipped("there is no node".to_owned()));
    }
    let args = ["build", "--release", "--package", "oa-wasm", "--target", TARGET];
    let built = if has_target() {
        cargo::run(&mut cargo(&args))?;
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
    } else {
        // Without the target, its standard library is built from source, which needs an unstable flag.
        let toolchain = match Toolchain::find(None, true) {
            Ok(toolchain) => toolchain,
            Err(why) => return Ok(Verdict::Skipped(format!("rustup target add {TARGET}; {why}"))),
        };
        let Some(lld) = lld() else {
            return Ok(Verdict::Skipped("there is no rust-lld".to_owned()));
        };
        let mut command = toolchain.cargo(&args);
        command.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1");
        cargo::run(command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", lld))?;
        toolchain.built()
    };
    let module = built.join(TARGET).join("release/oa_wasm.wasm");
    let test = root().join("crates/oa-wasm/exchange.test.mjs");
    cargo::run(Command::new("node").arg(test).arg(module)).map(Verdict::from)
}

fn has_target() -> bool {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--print", "target-libdir", "--target", TARGET]).stderr(Stdio::null());
    cargo::output(&mut rustc).is_ok_and(|folder| Path::new(folder.trim()).is_dir())
}
