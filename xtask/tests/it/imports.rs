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
        "crates/oa-provider/src/layered.rs",
        "crates/oa-provider/src/provider.rs",
        "what `layer` makes, and its trait",
    ),
    (
        "crates/oa-provider/src/provider.rs",
        "crates/oa-provider/src/provider_service.rs",
        "what `service` makes, and its trait",
    ),
    (
        "crates/oa-transport/src/builder.rs",
        "crates/oa-transport/src/client.rs",
        "a builder and what it builds",
    ),
    (
        "crates/oa-transport/src/connect/stream.rs",
        "crates/oa-transport/src/tls/peek.rs",
        "a stream and its TLS",
    ),
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
            if let Some(pair) =
                PAIRS.iter().find(|(first, second, _)| [*first, *second] == sorted(&one, &other))
            {
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

fn sorted<'a>(one: &'a str, other: &'a str) -> [&'a str; 2] {
    let mut pair = [one, other];
    pair.sort_unstable();
    pair
}

/// The files outside of a mapping's folder that may name it, and why.
const REGISTRATIONS: &[(&str, &str)] = &[];

/// A further mapping of the wire must be possible without touching the others.
#[test]
fn only_the_registration_names_a_mapping() {
    let mut found = BTreeSet::new();
    for (package, root) in roots() {
        let sources = Sources::read(&root);
        let mut names = BTreeSet::new();
        for arrow in sources.arrows() {
            names.insert((short(&arrow.from), short(&arrow.to)));
        }
        for mapping in ["openai", "anthropic"] {
            let folder = format!("crates/oa-wire/src/{mapping}");
            let is_in = |file: &str| file.starts_with(&folder);
            let into = names.iter().filter(|(from, to)| is_in(to) && !is_in(from));
            let inside = into.map(|(from, _)| from.clone());
            let neutral = ["oa-middleware", "oa-tools"].contains(&package.as_str());
            let name = format!("::{mapping}");
            let foreign = sources.foreign().into_iter().filter(|(_, path)| path.contains(&name));
            let outside = foreign.filter(|_| neutral).map(|(from, _)| short(&from));
            found.extend(inside.chain(outside).filter(|from| from != "crates/oa-wire/src/lib.rs"));
        }
    }
    found.retain(|from| REGISTRATIONS.iter().all(|(file, _)| file != from));
    assert!(found.is_empty(), "these name a mapping:\n{}", join(found));
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
