//! Calls as they were sent, and which of them are the same.

use crate::answer_checks::are_few_and_distinct;
use std::collections::{HashMap, HashSet};

/// A call as it was sent: nothing is parsed or checked yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that a server may do")]
pub(in super::super) struct RawCall {
    /// Its number among the fragments' calls.
    pub(in super::super) number: usize,
    pub(in super::super) id: String,
    pub(in super::super) name: String,
    pub(in super::super) arguments: String,
    /// The arguments came as an object or array of their own.
    pub(in super::super) is_value: bool,
    pub(in super::super) is_custom: bool,
    pub(in super::super) is_nested: bool,
    pub(in super::super) has_arguments: bool,
}

impl RawCall {
    pub(in super::super) fn says_nothing(&self) -> bool {
        self.id.is_empty() && self.name.is_empty() && self.arguments.is_empty()
    }
}

/// The calls without those that are sent again: equal id, name and arguments are one call.
pub(in super::super) fn distinct(calls: Vec<RawCall>) -> Vec<RawCall> {
    if are_few_and_distinct(&calls, |call| &call.id) {
        return calls;
    }
    let mut firsts: HashMap<String, usize> = HashMap::new();
    let mut seen: HashSet<(usize, String, String)> = HashSet::new();
    let mut is_again = vec![false; calls.len()];
    for at in 0..calls.len() {
        if calls[at].id.is_empty() {
            continue;
        }
        let first = *firsts.entry(calls[at].id.clone()).or_insert(at);
        if first == at {
            continue;
        }
        let key = |call: &RawCall| (first, call.name.clone(), canonical(&call.arguments));
        seen.insert(key(&calls[first]));
        let is_header = calls[at].name == calls[first].name && calls[at].arguments.trim_ascii().is_empty();
        if is_header || !seen.insert(key(&calls[at])) {
            is_again[at] = true;
        }
    }
    let kept = calls.into_iter().zip(is_again).filter(|(_, is_again)| !is_again);
    kept.map(|(call, _)| call).collect()
}

/// One text for all forms of a value.
fn canonical(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(value) => {
            let mut out = Vec::with_capacity(text.len());
            crate::json::push_sorted(&mut out, &value);
            String::from_utf8_lossy(&out).into_owned()
        }
        Err(_) => text.trim_ascii().to_owned(),
    }
}
