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
        if block.iter().fold(0, |any, &byte| any | u8::from(is_special(byte))) != 0 {
            return special_in_words(bytes, at);
        }
        at += 64;
    }
    let end = memchr::memchr2(b'"', b'\\', &bytes[at..]).map_or(bytes.len(), |length| at + length);
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

/// Where the first control character stands between these.
fn first_control(bytes: &[u8], from: usize, to: usize) -> Option<usize> {
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
    at + rest.take_while(|&&byte| !is_special(byte)).count()
}

/// The special bytes of a text one after the other, for texts that have many. Thirty-two bytes are looked at
/// together, and what was seen is kept.
pub(super) struct Specials<'a> {
    bytes: &'a [u8],
    /// Where the bytes start that were looked at last.
    block: usize,
    /// A bit for each of them that is special.
    mask: u32,
}

impl<'a> Specials<'a> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, block: 0usize.wrapping_sub(BLOCK), mask: 0 }
    }

    /// Where the first stands from `from` on, which does not go back. The length when there is none.
    #[inline]
    pub(super) fn next(&mut self, mut from: usize) -> usize {
        let seen = from.wrapping_sub(self.block);
        if seen < BLOCK {
            let rest = self.mask >> seen;
            if rest != 0 {
                return from + rest.trailing_zeros() as usize;
            }
            from = self.block + BLOCK;
        }
        self.look(from)
    }

    #[inline]
    fn look(&mut self, mut at: usize) -> usize {
        for _ in 0..4 {
            let Some(block) = self.bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) else {
                return special_in_words(self.bytes, at.min(self.bytes.len()));
            };
            let mask = mask(block);
            if mask != 0 {
                (self.block, self.mask) = (at, mask);
                return at + mask.trailing_zeros() as usize;
            }
            at += BLOCK;
        }
        special_in_long(self.bytes, at)
    }
}

const BLOCK: usize = 32;

/// A bit for each special byte. The compiler compares all of them at once, and adds up eight at once.
#[inline]
fn mask(block: &[u8; BLOCK]) -> u32 {
    let mut bits = [0u8; BLOCK];
    for (at, (bit, &byte)) in bits.iter_mut().zip(block).enumerate() {
        *bit = if is_special(byte) { 1 << (at % 8) } else { 0 };
    }
    let eight = |at: usize| bits[at..at + 8].iter().map(|&bit| u64::from(bit)).sum::<u64>() as u32;
    eight(0) | eight(8) << 8 | eight(16) << 16 | eight(24) << 24
}

/// Without a branch, for vectors.
#[inline(always)]
#[expect(clippy::inline_always, clippy::needless_bitwise_bool, reason = "a branch would hinder vectors")]
fn is_special(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < 0x20)
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
    use super::{Specials, special, special_soon};

    #[test]
    fn the_first_special_byte_is_found_at_every_offset_and_for_every_byte() {
        for len in [0, 1, 7, 8, 9, 31, 40, 64, 65, 103, 170, 171, 1056, 1100, 1300] {
            for at in (0..len).step_by(1 + len / 200 * 7) {
                for byte in 0..=255u8 {
                    let mut text = vec![0xc3; len];
                    text[at] = byte;
                    let want = if byte == b'"' || byte == b'\\' || byte < 0x20 { at } else { len };
                    assert_eq!(special(&text, 0), want, "{byte:#x} at {at} of {len}");
                    assert_eq!(special_soon(&text, 0), want, "{byte:#x} at {at} of {len}");
                    assert_eq!(Specials::new(&text).next(0), want, "{byte:#x} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn all_special_bytes_are_found_one_after_the_other_wherever_the_search_goes_on() {
        let random = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (*state >> 33) as usize
        };
        let mut state = 7;
        for round in 0..2000 {
            let one_in = [1, 2, 5, 20, 100, 1000][round % 6];
            let text: Vec<u8> = (0..random(&mut state) % 600)
                .map(|_| {
                    if random(&mut state) % one_in == 0 {
                        b"\"\\\n\x1f"[random(&mut state) % 4]
                    } else {
                        b'a'
                    }
                })
                .collect();
            let mut specials = Specials::new(&text);
            let mut from = 0;
            while from <= text.len() {
                let want =
                    text[from..].iter().position(|&byte| byte != b'a').map_or(text.len(), |at| from + at);
                assert_eq!(specials.next(from), want, "from {from} of {text:?}");
                from = want + 1 + random(&mut state) % [1, 3, 70][round % 3];
            }
        }
    }
}
