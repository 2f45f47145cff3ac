//! Arguments of tool calls: what they keep, and that reading them late is reading them.

use super::*;
use crate::{JsonSchema, Tool, Tools, answer_checks::read_arguments};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn arguments_keep_what_the_model_wrote() {
    let number = ToolArguments::parse("935");
    assert_eq!((number.as_object(), number.text()), (None, Some("935")));
    assert_eq!(number.error(), Some("expected an object, got a number"));
    assert_eq!(ToolArguments::parse(" ").as_object(), Some(&Map::new()));
    assert_eq!(Value::from(number), json!("935"));
}

#[test]
fn the_input_of_a_custom_tool_is_a_text_whatever_it_looks_like() {
    for input in ["select 1", "{\"a\":1}", ""] {
        let call = ToolCall::custom("c", "sql", input);
        assert_eq!((call.arguments.text(), call.arguments.error()), (Some(input), None));
        let stored = serde_json::to_string(&call).unwrap();
        assert_eq!(serde_json::from_str::<ToolCall>(&stored).unwrap(), call, "{stored}");
    }
    let plain = serde_json::to_value(ToolCall::new("c", "f", json!({"a": 1}))).unwrap();
    assert_eq!(plain, json!({"id": "c", "name": "f", "arguments": {"a": 1}}));
}

#[test]
fn an_object_is_the_same_whether_it_was_read_or_not() {
    let text = r#"{"b": [1, {"c": "\u00e9"}], "a": 1.5}"#;
    let (read, unread) = (ToolArguments::parse(text), ToolArguments::parse(text));
    assert!(read.as_object().is_some());
    let debug = format!("{read:?}");
    assert_eq!(format!("{:?}", unread.clone()), debug);
    assert_eq!(unread.clone(), read);
    assert_eq!(ToolArguments::parse(r#"{"a":1.5,"b":[1,{"c":"é"}]}"#), read);
    assert_eq!(ToolArguments::from(read.as_object().unwrap().clone()), unread);
    assert_ne!(ToolArguments::parse(r#"{"a":1.5}"#), unread);
    let json = serde_json::to_string(&ToolArguments::parse(text)).unwrap();
    assert_eq!(serde_json::from_str::<ToolArguments>(&json).unwrap(), read);
    assert_eq!(Value::from(unread), Value::from(read));
}

#[test]
fn the_last_of_two_members_counts() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    assert_eq!(ToolArguments::parse(r#"{"a":1,"a":2}"#), json!({"a": 2}).into());
    assert_eq!(checked(r#"{"a":"x","a":2}"#, &schema), expected(r#"{"a":2}"#, &schema));
}

/// What can be seen of arguments.
type Seen = (Option<Value>, Option<String>, Option<String>);

fn seen(arguments: &ToolArguments) -> Seen {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let object = arguments.as_object().cloned().map(Value::Object);
    (object, text(arguments.text()), text(arguments.error()))
}

/// What decoding makes of a call with these arguments.
fn checked(text: &str, schema: &Value) -> Seen {
    let tools = Tools::new([Tool::new("f", schema.clone()).unwrap()]).unwrap();
    seen(&read_arguments(text.to_owned(), "f", &tools, |_| None))
}

/// The same by building the value and validating it.
fn expected(text: &str, schema: &Value) -> Seen {
    let invalid = |error: String| (None, Some(text.to_owned()), Some(error));
    let value = match serde_json::from_str(text) {
        _ if text.trim_ascii().is_empty() => json!({}),
        Ok(value @ Value::Object(_)) => value,
        Ok(other) => return invalid(format!("expected an object, got {}", value_kind(&other))),
        Err(error) => return invalid(format!("not JSON: {error}")),
    };
    let violation = JsonSchema::new(schema.clone()).unwrap().validate(&value).err();
    let error = violation.map(|violation| format!("they break the schema of `f` {violation}"));
    (Some(value), None, error)
}

/// A schema, and the text of a value that it mostly accepts.
fn schema_and_text() -> impl Strategy<Value = (Value, String)> {
    let leaves = [
        (json!({"type": "string"}), vec![r#""a""#, r#""\u00e9\n""#, r#""\ud83d\ude00""#, r#""\ud83d""#]),
        (json!({"type": "string", "format": "date"}), vec![r#""2020-01-01""#, r#""x""#]),
        (json!({"type": "string", "pattern": "^a"}), vec![r#""a""#, r#""b""#]),
        (json!({"enum": ["a", "b", 1]}), vec![r#""a""#, r#""\u0061""#, r#""c""#, "1"]),
        (json!({"type": "string", "enum": ["a"], "default": "a"}), vec![r#""a""#, "null"]),
        (json!({"const": "a"}), vec![r#""a""#]),
        (json!({"type": "integer"}), vec!["1", "-7", "1.0", "1e2", "-0", "12345678901234567890", "1e999"]),
        (json!({"type": "integer", "minimum": 0, "format": "uint"}), vec!["0", "5", "-1", "1.5"]),
        (json!({"type": "number"}), vec!["1", "0.25", "1.7976931348623159e308", "1E-400", "9e999"]),
        (json!({"type": ["boolean", "null"]}), vec!["true", "false", "null", "0"]),
        (json!({"anyOf": [{"type": "string"}, {"type": "null"}]}), vec![r#""a""#, "null", "{}"]),
        (json!({"$ref": "#/$defs/point"}), vec![r#"{"x":1}"#, r#"{"x":null}"#, r#"{"x":"1"}"#, "{}"]),
        (json!({"oneOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]}), vec![r#"{"x":2}"#, "null", "[]"]),
        (json!({"$ref": "#/$defs/list"}), vec!["[]", "[[],[[]]]", "[1]"]),
        (json!({"description": "any"}), vec!["1", r#"{"$serde_json::private::Number":"x"}"#, "[{}, 2]"]),
        (json!(true), vec!["[1,", "01", r#"{"a":1,"a":2}"#, "\u{1}"]),
    ];
    let leaf = prop::sample::select(leaves.to_vec()).prop_flat_map(|(schema, texts)| {
        // The first fits.
        let first = Just(texts[0]).prop_map(str::to_owned);
        let any = prop::sample::select(texts).prop_map(str::to_owned);
        (Just(schema), prop_oneof![3 => first, 1 => any])
    });
    leaf.prop_recursive(3, 20, 5, |inner| {
        let list = (inner.clone(), 0..3_usize).prop_map(|((schema, text), count)| {
            (json!({"type": "array", "items": schema}), format!("[{}]", vec![text; count].join(" , ")))
        });
        prop_oneof![1 => list, 3 => object(inner)]
    })
}

fn object(
    members: impl Strategy<Value = (Value, String)> + 'static,
) -> impl Strategy<Value = (Value, String)> + 'static {
    let member = (prop::sample::select(vec!["a", "b", "c", "\u{e9}"]), members, 0..10_u8, any::<bool>());
    (prop::collection::vec(member, 0..5), 0..6_u8).prop_map(|(members, others)| {
        let (mut properties, mut required, mut texts) = (Map::new(), Vec::new(), Vec::new());
        for (name, (schema, text), how, is_required) in members {
            // One in ten members is missing, one is no property, and a name may come again.
            if how > 0 {
                texts.push(format!("\"{name}\": {text}"));
            }
            if how > 1 {
                properties.insert(name.to_owned(), schema);
                required.extend(is_required.then_some(name));
            }
        }
        required.sort_unstable();
        required.dedup();
        let mut schema = json!({"type": "object", "properties": properties, "required": required});
        let others = [json!(true), json!(false), json!({"type": "string"})].get(usize::from(others)).cloned();
        schema
            .as_object_mut()
            .unwrap()
            .extend(others.map(|others| ("additionalProperties".to_owned(), others)));
        (schema, format!("{{{}}}", texts.join(",")))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_look_at_the_bytes_decides_as_the_validator_does(
        (mut schema, mut text) in object(schema_and_text().boxed()),
        damage in prop::option::weighted(0.2, any::<(prop::sample::Index, char)>()),
    ) {
        schema["$defs"] = json!({
            "point": {"type": "object", "required": ["x"],
                "properties": {"x": {"type": ["integer", "null"]}}},
            "list": {"type": "array", "items": {"$ref": "#/$defs/list"}},
        });
        if let Some((at, char)) = damage {
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
            text.insert(places[at.index(places.len())], char);
        }
        prop_assert_eq!(checked(&text, &schema), expected(&text, &schema), "{} {}", schema, text);
        let any = json!({"type": "object"});
        prop_assert_eq!(seen(&ToolArguments::parse(&text)), expected(&text, &any), "{}", text);
    }

    #[test]
    fn any_text_is_read_as_serde_json_reads_it(text in r#"[{}\[\]:,"\\au0-9ed.+ -]{0,12}"#) {
        let any = json!({"type": "object"});
        prop_assert_eq!(seen(&ToolArguments::parse(&text)), expected(&text, &any));
        let nested = format!("{{\"a\":{text}}}");
        prop_assert_eq!(seen(&ToolArguments::parse(&nested)), expected(&nested, &any));
    }
}

#[test]
fn nesting_is_refused_where_serde_json_refuses_it() {
    let any = json!({"type": "object"});
    for depth in 120..135 {
        let text = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(seen(&ToolArguments::parse(&text)), expected(&text, &any), "{depth}");
    }
}

/// The everyday schemas are those for which no value is built.
#[test]
fn everyday_arguments_need_no_validator() {
    let fits = |schema: Value, text: &str| {
        let schema = JsonSchema::new(schema).unwrap();
        ToolArguments::read(text.to_owned(), schema.shape()).1
    };
    let weather = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Weather", "type": "object", "additionalProperties": false, "required": ["city"],
        "properties": {
            "city": {"type": "string", "description": "where"},
            "unit": {"anyOf": [{"$ref": "#/$defs/Unit"}, {"type": "null"}], "default": null},
            "days": {"type": "integer", "format": "uint8", "minimum": 0},
            "fields": {"type": "array", "items": {"enum": ["temp", "wind"]}},
        },
        "$defs": {"Unit": {"type": "string", "enum": ["C", "F"]}},
    });
    assert!(fits(weather.clone(), r#"{"city": "Paris", "unit": "C", "days": 3, "fields": ["temp"]}"#));
    assert!(fits(weather.clone(), r#"{"unit": null, "city": "Orl\u00e9ans \"x\""}"#));
    for text in [
        r#"{"unit": "C"}"#,
        r#"{"city": 1}"#,
        r#"{"city": "x", "days": -1}"#,
        r#"{"city": "x", "unit": "K"}"#,
        r#"{"city": "x", "more": 1}"#,
        r#"{"city": "x", "fields": ["rain"]}"#,
        r#"{"city": "x", "fields": ["temp"}"#,
    ] {
        assert!(!fits(weather.clone(), text), "{text}");
    }
    assert!(fits(json!({"type": "object"}), "{}"));
    assert!(!fits(json!({"type": "object", "minProperties": 1}), "{}"));
}
