//! Tool calls from a stream: their pieces while the model writes, and each call when it is whole.
//!
//! `cargo run -p oa-examples --example stream_tool_calls`

mod server;

use oa_provider::Provider;
use oa_wire::{CompletionRequest, Event, Message, Tool, Tools};
use serde_json::json;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (provider, _simulator) = server::provider()?;
    let city = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    let tools = Tools::new([Tool::new("get_weather", city.clone())?, Tool::new("get_time", city)?])?;
    let request =
        CompletionRequest::new([Message::user("Use get_weather and get_time for Paris.")]).with_tools(tools);

    let mut stream = provider.stream(&request).await?;
    while let Some(event) = stream.next().await {
        match event? {
            // For showing progress only. Servers split calls in many ways, with or without index, id and
            // name: whatever they do, pieces with the same position belong together.
            Event::ToolCallDelta(piece) => {
                let name = piece.name.as_deref().unwrap_or_default();
                println!("call {}: {name}{}", piece.position, piece.arguments);
            }
            // Whole, its arguments parsed. Whether they also fit the tool's schema is known at the end.
            Event::ToolCall(call) => println!("whole: {}({})", call.name, json!(call.arguments)),
            // All calls, checked: the place to run them. See tool_round_trip for the way back.
            Event::Done(response) => {
                let names: Vec<&str> = response.message.tool_calls.iter().map(|call| &*call.name).collect();
                println!("run: {}", names.join(", "));
            }
            _ => {}
        }
    }
    Ok(())
}

// Against a real server:
// OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model \
//     cargo run -p oa-examples --example stream_tool_calls
