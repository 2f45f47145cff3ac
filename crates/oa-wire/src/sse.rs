//! An incremental decoder of event streams (server-sent events), over any split of the bytes.
//!
//! The format is WHATWG HTML's (section 9.2.6): lines ended by LF, CR or CRLF; `field: value`; a blank line
//! ends an event; comments start with a colon; a byte order mark may come first. It is for reading answers,
//! so there is no reconnecting: `id` and `retry` are read over. Three things go beyond the format: a last
//! event without its blank line counts, a field named `error` is handed out, because llama.cpp sends one, and
//! so is a line that starts with `{`, because servers break off with a JSON error.
//!
//! An event that lies in one piece is not copied: [`Event::data`] borrows from the bytes that were pushed.
//! Finding it costs one `memchr` a line.
//!
//! ```
//! use oa_wire::sse::Decoder;
//!
//! let mut decoder = Decoder::default();
//! let mut seen = Vec::new();
//! for piece in ["data: on", "e\n\n: keep-alive\n\ndata: two\nda", "ta: lines\r\n\r\n"] {
//!     decoder.push(piece.as_bytes().into());
//!     while let Some(event) = decoder.next_event()? {
//!         seen.push(event.text().into_owned());
//!     }
//! }
//! assert_eq!(seen, ["one", "two\nlines"]);
//! # Ok::<(), oa_wire::sse::LimitExceeded>(())
//! ```

use crate::text::lossy;
use bytes::Bytes;
use std::{borrow::Cow, collections::VecDeque, fmt, ops::Range};

/// How much of a stream is read. Beyond a limit the decoder fails; it never grows without bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line, in bytes. 16 MiB by default.
    pub line: usize,
    /// The longest event, in bytes of its lines. 16 MiB by default.
    pub event: usize,
    /// The longest stream, in bytes. 256 MiB by default.
    pub total: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { line: 16 << 20, event: 16 << 20, total: 256 << 20 }
    }
}

/// A limit of [`Limits`] was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitExceeded {
    /// A line is longer than this.
    Line(usize),
    /// An event is longer than this.
    Event(usize),
    /// The stream is longer than this.
    Total(u64),
}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(limit) => {
                write!(f, "a line of the stream is longer than the limit of {limit} bytes")
            }
            Self::Event(limit) => {
                write!(f, "an event of the stream is longer than the limit of {limit} bytes")
            }
            Self::Total(limit) => write!(f, "the stream is longer than the limit of {limit} bytes"),
        }
    }
}

impl std::error::Error for LimitExceeded {}

/// One event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    data: &'a [u8],
    name: &'a [u8],
    is_error_field: bool,
}

impl<'a> Event<'a> {
    /// The data: the values of its `data` lines, joined by line feeds. May be empty. Not checked to be UTF-8.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// The data as text; what is not UTF-8 becomes U+FFFD, as the format asks.
    pub fn text(&self) -> Cow<'a, str> {
        lossy(self.data)
    }

    /// The value of its `event` line; empty when it has none.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// True when the data came as a field named `error`, as llama.cpp sends it.
    pub fn is_error_field(&self) -> bool {
        self.is_error_field
    }
}

/// Decodes a stream piece by piece: [`push`](Self::push), then [`next_event`](Self::next_event) until it
/// returns none, and so on; at the end [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct Decoder {
    limits: Limits,
    total: u64,
    /// The piece at hand, and how far it was read.
    piece: Bytes,
    at: usize,
    /// Pieces that were pushed before the events of the one at hand were asked for.
    waiting: VecDeque<Bytes>,
    /// The start of a line whose end has not come.
    line: Vec<u8>,
    /// The event that is being read.
    event: Partial,
    /// An event has ended, and no byte of the next was read.
    is_between: bool,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
    /// The start of the first line that is of no field of the format.
    unread: Option<String>,
}

/// An event whose blank line has not come.
#[derive(Debug, Default)]
struct Partial {
    data: Data,
    name: Vec<u8>,
    is_error_field: bool,
    /// The data began in a line without a field's name: what follows up to the blank line belongs to it.
    is_bare: bool,
    size: usize,
    /// The event was handed out, and is to be forgotten.
    taken: bool,
}

#[derive(Debug, Default)]
enum Data {
    /// No data line yet.
    #[default]
    None,
    /// One data line, which lies here in the piece at hand.
    InPiece(Range<usize>),
    /// Data lines in the buffer.
    Owned(Vec<u8>),
}

impl Decoder {
    /// A decoder with other limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds the next piece. It waits until the events of those before it were asked for.
    pub fn push(&mut self, piece: Bytes) {
        self.total = self.total.saturating_add(piece.len() as u64);
        if self.at < self.piece.len() || !self.waiting.is_empty() {
            // Beyond the limit nothing is kept: the next event is an error.
            if self.total <= self.limits.total {
                self.waiting.push_back(piece);
            }
            return;
        }
        self.forget_taken();
        self.keep_data();
        self.piece = piece;
        self.at = 0;
    }

    /// The next event that is complete; none when more bytes are needed.
    ///
    /// # Errors
    ///
    /// When a limit is reached.
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, LimitExceeded> {
        self.forget_taken();
        loop {
            self.is_between &= self.at == self.piece.len();
            let from = self.at;
            let Some(length) = line_end(&self.piece[from..]) else {
                self.keep_rest()?;
                let Some(next) = self.waiting.pop_front() else { return Ok(None) };
                self.piece = next;
                continue;
            };
            let end = from + length;
            self.at = end + 1;
            if length == 0 && self.after_cr && self.piece[end] == b'\n' {
                self.after_cr = false;
                continue;
            }
            self.after_cr = self.piece[end] == b'\r';
            self.check(length)?;
            if !self.ends_event(from..end) {
                // Mostly the blank line follows at once: it need not be searched for.
                if self.after_cr || self.piece.get(self.at) != Some(&b'\n') {
                    continue;
                }
                self.at += 1;
            }
            if matches!(self.event.data, Data::None) {
                self.event.forget();
                self.is_between = true;
                continue;
            }
            self.event.taken = true;
            self.is_between = true;
            return Ok(self.event.view(&self.piece));
        }
    }

    /// The bytes at hand, where an event begins at their start, for a reader that knows whole events by
    /// sight: at most as many as an event may have. Empty where none begins.
    #[inline]
    pub(crate) fn at_event(&self) -> &[u8] {
        if !self.is_between || self.total > self.limits.total {
            return &[];
        }
        let rest = &self.piece[self.at..];
        &rest[..rest.len().min(self.limits.event.min(self.limits.line))]
    }

    /// True when all that was pushed is read, up to the end of an event.
    #[inline]
    pub(crate) fn is_drained(&mut self) -> bool {
        let is_drained = self.is_between
            && self.at == self.piece.len()
            && self.waiting.is_empty()
            && self.total <= self.limits.total;
        if is_drained {
            self.piece = Bytes::new();
            self.at = 0;
        }
        is_drained
    }

    /// Passes over the event of this length that stands at [`at_event`](Self::at_event).
    #[inline]
    pub(crate) fn skip_event(&mut self, length: usize) {
        self.after_cr = false;
        self.at += length;
    }

    /// The last event, if the stream ended before its blank line. For the events before it, ask first.
    ///
    /// # Errors
    ///
    /// When a limit is reached.
    pub fn finish(&mut self) -> Result<Option<Event<'_>>, LimitExceeded> {
        self.forget_taken();
        self.check(0)?;
        let line = std::mem::take(&mut self.line);
        let line = if self.begun { &line } else { without_mark(&line) };
        if !line.is_empty() && !self.event.field(line, None, &self.piece) {
            note_unread(&mut self.unread, line);
        }
        self.event.taken = true;
        Ok(self.event.view(&self.piece))
    }

    /// The start of the first line that is of no field of the format: a server that breaks off writes its
    /// last words there.
    pub(crate) fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    /// How many bytes of an unfinished event are held.
    pub fn pending(&self) -> usize {
        if self.event.taken { 0 } else { self.line.len() + self.event.size }
    }

    /// Reads a line, which lies in the piece but for what `self.line` holds; true when it ends an event.
    #[inline]
    fn ends_event(&mut self, range: Range<usize>) -> bool {
        if self.line.is_empty() && self.begun {
            if range.is_empty() {
                return true;
            }
            let at = range.start;
            if !self.event.field(&self.piece[range.clone()], Some(at), &self.piece) {
                note_unread(&mut self.unread, &self.piece[range]);
            }
            return false;
        }
        self.line.extend_from_slice(&self.piece[range]);
        let mut line = &self.line[..];
        if !self.begun {
            self.begun = true;
            line = without_mark(line);
        }
        let blank = line.is_empty();
        if !blank && !self.event.field(line, None, &self.piece) {
            note_unread(&mut self.unread, line);
        }
        self.line.clear();
        blank
    }

    /// Keeps what the piece holds of a line and an event that are not at their end, and lets the piece go.
    fn keep_rest(&mut self) -> Result<(), LimitExceeded> {
        let rest = &self.piece[self.at..];
        if !rest.is_empty() {
            self.after_cr = false;
        }
        self.check(rest.len())?;
        self.line.extend_from_slice(rest);
        self.keep_data();
        self.piece = Bytes::new();
        self.at = 0;
        Ok(())
    }

    /// The piece goes: what the event needs of it is copied.
    fn keep_data(&mut self) {
        if let Data::InPiece(range) = &self.event.data {
            self.event.data = Data::Owned(self.piece[range.clone()].to_vec());
        }
    }

    #[inline]
    fn forget_taken(&mut self) {
        if self.event.taken {
            self.event.forget();
        }
    }

    /// Checks the limits, with `more` bytes of the line at hand.
    #[inline]
    fn check(&self, more: usize) -> Result<(), LimitExceeded> {
        let line = self.line.len() + more;
        if line > self.limits.line {
            return Err(LimitExceeded::Line(self.limits.line));
        }
        if line + self.event.size > self.limits.event {
            return Err(LimitExceeded::Event(self.limits.event));
        }
        if self.total > self.limits.total {
            return Err(LimitExceeded::Total(self.limits.total));
        }
        Ok(())
    }
}

/// Where the first line ends.
#[inline]
fn line_end(bytes: &[u8]) -> Option<usize> {
    // A piece of a few bytes is looked through before a vectored search has begun.
    if bytes.len() < 16 {
        return bytes.iter().position(|&byte| byte == b'\n' || byte == b'\r');
    }
    memchr::memchr2(b'\n', b'\r', bytes)
}

/// Keeps the start of a line that was not understood, if it is the first.
#[cold]
fn note_unread(unread: &mut Option<String>, line: &[u8]) {
    const MOST: usize = 300;
    if unread.is_none() {
        *unread = Some(String::from_utf8_lossy(&line[..line.len().min(MOST)]).into_owned());
    }
}

/// The first line without its byte order mark.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

impl Partial {
    #[inline]
    fn forget(&mut self) {
        self.data = Data::None;
        self.name.clear();
        self.is_error_field = false;
        self.is_bare = false;
        self.size = 0;
        self.taken = false;
    }

    /// Reads a line that is not blank. `at` is where it starts in the piece, if it lies there. False for a
    /// line that is of no field of the format.
    #[inline]
    fn field(&mut self, line: &[u8], at: Option<usize>, piece: &[u8]) -> bool {
        let (name, value) = match line {
            [b'd', b'a', b't', b'a', b':', value @ ..] => (&b"data"[..], value),
            _ => match memchr::memchr(b':', line) {
                Some(colon) => (&line[..colon], &line[colon + 1..]),
                None => (line, &[][..]),
            },
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" | b"error" => {
                self.is_error_field |= name == b"error";
                self.push_data(line, line.len() - value.len(), at, piece);
            }
            b"event" => {
                self.size += line.len();
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            b"id" | b"retry" | b"" => {}
            _ if self.is_bare || line[0] == b'{' => {
                self.is_bare = true;
                self.push_data(line, 0, at, piece);
            }
            _ => return false,
        }
        true
    }

    /// Adds what stands in a line from `start` on to the data.
    #[inline]
    fn push_data(&mut self, line: &[u8], start: usize, at: Option<usize>, piece: &[u8]) {
        self.size += line.len();
        let value = &line[start..];
        self.data = match (std::mem::take(&mut self.data), at) {
            (Data::None, Some(at)) => Data::InPiece(at + start..at + line.len()),
            (Data::None, None) => Data::Owned(value.to_vec()),
            (Data::InPiece(first), _) => Data::Owned([&piece[first], b"\n", value].concat()),
            (Data::Owned(mut data), _) => {
                data.push(b'\n');
                data.extend_from_slice(value);
                Data::Owned(data)
            }
        };
    }

    #[inline]
    fn view<'a>(&'a self, piece: &'a [u8]) -> Option<Event<'a>> {
        let data = match &self.data {
            Data::None => return None,
            Data::InPiece(range) => &piece[range.clone()],
            Data::Owned(data) => data,
        };
        Some(Event { data, name: &self.name, is_error_field: self.is_error_field })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Seen = (String, String, bool);

    fn decode(pieces: &[&[u8]]) -> Vec<Seen> {
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        let mut keep = |event: Event<'_>| {
            let name = String::from_utf8_lossy(event.name()).into_owned();
            seen.push((event.text().into_owned(), name, event.is_error_field()));
        };
        for piece in pieces {
            decoder.push(Bytes::copy_from_slice(piece));
            while let Some(event) = decoder.next_event().unwrap() {
                keep(event);
            }
        }
        if let Some(event) = decoder.finish().unwrap() {
            keep(event);
        }
        seen
    }

    fn datas(text: &str) -> Vec<String> {
        decode(&[text.as_bytes()]).into_iter().map(|(data, ..)| data).collect()
    }

    #[test]
    fn the_format_in_a_table() {
        let cases: &[(&str, &[&str])] = &[
            ("data: a\n\ndata: b\n\n", &["a", "b"]),
            ("data:a\n\ndata:  b\n\n", &["a", " b"]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            ("data: a\ndata: b\n\n", &["a\nb"]),
            ("data: a\r\ndata:\r\ndata: c\r\n\r\n", &["a\n\nc"]),
            ("\u{feff}data: a\n\n", &["a"]),
            (": comment\n\ndata: a\n\n:\n\n", &["a"]),
            ("retry: 5\n\nid: 7\n\nevent: ping\n\ndata: a\n\n", &["a"]),
            ("id: 1\nretry: 2\nfoo: bar\nfoo\ndata: a\n\n", &["a"]),
            ("data\n\ndata:\n\ndata: : keepalive\n\n", &["", "", ": keepalive"]),
            ("data: last", &["last"]),
            ("data: last\n", &["last"]),
            ("\u{feff}data: last", &["last"]),
            ("\n\n\n", &[]),
            ("", &[]),
        ];
        for (text, want) in cases {
            assert_eq!(&datas(text), want, "{text:?}");
        }
    }

    #[test]
    fn the_name_belongs_to_its_event_alone() {
        let seen = decode(&[b"event: error\ndata: a\n\ndata: b\n\nerror: {}\n\n"]);
        let want = [("a", "error", false), ("b", "", false), ("{}", "", true)];
        let want = want.map(|(data, name, error)| (data.to_owned(), name.to_owned(), error));
        assert_eq!(seen, want);
    }

    #[test]
    fn an_event_in_one_piece_is_not_copied() {
        let piece = Bytes::from_static(b"data: first\n\ndata: second\n\n");
        let within = piece.as_ptr_range();
        let mut decoder = Decoder::default();
        decoder.push(piece.clone());
        decoder.next_event().unwrap();
        let event = decoder.next_event().unwrap().unwrap();
        assert!(within.contains(&event.data().as_ptr()));
    }

    #[test]
    fn limits_hold() {
        let mut decoder = Decoder::new(Limits { line: 20, event: 10, total: 30 });
        decoder.push(Bytes::from_static(b"data: 1234\n\n"));
        assert!(decoder.next_event().unwrap().is_some());
        assert!(decoder.next_event().unwrap().is_none());
        decoder.push(Bytes::from_static(b"data: 12345"));
        assert_eq!(decoder.next_event(), Err(LimitExceeded::Event(10)));
        let mut decoder = Decoder::new(Limits { line: 9, event: 10, total: 30 });
        decoder.push(Bytes::from_static(b": comment\n\n"));
        assert_eq!(decoder.next_event(), Ok(None));
        decoder.push(Bytes::from_static(b": comments"));
        assert_eq!(decoder.next_event(), Err(LimitExceeded::Line(9)));
        let mut decoder = Decoder::new(Limits { line: 20, event: 10, total: 30 });
        for _ in 0..6 {
            decoder.push(Bytes::from_static(b": hi\n"));
            assert_eq!(decoder.next_event(), Ok(None));
        }
        decoder.push(Bytes::from_static(b": hi\n"));
        assert_eq!(decoder.next_event(), Err(LimitExceeded::Total(30)));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(
            lines in prop::collection::vec((line(), prop_oneof!["\n", "\r", "\r\n"]), 0..24),
            bom in any::<bool>(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut text = String::from(if bom { "\u{feff}" } else { "" });
            for (line, end) in &lines {
                text.push_str(line);
                text.push_str(end);
            }
            let bytes = text.as_bytes();
            let whole = decode(&[bytes]);
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(&decode(&pieces), &whole);
            let singles: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(&decode(&singles), &whole);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let singles: Vec<_> = bytes.chunks(1).collect();
            prop_assert_eq!(decode(&[&bytes]), decode(&singles));
        }
    }

    fn line() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => Just(String::new()),
            4 => "[a-z\u{e9}\u{1f600} ]{0,6}".prop_map(|value| format!("data: {value}")),
            1 => "[a-z:]{0,6}",
            1 => Just(": comment".to_owned()),
            1 => Just("event: error".to_owned()),
        ]
    }
}
