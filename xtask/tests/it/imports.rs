//! Within a crate, no two files import each other.

use crate::{
    arrows::{packages, text},
    sources::Sources,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Two files that may import each other, and why.
const PAIRS: &[(&str, &str, &str)] = &[
    (
        "crates/oa-transport/src/builder.rs",
        "crates/oa-transport/src/client.rs",
        "a builder and what it builds",
    ),
    ("crates/oa-transport/src/connect/stream.rs", "crates/oa-transport/src/tls/peek.rs", "TLS inside of TLS"),
];

#[test]
fn no_two_files_import_each_other() {
    let mut found = BTreeMap::new();
    let mut used = BTreeSet::new();
    for (_, root) in roots() {
        let arrows = Sources::read(&root).arrows();
        for arrow in &arrows {
            let back = arrows.iter().find(|back| back.from == arrow.to && back.to == arrow.from);
            let Some(back) = back.filter(|_| arrow.from < arrow.to) else { continue };
            let (one, other) = (short(&arrow.from), short(&arrow.to));
            if let Some(pair) = PAIRS.iter().find(|(first, second, _)| *first == one && *second == other) {
                used.insert(pair);
            } else {
                let line = format!("{one} names {}, {other} names {}", arrow.path, back.path);
                found.entry((one, other)).or_insert(line);
            }
        }
    }
    assert!(found.is_empty(), "files that import each other:\n{}", join(found.into_values().collect()));
    let unused: Vec<_> = PAIRS.iter().filter(|pair| !used.contains(pair)).collect();
    assert!(unused.is_empty(), "these no longer import each other: {unused:#?}");
}

/// The root file of every library and program, with the name of its package.
pub(crate) fn roots() -> Vec<(String, PathBuf)> {
    let mut roots = Vec::new();
    for package in packages() {
        let name = text(&package, "name").to_owned();
        for target in package["targets"].as_array().into_iter().flatten() {
            let kind = target["kind"][0].as_str().unwrap_or_default();
            if ["lib", "bin"].contains(&kind) {
                roots.push((name.clone(), PathBuf::from(text(target, "src_path"))));
            }
        }
    }
    roots
}

/// A path as it is written from the workspace's root.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

pub(crate) fn join(lines: BTreeSet<String>) -> String {
    lines.into_iter().collect::<Vec<_>>().join("\n")
}
