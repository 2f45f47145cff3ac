//! Every property of the requests of OpenAI, vLLM and SGLang, and every form below them, arrives byte for
//! byte; what is refused on purpose is refused.

use crate::support::{CHAT, completion, provider};
use oa_provider::{
    AssistantMessage, Audio, Category, CompletionRequest, File, Image, ImageDetail, Message, Provider,
    RuntimeConfig, Tool, ToolCall, ToolChoice, ToolMode, Tools, UserBlock, Video,
};
use oa_sim::{Answer, Sim};
use serde_json::{Value, json};

/// `CreateChatCompletionRequest` of OpenAI's public schema: openai-openapi, commit f85dbe22, `openapi.yaml`.
const OPENAI: &str = "\
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens \
    messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty \
    prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format \
    safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools \
    top_logprobs top_p user verbosity web_search_options";

/// `ChatCompletionRequest` of vLLM 0.32.0: `vllm/entrypoints/openai/chat_completion/protocol.py`.
const VLLM: &str = "\
    add_generation_prompt add_special_tokens allowed_token_ids bad_words cache_salt chat_template \
    chat_template_kwargs continue_final_message documents ec_transfer_params echo frequency_penalty \
    ignore_eos include_reasoning include_stop_str_in_output kv_transfer_params length_penalty logit_bias \
    logprob_token_ids logprobs max_completion_tokens max_tokens media_io_kwargs messages min_p \
    min_tokens mm_payload mm_processor_kwargs model n parallel_tool_calls presence_penalty priority \
    prompt_logprobs reasoning_effort repetition_detection repetition_penalty request_id response_format \
    return_mm_kwargs return_prompt_text return_token_ids return_token_offsets return_tokens_as_token_ids \
    routed_experts_prompt_start seed session_id skip_special_tokens spaces_between_special_tokens stop \
    stop_token_ids stream stream_interval stream_options structured_outputs temperature \
    thinking_token_budget tool_choice tools top_k top_logprobs top_p truncate_prompt_tokens \
    truncation_side use_beam_search user vllm_xargs watermarking";

/// `ChatCompletionRequest` of SGLang, commit 004c82e0: `python/sglang/srt/entrypoints/openai/protocol.py`.
const SGLANG: &str = "\
    bootstrap_host bootstrap_port bootstrap_room cache_salt chat_template_kwargs continue_final_message \
    custom_logit_processor custom_params data_parallel_rank disagg_prefill_dp_rank ebnf extra_key \
    frequency_penalty ignore_eos images_config input_ids logit_bias logprobs lora_path \
    max_completion_tokens max_dynamic_patch max_tokens messages min_dynamic_patch min_p min_tokens model \
    n ngram_corpus_id no_stop_trim parallel_tool_calls presence_penalty priority reasoning_effort regex \
    repetition_penalty response_format return_cached_tokens_details return_hidden_states \
    return_meta_info return_prompt_token_ids return_routed_experts return_token_ids rid routed_dp_rank \
    routed_experts_start_len seed separate_reasoning session_id session_params skip_special_tokens stop \
    stop_regex stop_token_ids stream stream_options stream_reasoning task temperature tool_choice tools \
    top_k top_logprobs top_p use_audio_in_video user";

/// The further members of `stream_options`: OpenAI's and vLLM's.
const STREAM_OPTIONS: [&str; 2] = ["include_obfuscation", "continuous_usage_stats"];

/// What the request itself says: it has a form of its own.
const OWN: [&str; 5] = ["model", "messages", "tools", "tool_choice", "stream"];

/// A value of each kind, for properties whose kind the client does not know.
fn values() -> Vec<(Value, &'static str)> {
    vec![
        (json!(null), "null"),
        (json!(true), "true"),
        (json!(-1), "-1"),
        (json!(0.5), "0.5"),
        (json!("a\n\"ü"), "\"a\\n\\\"ü\""),
        (json!([1, [], "x"]), "[1,[],\"x\"]"),
        (json!({"b": {"d": 1, "c": null}, "a": []}), r#"{"a":[],"b":{"c":null,"d":1}}"#),
    ]
}

const HI: &str = r#"{"role":"user","content":"hi"}"#;

/// A server that takes everything.
async fn taking_all() -> Sim {
    Sim::builder().handler(|_| Some(Answer::json(200, completion("x")))).start().await.unwrap()
}

/// Sends a request, and asserts that the members behind model and messages arrive as these bytes.
async fn arrives(sim: &Sim, request: &CompletionRequest, rest: &str) {
    provider(sim).complete(request).await.unwrap();
    let recorded = sim.last_request().unwrap();
    assert_eq!(recorded.path, CHAT);
    let body = std::str::from_utf8(&recorded.body).unwrap();
    assert_eq!(body, format!(r#"{{"model":"oa-sim","messages":[{HI}]{rest}}}"#));
}

#[tokio::test]
async fn every_property_of_three_servers_arrives() {
    let sim = taking_all().await;
    let mut names: Vec<&str> = [OPENAI, VLLM, SGLANG].iter().flat_map(|list| list.split(' ')).collect();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 110 && OWN.iter().all(|own| names.contains(own)), "{}", names.len());
    for name in names.into_iter().filter(|name| !OWN.contains(name)) {
        for (value, bytes) in values() {
            let config = RuntimeConfig::new().with_extra(name, value);
            let request = CompletionRequest::new("hi").with_config(config);
            arrives(&sim, &request, &format!(",\"{name}\":{bytes}")).await;
        }
    }
    for name in STREAM_OPTIONS {
        for (value, bytes) in values() {
            let request = CompletionRequest::new("hi").with_stream(true).with_stream_option(name, value);
            let rest =
                format!(r#","stream":true,"stream_options":{{"include_usage":true,"{name}":{bytes}}}"#);
            arrives(&sim, &request, &rest).await;
        }
    }
    sim.shutdown().await;
}

#[tokio::test]
async fn every_form_of_a_part_and_of_a_message_arrives() {
    let sim = taking_all().await;
    let parts: Vec<(UserBlock, &str)> = vec![
        (UserBlock::text("t"), r#"{"type":"text","text":"t"}"#),
        (
            Image::url("http://u").with_detail(ImageDetail::High).into(),
            r#"{"type":"image_url","image_url":{"url":"http://u","detail":"high"}}"#,
        ),
        (
            Audio::base64("mp3", "AA").into(),
            r#"{"type":"input_audio","input_audio":{"data":"AA","format":"mp3"}}"#,
        ),
        (Audio::url("http://u").into(), r#"{"type":"audio_url","audio_url":{"url":"http://u"}}"#),
        (Video::url("http://u").into(), r#"{"type":"video_url","video_url":{"url":"http://u"}}"#),
        (File::id("f").with_filename("a").into(), r#"{"type":"file","file":{"file_id":"f","filename":"a"}}"#),
        (
            UserBlock::raw(json!({"type": "tool_reference", "name": "f"})),
            r#"{"name":"f","type":"tool_reference"}"#,
        ),
    ];
    let (blocks, texts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let call = ToolCall::new("c", "f", json!({"a": 1}));
    let messages = vec![
        (Message::developer("d"), r#"{"role":"developer","content":"d"}"#.to_owned()),
        (
            Message::user(blocks).with_name("ann"),
            format!(r#"{{"role":"user","content":[{}],"name":"ann"}}"#, texts.join(",")),
        ),
        (
            AssistantMessage::default().with_tool_calls([call, ToolCall::custom("d", "s", "x")]).into(),
            concat!(
                r#"{"role":"assistant","content":null,"tool_calls":[{"type":"function","id":"c","#,
                r#""function":{"name":"f","arguments":"{\"a\":1}"}},"#,
                r#"{"type":"custom","id":"d","custom":{"name":"s","input":"x"}}]}"#
            )
            .to_owned(),
        ),
        (Message::tool("c", "r"), r#"{"role":"tool","tool_call_id":"c","content":"r"}"#.to_owned()),
        (
            Message::raw(json!({"role": "function", "name": "f", "content": "r"})),
            r#"{"content":"r","name":"f","role":"function"}"#.to_owned(),
        ),
        (
            Message::assistant("p").with_extra("prefix", true),
            r#"{"role":"assistant","content":"p","prefix":true}"#.to_owned(),
        ),
    ];
    let (history, texts): (Vec<_>, Vec<_>) = messages.into_iter().unzip();
    let request = CompletionRequest::new(history).with_prefill(true);
    provider(&sim).complete(&request).await.unwrap();
    let body = sim.last_request().unwrap().body;
    let want = format!(r#"{{"model":"oa-sim","messages":[{}]}}"#, texts.join(","));
    assert_eq!(std::str::from_utf8(&body).unwrap(), want);
    sim.shutdown().await;
}

#[tokio::test]
async fn every_form_of_a_tool_and_of_a_choice_arrives() {
    let sim = taking_all().await;
    let function =
        r#"{"type":"function","function":{"name":"f","parameters":{"type":"object"},"strict":true}}"#;
    let custom = r#"{"type":"custom","custom":{"name":"s"}}"#;
    let raw = r#"{"type":"web_search"}"#;
    let tools = Tools::new([
        Tool::new("f", json!({"type": "object"})).unwrap().with_strict(true),
        Tool::custom("s").unwrap(),
        Tool::raw(json!({"type": "web_search"})).unwrap(),
    ])
    .unwrap();
    let request = CompletionRequest::new("hi").with_tools(tools);
    let sent = format!(r#","tools":[{function},{custom},{raw}]"#);
    arrives(&sim, &request, &sent).await;
    let named = |kind: &str, name: &str| format!(r#"{{"type":"{kind}","{kind}":{{"name":"{name}"}}}}"#);
    let allowed = format!(
        r#"{{"type":"allowed_tools","allowed_tools":{{"mode":"required","tools":[{},{}]}}}}"#,
        named("function", "f"),
        named("custom", "s")
    );
    let choices = [
        (ToolChoice::Auto, r#""auto""#.to_owned()),
        (ToolChoice::Required, r#""required""#.to_owned()),
        (ToolChoice::None, r#""none""#.to_owned()),
        (ToolChoice::Tool("f".into()), named("function", "f")),
        (ToolChoice::Tool("s".into()), named("custom", "s")),
        (ToolChoice::allowed(ToolMode::Required, ["f", "s"]), allowed),
        (ToolChoice::raw(json!({"type": "x"})), r#"{"type":"x"}"#.to_owned()),
    ];
    for (choice, bytes) in choices {
        let request = request.clone().with_tool_choice(choice);
        arrives(&sim, &request, &format!(r#"{sent},"tool_choice":{bytes}"#)).await;
    }
    sim.shutdown().await;
}

/// Requests that are refused, with the start of the error, and why.
fn refused() -> Vec<(CompletionRequest, &'static str, &'static str)> {
    let hi = || CompletionRequest::new("hi");
    let extra = |name: &str, value: Value| hi().with_config(RuntimeConfig::new().with_extra(name, value));
    let message = |name: &str| CompletionRequest::new(Message::user("hi").with_extra(name, "x"));
    let tool = |name: &str| {
        let tool = Tool::new("f", json!({"type": "object"})).unwrap().with_extra(name, "x");
        hi().with_tools(Tools::new([tool]).unwrap())
    };
    vec![
        (extra("model", json!("other")), "config.extras.model", "a provider is bound to one model"),
        (extra("messages", json!([])), "config.extras.messages", "the request has them"),
        (extra("tools", json!([])), "config.extras.tools", "answers are checked against the request's"),
        (extra("tool_choice", json!("auto")), "config.extras.tool_choice", "the request has it"),
        (extra("stream", json!(true)), "config.extras.stream", "who calls decides how the answer is read"),
        (
            hi().with_stream(true).with_stream_option("include_usage", false),
            "stream_options.include_usage",
            "the usage is a part of the response",
        ),
        (message("role"), "messages[0].extras.role", "the message has it"),
        (message("content"), "messages[0].extras.content", "the message has it"),
        (message("tool_calls"), "messages[0].extras.tool_calls", "the message has them"),
        (message("tool_call_id"), "messages[0].extras.tool_call_id", "the message has it"),
        (tool("name"), "tools[0].extras.name", "the tool has it"),
        (tool("parameters"), "tools[0].extras.parameters", "the tool has them, and arguments are checked"),
        (
            CompletionRequest::new([Message::user("hi"), Message::assistant("p")]),
            "messages[1].role",
            "an answer at the end is mostly a mistake: `prefill` allows it",
        ),
        (
            CompletionRequest::new([Message::user("hi"), Message::system("s"), Message::user("hi")]),
            "messages[1].role",
            "templates take it first alone: a raw message goes anywhere",
        ),
        (
            hi().with_header("content-length".parse().unwrap(), "1".parse().unwrap()),
            "headers.content-length",
            "it belongs to the connection",
        ),
    ]
}

#[tokio::test]
async fn what_is_refused_is_refused_before_anything_is_sent() {
    let sim = taking_all().await;
    for (request, place, why) in refused() {
        let error = provider(&sim).complete(&request).await.unwrap_err();
        assert_eq!(error.category(), Category::InvalidRequest, "{place}: {why}");
        assert!(error.message().starts_with(place), "{error}, want {place}: {why}");
    }
    assert_eq!(sim.requests().len(), 0);
    sim.shutdown().await;
}

#[tokio::test]
async fn a_response_and_an_error_have_the_headers() {
    let sim = Sim::builder()
        .script([
            Answer::json(200, completion("x")).header("x-litellm-response-cost", "0.25"),
            Answer::json(400, json!({"error": {"message": "no"}})).header("x-a", "1"),
            Answer::json(403, json!({"error": {"message": "no"}})).header("x-b", "2"),
        ])
        .start()
        .await
        .unwrap();
    let provider = provider(&sim);
    let response = provider.complete(&"hi".into()).await.unwrap();
    assert_eq!(response.headers.litellm().cost, Some(0.25));
    let error = provider.complete(&"hi".into()).await.unwrap_err();
    assert_eq!(error.headers().get("x-a"), Some("1"));
    let error = provider.models().await.unwrap_err();
    assert_eq!(error.headers().get("x-b"), Some("2"));
    sim.shutdown().await;
}
