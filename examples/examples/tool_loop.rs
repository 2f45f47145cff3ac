//! An agent: the model calls Rust functions until it answers, and every step is seen. Ctrl-C ends it.
//!
//! `cargo run -p oa-examples --example tool_loop`

mod server;

use oa_tools::{FunctionTool, Step, ToolError, ToolLoop, ToolSet};
use oa_wire::{CompletionRequest, Event};

/// The current weather in a city.
#[derive(serde::Deserialize, schemars::JsonSchema)]
struct GetWeather {
    city: String,
}

// What fails is told to the model, as are arguments that are no `GetWeather` and tools that do not exist.
async fn get_weather(arguments: GetWeather) -> Result<String, ToolError> {
    Ok(format!("Rain in {}, 12 degrees.", arguments.city))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;
    let tools = ToolSet::new([FunctionTool::new("get_weather", get_weather)?])?;
    let request =
        CompletionRequest::new("Use get_weather: do I need an umbrella in Paris?").with_stream(true);
    let mut steps = ToolLoop::new(provider, tools, request).with_max_rounds(4);
    loop {
        // Dropping the future of a step ends its request, or the functions that run.
        let step = tokio::select! {
            step = steps.next() => step?,
            _ = tokio::signal::ctrl_c() => return Err("cancelled".into()),
        };
        match step {
            Some(Step::Event(Event::Content(delta))) => print!("{delta}"),
            Some(Step::ToolResults(results)) => println!("(get_weather: {})", results[0].content),
            Some(_) => {}
            None => break println!(),
        }
    }
    Ok(())
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example tool_loop
