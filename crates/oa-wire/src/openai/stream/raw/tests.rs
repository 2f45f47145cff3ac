//! The `raw` of a stream.

use super::*;
use serde_json::{Value, json};

const EMPTY: RawLog = RawLog {
    bytes: String::new(),
    names: Vec::new(),
    values: Vec::new(),
    parts: Vec::new(),
    index: None,
    is_list: false,
    has_content: true,
    has_refusal: false,
    reasoning_names: 0,
};

fn assembled(log: RawLog, content: &str) -> Assembled {
    Assembled {
        log,
        content: content.to_owned(),
        reasoning: [const { String::new() }; 2],
        refusal: String::new(),
        calls: Vec::new(),
        function_call: None,
        has_answer: true,
    }
}

fn rendered(log: RawLog, content: &str) -> Value {
    serde_json::from_slice(&assembled(log, content).render()).unwrap()
}

#[test]
fn the_chunks_add_up_to_the_body() {
    let mut log = EMPTY;
    log.note_index(0);
    for (id, usage) in [("\"x\"", "null"), ("\"x\"", "{\"total_tokens\":1e999}")] {
        log.note(Scope::Root, "id", id);
        log.note(Scope::Root, "object", "\"chat.completion.chunk\"");
        log.note(Scope::Root, "usage", usage);
    }
    log.note(Scope::Delta(Owner::Answer), "role", "\"assistant\"");
    log.note(Scope::Delta(Owner::Answer), "name", "\"n\"");
    log.note(Scope::Delta(Owner::Answer), "name", "\"n\"");
    for token in ["{\"content\":[{\"token\":\"a\"}]}", "null", "{\"content\":[{\"token\":\"b\"}]}"] {
        log.note(Scope::Choice(Owner::Answer), "logprobs", token);
    }
    log.note(Scope::Choice(Owner::Answer), "finish_reason", "null");
    log.note(Scope::Choice(Owner::Answer), "finish_reason", "\"stop\"");
    log.note(Scope::Delta(Owner::Other(1)), "content", "\"x\"");
    log.note(Scope::Delta(Owner::Other(1)), "content", "\"x\"");
    let text = String::from_utf8(assembled(log, "ab").render()).unwrap();
    assert!(text.contains(r#""usage":{"total_tokens":1e999}"#), "{text}");
    let value = Reader::new(&text).value().unwrap();
    assert_eq!(value["object"], "chat.completion");
    assert_eq!(
        value["choices"],
        json!([
            {"index": 0, "message": {"role": "assistant", "name": "n", "content": "ab"},
             "logprobs": {"content": [{"token": "a"}, {"token": "b"}]}, "finish_reason": "stop"},
            {"index": 1, "message": {"content": "xx"}},
        ])
    );
}

#[test]
fn a_member_that_changes_every_time_does_not_grow() {
    let mut log = EMPTY;
    for at in 100_000..100_500 {
        log.note(Scope::Root, "created", &at.to_string());
        log.note(Scope::Choice(Owner::Answer), "at", &at.to_string());
    }
    assert!(log.bytes.len() < 48 && log.values.len() == 2, "{}", log.bytes.len());
    let value = rendered(log, "");
    assert_eq!((&value["created"], &value["choices"][0]["at"]), (&json!(100_499), &json!(100_499)));
}

#[test]
fn a_placeholder_replaces_nothing() {
    let mut log = EMPTY;
    let values =
        [("id", "\"c\"", "\"\""), ("created", "7", "0"), ("cost", "7", "0"), ("v", "{\"a\":1}", "{}")];
    for (key, value, later) in values {
        log.note(Scope::Root, key, value);
        log.note(Scope::Root, key, later);
        log.note(Scope::Root, key, "null");
    }
    let value = rendered(log, "");
    let got = ["id", "created", "cost", "v"].map(|key| value[key].clone());
    assert_eq!(got, [json!("c"), json!(7), json!(0), json!({"a": 1})]);
}

#[test]
fn members_in_pieces_are_joined_and_labels_are_not() {
    let mut log = EMPTY;
    let detail = |text: &str| {
        json!([{"type": "reasoning.text", "text": text, "format": "v1", "signature": null, "index": 0}])
            .to_string()
    };
    log.note(Scope::Delta(Owner::Answer), "reasoning_details", &detail("a"));
    log.note(Scope::Delta(Owner::Answer), "reasoning_details", &detail("b"));
    log.note(Scope::Delta(Owner::Answer), "audio", r#"{"id":"i","transcript":"x","expires_at":1}"#);
    log.note(Scope::Delta(Owner::Answer), "audio", r#"{"id":"i","transcript":"y","expires_at":2}"#);
    let message = rendered(log, "")["choices"][0]["message"].clone();
    assert_eq!(message["reasoning_details"], serde_json::from_str::<Value>(&detail("ab")).unwrap());
    assert_eq!(message["audio"], json!({"id": "i", "transcript": "xy", "expires_at": 2}));
}

#[test]
fn parts_that_are_no_text_stand_where_they_came() {
    let mut log = EMPTY;
    log.note_part(0, 1, None);
    log.note_part(1, 1, Some(r#"{"type":"reference","ids":[1]}"#));
    log.note_part(1, 2, Some(r#"{"type":"text","text":"b","note":1}"#));
    let content = rendered(log, "abc")["choices"][0]["message"]["content"].clone();
    assert_eq!(
        content,
        json!([{"type": "text", "text": "a"}, {"type": "reference", "ids": [1]},
               {"type": "text", "text": "b", "note": 1}, {"type": "text", "text": "c"}])
    );
}
