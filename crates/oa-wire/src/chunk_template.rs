//! The template of a stream's chunks: the bytes around their text, which repeat.
//!
//! Nearly all chunks of a stream are the same bytes but for one short text. Such a chunk need not be read
//! again: comparing what stands before and after the text, and reading the text, costs a fraction of a parse.
//! Any other chunk is read whole, and becomes the template if only its text was new.

use crate::json::{Piece, scan_text, unescape};
use std::{borrow::Cow, ops::Range};

/// The last chunk that was read whole and in which nothing but a text was new.
/// `F` says which text of the chunk that is.
#[derive(Debug)]
pub(crate) struct ChunkTemplate<F> {
    /// None: there is no template.
    field: Option<F>,
    /// What stands before the text in the stream, from the start of the event up to the text's opening quote.
    before: Vec<u8>,
    /// How much of that stands before the data.
    head: usize,
    /// What stands behind it, from its closing quote to the blank line.
    after: Vec<u8>,
}

/// How nearly all servers end an event.
const BLANK: &[u8] = b"\n\n";

impl<F> Default for ChunkTemplate<F> {
    fn default() -> Self {
        Self { field: None, before: Vec::new(), head: 0, after: Vec::new() }
    }
}

impl<F: Copy> ChunkTemplate<F> {
    /// The text of the event at the start of these bytes, if it matches but for its text, and the event's
    /// length.
    #[inline]
    pub(crate) fn match_event<'a>(&self, stream: &'a [u8]) -> Option<(F, Written<'a>, usize)> {
        let field = self.field?;
        let (text, end) = match_between(stream, &self.before, &self.after)?;
        Some((field, text, end + self.after.len()))
    }

    /// The text of an event's data, if it matches but for its text.
    #[inline]
    pub(crate) fn match_chunk<'a>(&self, data: &'a [u8]) -> Option<(F, Written<'a>)> {
        let field = self.field?;
        let after = self.after.strip_suffix(BLANK)?;
        let (text, end) = match_between(data, &self.before[self.head..], after)?;
        (data.len() == end + after.len()).then_some((field, text))
    }

    /// From now on there is no template.
    pub(crate) fn clear(&mut self) {
        self.field = None;
    }

    /// Records a chunk whose text stands in this range of its event's data. `head` is what stands before the
    /// data in the stream, as nearly all servers write it.
    pub(crate) fn record(&mut self, field: F, head: &[u8], data: &[u8], text: Range<usize>) {
        self.field = Some(field);
        self.head = head.len();
        self.before.clear();
        self.before.extend_from_slice(head);
        self.before.extend_from_slice(&data[..text.start]);
        self.after.clear();
        self.after.extend_from_slice(&data[text.end..]);
        self.after.extend_from_slice(BLANK);
    }
}

/// A text between its quotes, as it is written.
pub(crate) struct Written<'a> {
    /// The text and its closing quote.
    quoted: &'a str,
    has_escapes: bool,
}

impl<'a> Written<'a> {
    /// The text, where it has no escapes.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&'a str> {
        (!self.has_escapes).then(|| self.written())
    }

    /// The text; none where its escapes are no JSON.
    pub(crate) fn piece(&self) -> Option<Piece<'a>> {
        let written = self.written();
        if self.has_escapes {
            return Some(Piece { text: Cow::Owned(unescape(self.quoted).ok()?), written, at: None });
        }
        Some(Piece::plain(written))
    }

    #[inline]
    fn written(&self) -> &'a str {
        &self.quoted[..self.quoted.len() - 1]
    }
}

/// The text between these, and the offset of its end.
#[inline(always)]
#[expect(clippy::inline_always, reason = "nearly all events of a long answer pass here")]
fn match_between<'a>(bytes: &'a [u8], before: &[u8], after: &[u8]) -> Option<(Written<'a>, usize)> {
    let from = before.len();
    if bytes.len() < from + after.len() || !bytes.starts_with(before) {
        return None;
    }
    let (end, has_escapes) = scan_text(bytes, from).ok()?;
    if !bytes[end..].starts_with(after) {
        return None;
    }
    let quoted = std::str::from_utf8(&bytes[from..=end]).ok()?;
    Some((Written { quoted, has_escapes }, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template() -> ChunkTemplate<()> {
        let mut template = ChunkTemplate::default();
        template.record((), b"data: ", br#"{"a":"xy","b":1}"#, 6..8);
        template
    }

    #[test]
    fn a_chunk_that_differs_in_its_text_alone_matches() {
        let template = template();
        let text = |data: &[u8]| Some(template.match_chunk(data)?.1.piece()?.text.into_owned());
        assert_eq!(text(br#"{"a":"","b":1}"#).as_deref(), Some(""));
        assert_eq!(text("{\"a\":\"\u{e9}\\n\\\"\",\"b\":1}".as_bytes()).as_deref(), Some("\u{e9}\n\""));
    }

    #[test]
    fn an_event_matches_with_its_length() {
        let stream = b"data: {\"a\":\"z\",\"b\":1}\n\ndata: more";
        let ((), text, length) = template().match_event(stream).unwrap();
        assert_eq!((text.plain(), &stream[length..]), (Some("z"), &b"data: more"[..]));
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
        assert_eq!(ChunkTemplate::<()>::default().match_chunk(b"{}").map(drop), None);
    }
}
