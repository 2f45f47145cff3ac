//! The published packages: complete manifests, and no index that lags behind its folder.

use crate::{
    arrows::{list, packages, text},
    imports::root,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn every_published_manifest_is_complete() {
    for package in packages().iter().filter(|package| package["publish"].is_null()) {
        let name = text(package, "name");
        for field in ["description", "license", "readme", "rust_version"] {
            assert!(package[field].is_string(), "{name} has no {field}");
        }
        for field in ["keywords", "categories"] {
            assert!((1..=5).contains(&list(package, field).len()), "{name}: {field}");
        }
        let is_library = list(package, "targets").iter().any(|target| target["kind"][0] == "lib");
        if is_library {
            let rendered = format!("https://docs.rs/{name}");
            assert_eq!(package["documentation"], Value::from(rendered), "{name}");
            assert_eq!(package["metadata"]["docs"]["rs"]["all-features"], true, "{name}");
        }
        let manifest = fs::read_to_string(text(package, "manifest_path")).expect("the manifest can be read");
        let include = "include = [\"src/**\", \"README.md\"]";
        assert!(manifest.contains(include), "{name} would ship its tests: no {include}");
    }
}

#[test]
fn every_feature_is_in_its_readme() {
    for package in packages().iter().filter(|package| package["publish"].is_null()) {
        let folder = Path::new(text(package, "manifest_path")).parent().expect("a manifest is in a folder");
        let readme = fs::read_to_string(folder.join("README.md")).expect("the README can be read");
        for feature in package["features"].as_object().into_iter().flatten().map(|(name, _)| name) {
            let row = format!("| `{feature}` |");
            assert!(feature == "default" || readme.contains(&row), "{}: {row}", text(package, "name"));
        }
    }
}

#[test]
fn the_index_of_examples_is_complete() {
    let readme = fs::read_to_string(root().join("examples/README.md")).expect("the index can be read");
    let links = readme.split("](examples/").skip(1).filter_map(|rest| rest.split(')').next());
    let listed: BTreeSet<String> = links.map(str::to_owned).collect();
    let files = fs::read_dir(root().join("examples/examples")).expect("the folder can be read");
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    let programs = files.filter(|path| path.extension() == Some("rs".as_ref()));
    let mut there: BTreeSet<String> =
        programs.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
    // A module that the programs share.
    there.remove("server.rs");
    assert_eq!(listed, there);
}
