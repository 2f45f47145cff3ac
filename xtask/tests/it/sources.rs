//! The modules of a crate and what each imports: `mod` and `use` items, and paths within expressions.

use crate::tokens::{Token, tokens};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The modules of one library or program.
pub(crate) struct Sources {
    modules: BTreeMap<Vec<String>, Module>,
}

#[derive(Default)]
struct Module {
    file: PathBuf,
    /// Its own items, child modules among them.
    items: BTreeSet<String>,
    /// What `use` brings: the name it has here, and the path as written.
    imports: Vec<(String, Vec<String>)>,
    /// The paths before `::*`.
    globs: Vec<Vec<String>>,
    /// Paths within expressions and types.
    paths: Vec<Vec<String>>,
}

/// A path that one file names, and the file where it leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrow {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) path: String,
}

impl Sources {
    /// Reads the modules under this root file. What is for tests alone is left out.
    pub(crate) fn read(root: &Path) -> Self {
        let mut sources = Self { modules: BTreeMap::new() };
        let text = fs::read_to_string(root).unwrap_or_else(|error| panic!("{}: {error}", root.display()));
        sources.module(&[], root, &text);
        sources
    }

    fn module(&mut self, path: &[String], file: &Path, text: &str) {
        let tokens = tokens(text);
        let children = Reader { sources: self, file, tokens: &tokens, at: 0 }.module(path.to_vec());
        for child in children {
            let (file, text) = child_file(file, path.is_empty(), &child[path.len()..]);
            self.module(&child, &file, &text);
        }
    }

    /// Every arrow from one file to another.
    pub(crate) fn arrows(&self) -> BTreeSet<Arrow> {
        let mut arrows = BTreeSet::new();
        for (at, module) in &self.modules {
            let imports = module.imports.iter().map(|(_, path)| path);
            for path in imports.chain(&module.globs).chain(&module.paths) {
                if let Some(to) = self.resolve(at, path, 0).filter(|to| *to != module.file) {
                    arrows.insert(Arrow { from: module.file.clone(), to, path: path.join("::") });
                }
            }
        }
        arrows
    }

    /// Every path into one of our own crates, as `oa_wire::openai::ChatCall`, with the file that names it.
    pub(crate) fn foreign(&self) -> BTreeSet<(PathBuf, String)> {
        let mut foreign = BTreeSet::new();
        for module in self.modules.values() {
            let imports = module.imports.iter().map(|(_, path)| path);
            for path in imports.chain(&module.globs).chain(&module.paths) {
                if path[0].starts_with("oa_") {
                    foreign.insert((module.file.clone(), path.join("::")));
                }
            }
        }
        foreign
    }

    /// The file where a path leads that stands in the module `at`; none if it leads out of the crate.
    fn resolve(&self, at: &[String], path: &[String], depth: usize) -> Option<PathBuf> {
        let mut module = at.to_vec();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                module.clear();
                rest = &rest[1..];
            }
            "self" | "super" => {
                while let Some(step @ ("self" | "super")) = rest.first().map(String::as_str) {
                    if step == "super" {
                        module.pop();
                    }
                    rest = &rest[1..];
                }
            }
            first => {
                let here = self.modules.get(at)?;
                let known = here.items.contains(first) || here.imports.iter().any(|(name, _)| name == first);
                if !known {
                    return None;
                }
            }
        }
        while let Some(step) = rest.first() {
            module.push(step.clone());
            if !self.modules.contains_key(&module) {
                module.pop();
                break;
            }
            rest = &rest[1..];
        }
        let found = self.modules.get(&module)?;
        let Some(name) = rest.first() else { return Some(found.file.clone()) };
        // A re-export leads further.
        if depth < 16 && !found.items.contains(name) {
            let imported = found.imports.iter().find(|(known, path)| known == name && path != rest);
            if let Some((_, path)) = imported {
                return self.resolve(&module, path, depth + 1);
            }
            for glob in &found.globs {
                let further: Vec<String> = glob.iter().chain([name]).cloned().collect();
                if self.defines(&module, glob, name) {
                    return self.resolve(&module, &further, depth + 1);
                }
            }
        }
        Some(found.file.clone())
    }

    /// Whether the module that `glob` names in the module `at` has an item or import of that name.
    fn defines(&self, at: &[String], glob: &[String], name: &String) -> bool {
        let mut path = match glob[0].as_str() {
            "crate" => Vec::new(),
            "super" => at[..at.len().saturating_sub(1)].to_vec(),
            _ => at.to_vec(),
        };
        path.extend(glob.iter().filter(|step| !["crate", "super", "self"].contains(&step.as_str())).cloned());
        self.modules.get(&path).is_some_and(|module| {
            module.items.contains(name) || module.imports.iter().any(|(known, _)| known == name)
        })
    }
}

/// The file of a module that is declared in `file`; `below` are its names below the file's own module.
fn child_file(file: &Path, is_root: bool, below: &[String]) -> (PathBuf, String) {
    let mut folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
    if !is_root && file.file_name() != Some("mod.rs".as_ref()) {
        folder.push(file.file_stem().unwrap_or_default());
    }
    folder.extend(below);
    for path in [folder.with_extension("rs"), folder.join("mod.rs")] {
        if let Ok(text) = fs::read_to_string(&path) {
            return (path, text);
        }
    }
    panic!("{}: no file for `mod {}`", file.display(), below.join("::"));
}

/// Walks over the tokens of one file.
struct Reader<'a> {
    sources: &'a mut Sources,
    file: &'a Path,
    tokens: &'a [Token],
    at: usize,
}

/// What an opened brace belongs to.
enum Scope {
    Module,
    Other,
}

impl Reader<'_> {
    /// Reads the whole file as this module and returns the modules that other files hold.
    fn module(mut self, mut path: Vec<String>) -> Vec<Vec<String>> {
        let mut children = Vec::new();
        let mut scopes = Vec::new();
        self.open(&path);
        while let Some(token) = self.tokens.get(self.at) {
            let at_module = !matches!(scopes.last(), Some(Scope::Other));
            let follows_path = self.at > 0 && self.tokens[self.at - 1] == Token::PathSeparator;
            match token.name() {
                _ if self.is_for_tests() => self.skip_item(),
                Some("mod") if at_module => {
                    let Some(name) = self.name_at(self.at + 1) else {
                        self.at += 1;
                        continue;
                    };
                    self.here(&path).items.insert(name.clone());
                    let child: Vec<String> = path.iter().cloned().chain([name]).collect();
                    if self.tokens.get(self.at + 2).is_some_and(|token| token.is('{')) {
                        path = child;
                        scopes.push(Scope::Module);
                        self.open(&path);
                    } else {
                        children.push(child);
                    }
                    self.at += 3;
                }
                Some("use") if !follows_path => {
                    self.at += 1;
                    let (mut imports, mut globs) = (Vec::new(), Vec::new());
                    self.use_tree(&mut Vec::new(), &mut imports, &mut globs);
                    let here = self.here(&path);
                    here.imports.extend(imports);
                    here.globs.extend(globs);
                }
                Some("fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union")
                    if at_module =>
                {
                    if let Some(name) = self.name_at(self.at + 1) {
                        self.here(&path).items.insert(name);
                    }
                    self.at += 1;
                }
                Some("macro_rules") if at_module => {
                    if let Some(name) = self.name_at(self.at + 2) {
                        self.here(&path).items.insert(name);
                    }
                    self.at += 1;
                }
                Some(_) if !follows_path && self.tokens.get(self.at + 1) == Some(&Token::PathSeparator) => {
                    let written = self.path();
                    self.here(&path).paths.push(written);
                }
                _ => {
                    if token.is('{') {
                        scopes.push(Scope::Other);
                    } else if token.is('}') && matches!(scopes.pop(), Some(Scope::Module)) {
                        path.pop();
                    }
                    self.at += 1;
                }
            }
        }
        children
    }

    fn open(&mut self, path: &[String]) {
        let module = Module { file: self.file.to_path_buf(), ..Module::default() };
        self.sources.modules.insert(path.to_vec(), module);
    }

    fn here(&mut self, path: &[String]) -> &mut Module {
        self.sources.modules.get_mut(path).expect("the module was opened")
    }

    fn name_at(&self, at: usize) -> Option<String> {
        self.tokens.get(at)?.name().map(str::to_owned)
    }

    /// Whether `#[cfg(test)]` stands here.
    fn is_for_tests(&self) -> bool {
        let texts: Vec<&str> = ["#", "[", "cfg", "(", "test", ")", "]"].to_vec();
        texts.iter().enumerate().all(|(offset, text)| match self.tokens.get(self.at + offset) {
            Some(Token::Name(name)) => name == text,
            Some(Token::Punctuation(letter)) => *text == letter.to_string(),
            _ => false,
        })
    }

    /// Over an attribute and the item that it is on: up to a semicolon, or over a pair of braces.
    fn skip_item(&mut self) {
        self.at += 7;
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token {
                Token::Punctuation('{') => depth += 1,
                Token::Punctuation('}') if depth == 1 => return,
                Token::Punctuation('}') => depth -= 1,
                Token::Punctuation(';') if depth == 0 => return,
                _ => {}
            }
        }
    }

    /// `a::b::c` from here on, without generic arguments.
    fn path(&mut self) -> Vec<String> {
        let mut path = Vec::new();
        while let Some(name) = self.name_at(self.at) {
            path.push(name);
            self.at += 1;
            if self.tokens.get(self.at) != Some(&Token::PathSeparator) || self.name_at(self.at + 1).is_none()
            {
                break;
            }
            self.at += 1;
        }
        path
    }

    /// The tree behind `use`, up to its semicolon, comma or closing brace. `prefix` is what stands before it.
    fn use_tree(
        &mut self,
        prefix: &mut Vec<String>,
        imports: &mut Vec<(String, Vec<String>)>,
        globs: &mut Vec<Vec<String>>,
    ) {
        let length = prefix.len();
        loop {
            match self.tokens.get(self.at) {
                Some(Token::Name(name)) if name == "as" => {
                    if let (Some(alias), Some(import)) = (self.name_at(self.at + 1), imports.last_mut()) {
                        import.0 = alias;
                    }
                    self.at += 2;
                }
                Some(Token::Name(name)) => {
                    prefix.push(name.clone());
                    self.at += 1;
                    if self.tokens.get(self.at) == Some(&Token::PathSeparator) {
                        continue;
                    }
                    // `a::{self}` is `a`.
                    if prefix.last().is_some_and(|last| last == "self") && prefix.len() > 1 {
                        prefix.pop();
                    }
                    imports.push((prefix.last().cloned().unwrap_or_default(), prefix.clone()));
                }
                Some(Token::PathSeparator) => self.at += 1,
                Some(Token::Punctuation('*')) => {
                    globs.push(prefix.clone());
                    self.at += 1;
                }
                Some(Token::Punctuation('{')) => {
                    self.at += 1;
                    while self.tokens.get(self.at).is_some_and(|token| !token.is('}')) {
                        self.use_tree(prefix, imports, globs);
                        if self.tokens.get(self.at).is_some_and(|token| token.is(',')) {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                }
                _ => break,
            }
        }
        prefix.truncate(length);
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let folder = std::env::temp_dir().join(format!("xtask-sources-{}", std::process::id()));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("the folder can be made");
        fs::write(path, text).expect("the file can be written");
    };
    write("lib.rs", "mod a; mod b; mod c; pub use a::A; pub(crate) use b::*; use std::fmt;");
    write("a.rs", "use crate::{b::{self, B as Other}, c}; use super::c::deep::{C, self}; pub struct A;");
    write("b.rs", "pub struct B; fn f() { let _ = crate::A; } #[cfg(test)] mod tests { use crate::c::X; }");
    write("c.rs", "mod deep; pub mod inline { use super::super::B; } // use crate::a::A;");
    write("c/deep.rs", "pub struct C; impl C { fn f() -> super::super::a::A { oa_wire::openai::x::<C>() } }");
    let sources = Sources::read(&folder.join("lib.rs"));
    let short = |path: &Path| path.strip_prefix(&folder).unwrap_or(path).display().to_string();
    let arrows: BTreeSet<String> = sources
        .arrows()
        .iter()
        .map(|arrow| format!("{} > {}", short(&arrow.from), short(&arrow.to)))
        .collect();
    let foreign: Vec<String> =
        sources.foreign().iter().map(|(file, path)| format!("{} > {path}", short(file))).collect();
    fs::remove_dir_all(&folder).expect("the folder can be removed");
    let wanted = [
        "a.rs > b.rs",
        "a.rs > c.rs",
        "a.rs > c/deep.rs",
        "b.rs > a.rs",
        "c.rs > b.rs",
        "c/deep.rs > a.rs",
        "lib.rs > a.rs",
        "lib.rs > b.rs",
    ];
    assert_eq!(arrows.into_iter().collect::<Vec<_>>(), wanted);
    assert_eq!(foreign, ["c/deep.rs > oa_wire::openai::x"]);
}
