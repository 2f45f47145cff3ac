//! Micro benches of encode and decode, without a socket: `cargo bench -p oa-bench`, or `-- NAME` for some of
//! them.
//!
//! Each is run in interleaved rounds, and the least time of a round counts: on a shared machine it is the one
//! that was disturbed least. Instruction counts are steadier: `cargo xtask bench`. `--list` prints the names,
//! `--exact NAME --iterations N` runs one of them so often and prints nothing.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use oa_wire::mapping::{Decoder, EventDecoder, Exchange};
use oa_wire::{
    CompletionRequest, Event, JsonSchema, Mapping, Message, Profile, RuntimeConfig, Tool, Tools, anthropic,
    openai,
};
use serde_json::json;
use std::{hint::black_box, time::Instant};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let value = |option: &str| words.iter().position(|word| word == option).and_then(|at| words.get(at + 1));
    let mut cases = cases();
    match (value("--exact"), words.first().filter(|word| !word.starts_with("--"))) {
        (Some(name), _) => cases.retain(|case| case.name == name),
        (None, Some(part)) => cases.retain(|case| case.name.contains(part.as_str())),
        (None, None) => {}
    }
    if words.iter().any(|word| word == "--list") {
        for case in &cases {
            println!("{}", case.name);
        }
        return;
    }
    if let Some(iterations) = value("--iterations") {
        for case in &mut cases {
            case.times(iterations.parse().unwrap_or(1));
        }
        return;
    }
    let mut least = vec![f64::INFINITY; cases.len()];
    for _ in 0..15 {
        for (case, least) in cases.iter_mut().zip(&mut least) {
            let iterations = 200_000 / case.bytes.max(200) + 1;
            let start = Instant::now();
            case.times(iterations);
            *least = least.min(start.elapsed().as_nanos() as f64 / iterations as f64);
        }
    }
    println!("{:<24} {:>12} {:>10} {:>10}", "case", "ns", "bytes", "MB/s");
    for (case, ns) in cases.iter().zip(least) {
        println!("{:<24} {ns:>12.0} {:>10} {:>10.0}", case.name, case.bytes, case.bytes as f64 / ns * 1000.0);
    }
}

struct Case {
    name: &'static str,
    /// The bytes that are written or read.
    bytes: usize,
    run: Box<dyn FnMut()>,
}

impl Case {
    fn times(&mut self, iterations: usize) {
        for _ in 0..iterations {
            (self.run)();
        }
    }
}

fn cases() -> Vec<Case> {
    let openai = endpoint::<openai::Endpoint>();
    let short =
        CompletionRequest::new([Message::system("Be brief."), Message::user("The capital of France?")])
            .with_config(RuntimeConfig::new().with_temperature(0.0).with_max_tokens(64));
    let text = "Explain the \"difference\" between a stream and a completion,\n\
                with a sample: `for x in y { f(x) }`. ";
    let turns = (0..100).map(|at| match at % 2 {
        0 => Message::user(text.repeat(2)),
        _ => Message::assistant(text.repeat(2)),
    });
    let long = CompletionRequest::new(turns.chain([Message::user("And now?")]).collect::<Vec<_>>());
    let parameters =
        json!({"type": "object", "properties": {"city": {"type": "string", "description": text.repeat(5)}}});
    let tools = (0..20).filter_map(|at| Tool::new(format!("tool_{at}"), parameters.clone()).ok());
    let tooled = short.clone().with_tools(Tools::new(tools).unwrap_or_default());
    let answer = |content: &str| {
        json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": content, "refusal": null,
            "tool_calls": []},
            "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}})
        .to_string()
    };
    let mut cases = vec![
        encode(&openai, "encode/2-messages", short.clone()),
        encode(&openai, "encode/101-messages", long),
        encode(&openai, "encode/20-tools", tooled),
        decode(&openai, "decode/small", &short, answer("Paris."), false),
        decode(&openai, "decode/64k", &short, answer(&text.repeat(650)), false),
    ];
    let schema = JsonSchema::new(
        json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer"}}}}),
    );
    if let Ok(schema) = schema {
        let asked = short.clone().with_response_schema(schema);
        let list: Vec<usize> = (0..100).collect();
        cases.push(decode(
            &openai,
            "decode/structured",
            &asked,
            answer(&json!({"a": list}).to_string()),
            false,
        ));
    }
    let streamed = short.with_stream(true);
    cases.push(decode(
        &openai,
        "stream/alike",
        &streamed,
        stream(|at| json!({"content": format!(" word{}", at % 10)})),
        true,
    ));
    let fragments = stream(|at| {
        json!({"tool_calls": [{"index": 0, "id": if at == 0 { json!("a") } else { json!(null) },
            "function": {"name": if at == 0 { json!("f") } else { json!(null) }, "arguments": " "}}]})
    });
    cases.push(decode(&openai, "stream/fragments", &streamed, fragments, true));
    cases.extend(of_messages(&streamed));
    cases
}

/// Exchanges of the cases above by Anthropic Messages.
fn of_messages(streamed: &CompletionRequest) -> [Case; 3] {
    let anthropic = endpoint::<anthropic::Endpoint>();
    let short = streamed.clone().with_stream(false);
    let answer = json!({"id": "msg-1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "Paris."}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 7}});
    let event = |data: serde_json::Value| {
        format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
    };
    let start = json!({"type": "message_start", "message": {"id": "msg-1", "type": "message",
        "role": "assistant", "model": "m", "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": {"input_tokens": 5, "output_tokens": 1}}});
    let block = json!({"type": "text", "text": ""});
    let mut stream =
        event(start) + &event(json!({"type": "content_block_start", "index": 0, "content_block": block}));
    for at in 0..1000 {
        let delta = json!({"type": "text_delta", "text": format!(" word{}", at % 10)});
        stream += &event(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    }
    stream += &event(json!({"type": "content_block_stop", "index": 0}));
    let delta = json!({"stop_reason": "end_turn", "stop_sequence": null});
    stream += &event(json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 1000}}));
    stream += &event(json!({"type": "message_stop"}));
    [
        encode(&anthropic, "anthropic/encode/2-messages", short.clone()),
        decode(&anthropic, "anthropic/decode/small", &short, answer.to_string(), false),
        decode(&anthropic, "anthropic/stream/alike", streamed, stream, true),
    ]
}

fn endpoint<M: Mapping>() -> M {
    M::new("http://localhost:8000", None).expect("a valid base URL")
}

fn encode<M: Mapping>(endpoint: &M, name: &'static str, request: CompletionRequest) -> Case {
    let endpoint = endpoint.clone();
    let profile = Profile::new("m");
    let bytes = endpoint.chat_call(&profile, &request).map_or(0, |call| call.http_request().body().len());
    let run = move || {
        black_box(endpoint.chat_call(&profile, &request).is_ok());
    };
    Case { name, bytes, run: Box::new(run) }
}

fn decode<M: Mapping<ChatCall: Clone + 'static>>(
    endpoint: &M,
    name: &'static str,
    request: &CompletionRequest,
    body: String,
    stream: bool,
) -> Case {
    let bytes = body.len();
    let body = Bytes::from(body);
    let mut headers = HeaderMap::new();
    let kind = if stream { "text/event-stream" } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let profile = Profile::new("m").with_surface_invalid_tool_calls(true);
    let call = endpoint.chat_call(&profile, request);
    let run = move || {
        let Ok(call) = call.clone() else { return };
        let mut decoder = call.on_response(StatusCode::OK, &headers, None);
        // As a socket gives it.
        for from in (0..body.len()).step_by(16 * 1024) {
            decoder.push(body.slice(from..body.len().min(from + 16 * 1024)));
            while let Some(event) = decoder.poll_event() {
                black_box(matches!(event, Ok(Event::Content(_))));
            }
        }
        black_box(decoder.finish().is_ok());
    };
    Case { name, bytes, run: Box::new(run) }
}

/// A stream of a thousand chunks with these deltas.
fn stream(delta: impl Fn(usize) -> serde_json::Value) -> String {
    let chunk = |delta: serde_json::Value, finish: Option<&str>| {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "system_fingerprint": "fp", "choices": [choice]});
        format!("data: {chunk}\n\n")
    };
    let chunks: String = (0..1000).map(|at| chunk(delta(at), None)).collect();
    chunks + &chunk(json!({}), Some("stop")) + "data: [DONE]\n\n"
}
