//! Texts that arrive in pieces.

use super::Piece;
use std::borrow::Cow;

/// A text that is joined from pieces. A server that counts in UTF-16 may cut a character in two: the first
/// half of a surrogate pair waits for the second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Joined {
    text: String,
    /// The first half of a pair, where the last piece ended with one.
    high: Option<u16>,
}

impl Joined {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.high = None;
    }

    /// Appends a piece, and gives what is new: mostly the piece as it is.
    #[inline]
    pub(crate) fn push<'a>(&mut self, piece: Piece<'a>) -> Cow<'a, str> {
        let text = match (&piece.text, self.high) {
            (Cow::Borrowed(_), None) => piece.text,
            _ => self.with_halves(piece),
        };
        self.text.push_str(&text);
        text
    }

    /// Appends a piece that is written without escapes; false, and nothing appended, where half of a pair
    /// waits.
    #[inline]
    pub(crate) fn push_plain(&mut self, text: &str) -> bool {
        if self.high.is_none() {
            self.text.push_str(text);
        }
        self.high.is_none()
    }

    /// Appends a text that is whole.
    pub(crate) fn push_str(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Ends the text: half of a pair that nothing followed becomes U+FFFD. Gives what is new.
    pub(crate) fn finish(&mut self) -> Option<&str> {
        self.high.take()?;
        let from = self.text.len();
        self.text.push(char::REPLACEMENT_CHARACTER);
        Some(&self.text[from..])
    }

    pub(crate) fn into_string(mut self) -> String {
        self.finish();
        self.text
    }

    #[cold]
    fn with_halves<'a>(&mut self, piece: Piece<'a>) -> Cow<'a, str> {
        let low = first_unit(piece.written).filter(|unit| (0xdc00..0xe000).contains(unit));
        let high = last_unit(piece.written).filter(|unit| (0xd800..0xdc00).contains(unit));
        if piece.written.is_empty() || (self.high.is_none() && high.is_none()) {
            return if piece.written.is_empty() { Cow::Borrowed("") } else { piece.text };
        }
        let mut rest = &*piece.text;
        let mut new = String::with_capacity(rest.len() + 4);
        if let Some(first) = self.high.take() {
            let pair = low.and_then(|low| char::decode_utf16([first, low]).next()?.ok());
            if pair.is_some() {
                rest = rest.strip_prefix(char::REPLACEMENT_CHARACTER).unwrap_or(rest);
            }
            new.push(pair.unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if high.is_some() {
            rest = rest.strip_suffix(char::REPLACEMENT_CHARACTER).unwrap_or(rest);
            self.high = high;
        }
        new.push_str(rest);
        Cow::Owned(new)
    }
}

impl From<&str> for Joined {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), high: None }
    }
}

/// The UTF-16 unit of the escape at the start of a text as it is written.
fn first_unit(written: &str) -> Option<u16> {
    u16::from_str_radix(written.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// The UTF-16 unit of the escape at its end.
fn last_unit(written: &str) -> Option<u16> {
    let at = written.len().checked_sub(6).filter(|&at| written.is_char_boundary(at))?;
    let before = &written.as_bytes()[..at];
    // A backslash that is escaped itself begins no escape.
    let slashes = before.iter().rev().take_while(|&&byte| byte == b'\\').count();
    if slashes % 2 == 0 { first_unit(&written[at..]) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Reader;

    fn join(pieces: &[&str]) -> (String, Vec<String>) {
        let mut joined = Joined::default();
        let mut new: Vec<String> = Vec::new();
        for written in pieces {
            let quoted = format!("\"{written}\"");
            let piece = Reader::new(&quoted).piece().unwrap().unwrap();
            new.push(joined.push(piece).into_owned());
        }
        new.extend(joined.finish().map(str::to_owned));
        (joined.into_string(), new)
    }

    #[test]
    fn a_pair_that_is_cut_in_two_is_one_character() {
        let cases: [(&[&str], &str); 9] = [
            (&["a", "b"], "ab"),
            (&["a\\ud83d", "\\ude00b"], "a\u{1f600}b"),
            (&["\\ud83d", "", "\\ude00"], "\u{1f600}"),
            (&["\\ud83d", "x"], "\u{fffd}x"),
            (&["\\ud83d"], "\u{fffd}"),
            (&["\\ud83d", "\\ud83d", "\\ude00\\ud83d", "\\ude00"], "\u{fffd}\u{1f600}\u{1f600}"),
            (&["\\ude00", "\\ud83d\\ude00"], "\u{fffd}\u{1f600}"),
            (&["\\\\ud83d", "\\ude00"], "\\ud83d\u{fffd}"),
            (&["\\n\\\\\\ud83d", "\\ude00"], "\n\\\u{1f600}"),
        ];
        for (pieces, want) in cases {
            let (text, new) = join(pieces);
            assert_eq!(text, want, "{pieces:?}");
            assert_eq!(new.concat(), want, "{pieces:?}");
        }
    }
}
