//! The crates depend on each other only as `ARCHITECTURE.md` says, and on few others.

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    process::Command,
};

/// Each crate, and those of ours that it may depend on. Dev-dependencies may go further.
const ARROWS: &[(&str, &[&str])] = &[
    ("oa-wire", &[]),
    ("oa-transport", &[]),
    ("oa-sim", &[]),
    ("oa-middleware", &["oa-wire"]),
    ("oa-provider", &["oa-wire", "oa-transport", "oa-middleware", "oa-sim"]),
    ("oa-tools", &["oa-wire", "oa-provider"]),
    ("oa-doctor", &["oa-wire", "oa-transport", "oa-provider"]),
    ("oa-cli", LIBRARIES),
    ("oa-conformance", LIBRARIES),
    ("oa-bench", LIBRARIES),
    ("oa-wasm", &["oa-wire"]),
    ("oa-examples", LIBRARIES),
    ("xtask", &[]),
];

/// The crates that others embed.
const LIBRARIES: &[&str] =
    &["oa-wire", "oa-transport", "oa-provider", "oa-middleware", "oa-tools", "oa-doctor", "oa-sim"];

#[test]
fn every_crate_has_its_place() {
    let packages: BTreeSet<_> = packages().iter().map(|package| text(package, "name").to_owned()).collect();
    let placed: BTreeSet<_> = ARROWS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(packages, placed);
}

#[test]
fn arrows_point_upward() {
    let packages = packages();
    let allowed: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for package in &packages {
        let name = text(package, "name");
        for dependency in list(package, "dependencies") {
            let (to, is_dev) = (text(dependency, "name"), dependency["kind"] == "dev");
            if allowed.contains_key(to) && !is_dev {
                assert!(allowed[name].contains(&to), "{name} must not depend on {to}");
            }
        }
    }
}

#[test]
fn the_wire_crate_has_no_io_and_at_most_18_crates() {
    for features in ["--no-default-features", "--all-features"] {
        let tree = tree("oa-wire", &[features]);
        for name in ["tokio", "hyper", "hyper-util", "tower", "tower-service", "rustls"] {
            assert!(!has(&tree, name), "oa-wire {features} depends on {name}");
        }
    }
    let bare = tree("oa-wire", &["--no-default-features"]);
    // The validator's hash maps bring a source of randomness; the crate itself has none.
    assert!(!has(&bare, "getrandom"), "oa-wire depends on getrandom");
    assert!(bare.len() <= 18, "oa-wire has {} crates: {bare:#?}", bare.len());
}

#[test]
fn the_provider_has_at_most_60_crates_beside_the_validators() {
    let tree = tree("oa-provider", &["--no-default-features", "--features", "tls"]);
    assert!(has(&tree, "rustls"), "the feature tls brings rustls");
    assert!(tree.len() <= 60, "oa-provider has {} crates: {tree:#?}", tree.len());
}

#[test]
fn the_middleware_cannot_reach_a_transport() {
    let tree = tree("oa-middleware", &["--all-features"]);
    for name in ["oa-transport", "oa-provider", "hyper", "hyper-util", "rustls"] {
        assert!(!has(&tree, name), "oa-middleware depends on {name}");
    }
}

#[test]
fn no_library_brings_a_second_http_client_or_tls() {
    for library in LIBRARIES {
        let tree = tree(library, &["--all-features"]);
        for name in ["reqwest", "native-tls", "openssl-sys", "aws-lc-rs"] {
            assert!(!has(&tree, name), "{library} depends on {name}");
        }
    }
}

/// The workspace's packages, as `cargo metadata` describes them.
pub(crate) fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata prints JSON");
    list(&metadata, "packages").to_vec()
}

/// A package and everything that it needs to run, as `name vX.Y.Z`. On one platform, so that the count is the
/// same wherever the test runs.
fn tree(package: &str, features: &[&str]) -> BTreeSet<String> {
    let args = ["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    let target = ["--target", "x86_64-unknown-linux-gnu"];
    let tree = cargo(&[&args[..], &target, features].concat());
    let crates = tree.lines().filter(|line| !line.is_empty());
    // What follows the version is a path, or `(proc-macro)`.
    crates.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

fn has(tree: &BTreeSet<String>, name: &str) -> bool {
    tree.iter().any(|line| line.split(' ').next() == Some(name))
}

fn cargo(args: &[&str]) -> String {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output = cargo.args(args).current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

pub(crate) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no `{name}` in {value}"))
}

pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("no `{name}` in {value}"))
}
