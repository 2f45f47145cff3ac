//! The style of files: what `CONTRIBUTING.md` asks for and a machine can see.

use crate::imports::{join, root, short};
use std::{collections::BTreeSet, fs, path::PathBuf};

/// The folders with Rust in them.
const FOLDERS: &[&str] = &["crates", "examples", "fuzz", "xtask"];
const MOST_LINES: usize = 600;
const MOST_COLUMNS: usize = 110;
/// Words that begin a question, and a first line that does not state what the file is.
const ASKING: &[&str] = &["How", "What", "When", "Where", "Whether", "Which", "Who", "Why"];

#[test]
fn the_first_line_states_what_the_file_is() {
    let broken = offences(|text| {
        let first = text.lines().next().unwrap_or_default();
        let Some(sentence) = first.strip_prefix("//! ") else {
            return vec![format!("begins with {first:?}")];
        };
        let first = sentence.split(' ').next().unwrap_or_default();
        let is_question = sentence.contains("? ") || sentence.ends_with('?') || ASKING.contains(&first);
        if is_question { vec![format!("asks {sentence:?}")] } else { Vec::new() }
    });
    assert!(broken.is_empty(), "\n{}", join(broken));
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let broken = offences(|text| match text.lines().count() {
        lines if lines > MOST_LINES => vec![format!("{lines} lines")],
        _ => Vec::new(),
    });
    assert!(broken.is_empty(), "\n{}", join(broken));
}

#[test]
fn no_line_is_wider_than_110_columns() {
    let broken = offences(|text| {
        let lines = text.lines().enumerate();
        let wide = lines.filter(|(_, line)| line.chars().count() > MOST_COLUMNS && !is_row(line));
        wide.map(|(at, line)| format!("line {} has {}", at + 1, line.chars().count())).collect()
    });
    assert!(broken.is_empty(), "\n{}", join(broken));
}

#[test]
fn a_folder_of_modules_stands_beside_its_file() {
    let broken: BTreeSet<String> = files()
        .iter()
        .filter(|path| path.file_name() == Some("mod.rs".as_ref()))
        .map(|path| short(path))
        // Cargo would take a file beside the programs for one of them.
        .filter(|path| path != "examples/examples/server/mod.rs")
        .collect();
    assert!(broken.is_empty(), "`foo.rs` beside `foo/`, no mod.rs:\n{}", join(broken));
}

/// A row of a table in documentation, which cannot be broken.
fn is_row(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//! |") || line.starts_with("/// |")
}

fn offences(find: impl Fn(&str) -> Vec<String>) -> BTreeSet<String> {
    let mut broken = BTreeSet::new();
    for path in files() {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        broken.extend(find(&text).into_iter().map(|what| format!("{}: {what}", short(&path))));
    }
    broken
}

fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = FOLDERS.iter().map(|name| root().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name() != Some("target".as_ref()) {
                folders.push(path);
            } else if path.extension() == Some("rs".as_ref()) {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 100, "only {} files found", files.len());
    files
}
