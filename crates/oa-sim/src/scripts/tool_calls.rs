//! The fragments in which tool calls come.

use super::{
    parts::{choice, content, delta, finish, role},
    script::Expected,
};
use crate::answer::Answer;
use serde_json::{Value, json};

catalogue! {
    /// vLLM: first id and name without arguments, then pieces by index.
    call_in_pieces: calls([
        r#"{"id":"call_a","type":"function","index":0,"function":{"name":"get_weather"}}"#,
        r#"{"index":0,"function":{"arguments":"{\"city\": \""}}"#,
        r#"{"index":0,"function":{"arguments":"Paris"}}"#,
        r#"{"index":0,"function":{"arguments":"\"}"}}"#,
    ]) => one();
    /// llama.cpp: the first piece already has the opening brace.
    call_with_first_brace: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":"{"}}"#,
        r#"{"index":0,"function":{"arguments":"\"city\":"}}"#,
        r#"{"index":0,"function":{"arguments":"\"Paris\"}"}}"#,
    ]) => one();
    /// A whole call in one chunk.
    call_whole: calls([WEATHER]) => one();
    /// Two whole calls in one chunk.
    calls_in_one_chunk: calls([
        concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Paris\"}"}},{"index":1,"id":"call_b","type":"function","#,
            r#""function":{"name":"get_time","arguments":"{\"zone\":\"CET\"}"}}"#,
        ),
    ]) => two();
    /// Two calls, one after the other.
    calls_in_order: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":""}}"#,
        r#"{"index":0,"function":{"arguments":"{\"city\":\"Paris\"}"}}"#,
        r#"{"index":1,"id":"call_b","type":"function","function":{"name":"get_time","arguments":""}}"#,
        r#"{"index":1,"function":{"arguments":"{\"zone\":\"CET\"}"}}"#,
    ]) => two();
    /// Two calls whose pieces alternate.
    calls_interleaved: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":""}}"#,
        r#"{"index":1,"id":"call_b","type":"function","function":{"name":"get_time","arguments":""}}"#,
        r#"{"index":0,"function":{"arguments":"{\"city\":"}}"#,
        r#"{"index":1,"function":{"arguments":"{\"zone\":"}}"#,
        r#"{"index":0,"function":{"arguments":"\"Paris\"}"}}"#,
        r#"{"index":1,"function":{"arguments":"\"CET\"}"}}"#,
    ]) => two();

    /// No index, one call in pieces: what has no id continues the open call.
    no_index: calls([
        r#"{"id":"call_a","type":"function","function":{"name":"get_weather","arguments":""}}"#,
        r#"{"function":{"arguments":"{\"city\":"}}"#,
        r#"{"function":{"arguments":"\"Paris\"}"}}"#,
    ]) => one();
    /// No index, two calls told apart by their ids.
    no_index_two_calls: calls([
        r#"{"id":"call_a","type":"function","function":{"name":"get_weather","arguments":"{\"city\":"}}"#,
        r#"{"id":"call_a","function":{"arguments":"\"Paris\"}"}}"#,
        r#"{"id":"call_b","type":"function","function":{"name":"get_time","arguments":"{\"zone\":"}}"#,
        r#"{"id":"call_b","function":{"arguments":"\"CET\"}"}}"#,
    ]) => two();
    /// No index, two whole calls (Ollama, Gemini's compatible API).
    no_index_two_whole_calls: calls([
        concat!(
            r#"{"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Paris\"}"}}"#,
        ),
        concat!(
            r#"{"id":"call_b","type":"function","function":{"name":"get_time","#,
            r#""arguments":"{\"zone\":\"CET\"}"}}"#,
        ),
    ]) => two();
    /// `index: null` in every piece.
    index_null: calls([
        concat!(
            r#"{"index":null,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":"}}"#,
        ),
        r#"{"index":null,"function":{"arguments":"\"Paris\"}"}}"#,
    ]) => one();
    /// Two calls with the same index: the new id starts a new call.
    same_index: calls([
        WEATHER,
        concat!(
            r#"{"index":0,"id":"call_b","type":"function","function":{"name":"get_time","#,
            r#""arguments":"{\"zone\":"}}"#,
        ),
        r#"{"index":0,"function":{"arguments":"\"CET\"}"}}"#,
    ]) => two();
    /// Two calls with the same index and no ids: a name after complete arguments starts a new call.
    same_index_no_id: calls([
        concat!(
            r#"{"index":0,"type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Paris\"}"}}"#,
        ),
        r#"{"index":0,"type":"function","function":{"name":"get_time","arguments":"{\"zone\":\"CET\"}"}}"#,
    ]) => without_ids(two());
    /// The same tool twice with the same index; only the ids differ.
    same_index_same_name: calls([
        WEATHER,
        concat!(
            r#"{"index":0,"id":"call_b","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Tokyo\"}"}}"#,
        ),
    ]) => Expected::calls([
        (Some("call_a"), "get_weather", json!({"city": "Paris"})),
        (Some("call_b"), "get_weather", json!({"city": "Tokyo"})),
    ]);
    /// A gap in the indexes, 0 and 2: two calls, not three.
    index_gap: calls([
        WEATHER,
        concat!(
            r#"{"index":2,"id":"call_b","type":"function","function":{"name":"get_time","#,
            r#""arguments":"{\"zone\":\"CET\"}"}}"#,
        ),
    ]) => two();
    /// The only index is 1.
    index_from_one: calls([
        concat!(
            r#"{"index":1,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Paris\"}"}}"#,
        ),
    ]) => one();

    /// Id and name repeated in every piece: set once, never joined.
    id_repeated: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":""}}"#,
        concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":"}}"#,
        ),
        concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"\"Paris\"}"}}"#,
        ),
    ]) => one();
    /// Empty id and name in the later pieces.
    id_empty_later: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":""}}"#,
        r#"{"index":0,"id":"","type":"function","function":{"name":"","arguments":"{\"city\":"}}"#,
        r#"{"index":0,"id":"","type":"function","function":{"name":"","arguments":"\"Paris\"}"}}"#,
    ]) => one();
    /// Null id, name and type in the later pieces.
    id_null_later: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":null}}"#,
        r#"{"index":0,"id":null,"type":null,"function":{"name":null,"arguments":"{\"city\":"}}"#,
        r#"{"index":0,"id":null,"type":null,"function":{"name":null,"arguments":"\"Paris\"}"}}"#,
    ]) => one();
    /// No id at all: the client makes one.
    id_missing: calls([
        concat!(
            r#"{"index":0,"type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Paris\"}"}}"#,
        ),
    ]) => without_ids(one());
    /// An empty id: as if there was none.
    id_empty: calls([
        concat!(
            r#"{"index":0,"id":"","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Paris\"}"}}"#,
        ),
    ]) => without_ids(one());
    /// A null id: as if there was none.
    id_null: calls([
        concat!(
            r#"{"index":0,"id":null,"type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Paris\"}"}}"#,
        ),
    ]) => without_ids(one());
    /// The id comes later than the name.
    id_late: calls([
        r#"{"index":0,"type":"function","function":{"name":"get_weather","arguments":""}}"#,
        r#"{"index":0,"id":"call_a","function":{"arguments":"{\"city\":\"Paris\"}"}}"#,
    ]) => one();

    /// Arguments as an object instead of its text.
    arguments_object: calls([
        concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":{"city":"Paris"}}}"#,
        ),
    ]) => one();
    /// Empty arguments: `{}`.
    arguments_empty: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","arguments":""}}"#,
    ]) => Expected::calls([(Some("call_a"), "get_weather", json!({}))]);
    /// No arguments: `{}`.
    arguments_missing: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather"}}"#,
    ]) => Expected::calls([(Some("call_a"), "get_weather", json!({}))]);
    /// Arguments cut in the middle of an escape.
    arguments_cut_in_escape: calls([
        concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"\\u00"}}"#,
        ),
        r#"{"index":0,"function":{"arguments":"e9\\"}}"#,
        r#"{"index":0,"function":{"arguments":"n\"}"}}"#,
    ]) => Expected::calls([(Some("call_a"), "get_weather", json!({"city": "é\n"}))]);
    /// Arguments that are no JSON, although the model says that it is done.
    arguments_broken: calls([
        concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{city: Paris"}}"#,
        ),
    ]) => invalid("get_weather", Value::Null);
    /// Arguments that are JSON, but a text.
    arguments_text: calls([
        concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"\"Paris\""}}"#,
        ),
    ]) => invalid("get_weather", Value::Null);
    /// Arguments that do not satisfy the tool's schema: the city is a number.
    arguments_wrong_type: calls([
        concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":935}"}}"#,
        ),
    ]) => invalid("get_weather", json!({"city": 935}));
    /// Arguments cut off by `max_tokens`, with the reason `length`.
    arguments_cut_by_length: calls_ending(
        [concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Par"}}"#,
        )],
        "\"length\"",
    ) => invalid("get_weather", Value::Null).finished("length");
    /// Arguments cut off because the server stopped: surfaced, with what cannot be parsed absent.
    arguments_cut_by_abort: calls_ending(
        [concat!(
            r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
            r#""arguments":"{\"city\":\"Par"}}"#,
        )],
        "\"abort\"",
    ) => Expected::calls([(Some("call_a"), "get_weather", Value::Null)]).finished("error");
    /// A tool that was not offered.
    unknown_tool: calls([
        r#"{"index":0,"id":"call_a","type":"function","function":{"name":"launch_rocket","arguments":"{}"}}"#,
    ]) => invalid("launch_rocket", json!({}));

    /// The reason is `stop` although a tool is called (vLLM with a named tool).
    finish_stop: calls_ending([WEATHER], "\"stop\"") => one().finished("stop");
    /// The reason comes in the chunk of the last piece.
    finish_with_call: Answer::events([
        role(),
        choice(format!(r#""delta":{{"tool_calls":[{WEATHER}]}},"finish_reason":"tool_calls""#)),
    ]) => one();
    /// Text before the call.
    content_before_call: Answer::events([
        role(), content("Let me look."), piece(WEATHER), finish(r#""tool_calls""#),
    ]) => Expected { text: "Let me look.".to_owned(), ..one() };
    /// `tool_calls: []` in every delta of a text (vLLM 0.13), and null.
    empty_calls: Answer::events([
        delta(r#"{"role":"assistant","content":"","tool_calls":[]}"#),
        delta(json!({"content": super::parts::TEXT, "tool_calls": []})),
        delta(r#"{"tool_calls":null}"#),
        finish(r#""stop""#),
    ]) => Expected::hello_finished("stop");
    /// No `type` anywhere.
    no_type: calls([
        r#"{"index":0,"id":"call_a","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}"#,
    ]) => one();
}

const WEATHER: &str = concat!(
    r#"{"index":0,"id":"call_a","type":"function","function":{"name":"get_weather","#,
    r#""arguments":"{\"city\":\"Paris\"}"}}"#,
);

fn calls<const N: usize>(pieces: [&str; N]) -> Answer {
    calls_ending(pieces, r#""tool_calls""#)
}

fn calls_ending<const N: usize>(pieces: [&str; N], reason: &str) -> Answer {
    Answer::events([role()].into_iter().chain(pieces.map(piece)).chain([finish(reason)]))
}

fn piece(call: &str) -> String {
    delta(format!(r#"{{"content":null,"tool_calls":[{call}]}}"#))
}

fn one() -> Expected {
    Expected::calls([(Some("call_a"), "get_weather", json!({"city": "Paris"}))])
}

fn two() -> Expected {
    Expected::calls([
        (Some("call_a"), "get_weather", json!({"city": "Paris"})),
        (Some("call_b"), "get_time", json!({"zone": "CET"})),
    ])
}

fn without_ids(mut expected: Expected) -> Expected {
    for call in &mut expected.tool_calls {
        call.id = None;
    }
    expected
}

/// A call that the client must not take for a good one.
fn invalid(name: &'static str, arguments: Value) -> Expected {
    let calls = Expected::calls([(Some("call_a"), name, arguments)]);
    Expected { error: Expected::refused("provider_invalid_response", "").error, ..calls }
}
