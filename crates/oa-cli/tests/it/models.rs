//! `oa models`: the list of a server.

use crate::support::{answering, oa_at, run};
use oa_sim::{Answer, Sim};
use serde_json::{Value, json};

fn listing(data: &Value) -> Sim {
    answering(Answer::json(200, json!({"object": "list", "data": data})).on("GET", "/v1/models"))
}

#[test]
fn a_table_for_people() {
    let sim = listing(&json!([
        {"id": "qwen3-8b", "owned_by": "vllm", "max_model_len": 40960},
        {"id": "gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 512}, "status": {"value": "loading"}},
    ]));
    let ran = run(&mut oa_at(&sim, ["models"]));
    let want = "\
ID        STATUS   CONTEXT  OWNER
qwen3-8b  -          40960  vllm
gguf      loading      512  llamacpp
";
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, want, ""));
}

#[test]
fn json_for_scripts() {
    let sim = listing(
        &json!([{"id": "a", "owned_by": "vllm", "max_model_len": 7, "status": "loaded", "aliases": ["b"]}]),
    );
    let ran = run(&mut oa_at(&sim, ["models", "--json"]));
    let want =
        json!([{"id": "a", "aliases": ["b"], "status": "loaded", "context_length": 7, "owned_by": "vllm"}]);
    assert_eq!((ran.code, ran.json()), (0, want));
}

#[test]
fn a_server_without_models_is_said_to_have_none() {
    let sim = listing(&json!([]));
    let ran = run(&mut oa_at(&sim, ["models"]));
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "", "oa: the server lists no model\n")
    );
    assert_eq!(run(&mut oa_at(&sim, ["models", "--json"])).stdout, "[]\n");
}
