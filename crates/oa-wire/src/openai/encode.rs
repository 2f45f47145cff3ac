//! A request as bytes: written straight to the body, the same bytes for equal requests.

mod messages;
mod tools;

use super::request_body::{Member, RequestBody};
use crate::{
    CompletionRequest, Error, JsonSchema, Profile, RuntimeConfig, SchemaMode, TokenLimit,
    call_headers::body_members,
    expected::schema_mode,
    json::{push_list, push_text},
    request_body::{merged_texts, push_object_extras, tools_length},
};
use messages::{messages_length, push_messages};
use serde_json::Value;
use tools::push_tools;

/// Writes the body of a request that was validated.
pub(super) fn encode(profile: &Profile, request: &CompletionRequest) -> Result<Vec<u8>, Error> {
    encode_as(profile, request, request.stream)
}

/// The same without a stream, whatever the request says.
pub(super) fn encode_whole(profile: &Profile, request: &CompletionRequest) -> Result<Vec<u8>, Error> {
    encode_as(profile, request, false)
}

/// The extras that the template of a prompt takes.
const OF_THE_PROMPT: [&str; 7] = [
    "add_generation_prompt",
    "add_special_tokens",
    "chat_template",
    "chat_template_kwargs",
    "continue_final_message",
    "documents",
    "mm_processor_kwargs",
];

/// Writes what the prompt of a request is made of: the messages, the tools, and what the template takes among
/// the extras.
pub(super) fn encode_prompt(profile: &Profile, request: &CompletionRequest) -> Result<Vec<u8>, Error> {
    let mut body = RequestBody::with_capacity(capacity(profile, request));
    push_prompt(&mut body, profile, request)?;
    let mut extras = request.config.extras.clone();
    extras.retain(|name, _| OF_THE_PROMPT.contains(&name.as_str()));
    let is_continued = extras.get("continue_final_message") == Some(&Value::Bool(true));
    extras.entry("add_generation_prompt").or_insert(Value::Bool(!is_continued));
    body.push_extras(&extras, &[], &[])?;
    Ok(body.finish())
}

/// Writes the model, the messages and the tools, with the schema where it is among them.
fn push_prompt(body: &mut RequestBody, profile: &Profile, request: &CompletionRequest) -> Result<(), Error> {
    body.member(const { Member::named("model") }, |out| push_text(out, profile.model()));
    let mode = schema_mode(profile, request);
    let under = |wanted: SchemaMode| request.response_schema.as_ref().filter(|_| mode == Some(wanted));
    body.try_member(const { Member::named("messages") }, |out| {
        push_messages(out, request.messages(), under(SchemaMode::Prompt), profile)
    })?;
    push_tools(body, request, under(SchemaMode::ForcedTool))
}

fn encode_as(profile: &Profile, request: &CompletionRequest, stream: bool) -> Result<Vec<u8>, Error> {
    let mut body = RequestBody::with_capacity(capacity(profile, request));
    push_prompt(&mut body, profile, request)?;
    let mode = schema_mode(profile, request);
    let under = |wanted: SchemaMode| request.response_schema.as_ref().filter(|_| mode == Some(wanted));
    if let Some(schema) = under(SchemaMode::ResponseFormat) {
        body.member(const { Member::named("response_format") }, |out| push_response_format(out, schema));
    }
    if let Some(schema) = under(SchemaMode::StructuredOutputs) {
        body.member(const { Member::named("structured_outputs") }, |out| {
            push_structured_outputs(out, schema);
        });
    }
    if let Some(schema) = under(SchemaMode::JsonSchema) {
        body.member(const { Member::named("json_schema") }, |out| {
            out.extend_from_slice(schema.as_json().as_bytes());
        });
    }
    if stream {
        body.member(const { Member::named("stream") }, |out| out.extend_from_slice(b"true"));
        body.try_member(const { Member::named("stream_options") }, |out| {
            let from = out.len();
            out.extend_from_slice(br#"{"include_usage":true}"#);
            push_object_extras(out, from, &request.stream_options, &[], || "stream_options".to_owned())
        })?;
    }
    push_config(&mut body, &request.config, profile.body_form().token_limit);
    body.push_spelled(body_members(profile, request), &request.config.extras)?;
    push_extras(&mut body, &request.config)?;
    Ok(body.finish())
}

fn capacity(profile: &Profile, request: &CompletionRequest) -> usize {
    // Near enough that a body without many escapes is written without growing.
    let messages = messages_length(request.messages());
    let schema = request.response_schema.as_ref().map_or(0, |schema| schema.as_json().len() + 256);
    let tools = tools_length(request.tools.as_slice());
    messages + messages / 16 + tools + schema + profile.model().len() + 192
}

fn push_structured_outputs(out: &mut Vec<u8>, schema: &JsonSchema) {
    out.extend_from_slice(br#"{"json":"#);
    out.extend_from_slice(schema.as_json().as_bytes());
    out.push(b'}');
}

fn push_response_format(out: &mut Vec<u8>, schema: &JsonSchema) {
    out.extend_from_slice(br#"{"type":"json_schema","json_schema":{"name":"#);
    push_text(out, schema.name());
    out.extend_from_slice(br#","strict":"#);
    out.extend_from_slice(if schema.is_strict() { b"true" } else { b"false" });
    out.extend_from_slice(br#","schema":"#);
    out.extend_from_slice(schema.as_json().as_bytes());
    out.extend_from_slice(b"}}");
}

fn push_config(body: &mut RequestBody, config: &RuntimeConfig, limit: TokenLimit) {
    body.float(const { Member::named("temperature") }, config.temperature);
    let max_tokens = const { Member::named("max_tokens") };
    match limit {
        TokenLimit::MaxTokens => body.integer(max_tokens, config.max_tokens),
        TokenLimit::MaxCompletionTokens => {
            let renamed = const { Member::named("max_completion_tokens") };
            body.integer(renamed, config.max_tokens);
            body.written_as(max_tokens, renamed);
        }
    }
    body.float(const { Member::named("top_p") }, config.top_p);
    body.integer(const { Member::named("seed") }, config.seed);
    body.float(const { Member::named("frequency_penalty") }, config.frequency_penalty);
    body.float(const { Member::named("presence_penalty") }, config.presence_penalty);
    if let Some(declared) = &config.stop_sequences {
        // A text alone stands for a list of one.
        let listed = config.extras.get("stop").map(|extra| match extra {
            Value::String(_) => Value::Array(vec![extra.clone()]),
            extra => extra.clone(),
        });
        let stop = merged_texts(declared, listed.as_ref());
        body.member(const { Member::named("stop") }, |out| {
            push_list(out, &stop, |out, text| push_text(out, text));
        });
    }
}

fn push_extras(body: &mut RequestBody, config: &RuntimeConfig) -> Result<(), Error> {
    if config.extras.is_empty() {
        return Ok(());
    }
    body.push_extras(&config.extras, &["stop"], &["model", "messages", "tools", "tool_choice", "stream"])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AssistantMessage, Image, Message, Tool, ToolCall, ToolChoice, Tools, UserBlock, json::equal,
        validate::validate,
    };
    use serde_json::{Map, json};

    fn body(profile: &Profile, request: &CompletionRequest) -> Result<Value, Error> {
        validate(request)?;
        let bytes = encode(profile, request)?;
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    fn hi(config: RuntimeConfig) -> CompletionRequest {
        CompletionRequest::new([Message::user("hi")]).with_config(config)
    }

    fn with_extras(config: RuntimeConfig, extras: Value) -> Result<Value, Error> {
        let Value::Object(extras) = extras else { panic!() };
        body(&Profile::new("m"), &hi(RuntimeConfig { extras, ..config }))
    }

    #[test]
    fn a_whole_request_on_the_wire() {
        let mut arguments = Map::new();
        arguments.insert("b".into(), json!(1));
        arguments.insert("a".into(), json!("x\n"));
        let call = ToolCall::new("c1", "f", arguments);
        let tools =
            Tools::new([Tool::new("f", json!({"type": "object"})).unwrap().with_description("d")]).unwrap();
        let request = CompletionRequest::new([
            Message::system("s"),
            Message::user([UserBlock::text("t"), Image::base64("image/png", "AA==").into()]),
            AssistantMessage { tool_calls: vec![call], ..AssistantMessage::default() }.into(),
            Message::tool("c1", "r"),
        ])
        .with_tools(tools)
        .with_tool_choice(ToolChoice::Tool("f".into()))
        .with_stream(true)
        .with_config(
            RuntimeConfig::new()
                .with_temperature(0.0)
                .with_max_tokens(5)
                .with_seed(-1)
                .with_stop_sequences(["x"]),
        );
        let bytes = encode(&Profile::new("m"), &request).unwrap();
        let want = concat!(
            r#"{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","#,
            r#""content":[{"type":"text","text":"t"},{"type":"image_url","#,
            r#""image_url":{"url":"data:image/png;base64,AA=="}}]},{"role":"assistant","content":null,"#,
            r#""tool_calls":[{"type":"function","id":"c1","function":{"name":"f","#,
            r#""arguments":"{\"a\":\"x\\n\",\"b\":1}"}}]},{"role":"tool","tool_call_id":"c1","#,
            r#""content":"r"}],"tools":[{"type":"function","function":{"name":"f","description":"d","#,
            r#""parameters":{"type":"object"}}}],"tool_choice":{"type":"function","#,
            r#""function":{"name":"f"}},"stream":true,"stream_options":{"include_usage":true},"#,
            r#""temperature":0.0,"max_tokens":5,"seed":-1,"stop":["x"]}"#,
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), want);
    }

    #[test]
    fn reasoning_is_stripped() {
        let thought: Message = serde_json::from_value(json!({"role": "assistant", "content": [
            {"type": "thinking", "text": "t", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
            {"type": "text", "text": "42"}, {"type": "text", "text": "."}]}))
        .unwrap();
        let request = CompletionRequest::new([Message::user("a"), thought, Message::user("b")]);
        let body = body(&Profile::new("m"), &request).unwrap();
        assert_eq!(body["messages"][1], json!({"role": "assistant", "content": "42."}));
    }

    #[test]
    fn the_fallback_extends_or_adds_a_system_message() {
        let schema = JsonSchema::new(json!({"type": "object"})).unwrap();
        let profile = Profile::new("m").with_force_prompt_augmentation_fallback(true);
        let request = CompletionRequest::new([Message::user("a")]).with_response_schema(schema.clone());
        let added = body(&profile, &request).unwrap();
        assert_eq!(added["messages"].as_array().unwrap().len(), 2);
        assert!(added["messages"][0]["content"].as_str().unwrap().contains(schema.as_json()));
        assert_eq!(added.get("response_format"), None);
        let request = CompletionRequest::new([Message::system("Be brief."), Message::user("a")])
            .with_response_schema(schema.clone());
        let extended = body(&profile, &request).unwrap();
        let system = extended["messages"][0]["content"].as_str().unwrap();
        assert!(system.starts_with("Be brief.\n\n") && system.contains(schema.as_json()), "{system}");
        assert_eq!(request.messages()[0], Message::system("Be brief."));
    }

    #[test]
    fn an_extra_may_repeat_a_managed_field_but_not_contradict_it() {
        let base = RuntimeConfig::new().with_temperature(1.0);
        for extras in [
            json!({"model": "m"}),
            json!({"temperature": 1}),
            json!({"messages": [{"content": "hi", "role": "user"}]}),
            json!({"stream": false}),
            json!({"stream_options": {"x": 1}}),
            json!({"response_format": {"type": "json_object"}}),
        ] {
            let body = with_extras(base.clone(), extras.clone()).unwrap();
            for (name, value) in extras.as_object().unwrap() {
                if name == "stream" {
                    assert_eq!(body.get(name), None);
                } else {
                    assert!(equal(&body[name], value), "{name}");
                }
            }
        }
        for extras in [
            json!({"model": "other"}),
            json!({"temperature": 0.5}),
            json!({"temperature": true}),
            json!({"temperature": null}),
            json!({"messages": []}),
            json!({"tools": []}),
            json!({"tool_choice": "auto"}),
            json!({"stream": true}),
            json!({"stream": 0}),
        ] {
            let error = with_extras(base.clone(), extras.clone()).unwrap_err();
            assert!(error.message().starts_with("config.extras."), "{extras}: {error}");
        }
    }

    #[test]
    fn an_extra_contradicts_a_produced_response_format_and_stream_options() {
        let schema = JsonSchema::new(json!({"type": "object"})).unwrap();
        let request = hi(RuntimeConfig::new().with_extra("response_format", json!({"type": "json_object"})));
        assert!(body(&Profile::new("m"), &request.clone().with_response_schema(schema.clone())).is_err());
        let fallback = Profile::new("m").with_force_prompt_augmentation_fallback(true);
        assert!(body(&fallback, &request.with_response_schema(schema)).is_ok());
        let request = hi(RuntimeConfig::new().with_extra("stream_options", json!({}))).with_stream(true);
        assert!(body(&Profile::new("m"), &request).is_err());
        let request = hi(RuntimeConfig::new().with_extra("stream_options", json!({"include_usage": true})));
        assert!(body(&Profile::new("m"), &request.with_stream(true)).is_ok());
    }

    #[test]
    fn stop_merges() {
        let declared = || RuntimeConfig::new().with_stop_sequences(["A", "A"]);
        let cases = [
            (json!(["B", "A"]), json!(["A", "B"])),
            (json!("B"), json!(["A", "B"])),
            (json!(["B", 1]), json!(["A"])),
            (json!(7), json!(["A"])),
        ];
        for (extra, want) in cases {
            assert_eq!(with_extras(declared(), json!({"stop": extra})).unwrap()["stop"], want);
        }
        assert_eq!(with_extras(RuntimeConfig::new(), json!({"stop": 7})).unwrap()["stop"], json!(7));
    }

    #[test]
    fn unset_fields_are_left_out() {
        let body = body(&Profile::new("m"), &hi(RuntimeConfig::new())).unwrap();
        assert_eq!(body, json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}));
    }

    #[test]
    fn equal_inputs_give_equal_bytes_whatever_order_maps_were_built_in() {
        let build = |reversed: bool| {
            let mut pairs =
                vec![("alpha", json!({"x": 1, "y": 2})), ("beta", json!(2)), ("gamma", json!([3]))];
            if reversed {
                pairs.reverse();
                pairs[2].1 = serde_json::from_str(r#"{"y":2,"x":1}"#).unwrap();
            }
            let extras = pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            encode(&Profile::new("m"), &hi(RuntimeConfig { extras, ..RuntimeConfig::default() })).unwrap()
        };
        assert_eq!(build(false), build(true));
    }
}
