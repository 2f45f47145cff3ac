//! The generative mode, not streamed.

use crate::client::{Client, Reply, request};
use oa_sim::{ImageRefusal, Reasoning, Reply as Says, Sim, SimBuilder};
use serde_json::{Value, json};
use std::{borrow::Borrow, time::Duration};
use tokio::time::Instant;

async fn ask(builder: SimBuilder, body: Value) -> Reply {
    let sim = builder.start().await.unwrap();
    Client::connect(&sim).await.post(&body).await
}

/// A request with one user message and these members.
fn user(text: &str, more: impl Borrow<Value>) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.borrow().as_object().unwrap().clone());
    body
}

async fn choice(body: Value) -> Value {
    let reply = ask(Sim::builder(), body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["choices"][0].clone()
}

fn weather() -> Value {
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters": {
            "type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"],
        }}})
    };
    json!([tool("get_weather"), tool("get_weather_later"), tool("get_time")])
}

#[tokio::test]
async fn it_echoes_in_the_form_of_a_completion() {
    let body = json!({"model": "oa-sim", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello wörld"}]},
    ]});
    let reply = ask(Sim::builder(), body).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(
        reply.json(),
        json!({
            "id": "chatcmpl-sim-00000001",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "oa-sim",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": "You said: Hello wörld"},
                "logprobs": null,
                "finish_reason": "stop",
                "stop_reason": null,
            }],
            "system_fingerprint": format!("oa-sim-{}", oa_sim::VERSION),
            "usage": {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10},
        })
    );
}

#[tokio::test]
async fn max_tokens_ends_the_text() {
    for name in ["max_tokens", "max_completion_tokens"] {
        let reply = ask(Sim::builder(), user("a b c", json!({name: 3}))).await.json();
        assert_eq!(reply["choices"][0]["message"]["content"], "You said: a");
        assert_eq!(reply["choices"][0]["finish_reason"], "length");
        assert_eq!(reply["usage"]["completion_tokens"], 3);
    }
    assert_eq!(choice(user("a b c", json!({"max_tokens": 5}))).await["finish_reason"], "stop");
}

#[tokio::test]
async fn a_stop_sequence_ends_the_text_before_it() {
    let stopped = choice(user("one, two, three", json!({"stop": ["three", ", t"]}))).await;
    assert_eq!(stopped["message"]["content"], "You said: one");
    assert_eq!((&stopped["finish_reason"], &stopped["stop_reason"]), (&json!("stop"), &json!(", t")));
    let one = choice(user("one, two", json!({"stop": ","}))).await;
    assert_eq!(one["message"]["content"], "You said: one");
    let shorter = choice(user("one, two", json!({"stop": ",", "max_tokens": 1}))).await;
    assert_eq!((&shorter["finish_reason"], &shorter["stop_reason"]), (&json!("length"), &json!(null)));
}

#[tokio::test]
async fn made_up_text_follows_seed_and_choice() {
    let sim = Sim::builder().reply(Says::MadeUp { words: 8 }).start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let one = client.post(&user("x", json!({"seed": 1, "n": 2}))).await.json();
    let again = client.post(&user("other", json!({"seed": 1}))).await.json();
    let other = client.post(&user("x", json!({"seed": -2}))).await.json();
    let text = |body: &Value, index: usize| {
        body["choices"][index]["message"]["content"].as_str().unwrap().to_owned()
    };
    assert_eq!(text(&one, 0).split(' ').count(), 8);
    assert_eq!(text(&one, 0), text(&again, 0));
    assert_ne!(text(&one, 0), text(&one, 1));
    assert_ne!(text(&one, 0), text(&other, 0));
    assert_eq!(one["usage"]["completion_tokens"], 16);
    assert_ne!(one["id"], again["id"]);
}

#[tokio::test]
async fn it_says_what_it_is_told_to() {
    let reply = ask(Sim::builder().reply(Says::Fixed("yes ".into())), user("x", json!({}))).await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "yes ");
}

#[tokio::test]
async fn reasoning_comes_in_the_fields_asked_for() {
    for (fields, one, both) in [
        (Reasoning::Reasoning, json!("let me see"), json!(null)),
        (Reasoning::ReasoningContent, json!(null), json!("let me see")),
        (Reasoning::Both, json!("let me see"), json!("let me see")),
    ] {
        let reply = ask(Sim::builder().reasoning(fields, "let me see"), user("x", json!({}))).await.json();
        let message = &reply["choices"][0]["message"];
        assert_eq!((&message["reasoning"], &message["reasoning_content"]), (&one, &both));
        assert_eq!(message["content"], "You said: x");
        assert_eq!(reply["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
    }
    let builder = Sim::builder().reasoning(Reasoning::Reasoning, "let me see");
    let cut = ask(builder, user("x", json!({"max_tokens": 2}))).await.json();
    let cut = &cut["choices"][0];
    assert_eq!(cut["message"], json!({"role": "assistant", "content": "", "reasoning": "let me"}));
    assert_eq!(cut["finish_reason"], "length");
}

#[tokio::test]
async fn json_is_made_for_the_schema_in_its_order() {
    let schema = r#"{"messages":[{"role":"user","content":"x"}],
        "response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object",
        "properties":{"zeta":{"type":"integer"},"alpha":{"enum":["b","a"]}},
        "required":["zeta","alpha"],"additionalProperties":false}}}}"#;
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.send(request(schema)).await;
    let reply = client.reply().await.unwrap().json();
    assert_eq!(reply["choices"][0]["message"]["content"], r#"{"zeta":1,"alpha":"b"}"#);

    let object = choice(user("x", json!({"response_format": {"type": "json_object"}}))).await;
    assert_eq!(object["message"]["content"], r#"{"reply":"You said: x"}"#);
    let cut = choice(user("x", json!({"response_format": {"type": "json_object"}, "max_tokens": 2}))).await;
    assert_eq!(
        (&cut["message"]["content"], &cut["finish_reason"]),
        (&json!("{\"reply\":"), &json!("length"))
    );
}

#[tokio::test]
async fn tools_are_called_by_the_rules_of_tool_choice() {
    let called = |choice: &Value| -> Vec<String> {
        let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
        calls.iter().map(|call| call["function"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let named = json!({"type": "function", "function": {"name": "get_time"}});
    let cases = [
        ("hi", json!({}), vec![]),
        ("call get_weather, please", json!({}), vec!["get_weather"]),
        ("get_weather_later!", json!({"tool_choice": "auto"}), vec!["get_weather_later"]),
        ("get_weather and get_time", json!({}), vec!["get_weather", "get_time"]),
        ("get_weather and get_time", json!({"parallel_tool_calls": false}), vec!["get_weather"]),
        ("get_weather", json!({"tool_choice": "none"}), vec![]),
        ("hi", json!({"tool_choice": "required"}), vec!["get_weather"]),
        ("hi", json!({"tool_choice": named}), vec!["get_time"]),
    ];
    for (text, mut more, names) in cases {
        more["tools"] = weather();
        let choice = choice(user(text, &more)).await;
        assert_eq!(called(&choice), names, "{text} {more}");
        let finish = if names.is_empty() { "stop" } else { "tool_calls" };
        assert_eq!(choice["finish_reason"], finish);
        assert_eq!(choice["message"]["content"].is_null(), !names.is_empty());
        for call in choice["message"]["tool_calls"].as_array().unwrap_or(&vec![]) {
            assert_eq!(
                (&call["type"], &call["function"]["arguments"]),
                (&json!("function"), &json!(r#"{"city":"Paris"}"#))
            );
        }
    }
}

#[tokio::test]
async fn call_ids_are_different_and_results_are_answered() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let asked = user("get_weather get_time", json!({"tools": weather()}));
    let first = client.post(&asked).await.json()["choices"][0]["message"].clone();
    let second = client.post(&asked).await.json()["choices"][0]["message"].clone();
    let ids = [&first, &second].map(|message| [0, 1].map(|index| message["tool_calls"][index]["id"].clone()));
    let mut all = ids.concat();
    all.dedup();
    assert_eq!(all.len(), 4);

    let mut round = asked;
    let messages = round["messages"].as_array_mut().unwrap();
    messages.push(first);
    messages.push(json!({"role": "tool", "tool_call_id": ids[0][0], "content": "21 C"}));
    messages.push(json!({"role": "tool", "tool_call_id": ids[0][1], "content": "noon"}));
    let answer = client.post(&round).await.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "The tool said: 21 C; noon");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn arguments_are_cut_by_max_tokens() {
    let choice =
        choice(user("x", json!({"tools": weather(), "tool_choice": "required", "max_tokens": 3}))).await;
    assert_eq!(choice["finish_reason"], "length");
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["arguments"], r#"{"city":"#);
}

#[tokio::test]
async fn images_are_taken_or_refused() {
    let url = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
    let body =
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, url, url]}]});
    let reply = ask(Sim::builder(), body.clone()).await.json();
    assert_eq!(reply["choices"][0]["message"]["content"], "You said: what? (and 2 images)");
    let vllm = ask(Sim::builder().refuse_images(ImageRefusal::Vllm), body.clone()).await;
    assert_eq!(
        (vllm.status, &vllm.json()["error"]["message"]),
        (400, &json!("oa-sim is not a multimodal model"))
    );
    let llama = ask(Sim::builder().refuse_images(ImageRefusal::LlamaCpp), body).await;
    assert_eq!(llama.status, 500);
    assert!(llama.json()["error"]["message"].as_str().unwrap().starts_with("image input is not supported"));
}

#[tokio::test]
async fn usage_reports_the_cache_where_it_is_told_to() {
    let reply = ask(Sim::builder().cached_tokens(100), user("a b", json!({}))).await.json();
    assert_eq!(reply["usage"]["prompt_tokens_details"]["cached_tokens"], 3);
}

#[tokio::test(start_paused = true)]
async fn tokens_take_their_time() {
    let start = Instant::now();
    ask(Sim::builder().token_delay(Duration::from_secs(5)), user("a b", json!({}))).await;
    assert_eq!(start.elapsed().as_secs(), 20);
}

#[tokio::test]
async fn a_request_id_becomes_the_id() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let body = user("x", json!({})).to_string();
    client.send(request(&body).replacen("Host", "X-Request-Id: 77\r\nHost", 1)).await;
    assert_eq!(client.reply().await.unwrap().json()["id"], "chatcmpl-77");
}

#[tokio::test]
async fn models_health_version_and_unknown_paths() {
    let sim =
        Sim::builder().models(["a", "b/c"]).model_status("loading").context_length(9).start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let models = client.get("/v1/models").await.json();
    assert_eq!((&models["object"], &models["data"][1]["id"]), (&json!("list"), &json!("b/c")));
    assert_eq!(
        (&models["data"][0]["status"], &models["data"][0]["max_model_len"]),
        (&json!("loading"), &json!(9))
    );
    assert_eq!(client.get("/v1/models/b/c").await.json(), models["data"][1]);
    assert_eq!(client.get("/v1/models/x").await.status, 404);
    let health = client.get("/health").await;
    assert_eq!((health.status, health.text().as_str()), (200, ""));
    assert_eq!(client.get("/version").await.json(), json!({"version": oa_sim::VERSION}));
    for path in ["/v1/v1/models", "/v1/chat/completions/", "/chat/completions", "/v1"] {
        let reply = client.get(path).await;
        assert_eq!((reply.status, reply.json()), (404, json!({"detail": "Not Found"})), "{path}");
    }
    let wrong = client.get("/v1/chat/completions").await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
    assert_eq!(wrong.json(), json!({"detail": "Method Not Allowed"}));
}

#[tokio::test]
async fn a_key_is_asked_for_before_anything_under_v1() {
    let sim = Sim::builder().api_key("sk-1").start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    for (path, authorization, status) in [
        ("/v1/models", "", 401),
        ("/v1/nothing", "", 401),
        ("/v1/models", "Authorization: Bearer sk-2\r\n", 401),
        ("/v1/models", "Authorization: sk-1\r\n", 401),
        ("/v1/models", "Authorization: bearer sk-1\r\n", 200),
        ("/v1/nothing", "Authorization: Bearer sk-1\r\n", 404),
        ("/health", "", 200),
    ] {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: sim\r\n{authorization}\r\n")).await;
        let reply = client.reply().await.unwrap();
        assert_eq!(reply.status, status, "{path} {authorization}");
        if status == 401 {
            assert_eq!(reply.json(), json!({"error": "Unauthorized"}));
        }
    }
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let reply = ask(Sim::builder().models(["a", "b"]), user("x", json!({"model": "c"}))).await;
    assert_eq!(reply.status, 404);
    assert_eq!(
        reply.json(),
        json!({"error": {
            "message": "The model `c` does not exist. Valid aliases: a, b.",
            "type": "NotFoundError", "param": "model", "code": 404,
        }})
    );
    let second = ask(Sim::builder().models(["a", "b"]), user("x", json!({"model": "b"}))).await;
    assert_eq!(second.json()["model"], "b");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_refused() {
    let reply = ask(Sim::builder().context_length(3), user("a b c", json!({}))).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.json()["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("This model's maximum context length is 3")
    );
    assert_eq!(ask(Sim::builder().context_length(3), user("a b", json!({}))).await.status, 200);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let tools = weather();
    let function = json!({"type": "function", "function": {"name": "nope"}});
    let cases = [
        (json!({"messages": null}), "body.messages"),
        (json!({"messages": "hi"}), "body.messages"),
        (json!({"messages": []}), ""),
        (json!({"messages": [{"content": "x"}]}), "body.messages.0.role"),
        (json!({"messages": [{"role": "user", "content": null}]}), "body.messages.0.content"),
        (json!({"messages": [{"role": "user", "content": 5}]}), "body.messages.0.content"),
        (json!({"messages": [{"role": "user", "content": [{"text": "x"}]}]}), "body.messages.0.content.type"),
        (json!({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}), ""),
        (json!({"model": 5}), "body.model"),
        (json!({"stream": "yes"}), "body.stream"),
        (json!({"stream_options": {"include_usage": true}}), "stream_options"),
        (json!({"max_tokens": 0}), "max_tokens"),
        (json!({"max_tokens": 1.5}), "body.max_tokens"),
        (json!({"temperature": -5}), "temperature"),
        (json!({"temperature": "hot"}), "body.temperature"),
        (json!({"top_p": 2}), "top_p"),
        (json!({"n": 0}), ""),
        (json!({"stop": 5}), "body.stop"),
        (json!({"stop": [""]}), "stop"),
        (json!({"response_format": {"type": "xml"}}), "body.response_format.type"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}),
            "body.response_format.json_schema.name",
        ),
        (
            json!({"response_format": {
                "type": "json_schema", "json_schema": {"name": "x", "schema": false},
            }}),
            "response_format",
        ),
        (json!({"tools": []}), "tools"),
        (json!({"tools": [{"name": "x"}]}), "body.tools.0.function"),
        (json!({"tools": tools, "tool_choice": "maybe"}), "tool_choice"),
        (json!({"tools": tools, "tool_choice": function}), "tool_choice"),
        (json!({"tool_choice": "required"}), "tool_choice"),
    ];
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    for (more, param) in cases {
        let reply = client.post(&user("x", &more)).await;
        assert_eq!(reply.status, 400, "{more}");
        let error = &reply.json()["error"];
        assert_eq!((error["param"].as_str().unwrap_or(""), &error["code"]), (param, &json!(400)), "{more}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{more}");
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    for body in ["", "{", "[]", "nonsense", "{\"messages\": [}"] {
        client.send(request(body)).await;
        let reply = client.reply().await.unwrap();
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (400, &json!("Bad Request")), "{body}");
    }
    client.send(request("??").replace("??", "")).await;
    client.send(b"\xff\xfe").await;
    assert_eq!(client.reply().await.unwrap().json()["detail"], "There was an error parsing the body");
    client.send(request("{}").replace("application/json", "text/plain")).await;
    let reply = client.reply().await.unwrap().json();
    assert!(reply["error"]["message"].as_str().unwrap().contains("Unsupported Media Type"));
}
