//! Answers in the form of the OpenAI API.

use crate::client::Client;
use oa_sim::{Answer, Sim};
use serde_json::{Value, json};

async fn served(answer: Answer) -> crate::client::Reply {
    let sim = Sim::builder().script([answer]).start().await.unwrap();
    Client::connect(&sim).await.post(&json!({})).await
}

#[tokio::test]
async fn a_completion_holds_its_text_and_counts_its_words() {
    let reply = served(Answer::completion("It rains.")).await;
    let json = reply.json();
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(json["choices"][0]["message"], json!({"role": "assistant", "content": "It rains."}));
    assert_eq!(json["choices"][0]["finish_reason"], "stop");
    assert_eq!(json["usage"], json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}));
}

#[tokio::test]
async fn a_streamed_completion_is_one_event_a_text() {
    let reply = served(Answer::streamed(["It ", "rains."])).await;
    let events = reply.events();
    let deltas: Vec<&Value> = events.iter().map(|event| &event["choices"][0]["delta"]).collect();
    let role = json!({"role": "assistant", "content": ""});
    let (one, two) = (json!({"content": "It "}), json!({"content": "rains."}));
    assert_eq!(deltas, [&role, &one, &two, &json!({}), &Value::Null]);
    assert_eq!(events[3]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events[4]["usage"]["completion_tokens"], 2);
    assert_eq!(reply.chunks.len(), events.len() + 1);
}

#[tokio::test]
async fn a_tool_call_is_the_same_streamed_and_not() {
    let json = served(Answer::tool_call("f", r#"{"a":1}"#)).await.json();
    let call = &json["choices"][0]["message"]["tool_calls"][0];
    let function = json!({"name": "f", "arguments": r#"{"a":1}"#});
    assert_eq!(*call, json!({"id": "call_sim", "type": "function", "function": function}));
    assert_eq!(json["choices"][0]["finish_reason"], "tool_calls");

    let events = served(Answer::streamed_tool_call("f", ["{\"a\"", ":1}"])).await.events();
    let calls: Vec<&Value> =
        events.iter().map(|event| &event["choices"][0]["delta"]["tool_calls"][0]).collect();
    assert_eq!((&calls[1]["id"], &calls[1]["function"]["name"]), (&json!("call_sim"), &json!("f")));
    let arguments = calls.iter().filter_map(|call| call["function"]["arguments"].as_str());
    assert_eq!(arguments.collect::<String>(), r#"{"a":1}"#);
    assert_eq!(events[4]["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn errors_have_the_form_of_openai() {
    let limited = served(Answer::rate_limited(7)).await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    assert_eq!(limited.json()["error"]["type"], "rate_limit_error");
    let refused = served(Answer::error(404, "no such model")).await.json();
    assert_eq!(
        refused["error"],
        json!({"message": "no such model", "type": "NotFoundError", "param": null, "code": 404})
    );
    let loading = served(Answer::loading()).await;
    assert_eq!((loading.status, loading.json()["error"]["message"].clone()), (503, json!("Loading model")));
}

#[tokio::test]
async fn a_model_list_holds_its_ids() {
    let list = served(Answer::models(["a", "b"])).await.json();
    let ids: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test]
async fn an_exhausted_script_asks_not_to_be_retried() {
    let sim = Sim::builder().script([]).start().await.unwrap();
    let reply = Client::connect(&sim).await.post(&json!({})).await;
    assert_eq!((reply.status, reply.header("x-should-retry")), (500, Some("false")));
}

#[tokio::test]
async fn a_fixed_port_is_the_one_that_was_asked_for_or_an_error() {
    let first = Sim::start().await.unwrap();
    let port = first.addr().port();
    let taken = Sim::builder().port(port).start().await.unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    first.shutdown().await;
    let second = Sim::builder().port(port).start().await.unwrap();
    assert_eq!(second.addr().port(), port);
}
