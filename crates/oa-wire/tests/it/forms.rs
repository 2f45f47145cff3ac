//! Each form of a request, as the bytes that it is sent as; and the forms that are refused, with the place.

use oa_wire::{
    AssistantMessage, Audio, Category, CompletionRequest, Error, File, Image, Message, Profile,
    RuntimeConfig, Tool, ToolCall, ToolChoice, ToolMode, Tools, UserBlock, Video,
    openai::{ChatCall, Endpoint},
};
use serde_json::{Value, json};

fn encoded(request: &CompletionRequest) -> Result<String, Error> {
    let endpoint = Endpoint::new("http://h", None)?;
    let call = ChatCall::new(&endpoint, &Profile::new("m"), request)?;
    Ok(String::from_utf8(call.body().to_vec()).unwrap())
}

/// The bytes of the member of this name, the last of the body's.
fn last_member(request: &CompletionRequest, name: &str) -> String {
    let body = encoded(request).unwrap();
    let (_, value) = body.split_once(&format!("\"{name}\":")).unwrap();
    value.strip_suffix('}').unwrap().to_owned()
}

fn messages(messages: impl Into<oa_wire::Messages>) -> CompletionRequest {
    CompletionRequest::new(messages)
}

#[test]
fn every_part_of_a_message() {
    let cases: [(UserBlock, &str); 11] = [
        (UserBlock::text("t"), r#"{"type":"text","text":"t"}"#),
        (Image::url("http://u").into(), r#"{"type":"image_url","image_url":{"url":"http://u"}}"#),
        (
            Image::base64("image/png", "AA==").into(),
            r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}"#,
        ),
        (
            Audio::base64("wav", "AA==").into(),
            r#"{"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}}"#,
        ),
        (Audio::url("http://u").into(), r#"{"type":"audio_url","audio_url":{"url":"http://u"}}"#),
        (Video::url("http://u").into(), r#"{"type":"video_url","video_url":{"url":"http://u"}}"#),
        (
            Video::base64("video/mp4", "AA==").into(),
            r#"{"type":"video_url","video_url":{"url":"data:video/mp4;base64,AA=="}}"#,
        ),
        (File::id("file-1").into(), r#"{"type":"file","file":{"file_id":"file-1"}}"#),
        (
            File::base64("application/pdf", "AA==").with_filename("a.pdf").into(),
            r#"{"type":"file","file":{"file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"}}"#,
        ),
        (UserBlock::raw(json!({})), "{}"),
        (
            UserBlock::raw(json!({"type": "image_embeds", "image_embeds": {"b": [1.5], "a": null}})),
            r#"{"image_embeds":{"a":null,"b":[1.5]},"type":"image_embeds"}"#,
        ),
    ];
    for (block, want) in cases {
        let stored = serde_json::to_string(&block).unwrap();
        assert_eq!(serde_json::from_str::<UserBlock>(&stored).unwrap(), block, "{stored}");
        let got = last_member(&messages(Message::user([block])), "messages");
        assert_eq!(got, format!(r#"[{{"role":"user","content":[{want}]}}]"#));
    }
}

#[test]
fn every_form_of_a_message() {
    let call = ToolCall::new("c", "f", json!({"b": 1, "a": 2}));
    let custom = ToolCall::custom("d", "sql", "select 1");
    let history = [
        Message::developer("Be brief.").with_name("us"),
        Message::user("a").with_name("ann").with_extra("cache_control", json!({"type": "x", "a": 1})),
        AssistantMessage::default().with_tool_calls([call, custom]).into(),
        Message::tool("c", "1").with_extra("is_error", true),
        Message::tool("d", "2"),
        Message::assistant("b").with_extra("refusal", Value::Null),
        Message::raw(json!({"role": "system", "content": "late"})),
        Message::raw(json!({"role": "assistant", "tool_calls": [{"id": "e"}]})),
        Message::tool("e", "3"),
    ];
    let stored = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Message>>(&stored).unwrap(), history, "{stored}");
    assert_eq!(
        last_member(&messages(history), "messages"),
        concat!(
            r#"[{"role":"developer","content":"Be brief.","name":"us"},"#,
            r#"{"role":"user","content":"a","cache_control":{"a":1,"type":"x"},"name":"ann"},"#,
            r#"{"role":"assistant","content":null,"tool_calls":["#,
            r#"{"type":"function","id":"c","function":{"name":"f","arguments":"{\"a\":2,\"b\":1}"}},"#,
            r#"{"type":"custom","id":"d","custom":{"name":"sql","input":"select 1"}}]},"#,
            r#"{"role":"tool","tool_call_id":"c","content":"1","is_error":true},"#,
            r#"{"role":"tool","tool_call_id":"d","content":"2"},"#,
            r#"{"role":"assistant","content":"b","refusal":null},"#,
            r#"{"content":"late","role":"system"},"#,
            r#"{"role":"assistant","tool_calls":[{"id":"e"}]},"#,
            r#"{"role":"tool","tool_call_id":"e","content":"3"}]"#,
        )
    );
}

#[test]
fn a_prefill_is_sent_where_it_is_allowed() {
    let begun = messages([Message::user("a"), Message::assistant("b")]);
    let error = encoded(&begun).unwrap_err();
    assert!(error.message().contains("messages[1].role") && error.message().contains("prefill"), "{error}");
    let body = encoded(&begun.with_prefill(true)).unwrap();
    assert!(body.ends_with(r#"{"role":"assistant","content":"b"}]}"#), "{body}");
}

fn with_tools(tools: impl IntoIterator<Item = Tool>) -> CompletionRequest {
    messages("hi").with_tools(Tools::new(tools).unwrap())
}

#[test]
fn every_form_of_a_tool() {
    let schema = || json!({"type": "object"});
    let cases = [
        (
            Tool::new("f", schema()).unwrap().with_strict(true).with_extra("defer_loading", true),
            concat!(
                r#"{"type":"function","function":{"name":"f","parameters":{"type":"object"},"#,
                r#""strict":true,"defer_loading":true}}"#
            ),
        ),
        (
            Tool::new("f", schema()).unwrap().with_extra("strict", false),
            r#"{"type":"function","function":{"name":"f","parameters":{"type":"object"},"strict":false}}"#,
        ),
        (
            Tool::custom("sql").unwrap().with_description("d").with_extra("format", json!({"type": "text"})),
            concat!(
                r#"{"type":"custom","custom":{"name":"sql","description":"d","#,
                r#""format":{"type":"text"}}}"#
            ),
        ),
        (Tool::raw(json!({"type": "web_search"})).unwrap(), r#"{"type":"web_search"}"#),
        (Tool::raw(json!({})).unwrap().with_extra("type", "x"), r#"{"type":"x"}"#),
    ];
    for (tool, want) in cases {
        assert_eq!(last_member(&with_tools([tool]), "tools"), format!("[{want}]"));
    }
    let two = || Tool::raw(json!({"type": "web_search"})).unwrap();
    assert!(Tools::new([two(), two()]).is_ok(), "without a name, no two have the same");
    assert_eq!(Tool::raw(json!({"type": "function", "function": {"name": "g"}})).unwrap().name(), "g");
    assert!(Tool::raw(json!([])).is_err() && Tool::custom("").is_err());
}

#[test]
fn every_form_of_a_choice() {
    let tools = || {
        let raw = json!({"type": "custom", "custom": {"name": "raw"}});
        [
            Tool::new("f", json!({"type": "object"})).unwrap(),
            Tool::custom("sql").unwrap(),
            Tool::raw(raw).unwrap(),
        ]
    };
    let cases = [
        (ToolChoice::Auto, r#""auto""#),
        (ToolChoice::None, r#""none""#),
        (ToolChoice::Required, r#""required""#),
        (ToolChoice::Tool("f".into()), r#"{"type":"function","function":{"name":"f"}}"#),
        (ToolChoice::Tool("sql".into()), r#"{"type":"custom","custom":{"name":"sql"}}"#),
        (
            ToolChoice::allowed(ToolMode::Auto, ["f"]),
            concat!(
                r#"{"type":"allowed_tools","allowed_tools":{"mode":"auto","#,
                r#""tools":[{"type":"function","function":{"name":"f"}}]}}"#
            ),
        ),
        (
            ToolChoice::allowed(ToolMode::Required, ["sql", "raw"]),
            concat!(
                r#"{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":["#,
                r#"{"type":"custom","custom":{"name":"sql"}},{"type":"custom","custom":{"name":"raw"}}]}}"#
            ),
        ),
        (ToolChoice::raw(json!({"type": "x", "a": 1})), r#"{"a":1,"type":"x"}"#),
        (ToolChoice::raw("any"), r#""any""#),
    ];
    for (choice, want) in cases {
        assert_eq!(last_member(&with_tools(tools()).with_tool_choice(choice), "tool_choice"), want);
    }
    for choice in [
        ToolChoice::allowed(ToolMode::Auto, ["g"]),
        ToolChoice::allowed(ToolMode::Auto, [""; 0]),
        ToolChoice::raw(json!(1)),
    ] {
        let error = encoded(&with_tools(tools()).with_tool_choice(choice)).unwrap_err();
        assert!(error.message().starts_with("tool_choice: "), "{error}");
    }
}

#[test]
fn further_members_of_stream_options() {
    let request = messages("hi").with_stream_option("continuous_usage_stats", true);
    assert!(!encoded(&request).unwrap().contains("stream_options"));
    let request = request.with_stream(true);
    assert_eq!(
        last_member(&request, "stream_options"),
        r#"{"include_usage":true,"continuous_usage_stats":true}"#
    );
    assert!(encoded(&request.clone().with_stream_option("include_usage", true)).is_ok());
    let error = encoded(&request.with_stream_option("include_usage", false)).unwrap_err();
    assert!(error.message().starts_with("stream_options.include_usage: "), "{error}");
}

#[test]
fn what_the_mapping_writes_itself_is_refused_with_its_place() {
    let tool = || Tool::new("f", json!({"type": "object"})).unwrap();
    let hi = || Message::user("hi");
    let cases = [
        (messages(hi().with_extra("role", "x")), "messages[0].extras.role:"),
        (messages(hi().with_extra("content", "x")), "messages[0].extras.content:"),
        (
            messages([Message::system("s"), hi().with_extra("tool_calls", json!([]))]),
            "messages[1].extras.tool_c",
        ),
        (messages(hi().with_extra("tool_call_id", "c")), "messages[0].extras.tool_call_id:"),
        (messages(Message::raw(json!([]))), "messages[0]: "),
        (messages(Message::raw(json!({"content": "x"}))), "messages[0].role:"),
        (messages(Message::user([UserBlock::raw("x")])), "messages[0].content[0]:"),
        (messages(Message::user([Audio::base64("", "AA").into()])), "messages[0].content[0].format:"),
        (messages(Message::user([Audio::url("").into()])), "messages[0].content[0].source.url:"),
        (messages(Message::user([Video::base64("", "A").into()])), "messages[0].content[0].media_type:"),
        (messages(Message::user([File::id("").into()])), "messages[0].content[0].source.id:"),
        (with_tools([tool().with_extra("name", "g")]), "tools[0].extras.name:"),
        (with_tools([tool().with_extra("parameters", json!({}))]), "tools[0].extras.parameters:"),
        (with_tools([tool().with_strict(true).with_extra("strict", false)]), "tools[0].extras.strict:"),
    ];
    for (request, place) in cases {
        let error = encoded(&request).unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest);
        assert!(error.message().starts_with(place), "{error}, want {place}");
    }
    assert!(encoded(&messages(hi().with_extra("role", "user"))).is_ok(), "it is the same");
    let extra = RuntimeConfig::new().with_extra("messages", json!([]));
    assert!(encoded(&messages(hi()).with_config(extra)).is_err());
}

#[test]
fn the_directive_of_a_schema_goes_into_a_developers_message() {
    let profile = Profile::new("m").with_force_prompt_augmentation_fallback(true);
    let schema = oa_wire::JsonSchema::new(json!({"type": "object"})).unwrap();
    let request = messages([Message::developer("Be brief.").with_name("us"), Message::user("hi")])
        .with_response_schema(schema);
    let endpoint = Endpoint::new("http://h", None).unwrap();
    let call = ChatCall::new(&endpoint, &profile, &request).unwrap();
    let body: Value = serde_json::from_slice(call.body()).unwrap();
    let first = &body["messages"][0];
    assert_eq!((first["role"].as_str(), first["name"].as_str()), (Some("developer"), Some("us")));
    assert!(first["content"].as_str().unwrap().starts_with("Be brief.\n\n"));
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);
}
