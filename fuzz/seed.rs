//! Writes the answers of the repository's recorded exchanges as the first inputs of the target `decode`.

use serde_json::Value;
use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = here.join("corpus/decode");
    fs::create_dir_all(&corpus)?;
    let mut count = 0;
    for server in fs::read_dir(here.join("../crates/oa-wire/tests/exchanges"))? {
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
