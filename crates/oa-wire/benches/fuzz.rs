//! Throws changed answers, requests and URLs at the public API: nothing may panic, and no split of the bytes
//! may change what comes out.
//!
//! ```text
//! cargo bench -p oa-wire --bench fuzz -- --inputs 1000000 --seed 1
//! ```
//!
//! A failure tells the seed and the number of the input; `--seed S --only N` shows it again.
#![allow(clippy::unwrap_used)]

#[path = "../tests/it"]
mod it {
    pub(crate) mod common;
}

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use it::common::{self, Random, Step, cut, exchange::Exchange, exchange::load, finish, singles, steps};
use oa_wire::openai::{ChatCall, Endpoint, ResponseDecoder};
use oa_wire::{ApiKey, Limits, ModelList, Profile};
use oa_wire::{CompletionRequest, JsonSchema, Message, RuntimeConfig, ToolArguments, sse};
use std::{path::Path, time::Instant};

/// More memory than this at once is a leak or a flood: inputs are a few KiB each.
const MOST_MEMORY: u64 = 256 << 20;

/// What answers are made of.
const WORDS: [&str; 48] = [
    "data: ",
    "data:",
    "\n\n",
    "\n",
    "\r\n\r\n",
    "\r",
    "event: error\n",
    "event: ping\n",
    "error: {}\n\n",
    ": x\n\n",
    "data: [DONE]\n\n",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "\\",
    "\\u0000",
    "\\ud83d",
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e999",
    "18446744073709551616",
    "\"\"",
    "\"x\"",
    "[]",
    "{}",
    "\"index\":1,",
    "\"index\":0,",
    "\"error\":{\"message\":\"x\"},",
    "\"object\":\"error\",",
    "\"content\":\"y\",",
    "\"tool_calls\":[{\"function\":{\"name\":\"get_time\",\"arguments\":\"{\"}}],",
    "\"finish_reason\":\"stop\",",
    "\"usage\":{},",
    "\u{feff}",
    "é",
    "😀",
    "\u{2028}",
    "\0",
    "    ",
    "https://",
    "/v1",
];

const SCHEMAS: [&str; 4] = [
    concat!(
        r##"{"type":"object","properties":{"why":{"type":"string"},"n":{"$ref":"#/$defs/n"}},"##,
        r##""required":["why","n"],"$defs":{"n":{"type":"integer","minimum":0}}}"##,
    ),
    r#"{"title":"t","type":"object","additionalProperties":false,"properties":{}}"#,
    r#"{"anyOf":[{"type":"object"},{"type":"object","properties":{"a":{"enum":[1,"x",null]}}}]}"#,
    concat!(
        r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"},"maxItems":3},"#,
        r#""b":{"pattern":"^a+$"}}}"#,
    ),
];

const HISTORY: &str = concat!(
    r#"[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},"#,
    r#"{"type":"image","source":{"type":"inline","base64_data":"AA=="},"media_type":"image/png","#,
    r#""detail":"low"}]},{"role":"assistant","content":[{"type":"thinking","text":"h"},{"type":"text","#,
    r#""text":"x"}],"tool_calls":[{"id":"c1","name":"f","arguments":{"a":1.5,"b":[null]}}]},"#,
    r#"{"role":"tool","tool_call_id":"c1","content":"r"},{"role":"user","content":"q"}]"#,
);
const CONFIG: &str = concat!(
    r#"{"temperature":0.5,"max_tokens":7,"seed":-1,"stop_sequences":["a"],"extras":{"top_k":3,"#,
    r#""stop":["b"],"x":{"y":[1e3]}}}"#,
);
const URLS: [&str; 4] = [
    "http://localhost:8000/prefix/",
    "https://user:pw@[::1]:443/v1?q#f",
    "unix:///run/x.sock",
    "HTTP://h/V1//",
];

struct Options {
    inputs: u64,
    seed: u64,
    only: Option<u64>,
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        Some(
            arguments
                .get(at + 1)
                .and_then(|text| text.parse().ok())
                .unwrap_or_else(|| panic!("{name} needs a number")),
        )
    };
    Options {
        inputs: number("--inputs").unwrap_or(1_000_000),
        seed: number("--seed").unwrap_or_else(common::seed),
        only: number("--only"),
    }
}

fn main() {
    let Options { inputs, seed, only } = options();
    let seeds = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges"));
    let seeds: Vec<Seed> = seeds.into_iter().map(Seed::new).collect();
    let began = Instant::now();
    if let Some(number) = only {
        one(&seeds, seed, number);
        return;
    }
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    println!("{inputs} inputs with seed {seed} in {threads} threads");
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let seeds = &seeds;
            scope.spawn(move || {
                for number in (thread..inputs).step_by(threads as usize) {
                    one(seeds, seed, number);
                }
            });
        }
    });
    let memory = most_memory();
    println!(
        "nothing panicked, no split changed anything: {:.1} s, at most {} MiB",
        began.elapsed().as_secs_f64(),
        memory.map_or("?".to_owned(), |bytes| (bytes >> 20).to_string())
    );
    assert!(memory.is_none_or(|bytes| bytes < MOST_MEMORY), "more than {MOST_MEMORY} bytes of memory");
}

/// The most memory that this process held, where the system tells.
fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// An exchange, and calls that it may answer.
struct Seed {
    exchange: Exchange,
    calls: Vec<ChatCall>,
}

impl Seed {
    fn new(exchange: Exchange) -> Self {
        let request = exchange.request();
        let small =
            Limits::new().with_body(900).with_stream(sse::Limits { line: 250, event: 300, total: 1_500 });
        let schema = JsonSchema::from_text_in_order(SCHEMAS[0]).unwrap();
        let profile = Profile::new("m");
        let calls = [
            ChatCall::new(&common::endpoint(), &profile, &request),
            ChatCall::new(&common::endpoint(), &profile, &common::request(true)),
            ChatCall::new(
                &common::endpoint(),
                &profile.clone().with_surface_invalid_tool_calls(true),
                &request,
            ),
            ChatCall::new(&common::endpoint(), &profile, &request.clone().with_response_schema(schema)),
            ChatCall::new(&common::endpoint(), &profile.with_limits(small), &request),
        ];
        Self { exchange, calls: calls.map(Result::unwrap).to_vec() }
    }
}

/// Tells which input it was, if it panics.
struct Telling {
    seed: u64,
    number: u64,
}

impl Drop for Telling {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("input {} of seed {}: again with `--seed {1} --only {0}`", self.number, self.seed);
        }
    }
}

fn one(seeds: &[Seed], seed: u64, number: u64) {
    let telling = Telling { seed, number };
    let mut random = Random(Random(seed).next() ^ Random(number).next());
    let chosen = &seeds[random.below(seeds.len())];
    let other = &seeds[random.below(seeds.len())].exchange.body;
    let body = changed(&mut random, chosen.exchange.body.to_vec(), other);
    answer(&mut random, chosen, &body.into());
    match random.below(24) {
        0 => schema(&mut random),
        1 => history(&mut random),
        2 => url(&mut random),
        3 => alone(&mut random, chosen),
        _ => {}
    }
    drop(telling);
}

/// The bytes after some changes; mostly few, because a parser stops at the first.
fn changed(random: &mut Random, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
    for _ in 0..random.below(5) {
        let (from, to) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
        let (from, to) = (from.min(to), from.max(to));
        let near = (from + random.below(24)).min(bytes.len());
        match random.below(9) {
            0 => bytes.truncate(to),
            1 if from < bytes.len() => bytes[from] ^= 1 << random.below(8),
            2 if from < bytes.len() => bytes[from] = random.next() as u8,
            3 => drop(bytes.splice(from..near, std::iter::empty())),
            4 => drop(bytes.splice(from..near, WORDS[random.below(WORDS.len())].bytes())),
            5 => drop(bytes.splice(from..from, WORDS[random.below(WORDS.len())].bytes())),
            6 => {
                let again = bytes[from..to.min(from + 600)].to_vec();
                bytes.splice(to..to, again);
            }
            7 => {
                let start = random.below(other.len() + 1);
                let end = (start + random.below(400)).min(other.len());
                bytes.splice(from..near, other[start..end].iter().copied());
            }
            _ => line(random, &mut bytes),
        }
    }
    bytes
}

/// Drops, doubles or moves a line.
fn line(random: &mut Random, bytes: &mut Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return;
    }
    let (from, to) = (random.below(lines.len()), random.below(lines.len()));
    match random.below(3) {
        0 => drop(lines.remove(from)),
        1 => lines.insert(to, lines[from].clone()),
        _ => lines.swap(from, to),
    }
    *bytes = lines.concat();
}

/// An answer with this body: the same whole and in any pieces, asked for its events or not.
fn answer(random: &mut Random, chosen: &Seed, body: &Bytes) {
    let which = random.below(chosen.calls.len());
    let call = &chosen.calls[which];
    let status = match random.below(8) {
        0 => StatusCode::from_u16(100 + random.below(900) as u16).unwrap(),
        1 => StatusCode::OK,
        _ => chosen.exchange.status,
    };
    let headers = match random.below(8) {
        0 => common::typed("application/json"),
        1 => common::typed("text/event-stream"),
        2 => HeaderMap::new(),
        _ => chosen.exchange.headers.clone(),
    };
    let decoder = || -> ResponseDecoder { call.clone().on_response(status, &headers, None) };
    let whole = steps(decoder(), [body.clone()]);
    let last = whole.iter().position(|step| matches!(step, Step::Done(_) | Step::Failed(_)));
    assert_eq!(last, Some(whole.len() - 1), "one end, and nothing after it: {whole:?}");
    let cuts = random.cuts(body.len(), 12);
    let pieces = steps(decoder(), cut(body, &cuts));
    if which + 1 == chosen.calls.len() {
        // Under a small limit an answer may be refused later or sooner: at its end or within it.
        return;
    }
    assert_eq!(pieces, whole, "cut at {cuts:?}");
    let unasked = match finish(decoder(), cut(body, &cuts)) {
        Ok(response) => Step::Done(common::render(&response)),
        Err(error) => Step::Failed(common::render_error(&error)),
    };
    assert_eq!(Some(&unasked), whole.last(), "not asked for events");
    if random.below(8) == 0 {
        assert_eq!(steps(decoder(), singles(body)), whole, "one byte a piece");
    }
}

fn text(random: &mut Random, of: &str) -> String {
    String::from_utf8_lossy(&changed(
        random,
        of.as_bytes().to_vec(),
        SCHEMAS[random.clone().below(4)].as_bytes(),
    ))
    .into_owned()
}

fn schema(random: &mut Random) {
    let of = SCHEMAS[random.below(SCHEMAS.len())];
    let text = text(random, of);
    if let Ok(schema) = JsonSchema::from_text_in_order(&text) {
        let again = JsonSchema::from_text_in_order(schema.as_json()).unwrap();
        assert_eq!(again, schema, "a schema as it is sent is the same schema");
        let _ = schema.validate(&serde_json::json!({"a": [1, {}], "b": "aa", "n": 1}));
    }
}

fn history(random: &mut Random) {
    let messages = text(random, HISTORY);
    let config = text(random, CONFIG);
    let Ok(messages) = serde_json::from_str::<Vec<Message>>(&messages) else { return };
    let config: RuntimeConfig = serde_json::from_str(&config).unwrap_or_default();
    let request = CompletionRequest::new(messages).with_config(config).with_stream(random.below(2) == 0);
    match ChatCall::new(&common::endpoint(), &Profile::new("m"), &request) {
        Ok(call) => drop(serde_json::from_slice::<serde_json::Value>(call.body()).expect("the body is JSON")),
        Err(error) => assert!(!error.message().is_empty()),
    }
}

fn url(random: &mut Random) {
    let of = URLS[random.below(URLS.len())];
    let text = text(random, of);
    let key = ApiKey::new(&text).ok();
    if let Ok(endpoint) = Endpoint::new(&text, key) {
        assert!(endpoint.chat_uri().path().ends_with("/v1/chat/completions"), "{text:?}");
        let again = Endpoint::new(endpoint.base_url(), None).expect("what was taken is taken again");
        assert_eq!(again.base_url(), endpoint.base_url());
    }
}

/// The parts that may be used by themselves.
fn alone(random: &mut Random, chosen: &Seed) {
    let bytes = changed(random, chosen.exchange.body.to_vec(), HISTORY.as_bytes());
    if let Ok(catalogue) = ModelList::parse(&bytes) {
        assert!(catalogue.ids().all(|id| catalogue.find(id).is_some()));
    }
    let arguments = ToolArguments::parse(&String::from_utf8_lossy(&bytes));
    assert!(arguments.as_object().is_some() != arguments.error().is_some());
    let bytes = Bytes::from(bytes);
    let cuts = random.cuts(bytes.len(), 9);
    assert_eq!(events(cut(&bytes, &cuts)), events(vec![bytes]), "cut at {cuts:?}");
}

fn events(pieces: Vec<Bytes>) -> Vec<String> {
    let mut decoder = sse::Decoder::default();
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.next_event().unwrap() {
            seen.push(format!("{event:?}"));
        }
    }
    seen.extend(decoder.finish().unwrap().map(|event| format!("{event:?}")));
    seen
}
