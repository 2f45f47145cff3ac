//! The same events written differently: keep-alives, line ends, fields, cuts.

use super::{
    parts::{DONE, content, event, finish, hello, hello_as, hello_events, role},
    script::Expected,
};
use crate::answer::Answer;

catalogue! {
    /// The plain form that vLLM sends: nothing deviates.
    plain: Answer::stream(hello_events()) => Expected::hello();

    /// A comment between events, `: keep-alive` (vLLM with `--sse-keep-alive-interval`).
    keep_alive_comment: between(": keep-alive\n\n") => Expected::hello();
    /// A comment without text, `:` (llama.cpp after 30 s of silence).
    keep_alive_colon: between(":\n\n") => Expected::hello();
    /// `: OPENROUTER PROCESSING` with a single line end, directly before the next event.
    keep_alive_comment_glued: between(": OPENROUTER PROCESSING\n") => Expected::hello();
    /// `retry: 3000` alone.
    keep_alive_retry: between("retry: 3000\n\n") => Expected::hello();
    /// `id: 7` alone.
    keep_alive_id: between("id: 7\n\n") => Expected::hello();
    /// `event: keepalive` alone, without data.
    keep_alive_event: between("event: keepalive\n\n") => Expected::hello();
    /// `event: ping` with an empty object as data.
    keep_alive_ping: between("event: ping\ndata: {}\n\n") => Expected::hello();
    /// `event: ping` with an object that says so.
    keep_alive_ping_typed: between("event: ping\ndata: {\"type\": \"ping\"}\n\n") => Expected::hello();
    /// `data:` with nothing behind it.
    keep_alive_empty_data: between("data:\n\n") => Expected::hello();
    /// `data` without even a colon.
    keep_alive_bare_data: between("data\n\n") => Expected::hello();
    /// `data: ` with white space alone.
    keep_alive_blank_data: between("data:   \n\n") => Expected::hello();
    /// A comment that a gateway wrapped as data, `data: : keepalive`.
    keep_alive_wrapped_comment: between("data: : keepalive\n\n") => Expected::hello();
    /// Empty lines, more than one.
    keep_alive_blank_lines: between("\n\n\n") => Expected::hello();
    /// Keep-alives before the first event: a long prefill behind a gateway.
    keep_alive_first: Answer::stream([": ping\n\n".repeat(50)].into_iter().chain(hello_events()))
        => Expected::hello();

    /// CRLF line ends.
    crlf: hello_as(|text| text.replace('\n', "\r\n")) => Expected::hello();
    /// CR line ends, which the format allows.
    cr: hello_as(|text| text.replace('\n', "\r")) => Expected::hello();
    /// CRLF, LF and CR mixed.
    mixed_line_ends: hello_as(|text| mix_line_ends(&text)) => Expected::hello();
    /// CRLF line ends cut between CR and LF.
    crlf_cut_inside: crlf_pieces() => Expected::hello();
    /// A byte order mark at the start.
    byte_order_mark: hello_as(|text| format!("\u{feff}{text}")) => Expected::hello();
    /// No space after `data:`.
    no_space: hello_as(|text| text.replace("data: ", "data:")) => Expected::hello();
    /// Two spaces after `data:`: one belongs to the format, one to the JSON text.
    two_spaces: hello_as(|text| text.replace("data: {", "data:  {")) => Expected::hello();
    /// White space behind the payload.
    space_behind: hello_as(|text| text.replace("}\n\n", "} \t\n\n")) => Expected::hello();
    /// One payload in several `data:` lines, to be joined by line ends.
    multi_line_data: hello_as(|text| text.replace(r#","choices""#, ",\ndata: \"choices\""))
        => Expected::hello();
    /// A comment between the `data:` lines of one event.
    comment_inside_event: hello_as(|text| text.replace(r#","choices""#, ",\n: still here\ndata: \"choices\""))
        => Expected::hello();
    /// `id:`, `event: message` and `retry:` on every event.
    other_fields: hello_as(|text| text.replace("data: ", "id: 1\nevent: message\nretry: 10\ndata: "))
        => Expected::hello();
    /// Fields that the format does not know, and a line without a colon.
    unknown_fields: hello_as(|text| text.replace("data: {", "x-trace: 1\nnonsense\ndata: {"))
        => Expected::hello();
    /// The last event, `[DONE]`, without its blank line.
    no_blank_line_at_end: hello_as(|text| text.trim_end().to_owned()) => Expected::hello();
    /// The last event is the finish reason; neither `[DONE]` nor a blank line follows.
    no_blank_line_after_finish: Answer::stream([
        event(role()), event(content("Hello, wörld 😀")), event(finish(r#""stop""#)).trim_end().to_owned(),
    ]) => Expected::hello_finished("stop");

    /// Every byte in an HTTP chunk of its own, also those of one character.
    every_byte: Answer::stream(hello_events()).split_every(1) => Expected::hello();
    /// Three bytes a chunk: characters of two and four bytes are cut.
    every_three_bytes: Answer::stream(hello_events()).split_every(3) => Expected::hello();
    /// The whole stream in one HTTP chunk.
    one_chunk: hello_as(|text| text) => Expected::hello();
    /// Two or three events in one HTTP chunk, as llama.cpp often does.
    events_together: Answer::stream(hello_events().chunks(3).map(<[String]>::concat)) => Expected::hello();
    /// The chunk ends in the middle of each payload, not at its end.
    chunks_across_events: Answer::stream(hello_events()).split_every(100) => Expected::hello();
    /// No chunked coding and no length: the closed connection ends the body.
    until_close: Answer::stream(hello_events()).until_close() => Expected::hello();
    /// A `content-length` on the stream, as some gateways make that buffer it.
    content_length: Answer::bytes(200, "text/event-stream", hello_events().concat()) => Expected::hello();
    /// The connection is closed right after the stream, without having been announced (llama.cpp).
    then_closed: Answer::stream(hello_events()).then_disconnect() => Expected::hello();
    /// `content-type: text/event-stream` in another letter case and without a character set.
    content_type_case: Answer::stream(hello_events()).header("content-type", "Text/Event-Stream")
        => Expected::hello();
    /// One event of 256 KiB.
    large_event: large() => Expected { text: "x".repeat(256 * 1024), ..Expected::hello_finished("stop") };
}

/// The plain stream with this after each event but the last.
fn between(insert: &str) -> Answer {
    let events = hello().into_iter().flat_map(|payload| [event(payload), insert.to_owned()]);
    Answer::stream(events.chain([DONE.to_owned()]))
}

fn mix_line_ends(text: &str) -> String {
    let ends = ["\r\n", "\n", "\r"];
    let lines = text.split('\n').enumerate();
    lines.flat_map(|(index, line)| [line, ends[index % 3]]).collect()
}

fn crlf_pieces() -> Answer {
    let text = hello_events().concat().replace('\n', "\r\n");
    let cuts: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    Answer::stream([text]).split_at(&cuts)
}

fn large() -> Answer {
    Answer::events([role(), content(&"x".repeat(256 * 1024)), finish(r#""stop""#)])
}
