//! Answers in the form of Anthropic Messages: messages, streams, tool calls, errors.

use super::Answer;
use crate::{json::Json, piece::Piece};

/// Answers in the form of Anthropic Messages, for tests that care about what is answered and not about its
/// bytes. The model is named `oa-sim`, the id is `msg_sim`, a token is a word.
impl Answer {
    /// A message with this text, not streamed: `end_turn`, with usage.
    ///
    /// ```
    /// use oa_sim::Answer;
    ///
    /// let script = [
    ///     Answer::message_error(529, "overloaded_error", "Overloaded"),
    ///     Answer::message_tool_use("get_weather", r#"{"city":"Paris"}"#),
    ///     Answer::message("It rains in Paris."),
    ///     Answer::streamed_message(["It ", "rains."]),
    /// ];
    /// # let _ = script;
    /// ```
    pub fn message(text: impl Into<String>) -> Self {
        let text = text.into();
        let tokens = text.split_whitespace().count();
        whole(&Json::object([("type", Json::text("text")), ("text", Json::Text(text))]), "end_turn", tokens)
    }

    /// A message that calls one tool, not streamed: id `toolu_sim`. The input is sent as it stands.
    pub fn message_tool_use(name: impl Into<String>, input: impl Into<String>) -> Self {
        let input = input.into();
        let block = Json::object([
            ("type", Json::text("tool_use")),
            ("id", Json::text("toolu_sim")),
            ("name", Json::text(name)),
            ("input", Json::parse(&input).unwrap_or(Json::Text(input))),
        ]);
        whole(&block, "tool_use", 1)
    }

    /// A message that is streamed, one `content_block_delta` for each text, with the events before and after
    /// them. Each event is one HTTP chunk.
    pub fn streamed_message<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::stream(Self::message_pieces(texts))
    }

    /// The events of [`streamed_message`](Self::streamed_message), to be cut off or delayed between any two.
    pub fn message_pieces<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Vec<Piece> {
        let index = || ("index", Json::count(0));
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        let tokens = texts.concat().split_whitespace().count();
        let typed =
            |kind: &str, text: String| Json::object([("type", Json::text(kind)), ("text", Json::Text(text))]);
        let start = message(Vec::new(), Json::Null, 0);
        let mut pieces = vec![
            event_piece("message_start", [("message", start)]),
            event_piece("content_block_start", [index(), ("content_block", typed("text", String::new()))]),
        ];
        pieces.extend(
            texts.into_iter().map(|text| {
                event_piece("content_block_delta", [index(), ("delta", typed("text_delta", text))])
            }),
        );
        let delta = Json::object([("stop_reason", Json::text("end_turn")), ("stop_sequence", Json::Null)]);
        let usage = Json::object([("output_tokens", Json::count(tokens))]);
        pieces.extend([
            event_piece("content_block_stop", [index()]),
            event_piece("message_delta", [("delta", delta), ("usage", usage)]),
            event_piece("message_stop", []),
        ]);
        pieces
    }

    /// An error in the form of Anthropic: `{"type":"error","error":{"type":KIND,"message":...},
    /// "request_id":"req_sim"}`.
    pub fn message_error(status: u16, kind: &str, message: impl Into<String>) -> Self {
        Self::bytes(status, "application/json", error(kind, message).to_string())
    }

    /// The same error inside of a stream, as its event.
    pub fn message_error_event(kind: &str, message: impl Into<String>) -> Piece {
        Piece::from(format!("event: error\ndata: {}\n\n", error(kind, message)))
    }
}

fn error(kind: &str, message: impl Into<String>) -> Json {
    Json::object([
        ("type", Json::text("error")),
        ("error", Json::object([("type", Json::text(kind)), ("message", Json::text(message))])),
        ("request_id", Json::text("req_sim")),
    ])
}

fn whole(block: &Json, stop_reason: &str, tokens: usize) -> Answer {
    let body = message(vec![block.clone()], Json::text(stop_reason), tokens);
    Answer::bytes(200, "application/json", body.to_string())
}

fn message(content: Vec<Json>, stop_reason: Json, tokens: usize) -> Json {
    let usage = Json::object([("input_tokens", Json::count(1)), ("output_tokens", Json::count(tokens))]);
    Json::object([
        ("id", Json::text("msg_sim")),
        ("type", Json::text("message")),
        ("role", Json::text("assistant")),
        ("content", Json::List(content)),
        ("model", Json::text("oa-sim")),
        ("stop_reason", stop_reason),
        ("stop_sequence", Json::Null),
        ("usage", usage),
    ])
}

/// An event with its name, as a piece of a stream.
pub(crate) fn event_piece<const N: usize>(name: &str, members: [(&str, Json); N]) -> Piece {
    let kind = std::iter::once(("type".to_owned(), Json::text(name)));
    let members = members.into_iter().map(|(key, value)| (key.to_owned(), value));
    Piece::from(format!("event: {name}\ndata: {}\n\n", Json::Object(kind.chain(members).collect())))
}
