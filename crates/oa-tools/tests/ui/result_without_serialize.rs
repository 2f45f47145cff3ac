use oa_tools::FunctionTool;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct GetWeather {
    city: String,
}

struct Weather(String);

fn main() {
    let _ = FunctionTool::new("get_weather", |arguments: GetWeather| async move { Ok(Weather(arguments.city)) });
}
