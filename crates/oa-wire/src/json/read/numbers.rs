//! Numbers and lists of bytes.

use super::Reader;
use crate::json::malformed::{Missing, Read};

impl Reader<'_> {
    /// Reads a list of about so many bytes; none, and the value skipped, when it is something else.
    pub(crate) fn bytes(&mut self, about: usize) -> Read<Option<Vec<u8>>> {
        if self.next_byte() != Some(b'[') {
            self.skip()?;
            return Ok(None);
        }
        self.enter()?;
        let mut all = Some(Vec::with_capacity(about));
        let mut is_open = !self.eat(b']');
        while is_open {
            let number;
            (number, is_open) = match self.plain_integer() {
                Some((number, behind)) => (Some(number), behind == b','),
                None => (self.raw()?.parse().ok(), self.more(b']')?),
            };
            match (&mut all, number.and_then(|number| u8::try_from(number).ok())) {
                (Some(bytes), Some(byte)) => bytes.push(byte),
                (all, _) => *all = None,
            }
        }
        self.depth -= 1;
        Ok(all)
    }

    /// Reads an element of an array that is at most nine digits, and the `,` or `]` right behind it, which is
    /// given too. None, and nothing read, when anything else stands here.
    #[inline]
    pub(super) fn plain_integer(&mut self) -> Option<(u32, u8)> {
        let (number, length, behind @ (b',' | b']')) = self.leading_integer()? else { return None };
        self.at += length + 1;
        Some((number, behind))
    }

    /// The integer of at most nine digits that stands here, its length, and the byte behind it. Nothing is
    /// read.
    #[inline]
    pub(super) fn leading_integer(&self) -> Option<(u32, usize, u8)> {
        const MOST: usize = 9;
        let bytes = self.text.as_bytes().get(self.at..)?;
        let (mut number, mut length) = (0_u32, 0);
        while let Some(digit) = bytes.get(length).map(|byte| byte.wrapping_sub(b'0')).filter(|it| *it < 10) {
            number = number.wrapping_mul(10).wrapping_add(u32::from(digit));
            length += 1;
        }
        let behind = *bytes.get(length)?;
        let is_plain = length == 1 || (2..=MOST).contains(&length) && bytes[0] != b'0';
        is_plain.then_some((number, length, behind))
    }

    /// Skips a number.
    pub(super) fn number(&mut self) -> Read<()> {
        let bytes = self.text.as_bytes();
        let mut at = self.at;
        if bytes.get(at) == Some(&b'-') {
            at += 1;
        }
        let leading_zero = bytes.get(at) == Some(&b'0');
        let whole = skip_digits(bytes, &mut at);
        let mut is_valid = whole == 1 || (whole > 1 && !leading_zero);
        if bytes.get(at) == Some(&b'.') {
            at += 1;
            is_valid &= skip_digits(bytes, &mut at) > 0;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(bytes.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            is_valid &= skip_digits(bytes, &mut at) > 0;
        }
        self.at = at;
        if is_valid { Ok(()) } else { Err(self.malformed(Missing::Number)) }
    }
}

/// Steps over digits, and gives how many there are.
#[inline]
fn skip_digits(bytes: &[u8], at: &mut usize) -> usize {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGHS: u64 = 0xf0f0_f0f0_f0f0_f0f0;
    let from = *at;
    // Eight at once: the high half of each byte is that of a digit, also after six is added.
    while let Some(word) = bytes.get(*at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        if word & HIGHS != ZEROS || word.wrapping_add(0x0606_0606_0606_0606) & HIGHS != ZEROS {
            break;
        }
        *at += 8;
    }
    while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
        *at += 1;
    }
    *at - from
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_bytes() {
        for (text, want) in [
            ("[]", Some(vec![])),
            ("[ ]", Some(vec![])),
            ("[0]", Some(vec![0])),
            ("[72,105, 255 ,7]", Some(vec![72, 105, 255, 7])),
            ("[256]", None),
            ("[1,-2,3]", None),
            ("[1,2.0]", None),
            ("[1,12345678901,3]", None),
            ("[1,\"2\",[3]]", None),
            ("null", None),
            ("\"x\"", None),
        ] {
            let mut reader = Reader::new(text);
            assert_eq!(reader.bytes(0).unwrap(), want, "{text}");
            assert!(reader.is_at_end(), "{text}");
        }
    }

    #[test]
    fn a_list_that_is_no_json_is_refused_as_by_the_parser() {
        let numbers =
            ["0", "00", "01", "1", "10", "123456789", "1234567890", "-", "-1", "1.", "1.5", "1e", "1e+9"];
        let more = ["123456789012345678", "12345678.12345678e-12", "12345678:", "1/", "1.12345678/9"];
        for number in numbers.into_iter().chain(more) {
            for list in ["[N]", "[N", "[N,", "[N,]", "[1,N]", "[ N , 2]", "[N 2]", "[1,,N]", "[N}"] {
                let text = list.replace('N', number);
                let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
                let mut reader = Reader::new(&text);
                assert_eq!(reader.skip().is_ok() && reader.is_at_end(), is_json, "{text}");
                let mut reader = Reader::new(&text);
                assert_eq!(reader.bytes(0).is_ok() && reader.is_at_end(), is_json, "{text}");
            }
        }
    }
}
