//! What the chunks of one stream have in common around their text.
//!
//! Nearly all chunks of a stream are the same bytes but for one short text. Such a chunk need not be read again:
//! comparing what stands before and after the text, and reading the text, costs a fraction of a parse. Any other
//! chunk is read whole, and remembered if only its text was new.

use crate::json::{scan_text, unescape};
use std::{borrow::Cow, ops::Range};

/// Where in a chunk the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Content,
    Reasoning,
    /// The arguments of a tool call, in a fragment that says nothing else but its index.
    Arguments {
        index: Option<u64>,
    },
}

/// The last chunk that was read whole and said nothing but a text.
#[derive(Debug)]
pub(super) struct Memo {
    place: Place,
    /// What stands before the text, up to its opening quote. Empty: nothing is remembered.
    before: Vec<u8>,
    /// What stands behind it, from its closing quote on.
    after: Vec<u8>,
}

impl Default for Memo {
    fn default() -> Self {
        Self { place: Place::Content, before: Vec::new(), after: Vec::new() }
    }
}

impl Memo {
    /// The text of a chunk that is the remembered one but for its text.
    #[inline]
    pub(super) fn recall<'a>(&self, data: &'a [u8]) -> Option<(Place, Cow<'a, str>)> {
        if self.before.is_empty() {
            return None;
        }
        let rest = data.strip_prefix(&self.before[..])?;
        let (end, escaped) = scan_text(rest, 0).ok()?;
        if rest[end..] != self.after[..] {
            return None;
        }
        let text = std::str::from_utf8(&rest[..end]).ok()?;
        let text = if escaped { Cow::Owned(unescape(text)) } else { Cow::Borrowed(text) };
        Some((self.place, text))
    }

    /// Remembers nothing.
    pub(super) fn forget(&mut self) {
        self.before.clear();
    }

    /// Remembers a chunk whose text stands in this range.
    pub(super) fn learn(&mut self, place: Place, data: &[u8], text: Range<usize>) {
        self.place = place;
        self.before.clear();
        self.before.extend_from_slice(&data[..text.start]);
        self.after.clear();
        self.after.extend_from_slice(&data[text.end..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memo() -> Memo {
        let mut memo = Memo::default();
        memo.learn(Place::Content, br#"{"a":"xy","b":1}"#, 6..8);
        memo
    }

    #[test]
    fn a_chunk_that_differs_in_its_text_alone_is_recalled() {
        let memo = memo();
        let text = |data: &[u8]| memo.recall(data).map(|(_, text)| text.into_owned());
        assert_eq!(text(br#"{"a":"","b":1}"#).as_deref(), Some(""));
        assert_eq!(text("{\"a\":\"\u{e9}\\n\\\"\",\"b\":1}".as_bytes()).as_deref(), Some("\u{e9}\n\""));
    }

    #[test]
    fn any_other_chunk_is_not() {
        let memo = memo();
        let others: [&[u8]; 7] = [
            br#"{"a":"x","b":2}"#,
            br#"{"c":"x","b":1}"#,
            br#"{"a":"x","b":1} "#,
            br#"{"a":"x"#,
            br#"{"a":null,"b":1}"#,
            b"{\"a\":\"\xff\",\"b\":1}",
            b"{\"a\":\"\n\",\"b\":1}",
        ];
        for other in others {
            assert_eq!(memo.recall(other), None, "{}", String::from_utf8_lossy(other));
        }
        assert_eq!(Memo::default().recall(b"{}"), None);
    }
}
