//! What a stream's chunks add up to, as the body that the atomic call would have had.
//!
//! Members are kept as they were written, once for each new value, and put together when somebody reads them: of
//! the root, the last value that is not null; of a choice, lists and objects joined, else the last; of a delta,
//! texts joined too. The text, reasoning and calls of choice 0 are the answer's own. A chunk that the memo
//! recalled brought nothing new.

use super::super::{decode::Parts, tool_calls::RawCall};
use crate::{
    json::{Reader, push_text},
    response::RawParts,
};
use serde_json::{Map, Value};
use std::ops::Range;

/// More members of different names than this are not kept: no server has them, and finding one among them takes
/// time.
const MAX_NAMES: usize = 256;

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Root,
    Choice(u64),
    Delta(u64),
}

/// The members of all chunks.
#[derive(Clone, Debug, Default)]
pub(super) struct RawLog {
    bytes: String,
    names: Vec<Name>,
    values: Vec<(usize, Range<usize>)>,
    reasoning: [bool; 2],
}

#[derive(Clone, Debug)]
struct Name {
    scope: Scope,
    key: Range<usize>,
    last: Range<usize>,
}

impl RawLog {
    /// Notes a member, as it is written.
    pub(super) fn note(&mut self, scope: Scope, key: &str, raw: &str) {
        let known =
            self.names.iter().position(|name| name.scope == scope && self.bytes[name.key.clone()] == *key);
        let at = match known {
            Some(at) => {
                let last = &self.bytes[self.names[at].last.clone()];
                let joined = scope != Scope::Root && raw.starts_with(['[', '{', '"']);
                if raw == "null" || (raw == last && !joined) {
                    return;
                }
                at
            }
            None if self.names.len() == MAX_NAMES => return,
            None => {
                let key = self.keep(key);
                self.names.push(Name { scope, key, last: 0..0 });
                self.names.len() - 1
            }
        };
        // The root's members do not add up: the last value takes the place of the one before, where it fits.
        let old = self.names[at].last.clone();
        let new = old.start..old.start + raw.len();
        let fits = new.end <= old.end && self.bytes.is_char_boundary(new.end);
        if scope == Scope::Root && known.is_some() && fits {
            self.bytes.replace_range(new.clone(), raw);
            self.names[at].last = new;
            return;
        }
        let value = self.keep(raw);
        self.names[at].last = value.clone();
        if scope != Scope::Root {
            self.values.push((at, value));
        }
    }

    /// Notes under which name reasoning came.
    pub(super) fn reasoning_as(&mut self, key: &str) {
        self.reasoning[usize::from(key == "reasoning_content")] = true;
    }

    /// With what the answer says, to be rendered later.
    pub(super) fn assemble(&self, parts: &Parts) -> Assembled {
        Assembled {
            log: self.clone(),
            content: parts.content.clone(),
            reasoning: parts.reasoning.clone(),
            calls: parts.calls.clone(),
        }
    }

    fn keep(&mut self, text: &str) -> Range<usize> {
        let from = self.bytes.len();
        self.bytes.push_str(text);
        from..self.bytes.len()
    }

    /// The members of this scope: their keys and their values in turn.
    fn members(&self, scope: Scope) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.names.iter().enumerate().filter(move |(_, name)| name.scope == scope).map(|(at, name)| {
            let values =
                self.values.iter().filter(|(of, _)| *of == at).map(|(_, value)| &self.bytes[value.clone()]);
            (&self.bytes[name.key.clone()], values.collect())
        })
    }

    fn choices(&self) -> Vec<u64> {
        let mut indexes: Vec<u64> = self
            .names
            .iter()
            .filter_map(|name| match name.scope {
                Scope::Root => None,
                Scope::Choice(index) | Scope::Delta(index) => Some(index),
            })
            .chain([0])
            .collect();
        indexes.sort_unstable();
        indexes.dedup();
        indexes
    }
}

/// The members of all chunks, and what the answer says.
pub(in super::super) struct Assembled {
    log: RawLog,
    content: String,
    reasoning: String,
    calls: Vec<RawCall>,
}

impl RawParts for Assembled {
    fn render(&self) -> Vec<u8> {
        let mut out = Object::new(self.log.bytes.len() + 2 * self.content.len() + 128);
        for name in self.log.names.iter().filter(|name| name.scope == Scope::Root) {
            let key = &self.log.bytes[name.key.clone()];
            match &self.log.bytes[name.last.clone()] {
                // It is what the atomic call would have had, and says so.
                "\"chat.completion.chunk\"" if key == "object" => out.raw(key, "\"chat.completion\""),
                raw => out.raw(key, raw),
            }
        }
        out.key("choices");
        out.bytes.push(b'[');
        for (at, index) in self.log.choices().into_iter().enumerate() {
            if at > 0 {
                out.bytes.push(b',');
            }
            let choice = self.choice(index);
            out.bytes.extend_from_slice(&choice);
        }
        out.bytes.push(b']');
        out.end()
    }
}

impl Assembled {
    fn choice(&self, index: u64) -> Vec<u8> {
        let mut out = Object::new(256);
        out.raw("index", &index.to_string());
        out.key("message");
        let message = self.message(index);
        out.bytes.extend_from_slice(&message);
        for (key, values) in self.log.members(Scope::Choice(index)) {
            out.joined(key, &values, false);
        }
        out.end()
    }

    fn message(&self, index: u64) -> Vec<u8> {
        let mut out = Object::new(self.content.len() + 128);
        for (key, values) in self.log.members(Scope::Delta(index)) {
            let joins = !matches!(key, "role" | "id" | "type");
            out.joined(key, &values, joins);
        }
        if index != 0 {
            return out.end();
        }
        if self.content.is_empty() && !self.calls.is_empty() {
            out.raw("content", "null");
        } else {
            out.text("content", &self.content);
        }
        for (sent, key) in self.log.reasoning.iter().zip(["reasoning", "reasoning_content"]) {
            if *sent {
                out.text(key, &self.reasoning);
            }
        }
        if !self.calls.is_empty() {
            out.key("tool_calls");
            out.bytes.push(b'[');
            for (at, call) in self.calls.iter().enumerate() {
                if at > 0 {
                    out.bytes.push(b',');
                }
                out.bytes.extend_from_slice(&render_call(call));
            }
            out.bytes.push(b']');
        }
        out.end()
    }
}

fn render_call(call: &RawCall) -> Vec<u8> {
    let mut function = Object::new(64);
    function.text("name", &call.name);
    function.text("arguments", &call.arguments);
    let mut out = Object::new(128);
    out.text("id", &call.id);
    out.text("type", "function");
    out.key("function");
    out.bytes.extend_from_slice(&function.end());
    out.end()
}

/// An object that is being written.
struct Object {
    bytes: Vec<u8>,
}

impl Object {
    fn new(capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(capacity);
        bytes.push(b'{');
        Self { bytes }
    }

    fn key(&mut self, key: &str) {
        if self.bytes.len() > 1 {
            self.bytes.push(b',');
        }
        push_text(&mut self.bytes, key);
        self.bytes.push(b':');
    }

    fn raw(&mut self, key: &str, raw: &str) {
        self.key(key);
        self.bytes.extend_from_slice(raw.as_bytes());
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        push_text(&mut self.bytes, text);
    }

    /// One value as it is written; several joined.
    fn joined(&mut self, key: &str, values: &[&str], texts: bool) {
        match values {
            [] => self.raw(key, "null"),
            [value] => self.raw(key, value),
            values => {
                let parsed = values.iter().filter_map(|raw| Reader::new(raw).value().ok());
                let value = parsed.reduce(|a, b| join(a, b, texts)).unwrap_or_default();
                self.raw(key, &value.to_string());
            }
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(b'}');
        self.bytes
    }
}

/// Joins two values of one member: lists one after the other (list members that carry an index by index), objects
/// by member, texts where they are pieces; else the later counts.
fn join(a: Value, b: Value, texts: bool) -> Value {
    match (a, b) {
        (a, Value::Null) => a,
        (Value::String(a), Value::String(b)) if texts => Value::String(a + &b),
        (Value::Array(mut a), Value::Array(b)) => {
            for element in b {
                let index = element.get("index").filter(|index| index.is_u64());
                let known =
                    index.and_then(|index| a.iter().position(|known| known.get("index") == Some(index)));
                match known {
                    Some(at) => a[at] = join(std::mem::take(&mut a[at]), element, true),
                    None => a.push(element),
                }
            }
            Value::Array(a)
        }
        (Value::Object(a), Value::Object(b)) => Value::Object(join_objects(a, b, texts)),
        (_, b) => b,
    }
}

fn join_objects(mut a: Map<String, Value>, b: Map<String, Value>, texts: bool) -> Map<String, Value> {
    for (key, value) in b {
        let texts = texts && !matches!(key.as_str(), "role" | "id" | "type" | "index" | "name");
        let joined = match a.remove(&key) {
            Some(known) => join(known, value, texts),
            None => value,
        };
        a.insert(key, joined);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(log: &RawLog, parts: &Parts) -> Value {
        serde_json::from_slice(&log.assemble(parts).render()).unwrap()
    }

    #[test]
    fn the_chunks_add_up_to_the_atomic_body() {
        let mut log = RawLog::default();
        for (id, usage) in [("\"x\"", "null"), ("\"x\"", "{\"total_tokens\":1e999}")] {
            log.note(Scope::Root, "id", id);
            log.note(Scope::Root, "object", "\"chat.completion.chunk\"");
            log.note(Scope::Root, "usage", usage);
        }
        log.note(Scope::Delta(0), "role", "\"assistant\"");
        log.note(Scope::Delta(0), "refusal", "\"no\"");
        log.note(Scope::Delta(0), "refusal", "\"no\"");
        for token in ["{\"content\":[{\"token\":\"a\"}]}", "null", "{\"content\":[{\"token\":\"b\"}]}"] {
            log.note(Scope::Choice(0), "logprobs", token);
        }
        log.note(Scope::Choice(0), "finish_reason", "null");
        log.note(Scope::Choice(0), "finish_reason", "\"stop\"");
        log.note(Scope::Delta(1), "content", "\"x\"");
        log.note(Scope::Delta(1), "content", "\"x\"");
        let parts = Parts { content: "ab".into(), ..Parts::default() };
        let text = String::from_utf8(log.assemble(&parts).render()).unwrap();
        assert!(text.contains(r#""usage":{"total_tokens":1e999}"#), "{text}");
        let value = Reader::new(&text).value().unwrap();
        assert_eq!(value["object"], "chat.completion");
        assert_eq!(
            value["choices"],
            json!([
                {"index": 0, "message": {"role": "assistant", "refusal": "nono", "content": "ab"},
                 "logprobs": {"content": [{"token": "a"}, {"token": "b"}]}, "finish_reason": "stop"},
                {"index": 1, "message": {"content": "xx"}},
            ])
        );
    }

    #[test]
    fn a_root_member_that_changes_every_time_does_not_grow() {
        let mut log = RawLog::default();
        for at in 100_000..100_500 {
            log.note(Scope::Root, "created", &at.to_string());
        }
        assert!(log.bytes.len() < 32, "{}", log.bytes.len());
        assert_eq!(rendered(&log, &Parts::default())["created"], 100_499);
    }

    #[test]
    fn tool_calls_of_another_choice_are_joined_by_index() {
        let mut log = RawLog::default();
        log.note(
            Scope::Delta(1),
            "tool_calls",
            r#"[{"index":0,"id":"a","function":{"name":"f","arguments":"{"}}]"#,
        );
        log.note(Scope::Delta(1), "tool_calls", r#"[{"index":0,"function":{"arguments":"}"}}]"#);
        let value = rendered(&log, &Parts::default());
        let call = &value["choices"][1]["message"]["tool_calls"][0];
        assert_eq!(*call, json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}));
    }
}
