//! The search for quotes, backslashes and control characters in a JSON text.

/// Where in `bytes`, from `at` on, the first byte stands that a JSON text cannot hold as it is: a quote, a
/// backslash or a control character. The length when there is none.
#[inline]
pub(super) fn special(bytes: &[u8], mut at: usize) -> usize {
    // Most texts are short: they end within the first words.
    for _ in 0..4 {
        let Some(word) = bytes[at..].first_chunk::<8>() else { return special_in_rest(bytes, at) };
        let marks = marks(*word) | controls(*word);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    special_in_long(bytes, at)
}

/// The same where it mostly stands within the first word, as at the end of a key.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call costs more than the word")]
pub(super) fn special_soon(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(word) => match marks(*word) | controls(*word) {
            0 => special(bytes, at + 8),
            marks => at + (marks.trailing_zeros() / 8) as usize,
        },
        None => special_in_rest(bytes, at),
    }
}

/// The same for a long text: some blocks one at a time, which the compiler does with vectors, and the rest at
/// once.
fn special_in_long(bytes: &[u8], mut at: usize) -> usize {
    for _ in 0..16 {
        let Some(block) = bytes[at..].first_chunk::<64>() else { return special_in_words(bytes, at) };
        let special = |byte: u8| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20);
        if block.iter().fold(0, |any, &byte| any | special(byte)) != 0 {
            return special_in_words(bytes, at);
        }
        at += 64;
    }
    let end = mark_in_long(bytes, at);
    first_control(bytes, at, end).unwrap_or(end)
}

fn special_in_words(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let marks = marks(*word) | controls(*word);
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    special_in_rest(bytes, at)
}

/// Where the next quote or backslash stands, whatever stands before it. The length when there is none.
#[inline]
pub(super) fn mark(bytes: &[u8], at: usize) -> usize {
    // Texts within texts, such as the arguments of a tool call, are dense with them.
    let Some(word) = bytes[at..].first_chunk::<8>() else { return mark_in_long(bytes, at) };
    match marks(*word) {
        0 => mark_in_long(bytes, at + 8),
        marks => at + (marks.trailing_zeros() / 8) as usize,
    }
}

fn mark_in_long(bytes: &[u8], at: usize) -> usize {
    memchr::memchr2(b'"', b'\\', &bytes[at..]).map_or(bytes.len(), |length| at + length)
}

/// Where the first control character stands between these.
pub(super) fn first_control(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
    let text = &bytes[from..to];
    // The compiler looks for the lowest byte with vectors.
    let lowest = |text: &[u8]| text.iter().fold(u8::MAX, |found, &byte| found.min(byte));
    let (blocks, rest) = text.split_at(text.len() / 32 * 32);
    // The last block may overlap those before.
    let last = text.last_chunk::<32>().map_or(rest, |last| last);
    if lowest(blocks).min(lowest(last)) >= 0x20 {
        return None;
    }
    Some(from + text.iter().position(|&byte| byte < 0x20)?)
}

fn special_in_rest(bytes: &[u8], at: usize) -> usize {
    let rest = bytes[at..].iter();
    at + rest.take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= 0x20).count()
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The quotes and backslashes among eight bytes, each marked in its highest bit. The lowest mark is exact:
/// `(x - ONES) & !x & HIGHS` marks the zero bytes of x, and may go wrong only above one.
#[inline]
fn marks(word: [u8; 8]) -> u64 {
    let x = u64::from_le_bytes(word);
    let quote = x ^ (ONES * 0x22);
    let slash = x ^ (ONES * 0x5c);
    ((quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash)) & HIGHS
}

/// The control characters among eight bytes, marked in the same way.
#[inline]
fn controls(word: [u8; 8]) -> u64 {
    let x = u64::from_le_bytes(word);
    x.wrapping_sub(ONES * 0x20) & !x & HIGHS
}

#[cfg(test)]
mod tests {
    use super::{first_control, mark, special, special_soon};

    #[test]
    fn the_first_special_byte_is_found_at_every_offset_and_for_every_byte() {
        for len in [0, 1, 7, 8, 9, 31, 40, 64, 65, 103, 170, 171, 1056, 1100] {
            for at in (0..len).step_by(1 + len / 200 * 7) {
                for byte in 0..=255u8 {
                    let mut text = vec![0xc3; len];
                    text[at] = byte;
                    let want = if byte == b'"' || byte == b'\\' || byte < 0x20 { at } else { len };
                    assert_eq!(special(&text, 0), want, "{byte:#x} at {at} of {len}");
                    assert_eq!(special_soon(&text, 0), want, "{byte:#x} at {at} of {len}");
                    let want = if byte == b'"' || byte == b'\\' { at } else { len };
                    assert_eq!(mark(&text, 0), want, "{byte:#x} at {at} of {len}");
                    let want = (byte < 0x20).then_some(at);
                    assert_eq!(first_control(&text, 0, len), want, "{byte:#x} at {at} of {len}");
                }
            }
        }
    }
}
