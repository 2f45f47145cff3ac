//! The things that come back beside the answer: headers, log-probabilities, timings and the other choices.

use http::{HeaderMap, HeaderValue, StatusCode};
use oa_wire::{
    CompletionRequest, Error, Event, FinishReason, Profile, Response, RuntimeConfig, TokenLogprob,
    mapping::Decoder,
    openai::{ChatCall, Endpoint, ResponseDecoder},
};
use serde_json::{Value, json};
use std::{fmt::Write, sync::Arc, time::Duration};

fn decoder(request: &CompletionRequest) -> ResponseDecoder {
    let endpoint = Endpoint::new("http://h", None).unwrap();
    let call = ChatCall::new(&endpoint, &Profile::new("m"), request).unwrap();
    call.on_response(StatusCode::OK, &HeaderMap::new(), None)
}

fn read(request: &CompletionRequest, body: &str) -> Result<Response, Error> {
    let mut decoder = decoder(request);
    decoder.push(body.to_owned().into());
    decoder.finish()
}

fn stream(chunks: &[Value]) -> String {
    let data = chunks.iter().map(|chunk| format!("data: {chunk}\n\n"));
    data.chain(["data: [DONE]\n\n".to_owned()]).collect()
}

#[test]
fn headers_are_shared_by_responses_and_errors() {
    let mut headers = HeaderMap::new();
    headers.insert("x-litellm-model-id", HeaderValue::from_static("id"));
    let headers = Arc::new(headers);
    let good = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
    let streamed = stream(&[json!({"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]})]);
    for body in [good, &streamed] {
        let mut decoder = decoder(&"hi".into()).with_headers(headers.clone());
        decoder.push(body.to_owned().into());
        let response = decoder.finish().unwrap();
        assert!(std::ptr::eq(response.headers.as_map().unwrap(), &raw const *headers));
        assert_eq!(response.headers.litellm().model_id.as_deref(), Some("id"));
    }
    for body in ["", "{}", "data: {\"error\":{\"message\":\"no\"}}\n\n", "data: x\n\n"] {
        let mut decoder = decoder(&"hi".into()).with_headers(headers.clone());
        decoder.push(body.to_owned().into());
        let error = decoder.finish().unwrap_err();
        assert_eq!(error.headers().get("X-LiteLLM-Model-Id"), Some("id"), "{error}");
    }
    let messages = oa_wire::anthropic::ResponseDecoder::new(StatusCode::OK, &HeaderMap::new());
    let mut messages = Decoder::with_headers(messages, headers.clone());
    Decoder::push(&mut messages, "{}".into());
    let error = Decoder::finish(messages).unwrap_err();
    assert_eq!(error.headers().get("x-litellm-model-id"), Some("id"));
    let mut decoder = decoder(&"hi".into()).with_headers(headers);
    assert!(decoder.abort(Error::invalid_response("gone")).headers().as_map().is_some());
}

fn token(token: &str, top: &[&str]) -> Value {
    let top: Vec<_> =
        top.iter().map(|token| json!({"token": token, "logprob": -1.5, "bytes": [104]})).collect();
    json!({"token": token, "logprob": -0.25, "bytes": [72, 105], "top_logprobs": top})
}

#[test]
fn log_probabilities_whole_and_streamed() {
    let tokens = [token("Hi", &["Hi", "Yo"]), token("!", &[]), token("?", &["?"])];
    let logprobs = |tokens: &[Value]| json!({"content": tokens, "refusal": null});
    let body = json!({"choices": [
        {"index": 1, "message": {"content": "x"}, "logprobs": logprobs(&[token("x", &[])])},
        {"index": 0, "message": {"content": "Hi!?"}, "finish_reason": "stop", "logprobs": logprobs(&tokens)},
    ]});
    let chunk = |text: &str, tokens: &[Value]| {
        let choice = json!({"index": 0, "delta": {"content": text}, "logprobs": logprobs(tokens)});
        json!({"choices": [choice]})
    };
    let streamed = stream(&[
        chunk("Hi", &tokens[..1]),
        json!({"choices": [{"index": 0, "delta": {"content": ""}, "logprobs": null}]}),
        chunk("!?", &tokens[1..]),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
    ]);
    let request = "hi".into();
    let whole = read(&request, &body.to_string()).unwrap().logprobs();
    assert_eq!(whole, read(&request, &streamed).unwrap().logprobs());
    assert_eq!(whole.iter().map(|token| token.token.as_str()).collect::<Vec<_>>(), ["Hi", "!", "?"]);
    let TokenLogprob { logprob, bytes, top, .. } = &whole[0];
    assert_eq!((*logprob, bytes.as_deref(), top.len()), (-0.25, Some(&b"Hi"[..]), 2));
    assert_eq!(
        (top[1].token.as_str(), top[1].logprob, top[1].bytes.as_deref()),
        ("Yo", -1.5, Some(&b"h"[..]))
    );
}

#[test]
fn what_is_no_log_probability_is_passed_over() {
    for logprobs in [
        json!(null),
        json!(7),
        json!({"content": null}),
        json!({"content": [null, 1, {"token": "a"}, {"logprob": 1}, {"token": 1, "logprob": 1}]}),
    ] {
        let choice = json!({"message": {"content": "a"}, "finish_reason": "stop", "logprobs": logprobs});
        let body = json!({"choices": [choice]});
        assert_eq!(read(&"hi".into(), &body.to_string()).unwrap().logprobs(), []);
    }
    let odd = json!({"content": [{"token": "a", "logprob": -1, "bytes": [1, 300], "top_logprobs": 1}]});
    let body = json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop", "logprobs": odd}]});
    let read = read(&"hi".into(), &body.to_string()).unwrap().logprobs();
    assert_eq!((read[0].logprob, read[0].bytes.as_deref(), read[0].top.len()), (-1.0, None, 0));
}

#[test]
fn the_timings_of_both_servers() {
    let body = |member: &str, of: Value| {
        json!({"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], member: of}).to_string()
    };
    let llama = json!({"prompt_n": 9, "prompt_ms": 12.5, "predicted_ms": 250, "predicted_per_second": 40.0});
    let timings = read(&"hi".into(), &body("timings", llama)).unwrap().timings().unwrap();
    assert_eq!(timings.prompt, Some(Duration::from_micros(12_500)));
    assert_eq!(timings.generation, Some(Duration::from_millis(250)));
    assert_eq!((timings.tokens_per_second, timings.first_token), (Some(40.0), None));
    let vllm = json!({"time_to_first_token_ms": 1.0, "queue_time_ms": -1, "generation_time_ms": "x"});
    let timings = read(&"hi".into(), &body("metrics", vllm)).unwrap().timings().unwrap();
    assert_eq!(
        (timings.first_token, timings.queue, timings.generation),
        (Some(Duration::from_millis(1)), None, None)
    );
    assert_eq!(read(&"hi".into(), &body("metrics", json!(null))).unwrap().timings(), None);
    let streamed = stream(&[
        json!({"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}),
        json!({"choices": [], "timings": {"prompt_ms": 1}}),
    ]);
    assert_eq!(
        read(&"hi".into(), &streamed).unwrap().timings().unwrap().prompt,
        Some(Duration::from_millis(1))
    );
}

#[test]
fn the_choices_of_several_whole_and_streamed() {
    let request = CompletionRequest::new("hi").with_config(RuntimeConfig::new().with_n(3));
    let function = json!({"name": "f", "arguments": "{\"a\":1}"});
    let call = json!({"index": 0, "id": "c", "type": "function", "function": function});
    let body = json!({"choices": [
        {"index": 0, "message": {"content": "zero"}, "finish_reason": "stop"},
        {"index": 2, "message": {"content": null, "tool_calls": [call]}, "finish_reason": "tool_calls"},
        {"index": 1, "message": {"content": "one", "reasoning": "why"}, "finish_reason": "length"},
    ]});
    let piece = |index: i64, delta: Value| json!({"choices": [{"index": index, "delta": delta}]});
    let end =
        |index: i64, why: &str| json!({"choices": [{"index": index, "delta": {}, "finish_reason": why}]});
    let (mut first, mut second) = (call.clone(), call);
    first["function"]["arguments"] = json!("{\"a\":");
    second["function"] = json!({"arguments": "1}"});
    let streamed = stream(&[
        piece(0, json!({"content": "ze"})),
        piece(1, json!({"reasoning": "why"})),
        piece(1, json!({"content": "on"})),
        piece(2, json!({"tool_calls": [first]})),
        piece(0, json!({"content": "ro"})),
        piece(1, json!({"content": "e"})),
        piece(2, json!({"tool_calls": [second]})),
        end(0, "stop"),
        end(1, "length"),
        end(2, "tool_calls"),
    ]);
    let whole = read(&request, &body.to_string()).unwrap();
    let choices = whole.choices().into_owned();
    assert_eq!(choices.iter().map(|choice| choice.index).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(choices.iter().map(|choice| choice.message.text()).collect::<Vec<_>>(), ["zero", "one", ""]);
    assert_eq!((choices[0].message.text(), whole.text()), (whole.text(), choices[0].message.text()));
    assert_eq!(
        (choices[1].finish_reason, choices[1].message.reasoning()),
        (FinishReason::Length, Some("why"))
    );
    assert_eq!(choices[2].message.tool_calls[0].arguments.as_object().unwrap()["a"], 1);
    assert_eq!(read(&request, &streamed).unwrap().choices(), choices);

    let mut decoder = decoder(&request);
    decoder.push(streamed.into());
    let (mut ours, mut others) = (String::new(), String::new());
    while let Some(event) = decoder.poll_event() {
        match event.unwrap() {
            Event::Content(text) => ours.push_str(&text),
            Event::Choice(piece) => match &piece.event {
                Event::Content(text) | Event::Reasoning(text) => {
                    write!(others, "{}{} ", piece.index, text.as_str()).unwrap();
                }
                Event::ToolCallDelta(delta) => {
                    let name = delta.name.as_deref().unwrap_or_default();
                    let (index, position) = (piece.index, delta.position);
                    write!(others, "{index}[{position}]{name}{} ", delta.arguments.as_str()).unwrap();
                }
                other => panic!("{other:?}"),
            },
            _ => {}
        }
    }
    assert_eq!((ours.as_str(), others.as_str()), ("zero", "1why 1on 2[0]f{\"a\": 1e 2[0]1} "));
}

#[test]
fn one_choice_alone_is_the_answer() {
    let body = r#"{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}"#;
    let response = read(&"hi".into(), body).unwrap();
    let choices = response.choices();
    assert_eq!((choices.len(), choices[0].index, choices[0].message.text()), (1, 0, response.text()));
}
