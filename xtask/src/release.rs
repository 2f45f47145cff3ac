//! The check of a release tag against the version, the manifests and the changelog.

use crate::{
    cargo::{self, cargo, output, root},
    outcome::Outcome,
};
use serde_json::Value;
use std::fs;

/// `release-check vX.Y.Z`
pub(crate) fn check(args: &[String]) -> Outcome {
    let [tag] = args else { return Err("usage: cargo xtask release-check vX.Y.Z".to_owned()) };
    let version = tag.strip_prefix('v').ok_or("the tag is vX.Y.Z")?;
    let metadata = output(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)
        .map_err(|error| format!("cargo metadata printed no JSON: {error}"))?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        if package["version"] != version {
            return Err(format!("{} is {}, not {version}", package["name"], package["version"]));
        }
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let is_ours = dependency["path"].is_string() && dependency["kind"].is_null();
            let wanted = format!("^{version}");
            if is_ours && dependency["req"] != wanted.as_str() {
                return Err(format!(
                    "{} asks for {} {}",
                    package["name"], dependency["name"], dependency["req"]
                ));
            }
        }
    }
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).map_err(|error| error.to_string())?;
    let heading = |line: &str| line.starts_with("## ") && line.contains(version);
    if !changelog.lines().any(heading) {
        return Err(format!("CHANGELOG.md has no section for {version}"));
    }
    println!("{tag} agrees with the manifests and the changelog");
    cargo::run(&mut cargo(&["publish", "--workspace", "--dry-run"]))
}
