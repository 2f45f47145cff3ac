//! Errors after the first event keep what was received before them.

use oa_provider::{OpenAiProvider, Provider};
use oa_sim::{Answer, Gate, Piece, Sim};
use oa_wire::Limits;
use oa_wire::{Category, CompletionStream, Error, ErrorKind, Event, FinishReason, sse};
use serde_json::json;

use crate::support::*;

/// Reasoning, text, a whole call, the start of another, usage.
fn begun() -> String {
    let call = |index: usize, id: &str, name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        delta(&json!({"tool_calls": [{"index": index, "id": id, "function": function}]}))
    };
    [
        delta(&json!({"reasoning": "Let me see."})),
        text("Hello"),
        call(0, "call_a", "get_weather", r#"{"city":"Paris"}"#),
        call(1, "call_b", "get_time", r#"{"zone":"C"#),
        USAGE.to_owned(),
    ]
    .concat()
}

/// Reads until the error; the usage, the last that [`begun`] sends, opens the gate.
async fn break_off(mut stream: CompletionStream, gate: &Gate) -> Error {
    loop {
        match soon(stream.next()).await.expect("an error should come before the end") {
            Ok(Event::Usage(_)) => gate.open(),
            Ok(Event::Done(_)) => panic!("it should not end well"),
            Ok(_) => {}
            Err(error) => {
                assert!(soon(stream.next()).await.is_none(), "nothing follows an error");
                return error;
            }
        }
    }
}

async fn broken_by(pieces: impl IntoIterator<Item = Piece>, limits: Limits) -> Error {
    let gate = Gate::new();
    let start = [Piece::from(begun()), Piece::Wait(gate.clone())];
    let answer = Answer::stream(start.into_iter().chain(pieces)).header("x-request-id", "req-9");
    let sim = Sim::builder().script([answer]).start().await.unwrap();
    let provider = OpenAiProvider::builder(sim.base_url(), "m").limits(limits).build().unwrap();
    let stream = soon(provider.stream(&hello().with_tools(tools()))).await.unwrap();
    break_off(stream, &gate).await
}

fn assert_kept(error: &Error) {
    let partial = error.partial().unwrap_or_else(|| panic!("nothing was kept: {error}"));
    assert_eq!((partial.text().as_ref(), partial.message.reasoning()), ("Hello", Some("Let me see.")));
    let [whole, cut] = &partial.message.tool_calls[..] else { panic!("two calls: {partial:?}") };
    assert_eq!((whole.id.as_str(), whole.name.as_str()), ("call_a", "get_weather"));
    assert_eq!(whole.arguments.error(), None);
    assert_eq!(whole.arguments.as_object().unwrap()["city"], "Paris");
    assert_eq!((cut.id.as_str(), cut.name.as_str()), ("call_b", "get_time"));
    assert_eq!((cut.arguments.as_object(), cut.arguments.text()), (None, Some(r#"{"zone":"C"#)));
    assert!(cut.arguments.error().is_some());
    assert_eq!(partial.usage.total_tokens, Some(9));
    assert_eq!(partial.finish_reason, FinishReason::Error);
    assert_eq!(partial.raw.json().unwrap()["usage"]["prompt_tokens"], 5);
    assert_eq!((error.status(), error.request_id()), (Some(200), Some("req-9")));
}

#[tokio::test]
async fn a_connection_that_is_closed() {
    let error = broken_by([Piece::Cut], Limits::default()).await;
    assert_eq!((error.category(), error.kind()), (Category::Unavailable, Some(ErrorKind::CutOff)));
    assert_eq!(error.connection().unwrap().stage, "body");
    assert_kept(&error);
}

#[tokio::test]
async fn a_connection_that_is_reset() {
    let error = broken_by([Piece::Reset], Limits::default()).await;
    assert_eq!((error.category(), error.kind()), (Category::Unavailable, Some(ErrorKind::CutOff)));
    assert!(format!("{error:#}").contains("reset"), "{error:#}");
    assert_kept(&error);
}

#[tokio::test]
async fn an_orderly_end_without_a_finish_reason() {
    let error = broken_by([], Limits::default()).await;
    assert_eq!((error.category(), error.kind()), (Category::Unavailable, Some(ErrorKind::CutOff)));
    assert_kept(&error);
}

#[tokio::test]
async fn an_error_frame() {
    let frame =
        "data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\",\"code\":429}}\n\n";
    let error = broken_by([Piece::from(frame), Piece::from(DONE)], Limits::default()).await;
    assert_eq!((error.category(), error.message()), (Category::RateLimit, "slow down"));
    assert_eq!(error.server().code.as_deref(), Some("429"));
    assert_kept(&error);
}

#[tokio::test]
async fn an_event_over_the_limit() {
    let stream = sse::Limits { event: 2000, ..sse::Limits::default() };
    let limits = Limits::new().with_stream(stream);
    let error = broken_by([Piece::from(text(&"x".repeat(3000))), Piece::Stall], limits).await;
    assert_eq!((error.category(), error.kind()), (Category::InvalidResponse, Some(ErrorKind::TooLarge)));
    assert_kept(&error);
}

#[tokio::test]
async fn a_stream_over_the_limit() {
    let total = begun().len() as u64 + 100;
    let limits = Limits::new().with_stream(sse::Limits { total, ..sse::Limits::default() });
    let error = broken_by([Piece::from(": x\n\n".repeat(100)), Piece::Stall], limits).await;
    assert_eq!((error.category(), error.kind()), (Category::InvalidResponse, Some(ErrorKind::TooLarge)));
    assert_kept(&error);
}

#[tokio::test]
async fn a_chunk_that_is_no_json() {
    let error = broken_by([Piece::from("data: {nonsense\n\n"), Piece::Stall], Limits::default()).await;
    assert_eq!(error.category(), Category::InvalidResponse);
    assert!(error.message().contains("{nonsense"), "{error}");
    assert_kept(&error);
}

#[tokio::test]
async fn a_drained_call_keeps_it_too() {
    let (_sim, provider) = scripted([Answer::stream([Piece::from(begun()), Piece::Cut])]).await;
    let error = provider.complete(&hello().with_tools(tools()).with_stream(true)).await.unwrap_err();
    assert_eq!(error.partial().unwrap().text(), "Hello");
}

#[tokio::test]
async fn a_limit_that_is_broken_closes_the_connection() {
    let stream = sse::Limits { event: 500, ..sse::Limits::default() };
    let pieces = [Piece::from(text("a")), Piece::from(text(&"x".repeat(3000))), Piece::Stall];
    let sim = Sim::builder().script([Answer::stream(pieces)]).start().await.unwrap();
    let provider = OpenAiProvider::builder(sim.base_url(), "m")
        .limits(Limits::new().with_stream(stream))
        .build()
        .unwrap();
    let error = soon(provider.complete(&hello().with_stream(true))).await.unwrap_err();
    assert_eq!(error.kind(), Some(ErrorKind::TooLarge));
    soon(sim.closed_by_client()).await;
}
