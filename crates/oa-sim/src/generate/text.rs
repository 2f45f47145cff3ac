//! Made-up text, and where its tokens end.

use std::fmt::Write as _;

/// Text as the tokens of prose: words, each with the white space before it. Together they are the text.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for letter in text.chars() {
        let starts = letter.is_whitespace() && in_word;
        in_word = !letter.is_whitespace();
        match tokens.last_mut() {
            Some(token) if !starts => token.push(letter),
            _ => tokens.push(letter.to_string()),
        }
    }
    // White space at the end belongs to the last word.
    if tokens.len() > 1 && !in_word {
        if let (Some(rest), Some(token)) = (tokens.pop(), tokens.last_mut()) {
            token.push_str(&rest);
        }
    }
    tokens
}

/// JSON as tokens: cut after each opening bracket, comma and colon, and at words within strings.
pub(crate) fn json_tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut token = String::new();
    for letter in text.chars() {
        if letter == ' ' && !token.is_empty() {
            tokens.push(std::mem::take(&mut token));
        }
        token.push(letter);
        if matches!(letter, '{' | '[' | ',' | ':') {
            tokens.push(std::mem::take(&mut token));
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    tokens
}

/// How many tokens a prompt text counts: its words.
pub(crate) fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

/// `length` made-up words, the same for the same `seed`.
pub(crate) fn made_up(seed: u64, length: usize) -> String {
    const WORDS: [&str; 32] = [
        "amber", "bird", "cloud", "dawn", "ember", "field", "grain", "harbor", "island", "juniper", "kettle",
        "lantern", "meadow", "north", "orchard", "pebble", "quiet", "river", "stone", "timber", "under",
        "valley", "willow", "yonder", "zephyr", "bright", "slow", "gentle", "turns", "keeps", "finds",
        "waits",
    ];
    let mut state = seed;
    let mut text = String::new();
    for index in 0..length {
        let word = WORDS[(next(&mut state) % WORDS.len() as u64) as usize];
        let _ = write!(text, "{}{word}", if index == 0 { "" } else { " " });
    }
    text
}

/// A seed from bytes (FNV-1a).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The next number of the sequence (splitmix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_together_are_the_text() {
        for text in ["", "a", " a", "a ", "  ", "ab  cd\n\nef ", "é😀 x", "{\"a\": [1, {\"b c\":\"d e\"}]}"]
        {
            assert_eq!(words(text).concat(), text);
            assert_eq!(json_tokens(text).concat(), text);
        }
        assert_eq!(words("ab  cd ef "), ["ab", "  cd", " ef "]);
        assert_eq!(json_tokens("{\"a\":[1,2]}"), ["{", "\"a\":", "[", "1,", "2]}"]);
    }

    #[test]
    fn made_up_text_depends_on_the_seed_alone() {
        assert_eq!(made_up(7, 12), made_up(7, 12));
        assert_ne!(made_up(7, 12), made_up(8, 12));
        assert_eq!(words(&made_up(7, 12)).len(), 12);
    }
}
