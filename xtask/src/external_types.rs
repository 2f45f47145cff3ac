//! The types of other crates that the libraries show in their public items, against those that they mean to.
//!
//! A version of such a crate is a part of the library's own: a new one that is not compatible breaks those
//! who use it.

use crate::{
    cargo::{self, cargo, root},
    outcome::{Outcome, Verdict},
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

/// Of each library, the crates whose types it shows on purpose. The standard library's and the workspace's
/// own need no mention.
const ALLOWED: [(&str, &[&str]); 7] = [
    ("oa-wire", &["bytes", "futures_core", "http", "schemars", "serde_core", "serde_json"]),
    ("oa-transport", &["bytes", "http", "http_body", "tower_service"]),
    (
        "oa-middleware",
        &[
            "futures_core",
            "opentelemetry",
            // Hidden items of its macro.
            "pin_project_lite",
            "tokio",
            "tower",
            "tower_layer",
            "tower_service",
            "tracing",
        ],
    ),
    ("oa-provider", &["tower_layer", "tower_service"]),
    ("oa-tools", &["schemars", "serde_core", "serde_json", "tower_layer", "tower_service"]),
    ("oa-doctor", &["serde_core"]),
    ("oa-sim", &["bytes", "serde_json"]),
];

const STANDARD: [&str; 3] = ["core", "alloc", "std"];

pub(crate) fn run() -> Outcome<Verdict> {
    let mut unexpected = Vec::new();
    for (library, allowed) in ALLOWED {
        for (of, types) in shown(library)? {
            let of = of.as_str();
            if !STANDARD.contains(&of) && !of.starts_with("oa_") && !allowed.contains(&of) {
                unexpected.push(format!("{library} shows types of {of}: {}", types.join(", ")));
            }
        }
    }
    if unexpected.is_empty() { Ok(Verdict::Passed) } else { Err(unexpected.join("\n")) }
}

/// The types of other crates in a library's public items, by crate. rustdoc writes the items as JSON, in a
/// form that is not stable yet.
fn shown(library: &str) -> Outcome<BTreeMap<String, Vec<String>>> {
    let mut rustdoc = cargo(&["rustdoc", "--quiet", "--lib", "--all-features", "--package", library]);
    rustdoc.args(["--", "-Zunstable-options", "--output-format", "json"]).env("RUSTC_BOOTSTRAP", "1");
    cargo::run(&mut rustdoc)?;
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let file = folder.join("doc").join(library.replace('-', "_")).with_extension("json");
    let fail = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
    let text = fs::read_to_string(&file).map_err(|error| fail(&error))?;
    let doc: Value = serde_json::from_str(&text).map_err(|error| fail(&error))?;
    let Some(items) = doc["index"].as_object() else { return Err(fail(&"there is no index")) };
    let mut types = BTreeMap::new();
    for item in items.values().filter(|item| item["crate_id"] == 0) {
        let implementation = &item["inner"]["impl"];
        let is_derived = implementation["is_synthetic"] == true || implementation["blanket_impl"].is_object();
        if !is_derived {
            collect(&item["inner"], &doc, &mut types);
        }
    }
    Ok(types)
}

/// Collects the paths that a part of an item names: objects with an id, a path and generic arguments.
fn collect(part: &Value, doc: &Value, types: &mut BTreeMap<String, Vec<String>>) {
    match part {
        Value::Object(members) => {
            if members.contains_key("path") && members.contains_key("args") {
                let path = &doc["paths"][part["id"].to_string()];
                let of = &doc["external_crates"][path["crate_id"].to_string()]["name"];
                if let (Some(of), Some(path)) = (of.as_str(), path["path"].as_array()) {
                    let path: Vec<&str> = path.iter().filter_map(Value::as_str).collect();
                    let (known, path) = (types.entry(of.to_owned()).or_default(), path.join("::"));
                    if !known.contains(&path) {
                        known.push(path);
                    }
                }
            }
            members.values().for_each(|value| collect(value, doc, types));
        }
        Value::Array(parts) => parts.iter().for_each(|value| collect(value, doc, types)),
        _ => {}
    }
}
