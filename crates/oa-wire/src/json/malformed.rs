//! The error of a text that is not JSON.

use std::fmt;

/// A text that is not JSON. It fits a register: every method of the reader may return it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The offset of the byte that does not fit; of a longer text, the greatest.
    at: u32,
    missing: Missing,
}

/// What should have stood in a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Value,
    Key,
    Colon,
    NextMember,
    NextElement,
    Number,
    Escape,
    NoControl,
    EndOfText,
    LessNesting,
    End,
}

impl Malformed {
    #[cold]
    pub(crate) fn new(at: usize, missing: Missing) -> Self {
        Self { at: u32::try_from(at).unwrap_or(u32::MAX), missing }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = match self.missing {
            Missing::Value => "a value",
            Missing::Key => "a key",
            Missing::Colon => "`:`",
            Missing::NextMember => "`,` or `}`",
            Missing::NextElement => "`,` or `]`",
            Missing::Number => "a number",
            Missing::Escape => "an escape",
            Missing::NoControl => "no control character in a text",
            Missing::EndOfText => "the end of a text",
            Missing::LessNesting => "less nesting",
            Missing::End => "the end",
        };
        write!(f, "expected {missing} at byte {}", self.at)
    }
}

pub(super) type Read<T> = Result<T, Malformed>;
