//! The body of a request as it is written.

use crate::json::push_text;
use serde_json::Value;
use std::ops::Range;

/// The members that the mapping itself writes.
const NAMES: [&str; 16] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "structured_outputs",
    "json_schema",
    "stream",
    "stream_options",
    "temperature",
    "max_tokens",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "stop",
];

/// The place of a name among [`NAMES`].
#[derive(Clone, Copy)]
pub(super) struct Member(usize);

impl Member {
    /// The member of this name. In a constant, so that a name that is not in the list does not compile.
    pub(super) const fn named(name: &str) -> Self {
        let mut at = 0;
        while at < NAMES.len() {
            if is_equal(NAMES[at].as_bytes(), name.as_bytes()) {
                return Self(at);
            }
            at += 1;
        }
        panic!("the name is not in the list of members");
    }
}

const fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The bytes so far, and where in them the values of members lie.
pub(super) struct RequestBody {
    pub(super) out: Vec<u8>,
    values: [Range<usize>; NAMES.len()],
}

impl RequestBody {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity), values: std::array::from_fn(|_| 0..0) }
    }

    /// Writes a member of the mapping's own.
    #[inline]
    pub(super) fn member(&mut self, member: Member, value: impl FnOnce(&mut Vec<u8>)) {
        self.key(NAMES[member.0]);
        let from = self.out.len();
        value(&mut self.out);
        self.values[member.0] = from..self.out.len();
    }

    /// Writes the key of any other member; its value is to follow.
    #[inline]
    pub(super) fn key(&mut self, name: &str) {
        self.out.push(if self.out.is_empty() { b'{' } else { b',' });
        push_text(&mut self.out, name);
        self.out.push(b':');
    }

    /// The value that the mapping wrote for the member of this name.
    pub(super) fn written(&self, name: &str) -> Option<Value> {
        let at = NAMES.iter().position(|known| *known == name)?;
        let range = self.values[at].clone();
        (!range.is_empty()).then(|| serde_json::from_slice(&self.out[range]).ok()).flatten()
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}
