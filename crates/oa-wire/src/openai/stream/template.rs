//! What the chunks of one stream have in common around their text.
//!
//! Nearly all chunks of a stream are the same bytes but for one short text. Such a chunk need not be read
//! again: comparing what stands before and after the text, and reading the text, costs a fraction of a parse.
//! Any other chunk is read whole, and becomes the template if only its text was new.

use crate::json::{Index, Piece, scan_text, unescape};
use std::{borrow::Cow, ops::Range};

/// Which text of a chunk differs from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextField {
    Content,
    /// The reasoning, under these of its names.
    Reasoning(u8),
    /// The arguments of a tool call, in a fragment that says nothing else but its index.
    Arguments {
        index: Index,
        is_nested: bool,
    },
}

/// The last chunk that was read whole and in which nothing but a text was new.
#[derive(Debug)]
pub(super) struct ChunkTemplate {
    field: TextField,
    /// What stands before the text in the stream, from `data: ` up to the text's opening quote. Empty: there
    /// is no template.
    before: Vec<u8>,
    /// What stands behind it, from its closing quote to the blank line.
    after: Vec<u8>,
}

/// How nearly all servers write an event.
const FIELD: &[u8] = b"data: ";
const BLANK: &[u8] = b"\n\n";

impl Default for ChunkTemplate {
    fn default() -> Self {
        Self { field: TextField::Content, before: Vec::new(), after: Vec::new() }
    }
}

impl ChunkTemplate {
    /// The text of the event at the start of these bytes, if it matches but for its text, and the event's
    /// length.
    #[inline]
    pub(super) fn match_event<'a>(&self, stream: &'a [u8]) -> Option<(TextField, Piece<'a>, usize)> {
        let (text, end) = self.match_between(stream, &self.before, &self.after)?;
        Some((self.field, text, end + self.after.len()))
    }

    /// The text of an event's data, if it matches but for its text.
    #[inline]
    pub(super) fn match_chunk<'a>(&self, data: &'a [u8]) -> Option<(TextField, Piece<'a>)> {
        let after = self.after.strip_suffix(BLANK)?;
        let (text, end) = self.match_between(data, self.before.strip_prefix(FIELD)?, after)?;
        (data.len() == end + after.len()).then_some((self.field, text))
    }

    /// The text between these, and the offset of its end.
    #[inline]
    fn match_between<'a>(&self, bytes: &'a [u8], before: &[u8], after: &[u8]) -> Option<(Piece<'a>, usize)> {
        let from = before.len();
        if self.before.is_empty() || bytes.len() < from + after.len() || !bytes.starts_with(before) {
            return None;
        }
        let (end, is_escaped) = scan_text(bytes, from).ok()?;
        if !bytes[end..].starts_with(after) {
            return None;
        }
        let written = std::str::from_utf8(&bytes[from..end]).ok()?;
        let text = if is_escaped {
            Cow::Owned(unescape(std::str::from_utf8(&bytes[from..=end]).ok()?).ok()?)
        } else {
            Cow::Borrowed(written)
        };
        Some((Piece { text, written, at: None }, end))
    }

    /// From now on there is no template.
    pub(super) fn clear(&mut self) {
        self.before.clear();
    }

    /// Records a chunk whose text stands in this range of its event's data.
    pub(super) fn record(&mut self, field: TextField, data: &[u8], text: Range<usize>) {
        self.field = field;
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

    fn template() -> ChunkTemplate {
        let mut template = ChunkTemplate::default();
        template.record(TextField::Content, br#"{"a":"xy","b":1}"#, 6..8);
        template
    }

    #[test]
    fn a_chunk_that_differs_in_its_text_alone_matches() {
        let template = template();
        let text = |data: &[u8]| template.match_chunk(data).map(|(_, piece)| piece.text.into_owned());
        assert_eq!(text(br#"{"a":"","b":1}"#).as_deref(), Some(""));
        assert_eq!(text("{\"a\":\"\u{e9}\\n\\\"\",\"b\":1}".as_bytes()).as_deref(), Some("\u{e9}\n\""));
    }

    #[test]
    fn an_event_matches_with_its_length() {
        let stream = b"data: {\"a\":\"z\",\"b\":1}\n\ndata: more";
        let (_, piece, length) = template().match_event(stream).unwrap();
        assert_eq!((&*piece.text, &stream[length..]), ("z", &b"data: more"[..]));
        let others: [&[u8]; 4] = [
            b"data: {\"a\":\"z\",\"b\":1}\n",
            b"data: {\"a\":\"z\",\"b\":1}\r\n\r\n",
            b"data:{\"a\":\"z\",\"b\":1}\n\n",
            b"data: {\"a\":\"z\",\"b\":1} \n\n",
        ];
        for other in others {
            assert_eq!(template().match_event(other).map(drop), None, "{}", String::from_utf8_lossy(other));
        }
    }

    #[test]
    fn any_other_chunk_does_not() {
        let template = template();
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
            assert_eq!(template.match_chunk(other).map(drop), None, "{}", String::from_utf8_lossy(other));
        }
        assert_eq!(ChunkTemplate::default().match_chunk(b"{}").map(drop), None);
    }
}
