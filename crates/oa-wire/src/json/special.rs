//! The search for quotes, backslashes and control characters in a JSON text.

/// Where in `bytes`, from `at` on, the first byte stands that a JSON text cannot hold as it is: a quote, a
/// backslash or a control character. The length when there is none.
#[inline]
pub(super) fn special(bytes: &[u8], mut at: usize) -> usize {
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
