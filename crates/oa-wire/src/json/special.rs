//! The search for quotes, backslashes and control characters in a JSON text.

/// Where in `bytes`, from `at` on, the first byte stands that a JSON text cannot hold as it is: a quote, a
/// backslash or a control character. The length when there is none.
#[inline]
pub(super) fn special(bytes: &[u8], at: usize) -> usize {
    // Texts within texts, such as the arguments of a tool call, are dense with them.
    let Some(word) = bytes[at..].first_chunk::<8>() else { return special_in_rest(bytes, at) };
    match special_bits(*word) {
        0 => special_in_long(bytes, at + 8),
        bits => at + first_byte(bits),
    }
}

/// The same where it mostly stands within the first word, as at the end of a key.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a call costs more than the word")]
pub(super) fn special_soon(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        Some(word) => match special_bits(*word) {
            0 => special_in_long(bytes, at + 8),
            bits => at + first_byte(bits),
        },
        None => special_in_rest(bytes, at),
    }
}

/// The same for what is longer: another word, and then blocks.
fn special_in_long(bytes: &[u8], at: usize) -> usize {
    let Some(word) = bytes[at..].first_chunk::<8>() else { return special_in_rest(bytes, at) };
    match special_bits(*word) {
        0 if bytes.len() - at < 40 => special_in_words(bytes, at + 8),
        0 => special_in_blocks(bytes, at + 8),
        bits => at + first_byte(bits),
    }
}

#[inline(never)]
fn special_in_blocks(bytes: &[u8], mut at: usize) -> usize {
    // After so many blocks a text is long enough for two passes with wider vectors.
    const LONG: u32 = 32;
    let mut blocks = 0;
    while let Some(block) = bytes[at..].first_chunk::<32>() {
        // The compiler does two words at a time.
        let words = block.chunks_exact(8);
        let bits = |word: &[u8]| word.first_chunk().map_or(0, |word| special_bits(*word));
        if words.fold(0, |any, word| any | bits(word)) != 0 {
            break;
        }
        at += 32;
        blocks += 1;
        if blocks == LONG {
            let end = mark_in_long(bytes, at);
            return first_control(bytes, at, end).unwrap_or(end);
        }
    }
    special_in_words(bytes, at)
}

fn special_in_words(bytes: &[u8], mut at: usize) -> usize {
    while let Some(word) = bytes[at..].first_chunk::<8>() {
        let bits = special_bits(*word);
        if bits != 0 {
            return at + first_byte(bits);
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
    match mark_bits(u64::from_le_bytes(*word)) {
        0 => mark_in_long(bytes, at + 8),
        bits => at + first_byte(bits),
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

/// The same for less than a word.
#[inline]
fn special_in_rest(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    match bytes.last_chunk::<8>() {
        // The last word without what is behind. Zeros follow, which are special too.
        Some(word) if !rest.is_empty() => {
            let word = u64::from_le_bytes(*word) >> (8 * (8 - rest.len()));
            at + first_byte(special_bits(word.to_le_bytes()))
        }
        _ => at + rest.iter().take_while(|&&byte| byte != b'"' && byte != b'\\' && byte >= 0x20).count(),
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The special ones among eight bytes, each by its highest bit. The lowest bit is exact: `(x - ONES) & !x &
/// HIGHS` finds the zero bytes of x, and may go wrong only above one.
#[inline]
fn special_bits(word: [u8; 8]) -> u64 {
    let x = u64::from_le_bytes(word);
    mark_bits(x) | (x.wrapping_sub(ONES * 0x20) & !x & HIGHS)
}

/// The quotes and backslashes among eight bytes, in the same way.
#[inline]
fn mark_bits(x: u64) -> u64 {
    let quote = (x ^ (ONES * 0x22)).wrapping_sub(ONES);
    let slash = (x ^ (ONES * 0x5c)).wrapping_sub(ONES);
    // Neither has a high bit, so that `!x` serves both.
    (quote | slash) & !x & HIGHS
}

/// The place of the lowest of these bits, in bytes.
#[inline]
fn first_byte(bits: u64) -> usize {
    (bits.trailing_zeros() / 8) as usize
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

    #[test]
    fn what_stands_before_the_place_does_not_count() {
        for len in 1..100 {
            for from in 0..=len {
                for at in [from, usize::midpoint(from, len), len - 1] {
                    // Bytes that differ from special ones in the lowest bit.
                    let mut text: Vec<u8> = b"#]".iter().copied().cycle().take(len).collect();
                    text[..from].fill(if from % 2 == 0 { b'\\' } else { b'"' });
                    let want = if at >= from && at < len { at } else { len };
                    if want < len {
                        text[want] = b'\n';
                    }
                    assert_eq!(special(&text, from), want, "{at} from {from} of {len}");
                }
            }
        }
    }
}
