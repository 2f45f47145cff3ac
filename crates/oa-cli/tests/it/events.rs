//! `oa chat --json-events`: the records that scripts rely on.

use crate::support::{Ran, answering, chunk, oa_at, run, sim};
use oa_sim::{Answer, Piece, Reasoning, Sim};
use serde_json::{Value, json};

fn types(ran: &Ran) -> Vec<Value> {
    let mut types: Vec<Value> = ran.json_lines().iter().map(|line| line["type"].clone()).collect();
    types.dedup();
    types
}

#[test]
fn one_object_an_event_and_the_response_last() {
    let sim = Sim::builder().reasoning(Reasoning::Reasoning, "let me see").start_blocking().unwrap();
    let ran = run(&mut oa_at(&sim, ["chat", "a b", "--json-events"]));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(types(&ran), ["reasoning", "content", "usage", "done"]);
    let lines = ran.json_lines();
    let text = |kind| {
        let pieces = lines.iter().filter(|line| line["type"] == kind);
        pieces.map(|line| line["text"].as_str().unwrap()).collect::<String>()
    };
    assert_eq!((text("reasoning").as_str(), text("content").as_str()), ("let me see", "You said: a b"));
    let done = &lines.last().unwrap()["response"];
    assert_eq!(
        (&done["message"]["content"][1]["text"], &done["finish_reason"]),
        (&json!("You said: a b"), &json!("stop"))
    );
    assert_eq!(done["usage"], lines.iter().find(|line| line["type"] == "usage").unwrap()["usage"]);
}

#[test]
fn tool_calls_come_in_pieces_and_whole() {
    let delta = |call: Value| json!({"choices": [{"delta": {"tool_calls": [call]}}]});
    let sim = answering(Answer::events([
        delta(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\""}})),
        delta(json!({"index": 0, "function": {"arguments": ":1}"}})),
    ]));
    // Without a finish reason the call is surfaced, though it was not offered.
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--json-events"]));
    assert_eq!(
        (ran.code, types(&ran)),
        (0, ["tool_call_delta", "tool_call", "done"].map(Value::from).to_vec())
    );
    let lines = ran.json_lines();
    let first =
        json!({"type": "tool_call_delta", "position": 0, "id": "a", "name": "f", "arguments": "{\"x\""});
    assert_eq!(lines[0], first);
    assert_eq!(lines[1], json!({"type": "tool_call_delta", "position": 0, "arguments": ":1}"}));
    let call = &lines[2]["tool_call"];
    assert_eq!(
        (&call["id"], &call["name"], &call["arguments"]),
        (&json!("a"), &json!("f"), &json!({"x": 1}))
    );
    assert_eq!(&lines[3]["response"]["message"]["tool_calls"][0], call);
}

#[test]
fn an_invalid_answer_is_kept_in_the_error() {
    let call = json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}});
    let sim = answering(Answer::events([
        json!({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}),
    ]));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--json-events"]));
    assert_eq!((ran.code, types(&ran)), (15, ["tool_call_delta", "error"].map(Value::from).to_vec()));
    assert_eq!(ran.json_lines().pop().unwrap()["partial"]["message"]["tool_calls"][0]["name"], "f");
}

#[test]
fn an_error_is_the_last_event_and_keeps_what_came() {
    let sim = answering(Answer::stream([Piece::from(chunk("half")), Piece::Cut]));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--json-events"]));
    assert_eq!(ran.code, 11, "{ran:?}");
    assert_eq!(types(&ran), ["content", "error"]);
    let last = ran.json_lines().pop().unwrap();
    assert_eq!(last["error"]["category"], "provider_unavailable");
    assert_eq!(last["partial"]["message"]["content"], "half");
    assert!(ran.stderr.starts_with("oa: provider_unavailable: "), "{ran:?}");
}

#[test]
fn a_refusal_is_an_event_too() {
    let sim = sim();
    let ran = run(oa_at(&sim, ["chat", "hi", "--json-events"]).env("OA_MODEL", "wrong"));
    assert_eq!(ran.code, 12, "{ran:?}");
    let lines = ran.json_lines();
    assert_eq!((lines.len(), &lines[0]["error"]["category"]), (1, &json!("provider_invalid_model")));
}
