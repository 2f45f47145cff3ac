//! `oa chat`: what it sends, and what it prints.

use crate::support::{TempFile, answering, completion, oa_at, run, run_with, sim};
use oa_sim::{Answer, Reasoning, Reply, Sim};
use serde_json::{Value, json};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0";

fn sent(sim: &Sim) -> Value {
    sim.last_request().unwrap().json()
}

#[test]
fn the_prompt_is_asked_and_the_answer_printed() {
    let sim = sim();
    let ran = run(&mut oa_at(&sim, ["chat", "Hello there", "--system", "Be brief"]));
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "You said: Hello there\n", ""));
    let want = json!([{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello there"}]);
    assert_eq!(sent(&sim)["messages"], want);
}

#[test]
fn standard_input_is_the_prompt_or_comes_after_it() {
    for (args, input, prompt) in [
        (&["chat"][..], "from a pipe\n", "from a pipe"),
        (&["chat", "-"], "from a pipe\r\n", "from a pipe"),
        (&["chat", "Summarize:"], "a\nb\n\n", "Summarize:\n\na\nb"),
        (&["chat", "Hello"], "", "Hello"),
    ] {
        let sim = sim();
        let ran = run_with(&mut oa_at(&sim, args.iter().copied()), input);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(sent(&sim)["messages"][0]["content"], prompt, "{args:?}");
    }
}

#[test]
fn nothing_to_ask_is_wrong_usage() {
    let sim = sim();
    let ran = run(&mut oa_at(&sim, ["chat"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("nothing to ask") && ran.stderr.contains("Usage: oa chat"), "{ran:?}");
    assert!(sim.requests().is_empty());
}

#[test]
fn a_config_and_extras_reach_the_wire() {
    let sim = sim();
    let mut flags =
        "chat hi --temperature 0.5 --max-tokens 7 --top-p 0.9 --seed -3 --frequency-penalty -0.5 \
                     --presence-penalty 1 --stop END --stop -- --extra top_k=20 --extra min_p=0.1 --extra \
                     effort=high"
            .split_whitespace()
            .collect::<Vec<_>>();
    flags.extend(["--extra", r#"chat_template_kwargs={"enable_thinking": false}"#]);
    let ran = run(&mut oa_at(&sim, flags));
    assert_eq!(ran.code, 0, "{ran:?}");
    let want = json!({
        "model": "oa-sim", "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5, "max_tokens": 7, "top_p": 0.9, "seed": -3, "frequency_penalty": -0.5,
        "presence_penalty": 1.0, "stop": ["END", "--"], "top_k": 20, "min_p": 0.1, "effort": "high",
        "chat_template_kwargs": {"enable_thinking": false},
    });
    let mut sent = sent(&sim);
    if sent["stream"] == false {
        sent.as_object_mut().unwrap().remove("stream");
    }
    assert_eq!(sent, want);
}

#[test]
fn json_is_the_whole_response() {
    let message = json!({"role": "assistant", "content": "42", "reasoning_content": "6 x 7"});
    let sim = answering(completion(&message, "stop").header("x-request-id", "req-1"));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--json"]));
    let want = json!({
        "id": "chatcmpl-1", "model": "the-model", "finish_reason": "stop", "server_finish_reason": "stop",
        "request_id": "req-1",
        "message": {
            "role": "assistant",
            "content": [
                {"type": "thinking", "text": "6 x 7", "member": "reasoning_content"},
                {"type": "text", "text": "42"},
            ],
        },
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    });
    assert_eq!((ran.code, ran.json(), ran.stderr.as_str()), (0, want, ""));
}

#[test]
fn json_of_a_stream_is_that_of_the_whole_answer() {
    let sim = Sim::builder().reasoning(Reasoning::Reasoning, "let me see").start_blocking().unwrap();
    let json = |flag| {
        let mut json = run(&mut oa_at(&sim, ["chat", "hi", "--json", flag])).json();
        json.as_object_mut().unwrap().remove("id");
        json
    };
    assert_eq!(json("--stream"), json("--no-stream"));
    let streamed: Vec<bool> = sim.requests().iter().map(|request| request.json()["stream"] == true).collect();
    assert_eq!(streamed, [true, false]);
}

#[test]
fn raw_is_what_the_server_sent() {
    let body = r#"{"vendor": 1.50, "choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
    let sim = answering(Answer::bytes(200, "application/json", body));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--raw"]));
    assert_eq!((ran.code, ran.stdout), (0, format!("{body}\n")));
}

#[test]
fn a_pipe_gets_the_answer_whole_unless_a_stream_is_asked_for() {
    let sim = sim();
    let whole = run(&mut oa_at(&sim, ["chat", "a b c"]));
    let streamed = run(&mut oa_at(&sim, ["chat", "a b c", "--stream"]));
    let both = run(&mut oa_at(&sim, ["chat", "a b c", "--stream", "--no-stream"]));
    assert_eq!((whole.stdout.as_str(), &streamed.stdout), ("You said: a b c\n", &whole.stdout));
    assert_eq!(both.code, 0);
    let stream: Vec<bool> = sim.requests().iter().map(|request| request.json()["stream"] == true).collect();
    assert_eq!(stream, [false, true, false]);
}

#[test]
fn a_schema_keeps_the_order_of_its_properties_to_the_answer() {
    let schema = r#"{"title": "verdict", "type": "object", "additionalProperties": false,
        "properties": {"reasoning": {"type": "string"}, "answer": {"type": "integer"}},
        "required": ["reasoning", "answer"]}"#;
    let (sim, file) = (sim(), TempFile::new("schema.json", schema));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--schema", file.path()]));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.starts_with(r#"{"reasoning":""#) && ran.stdout.lines().count() == 1, "{ran:?}");
    assert!(ran.json()["answer"].is_i64(), "{ran:?}");
    let body = sim.last_request().unwrap().text();
    assert!(body.find(r#""reasoning":{"#) < body.find(r#""answer":{"#), "{body}");
    let json = run(&mut oa_at(&sim, ["chat", "hi", "--json", "--schema", file.path()])).json();
    assert!(json["parsed"]["answer"].is_i64(), "{json}");
}

#[test]
fn the_fallback_asks_for_a_schema_by_prompt() {
    let schema =
        TempFile::new("schema.json", r#"{"type": "object", "properties": {"n": {"type": "integer"}}}"#);
    let sim = answering(completion(&json!({"content": "{\n  \"n\": 1\n}"}), "stop"));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--fallback", "--schema", schema.path()]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "{\"n\":1}\n"));
    let sent = sent(&sim);
    assert_eq!(sent.get("response_format"), None);
    assert!(sent["messages"][0]["content"].as_str().unwrap().contains("\"integer\""), "{sent}");
}

#[test]
fn an_answer_that_breaks_the_schema_is_kept_off_standard_output() {
    let schema = TempFile::new("schema.json", r#"{"type": "object"}"#);
    for stream in ["--stream", "--no-stream"] {
        let sim = Sim::builder().handler(|request| {
            let text = json!({"content": "I would rather not."});
            Some(if request.json()["stream"] == true {
                Answer::events([json!({"choices": [{"delta": text, "finish_reason": "stop"}]})])
            } else {
                completion(&text, "stop")
            })
        });
        let sim = sim.start_blocking().unwrap();
        let ran = run(&mut oa_at(&sim, ["chat", "hi", stream, "--schema", schema.path()]));
        assert_eq!((ran.code, ran.stdout.as_str()), (18, ""), "{ran:?}");
        assert!(ran.stderr.contains("structured_output_invalid"), "{ran:?}");
        assert!(ran.stderr.contains("the output was: I would rather not."), "{ran:?}");
    }
}

#[test]
fn a_schema_file_that_is_none_is_named() {
    let sim = sim();
    let file = TempFile::new("schema.json", "{\"type\": \"string\"}");
    for path in [file.path(), "no/such/schema.json"] {
        let ran = run(&mut oa_at(&sim, ["chat", "hi", "--schema", path]));
        assert_eq!(ran.code, 16, "{ran:?}");
        assert!(ran.stderr.contains(&format!("--schema {path}: ")), "{ran:?}");
    }
    assert!(sim.requests().is_empty());
}

#[test]
fn images_are_sent_as_data_or_as_their_url() {
    let (sim, file) = (sim(), TempFile::new("picture.bin", PNG));
    let url = "https://example.com/cat.jpg";
    let ran = run(&mut oa_at(&sim, ["chat", "Which?", "--image", file.path(), "-i", url]));
    assert_eq!(ran.stdout, "You said: Which? (and 2 images)\n");
    let want = json!([
        {"type": "text", "text": "Which?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgoAAA=="}},
        {"type": "image_url", "image_url": {"url": url}},
    ]);
    assert_eq!(sent(&sim)["messages"][0]["content"], want);
}

#[test]
fn an_image_that_is_none_is_refused_before_anything_is_sent() {
    let (sim, file) = (sim(), TempFile::new("notes.txt", "hello"));
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--image", file.path()]));
    assert_eq!(ran.code, 16, "{ran:?}");
    assert!(ran.stderr.contains("what kind of image"), "{ran:?}");
    assert!(sim.requests().is_empty());
}

#[test]
fn reasoning_goes_to_standard_error_when_it_is_asked_for() {
    let sim = Sim::builder().reasoning(Reasoning::Reasoning, "let me see").start_blocking().unwrap();
    for stream in ["--stream", "--no-stream"] {
        let ran = run(&mut oa_at(&sim, ["chat", "hi", "--show-reasoning", stream]));
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("You said: hi\n", "let me see\n"));
        let ran = run(&mut oa_at(&sim, ["chat", "hi", stream]));
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("You said: hi\n", ""));
    }
}

#[test]
fn an_answer_that_is_not_whole_is_remarked_on() {
    for (finish_reason, remark) in
        [("length", "--max-tokens"), ("content_filter", "content filter"), ("abort", "`abort`")]
    {
        let sim = answering(completion(&json!({"content": "Well"}), finish_reason));
        let ran = run(&mut oa_at(&sim, ["chat", "hi"]));
        assert_eq!((ran.code, ran.stdout.as_str()), (0, "Well\n"));
        assert!(ran.stderr.starts_with("oa: ") && ran.stderr.contains(remark), "{ran:?}");
    }
}

#[test]
fn the_default_answer_has_no_remark_and_the_limit_has_one() {
    let sim = Sim::builder().reply(Reply::MadeUp { words: 50 }).start_blocking().unwrap();
    let short = run(&mut oa_at(&sim, ["chat", "hi", "--max-tokens", "3", "--stream"]));
    assert_eq!(short.stdout.split_whitespace().count(), 3, "{short:?}");
    assert!(short.stderr.contains("finish_reason length"), "{short:?}");
}

#[test]
fn tool_calls_are_lines_of_json_even_if_they_were_not_asked_for() {
    let call = json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "{\"x\":1}"}});
    let message = json!({"content": "So:", "tool_calls": [call]});
    let whole = answering(completion(&message, "tool_calls"));
    let events = [json!({"choices": [{"delta": message, "finish_reason": "tool_calls"}]})];
    for (sim, stream) in [(whole, "--no-stream"), (answering(Answer::events(events)), "--stream")] {
        let ran = run(&mut oa_at(&sim, ["chat", "hi", stream]));
        assert_eq!(ran.code, 15, "{ran:?}");
        let (text, line) = ran.stdout.split_once('\n').unwrap();
        assert_eq!(text, "So:");
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["name"], &line["arguments"]), (&json!("f"), &json!({"x": 1})));
        assert!(line["problem"].as_str().unwrap().contains("not offered"), "{line}");
    }
}

#[test]
fn a_transient_failure_is_retried_and_noted() {
    let busy =
        || Answer::json(503, json!({"error": {"message": "out of order"}})).header("retry-after-ms", "1");
    let sim = Sim::builder().script([busy(), Answer::generated()]).start_blocking().unwrap();
    let ran = run(&mut oa_at(&sim, ["chat", "hi", "--retries", "1"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "You said: hi\n"));
    assert!(ran.stderr.contains("out of order") && ran.stderr.contains("; retrying in "), "{ran:?}");
    let sim = Sim::builder().script([busy(), Answer::generated()]).start_blocking().unwrap();
    let ran = run(&mut oa_at(&sim, ["chat", "hi"]));
    assert_eq!((ran.code, sim.requests().len()), (11, 1));
}

#[test]
fn anthropic_messages_are_asked_by_the_flag() {
    let sim = sim();
    for (flags, tokens, streams) in [
        (&["--max-tokens", "9"][..], 9, false),
        (&["--stream"], 4096, true),
        (&["--json-events"], 4096, true),
    ] {
        let command = ["chat", "Hello there", "--system", "Be brief", "--wire", "anthropic"];
        let ran = run(&mut oa_at(&sim, command.iter().chain(flags).copied()));
        assert_eq!(ran.code, 0, "{ran:?}");
        if flags.contains(&"--json-events") {
            let end = ran.json_lines().pop().unwrap();
            assert_eq!(end["response"]["message"]["content"], "You said: Hello there", "{ran:?}");
        } else {
            assert_eq!(ran.stdout, "You said: Hello there\n", "{flags:?}");
        }
        assert_eq!(sim.last_request().unwrap().path, "/v1/messages", "{flags:?}");
        let sent = sent(&sim);
        assert_eq!((&sent["system"], &sent["max_tokens"]), (&json!("Be brief"), &json!(tokens)), "{sent}");
        assert_eq!(sent["messages"], json!([{"role": "user", "content": "Hello there"}]));
        assert_eq!(sent["stream"] == json!(true), streams, "{flags:?}");
    }
}
