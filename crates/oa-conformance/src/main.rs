//! The adapter of the conformance protocol: JSON lines in, JSON lines out. It translates and nothing more.

mod calls;
mod inputs;
mod outputs;
mod sessions;
mod spans;

use serde_json::{Map, Value, json};
use sessions::Sessions;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

const FEATURES: &[&str] = &[
    "streaming",
    "thinking_blocks",
    "structured_output",
    "ready",
    "construct",
    "concurrency",
    "cancellation",
    "token_events",
    "retry",
    "per_attempt_override",
    "reask",
    "retry_middleware",
    "spans",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    spans::listen();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut out = tokio::io::stdout();
    let mut sessions = Sessions::default();
    while let Some(line) = lines.next_line().await? {
        let mut reply = answer(&mut sessions, &line).await.to_string();
        reply.push('\n');
        out.write_all(reply.as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}

async fn answer(sessions: &mut Sessions, line: &str) -> Value {
    let request: Map<String, Value> = match serde_json::from_str(line) {
        Ok(request) => request,
        Err(error) => return json!({"unsupported": format!("not a request: {error}")}),
    };
    let reply = match request.get("op").and_then(Value::as_str) {
        Some("capabilities") => json!({"capabilities": {
            "name": "oa-provider", "version": env!("CARGO_PKG_VERSION"),
            "mappings": ["openai", "anthropic", "streaming_unsupported_stub"], "features": FEATURES,
        }}),
        Some("construct") => match sessions.session(&request) {
            Ok(_) => json!({"ok": true}),
            Err(error) => json!({"error": outputs::error(&error)}),
        },
        Some("ready") => calls::ready(sessions, &request).await,
        Some("complete") => calls::complete(sessions, &request).await,
        op => json!({"unsupported": format!("the operation {op:?}")}),
    };
    let Value::Object(mut reply) = reply else { return reply };
    reply.insert("id".into(), request.get("id").cloned().unwrap_or_default());
    Value::Object(reply)
}
