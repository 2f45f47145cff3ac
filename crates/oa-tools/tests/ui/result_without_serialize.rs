//! A tool whose result cannot be serialized.

use oa_tools::FunctionTool;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct GetWeather {
    city: String,
}

struct Weather(String);

fn main() {
    let weather = |arguments: GetWeather| async move { Ok(Weather(arguments.city)) };
    let _ = FunctionTool::new("get_weather", weather);
}
