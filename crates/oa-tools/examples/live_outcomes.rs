//! Bad answers of a real server: JSON that is cut off, arguments that break the schema, a tool that was not
//! offered.
//!
//! `cargo run -p oa-tools --example live_outcomes -- http://127.0.0.1:8000 MODEL`
//!
//! The model is expected to call `get_weather` with a `city`, whatever it is offered, as small weights do
//! that were made for it; a server whose model calls nothing gets a line that tells so. The exit status is 1
//! where an outcome is not the documented one. The key is read from `OA_API_KEY`.

use oa_provider::{OpenAiProvider, Provider};
use oa_tools::{FunctionTool, ProviderExt, Step, ToolFailure, ToolLoop, ToolSet};
use oa_wire::{Category, CompletionRequest, Error, RuntimeConfig};
use std::process::ExitCode;

/// A place that no answer of a few tokens holds.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[expect(dead_code, reason = "it is never read as a whole")]
struct Place {
    description: String,
    city: String,
}

/// Arguments that the model does not write. Those of any form keep the tool from being `strict`, for which a
/// server would constrain the call.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[expect(dead_code, reason = "it is never written")]
struct Coordinates {
    latitude: f64,
    anything: serde_json::Value,
}

fn request(tokens: u64) -> CompletionRequest {
    let config = RuntimeConfig::new().with_max_tokens(tokens).with_temperature(0.0);
    CompletionRequest::new("The weather in Paris?").with_config(config)
}

/// An answer of four tokens is no value, and the limit is named.
async fn cut_off(provider: &OpenAiProvider, stream: bool) -> Result<String, String> {
    let error = if stream {
        let mut answer = provider.stream_as::<Place>(&request(4)).await.map_err(|error| wording(&error))?;
        while let Some(event) = answer.next().await {
            if event.is_err() {
                break;
            }
        }
        answer.finish().await.err()
    } else {
        provider.complete_as::<Place>(&request(4)).await.err()
    };
    match error {
        Some(error) if error.is_token_limit() && error.structured().is_some() => Ok(wording(&error)),
        Some(error) => Err(wording(&error)),
        None => Err("a value of four tokens".into()),
    }
}

/// The call of a tool named `name`: the error of the provider, and what a loop tells the model.
async fn called(provider: &OpenAiProvider, name: &str, want: ToolFailure) -> Result<String, String> {
    let tool =
        FunctionTool::new(name, |_: Coordinates| async { Ok("never") }).map_err(|error| wording(&error))?;
    let tools = ToolSet::new([tool]).map_err(|error| wording(&error))?;
    let strict = provider.complete(&request(60).with_tools(tools.definitions().clone())).await;
    let error = match strict {
        Ok(response) if response.message.tool_calls.is_empty() => return Ok("no call".into()),
        Ok(response) => return Err(format!("the call passed: {:?}", response.message.tool_calls)),
        Err(error) => error,
    };
    if error.category() != Category::InvalidResponse {
        return Err(wording(&error));
    }
    let mut steps = ToolLoop::new(provider, tools, request(60));
    while let Some(step) = steps.next().await.map_err(|error| wording(&error))? {
        match step {
            Step::ToolResults(results) if results.iter().all(|result| result.failure == Some(want)) => {
                return Ok(format!("{}; the model is told: {}", wording(&error), results[0].content));
            }
            Step::ToolResults(results) => return Err(format!("{results:?}")),
            Step::Answer(_) => return Err("the loop ended without the call".into()),
            _ => {}
        }
    }
    Err("the loop ended".into())
}

fn wording(error: &Error) -> String {
    error.to_string()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(model)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: live_outcomes URL MODEL");
        return Ok(ExitCode::from(2));
    };
    let mut builder = OpenAiProvider::builder(url, model);
    if let Ok(key) = std::env::var("OA_API_KEY") {
        builder = builder.api_key(key);
    }
    let provider = builder.build()?;
    let outcomes = [
        ("cut off", cut_off(&provider, false).await),
        ("cut off, streamed", cut_off(&provider, true).await),
        ("bad arguments", called(&provider, "get_weather", ToolFailure::InvalidArguments).await),
        ("not offered", called(&provider, "get_time", ToolFailure::UnknownTool).await),
    ];
    for (name, outcome) in &outcomes {
        match outcome {
            Ok(text) => println!("right {name}: {text}"),
            Err(text) => println!("WRONG {name}: {text}"),
        }
    }
    Ok(ExitCode::from(u8::from(outcomes.iter().any(|(_, outcome)| outcome.is_err()))))
}
