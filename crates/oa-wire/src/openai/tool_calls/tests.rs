//! The assembling of tool calls.

use super::*;
use crate::Tool;
use serde_json::json;
use std::collections::HashSet;

fn tools() -> Tools {
    let tool = |name: &str| Tool::new(name, json!({"type": "object"})).unwrap();
    Tools::new([tool("get_weather"), tool("f"), tool("g")]).unwrap()
}

/// `index|id|name|arguments`, each may be empty; `=` before the arguments: a JSON value of its own; `+`
/// before all: another fragment stands before it in the same list.
fn fragment(text: &str) -> Fragment<'_> {
    let follows = text.starts_with('+');
    let mut parts = text.trim_start_matches('+').splitn(4, '|');
    let mut next = || parts.next().unwrap_or_default();
    let (index, id, name, arguments) = (next(), next(), next(), next());
    let is_value = arguments.starts_with('=');
    let arguments = arguments.trim_start_matches('=');
    Fragment {
        index: index.parse().map_or(Index::Absent, Index::Number),
        id: id.into(),
        name: name.into(),
        arguments: Some(Piece { text: arguments.into(), written: arguments, at: None }),
        is_value,
        is_nested: true,
        follows,
        ..Fragment::default()
    }
}

/// The calls, and what their deltas add up to.
fn assemble(fragments: &[&str]) -> (Vec<String>, Vec<String>) {
    let mut assembler = Assembler::default();
    let tools = tools();
    let mut deltas: Vec<[String; 3]> = Vec::new();
    let mut take = |delta: &ToolCallDelta| {
        deltas.resize(deltas.len().max(delta.position + 1), <[String; 3]>::default());
        let [id, name, arguments] = &mut deltas[delta.position];
        id.push_str(delta.id.as_deref().unwrap_or_default());
        name.push_str(delta.name.as_deref().unwrap_or_default());
        arguments.push_str(&delta.arguments);
    };
    for text in fragments {
        if let Some(delta) = assembler.push(fragment(text), &tools) {
            take(&delta);
        }
    }
    let before = assembler.calls();
    for event in assembler.finish() {
        let Event::ToolCallDelta(delta) = event else { panic!("{event:?}") };
        take(&delta);
    }
    assert_eq!(assembler.calls(), before, "the calls of a snapshot are those of the end");
    let mut ids = HashSet::new();
    let calls = distinct(before).into_iter().map(|call| {
        let id = if ids.insert(call.id.clone()) { &call.id } else { "" };
        format!("{id}|{}|{}", call.name, repeated(&call.arguments).unwrap_or(&call.arguments))
    });
    (calls.collect(), deltas.into_iter().map(|call| call.join("|")).collect())
}

#[test]
fn the_state_machine_in_a_table() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        // By place.
        ("as OpenAI sends it", &["0|a|f|", "0|||{\"x\":", "0|||1}"], &["a|f|{\"x\":1}"]),
        (
            "interleaved by index",
            &["0|a|f|", "1|b|g|", "0|||{\"x\"", "1|||{}", "0|||:1}"],
            &["a|f|{\"x\":1}", "b|g|{}"],
        ),
        ("in the order in which they began", &["1|b|g|{}", "0|a|f|{}"], &["b|g|{}", "a|f|{}"]),
        ("a gap makes no call", &["0|a|f|{}", "3|b|g|{}"], &["a|f|{}", "b|g|{}"]),
        ("below 0", &["-1|a|f|", "-2|b|g|{}", "-1|||{\"x\":1}"], &["a|f|{\"x\":1}", "b|g|{}"]),
        ("no index, fragments follow", &["|a|f|", "|||{\"x\":", "|||1}"], &["a|f|{\"x\":1}"]),
        ("no index, two whole calls", &["|a|f|{}", "|b|f|{}"], &["a|f|{}", "b|f|{}"]),
        ("no index, interleaved by id", &["|a|f|{", "|b|g|{", "|a||}", "|b||}"], &["a|f|{}", "b|g|{}"]),
        ("no index, no id, other name", &["||f|{}", "||g|{}"], &["|f|{}", "|g|{}"]),
        ("no index, no id, same name", &["||f|{}", "||f|{\"y\":2}"], &["|f|{}", "|f|{\"y\":2}"]),
        ("no index, the name repeated", &["||f|{\"x\"", "||f|:1}"], &["|f|{\"x\":1}"]),
        ("one list of the same calls", &["||f|{}", "+||f|{}"], &["|f|{}", "|f|{}"]),
        (
            "the same index for two calls",
            &["0|a|f|{\"x\":1}", "0|b|f|{\"y\":2}"],
            &["a|f|{\"x\":1}", "b|f|{\"y\":2}"],
        ),
        (
            "the same index, in fragments",
            &["0|a|f|", "0|||{}", "0|b|g|", "0|||{\"y\":2}"],
            &["a|f|{}", "b|g|{\"y\":2}"],
        ),
        ("the same index, no arguments", &["0|a|f|", "0|b|f|"], &["a|f|", "b|f|"]),
        // Ids and names.
        ("id and name repeated", &["0|a|f|{\"x\"", "0|a|f|:1}"], &["a|f|{\"x\":1}"]),
        ("a fresh id for every fragment", &["0|a|f|{\"x\"", "0|b||:", "0|c||1}"], &["a|f|{\"x\":1}"]),
        ("a fresh id and the name each time", &["0|a|f|{\"x\"", "0|b|f|:1}"], &["a|f|{\"x\":1}"]),
        ("the id comes later", &["0||f|", "0|a||{}"], &["a|f|{}"]),
        ("the name comes later", &["0|a||", "0||f|{}"], &["a|f|{}"]),
        ("the id comes later, no index", &["||f|", "|a||{}"], &["a|f|{}"]),
        ("a name in pieces", &["0|a|get_|", "0||wea|", "0||ther|{}"], &["a|get_weather|{}"]),
        ("a name that grows", &["0|a|get_wea|", "0||get_weather|{}"], &["a|get_weather|{}"]),
        ("two names that make none", &["0|a|get_|{}", "0||time|{}"], &["a|get_|{}", "|time|{}"]),
        ("empty fragments", &["0|||", "|||", "0|a|f|{}", "0|||", "|||"], &["a|f|{}"]),
        ("arguments without a call", &["0|||{}"], &["||{}"]),
        // After a complete object.
        ("a value, repeated", &["0|a|f|={}", "0|a|f|={}"], &["a|f|{}"]),
        ("a value, and its text", &["0|a|f|={\"x\":1}", "0|||{ \"x\": 1 }"], &["a|f|{\"x\":1}"]),
        ("a text, and its value", &["0|a|f|{\"x\":1}", "0|||={\"x\":1}"], &["a|f|{\"x\":1}"]),
        ("the arguments again", &["0|a|f|", "0|||{\"x\":1}", "0|||{\"x\":1}"], &["a|f|{\"x\":1}"]),
        (
            "the arguments again, in pieces",
            &["0|a|f|{\"x\":1}", "0|||{\"x", "0|||\":1}", "0|||{\"x\":1}"],
            &["a|f|{\"x\":1}"],
        ),
        ("the whole call again", &["0|a|f|{\"x\":1}", "0|a|f|{\"x\":1}"], &["a|f|{\"x\":1}"]),
        ("the whole call again, no id", &["0||f|{\"x\":1}", "0||f|{\"x\":1}"], &["|f|{\"x\":1}"]),
        ("twice in one fragment", &["0|a|f|{\"x\":1}{\"x\":1}"], &["a|f|{\"x\":1}"]),
        ("its head again", &["0|a|f|{\"x\":1}", "0|a|f|", "0|a|f|"], &["a|f|{\"x\":1}"]),
        ("`{}` holds the place", &["0|a|f|{}", "0|||{\"x\":", "0|||1}"], &["a|f|{\"x\":1}"]),
        ("`{}` holds the place of a value", &["0|a|f|={}", "0|a|f|={\"x\":1}"], &["a|f|{\"x\":1}"]),
        ("`{}` alone", &["0|a|f|{}", "0|||"], &["a|f|{}"]),
        ("another object, named", &["|a|f|{\"x\":1}", "|a|f|{\"x\":2}"], &["a|f|{\"x\":1}", "|f|{\"x\":2}"]),
        (
            "another object, named, in pieces",
            &["|a|f|{\"x\":1}", "|a|f|", "|||{\"x\":", "|||2}"],
            &["a|f|{\"x\":1}", "|f|{\"x\":2}"],
        ),
        (
            "two values under one index",
            &["0||f|={\"x\":1}", "0||f|={\"x\":2}"],
            &["|f|{\"x\":1}", "|f|{\"x\":2}"],
        ),
        ("another object, no name", &["0|a|f|{\"x\":1}", "0|||{\"x\":2}"], &["a|f|{\"x\":1}{\"x\":2}"]),
        ("no object", &["0|a|f|{\"x\":1}", "0|||<|end|>"], &["a|f|{\"x\":1}<|end|>"]),
        // One id under several indexes.
        (
            "one call at several indexes",
            &["0|a|f|", "0|a||{\"x\":1}", "1|a|f|", "1|a||{\"x\":1}", "2|a|f|{\"x\":1}", "3|b|g|{}"],
            &["a|f|{\"x\":1}", "b|g|{}"],
        ),
        (
            "one call at several indexes, interleaved",
            &["0|a|f|", "1|a|f|", "0|||{\"x\":1}", "1|||{\"x\":1}"],
            &["a|f|{\"x\":1}"],
        ),
        (
            "two calls under one id",
            &["0|a|f|{\"x\":1}", "1|a|f|{\"x\":2}", "2|a|f|{\"x\":2}"],
            &["a|f|{\"x\":1}", "|f|{\"x\":2}"],
        ),
        ("two tools under one id", &["0|a|f|{}", "1|a|g|", "1|||{\"x\":2}"], &["a|f|{}", "|g|{\"x\":2}"]),
        // The text so far, each time.
        (
            "fragments that repeat all before",
            &["0|a|f|{\"ci", "0|||{\"city\":\"Pa", "0|||{\"city\":\"Paris\"}"],
            &["a|f|{\"city\":\"Paris\"}"],
        ),
    ];
    for (name, fragments, want) in cases {
        let (calls, deltas) = assemble(fragments);
        assert_eq!(&calls, want, "{name}");
        let deltas_are_the_calls = !name.contains("repeat all before") && !name.contains("one fragment");
        if deltas_are_the_calls {
            let with_sent_id = |call: &String| call.split_once('|').map(|(_, rest)| rest.to_owned());
            let rest = |calls: &[String]| calls.iter().filter_map(with_sent_id).collect::<Vec<_>>();
            assert_eq!(rest(&deltas), rest(&calls), "{name}: the deltas");
        }
    }
}

#[test]
fn deltas_have_id_and_name_once() {
    let (mut assembler, tools) = (Assembler::default(), tools());
    let first = assembler.push(fragment("0|a|f|{"), &tools).unwrap();
    let second = assembler.push(fragment("0|a|f|}"), &tools).unwrap();
    assert_eq!((first.position, first.id.as_deref(), first.name.as_deref()), (0, Some("a"), Some("f")));
    assert_eq!((second.position, second.id, second.name), (0, None, None));
    assert_eq!(second.arguments, "}");
}

#[test]
fn the_input_of_a_custom_tool_is_never_complete() {
    let mut assembler = Assembler::default();
    for text in ["{}", "{}", "x"] {
        let piece = Piece { text: text.into(), written: text, at: None };
        let fragment = Fragment {
            index: Index::Number(0),
            name: "sql".into(),
            arguments: Some(piece),
            is_custom: true,
            ..Fragment::default()
        };
        assembler.push(fragment, &Tools::default());
    }
    assert_eq!(assembler.calls()[0].arguments, "{}{}x");
}
