//! Usage blocks: the counters of tokens, under this wire's names.

use crate::{
    Usage,
    json::{Malformed, Reader},
};

/// Reads a usage block: each counter that is a non-negative integer, and the sum of what went in and came
/// out. None when it has not one.
pub(super) fn read_usage(reader: &mut Reader<'_>) -> Result<Option<Usage>, Malformed> {
    let mut usage = Usage::default();
    reader.object(|reader, key| {
        match key {
            "input_tokens" => usage.prompt_tokens = reader.counter()?,
            "output_tokens" => usage.completion_tokens = reader.counter()?,
            "cache_read_input_tokens" => usage.cached_tokens = reader.counter()?,
            "cache_creation_input_tokens" => usage.cache_creation_tokens = reader.counter()?,
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    let both = usage.prompt_tokens.zip(usage.completion_tokens);
    usage.total_tokens = both.and_then(|(input, output)| input.checked_add(output));
    Ok((usage != Usage::default()).then_some(usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_needs_both_and_a_bad_counter_is_none() {
        let cases = [
            (r#"{"input_tokens":12,"output_tokens":3}"#, [Some(12), Some(3), Some(15), None, None]),
            (r#"{"input_tokens":-1,"output_tokens":3}"#, [None, Some(3), None, None, None]),
            (r#"{"input_tokens":true,"output_tokens":1.0}"#, [None; 5]),
            (
                r#"{"cache_read_input_tokens":8,"cache_creation_input_tokens":2,"input_tokens":1}"#,
                [Some(1), None, None, Some(8), Some(2)],
            ),
            (
                r#"{"input_tokens":18446744073709551615,"output_tokens":1}"#,
                [Some(u64::MAX), Some(1), None, None, None],
            ),
        ];
        for (text, want) in cases {
            let usage = read_usage(&mut Reader::new(text)).unwrap().unwrap_or_default();
            let got = [
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.total_tokens,
                usage.cached_tokens,
                usage.cache_creation_tokens,
            ];
            assert_eq!(got, want, "{text}");
        }
    }
}
