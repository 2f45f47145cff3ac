//! A call that is refused for the form of its body is sent once more in the other form, where that is wanted.

use oa_provider::{
    AssistantMessage, BodyForm, Category, CompletionRequest, EmptyContent, Message, Negotiated,
    OpenAiProvider, Provider, RuntimeConfig, TokenLimit, ToolCall,
};
use oa_sim::{Answer, Recorded, Sim};
use serde_json::{Map, Value, json};

use crate::support::*;

const RENAMED: BodyForm = BodyForm::new().with_token_limit(TokenLimit::MaxCompletionTokens);

fn refused(message: &str) -> Answer {
    Answer::json(400, json!({"error": {"message": message, "type": "invalid_request_error"}}))
}

fn max_tokens_refused() -> Answer {
    refused(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
             'max_completion_tokens' instead.",
    )
}

fn limited() -> CompletionRequest {
    hello().with_config(RuntimeConfig::new().with_max_tokens(3))
}

/// A history with an answer that is a call alone.
fn called() -> CompletionRequest {
    let call = ToolCall::new("c1", "get_weather", Map::new());
    CompletionRequest::new([
        Message::user("Hello"),
        AssistantMessage::default().with_tool_calls([call]).into(),
        Message::tool("c1", "sunny"),
    ])
    .with_tools(tools())
}

fn negotiating(sim: &Sim) -> OpenAiProvider {
    OpenAiProvider::builder(sim.base_url(), "oa-sim").negotiation(true).build().unwrap()
}

/// A simulator that answers by itself what this refuses not.
async fn refusing(refuse: impl Fn(&Value) -> Option<Answer> + Send + Sync + 'static) -> Sim {
    let handler = move |request: &Recorded| (request.path == CHAT).then(|| refuse(&request.json())).flatten();
    Sim::builder().handler(handler).start().await.unwrap()
}

async fn wanting_max_completion_tokens() -> Sim {
    refusing(|body| (!body["max_tokens"].is_null()).then(max_tokens_refused)).await
}

#[tokio::test]
async fn the_limit_is_sent_by_its_other_name_and_that_is_remembered() {
    let sim = wanting_max_completion_tokens().await;
    let provider = negotiating(&sim);
    let first = provider.complete(&limited()).await.unwrap();
    assert_eq!(first.negotiated, Some(Negotiated::new(RENAMED, true)));
    // The same client, and another provider of its.
    for provider in [provider.clone(), provider.client().provider(provider.profile().clone())] {
        let later = provider.complete(&limited()).await.unwrap();
        assert_eq!(later.negotiated, Some(Negotiated::new(RENAMED, false)));
    }
    let limits: Vec<_> = sim
        .requests()
        .iter()
        .map(|sent| {
            let body = sent.json();
            (body["max_tokens"].as_u64(), body["max_completion_tokens"].as_u64())
        })
        .collect();
    assert_eq!(limits, [(Some(3), None), (None, Some(3)), (None, Some(3)), (None, Some(3))]);
    // What one model takes says nothing of another.
    let profile = provider.profile().clone();
    let other = oa_provider::Profile::new("other").with_negotiation(profile.negotiation());
    let error = provider.client().provider(other).complete(&limited()).await.unwrap_err();
    assert_eq!(error.category(), Category::InvalidModel);
    assert_eq!(sim.requests()[4].json()["max_tokens"], 3);
}

#[tokio::test]
async fn a_stream_is_negotiated_before_its_first_event() {
    let sim = wanting_max_completion_tokens().await;
    let provider = negotiating(&sim);
    let stream = provider.stream(&limited()).await.unwrap();
    assert_eq!(stream.snapshot().negotiated, Some(Negotiated::new(RENAMED, true)));
    let response = stream.into_response().await.unwrap();
    assert_eq!(response.negotiated, Some(Negotiated::new(RENAMED, true)));
    let later = provider.stream(&limited()).await.unwrap().into_response().await.unwrap();
    assert_eq!(later.negotiated, Some(Negotiated::new(RENAMED, false)));
    assert_eq!(sim.requests().len(), 3);
}

#[tokio::test]
async fn a_refusal_as_the_first_event_of_a_success_is_one_too() {
    let refusal = json!({"error": {"message": "Unsupported parameter: 'max_tokens'", "code": 400}});
    let answer = Answer::stream([format!("data: {refusal}\n\n"), DONE.to_owned()]);
    let sim = Sim::builder().script([answer]).then_generate().start().await.unwrap();
    let stream = negotiating(&sim).stream(&limited()).await.unwrap();
    assert_eq!(stream.snapshot().negotiated, Some(Negotiated::new(RENAMED, true)));
    assert_eq!(sim.requests().len(), 2);
}

#[tokio::test]
async fn the_name_goes_back_where_a_profile_has_the_other() {
    let sim = refusing(|body| {
        let refusal = json!({"detail": [{"type": "extra_forbidden", "input": 3,
            "loc": ["body", "max_completion_tokens"], "msg": "Extra inputs are not permitted"}]});
        (!body["max_completion_tokens"].is_null()).then(|| Answer::json(422, refusal))
    })
    .await;
    let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim")
        .body_form(RENAMED)
        .negotiation(true)
        .build()
        .unwrap();
    let response = provider.complete(&limited()).await.unwrap();
    assert_eq!(response.negotiated, Some(Negotiated::new(BodyForm::new(), true)));
}

#[tokio::test]
async fn a_call_without_text_is_sent_with_an_empty_text_or_without_content() {
    for (refusal, form, content) in [
        (
            "Invalid value for 'content': expected a string, got null.",
            EmptyContent::Text,
            Some(Value::String(String::new())),
        ),
        ("The content field in the message at messages.1 is empty.", EmptyContent::Absent, None),
    ] {
        let sim = refusing(move |body| {
            (body["messages"][1].get("content") == Some(&Value::Null)).then(|| refused(refusal))
        })
        .await;
        let provider = negotiating(&sim);
        let want = BodyForm::new().with_empty_content(form);
        for (request, resent) in [(called(), true), (called(), false), (called().with_stream(true), false)] {
            let response = provider.complete(&request).await.unwrap();
            assert_eq!(response.negotiated, Some(Negotiated::new(want, resent)));
        }
        let sent: Vec<Value> = sim.requests().iter().map(Recorded::json).collect();
        assert_eq!(sent.len(), 4);
        assert_eq!(sent[0]["messages"][1].get("content"), Some(&Value::Null));
        assert_eq!(sent[1]["messages"][1].get("content"), content.as_ref());
        assert_eq!(sent[3]["messages"][1].get("content"), content.as_ref());
    }
}

#[tokio::test]
async fn a_call_takes_one_additional_request_at_most() {
    let sim = refusing(|body| {
        Some(if body["max_tokens"].is_null() {
            refused("Unsupported parameter: 'max_completion_tokens'")
        } else {
            max_tokens_refused()
        })
    })
    .await;
    let provider = negotiating(&sim);
    let error = provider.complete(&limited()).await.unwrap_err();
    assert!(error.message().contains("'max_completion_tokens'"), "{error}");
    assert_eq!(sim.requests().len(), 2);
    // A form that was refused as well is not learnt.
    provider.stream(&limited()).await.unwrap_err();
    assert_eq!(sim.requests().len(), 4);
    assert_eq!(sim.requests()[2].json()["max_tokens"], 3);
}

#[tokio::test]
async fn another_refusal_is_the_calls_error() {
    let sim = refusing(|_| Some(refused("temperature must be at most 2"))).await;
    let provider = negotiating(&sim);
    provider.complete(&limited()).await.unwrap_err();
    provider.stream(&called()).await.unwrap_err();
    assert_eq!(sim.requests().len(), 2);
}

#[tokio::test]
async fn it_is_off_by_default() {
    let sim = wanting_max_completion_tokens().await;
    let provider = provider(&sim);
    for result in [provider.complete(&limited()).await, provider.complete(&limited().with_stream(true)).await]
    {
        assert_eq!(result.unwrap_err().status(), Some(400));
    }
    assert_eq!(sim.requests().len(), 2);
    assert_eq!(provider.complete(&hello()).await.unwrap().negotiated, None);
}

#[tokio::test]
async fn a_form_of_the_profile_is_no_negotiation() {
    let sim = wanting_max_completion_tokens().await;
    let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").body_form(RENAMED).build().unwrap();
    assert_eq!(provider.complete(&limited()).await.unwrap().negotiated, None);
    assert_eq!(sim.requests().len(), 1);
}

#[tokio::test]
async fn extras_follow_the_rules_of_the_name_that_is_sent() {
    let sim = wanting_max_completion_tokens().await;
    let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").body_form(RENAMED).build().unwrap();
    for (name, value, taken) in [
        ("max_completion_tokens", 3, true),
        ("max_tokens", 3, true),
        ("max_completion_tokens", 4, false),
        ("max_tokens", 4, false),
    ] {
        let config = RuntimeConfig::new().with_max_tokens(3).with_extra(name, value);
        let result = provider.complete(&hello().with_config(config)).await;
        assert_eq!(result.is_ok(), taken, "{name} {value}: {result:?}");
    }
}
