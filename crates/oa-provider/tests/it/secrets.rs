//! A key, a prompt or an output shows nowhere but where it belongs.

use std::error::Error as _;
use std::fmt::{self, Debug, Write as _};
use std::sync::{Arc, Mutex};

use oa_provider::{Environment, OpenAiProvider, Probe, Provider};
use oa_sim::{Answer, Piece, Sim};
use oa_wire::{Category, CompletionRequest, Error, JsonSchema, Message};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span;

use crate::support::*;

/// Not in the form of any service's keys, so that only whoever knows it can redact it.
const KEY: &str = "canary.key.4f1c9a7e";
const PROMPT: &str = "canary prompt 8d02bb";
const OUTPUT: &str = "canary output 77e1c0";

fn secret() -> CompletionRequest {
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    CompletionRequest::new([Message::system(PROMPT), Message::user(PROMPT)])
        .with_tools(tools())
        .with_response_schema(JsonSchema::new(schema).unwrap())
}

fn keyed(sim: &Sim) -> OpenAiProvider {
    OpenAiProvider::builder(sim.base_url(), "oa-sim").api_key(KEY).build().unwrap()
}

fn assert_hidden(what: &str, shown: &str) {
    assert!(!shown.contains("canary"), "{what} shows a secret: {shown}");
}

fn assert_hidden_in(what: &str, value: &impl Debug) {
    assert_hidden(what, &format!("{value:?}"));
    assert_hidden(what, &format!("{value:#?}"));
}

/// Every form in which an error is shown, its causes' too.
fn assert_error_hides(what: &str, error: &Error) {
    assert_hidden_in(what, error);
    assert_hidden(what, &format!("{error}\n{error:#}"));
    assert_hidden(what, &serde_json::to_string(&error.report()).unwrap());
    assert_hidden_in(what, &error.report());
    let mut cause = error.source();
    while let Some(error) = cause {
        assert_hidden(what, &format!("{error}\n{error:#}\n{error:?}"));
        cause = error.source();
    }
}

/// Calls in every way, and gives the errors.
async fn fail(answer: Answer) -> Vec<Error> {
    let sim = Sim::builder().script([answer.forever()]).start().await.unwrap();
    let provider = keyed(&sim);
    let mut errors = vec![
        provider.complete(&secret()).await.unwrap_err(),
        provider.complete(&secret().with_stream(true)).await.unwrap_err(),
    ];
    match provider.stream(&secret()).await {
        Ok(stream) => errors.push(stream.into_response().await.unwrap_err()),
        Err(error) => errors.push(error),
    }
    errors
}

#[test]
fn what_is_configured() {
    let builder = OpenAiProvider::builder("http://h", "m").api_key(KEY).header("x-api-key", KEY);
    assert_hidden_in("the builder", &builder);
    let provider = builder.build().unwrap();
    assert_hidden_in("the provider", &provider);
    assert_hidden_in("the endpoint", provider.endpoint());
    assert_hidden_in("the profile", provider.profile());
}

#[test]
fn a_base_url_with_user_info() {
    let url = format!("http://user:{KEY}@h");
    let builder = OpenAiProvider::builder(&url, "m");
    assert_hidden_in("the builder", &builder);
    assert_error_hides("the refusal", &builder.build().unwrap_err());
    let environment = Environment::from_lookup(|name| (name == "OA_BASE_URL").then(|| url.clone()));
    assert_hidden_in("the environment", &environment);
}

#[test]
fn the_environment() {
    for key in ["OA_API_KEY", "OPENAI_API_KEY"] {
        let lookup = |name: &str| match name {
            "OA_MODEL" => Some("m".to_owned()),
            "OPENAI_BASE_URL" => Some("http://h/v1".to_owned()),
            _ => (name == key).then(|| KEY.to_owned()),
        };
        let environment = Environment::from_lookup(lookup);
        assert!(environment.api_key.is_some());
        assert_hidden_in("the environment", &environment);
        assert_hidden_in("its builder", &environment.builder().unwrap());
    }
}

#[test]
fn a_key_that_cannot_be_sent() {
    let key = format!("{KEY}\n{KEY}");
    let builder = OpenAiProvider::builder("http://h", "m").api_key(&key);
    assert_hidden_in("the builder", &builder);
    assert_error_hides("the refusal", &builder.build().unwrap_err());
}

#[tokio::test]
async fn a_request_that_is_refused_before_it_is_sent() {
    let provider = OpenAiProvider::builder("http://h", "m").api_key(KEY).build().unwrap();
    let request = CompletionRequest::new([Message::user(PROMPT), Message::system(PROMPT)]);
    assert_error_hides("the refusal", &provider.complete(&request).await.unwrap_err());
}

#[tokio::test]
async fn a_connection_that_is_refused() {
    let port = Sim::closed_port().unwrap();
    let provider = OpenAiProvider::builder(port.base_url(), "m").api_key(KEY).build().unwrap();
    for error in [provider.complete(&secret()).await.unwrap_err(), provider.ready().await.unwrap_err()] {
        assert_error_hides("the refusal", &error);
    }
}

#[tokio::test]
async fn a_refusal_that_echoes_the_key() {
    let bearer = format!("Bearer {KEY}");
    for answer in [
        Answer::json(401, json!({"error": {"message": format!("Incorrect API key provided: {KEY}.")}})),
        Answer::json(401, json!({"error": {"message": "no", "code": KEY, "type": KEY, "param": KEY}})),
        Answer::json(401, json!({"detail": format!("got {bearer}")})),
        Answer::json(403, json!({"headers": {"authorization": bearer}})),
        Answer::text(401, bearer.clone()),
        Answer::html(401, format!("<html><title>{KEY}</title>{KEY}")),
        Answer::text(500, format!("panic at {KEY}")),
    ] {
        for error in fail(answer.header("x-request-id", "req-1")).await {
            assert_error_hides("the error", &error);
            assert!(!String::from_utf8_lossy(error.body().unwrap()).contains("canary"), "the body holds it");
        }
    }
}

#[tokio::test]
async fn a_refusal_that_echoes_the_prompt() {
    let messages = json!([{"role": "user", "content": PROMPT}]);
    let python = format!(
        "1 validation error: {{'input': {{'messages': [{{'role': 'user', 'content': '{PROMPT}'}}]}}}}"
    );
    for answer in [
        Answer::json(400, json!({"error": {"message": python, "type": "BadRequestError", "code": 400}})),
        Answer::json(
            422,
            json!({"detail": [{"loc": ["body", "messages"], "msg": "bad", "input": messages}]}),
        ),
        Answer::json(400, json!({"messages": messages})),
        Answer::text(400, json!({"request": {"messages": messages}}).to_string()),
    ] {
        for error in fail(answer).await {
            assert_error_hides("the error", &error);
        }
    }
}

#[tokio::test]
async fn a_success_that_echoes_the_request() {
    let echo = json!({"headers": {"authorization": format!("Bearer {KEY}")},
        "json": {"messages": [{"role": "user", "content": PROMPT}]}});
    let error = json!({"error": {"message": format!("no such key: {KEY}"), "type": "authentication_error"}});
    for answer in [
        Answer::json(200, &echo),
        Answer::text(200, echo.to_string()),
        Answer::text(200, format!("<html>you sent {KEY}")),
        Answer::json(200, &error),
        // The start that is shown ends within the key.
        Answer::text(200, format!("{}{KEY}", "x".repeat(185))),
        Answer::text(200, format!("{}{KEY}", "x".repeat(190))),
        Answer::stream([format!("data: {error}\n\n")]),
        Answer::stream([format!("data: nonsense {echo}\n\n")]),
        Answer::stream([text("a"), format!("data: {error}\n\n")]),
    ] {
        for error in fail(answer).await {
            assert_error_hides("the error", &error);
            let body = error.body().map(|body| String::from_utf8_lossy(body).into_owned());
            assert!(!body.unwrap_or_default().contains(KEY), "the body holds the key");
        }
    }
}

#[tokio::test]
async fn a_probe_whose_answer_echoes_the_key() {
    let error = json!({"error": {"message": format!("no such key: {KEY}"), "type": "authentication_error"}});
    for answer in [
        Answer::json(401, &error),
        Answer::json(200, &error),
        Answer::json(200, json!({"headers": {"authorization": format!("Bearer {KEY}")}})),
        Answer::json(200, json!({"error": {"message": "no", "code": KEY, "type": KEY, "param": KEY}})),
        Answer::text(200, format!("you sent {KEY}")),
        Answer::text(200, format!("{}{KEY}", "x".repeat(190))),
    ] {
        let sim = Sim::builder().script([answer.forever()]).start().await.unwrap();
        for probe in [Probe::Models, Probe::Chat] {
            let provider = OpenAiProvider::builder(sim.base_url(), "m").api_key(KEY).probe(probe);
            let error = provider.build().unwrap().ready().await.unwrap_err();
            assert_error_hides("the error", &error);
            let body = error.body().map(|body| String::from_utf8_lossy(body).into_owned());
            assert!(!body.unwrap_or_default().contains(KEY), "the body holds the key");
        }
    }
}

#[tokio::test]
async fn output_that_breaks_its_schema() {
    for output in [
        OUTPUT.to_owned(),
        json!({"n": OUTPUT}).to_string(),
        json!({OUTPUT: 1}).to_string(),
        json!([OUTPUT]).to_string(),
    ] {
        for answer in [Answer::json(200, completion(&output)), texts([&output])] {
            for error in fail(answer).await {
                assert_eq!(error.category(), Category::StructuredOutputInvalid);
                assert_eq!(error.structured().unwrap().output_content, output);
                assert_error_hides("the error", &error);
            }
        }
    }
}

#[tokio::test]
async fn tool_calls_that_break_their_schema() {
    for arguments in [json!({"city": [OUTPUT]}).to_string(), OUTPUT.to_owned(), json!(OUTPUT).to_string()] {
        let call =
            json!([{"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": arguments}}]);
        let mut whole = completion("");
        whole["choices"][0]["message"]["tool_calls"] = call.clone();
        let streamed = [delta(&json!({"tool_calls": call})), finish("tool_calls"), DONE.to_owned()];
        for answer in [Answer::json(200, whole), Answer::stream(streamed)] {
            for error in fail(answer).await {
                assert_eq!(error.category(), Category::InvalidResponse);
                assert_error_hides("the error", &error);
            }
        }
    }
}

#[tokio::test]
async fn answers_that_break_off() {
    let start = text(OUTPUT);
    for answer in [
        Answer::bytes(200, "application/json", completion(OUTPUT).to_string()).content_length(5000),
        Answer::stream([Piece::from(start.as_str()), Piece::Cut]),
        Answer::stream([Piece::from(start.as_str())]),
        Answer::stream([
            Piece::from(start.as_str()),
            Piece::from("data: {\"error\":{\"message\":\"dead\"}}\n\n"),
        ]),
        Answer::disconnect(),
        Answer::reset(),
    ] {
        for error in fail(answer).await {
            assert_error_hides("the error", &error);
        }
    }
}

/// Writes down all that is traced on this thread, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, name: &str, record: impl FnOnce(&mut dyn Visit)) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, " {field}={value:?}").unwrap();
            }
        }
        let mut line = Line(name.to_owned());
        record(&mut line);
        writeln!(self.0.lock().unwrap(), "{}", line.0).unwrap();
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        self.add(span.metadata().name(), |line| span.record(line));
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        self.add("record", |line| values.record(line));
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.add(event.metadata().target(), |line| event.record(line));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn what_is_traced_in_success_and_failure() {
    let log = Log::default();
    let _here = tracing::subscriber::set_default(log.clone());
    let good = json!({"n": 1}).to_string();
    let sim = Sim::builder()
        .script([
            Answer::json(200, completion(&good)),
            texts([&good]),
            Answer::json(200, completion(OUTPUT)),
            Answer::json(401, json!({"error": format!("no such key: {KEY}")})),
            Answer::stream([Piece::from(text(OUTPUT)), Piece::Cut]),
            Answer::disconnect(),
            Answer::disconnect(),
        ])
        .start()
        .await
        .unwrap();
    let provider = keyed(&sim);
    for stream in [false, true, false, false, true, false, true] {
        let result = provider.complete(&secret().with_stream(stream)).await;
        settle().await;
        drop(result);
    }
    let port = Sim::closed_port().unwrap();
    let nobody = OpenAiProvider::builder(port.base_url(), "m").api_key(KEY).build().unwrap();
    nobody.complete(&secret()).await.unwrap_err();

    tracing::trace!("control");
    let traced = log.to_string();
    assert!(traced.contains("control"), "nothing was captured: {traced}");
    assert_hidden("the trace", &traced);
}
