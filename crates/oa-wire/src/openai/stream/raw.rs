//! The `raw` of a stream: the body that the non-streaming call would have had.
//!
//! Members are kept as they were written, once for each new value, and put together when somebody reads them:
//! lists and objects of a choice joined, texts too where they come in pieces, else the last value. The text,
//! reasoning and calls of the answer are its own. A placeholder replaces nothing. A chunk that matched the
//! template brought nothing new.

mod join;

use super::super::tool_calls::RawCall;
use crate::{
    TokenLogprob,
    json::{Reader, push_text},
    measurements::read_logprobs,
    response::RawParts,
};
use join::{is_in_pieces, join_members};
use serde_json::Value;
use std::ops::Range;

/// More members of different names than this are not kept: no server has them, and finding one among them
/// takes time.
const MAX_NAMES: usize = 1024;

/// The names under which reasoning comes, as bits.
pub(super) const REASONING: u8 = 1;
pub(super) const REASONING_CONTENT: u8 = 2;
/// In parts of the content.
pub(super) const REASONING_PARTS: u8 = 4;

/// The number of the old `function_call` in the log.
pub(super) const FUNCTION_CALL: usize = usize::MAX;

/// Whose a choice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Answer,
    /// The choice of this index, which is not the answer's.
    Other(i64),
    /// A choice whose index cannot be read.
    Unknown,
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Root,
    Choice(Owner),
    Delta(Owner),
    /// A tool call of the answer, or its function.
    Call {
        number: usize,
        is_nested: bool,
    },
}

/// The members of all chunks.
#[derive(Clone, Debug, Default)]
pub(super) struct RawLog {
    bytes: String,
    names: Vec<Name>,
    values: Vec<(usize, Range<usize>)>,
    /// Parts of the content that are more than a text: which of its text is theirs, and how they are written.
    parts: Vec<(Range<usize>, Range<usize>)>,
    index: Option<i64>,
    /// The content came as a list.
    is_list: bool,
    pub(super) has_content: bool,
    pub(super) has_refusal: bool,
    pub(super) reasoning_names: u8,
}

#[derive(Clone, Debug)]
struct Name {
    scope: Scope,
    key: Range<usize>,
    last: Range<usize>,
    /// The place of the last value among the values.
    value: usize,
}

impl RawLog {
    /// Notes a member, as it is written.
    pub(super) fn note(&mut self, scope: Scope, key: &str, raw: &str) {
        let Some(at) = self.find(scope, key) else {
            self.add(scope, key, raw);
            return;
        };
        let last = &self.bytes[self.names[at].last.clone()];
        let is_text = raw.starts_with('"');
        let is_joined = scope != Scope::Root && (raw.starts_with(['[', '{']) || is_text && is_in_pieces(key));
        if raw == "null" || (raw == last && !is_joined) || is_placeholder(key, raw) {
            return;
        }
        if is_joined {
            let value = self.keep(raw);
            self.names[at].last = value.clone();
            self.names[at].value = self.values.len();
            self.values.push((at, value));
        } else {
            self.set(at, raw);
        }
    }

    /// Notes a member of a delta; true when a chunk that looks the same but for its text would bring
    /// something new again.
    pub(super) fn note_delta(&mut self, scope: Scope, key: &str, raw: &str) -> bool {
        self.note(scope, key, raw);
        let is_piece = raw.starts_with('"') && raw.len() > 2 && is_in_pieces(key);
        is_piece || raw.starts_with(['[', '{']) && raw.len() > 2
    }

    /// Notes a member that no chunk had before.
    pub(super) fn note_if_new(&mut self, scope: Scope, key: &str, raw: &str) {
        let is_new =
            self.find(scope, key).is_none_or(|at| &self.bytes[self.names[at].last.clone()] == "null");
        if is_new {
            self.note(scope, key, raw);
        }
    }

    /// Notes a member whose last value counts, whatever it is.
    pub(super) fn replace(&mut self, scope: Scope, key: &str, raw: &str) {
        match self.find(scope, key) {
            Some(at) => self.set(at, raw),
            None => self.add(scope, key, raw),
        }
    }

    /// Notes a part of the content, whose text is this range of it; none where it is no more than the text.
    pub(super) fn note_part(&mut self, from: usize, to: usize, part: Option<&str>) {
        self.is_list = true;
        self.has_content = true;
        if let Some(raw) = part {
            let raw = self.keep(raw);
            self.parts.push((from..to, raw));
        }
    }

    /// Notes the number of the answer's choice: the first counts.
    pub(super) fn note_index(&mut self, index: i64) {
        self.index.get_or_insert(index);
    }

    fn find(&self, scope: Scope, key: &str) -> Option<usize> {
        self.names.iter().position(|name| name.scope == scope && self.bytes[name.key.clone()] == *key)
    }

    fn add(&mut self, scope: Scope, key: &str, raw: &str) {
        if self.names.len() == MAX_NAMES {
            return;
        }
        let key = self.keep(key);
        let last = self.keep(raw);
        self.values.push((self.names.len(), last.clone()));
        self.names.push(Name { scope, key, last, value: self.values.len() - 1 });
    }

    /// Puts a value in the place of the last one, also of its bytes where it fits.
    fn set(&mut self, at: usize, raw: &str) {
        let old = self.names[at].last.clone();
        let new = old.start..old.start + raw.len();
        let fits = new.end <= old.end && self.bytes.is_char_boundary(new.end);
        let new = if fits {
            self.bytes.replace_range(new.clone(), raw);
            new
        } else {
            self.keep(raw)
        };
        let value = self.names[at].value;
        self.values[value].1 = new.clone();
        self.names[at].last = new;
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

    /// A member of the answer's deltas, its values joined.
    pub(super) fn joined_delta(&self, key: &str) -> Option<Value> {
        let scope = Scope::Delta(Owner::Answer);
        self.find(scope, key)?;
        let (_, values) = self.members(scope).find(|(name, _)| *name == key)?;
        let values = values.into_iter().filter_map(|raw| Reader::new(raw).value().ok());
        Some(join_members(key, values))
    }

    /// The choices that are not the answer's, in the order in which they came.
    fn others(&self) -> Vec<Owner> {
        let mut others = Vec::new();
        for name in &self.names {
            if let Scope::Choice(owner) | Scope::Delta(owner) = name.scope {
                if owner != Owner::Answer && !others.contains(&owner) {
                    others.push(owner);
                }
            }
        }
        others
    }
}

/// True for what servers write where they have no value: it replaces nothing that was sent.
fn is_placeholder(key: &str, raw: &str) -> bool {
    matches!(raw, "\"\"" | "{}" | "[]") || raw == "0" && key == "created"
}

/// The members of all chunks, and the parts of the answer.
#[derive(Clone)]
pub(super) struct Assembled {
    pub(super) log: RawLog,
    pub(super) content: String,
    /// Under each of its names.
    pub(super) reasoning: [String; 2],
    pub(super) refusal: String,
    pub(super) calls: Vec<RawCall>,
    pub(super) function_call: Option<RawCall>,
    /// A choice of the answer came, not only others.
    pub(super) has_answer: bool,
}

impl RawParts for Assembled {
    fn render(&self) -> Vec<u8> {
        let mut choices = self.log.others();
        if self.has_answer || choices.is_empty() {
            choices.push(Owner::Answer);
        }
        // Where none has the index 0, the answer is the first, here too.
        let answer = if self.has_answer { Some(Owner::Answer) } else { choices.first().copied() };
        choices.sort_by_key(|&owner| {
            let index = self.index(owner).unwrap_or(i64::MAX);
            (index != 0, Some(owner) != answer, index)
        });
        self.rendered(&choices)
    }

    fn logprobs(&self) -> Vec<TokenLogprob> {
        let first = self.log.others().first().copied().filter(|_| !self.has_answer);
        let scope = Scope::Choice(first.unwrap_or(Owner::Answer));
        let mut found = Vec::new();
        if let Some((_, values)) = self.log.members(scope).find(|(name, _)| *name == "logprobs") {
            for raw in values {
                // It was read as JSON before.
                let read = read_logprobs(&mut Reader::new(raw), &mut found);
                debug_assert!(read.is_ok(), "{read:?}");
            }
        }
        found
    }
}

impl Assembled {
    /// The body with no choice but the first that came, where none of the answer came.
    pub(super) fn render_first(&self) -> Option<Vec<u8>> {
        let first = self.log.others().first().copied().filter(|_| !self.has_answer)?;
        Some(self.rendered(&[first]))
    }

    fn rendered(&self, choices: &[Owner]) -> Vec<u8> {
        let mut out = Object::new(self.log.bytes.len() + 2 * self.content.len() + 128);
        for name in self.log.names.iter().filter(|name| name.scope == Scope::Root) {
            let key = &self.log.bytes[name.key.clone()];
            match &self.log.bytes[name.last.clone()] {
                // It is what the non-streaming call would have had.
                "\"chat.completion.chunk\"" if key == "object" => out.raw(key, "\"chat.completion\""),
                raw => out.raw(key, raw),
            }
        }
        out.key("choices");
        out.bytes.push(b'[');
        for (at, &owner) in choices.iter().enumerate() {
            if at > 0 {
                out.bytes.push(b',');
            }
            let choice = self.choice(owner);
            out.bytes.extend_from_slice(&choice);
        }
        out.bytes.push(b']');
        out.end()
    }

    /// The index of a choice, as far as it was sent.
    fn index(&self, owner: Owner) -> Option<i64> {
        match owner {
            Owner::Answer => self.log.index,
            Owner::Other(index) => Some(index),
            Owner::Unknown => None,
        }
    }

    fn choice(&self, owner: Owner) -> Vec<u8> {
        let mut out = Object::new(256);
        if let Some(index) = self.index(owner) {
            out.raw("index", &index.to_string());
        }
        out.key("message");
        let message = self.message(owner);
        out.bytes.extend_from_slice(&message);
        for (key, values) in self.log.members(Scope::Choice(owner)) {
            out.joined(key, &values);
        }
        out.end()
    }

    fn message(&self, owner: Owner) -> Vec<u8> {
        let mut out = Object::new(self.content.len() + 128);
        let names = ["reasoning", "reasoning_content"];
        let is_own = |key: &str| match key {
            "content" => self.log.has_content,
            "refusal" => self.log.has_refusal,
            "reasoning" => self.log.reasoning_names & REASONING != 0,
            "reasoning_content" => self.log.reasoning_names & (REASONING << 1) != 0,
            "tool_calls" => !self.calls.is_empty(),
            "function_call" => self.function_call.is_some(),
            _ => false,
        };
        for (key, values) in self.log.members(Scope::Delta(owner)) {
            if owner != Owner::Answer || !is_own(key) {
                out.joined(key, &values);
            }
        }
        if owner != Owner::Answer {
            return out.end();
        }
        if self.log.has_content {
            self.push_content(&mut out);
        }
        for (at, key) in names.into_iter().enumerate() {
            if is_own(key) {
                out.text(key, &self.reasoning[at]);
            }
        }
        if self.log.has_refusal {
            out.text("refusal", &self.refusal);
        }
        if let Some(call) = &self.function_call {
            let mut function = Object::new(64);
            self.push_function(&mut function, call, FUNCTION_CALL, false);
            out.object("function_call", function);
        }
        if !self.calls.is_empty() {
            out.key("tool_calls");
            out.bytes.push(b'[');
            for (at, call) in self.calls.iter().enumerate() {
                if at > 0 {
                    out.bytes.push(b',');
                }
                let call = self.call(call);
                out.bytes.extend_from_slice(&call);
            }
            out.bytes.push(b']');
        }
        out.end()
    }

    /// The content: a text, or a list where it came as one.
    fn push_content(&self, out: &mut Object) {
        if !self.log.is_list {
            out.text("content", &self.content);
            return;
        }
        out.key("content");
        out.bytes.push(b'[');
        let mut from = 0;
        let mut is_first = true;
        let mut comma = |out: &mut Object| {
            if !std::mem::take(&mut is_first) {
                out.bytes.push(b',');
            }
        };
        let text = |out: &mut Object, text: &str| {
            let mut part = Object::new(text.len() + 32);
            part.text("type", "text");
            part.text("text", text);
            out.bytes.extend_from_slice(&part.end());
        };
        for (of, raw) in &self.log.parts {
            if let Some(before) = self.content.get(from..of.start).filter(|before| !before.is_empty()) {
                comma(out);
                text(out, before);
            }
            comma(out);
            out.bytes.extend_from_slice(self.log.bytes[raw.clone()].as_bytes());
            from = of.end;
        }
        if let Some(rest) = self.content.get(from..).filter(|rest| !rest.is_empty()) {
            comma(out);
            text(out, rest);
        }
        out.bytes.push(b']');
    }

    fn call(&self, call: &RawCall) -> Vec<u8> {
        let mut out = Object::new(128);
        if !call.id.is_empty() {
            out.text("id", &call.id);
        }
        for (key, values) in self.log.members(Scope::Call { number: call.number, is_nested: false }) {
            out.joined(key, &values);
        }
        if call.is_nested {
            let mut function = Object::new(64);
            self.push_function(&mut function, call, call.number, true);
            out.object(if call.is_custom { "custom" } else { "function" }, function);
        } else {
            self.push_named(&mut out, call);
        }
        out.end()
    }

    fn push_function(&self, out: &mut Object, call: &RawCall, number: usize, is_nested: bool) {
        self.push_named(out, call);
        for (key, values) in self.log.members(Scope::Call { number, is_nested }) {
            out.joined(key, &values);
        }
    }

    #[expect(clippy::unused_self, reason = "beside the others that render")]
    fn push_named(&self, out: &mut Object, call: &RawCall) {
        if !call.name.is_empty() {
            out.text("name", &call.name);
        }
        if call.has_arguments {
            let key = if call.is_custom { "input" } else { "arguments" };
            if call.is_value {
                out.raw(key, &call.arguments);
            } else {
                out.text(key, &call.arguments);
            }
        }
    }
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

    fn object(&mut self, key: &str, object: Self) {
        self.key(key);
        self.bytes.extend_from_slice(&object.end());
    }

    /// One value as it is written; several joined.
    fn joined(&mut self, key: &str, values: &[&str]) {
        match values {
            [] => self.raw(key, "null"),
            [value] => self.raw(key, value),
            values => {
                let parsed = values.iter().filter_map(|raw| Reader::new(raw).value().ok());
                let value = join_members(key, parsed);
                self.raw(key, &value.to_string());
            }
        }
    }

    fn end(mut self) -> Vec<u8> {
        self.bytes.push(b'}');
        self.bytes
    }
}

#[cfg(test)]
mod tests;
