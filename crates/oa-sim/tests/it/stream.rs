//! The generative mode streams what it would have answered at once.

use crate::client::{Client, Reply, request};
use oa_sim::{Reasoning, Sim, SimBuilder};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

async fn ask(builder: SimBuilder, more: Value) -> Reply {
    let sim = builder.start().await.unwrap();
    let mut body = json!({"messages": [{"role": "user", "content": "a b"}], "stream": true});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Client::connect(&sim).await.post(&body).await
}

#[tokio::test]
async fn every_token_is_one_event_in_one_chunk() {
    let reply = ask(Sim::builder(), json!({})).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = reply.events();
    assert_eq!(reply.chunks.len(), events.len() + 1);
    let deltas: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    assert_eq!(
        deltas,
        [
            &json!({"role": "assistant", "content": ""}),
            &json!({"content": "You"}),
            &json!({"content": " said:"}),
            &json!({"content": " a"}),
            &json!({"content": " b"}),
            &json!({}),
        ]
    );
    let reasons: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["finish_reason"]).collect();
    assert_eq!(reasons[..5], [&Value::Null; 5]);
    assert_eq!(reasons[5], "stop");
    for event in &events {
        assert_eq!(
            (&event["object"], &event["id"]),
            (&json!("chat.completion.chunk"), &json!("chatcmpl-sim-00000001"))
        );
        assert_eq!(event.get("usage"), None);
    }
}

#[tokio::test]
async fn usage_comes_last_when_asked_for() {
    let events = ask(Sim::builder(), json!({"stream_options": {"include_usage": true}})).await.events();
    let last = events.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], json!({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}));
    let forced = ask(Sim::builder().always_usage(), json!({})).await.events();
    assert_eq!(forced.last().unwrap()["usage"], last["usage"]);
    let each =
        ask(Sim::builder(), json!({"stream_options": {"continuous_usage_stats": true}})).await.events();
    let counts: Vec<u64> =
        each.iter().map(|event| event["usage"]["completion_tokens"].as_u64().unwrap()).collect();
    assert_eq!(counts, [0, 1, 2, 3, 4, 4]);
}

#[tokio::test]
async fn choices_are_interleaved() {
    let events = ask(Sim::builder(), json!({"n": 2, "max_tokens": 2})).await.events();
    let indexes: Vec<u64> =
        events.iter().map(|event| event["choices"][0]["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, [0, 1, 0, 1, 0, 1, 0, 1]);
    assert_eq!(events[7]["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn reasoning_comes_before_the_text() {
    let events = ask(Sim::builder().reasoning(Reasoning::Both, "let me"), json!({})).await.events();
    let deltas: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    assert_eq!(deltas[1], &json!({"reasoning": "let", "reasoning_content": "let"}));
    assert_eq!(deltas[2], &json!({"reasoning": " me", "reasoning_content": " me"}));
    assert_eq!(deltas[3], &json!({"content": "You"}));
}

#[cfg(feature = "generate")]
#[tokio::test]
async fn calls_come_name_first_and_then_in_pieces() {
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters": {
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        }}})
    };
    let more = json!({
        "tools": [tool("one"), tool("two")],
        "messages": [{"role": "user", "content": "one two"}],
    });
    let events = ask(Sim::builder(), more).await.events();
    let mut names: Vec<String> = Vec::new();
    let mut arguments = vec![String::new(), String::new()];
    for event in &events {
        let Some(call) = event["choices"][0]["delta"]["tool_calls"].get(0) else { continue };
        if let Some(name) = call["function"]["name"].as_str() {
            assert_eq!(call["function"].get("arguments"), None);
            assert!(call["id"].as_str().unwrap().starts_with("chatcmpl-tool-"));
            names.push(name.to_owned());
        } else {
            let index = call["index"].as_u64().unwrap() as usize;
            arguments[index].push_str(call["function"]["arguments"].as_str().unwrap());
        }
    }
    assert_eq!(names, ["one", "two"]);
    assert_eq!(arguments, [r#"{"n":1}"#, r#"{"n":1}"#]);
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[cfg(feature = "generate")]
#[tokio::test]
async fn a_streamed_answer_is_the_one_that_is_not_streamed() {
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {
        "type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}, "minItems": 3}},
    }}});
    for more in
        [json!({}), json!({"max_tokens": 3}), json!({"stop": "a"}), json!({"response_format": schema})]
    {
        let mut at_once = more.clone();
        at_once["stream"] = json!(false);
        let whole = ask(Sim::builder(), at_once).await.json()["choices"][0].clone();
        let events = ask(Sim::builder(), more).await.events();
        let contents = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
        assert_eq!(whole["message"]["content"], contents.collect::<String>());
        let last = &events.last().unwrap()["choices"][0];
        assert_eq!(
            (&last["finish_reason"], &last["stop_reason"]),
            (&whole["finish_reason"], &whole["stop_reason"])
        );
    }
}

#[tokio::test]
async fn a_refusal_of_a_stream_keeps_its_status() {
    let reply = ask(Sim::builder(), json!({"temperature": -1})).await;
    assert_eq!((reply.status, reply.header("content-type")), (400, Some("application/json")));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_paced() {
    let sim = Sim::builder().token_delay(Duration::from_secs(1)).start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let body = json!({"messages": [{"role": "user", "content": "a b"}], "stream": true});
    client.send(request(&body.to_string())).await;
    client.head().await.unwrap();
    let start = Instant::now();
    let mut times = Vec::new();
    while client.chunk().await.unwrap().is_some() {
        times.push(start.elapsed().as_secs());
    }
    assert_eq!(times, [0, 1, 2, 3, 4, 4, 4]);
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_generation() {
    let sim = Sim::builder().token_delay(Duration::from_secs(3600)).start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let body = json!({"messages": [{"role": "user", "content": "a b"}], "stream": true});
    client.send(request(&body.to_string())).await;
    client.head().await.unwrap();
    client.chunk().await.unwrap();
    drop(client);
    sim.closed_by_client().await;
    sim.wait_for(|stats| stats.open == 0 && stats.answered == 0).await;
}
