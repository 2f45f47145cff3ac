//! Parts of scripts.

use super::script::{Expected, ExpectedCall, ExpectedError, ExpectedUsage};
use crate::{answer::Answer, piece::Piece};
use serde_json::{Value, json};
use std::fmt::Display;

/// The text of most scripts: with a letter of two bytes and one of four.
pub(super) const TEXT: &str = "Hello, wörld 😀";
pub(super) const DONE: &str = "data: [DONE]\n\n";
pub(super) const USAGE: &str = r#"{"prompt_tokens":5,"total_tokens":9,"completion_tokens":4}"#;

/// One event with this payload.
pub(super) fn event(payload: impl Display) -> String {
    format!("data: {payload}\n\n")
}

/// A chunk with these members beside `id`, `object`, `created` and `model`.
pub(super) fn chunk(members: impl Display) -> String {
    const HEAD: &str =
        r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"oa-sim","#;
    format!("{HEAD}{members}}}")
}

/// A chunk whose only choice has these members beside its index.
pub(super) fn choice(members: impl Display) -> String {
    chunk(format!(r#""choices":[{{"index":0,{members}}}]"#))
}

/// A chunk with this delta (a JSON object) and no finish reason.
pub(super) fn delta(delta: impl Display) -> String {
    choice(format!(r#""delta":{delta},"logprobs":null,"finish_reason":null"#))
}

pub(super) fn content(text: &str) -> String {
    delta(json!({"content": text}))
}

pub(super) fn role() -> String {
    delta(r#"{"role":"assistant","content":""}"#)
}

/// The last chunk of a choice; `reason` is JSON.
pub(super) fn finish(reason: &str) -> String {
    choice(format!(r#""delta":{{}},"logprobs":null,"finish_reason":{reason}"#))
}

/// The usage chunk at the end.
pub(super) fn usage(usage: &str) -> String {
    chunk(format!(r#""choices":[],"usage":{usage}"#))
}

/// The chunks of [`TEXT`] without role, end and usage.
pub(super) fn hello_contents() -> Vec<String> {
    ["Hello,", " wör", "ld ", "😀"].map(content).to_vec()
}

/// The chunks of a whole answer that is [`TEXT`].
pub(super) fn hello() -> Vec<String> {
    let ends = [finish(r#""stop""#), usage(USAGE)];
    [role()].into_iter().chain(hello_contents()).chain(ends).collect()
}

/// [`hello`] as events, with the closing `[DONE]`.
pub(super) fn hello_events() -> Vec<String> {
    hello().into_iter().map(event).chain([DONE.to_owned()]).collect()
}

/// [`hello`] as one text.
pub(super) fn hello_text() -> String {
    hello_events().concat()
}

/// [`hello`] with other bytes: `change` gets the whole stream as one text.
pub(super) fn hello_as(change: impl FnOnce(String) -> String) -> Answer {
    Answer::stream([change(hello_text())])
}

/// The role and the contents of [`hello`], then these payloads, then `[DONE]`.
pub(super) fn hello_ending(payloads: impl IntoIterator<Item = String>) -> Answer {
    Answer::events([role()].into_iter().chain(hello_contents()).chain(payloads))
}

/// The role and the first two contents of [`hello`] as events, then these pieces.
pub(super) fn hello_broken(pieces: impl IntoIterator<Item = Piece>) -> Answer {
    let first = [role()].into_iter().chain(hello_contents().into_iter().take(2));
    let first = first.map(|payload| Piece::from(event(payload)));
    Answer::stream(first.chain(pieces))
}

impl Expected {
    /// What [`hello`] is.
    pub(super) fn hello() -> Self {
        Self {
            text: TEXT.to_owned(),
            finish_reason: "stop",
            usage: ExpectedUsage {
                prompt_tokens: Some(5),
                completion_tokens: Some(4),
                total_tokens: Some(9),
                cached_tokens: None,
            },
            ..Self::default()
        }
    }

    /// [`hello`] without usage and with this finish reason.
    pub(super) fn hello_finished(finish_reason: &'static str) -> Self {
        Self { finish_reason, usage: ExpectedUsage::default(), ..Self::hello() }
    }

    /// What came of [`hello_broken`], and then this error.
    pub(super) fn broken(category: &'static str, mentions: &'static str) -> Self {
        Self { text: "Hello, wör".to_owned(), ..Self::refused(category, mentions) }
    }

    /// Nothing but this error.
    pub(super) fn refused(category: &'static str, mentions: &'static str) -> Self {
        let transient = ["provider_unavailable", "provider_rate_limit", "provider_model_not_loaded"];
        let transient = transient.contains(&category);
        Self { error: Some(ExpectedError { category, mentions, transient }), ..Self::default() }
    }

    /// The same, but it is of no use to try again.
    pub(super) fn for_good(mut self) -> Self {
        if let Some(error) = &mut self.error {
            error.transient = false;
        }
        self
    }

    /// These calls and nothing else.
    pub(super) fn calls<const N: usize>(calls: [(Option<&'static str>, &'static str, Value); N]) -> Self {
        let calls = calls.map(|(id, name, arguments)| {
            let arguments = arguments.is_object().then_some(arguments);
            ExpectedCall { id, name, arguments }
        });
        Self { tool_calls: calls.to_vec(), finish_reason: "tool_calls", ..Self::default() }
    }

    pub(super) fn finished(mut self, finish_reason: &'static str) -> Self {
        self.finish_reason = finish_reason;
        self
    }
}
