//! One completion travels to the server and back whole.

use oa_provider::{OpenAiProvider, Provider};
use oa_sim::{Answer, Piece, Sim, scripts};
use oa_wire::Limits;
use oa_wire::{
    Category, CompletionRequest, ErrorKind, FinishReason, JsonSchema, Message, RuntimeConfig, ToolChoice,
};
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_completion_arrives_with_all_that_the_server_said() {
    let sim = Sim::builder().cached_tokens(1).start().await.unwrap();
    let response = provider(&sim).complete(&hello()).await.unwrap();
    assert_eq!(response.text(), "You said: Hello there");
    assert_eq!(
        (response.finish_reason, response.server_finish_reason.as_deref()),
        (FinishReason::Stop, Some("stop"))
    );
    let usage = response.usage;
    assert_eq!(
        (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cached_tokens),
        (Some(3), Some(4), Some(7), Some(1))
    );
    assert_eq!(response.model.as_deref(), Some("oa-sim"));
    assert_eq!(response.id.as_deref(), Some("chatcmpl-sim-00000001"));
    let raw = response.raw.json().unwrap();
    assert_eq!(raw["choices"][0]["message"]["content"], "You said: Hello there");
    assert_eq!(raw["object"], "chat.completion");
}

#[tokio::test]
async fn the_servers_id_of_the_request_is_kept() {
    let (_sim, provider) =
        scripted([Answer::json(200, completion("x")).header("x-request-id", "req-7")]).await;
    assert_eq!(provider.complete(&hello()).await.unwrap().request_id.as_deref(), Some("req-7"));
}

#[tokio::test]
async fn the_raw_body_is_kept_byte_for_byte() {
    let body = r#"{ "choices": [ {"message":{"content":"a"}, "vendor":1e2 } ], "x":"\u0041" }"#;
    let (_sim, provider) = scripted([Answer::bytes(200, "application/json", body)]).await;
    assert_eq!(provider.complete(&hello()).await.unwrap().raw.to_bytes(), body);
}

#[tokio::test]
async fn a_request_has_exactly_these_bytes_and_headers() {
    let sim = Sim::start().await.unwrap();
    let request = hello().with_config(RuntimeConfig::new().with_temperature(0.0).with_extra("top_k", 20));
    provider(&sim).complete(&request).await.unwrap();
    let sent = sim.last_request().unwrap();
    assert_eq!((sent.method.as_str(), sent.target.as_str()), ("POST", CHAT));
    assert_eq!(
        sent.json(),
        json!({"model": "oa-sim", "messages": [{"role": "user", "content": "Hello there"}],
            "temperature": 0.0, "top_k": 20})
    );
    let mut headers: Vec<(String, &str)> =
        sent.headers.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
    headers.sort();
    let host = sim.addr().to_string();
    let length = sent.body.len().to_string();
    let agent = concat!("oa-wire/", env!("CARGO_PKG_VERSION"));
    let wanted = [
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("content-length", &length),
        ("content-type", "application/json"),
        ("host", &host),
        ("user-agent", agent),
    ];
    assert_eq!(headers, wanted.map(|(name, value)| (name.to_owned(), value)));
}

#[tokio::test]
async fn the_key_and_extra_headers_are_sent_with_every_request() {
    let sim = Sim::builder().api_key("sk-one").start().await.unwrap();
    let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim")
        .api_key("sk-one")
        .header("x-team", "search")
        .header("user-agent", "mine/1")
        .build()
        .unwrap();
    provider.complete(&hello()).await.unwrap();
    provider.ready().await.unwrap();
    for sent in sim.requests() {
        let found = ["authorization", "x-team", "user-agent"].map(|name| sent.header(name));
        assert_eq!(found, [Some("Bearer sk-one"), Some("search"), Some("mine/1")], "{}", sent.path);
    }
}

#[tokio::test]
async fn a_gateways_prefix_stays_in_front_of_the_path() {
    let sim = Sim::builder().script([Answer::json(200, completion("x"))]).start().await.unwrap();
    let url = format!("{}/api/openai-proxy//", sim.base_url());
    let provider = OpenAiProvider::builder(url, "m").build().unwrap();
    provider.complete(&hello()).await.unwrap();
    assert_eq!(sim.last_request().unwrap().target, "/api/openai-proxy/v1/chat/completions");
}

#[tokio::test]
async fn a_forced_tool_is_called_and_its_result_goes_back() {
    let sim = Sim::start().await.unwrap();
    let provider = provider(&sim);
    let mut request =
        hello().with_tools(tools()).with_tool_choice(ToolChoice::Tool("get_weather".to_owned()));
    let response = provider.complete(&request).await.unwrap();
    let [call] = &response.message.tool_calls[..] else { panic!("one call, got {response:?}") };
    assert_eq!((call.name.as_str(), call.id_is_local), ("get_weather", false));
    assert!(call.arguments.as_object().is_some());
    assert_eq!(
        sim.last_request().unwrap().json()["tool_choice"],
        json!({"type": "function", "function": {"name": "get_weather"}})
    );

    let id = call.id.clone();
    request.messages_mut().extend([response.message.into(), Message::tool(&id, "18 degrees")]);
    request.tool_choice = None;
    let answer = provider.complete(&request).await.unwrap();
    assert!(answer.text().contains("18 degrees"), "{}", answer.text());
    let sent = sim.last_request().unwrap().json();
    assert_eq!(sent["messages"][1]["tool_calls"][0]["id"], id);
    assert_eq!(sent["messages"][2], json!({"role": "tool", "tool_call_id": id, "content": "18 degrees"}));
}

fn person() -> JsonSchema {
    JsonSchema::new(json!({
        "title": "person",
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": false,
    }))
    .unwrap()
}

#[tokio::test]
async fn structured_output_is_asked_for_and_parsed() {
    let sim = Sim::start().await.unwrap();
    let response = provider(&sim).complete(&hello().with_response_schema(person())).await.unwrap();
    let parsed = response.parsed.unwrap();
    assert!(parsed["name"].is_string() && parsed["age"].is_i64(), "{parsed}");
    let format = &sim.last_request().unwrap().json()["response_format"];
    assert_eq!(
        format,
        &json!({"type": "json_schema", "json_schema":
            {"name": "person", "strict": true, "schema": person().as_value()}})
    );
}

#[tokio::test]
async fn structured_output_by_prompt_sends_a_directive_in_place_of_a_format() {
    let sim = Sim::builder().script([Answer::json(200, completion(r#"{"name":"A","age":3}"#))]).start().await;
    let sim = sim.unwrap();
    let provider = OpenAiProvider::builder(sim.base_url(), "m")
        .force_prompt_augmentation_fallback(true)
        .build()
        .unwrap();
    let response = provider.complete(&hello().with_response_schema(person())).await.unwrap();
    assert_eq!(response.parsed, Some(json!({"name": "A", "age": 3})));
    let sent = sim.last_request().unwrap().json();
    assert_eq!(sent.get("response_format"), None);
    assert_eq!(sent["messages"][0]["role"], "system");
    assert!(sent["messages"][0]["content"].as_str().unwrap().contains(person().as_json()));
}

#[tokio::test]
async fn output_that_breaks_its_schema_is_an_error_that_keeps_it() {
    let output = r#"{"name":"A","age":"three"}"#;
    let mut body = completion(output);
    body["usage"] = json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3});
    let (_sim, provider) = scripted([Answer::json(200, body)]).await;
    let error = provider.complete(&hello().with_response_schema(person())).await.unwrap_err();
    assert_eq!(error.category(), Category::StructuredOutputInvalid);
    let failure = error.structured().unwrap();
    assert_eq!(failure.response_schema, person());
    assert_eq!(failure.output_content, output);
    assert!(failure.error_message.contains("/age"), "{}", failure.error_message);
    assert_eq!((failure.finish_reason, failure.usage.total_tokens), (FinishReason::Stop, Some(3)));
}

#[tokio::test]
async fn inputs_are_never_changed() {
    let sim = Sim::start().await.unwrap();
    let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim")
        .force_prompt_augmentation_fallback(true)
        .build()
        .unwrap();
    let mut request = CompletionRequest::new([Message::system("Be brief."), Message::user("Hello")])
        .with_config(RuntimeConfig::new().with_stop_sequences(["x"]).with_extra("stop", "y"));
    request.response_schema = Some(JsonSchema::new(json!({"type": "object"})).unwrap());
    let before = format!("{request:?}");
    let kept = request.clone();
    // The echo is no JSON: what matters is that the calls were made.
    let _ = provider.complete(&request).await;
    let _ = provider.stream(&request).await;
    assert_eq!(sim.stats().requests, 2);
    assert_eq!(format!("{request:?}"), before);
    assert_eq!(format!("{kept:?}"), before);
}

#[tokio::test]
async fn a_request_that_breaks_a_rule_is_not_sent() {
    let sim = Sim::start().await.unwrap();
    let provider = provider(&sim);
    let bad = CompletionRequest::new([Message::user("a"), Message::tool("nowhere", "b")]);
    for error in [provider.complete(&bad).await.unwrap_err(), provider.stream(&bad).await.unwrap_err()] {
        assert_eq!(error.category(), Category::InvalidRequest);
        assert!(error.message().starts_with("messages[1].tool_call_id"), "{error}");
    }
    assert_eq!(sim.connections(), 0);
}

#[tokio::test]
async fn every_refusal_has_its_category_and_the_servers_words() {
    for script in scripts::refusals::all() {
        let (_sim, provider) = scripted([script.answer]).await;
        let error = provider.complete(&hello().with_tools(tools())).await.unwrap_err();
        let wanted = script.expected.error.unwrap();
        assert_eq!(error.category().as_str(), wanted.category, "{}: {error}", script.name);
        assert_eq!(error.is_transient(), wanted.transient, "{}: {error}", script.name);
        assert!(error.message().contains(wanted.mentions), "{}: {error}", script.name);
        assert!(error.status().is_some_and(|status| status >= 400), "{}: {error}", script.name);
    }
}

#[tokio::test]
async fn a_refused_connection_says_where_and_at_which_stage() {
    let port = Sim::closed_port().unwrap();
    let provider = OpenAiProvider::builder(port.base_url(), "m").build().unwrap();
    let error = provider.complete(&hello()).await.unwrap_err();
    assert_eq!(error.category(), Category::Unavailable);
    let connection = error.connection().unwrap();
    assert_eq!((connection.stage, connection.host.as_str()), ("connect", "127.0.0.1"));
    assert_eq!(connection.port, port.addr().port());
    assert_eq!(connection.addresses.len(), 1);
    assert_eq!(connection.addresses[0].0, port.addr());
    assert!(format!("{error:#}").contains("efused"), "{error:#}");
}

#[tokio::test]
async fn an_answer_that_is_no_completion_is_an_invalid_response_that_shows_its_start() {
    for (answer, shown) in [
        (Answer::html(200, "<html>Log in"), "Log in"),
        (Answer::text(200, ""), "empty"),
        (Answer::json(200, json!({"object": "list"})), "choices"),
        (Answer::json(200, json!({"choices": []})), "choices[0]"),
        (Answer::text(204, ""), "empty"),
    ] {
        let (_sim, provider) = scripted([answer]).await;
        let error = provider.complete(&hello()).await.unwrap_err();
        assert_eq!(error.category(), Category::InvalidResponse, "{error}");
        assert!(error.message().contains(shown), "{error}, want {shown}");
    }
}

#[tokio::test]
async fn a_stream_in_place_of_a_body_is_read_as_one() {
    let (_sim, provider) = scripted([texts(["Hel", "lo"])]).await;
    let response = provider.complete(&hello()).await.unwrap();
    assert_eq!((response.text().as_ref(), response.finish_reason), ("Hello", FinishReason::Stop));
}

#[tokio::test]
async fn a_body_that_is_cut_off_is_unavailable_and_its_start_is_kept() {
    let start = r#"{"choices":[{"index":0,"message":{"content":"Hel"#;
    let (_sim, provider) =
        scripted([Answer::bytes(200, "application/json", start).content_length(5000)]).await;
    let error = provider.complete(&hello()).await.unwrap_err();
    assert_eq!((error.category(), error.kind()), (Category::Unavailable, Some(ErrorKind::CutOff)));
    assert_eq!(error.status(), Some(200));
    assert_eq!(error.body().unwrap(), start);
    assert_eq!(error.connection().unwrap().stage, "body");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_before_it_is_read_to_its_end() {
    let frames = [Piece::from(vec![b'['; 2000]), Piece::Stall];
    let sim =
        Sim::builder().script([Answer::pieces(200, "application/json", frames).chunked()]).start().await;
    let sim = sim.unwrap();
    let provider =
        OpenAiProvider::builder(sim.base_url(), "m").limits(Limits::new().with_body(1000)).build().unwrap();
    let error = soon(provider.complete(&hello())).await.unwrap_err();
    assert_eq!((error.category(), error.kind()), (Category::InvalidResponse, Some(ErrorKind::TooLarge)));
    soon(sim.closed_by_client()).await;
}

#[tokio::test]
async fn a_call_that_is_dropped_closes_its_connection() {
    let (sim, provider) = scripted([Answer::stall()]).await;
    let call = tokio::spawn(async move { provider.complete(&hello()).await });
    soon(sim.wait_for(|stats| stats.requests == 1)).await;
    call.abort();
    soon(sim.closed_by_client()).await;
}
