//! Texts that others wrote, bounded and on one line.

use std::{borrow::Cow, fmt};

/// Bytes as text; what is not UTF-8 becomes U+FFFD. The standard library's lossy decoding looks at every byte
/// by itself: nearly all bodies are valid, and a check by vectors is many times as fast.
#[inline]
pub(crate) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// At most the first `limit` bytes, whole characters.
pub(crate) fn start(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The first `limit` characters, with an ellipsis if there were more.
pub(crate) fn bounded(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", text[..at].trim_end()),
        None => text.to_owned(),
    }
}

/// The first `limit` characters on one line: control characters, what was no UTF-8, and runs of white space
/// become one space.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    let is_space = |c: char| c.is_whitespace() || c.is_control() || c == char::REPLACEMENT_CHARACTER;
    let words = text.split(is_space).filter(|word| !word.is_empty());
    for word in words {
        let space = usize::from(count > 0);
        let room = limit.saturating_sub(count + space);
        if room == 0 {
            out.push('…');
            return out;
        }
        if space > 0 {
            out.push(' ');
        }
        if let Some((at, _)) = word.char_indices().nth(room) {
            out.push_str(&word[..at]);
            out.push('…');
            return out;
        }
        out.push_str(word);
        count += space + word.chars().count();
    }
    out
}

/// Writes a text on one line, without building it.
pub(crate) struct OneLine<'a>(pub(crate) &'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.0.split(['\n', '\r']).filter(|line| !line.is_empty()).enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_in_characters_and_bytes() {
        assert_eq!(bounded("éé é", 2), "éé…");
        assert_eq!(bounded("éé", 2), "éé");
        assert_eq!(start("éé", 3), "é");
        assert_eq!(start("éé", 9), "éé");
    }

    #[test]
    fn one_line_has_single_spaces_and_no_control_characters() {
        for (text, limit, want) in [
            (" a\r\n\tb\u{1b}[2J  c ", 100, "a b [2J c"),
            ("éé é", 2, "éé…"),
            ("éé é", 3, "éé…"),
            ("éé é", 4, "éé é"),
            ("ééé", 2, "éé…"),
            ("a\u{fffd}b", 9, "a b"),
            ("éé", 2, "éé"),
            ("a", 0, "…"),
            (" \u{85}\n", 0, ""),
        ] {
            assert_eq!(one_line(text, limit), want, "{text:?}");
        }
        assert_eq!(OneLine("a\r\n\nb").to_string(), "a b");
    }
}
