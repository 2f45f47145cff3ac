//! Members of a chunk that are missing, doubled, null, of another type or in another order.

use super::{
    parts::{USAGE, choice, chunk, content, delta, finish, hello, hello_contents, hello_ending, role, usage},
    script::{Expected, ExpectedUsage},
};
use crate::answer::Answer;
use serde_json::json;

catalogue! {
    /// Usage in every chunk, counting up (vLLM with `continuous_usage_stats`): the last counts.
    usage_each: Answer::events((0..=4).map(|count| {
        let text = ["", "Hello,", " wör", "ld ", "😀"][count];
        let delta = json!({"content": text});
        let usage = json!({"prompt_tokens": 5, "total_tokens": 5 + count, "completion_tokens": count});
        chunk(format!(r#""choices":[{{"index":0,"delta":{delta},"finish_reason":null}}],"usage":{usage}"#))
    }).chain([finish(r#""stop""#), usage(USAGE)])) => Expected::hello();
    /// No usage, although it was asked for.
    usage_missing: hello_ending([finish(r#""stop""#)]) => Expected::hello_finished("stop");
    /// `usage: null` in every chunk but the last (OpenAI).
    usage_null: Answer::events(hello().into_iter().map(|text| {
        if text.contains("usage") { text } else { text.replace(r#""choices""#, r#""usage":null,"choices""#) }
    })) => Expected::hello();
    /// Usage in the chunk with the finish reason.
    usage_with_finish: hello_ending([
        chunk(format!(r#""choices":[{{"index":0,"delta":{{}},"finish_reason":"stop"}}],"usage":{USAGE}"#)),
    ]) => Expected::hello();
    /// Usage before the finish reason.
    usage_before_finish: hello_ending([usage(USAGE), finish(r#""stop""#)]) => Expected::hello();
    /// Usage with details: tokens from the cache.
    usage_cached: hello_ending([finish(r#""stop""#), usage(
        concat!(
            r#"{"prompt_tokens":5,"total_tokens":9,"completion_tokens":4,"#,
            r#""prompt_tokens_details":{"cached_tokens":3}}"#,
        ),
    )]) => Expected {
        usage: ExpectedUsage { cached_tokens: Some(3), ..Expected::hello().usage },
        ..Expected::hello()
    };
    /// Counters that are none: negative, a text, null. Each is absent on its own.
    usage_malformed: hello_ending([finish(r#""stop""#), usage(
        r#"{"prompt_tokens":-5,"total_tokens":9,"completion_tokens":"four","prompt_tokens_details":null}"#,
    )]) => Expected {
        usage: ExpectedUsage { prompt_tokens: None, completion_tokens: None, ..Expected::hello().usage },
        ..Expected::hello()
    };

    /// `content: null` in the first and the last chunk (llama.cpp).
    content_null: Answer::events(
        [delta(r#"{"role":"assistant","content":null}"#)].into_iter().chain(hello_contents()).chain([
            choice(r#""delta":{"content":null},"finish_reason":"stop""#),
        ]),
    ) => Expected::hello_finished("stop");
    /// `content: ""` in between (vLLM while a character is not complete).
    content_empty: Answer::events(
        hello_contents().into_iter().flat_map(|text| [text, content("")]).chain([finish(r#""stop""#)]),
    ) => Expected::hello_finished("stop");
    /// Text as a list of parts.
    content_parts: Answer::events([
        role(), delta(r#"{"content":[{"type":"text","text":"Hello, wörld"},{"type":"text","text":" 😀"}]}"#),
        finish(r#""stop""#),
    ]) => Expected::hello_finished("stop");
    /// `\u` escapes, a surrogate pair among them.
    escapes: Answer::events([
        role(), delta(r#"{"content":"\u0048ello, w\u00f6rld \ud83d\ude00"}"#), finish(r#""stop""#),
    ]) => Expected::hello_finished("stop");
    /// Line ends, quotes, a NUL and U+2028 in the text.
    control_characters: Answer::events([
        role(), delta(r#"{"content":"a\nb\r\n\"c\"\t\u0000\u2028\\n"}"#), finish(r#""stop""#),
    ]) => Expected { text: "a\nb\r\n\"c\"\t\0\u{2028}\\n".to_owned(), ..Expected::hello_finished("stop") };
    /// Text that looks like the end of the stream.
    done_as_text: Answer::events([
        role(), content("[DONE]"), content("\n\ndata: [DONE]\n\n"), finish(r#""stop""#),
    ]) => Expected { text: "[DONE]\n\ndata: [DONE]\n\n".to_owned(), ..Expected::hello_finished("stop") };

    /// A first chunk with `choices: []` (Azure's prompt filter), and one at the end.
    choices_empty: Answer::events(
        [chunk(r#""choices":[],"prompt_filter_results":[{"prompt_index":0}]"#)].into_iter().chain(hello())
            .chain([chunk(r#""choices":[]"#)]),
    ) => Expected::hello();
    /// A chunk without `choices` between the others.
    choices_missing: Answer::events(
        [r#"{"object":"chat.completion.chunk","id":"chatcmpl-1"}"#.to_owned()].into_iter().chain(hello()),
    ) => Expected::hello();
    /// A choice without `delta`, and one whose `delta` is null.
    delta_missing: Answer::events(
        [choice(r#""finish_reason":null"#), choice(r#""delta":null,"finish_reason":null"#)].into_iter()
            .chain(hello_contents()).chain([choice(r#""finish_reason":"stop""#)]),
    ) => Expected::hello_finished("stop");
    /// A choice without `index`.
    index_missing: Answer::events(
        hello().into_iter().map(|text| text.replace(r#""index":0,"#, "")),
    ) => Expected::hello();
    /// `id` is a number, `created` a text and `model` null.
    wrong_types: Answer::events(hello().into_iter().map(|text| {
        text.replace(r#""chatcmpl-1""#, "7").replace("1700000000", r#""now""#).replace(r#""oa-sim""#, "null")
    })) => Expected::hello();
    /// Only `choices`: no `id`, `object`, `created` or `model`.
    bare: Answer::events(hello_contents().into_iter().chain([finish(r#""stop""#)]).map(|text| {
        format!("{{{}", &text[text.find(r#""choices""#).unwrap_or(0)..])
    })) => Expected::hello_finished("stop");
    /// Members that nobody knows, at every level.
    unknown_members: Answer::events(hello().into_iter().map(|text| {
        text.replace(r#""choices""#, r#""timings":{"n":[1,{}]},"choices""#)
            .replace(r#""delta":{"#, r#""token_ids":null,"delta":{"x":{},"#)
            .replace(r#""x":{},}"#, r#""x":{}}"#)
    })) => Expected::hello();

    /// Reasoning in `reasoning` (vLLM 0.14 and later, Ollama).
    reasoning: thinking(|text| json!({"reasoning": text})) => thought();
    /// Reasoning in `reasoning_content` (llama.cpp, SGLang, LiteLLM).
    reasoning_content: thinking(|text| json!({"reasoning_content": text})) => thought();
    /// Reasoning in both, the same text (vLLM 0.13): it is taken once.
    reasoning_both: thinking(|text| json!({"reasoning": text, "reasoning_content": text})) => thought();
    /// `reasoning_content: null` beside the text (vLLM 0.13), and an empty `reasoning`.
    reasoning_null: Answer::events([
        delta(r#"{"role":"assistant","content":"","reasoning_content":null}"#),
        delta(json!({"content": super::parts::TEXT, "reasoning_content": null, "reasoning": ""})),
        finish(r#""stop""#),
    ]) => Expected::hello_finished("stop");
    /// Reasoning and text in one delta.
    reasoning_with_content: Answer::events([
        role(),
        delta(json!({"content": super::parts::TEXT, "reasoning_content": "Let me see."})),
        finish(r#""stop""#),
    ]) => thought();
    /// The model was cut off while it thought: no text at all.
    reasoning_only: Answer::events([role(), delta(r#"{"reasoning":"Let me see."}"#), finish(r#""length""#)])
        => Expected { text: String::new(), ..thought() }.finished("length");

    /// Two choices, interleaved: only the one with index 0 counts.
    two_choices: Answer::events(hello().into_iter().flat_map(|text| {
        let other = text.replace(r#""index":0"#, r#""index":1"#).replace("wör", "other");
        if text.contains("usage") { vec![text] } else { vec![other, text] }
    })) => Expected::hello();
    /// Two choices in one chunk, the other one first.
    two_choices_in_one_chunk: Answer::events([
        chunk(concat!(
            r#""choices":[{"index":1,"delta":{"content":"other"},"finish_reason":"length"},{"index":0,"#,
            r#""delta":{"content":"Hello, wörld 😀"},"finish_reason":"stop"}]"#,
        )),
    ]) => Expected::hello_finished("stop");
}

fn thinking(member: impl Fn(&str) -> serde_json::Value) -> Answer {
    let thoughts = ["Let me", " see."].map(|text| delta(member(text)));
    Answer::events([role()].into_iter().chain(thoughts).chain(hello_contents()).chain([finish(r#""stop""#)]))
}

fn thought() -> Expected {
    Expected { reasoning: "Let me see.".to_owned(), ..Expected::hello_finished("stop") }
}
