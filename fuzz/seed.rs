//! Writes the first inputs of the targets.
//!
//! `decode` and `messages` begin with the answers of the repository's recorded exchanges, `requests` with
//! schemas, histories, URLs and lists of models.

use serde_json::Value;
use std::{fs, io, path::Path};

/// Inputs of `requests`, behind the byte that chooses what they are.
const REQUESTS: [(u8, &str); 14] = [
    (
        0,
        concat!(
            r##"{"type":"object","properties":{"why":{"type":"string"},"n":{"$ref":"#/$defs/n"}},"##,
            r##""required":["why","n"],"$defs":{"n":{"type":"integer","minimum":0}}}"##,
        ),
    ),
    (0, r#"{"title":"t","type":"object","additionalProperties":false,"properties":{}}"#),
    (0, r#"{"anyOf":[{"type":"object"},{"type":"object","properties":{"a":{"enum":[1,"x",null]}}}]}"#),
    (
        0,
        concat!(
            r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"object"},"maxItems":3},"#,
            r#""b":{"pattern":"^a+$"}}}"#,
        ),
    ),
    (
        1,
        concat!(
            r#"[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},"#,
            r#"{"type":"image","source":{"type":"inline","base64_data":"AA=="},"media_type":"image/png","#,
            r#""detail":"low"}]},{"role":"assistant","content":[{"type":"thinking","text":"h"},"#,
            r#"{"type":"text","text":"x"}],"tool_calls":[{"id":"c1","name":"f","#,
            r#""arguments":{"a":1.5,"b":[null]}}]},{"role":"tool","tool_call_id":"c1","content":"r"},"#,
            r#"{"role":"user","content":"q"}]"#,
        ),
    ),
    (
        2,
        concat!(
            r#"{"temperature":0.5,"max_tokens":7,"seed":-1,"stop_sequences":["a"],"extras":{"top_k":3,"#,
            r#""stop":["b"],"x":{"y":[1e3]}}}"#,
        ),
    ),
    (3, "http://localhost:8000/prefix/"),
    (3, "https://user:pw@[::1]:443/v1?q#f"),
    (3, "unix:///run/x.sock"),
    (3, "HTTP://h/V1//"),
    (4, r#"{"object":"list","data":[{"id":"m","object":"model","status":{"value":"loading"}},{"id":"m*"}]}"#),
    (5, r#"{"city":"Rome","n":1e999,"u":"\ud83d\ude00"}"#),
    (6, "data: a\n\nevent: ping\ndata: {}\r\n\r\n: keep-alive\n\ndata: [DONE]\n\n"),
    (6, "\u{feff}id: 1\rretry: 2\rdata:x\rdata: y\r\rerror: {}\n\n"),
];

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    answers(here, "decode", "exchanges")?;
    answers(here, "messages", "messages")?;
    let corpus = here.join("corpus/requests");
    fs::create_dir_all(&corpus)?;
    for (at, (which, text)) in REQUESTS.iter().enumerate() {
        fs::write(corpus.join(format!("seed-{at}")), [&[*which], text.as_bytes()].concat())?;
    }
    println!("{} inputs in {}", REQUESTS.len(), corpus.display());
    Ok(())
}

fn answers(here: &Path, target: &str, recorded: &str) -> io::Result<()> {
    let corpus = here.join("corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let mut count = 0;
    for server in fs::read_dir(here.join("../crates/oa-wire/tests").join(recorded))? {
        for file in fs::read_dir(server?.path())? {
            let file: Value = serde_json::from_slice(&fs::read(file?.path())?)?;
            let response = &file["response"];
            let chunks = response["sse_chunks"].as_array().map(Vec::as_slice).unwrap_or_default();
            let body = match chunks {
                [] => response["body"].as_str().unwrap_or_default().to_owned(),
                chunks => chunks.iter().filter_map(|chunk| chunk["data"].as_str()).collect(),
            };
            let kind = u8::from(chunks.is_empty());
            for which in 0..4 {
                let head = [which, kind, 2, 1, 1, 1];
                fs::write(corpus.join(format!("seed-{count}")), [&head[..], body.as_bytes()].concat())?;
                count += 1;
            }
        }
    }
    println!("{count} inputs in {}", corpus.display());
    Ok(())
}
