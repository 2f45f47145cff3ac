//! Strict schemas and the explanation of each change, held in files: one type, one file. `UPDATE_GOLDEN=1`
//! writes them.

use crate::types::{Visit, each};
use oa_tools::{ChangeKind, StrictSchema};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{fmt::Write as _, fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[derive(Default)]
struct Golden {
    seen: Vec<String>,
    differ: Vec<String>,
    refused: Vec<String>,
}

impl Visit for Golden {
    fn visit<T>(&mut self, name: &str, _: T)
    where
        T: JsonSchema + DeserializeOwned + Serialize + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    {
        let strict = StrictSchema::of::<T>().unwrap();
        let mut text = String::new();
        for change in strict.changes() {
            let _ = writeln!(text, "{change}");
        }
        let sent: Value = serde_json::from_str(strict.schema().as_json()).unwrap();
        let _ = writeln!(text, "\n{}", serde_json::to_string_pretty(&sent).unwrap());
        let file = folder().join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&file, &text).unwrap();
        }
        if fs::read_to_string(&file).unwrap_or_default() != text {
            self.differ.push(format!("{name}:\n{text}"));
        }
        let refused = strict.changes().iter().any(|change| change.kind() == ChangeKind::Refused);
        assert_eq!(strict.is_strict(), !refused, "{name}: {text}");
        if refused {
            self.refused.push(name.to_owned());
        }
        // A place is one of the source.
        let source = schemars::schema_for!(T);
        // The front door takes the schema itself.
        if let Ok(schema) = oa_wire::JsonSchema::of::<T>() {
            assert_eq!(
                oa_wire::Tool::new("f", source.clone()).unwrap().parameters(),
                Some(&schema),
                "{name}"
            );
        }
        for change in strict.changes() {
            let found = source.pointer(change.pointer()).is_some();
            assert!(found, "{name}: there is no {} in {source:?}", change.pointer());
        }
        self.seen.push(name.to_owned());
    }
}

#[test]
fn every_type_has_the_schema_in_its_file() {
    let mut golden = Golden::default();
    each(&mut golden);
    assert!(golden.seen.len() >= 50, "{}", golden.seen.len());
    assert!(golden.differ.is_empty(), "{}", golden.differ.join("\n"));
    assert_eq!(golden.refused, ["flat_map", "anything"]);
    let files = fs::read_dir(folder()).unwrap().count();
    assert_eq!(files, golden.seen.len(), "a file that belongs to no type");
}
