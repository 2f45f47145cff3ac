//! Every type of the golden tests against a real server, in every way to put a schema, and what becomes of
//! bad answers.
//!
//! `cargo run -p oa-tools --example live -- http://127.0.0.1:8000 MODEL [MODE ...]`
//!
//! The server decodes with constraints over any weights, so that a model without sense is enough: a line for
//! each type and way, `ok` where a value of the type came back.

#[path = "../tests/it/types.rs"]
mod types;

use oa_provider::OpenAiProvider;
use oa_tools::{ProviderExt, StrictSchema};
use oa_wire::{CompletionRequest, Message, RuntimeConfig, SchemaMode};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use types::{Visit, each};

/// How often the server is asked for one value.
const TRIES: i64 = 8;

struct Live {
    runtime: tokio::runtime::Runtime,
    provider: OpenAiProvider,
    modes: Vec<SchemaMode>,
    ok: Vec<(SchemaMode, u32, u32)>,
}

impl Visit for Live {
    fn visit<T>(&mut self, name: &str, _: T)
    where
        T: JsonSchema + DeserializeOwned + Serialize + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    {
        let strict = StrictSchema::of::<T>().map(|strict| strict.is_strict());
        for (at, &mode) in self.modes.iter().enumerate() {
            // Weights without sense write texts without end: a few seeds until one is a value.
            let ask = |seed: i64| {
                let config = RuntimeConfig::new().with_max_tokens(300).with_temperature(1.5).with_seed(seed);
                let request = CompletionRequest::new(Message::user("Answer briefly."))
                    .with_config(config)
                    .with_schema_mode(mode);
                self.runtime.block_on(self.provider.complete_as::<T>(&request))
            };
            let mut answer = ask(1);
            for seed in 2..=TRIES {
                if !answer.as_ref().is_err_and(|error| error.structured().is_some()) {
                    break;
                }
                answer = ask(seed);
            }
            self.ok[at].2 += 1;
            match answer {
                Ok(answer) => {
                    self.ok[at].1 += 1;
                    let value = serde_json::to_string(&answer.value).unwrap_or_default();
                    println!("{name} {mode}: ok {}", value.chars().take(100).collect::<String>());
                }
                Err(error) => {
                    let text = error.structured().map(|failure| failure.output_content.as_str());
                    let text: String = text.unwrap_or_default().chars().take(160).collect();
                    println!("{name} {mode} (strict {strict:?}): {error}: {text}");
                }
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (url, model) = (arguments.next().ok_or("no URL")?, arguments.next().ok_or("no model")?);
    let all = [
        SchemaMode::ResponseFormat,
        SchemaMode::StructuredOutputs,
        SchemaMode::JsonSchema,
        SchemaMode::ForcedTool,
        SchemaMode::Prompt,
    ];
    let named: Vec<String> = arguments.collect();
    let ways: Vec<_> = all
        .into_iter()
        .filter(|mode| named.is_empty() || named.iter().any(|name| name == mode.as_str()))
        .collect();
    let mut builder = OpenAiProvider::builder(url, model);
    if let Ok(key) = std::env::var("OA_API_KEY") {
        builder = builder.api_key(key);
    }
    let ok = ways.iter().map(|&mode| (mode, 0, 0)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut live = Live { runtime, provider: builder.build()?, modes: ways, ok };
    each(&mut live);
    for (mode, ok, of) in live.ok {
        println!("{mode}: {ok} of {of}");
    }
    Ok(())
}
