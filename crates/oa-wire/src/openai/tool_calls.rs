//! Fragments of tool calls to whole calls: which fragment belongs to which call.
//!
//! Servers disagree on everything here, so the rule is one state machine. The calls are kept in the order in which
//! they began. A fragment goes
//!
//! 1. by `index`: to the latest call of that index;
//! 2. without one, by `id`: to the call of that id;
//! 3. without either, by `name`: to the open call (the last one touched), if that has the same name or none yet;
//! 4. with none of them: to the open call.
//!
//! It begins a new call instead
//!
//! - when there is no such call;
//! - when it names another tool than the call has: two calls share an index, or none has one;
//! - when it brings another id, and either a name or a call whose arguments are complete: likewise. Another id alone,
//!   in the middle of the arguments, is a server that makes a fresh id for every fragment;
//! - when it repeats the name without an id, and the call's arguments are complete.
//!
//! An id and a name are set once: a repeated one is never appended, an empty or null one counts as absent. Only
//! fragments that say something begin a call, so gaps between indexes make none.

use crate::{TextDelta, ToolCallDelta, json::Reader};

/// One fragment, as a chunk has it. Empty texts count as absent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fragment<'a> {
    pub(super) index: Option<u64>,
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// The next piece of the arguments' text, or all of them as JSON.
    pub(super) arguments: &'a str,
    /// The arguments came as a JSON value of their own, not as a text: they are whole.
    pub(super) whole: bool,
}

/// A call as it was sent: nothing is parsed or checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RawCall {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
}

/// Puts fragments together.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    calls: Vec<Call>,
    /// The call that was touched last.
    open: usize,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    raw: RawCall,
    whole: bool,
}

impl Assembler {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Takes a fragment; none when it says nothing.
    pub(super) fn push(&mut self, fragment: Fragment<'_>) -> Option<ToolCallDelta> {
        let known = self.find(&fragment).filter(|&at| !self.calls[at].is_over_before(&fragment));
        let at = match known {
            Some(at) => at,
            None if fragment.says_nothing() => return None,
            None => {
                self.calls.push(Call { index: fragment.index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        self.open = at;
        let call = &mut self.calls[at];
        let set = |field: &mut String, text: &str| {
            let first = field.is_empty() && !text.is_empty();
            if first {
                field.push_str(text);
            }
            first.then(|| TextDelta::from(text))
        };
        let id = set(&mut call.raw.id, fragment.id);
        let name = set(&mut call.raw.name, fragment.name);
        // The same whole arguments again are a repetition, as with the id and the name.
        let repeated = call.whole && fragment.whole;
        let arguments = if repeated { "" } else { fragment.arguments };
        call.raw.arguments.push_str(arguments);
        call.whole |= fragment.whole;
        Some(ToolCallDelta::new(at, id, name, TextDelta::from(arguments)))
    }

    /// The calls: by index where every one has its own, else in the order in which they began.
    pub(super) fn calls(&self) -> Vec<RawCall> {
        let mut calls: Vec<&Call> = self.calls.iter().collect();
        let mut indexes: Vec<_> = calls.iter().filter_map(|call| call.index).collect();
        indexes.sort_unstable();
        indexes.dedup();
        if indexes.len() == calls.len() {
            calls.sort_by_key(|call| call.index);
        }
        calls.into_iter().map(|call| call.raw.clone()).collect()
    }

    fn find(&self, fragment: &Fragment<'_>) -> Option<usize> {
        if fragment.index.is_some() {
            return self.calls.iter().rposition(|call| call.index == fragment.index);
        }
        let open = (!self.calls.is_empty()).then_some(self.open);
        if fragment.id.is_empty() {
            return open;
        }
        let by_id = self.calls.iter().rposition(|call| call.raw.id == fragment.id);
        by_id.or_else(|| open.filter(|&at| self.calls[at].raw.id.is_empty()))
    }
}

impl Call {
    /// Whether this fragment, which would be the call's by its place, begins another.
    fn is_over_before(&self, fragment: &Fragment<'_>) -> bool {
        let other_id = !fragment.id.is_empty() && !self.raw.id.is_empty() && fragment.id != self.raw.id;
        let same_id = !fragment.id.is_empty() && fragment.id == self.raw.id;
        let named = !fragment.name.is_empty();
        let other_name = named && !self.raw.name.is_empty() && fragment.name != self.raw.name;
        if other_name {
            return true;
        }
        if other_id {
            return named && !self.is_under_way() || self.is_complete();
        }
        // A whole value after a whole value, under no id of its own, is the next call unless it says the same.
        let another_whole = self.whole && fragment.whole && fragment.arguments != self.raw.arguments;
        !same_id
            && (another_whole
                || (named && !self.raw.name.is_empty() && !fragment.whole && self.is_complete()))
    }

    /// Some of the arguments came, but not all.
    fn is_under_way(&self) -> bool {
        !self.raw.arguments.is_empty() && !self.is_complete()
    }

    /// The arguments are a whole JSON value.
    fn is_complete(&self) -> bool {
        let mut reader = Reader::new(&self.raw.arguments);
        reader.skip().and_then(|()| reader.end()).is_ok()
    }
}

impl Fragment<'_> {
    fn says_nothing(&self) -> bool {
        self.id.is_empty() && self.name.is_empty() && self.arguments.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `index|id|name|arguments`, each may be empty; `=` before the arguments: a JSON value of its own.
    fn fragment(text: &str) -> Fragment<'_> {
        let mut parts = text.splitn(4, '|');
        let mut next = || parts.next().unwrap_or_default();
        let (index, id, name, arguments) = (next(), next(), next(), next());
        Fragment {
            index: index.parse().ok(),
            id,
            name,
            arguments: arguments.strip_prefix('=').unwrap_or(arguments),
            whole: arguments.starts_with('='),
        }
    }

    fn assemble(fragments: &[&str]) -> Vec<String> {
        let mut assembler = Assembler::default();
        for text in fragments {
            assembler.push(fragment(text));
        }
        let calls = assembler.calls();
        calls.into_iter().map(|call| format!("{}|{}|{}", call.id, call.name, call.arguments)).collect()
    }

    #[test]
    fn the_state_machine_in_a_table() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("as OpenAI sends it", &["0|a|f|", "0|||{\"x\":", "0|||1}"], &["a|f|{\"x\":1}"]),
            (
                "interleaved by index",
                &["0|a|f|", "1|b|g|", "0|||{\"x\"", "1|||{}", "0|||:1}"],
                &["a|f|{\"x\":1}", "b|g|{}"],
            ),
            ("sorted by index", &["1|b|g|{}", "0|a|f|{}"], &["a|f|{}", "b|g|{}"]),
            ("a gap makes no call", &["0|a|f|{}", "3|b|g|{}"], &["a|f|{}", "b|g|{}"]),
            ("no index, fragments follow", &["|a|f|", "|||{\"x\":", "|||1}"], &["a|f|{\"x\":1}"]),
            ("no index, two whole calls", &["|a|f|{}", "|b|f|{}"], &["a|f|{}", "b|f|{}"]),
            ("no index, interleaved by id", &["|a|f|{", "|b|g|{", "|a||}", "|b||}"], &["a|f|{}", "b|g|{}"]),
            ("no index, no id, other name", &["||f|{}", "||g|{}"], &["|f|{}", "|g|{}"]),
            ("no index, no id, same name", &["||f|{}", "||f|{\"y\":2}"], &["|f|{}", "|f|{\"y\":2}"]),
            ("no index, the name repeated", &["||f|{\"x\"", "||f|:1}"], &["|f|{\"x\":1}"]),
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
            ("the same index, no ids", &["0||f|{}", "0||f|{}"], &["|f|{}", "|f|{}"]),
            ("id and name repeated", &["0|a|f|{\"x\"", "0|a|f|:1}"], &["a|f|{\"x\":1}"]),
            ("a fresh id for every fragment", &["0|a|f|{\"x\"", "0|b||:", "0|c||1}"], &["a|f|{\"x\":1}"]),
            ("a fresh id and the name each time", &["0|a|f|{\"x\"", "0|b|f|:1}"], &["a|f|{\"x\":1}"]),
            ("the id comes later", &["0||f|", "0|a||{}"], &["a|f|{}"]),
            ("the name comes later", &["0|a||", "0||f|{}"], &["a|f|{}"]),
            ("the id comes later, no index", &["||f|", "|a||{}"], &["a|f|{}"]),
            ("empty fragments", &["0|||", "|||", "0|a|f|{}", "0|||", "|||"], &["a|f|{}"]),
            ("arguments as a value", &["0|a|f|={\"x\":1}"], &["a|f|{\"x\":1}"]),
            ("arguments as a value, repeated", &["0|a|f|={}", "0|a|f|={}"], &["a|f|{}"]),
            (
                "two values under one index",
                &["0||f|={\"x\":1}", "0||f|={\"x\":2}"],
                &["|f|{\"x\":1}", "|f|{\"x\":2}"],
            ),
            ("arguments without a call", &["0|||{}"], &["||{}"]),
        ];
        for (name, fragments, want) in cases {
            assert_eq!(&assemble(fragments), want, "{name}");
        }
    }

    #[test]
    fn deltas_tell_id_and_name_once() {
        let mut assembler = Assembler::default();
        let first = assembler.push(fragment("0|a|f|{")).unwrap();
        let second = assembler.push(fragment("0|a|f|}")).unwrap();
        assert_eq!((first.position, first.id.as_deref(), first.name.as_deref()), (0, Some("a"), Some("f")));
        assert_eq!((second.position, second.id, second.name), (0, None, None));
        assert_eq!(second.arguments, "}");
    }
}
