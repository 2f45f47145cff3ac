//! The tokens of a request before it is sent, as its server counts them.

use oa_provider::{
    AnthropicProvider, Category, Client, CompletionRequest, DynProvider, Message, OpenAiProvider, Profile,
    Provider, RuntimeConfig, TokenCount,
};
use oa_sim::{Answer, Recorded, Sim};
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::*;

const TOKENIZE: &str = "/tokenize";
const INPUT_TOKENS: &str = "/v1/chat/completions/input_tokens";
const COUNT_TOKENS: &str = "/v1/messages/count_tokens";

/// A simulator whose `/tokenize` answers so, and its provider.
async fn with_tokenize(answer: Answer) -> (Sim, OpenAiProvider) {
    let builder =
        Sim::builder().handler(move |request: &Recorded| (request.path == TOKENIZE).then(|| answer.clone()));
    let sim = builder.start().await.unwrap();
    let provider = provider(&sim);
    (sim, provider)
}

fn paths(sim: &Sim) -> Vec<String> {
    sim.requests().into_iter().map(|request| request.path).collect()
}

fn not_found() -> Answer {
    Answer::json(404, json!({"detail": "Not Found"}))
}

#[tokio::test]
async fn vllms_path_is_tried_first_and_says_how_long_the_context_is() {
    let sim = Sim::builder().context_length(100).api_key("sk-1").start().await.unwrap();
    let provider = OpenAiProvider::builder(sim.base_url(), "oa-sim").api_key("sk-1").build().unwrap();
    let config = RuntimeConfig::new()
        .with_max_tokens(5)
        .with_extra("chat_template_kwargs", json!({"enable_thinking": false}))
        .with_extra("top_k", 3);
    let request = hello().with_tools(tools()).with_config(config).with_stream(true);
    let count = provider.count_tokens(&request).await.unwrap().unwrap();
    assert_eq!(count, TokenCount::new(3).with_max_model_len(100));
    assert_eq!(count.left(), Some(97));
    let sent = sim.last_request().unwrap();
    assert_eq!((sent.path.as_str(), sent.header("authorization")), (TOKENIZE, Some("Bearer sk-1")));
    assert_eq!(sent.header("accept"), Some("application/json"));
    let body = sent.json();
    let mut names: Vec<&String> = body.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["add_generation_prompt", "chat_template_kwargs", "messages", "model", "tools"]);
    assert_eq!(body["add_generation_prompt"], true);
    // What is counted is what a completion reports.
    let response = provider.complete(&hello()).await.unwrap();
    assert_eq!(response.usage.prompt_tokens, Some(count.tokens));
}

#[tokio::test]
async fn a_history_that_is_continued_gets_no_generation_prompt() {
    let sim = Sim::start().await.unwrap();
    let config = RuntimeConfig::new().with_extra("continue_final_message", true);
    let request = CompletionRequest::new([Message::user("Hello"), Message::assistant("Hel")])
        .with_prefill(true)
        .with_config(config);
    provider(&sim).count_tokens(&request).await.unwrap();
    assert_eq!(sim.last_request().unwrap().json()["add_generation_prompt"], false);
}

#[tokio::test]
async fn llama_cpps_path_follows_where_tokenize_takes_a_text_and_is_remembered() {
    let missing =
        "1 validation error: {'type': 'missing', 'loc': ('body', 'prompt'), 'msg': 'Field required'}";
    let prompt_wanted = json!({"object": "error", "code": 400, "message": missing});
    for answer in [
        // llama.cpp, SGLang, LM Studio, and servers that have no such path.
        Answer::json(200, json!({"tokens": []})),
        Answer::json(400, prompt_wanted),
        Answer::json(200, json!({"error": "Unexpected endpoint or method. (POST /tokenize)"})),
        not_found(),
        Answer::text(405, "Method Not Allowed"),
        Answer::json(501, json!({"error": {"message": "not supported", "type": "not_supported_error"}})),
    ] {
        let (sim, provider) = with_tokenize(answer).await;
        let request = hello().with_stream(true).with_config(RuntimeConfig::new().with_extra("top_k", 3));
        for _ in 0..2 {
            let count = provider.count_tokens(&request).await.unwrap();
            assert_eq!(count, Some(TokenCount::new(3)));
        }
        assert_eq!(paths(&sim), [TOKENIZE, INPUT_TOKENS, INPUT_TOKENS]);
        let body = sim.last_request().unwrap().json();
        assert_eq!((&body["top_k"], body.get("stream")), (&json!(3), None), "the body of the completion");
        // Another provider of the same client knows it too.
        provider.client().model("oa-sim").count_tokens(&hello()).await.unwrap();
        assert_eq!(paths(&sim).len(), 4);
    }
}

#[tokio::test]
async fn a_path_that_is_gone_is_looked_for_again() {
    let calls = [
        Answer::json(200, json!({"count": 7})).on("POST", TOKENIZE),
        not_found().on("POST", TOKENIZE),
        Answer::json(200, json!({"input_tokens": 8})).on("POST", INPUT_TOKENS),
    ];
    let (sim, provider) = scripted(calls).await;
    for tokens in [7, 8] {
        assert_eq!(provider.count_tokens(&hello()).await.unwrap(), Some(TokenCount::new(tokens)));
    }
    assert_eq!(paths(&sim), [TOKENIZE, TOKENIZE, INPUT_TOKENS]);
}

#[tokio::test]
async fn a_server_without_such_a_path_has_no_count() {
    let (sim, provider) = scripted([not_found().forever()]).await;
    assert_eq!(provider.count_tokens(&hello()).await.unwrap(), None);
    assert_eq!(paths(&sim), [TOKENIZE, INPUT_TOKENS]);
}

#[tokio::test]
async fn other_errors_are_errors() {
    let sim = Sim::builder().api_key("sk-canary").start().await.unwrap();
    let provider = OpenAiProvider::builder(sim.base_url(), "other").api_key("sk-canary").build().unwrap();
    let unknown = provider.count_tokens(&hello()).await.unwrap_err();
    assert_eq!((unknown.category(), unknown.status()), (Category::InvalidModel, Some(404)));
    let leaky = Answer::json(500, json!({"error": {"message": "no room for sk-canary"}}));
    let sim = Sim::builder().script([leaky, Answer::text(200, "Ollama is running")]).start().await.unwrap();
    let provider = OpenAiProvider::builder(sim.base_url(), "m").api_key("sk-canary").build().unwrap();
    let failed = provider.count_tokens(&hello()).await.unwrap_err();
    assert_eq!(failed.message(), "no room for ***");
    assert_eq!(failed.url(), Some(format!("{}{TOKENIZE}", sim.base_url()).as_str()));
    let other = provider.count_tokens(&hello()).await.unwrap_err();
    assert_eq!(other.category(), Category::InvalidResponse);
    assert!(other.message().contains("not a count of tokens: Ollama is running"), "{other}");
    // An invalid request is not sent.
    let invalid = CompletionRequest::new(Vec::<Message>::new());
    assert_eq!(provider.count_tokens(&invalid).await.unwrap_err().status(), None);
    assert_eq!(sim.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_meets_the_limit_of_a_probe() {
    let double = Double::new([Step::Hang]);
    let provider = OpenAiProvider::builder("http://double", "m")
        .transport(double)
        .probe_timeout(Duration::from_secs(5))
        .build()
        .unwrap();
    let error = at_all(provider.count_tokens(&hello())).await.unwrap_err();
    assert!(error.is_timeout() && error.message().contains("the count of tokens within 5s"), "{error}");
}

#[tokio::test]
async fn anthropic_messages_have_a_path_of_their_own() {
    let sim = Sim::start().await.unwrap();
    let provider = AnthropicProvider::builder(sim.base_url(), "oa-sim").build().unwrap();
    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let config = RuntimeConfig::new().with_extra("thinking", thinking.clone()).with_extra("top_k", 3);
    let request = CompletionRequest::new([Message::system("Be brief."), Message::user("Hello there")])
        .with_tools(tools())
        .with_config(config);
    let count = provider.count_tokens(&request).await.unwrap();
    assert_eq!(count, Some(TokenCount::new(6)));
    let sent = sim.last_request().unwrap();
    assert_eq!(sent.path, COUNT_TOKENS);
    let body: Value = sent.json();
    let mut names: Vec<&String> = body.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["messages", "model", "system", "thinking", "tools"], "Anthropic refuses others");
    let absent = Sim::builder().script([not_found()]).start().await.unwrap();
    let provider = AnthropicProvider::builder(absent.base_url(), "m").build().unwrap();
    assert_eq!(provider.count_tokens(&hello()).await.unwrap(), None);
}

#[tokio::test]
async fn it_goes_through_layers_and_erased_types_to_the_provider() {
    let sim = Sim::start().await.unwrap();
    let provider = DynProvider::new(provider(&sim)).layer(tower::layer::util::Identity::new());
    let provider = std::sync::Arc::new(provider);
    assert_eq!(provider.count_tokens(&hello()).await.unwrap(), Some(TokenCount::new(3)));
}

#[tokio::test]
async fn whole_urls_have_the_paths_beside_them() {
    for (chat, tokenize, input_tokens) in [
        ("/v1/chat/completions", "/tokenize", "/v1/chat/completions/input_tokens"),
        ("/api/v3/chat/completions?v=1", "/api/v3/tokenize?v=1", "/api/v3/chat/completions/input_tokens?v=1"),
    ] {
        let sim = Sim::builder().script([not_found().forever()]).start().await.unwrap();
        let client = Client::builder(format!("exact:{}{chat}", sim.base_url())).build().unwrap();
        let provider = client.provider(Profile::new("m"));
        assert_eq!(provider.count_tokens(&hello()).await.unwrap(), None);
        let targets: Vec<String> = sim.requests().into_iter().map(|request| request.target).collect();
        assert_eq!(targets, [tokenize, input_tokens]);
    }
}
