//! Escapes: where a text with some ends, and what it stands for.

use super::{
    malformed::{Malformed, Missing, Read},
    special::{Specials, special, special_soon},
};

/// The end of the JSON text whose opening quote stands before `from`: the offset of its closing quote, and
/// whether it has escapes. The bytes between need not be UTF-8.
#[inline(always)]
#[expect(clippy::inline_always, reason = "most texts are short and have no escapes: a call costs more")]
pub(crate) fn scan_text(bytes: &[u8], from: usize) -> Read<(usize, bool)> {
    let at = special_soon(bytes, from);
    if bytes.get(at) == Some(&b'"') {
        return Ok((at, false));
    }
    Ok((scan_escapes(bytes, at)?, true))
}

/// The same from the first special byte on, which is no quote.
#[inline(never)]
fn scan_escapes(bytes: &[u8], mut at: usize) -> Read<usize> {
    let mut specials = Specials::new(bytes);
    while bytes.get(at) != Some(&b'"') {
        let length = Escape::at(bytes, at)?.1;
        at = specials.next(at + length);
    }
    Ok(at)
}

/// The text that stands before a closing quote, which is the last byte of `quoted`.
pub(crate) fn unescape(quoted: &str) -> Read<String> {
    let mut out = String::new();
    let at = special(quoted.as_bytes(), 0);
    unescape_into(&mut out, quoted, 0, at)?;
    Ok(out)
}

/// Appends the text that starts at `from` and whose first special byte stands at `at`; gives the offset of
/// its closing quote. Half of a surrogate pair becomes U+FFFD, as in any lossy decoding: Rust's strings
/// cannot hold it.
pub(super) fn unescape_into(out: &mut String, text: &str, mut from: usize, mut at: usize) -> Read<usize> {
    let bytes = text.as_bytes();
    let mut specials = Specials::new(bytes);
    // Where the text ends is not known, but not behind the bytes.
    out.reserve((2 * (at - from) + 256).min(bytes.len() - from));
    loop {
        if from < at {
            out.push_str(&text[from..at]);
        }
        let next = match (bytes.get(at), bytes.get(at + 1)) {
            // What stands for itself goes with what follows.
            (Some(b'\\'), Some(b'"' | b'\\')) => {
                from = at + 1;
                at + 2
            }
            (Some(b'\\'), Some(b'n')) => {
                out.push('\n');
                from = at + 2;
                from
            }
            (Some(b'"'), _) => return Ok(at),
            _ => {
                from = unescape_one(out, bytes, at)?;
                from
            }
        };
        at = specials.next(next);
    }
}

/// Appends what the escape at `at` stands for, and gives the offset behind it.
#[cold]
fn unescape_one(out: &mut String, bytes: &[u8], at: usize) -> Read<usize> {
    let (escape, length) = Escape::at(bytes, at)?;
    let mut end = at + length;
    let unit = match escape {
        Escape::Char(char) => {
            out.push(char);
            return Ok(end);
        }
        Escape::Unit(unit) => u32::from(unit),
    };
    let mut code = unit;
    if (0xd800..0xdc00).contains(&unit) {
        if let Ok((Escape::Unit(low @ 0xdc00..=0xdfff), length)) = Escape::at(bytes, end) {
            code = 0x1_0000 + ((unit - 0xd800) << 10) + (u32::from(low) - 0xdc00);
            end += length;
        }
    }
    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    Ok(end)
}

/// What an escape stands for.
enum Escape {
    Char(char),
    /// A UTF-16 unit.
    Unit(u16),
}

impl Escape {
    /// The escape that stands at `at`, and its length. An error for a control character, an invalid escape,
    /// or the end.
    fn at(bytes: &[u8], at: usize) -> Read<(Self, usize)> {
        let char = match (bytes.get(at), bytes.get(at + 1)) {
            (None, _) => return Err(Malformed::new(at, Missing::EndOfText)),
            (Some(b'\\'), Some(b'n')) => '\n',
            (Some(b'\\'), Some(&char @ (b'"' | b'\\' | b'/'))) => char::from(char),
            (Some(b'\\'), Some(b't')) => '\t',
            (Some(b'\\'), Some(b'r')) => '\r',
            (Some(b'\\'), Some(b'b')) => '\u{8}',
            (Some(b'\\'), Some(b'f')) => '\u{c}',
            (Some(b'\\'), Some(b'u')) => {
                let unit = hex4(bytes, at + 2).ok_or_else(|| Malformed::new(at, Missing::Escape))?;
                return Ok((Self::Unit(unit), 6));
            }
            (Some(b'\\'), _) => return Err(Malformed::new(at, Missing::Escape)),
            _ => return Err(Malformed::new(at, Missing::NoControl)),
        };
        Ok((Self::Char(char), 2))
    }
}

fn hex4(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 4)?.iter().try_fold(0u16, |unit, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some((unit << 4) | digit as u16)
    })
}
