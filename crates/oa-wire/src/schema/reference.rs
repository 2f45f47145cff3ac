//! References within a schema.

use serde_json::{Map, Value};

/// The schema that a local `$ref` names.
pub(super) fn resolve<'a>(target: &str, root: &'a Map<String, Value>) -> Option<&'a Value> {
    let mut parts =
        target.strip_prefix("#/")?.split('/').map(|part| part.replace("~1", "/").replace("~0", "~"));
    let first = root.get(&parts.next()?)?;
    parts.try_fold(first, |value, part| match value {
        Value::Array(array) => array.get(part.parse::<usize>().ok()?),
        value => value.get(&part),
    })
}
