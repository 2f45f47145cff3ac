//! JSON as this crate needs it: a pull reader that borrows, and a writer that sorts keys.
//!
//! Values that users see are those of `serde_json`. These two exist for what it does not do: reading an
//! answer whose fields may have any type without failing as a whole, remembering where in the bytes a text
//! lies, and writing the same bytes whatever order a map was built in (a dependent may switch on
//! `serde_json/preserve_order`).

mod joined;
mod read;
mod write;

use serde_json::Value;

pub(crate) use joined::Joined;
pub(crate) use read::{Index, Kind, Malformed, Piece, Reader, scan_text, unescape};
pub(crate) use write::{equal, push_schema_in_order, push_sorted, push_text};

/// True for a member that carries a value: not null, false, or empty.
pub(crate) fn is_meaningful(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(object) => !object.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Where in `bytes`, from `at` on, the first byte stands that a JSON text cannot hold as it is: a quote, a
/// backslash or a control character. The length when there is none.
#[inline]
fn special(bytes: &[u8], mut at: usize) -> usize {
    // Most texts are short: they end within the first words.
    for _ in 0..4 {
        let Some(word) = bytes[at..].first_chunk::<8>() else { return special_in_rest(bytes, at) };
        let marks = marks(*word);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    special_in_long(bytes, at)
}

/// The same for a long text: a block at a time, which the compiler does with vectors.
fn special_in_long(bytes: &[u8], mut at: usize) -> usize {
    while let Some(block) = bytes[at..].first_chunk::<64>() {
        let special = |byte: u8| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20);
        if block.iter().fold(0, |any, &byte| any | special(byte)) != 0 {
            break;
        }
        at += 64;
    }
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let marks = marks(*word);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    special_in_rest(bytes, at)
}

fn special_in_rest(bytes: &[u8], at: usize) -> usize {
    let rest = bytes[at..].iter();
    at + rest.take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= 0x20).count()
}

/// The special bytes among eight, each marked in its highest bit. The lowest mark is exact: `(x - ONES) & !x
/// & HIGHS` marks the zero bytes of x, and may go wrong only above one.
#[inline]
fn marks(word: [u8; 8]) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let x = u64::from_le_bytes(word);
    let quote = x ^ (ONES * 0x22);
    let slash = x ^ (ONES * 0x5c);
    let marks = (quote.wrapping_sub(ONES) & !quote)
        | (slash.wrapping_sub(ONES) & !slash)
        | (x.wrapping_sub(ONES * 0x20) & !x);
    marks & HIGHS
}

/// The kind of a JSON value, as messages name it.
pub(crate) fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::special;

    #[test]
    fn the_first_special_byte_is_found_at_every_offset_and_for_every_byte() {
        for len in [0, 1, 7, 8, 9, 31, 40, 64, 65, 103, 170, 171] {
            for at in 0..len {
                for byte in 0..=255u8 {
                    let mut text = vec![0xc3; len];
                    text[at] = byte;
                    let want = if byte == b'"' || byte == b'\\' || byte < 0x20 { at } else { len };
                    assert_eq!(special(&text, 0), want, "{byte:#x} at {at} of {len}");
                }
            }
        }
    }
}
