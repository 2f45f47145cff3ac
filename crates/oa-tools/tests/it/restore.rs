//! The way from a strict answer back to the type.

use crate::types::{Visit, each};
use oa_tools::{StrictSchema, answer_schema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Every sample, as the source schema has it, is accepted: servers that do not constrain give such.
struct InSourceForm(Vec<String>);

impl Visit for InSourceForm {
    fn visit<T>(&mut self, name: &str, sample: T)
    where
        T: JsonSchema + DeserializeOwned + Serialize + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    {
        let strict = StrictSchema::of::<T>().unwrap();
        let value = serde_json::to_value(&sample).unwrap();
        let is_wrapped = strict.schema().as_value()["properties"].get("value").is_some();
        let answer = if value.is_object() || !is_wrapped { value } else { json!({"value": value}) };
        match strict.read::<T>(&answer) {
            Ok(read) if read == sample => {}
            other => self.0.push(format!("{name}: {other:?}")),
        }
    }
}

#[test]
fn the_source_form_is_accepted_too() {
    let mut visit = InSourceForm(Vec::new());
    each(&mut visit);
    assert!(visit.0.is_empty(), "{:#?}", visit.0);
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Order {
    items: BTreeMap<String, Item>,
    at: (i8, u8),
    note: Option<String>,
    #[serde(default = "seven")]
    priority: u8,
    kind: Kind,
}

fn seven() -> u8 {
    7
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct Item {
    #[schemars(length(min = 2))]
    name: String,
    #[serde(default)]
    count: u8,
}

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
enum Kind {
    Plain,
    Sized(u8, u8),
    Tagged { tags: Vec<BTreeMap<u8, String>> },
}

fn answer() -> Value {
    json!({
        "items": [
            {"key": "a/b", "value": {"name": "first", "count": null}},
            {"key": "c", "value": {"name": "second", "count": 2}},
        ],
        "at": {"0": -1, "1": 1},
        "note": null,
        "priority": null,
        "kind": {"Tagged": {"tags": [[{"key": "7", "value": "x"}]]}},
    })
}

fn order() -> Order {
    let item = |name: &str, count| Item { name: name.into(), count };
    Order {
        items: [("a/b".into(), item("first", 0)), ("c".into(), item("second", 2))].into(),
        at: (-1, 1),
        note: None,
        priority: 7,
        kind: Kind::Tagged { tags: vec![[(7, "x".into())].into()] },
    }
}

#[test]
fn maps_tuples_and_what_was_left_out_come_back() {
    let strict = StrictSchema::of::<Order>().unwrap();
    strict.schema().validate(&answer()).unwrap();
    assert_eq!(strict.read::<Order>(&answer()).unwrap(), order());
    let restored = json!({
        "items": {"a/b": {"name": "first"}, "c": {"name": "second", "count": 2}},
        "at": [-1, 1],
        "note": null,
        "kind": {"Tagged": {"tags": [{"7": "x"}]}},
    });
    assert_eq!(strict.restore(&answer()).unwrap(), restored);
    // The restored form stands for the same.
    assert_eq!(strict.read::<Order>(&restored).unwrap(), order());
    // So does one that leaves out what the source does not require.
    let mut lenient = answer();
    lenient.as_object_mut().unwrap().retain(|name, _| name != "note" && name != "priority");
    assert_eq!(strict.read::<Order>(&lenient).unwrap(), order());
}

#[test]
fn a_violation_has_its_place_in_the_answer() {
    let strict = StrictSchema::of::<Order>().unwrap();
    let cases = [
        // A limit of the source that was moved to a description.
        ("/items/0/value/name", json!("x"), "/items/0/value/name"),
        ("/items/1/value/count", json!(300), "/items/1/value/count"),
        ("/at/1", json!("x"), "/at/1"),
        ("/priority", json!(1000), "/priority"),
        ("/kind/Tagged/tags/0/0/key", json!("seven"), "/kind"),
    ];
    for (place, wrong, pointer) in cases {
        let mut answer = answer();
        *answer.pointer_mut(place).unwrap() = wrong;
        let violation = strict.read::<Order>(&answer).unwrap_err();
        assert!(violation.pointer.starts_with(pointer), "{place}: {violation}");
    }
}

#[test]
fn what_the_schema_accepts_and_the_type_does_not_is_a_violation_too() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Wide {
        sizes: BTreeMap<String, i64>,
    }
    let strict = StrictSchema::of::<Wide>().unwrap();
    let answer =
        json!({"sizes": [{"key": "a", "value": 1}, {"key": "b", "value": 9_300_000_000_000_000_000_u64}]});
    strict.schema().validate(&answer).unwrap();
    let violation = strict.read::<Wide>(&answer).unwrap_err();
    assert_eq!(violation.to_string(), "at /sizes/1/value: expected i64, got an integer that is not");
    let checked = answer_schema::<Wide>().unwrap().validate(&answer).unwrap_err();
    assert_eq!(checked, violation);
}

#[test]
fn a_branch_is_chosen_in_time_that_grows_with_the_value() {
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    #[serde(untagged)]
    enum Nested {
        First { next: Box<Nested>, first: Option<bool> },
        Second { next: Box<Nested>, second: Option<bool> },
        Third { next: Box<Nested>, third: Option<bool> },
        End(u8),
    }
    let mut value = json!(1);
    for _ in 0..40 {
        value = json!({"next": value, "third": null});
    }
    let strict = StrictSchema::of::<Nested>().unwrap();
    assert!(strict.restore(&json!({"value": value})).is_ok());
}

#[test]
fn the_beginning_of_an_answer_has_the_form_of_the_source() {
    let strict = StrictSchema::of::<Order>().unwrap();
    let cases = [
        (json!({}), json!({})),
        (json!({"items": []}), json!({"items": {}})),
        (json!({"items": [{"key": "a"}]}), json!({"items": {}})),
        (
            json!({"items": [{"key": "a", "value": {"na": 1}}]}),
            json!({"items": [{"key": "a", "value": {"na": 1}}]}),
        ),
        (json!({"items": [{"key": "a", "value": {"name": "fi"}}]}), json!({"items": {"a": {"name": "fi"}}})),
        (json!({"items": [], "at": {"0": 1}}), json!({"items": {}, "at": [1]})),
        (json!({"items": [], "kind": "Pla"}), json!({"items": {}, "kind": "Pla"})),
    ];
    for (answer, want) in cases {
        assert_eq!(strict.restore_partial(&answer), want);
    }
    assert_eq!(StrictSchema::of::<Vec<u8>>().unwrap().restore_partial(&json!({"value": [1]})), json!([1]));
}

#[test]
fn limits_can_stand_in_the_descriptions_alone() {
    let source = json!({
        "type": "object",
        "properties": {
            "stars": {"type": "integer", "minimum": 1, "maximum": 5, "description": "How many."},
            "tags": {"type": "array", "items": {"type": "string", "pattern": "^a"}, "maxItems": 3},
        },
        "required": ["stars", "tags"],
    });
    let strict = StrictSchema::without_limits(&source).unwrap();
    let sent = strict.schema().as_value();
    assert_eq!(
        sent["properties"]["stars"],
        json!({"type": "integer", "description": "How many.\n(minimum: 1; maximum: 5)"})
    );
    assert_eq!(sent["properties"]["tags"]["description"], "(maxItems: 3)");
    assert!(strict.is_strict());
    let violation = strict.restore(&json!({"stars": 6, "tags": []})).unwrap_err();
    assert_eq!(violation.pointer, "/stars");
}

#[test]
fn hostile_schemas_are_refused_in_bounded_time() {
    let mut deep = json!({"type": "string"});
    for _ in 0..500 {
        deep = json!({"type": "array", "items": deep});
    }
    assert!(
        !StrictSchema::new(&json!({"type": "object", "properties": {"a": deep}, "required": ["a"]}))
            .is_ok_and(|strict| strict.is_strict())
    );
    let doubling = |key: &str| {
        let mut definitions = serde_json::Map::new();
        for at in 0..64 {
            let next = json!({"$ref": format!("#/$defs/d{}", at + 1)});
            definitions.insert(format!("d{at}"), json!({key: [next, next]}));
        }
        definitions.insert("d64".into(), json!({"type": "object", "properties": {"a": {"type": "string"}}}));
        json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": definitions})
    };
    for key in ["allOf", "anyOf"] {
        let _ = StrictSchema::new(&doubling(key));
    }
    let circle = json!({"type": "object", "properties": {"x": {"$ref": "#/$defs/a"}}, "$defs": {
        "a": {"$ref": "#/$defs/b", "type": "object"}, "b": {"$ref": "#/$defs/a", "type": "object"}}});
    let refused = StrictSchema::new(&circle).unwrap();
    assert!(
        !refused.is_strict() && refused.changes()[0].to_string().starts_with("not strict: "),
        "{refused:?}"
    );
}
