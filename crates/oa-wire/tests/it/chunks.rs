//! Any sequence of valid chunks, in any form that the format allows and in any split, gives the same answer.

use crate::common::{self, Step, cut, drain, finish, singles, steps, stream};
use bytes::Bytes;
use oa_wire::{Category, Response};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// What one chunk says.
#[derive(Clone, Debug)]
enum Say {
    Text(String),
    Reasoning(String),
    /// The next fragment of this call, if any is left.
    Fragment(usize),
    Nothing,
}

/// A chunk: what it says, and what stands around it.
#[derive(Clone, Debug)]
struct Chunk {
    say: Say,
    /// A member of the root and one of the choice that no contract names.
    vendor: Option<u8>,
    /// Tokens so far, as some servers count them in every chunk.
    counted: Option<u8>,
    nulls: bool,
}

/// A tool call and the places at which its arguments are cut.
#[derive(Clone, Debug)]
struct Call {
    name: &'static str,
    arguments: Value,
    cuts: Vec<prop::sample::Index>,
}

/// How the stream is written.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that varies by itself")]
struct Form {
    line_end: &'static str,
    space: bool,
    bom: bool,
    /// One line or several to an event.
    pretty: bool,
    /// All but ASCII as escapes.
    escaped: bool,
    /// The reasoning's name.
    reasoning: &'static str,
    done: bool,
    /// The last event has its blank line.
    closed: bool,
}

/// Between two events: what says nothing.
const KEEP_ALIVES: [&str; 14] = [
    ":",
    ": keep-alive",
    ":keep-alive",
    "retry: 3000",
    "id: 17",
    "id",
    "event: ping",
    "event: ping\ndata: {}",
    "event: ping\ndata: {\"type\": \"ping\"}",
    "data:",
    "data: ",
    "data",
    "data: : keepalive",
    "foo: bar",
];

/// Texts that mean something where they do not stand in quotes.
const TEXTS: [&str; 11] =
    ["\n", "\"", "\\", "\t\r\n", "\u{1}\u{7f}", "\u{2028}", "data: x\n\n", "é", "😀", "[DONE]", "\\u0041"];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z ]{0,8}",
        2 => "\\PC{0,6}",
        2 => prop::sample::select(TEXTS.to_vec()).prop_map(str::to_owned),
    ]
}

fn chunk() -> impl Strategy<Value = Chunk> {
    let say = prop_oneof![
        5 => text().prop_map(Say::Text),
        2 => text().prop_map(Say::Reasoning),
        3 => (0..3usize).prop_map(Say::Fragment),
        1 => Just(Say::Nothing),
    ];
    let few = || prop::option::weighted(0.3, 0..3u8);
    (say, few(), few(), any::<bool>()).prop_map(|(say, vendor, counted, nulls)| Chunk {
        say,
        vendor,
        counted,
        nulls,
    })
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let arguments = prop::collection::btree_map("[a-z]{1,3}", text().prop_map(Value::from), 0..3);
    let call = (
        prop::sample::select(vec!["get_weather", "get_time"]),
        arguments,
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    )
        .prop_map(|(name, arguments, cuts)| Call { name, arguments: json!(arguments), cuts });
    prop::collection::vec(call, 0..3)
}

fn form() -> impl Strategy<Value = Form> {
    let flags = any::<(bool, bool, bool, bool, bool, bool)>();
    let names = prop::sample::select(vec!["reasoning", "reasoning_content"]);
    (prop::sample::select(vec!["\n", "\r", "\r\n"]), flags, names).prop_map(
        |(line_end, (space, bom, pretty, escaped, done, closed), reasoning)| Form {
            line_end,
            space,
            bom,
            pretty,
            escaped,
            reasoning,
            done,
            closed,
        },
    )
}

/// What must arrive.
#[derive(Debug, Default)]
struct Want {
    text: String,
    reasoning: String,
    vendor: Option<u8>,
    counted: Option<u8>,
    /// The calls in the order in which they begin.
    calls: Vec<usize>,
}

/// The chunks as JSON, and what they say.
fn render(chunks: &[Chunk], calls: &[Call], form: &Form) -> (Vec<Value>, Want) {
    let mut want = Want::default();
    let mut fragments: Vec<Vec<Value>> =
        calls.iter().enumerate().map(|(at, call)| fragments(at, call)).collect();
    for fragments in &mut fragments {
        fragments.reverse();
    }
    let mut out = Vec::new();
    let rest = (0..calls.len()).flat_map(|at| std::iter::repeat_n(Say::Fragment(at), 5));
    let rest = rest.map(|say| Chunk { say, vendor: None, counted: None, nulls: false });
    for chunk in chunks.iter().cloned().chain(rest) {
        let mut delta = Map::new();
        match &chunk.say {
            Say::Text(text) => {
                want.text += text;
                delta.insert("content".into(), json!(text));
            }
            Say::Reasoning(text) => {
                want.reasoning += text;
                delta.insert(form.reasoning.into(), json!(text));
            }
            Say::Fragment(at) => match fragments.get_mut(*at).and_then(Vec::pop) {
                Some(fragment) => {
                    if !want.calls.contains(at) {
                        want.calls.push(*at);
                    }
                    delta.insert("tool_calls".into(), json!([fragment]));
                }
                None => continue,
            },
            Say::Nothing => {}
        }
        if chunk.nulls {
            for name in ["role", "content", "reasoning", "refusal", "tool_calls", "function_call"] {
                delta.entry(name).or_insert(Value::Null);
            }
        }
        let mut choice = json!({"index": 0, "delta": delta, "finish_reason": null});
        let mut root = json!({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m"});
        if let Some(vendor) = chunk.vendor {
            want.vendor = Some(vendor);
            choice["vendor"] = json!(vendor);
            root["vendor"] = json!(vendor);
        }
        if let Some(counted) = chunk.counted {
            want.counted = Some(counted);
            root["usage"] = json!({"completion_tokens": counted});
        }
        root["choices"] = json!([choice]);
        out.push(root);
    }
    let finish = if calls.is_empty() { "stop" } else { "tool_calls" };
    out.push(
        json!({"id": "c1", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}),
    );
    (out, want)
}

fn fragments(at: usize, call: &Call) -> Vec<Value> {
    let text = call.arguments.to_string();
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let mut cuts: Vec<usize> = call.cuts.iter().map(|cut| *cut.get(&places)).collect();
    cuts.extend([0, text.len()]);
    cuts.sort_unstable();
    let mut fragments: Vec<Value> = cuts
        .windows(2)
        .map(|cut| json!({"index": at, "function": {"arguments": &text[cut[0]..cut[1]]}}))
        .collect();
    fragments[0]["id"] = json!(format!("call_{at}"));
    fragments[0]["type"] = json!("function");
    fragments[0]["function"]["name"] = json!(call.name);
    fragments
}

/// The stream's bytes. `between` says which keep-alives stand before each event.
fn write(chunks: &[Value], between: &[(usize, usize)], form: &Form) -> Bytes {
    let mut events: Vec<String> = chunks
        .iter()
        .map(|chunk| {
            let text =
                if form.pretty { serde_json::to_string_pretty(chunk).unwrap() } else { chunk.to_string() };
            let text = if form.escaped { ascii(&text) } else { text };
            let space = if form.space { " " } else { "" };
            let lines: Vec<String> = text.lines().map(|line| format!("data:{space}{line}\n")).collect();
            lines.concat() + "\n"
        })
        .collect();
    if form.done {
        events.push("data: [DONE]\n\n".to_owned());
    }
    for (place, which) in between.iter().rev() {
        let at = place % (events.len() + 1);
        events.insert(at, format!("{}\n\n", KEEP_ALIVES[which % KEEP_ALIVES.len()]));
    }
    let mut text = events.concat();
    if !form.closed {
        text.truncate(text.trim_end().len());
    }
    let bom = if form.bom { "\u{feff}" } else { "" };
    (bom.to_owned() + &text.replace('\n', form.line_end)).into()
}

/// The same JSON with escapes for all that is not ASCII.
fn ascii(json: &str) -> String {
    let escape = |unit: u16| match u8::try_from(unit) {
        Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
        _ => format!("\\u{unit:04x}"),
    };
    json.encode_utf16().map(escape).collect::<Vec<_>>().concat()
}

fn deltas(steps: &[Step], of: fn(&Step) -> Option<&String>) -> String {
    steps.iter().filter_map(of).map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_valid_stream_in_any_form_and_split_gives_the_same(
        chunks in prop::collection::vec(chunk(), 0..14),
        calls in calls(),
        form in form(),
        between in prop::collection::vec((0..99usize, 0..99usize), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (json, want) = render(&chunks, &calls, &form);
        let bytes = write(&json, &between, &form);

        let whole = steps(stream(), [bytes.clone()]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&steps(stream(), cut(&bytes, &cuts)), &whole);
        prop_assert_eq!(&steps(stream(), singles(&bytes)), &whole);

        let response = drain(stream(), [bytes.clone()]);
        let response = response.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(common::render(&response), common::render(&finish(stream(), [bytes]).unwrap()));
        prop_assert_eq!(&response.text(), &want.text);
        prop_assert_eq!(response.message.reasoning().unwrap_or_default(), &want.reasoning);
        let content = deltas(&whole, |step| match step { Step::Content(text) => Some(text), _ => None });
        let reasoning = deltas(&whole, |step| match step { Step::Reasoning(text) => Some(text), _ => None });
        prop_assert_eq!((content, reasoning), (want.text.clone(), want.reasoning.clone()));
        prop_assert_eq!(called(&response), want.calls.iter().map(|&at| {
            (format!("call_{at}"), calls[at].name.to_owned(), calls[at].arguments.clone())
        }).collect::<Vec<_>>());
        prop_assert_eq!(response.usage.completion_tokens, want.counted.map(u64::from));
        let raw = response.raw.json().unwrap();
        let message = &raw["choices"][0]["message"];
        prop_assert_eq!(message["content"].as_str().unwrap_or_default(), &want.text);
        prop_assert_eq!(&raw["vendor"], &json!(want.vendor));
        prop_assert_eq!(&raw["choices"][0]["vendor"], &json!(want.vendor));
    }
}

fn called(response: &Response) -> Vec<(String, String, Value)> {
    let calls = response.message.tool_calls.iter();
    calls
        .map(|call| (call.id.clone(), call.name.clone(), json!(call.arguments.as_object().unwrap())))
        .collect()
}

/// A chunk of text that says nothing else.
const PLAIN: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"x"}}]}"#;

#[test]
fn an_event_named_error_is_one_even_if_it_looks_like_the_chunks_before() {
    for bad in [PLAIN.replacen("data:", "event: error\ndata:", 1), PLAIN.replacen("data:", "error:", 1)] {
        let bytes = Bytes::from(format!("{PLAIN}\n\n{PLAIN}\n\n{bad}\n\ndata: [DONE]\n\n"));
        let error = finish(stream(), [bytes.clone()]).unwrap_err();
        assert_eq!(error.partial().unwrap().text(), "xx", "{bad}");
        assert!(matches!(steps(stream(), [bytes]).last(), Some(Step::Failed(_))), "{bad}");
    }
}

#[test]
fn a_ping_is_no_chunk_even_if_it_looks_like_one() {
    let bytes = format!("{PLAIN}\n\nevent: ping\n{PLAIN}\n\n{PLAIN}\n\ndata: [DONE]\n\n");
    let content = deltas(&steps(stream(), [bytes.into()]), |step| match step {
        Step::Content(text) => Some(text),
        _ => None,
    });
    assert_eq!(content, "xx");
}

#[test]
fn raw_has_the_last_value_of_a_member_also_when_it_was_seen_before() {
    let chunk = |vendor: u8, usage: &str| {
        format!(
            "data: {{\"vendor\":{vendor},{usage}\"choices\":[{{\"index\":0,\"vendor\":{vendor},\
             \"delta\":{{\"content\":\"x\",\"vendor\":{vendor}}}}}]}}\n\n"
        )
    };
    let usage = r#""usage":{"total_tokens":1},"#;
    let bytes = [chunk(1, ""), chunk(2, usage), chunk(1, ""), "data: [DONE]\n\n".to_owned()].concat();
    let raw = drain(stream(), [bytes.into()]).unwrap().raw.json().unwrap();
    let choice = &raw["choices"][0];
    assert_eq!([&raw["vendor"], &choice["vendor"], &choice["message"]["vendor"]], [1, 1, 1]);
}

#[test]
fn a_member_whose_new_value_ends_within_a_character_of_the_old_one_is_kept() {
    let chunk = |vendor: &str| format!("data: {{\"vendor\":{},\"choices\":[]}}\n\n", json!(vendor));
    let bytes = [&chunk("a😀"), &chunk("b"), PLAIN, "\n\ndata: [DONE]\n\n"].concat();
    let raw = drain(stream(), [bytes.into()]).unwrap().raw.json().unwrap();
    assert_eq!(raw["vendor"], "b");
}

#[test]
fn a_stream_of_keep_alives_alone_is_no_answer() {
    let keep_alives = KEEP_ALIVES.join("\n\n") + "\n\n";
    let cases = [("", Category::Unavailable), ("data: [DONE]\n\n", Category::InvalidResponse)];
    for (end, want) in cases {
        let error = finish(stream(), [Bytes::from(format!("{keep_alives}{end}"))]).unwrap_err();
        assert_eq!(error.category(), want, "{end:?}");
        assert!(error.partial().is_none(), "{end:?}");
    }
}
