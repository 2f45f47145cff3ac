//! Log-probabilities of tokens and the server's own timings, read without a value of the whole body.

use crate::json::{Malformed, Reader};
use serde::Serialize;
use std::time::Duration;

/// A token of the answer, with its log-probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TokenLogprob {
    /// The token.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// Its bytes, where the server sends them: a token may be a part of a character.
    pub bytes: Option<Vec<u8>>,
    /// The likeliest tokens at its place.
    pub top: Vec<TopLogprob>,
}

/// One of the likeliest tokens at a place.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TopLogprob {
    /// The token.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// Its bytes, where the server sends them.
    pub bytes: Option<Vec<u8>>,
}

/// What a server says of its own work on a call: vLLM's `metrics`, llama.cpp's `timings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Timings {
    /// The time in the queue.
    pub queue: Option<Duration>,
    /// The time until the first token.
    pub first_token: Option<Duration>,
    /// The time of the prompt's processing.
    pub prompt: Option<Duration>,
    /// The time of the generation.
    pub generation: Option<Duration>,
    /// The tokens that were generated, a second.
    pub tokens_per_second: Option<f64>,
}

/// Reads the log-probabilities in a `logprobs` into a list.
pub(crate) fn read_logprobs(reader: &mut Reader<'_>, into: &mut Vec<TokenLogprob>) -> Result<(), Malformed> {
    reader.object(|reader, key| {
        if key != "content" {
            return reader.skip();
        }
        // Every token has as many of the likeliest.
        let mut width = 0;
        reader.array(|reader, _| {
            let mut top = Vec::with_capacity(width);
            let one = read_one(reader, &mut top)?;
            width = top.len();
            if let Some(TopLogprob { token, logprob, bytes }) = one {
                into.push(TokenLogprob { token, logprob, bytes, top });
            }
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(())
}

fn read_one(reader: &mut Reader<'_>, top: &mut Vec<TopLogprob>) -> Result<Option<TopLogprob>, Malformed> {
    let (mut token, mut logprob, mut bytes) = (None, None, None);
    reader.object(|reader, key| {
        match key {
            "token" => token = reader.text()?.map(std::borrow::Cow::into_owned),
            "logprob" => logprob = reader.raw()?.parse().ok(),
            "bytes" => bytes = reader.bytes(token.as_ref().map_or(0, String::len))?,
            "top_logprobs" => {
                reader.array(|reader, _| {
                    if let Some(one) = read_one(reader, &mut Vec::new())? {
                        top.push(one);
                    }
                    Ok(())
                })?;
            }
            _ => reader.skip()?,
        }
        Ok(())
    })?;
    Ok(token.zip(logprob).map(|(token, logprob)| TopLogprob { token, logprob, bytes }))
}

/// Reads the log-probabilities of the answer in a body: of the choice with index 0, or else the first.
pub(crate) fn logprobs_of_body(text: &str) -> Result<Vec<TokenLogprob>, Malformed> {
    let mut found = Vec::new();
    let Some(mut choices) = Reader::new(text).lookup("choices")? else { return Ok(found) };
    choices.array(|reader, at| {
        let mut index = None;
        let mut own = None;
        reader.object(|reader, key| match key {
            "index" => {
                index = Some(reader.counter()?);
                Ok(())
            }
            // Another choice's, where that is known already.
            "logprobs" if at > 0 && index.is_some_and(|index| index != Some(0)) => reader.skip(),
            "logprobs" => read_logprobs(reader, own.insert(Vec::new())),
            _ => reader.skip(),
        })?;
        if let Some(own) = own.filter(|_| at == 0 || index == Some(Some(0))) {
            found = own;
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads the timings at the root of a body.
pub(crate) fn timings_of_body(text: &str) -> Result<Option<Timings>, Malformed> {
    let milliseconds = |raw: &str| {
        let number: f64 = raw.parse().ok()?;
        Duration::try_from_secs_f64(number / 1000.0).ok()
    };
    for member in ["metrics", "timings"] {
        let mut timings = Timings::default();
        let Some(mut reader) = Reader::new(text).lookup(member)? else { continue };
        reader.object(|reader, key| {
            let raw = reader.raw()?;
            match key {
                "queue_time_ms" => timings.queue = milliseconds(raw),
                "time_to_first_token_ms" => timings.first_token = milliseconds(raw),
                "prompt_ms" => timings.prompt = milliseconds(raw),
                "generation_time_ms" | "predicted_ms" => timings.generation = milliseconds(raw),
                "tokens_per_second" | "predicted_per_second" => timings.tokens_per_second = raw.parse().ok(),
                _ => {}
            }
            Ok(())
        })?;
        if timings != Timings::default() {
            return Ok(Some(timings));
        }
    }
    Ok(None)
}
