//! A tool whose argument cannot be deserialized.

use oa_tools::FunctionTool;

#[derive(schemars::JsonSchema)]
struct GetWeather {
    city: String,
}

fn main() {
    let _ = FunctionTool::new("get_weather", |arguments: GetWeather| async move { Ok(arguments.city) });
}
