//! Scripts of streams that end in unusual ways, or fail to end.

use super::{
    parts::{
        DONE, event, finish, hello, hello_broken, hello_contents, hello_ending, hello_events, role, usage,
    },
    script::Expected,
};
use crate::{answer::Answer, piece::Piece};

catalogue! {
    /// A finish reason, and then the end without `[DONE]`.
    no_done: Answer::stream(hello().into_iter().map(event)) => Expected::hello();
    /// `[DONE]` and nothing else.
    done_only: Answer::stream([DONE]) => Expected::refused("provider_invalid_response", "");
    /// `[DONE]` without a finish reason before it.
    done_without_finish: hello_ending([]) => Expected::hello_finished("error");
    /// A keep-alive, `[DONE]` twice and something after it.
    after_done: Answer::stream(hello_events().into_iter().chain([
        ": bye\n\n".to_owned(), DONE.to_owned(), event("{not json"),
    ])) => Expected::hello();
    /// An orderly end (last HTTP chunk and all) without finish reason and `[DONE]` (Ollama, after an error
    /// that it lost).
    ends_early: hello_broken([]) => Expected::broken("provider_unavailable", "");
    /// The connection is closed in the middle of the body, between two events (a killed vLLM or llama.cpp).
    cut: hello_broken([Piece::Cut]) => Expected::broken("provider_unavailable", "");
    /// The connection is closed in the middle of an event.
    cut_inside_event: hello_broken([Piece::from("data: {\"choices\":[{\"ind"), Piece::Cut])
        => Expected::broken("provider_unavailable", "");
    /// The connection is closed in the middle of a character.
    cut_inside_character: hello_broken([
        Piece::from(&b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xf0\x9f"[..]), Piece::Cut,
    ]) => Expected::broken("provider_unavailable", "");
    /// The connection is reset in the middle of the body.
    reset: hello_broken([Piece::Reset]) => Expected::broken("provider_unavailable", "");
    /// The connection is closed after the head, before the first event.
    cut_after_head: Answer::stream([Piece::Cut]) => Expected::refused("provider_unavailable", "");
    /// The connection is closed before a status line.
    hang_up: Answer::disconnect() => Expected::refused("provider_unavailable", "");
    /// The connection is reset before a status line.
    reset_before_head: Answer::reset() => Expected::refused("provider_unavailable", "");
    /// The connection is closed after `[DONE]`, but without the last HTTP chunk: nothing is missing.
    cut_after_done: Answer::stream(hello_events().into_iter().map(Piece::from).chain([Piece::Cut]))
        => Expected::hello();
    /// Nothing more comes after some events, and the connection stays (vLLM 0.13 on SIGTERM).
    stall: hello_broken([Piece::Stall]) => Expected::broken("provider_unavailable", "");
    /// Nothing comes after the head.
    stall_after_head: Answer::stream([Piece::Stall]) => Expected::refused("provider_unavailable", "");
    /// Nothing comes at all, not even a status line.
    stall_before_head: Answer::stall() => Expected::refused("provider_unavailable", "");
    /// The server stays open after `[DONE]` and never ends its body: nothing is missing.
    stall_after_done: Answer::stream(hello_events().into_iter().map(Piece::from).chain([Piece::Stall]))
        => Expected::hello();

    /// `finish_reason: "abort"` (vLLM on SIGTERM).
    finish_abort: hello_ending([finish(r#""abort""#)]) => Expected::hello_finished("error");
    /// A finish reason that nobody knows.
    finish_unknown: hello_ending([finish(r#""eos_token""#)]) => Expected::hello_finished("error");
    /// `finish_reason: null` to the end.
    finish_null: hello_ending([finish("null")]) => Expected::hello_finished("error");
    /// `finish_reason: ""`.
    finish_empty: hello_ending([finish(r#""""#)]) => Expected::hello_finished("error");
    /// No member `finish_reason` until the last chunk (LiteLLM).
    finish_only_at_end: Answer::events([
        super::parts::choice(r#""delta":{"role":"assistant","content":"Hello, wörld 😀"}"#),
        super::parts::choice(r#""delta":{},"finish_reason":"stop""#),
    ]) => Expected::hello_finished("stop");
    /// The finish reason in the chunk of the last text.
    finish_with_content: Answer::events([
        role(), super::parts::choice(r#""delta":{"content":"Hello, wörld 😀"},"finish_reason":"stop""#),
    ]) => Expected::hello_finished("stop");
    /// The finish reason, and after it a chunk where it is null.
    finish_then_null: hello_ending([finish(r#""stop""#), finish("null")]) => Expected::hello_finished("stop");
    /// `length`.
    finish_length: hello_ending([finish(r#""length""#)]) => Expected::hello_finished("length");
    /// `content_filter`.
    finish_content_filter: hello_ending([finish(r#""content_filter""#)])
        => Expected::hello_finished("content_filter");
    /// `function_call`, the old name of `tool_calls`.
    finish_function_call: hello_ending([finish(r#""function_call""#)])
        => Expected::hello_finished("tool_calls");
    /// A finish reason and no text at all: an answer that is empty.
    empty_answer: Answer::events([role(), finish(r#""stop""#), usage(super::parts::USAGE)])
        => Expected { text: String::new(), ..Expected::hello() };
    /// The role chunk is missing.
    no_role: Answer::events(hello_contents().into_iter().chain([finish(r#""stop""#)]))
        => Expected::hello_finished("stop");
}
