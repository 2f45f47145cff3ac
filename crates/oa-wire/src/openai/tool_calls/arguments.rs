//! The text of arguments: whether it is a complete object, and whether two are the same.

use crate::json::{Kind, Reader};
use serde_json::Value;

/// How far a text has become an object. Looks at each byte once, however many pieces it comes in.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    at: usize,
    depth: u32,
    in_text: bool,
    is_escaped: bool,
    end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Complete,
    /// It cannot become one.
    Broken,
}

impl Scan {
    /// Of a text that cannot become an object.
    pub(super) fn broken() -> Self {
        Self { end: Some(End::Broken), ..Self::default() }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.end == Some(End::Complete)
    }

    /// True while it is not known what the text becomes.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none()
    }

    /// Goes on to the end of the text, whose start it knows.
    pub(super) fn advance(&mut self, text: &str) {
        if self.end.is_some() {
            return;
        }
        for (at, byte) in text.bytes().enumerate().skip(self.at) {
            if self.in_text {
                let is_escaped = std::mem::take(&mut self.is_escaped);
                match byte {
                    b'\\' => self.is_escaped = !is_escaped,
                    b'"' => self.in_text = is_escaped,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_text = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        let rest = text[at + 1..].trim_ascii();
                        let is_complete = rest.is_empty() && is_object(text);
                        self.end = Some(if is_complete { End::Complete } else { End::Broken });
                        return;
                    }
                }
                _ => {}
            }
        }
        self.at = text.len();
    }
}

/// True for the text of an object.
pub(super) fn is_object(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.kind() == Ok(Kind::Object) && reader.skip().and_then(|()| reader.end()).is_ok()
}

pub(super) fn is_empty_object(text: &str) -> bool {
    let inner = text.trim_ascii().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// True for the same text, or the same value in another form.
pub(super) fn are_equal(a: &str, b: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    a.trim_ascii() == b.trim_ascii() || value(a).is_some_and(|a| Some(a) == value(b))
}

/// The object that a text of several repeats, or that stands behind `{}`. None for any other text.
pub(in super::super) fn repeated(text: &str) -> Option<&str> {
    let mut reader = Reader::new(text);
    let mut object: Option<&str> = None;
    let mut count = 0;
    while !reader.is_at_end() {
        if reader.kind().ok()? != Kind::Object {
            return None;
        }
        let next = reader.raw().ok()?;
        count += 1;
        match object {
            Some(known) if !is_empty_object(known) => {
                if !are_equal(known, next) {
                    return None;
                }
            }
            _ => object = Some(next),
        }
    }
    object.filter(|_| count > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(pieces: &[&str]) -> (bool, bool) {
        let (mut scan, mut text) = (Scan::default(), String::new());
        for piece in pieces {
            text.push_str(piece);
            scan.advance(&text);
        }
        (scan.is_complete(), scan.is_open())
    }

    #[test]
    fn an_object_is_complete_at_its_last_brace_in_any_pieces() {
        for text in ["{}", r#" {"a":{"b":["}",{"c":"\\\"}"}]}} "#, r#"{"\\":1}"#] {
            assert_eq!(ends(&[text]), (true, false), "{text}");
            let end = text.rfind('}').unwrap();
            for at in (0..=end).filter(|&at| text.is_char_boundary(at)) {
                assert_eq!(ends(&[&text[..at]]), (false, true), "{text} up to {at}");
                assert_eq!(ends(&[&text[..at], &text[at..]]), (true, false), "{text} cut at {at}");
            }
        }
        for text in ["[]", "}", "{}}", r#"{"a"}"#, "{}{}"] {
            assert_eq!(ends(&[text]), (false, false), "{text}");
        }
    }

    #[test]
    fn one_object_that_stands_several_times_is_one() {
        assert_eq!(repeated(r#"{"a":1} {"a": 1}"#), Some(r#"{"a":1}"#));
        assert_eq!(repeated(r#"{}{"a":1}"#), Some(r#"{"a":1}"#));
        assert_eq!(repeated("{}{}"), Some("{}"));
        for text in ["{}", r#"{"a":1}{"a":2}"#, r#"{"a":1}{}"#, "{} x", "1 1", ""] {
            assert_eq!(repeated(text), None, "{text}");
        }
    }
}
