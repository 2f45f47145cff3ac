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
    /// What stands before the text in the stream, from `data: ` up to the text's opening quote. Empty: nothing is
    /// remembered.
    before: Vec<u8>,
    /// What stands behind it, from its closing quote to the blank line.
    after: Vec<u8>,
}

/// How nearly all servers write an event.
const FIELD: &[u8] = b"data: ";
const BLANK: &[u8] = b"\n\n";

impl Default for Memo {
    fn default() -> Self {
        Self { place: Place::Content, before: Vec::new(), after: Vec::new() }
    }
}

impl Memo {
    /// The text of the event at the start of these bytes, if it is the remembered one but for its text, and the
    /// event's length.
    #[inline]
    pub(super) fn recall_event<'a>(&self, stream: &'a [u8]) -> Option<(Place, Cow<'a, str>, usize)> {
        let (text, end) = self.recall_between(stream, &self.before, &self.after)?;
        Some((self.place, text, end + self.after.len()))
    }

    /// The text of an event's data, if it is the remembered one but for its text.
    #[inline]
    pub(super) fn recall<'a>(&self, data: &'a [u8]) -> Option<(Place, Cow<'a, str>)> {
        let after = self.after.strip_suffix(BLANK)?;
        let (text, end) = self.recall_between(data, self.before.strip_prefix(FIELD)?, after)?;
        (data.len() == end + after.len()).then_some((self.place, text))
    }

    /// The text between these, and the offset of its end.
    #[inline]
    fn recall_between<'a>(
        &self,
        bytes: &'a [u8],
        before: &[u8],
        after: &[u8],
    ) -> Option<(Cow<'a, str>, usize)> {
        let from = before.len();
        if self.before.is_empty() || bytes.len() < from + after.len() || !bytes.starts_with(before) {
            return None;
        }
        let (end, escaped) = scan_text(bytes, from).ok()?;
        if !bytes[end..].starts_with(after) {
            return None;
        }
        let text = std::str::from_utf8(&bytes[from..end]).ok()?;
        Some((if escaped { Cow::Owned(unescape(text)) } else { Cow::Borrowed(text) }, end))
    }

    /// Remembers nothing.
    pub(super) fn forget(&mut self) {
        self.before.clear();
    }

    /// Remembers a chunk whose text stands in this range of its event's data.
    pub(super) fn learn(&mut self, place: Place, data: &[u8], text: Range<usize>) {
        self.place = place;
        self.before.clear();
        self.before.extend_from_slice(FIELD);
        self.before.extend_from_slice(&data[..text.start]);
        self.after.clear();
        self.after.extend_from_slice(&data[text.end..]);
        self.after.extend_from_slice(BLANK);
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
    fn an_event_is_recalled_with_its_length() {
        let stream = b"data: {\"a\":\"z\",\"b\":1}\n\ndata: more";
        let (_, text, length) = memo().recall_event(stream).unwrap();
        assert_eq!((&*text, &stream[length..]), ("z", &b"data: more"[..]));
        let others: [&[u8]; 4] = [
            b"data: {\"a\":\"z\",\"b\":1}\n",
            b"data: {\"a\":\"z\",\"b\":1}\r\n\r\n",
            b"data:{\"a\":\"z\",\"b\":1}\n\n",
            b"data: {\"a\":\"z\",\"b\":1} \n\n",
        ];
        for other in others {
            assert_eq!(memo().recall_event(other), None, "{}", String::from_utf8_lossy(other));
        }
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
