//! Usage blocks: the counters, under each server's name for them.

use crate::{
    Usage,
    json::{Malformed, Reader},
};

/// Reads a usage block: each counter that is a non-negative integer. None when it has not one.
pub(in super::super) fn read_usage(reader: &mut Reader<'_>) -> Result<Option<Usage>, Malformed> {
    let mut usage = Usage::default();
    // What servers name otherwise, or in another place, counts where the usual name is not there.
    let mut other = Usage::default();
    reader.object(|reader, key| {
        match key {
            "prompt_tokens" => usage.prompt_tokens = reader.counter()?,
            "completion_tokens" => usage.completion_tokens = reader.counter()?,
            "total_tokens" => usage.total_tokens = reader.counter()?,
            "prompt_tokens_details" | "input_tokens_details" => {
                reader.object(|reader, key| {
                    match key {
                        "cached_tokens" => usage.cached_tokens = reader.counter()?,
                        _ => read_cache(reader, key, &mut usage.cache_creation_tokens)?,
                    }
                    Ok(())
                })?;
            }
            "completion_tokens_details" | "output_tokens_details" => {
                reader.object(|reader, key| {
                    match key {
                        "reasoning_tokens" => usage.reasoning_tokens = reader.counter()?,
                        _ => reader.skip()?,
                    }
                    Ok(())
                })?;
            }
            "reasoning_tokens" => other.reasoning_tokens = reader.counter()?,
            "cached_tokens" | "prompt_cache_hit_tokens" | "cache_read_input_tokens" => {
                let counter = reader.counter()?;
                other.cached_tokens = other.cached_tokens.or(counter);
            }
            _ => read_cache(reader, key, &mut other.cache_creation_tokens)?,
        }
        Ok(())
    })?;
    usage.cached_tokens = usage.cached_tokens.or(other.cached_tokens);
    usage.cache_creation_tokens = usage.cache_creation_tokens.or(other.cache_creation_tokens);
    usage.reasoning_tokens = usage.reasoning_tokens.or(other.reasoning_tokens);
    Ok((usage != Usage::default()).then_some(usage))
}

/// Reads the tokens that were written to a cache: OpenAI, vLLM, LiteLLM, OpenRouter, Anthropic and Bedrock
/// each have a name for them.
fn read_cache(reader: &mut Reader<'_>, key: &str, slot: &mut Option<u64>) -> Result<(), Malformed> {
    match key {
        "cache_creation_tokens"
        | "cache_creation_input_tokens"
        | "cached_creation_tokens"
        | "created_cache_tokens"
        | "cache_write_tokens"
        | "cache_write_input_tokens" => {
            let counter = reader.counter()?;
            *slot = slot.or(counter);
        }
        _ => reader.skip()?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        read_usage(&mut Reader::new(text)).unwrap()
    }

    #[test]
    fn the_counters_are_read_under_each_servers_name() {
        let cases = [
            (r#"{"completion_tokens_details":{"reasoning_tokens":3}}"#, [None, None, Some(3)]),
            (r#"{"reasoning_tokens":3}"#, [None, None, Some(3)]),
            (
                r#"{"prompt_tokens_details":{"cached_tokens":1,"cache_write_tokens":2}}"#,
                [Some(1), Some(2), None],
            ),
            (r#"{"prompt_tokens_details":{"created_cache_tokens":2}}"#, [None, Some(2), None]),
            (r#"{"cache_read_input_tokens":1,"cache_creation_input_tokens":2}"#, [Some(1), Some(2), None]),
            (r#"{"cached_tokens":7,"prompt_tokens_details":{"cached_tokens":1}}"#, [Some(1), None, None]),
            (r#"{"prompt_cache_hit_tokens":4}"#, [Some(4), None, None]),
        ];
        for (text, want) in cases {
            let usage = read(text).unwrap();
            let got = [usage.cached_tokens, usage.cache_creation_tokens, usage.reasoning_tokens];
            assert_eq!(got, want, "{text}");
        }
    }

    #[test]
    fn a_block_without_a_counter_is_none() {
        for text in ["{}", "null", "7", r#"{"prompt_tokens":null,"total_tokens":"7"}"#, r#"{"cost":0.5}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
