//! Requests as they are written, and what is refused.

use super::{config, endpoint};
use oa_wire::{
    AssistantBlock, AssistantMessage, Audio, Category, CompletionRequest, Error, File, Image, ImageDetail,
    JsonSchema, Message, Profile, RuntimeConfig, SchemaMode, Tool, ToolCall, ToolChoice, ToolMode, Tools,
    UserBlock, anthropic::ChatCall, mapping::Exchange,
};
use serde_json::{Value, json};

fn body_under(profile: &Profile, request: &CompletionRequest) -> Result<Value, Error> {
    let call = ChatCall::new(&endpoint(), profile, request)?;
    Ok(serde_json::from_slice(call.body()).unwrap())
}

fn body(request: &CompletionRequest) -> Result<Value, Error> {
    body_under(&Profile::new("m"), request)
}

fn written(messages: Vec<Message>) -> Value {
    let body = body(&CompletionRequest::new(messages).with_config(config())).unwrap();
    assert_eq!((&body["model"], &body["max_tokens"]), (&json!("m"), &json!(64)));
    json!([body.get("system"), body["messages"]])
}

fn hi(config: RuntimeConfig) -> CompletionRequest {
    CompletionRequest::new([Message::user("hi")]).with_config(config)
}

fn weather() -> Tools {
    let parameters = json!({"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}});
    Tools::new([Tool::new("weather", parameters).unwrap().with_description("w")]).unwrap()
}

fn called(content: impl Into<oa_wire::AssistantContent>, ids: &[&str]) -> Message {
    let calls: Vec<_> =
        ids.iter().map(|id| ToolCall::new(*id, "f", json!({"b": 1, "a": {"d": 1, "c": 2}}))).collect();
    AssistantMessage::new(content).with_tool_calls(calls).into()
}

#[test]
fn messages_in_a_table() {
    let image = Image::base64("image/png", "AA==").with_detail(ImageDetail::High);
    let use_of = |id: &str| {
        json!({"type": "tool_use", "id": id, "name": "f",
        "input": {"a": {"c": 2, "d": 1}, "b": 1}})
    };
    let result = |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": text});
    let thinking: AssistantBlock =
        serde_json::from_value(json!({"type": "thinking", "text": "hm", "signature": "s"})).unwrap();
    let redacted: AssistantBlock =
        serde_json::from_value(json!({"type": "redacted_thinking", "data": "d"})).unwrap();
    let cases = [
        (
            vec![Message::system("be kind"), Message::user("hi")],
            json!(["be kind", [{"role": "user", "content": "hi"}]]),
        ),
        (
            vec![Message::user([UserBlock::text("a"), Image::url("http://x/y").into(), image.into()])],
            json!([null, [{"role": "user", "content": [
                {"type": "text", "text": "a"},
                {"type": "image", "source": {"type": "url", "url": "http://x/y"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            ]}]]),
        ),
        (
            vec![
                Message::user("a"),
                called("", &["x", "y"]),
                Message::tool("x", "1"),
                Message::tool("y", ""),
                Message::user("b"),
            ],
            json!([null, [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [use_of("x"), use_of("y")]},
                {"role": "user", "content": [result("x", "1"), result("y", "")]},
                {"role": "user", "content": "b"},
            ]]),
        ),
        (
            vec![
                Message::user("a"),
                called(
                    [thinking, redacted, AssistantBlock::text("I look."), AssistantBlock::thinking("k")],
                    &["x"],
                ),
                Message::tool("x", "1"),
                called("again", &["y"]),
                Message::tool("y", "2"),
            ],
            json!([null, [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "redacted_thinking", "data": "d"},
                    {"type": "text", "text": "I look."},
                    {"type": "thinking", "thinking": "k"},
                    use_of("x"),
                ]},
                {"role": "user", "content": [result("x", "1")]},
                {"role": "assistant", "content": [{"type": "text", "text": "again"}, use_of("y")]},
                {"role": "user", "content": [result("y", "2")]},
            ]]),
        ),
        (
            vec![Message::user("a"), Message::assistant("b"), Message::user("c")],
            json!([null, [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ]]),
        ),
    ];
    for (messages, want) in cases {
        assert_eq!(written(messages), want);
    }
}

#[test]
fn further_members_and_raw_forms_stand_where_this_wire_has_them() {
    let cached = json!({"type": "ephemeral"});
    let failed = Message::tool("x", "no").with_extra("is_error", true);
    let messages = vec![
        Message::developer("be kind").with_extra("cache_control", cached.clone()),
        Message::user([
            UserBlock::raw(json!({"type": "text", "text": "a", "cache_control": cached})),
            File::base64("application/pdf", "AA==").with_filename("f.pdf").into(),
            File::id("file_1").into(),
        ]),
        called("", &["x"]),
        failed,
        Message::raw(json!({"role": "system", "content": "later"})),
        Message::assistant("Il est"),
    ];
    let prefilled = CompletionRequest::new(messages).with_config(config()).with_prefill(true);
    let got = body(&prefilled).unwrap();
    assert_eq!(got["system"], json!([{"type": "text", "text": "be kind", "cache_control": cached}]));
    assert_eq!(got["messages"][0]["content"][0]["cache_control"], cached);
    let inline = json!({"type": "base64", "media_type": "application/pdf", "data": "AA=="});
    assert_eq!(
        got["messages"][0]["content"][1],
        json!({"type": "document", "source": inline, "title": "f.pdf"})
    );
    assert_eq!(got["messages"][0]["content"][2]["source"], json!({"type": "file", "file_id": "file_1"}));
    assert_eq!(got["messages"][2]["content"][0]["is_error"], true);
    assert_eq!(got["messages"][3], json!({"role": "system", "content": "later"}));
    assert_eq!(got["messages"][4], json!({"role": "assistant", "content": "Il est"}));
    let search = Tool::raw(json!({"type": "web_search_20250305", "name": "web_search"})).unwrap();
    let lazy = Tool::new("f", json!({"type": "object"})).unwrap().with_extra("defer_loading", true);
    let tooled = hi(config())
        .with_tools(Tools::new([search, lazy]).unwrap())
        .with_tool_choice(ToolChoice::raw(json!({"type": "auto", "disable_parallel_tool_use": true})));
    let got = body(&tooled).unwrap();
    assert_eq!(got["tools"][0], json!({"type": "web_search_20250305", "name": "web_search"}));
    assert_eq!(got["tools"][1]["defer_loading"], true);
    assert_eq!(got["tool_choice"]["disable_parallel_tool_use"], true);
}

#[test]
fn tools_and_the_choice_among_them() {
    let tooled = hi(config()).with_tools(weather());
    let body_of = |request: &CompletionRequest| body(request).unwrap();
    let plain = body_of(&tooled);
    assert_eq!(
        plain["tools"],
        json!([{"name": "weather", "description": "w", "input_schema": {"properties": {"b": {"type":
            "integer"}}, "required": ["b"], "type": "object"}}])
    );
    assert!(plain.get("tool_choice").is_none() && plain.get("output_config").is_none());
    let choices = [
        (ToolChoice::Auto, json!({"type": "auto"})),
        (ToolChoice::Required, json!({"type": "any"})),
        (ToolChoice::None, json!({"type": "none"})),
        (ToolChoice::Tool("weather".into()), json!({"type": "tool", "name": "weather"})),
    ];
    for (choice, want) in choices {
        assert_eq!(body_of(&tooled.clone().with_tool_choice(choice))["tool_choice"], want);
    }
    let one = json!({"type": "any", "disable_parallel_tool_use": true});
    let extra = tooled.with_config(config().with_extra("tool_choice", one.clone()));
    assert_eq!(body_of(&extra)["tool_choice"], one, "alone");
    let beside = extra.clone().with_tool_choice(ToolChoice::Required);
    assert_eq!(body_of(&beside)["tool_choice"], one, "beside an equal choice");
    let error = body(&extra.with_tool_choice(ToolChoice::Auto)).unwrap_err();
    assert!(error.message().starts_with("config.extras.tool_choice:"), "{error}");
}

#[test]
fn a_schema_in_each_way() {
    let schema = JsonSchema::new(json!({"type": "object", "title": "t", "properties": {"v": {}}})).unwrap();
    let asked = hi(config()).with_response_schema(schema.clone());
    let native = body(&asked).unwrap();
    assert_eq!(
        native["output_config"],
        json!({"format": {"type": "json_schema", "schema": schema.as_value()}})
    );
    let weak = Profile::new("m").with_force_prompt_augmentation_fallback(true);
    let forced = body_under(&weak, &asked).unwrap();
    assert_eq!(forced["tool_choice"], json!({"type": "tool", "name": "t"}));
    assert_eq!(&forced["tools"][0]["input_schema"], schema.as_value());
    assert!(forced.get("output_config").is_none() && forced.get("system").is_none());
    let mut tooled = asked.clone().with_tools(weather());
    tooled.messages_mut().insert(0, Message::system("be kind"));
    let told = body_under(&weak, &tooled).unwrap();
    assert_eq!(told["tools"].as_array().unwrap().len(), 1);
    let system = told["system"].as_str().unwrap();
    assert!(system.starts_with("be kind\n\n") && system.contains(schema.as_json()), "{system}");
    for mode in [SchemaMode::JsonSchema, SchemaMode::StructuredOutputs] {
        let error = body(&asked.clone().with_schema_mode(mode)).unwrap_err();
        assert!(error.message().starts_with("schema_mode:"), "{error}");
    }
}

#[test]
fn parameters_and_extras() {
    let full = config()
        .with_temperature(0.7)
        .with_top_p(0.95)
        .with_stop_sequences(["END", "STOP"])
        .with_extra("top_k", 5)
        .with_extra("max_tokens", 64.0)
        .with_extra("stream", false)
        .with_extra("system", json!([{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]))
        .with_extra("stop_sequences", json!(["STOP", "x"]));
    assert_eq!(
        body(&hi(full)).unwrap(),
        json!({"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "hi"}],
            "temperature": 0.7, "top_p": 0.95, "stop_sequences": ["END", "STOP", "x"], "top_k": 5,
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]})
    );
    // A text is no list on this wire.
    for malformed in [json!("x"), json!(["x", 1]), json!(null)] {
        let config = config().with_stop_sequences(["a"]).with_extra("stop_sequences", malformed);
        assert_eq!(body(&hi(config)).unwrap()["stop_sequences"], json!(["a"]));
    }
    let untouched = body(&hi(config().with_extra("stop_sequences", "x"))).unwrap();
    assert_eq!(untouched["stop_sequences"], "x");
    let streamed = body(&hi(config()).with_stream(true)).unwrap();
    assert_eq!(streamed["stream"], true);
    assert!(streamed.get("stream_options").is_none());
}

#[test]
fn what_this_wire_cannot_say_is_refused_with_its_place() {
    let refused = |request: CompletionRequest, place: &str| {
        let error = body(&request).unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest);
        assert!(error.message().starts_with(place), "{error}, want {place}");
    };
    refused(hi(RuntimeConfig::new()), "config.max_tokens:");
    refused(hi(RuntimeConfig::new().with_extra("max_tokens", 5)), "config.max_tokens:");
    let blocks = [UserBlock::text("a"), Audio::base64("wav", "AA==").into()];
    refused(CompletionRequest::new(Message::user(blocks)).with_config(config()), "messages[0].content[1]:");
    let custom = hi(config()).with_tools(Tools::new([Tool::custom("sql").unwrap()]).unwrap());
    refused(custom, "tools[0]:");
    let several = ToolChoice::allowed(ToolMode::Auto, ["weather"]);
    refused(hi(config()).with_tools(weather()).with_tool_choice(several), "tool_choice:");
    refused(hi(config()).with_stream(true).with_stream_option("x", 1), "stream_options:");
    let result = [Message::user("a"), called("", &["x"]), Message::tool("x", "1").with_extra("content", "2")];
    refused(CompletionRequest::new(result).with_config(config()), "messages[2].extras.content:");
    refused(hi(config().with_seed(1)), "config.seed:");
    refused(hi(config().with_frequency_penalty(0.0)), "config.frequency_penalty:");
    refused(hi(config().with_presence_penalty(0.0)), "config.presence_penalty:");
    let system = Message::system("s");
    let both = CompletionRequest::new([system, Message::user("a")]);
    refused(both.with_config(config().with_extra("system", "t")), "config.extras.system:");
    let extras =
        [("stream", json!(true)), ("model", json!("n")), ("max_tokens", json!(65)), ("messages", json!([]))];
    for (name, value) in extras {
        refused(hi(config().with_extra(name, value)), &format!("config.extras.{name}:"));
    }
    let text = ToolCall::new("x", "f", json!("no object"));
    let call = AssistantMessage::new("").with_tool_calls(vec![text]);
    let history = [Message::user("a"), call.into(), Message::tool("x", "1")];
    refused(CompletionRequest::new(history).with_config(config()), "messages[1].tool_calls[0].arguments:");
}

#[test]
fn equal_requests_are_equal_bytes() {
    let build = |names: [&str; 2]| {
        let mut extras = config();
        for name in names {
            extras = extras.with_extra(name, json!({"z": 1, "a": 2}));
        }
        let request = hi(extras).with_tools(weather());
        ChatCall::new(&endpoint(), &Profile::new("m"), &request).unwrap().body().clone()
    };
    assert_eq!(build(["x", "y"]), build(["y", "x"]));
}

#[test]
fn the_request_has_its_path_and_headers() {
    let call = ChatCall::new(&endpoint(), &Profile::new("m"), &hi(config()).with_stream(true)).unwrap();
    let http = call.http_request();
    assert_eq!(http.uri(), "http://localhost:8000/v1/messages");
    assert_eq!(http.method(), "POST");
    let of = |name: &str| http.headers().get(name).map(|value| value.to_str().unwrap());
    assert_eq!(of("content-type"), Some("application/json"));
    assert_eq!(of("accept"), Some("text/event-stream"));
    assert_eq!(of("anthropic-version"), Some("2023-06-01"));
    assert_eq!((of("x-api-key"), of("authorization")), (None, None));
}
