//! A tool's whole way: offer it, run it when the model calls, send the result, print the answer.
//!
//! `cargo run -p oa-examples --example tool_round_trip`

mod server;

use oa_provider::Provider;
use oa_wire::{CompletionRequest, Message, Tool, ToolCall, Tools};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;
    let weather = Tool::new(
        "get_weather",
        json!({
            "type": "object",
            "properties": {"city": {"enum": ["Paris", "London"]}},
            "required": ["city"],
            "additionalProperties": false
        }),
    )?
    .with_description("The current weather in a city.");

    let mut request =
        CompletionRequest::new([Message::user("Use get_weather: do I need an umbrella in Paris?")])
            .with_tools(Tools::new([weather])?);

    // The provider never loops on tool calls: you decide what may run, and how often a model may ask.
    for _ in 0..4 {
        let response = provider.complete(&request).await?;
        if response.message.tool_calls.is_empty() {
            println!("{}", response.text());
            return Ok(());
        }
        // The results answer the calls by their ids, so the message with the calls goes back first.
        let results: Vec<Message> =
            response.message.tool_calls.iter().map(|call| Message::tool(&call.id, run(call))).collect();
        request.messages_mut().push(response.message.into());
        request.messages_mut().extend(results);
    }
    Err("the model did nothing but call tools".into())
}

/// Runs a call. What goes wrong is a result too: the model can correct itself, or say so.
fn run(call: &ToolCall) -> String {
    // Only offered tools, with arguments that fit their schema, get here: all else is an error of the call.
    let arguments = call.arguments.as_object();
    match arguments.and_then(|arguments| arguments.get("city")?.as_str()) {
        Some(city) => {
            println!("(called {} for {city})", call.name);
            format!("Rain in {city}, 12 degrees.")
        }
        None => "error: `city` is missing".to_owned(),
    }
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example tool_round_trip
