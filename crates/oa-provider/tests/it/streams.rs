//! Deltas come as they are sent; what becomes of the connection after them.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use oa_provider::Provider;
use oa_sim::{Answer, Gate, Piece, Sim};
use oa_wire::{Category, Error, Event, FinishReason, ToolChoice};
use serde_json::json;
use tokio::time::Instant;

use crate::support::*;

#[tokio::test]
async fn each_delta_arrives_before_the_next_is_sent() {
    let gate = Gate::new();
    let mut pieces = Vec::new();
    for word in ["one", "two", "three"] {
        pieces.extend([Piece::from(text(word)), Piece::Wait(gate.clone())]);
    }
    pieces.extend([Piece::from(finish("stop")), Piece::from(DONE)]);
    let (_sim, provider) = scripted([Answer::stream(pieces)]).await;

    let mut stream = soon(provider.stream(&hello())).await.unwrap();
    for word in ["one", "two", "three"] {
        // The server sends nothing more until this was received.
        assert_eq!(content(soon(stream.next()).await), word);
        gate.release();
    }
    let response = soon(stream.into_response()).await.unwrap();
    assert_eq!((response.text().as_ref(), response.finish_reason), ("onetwothree", FinishReason::Stop));
}

#[tokio::test]
async fn the_call_resolves_at_the_first_event_and_not_before() {
    let head_and_role = Frames::open([delta(&json!({"role": "assistant", "content": ""}))]);
    let double = Double::new([Step::stream(head_and_role)]);
    let provider = double.provider();
    let request = hello();
    let mut call = pin!(provider.stream(&request));
    let polled = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
    assert!(!polled);

    let double = Double::new([Step::stream(Frames::open([text("first")]))]);
    let provider = double.provider();
    let mut call = pin!(provider.stream(&request));
    let polled = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
    assert!(polled);
}

#[tokio::test]
async fn a_refusal_is_an_error_of_the_call() {
    let answer = Answer::json(401, json!({"error": {"message": "no such key"}}));
    let (_sim, provider) = scripted([answer]).await;
    let error = provider.stream(&hello()).await.unwrap_err();
    assert_eq!((error.category(), error.status()), (Category::Authentication, Some(401)));
    assert_eq!(error.message(), "no such key");
}

#[tokio::test]
async fn an_error_as_the_first_frame_of_a_success_is_an_error_of_the_call() {
    let frame =
        "data: {\"error\":{\"message\":\"queue full\",\"type\":\"Service Unavailable\",\"code\":503}}\n\n";
    let (_sim, provider) = scripted([Answer::stream([frame, DONE])]).await;
    let error = provider.stream(&hello()).await.unwrap_err();
    assert_eq!((error.category(), error.status()), (Category::Unavailable, Some(200)));
    assert_eq!(error.server().code.as_deref(), Some("503"));
    assert!(error.partial().is_none());
}

#[tokio::test]
async fn a_stream_asks_for_a_stream_with_usage() {
    let sim = Sim::start().await.unwrap();
    let request = hello();
    provider(&sim).stream(&request).await.unwrap().into_response().await.unwrap();
    let sent = sim.last_request().unwrap();
    assert_eq!(sent.header("accept"), Some("text/event-stream"));
    let body = sent.json();
    assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    assert!(!request.stream);
}

#[tokio::test]
async fn a_stream_ends_in_the_response_of_the_atomic_call() {
    let sim = Sim::start().await.unwrap();
    let provider = provider(&sim);
    for request in [hello(), hello().with_tools(tools()).with_tool_choice(ToolChoice::Required)] {
        let whole = provider.complete(&request).await.unwrap();
        let streamed = provider.stream(&request).await.unwrap().into_response().await.unwrap();
        let drained = provider.complete(&request.with_stream(true)).await.unwrap();
        for other in [streamed, drained] {
            assert_eq!(other.text(), whole.text());
            assert_eq!(other.finish_reason, whole.finish_reason);
            assert_eq!(other.usage, whole.usage);
            let calls = |response: &oa_wire::Response| {
                let calls = response.message.tool_calls.iter();
                calls.map(|call| (call.name.clone(), call.arguments.clone())).collect::<Vec<_>>()
            };
            assert_eq!(calls(&other), calls(&whole));
        }
    }
}

#[tokio::test]
async fn a_snapshot_is_what_has_come_so_far() {
    let gate = Gate::new();
    let pieces = [
        Piece::from(delta(&json!({"reasoning_content": "Hm."})) + &text("Hel")),
        Piece::Wait(gate.clone()),
        Piece::from(text("lo") + &finish("stop") + USAGE + DONE),
    ];
    let (_sim, provider) = scripted([Answer::stream(pieces)]).await;
    let mut stream = provider.stream(&hello()).await.unwrap();
    while stream.snapshot().text().is_empty() {
        soon(stream.next()).await.unwrap().unwrap();
    }
    let midway = stream.snapshot();
    assert_eq!((midway.text().as_ref(), midway.message.reasoning()), ("Hel", Some("Hm.")));
    assert_eq!((midway.finish_reason, midway.usage.total_tokens), (FinishReason::Error, None));
    gate.open();
    let end = soon(stream.into_response()).await.unwrap();
    assert_eq!((end.text().as_ref(), end.usage.total_tokens), ("Hello", Some(9)));
}

#[tokio::test]
async fn a_body_in_place_of_a_stream_is_its_events() {
    let (_sim, provider) = scripted([Answer::json(200, completion("Hello"))]).await;
    let mut stream = provider.stream(&hello()).await.unwrap();
    assert_eq!(content(stream.next().await), "Hello");
    assert_eq!(stream.into_response().await.unwrap().text(), "Hello");
}

#[tokio::test]
async fn it_is_a_stream_of_futures_core() {
    async fn collect(mut stream: impl Stream<Item = Result<Event, Error>> + Unpin) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await {
            events.push(event.unwrap());
        }
        assert!(poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await.is_none());
        events
    }
    let (_sim, provider) = scripted([texts(["a", "b"])]).await;
    let events = collect(provider.stream(&hello()).await.unwrap()).await;
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event {
            Event::Content(text) => text.as_str(),
            Event::Done(_) => "done",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["a", "b", "done"]);
}

#[tokio::test]
async fn nothing_follows_the_end() {
    let (_sim, provider) = scripted([texts(["a"])]).await;
    let mut stream = provider.stream(&hello()).await.unwrap();
    while let Some(event) = stream.next().await {
        event.unwrap();
    }
    assert!(stream.next().await.is_none());
    let error = stream.into_response().await.unwrap_err();
    assert_eq!(error.category(), Category::InvalidResponse);
}

#[tokio::test]
async fn a_stream_whose_first_event_is_its_end_is_whole() {
    for body in [finish("stop") + DONE, finish("stop")] {
        let double = Double::new([Step::stream(Frames::whole([body]))]);
        let mut stream = double.provider().stream(&hello()).await.unwrap();
        assert_eq!(stream.snapshot().finish_reason, FinishReason::Stop);
        match stream.next().await {
            Some(Ok(Event::Done(response))) => assert_eq!(response.text(), ""),
            other => panic!("{other:?}"),
        }
        assert!(stream.next().await.is_none());
    }
}

#[tokio::test]
async fn dropping_a_stream_closes_its_connection() {
    let (sim, provider) = scripted([Answer::stream([Piece::from(text("a")), Piece::Stall])]).await;
    let mut stream = soon(provider.stream(&hello())).await.unwrap();
    assert_eq!(content(stream.next().await), "a");
    assert_eq!(sim.stats().client_left, 0);
    drop(stream);
    soon(sim.closed_by_client()).await;
}

#[tokio::test]
async fn dropping_a_call_before_its_first_event_closes_its_connection() {
    let (sim, provider) = scripted([Answer::stream([Piece::Stall])]).await;
    let call = tokio::spawn(async move { provider.stream(&hello()).await.map(drop) });
    soon(sim.wait_for(|stats| stats.requests == 1)).await;
    call.abort();
    soon(sim.closed_by_client()).await;
}

#[tokio::test]
async fn sequential_streams_use_one_connection() {
    let sim = Sim::start().await.unwrap();
    let provider = provider(&sim);
    for _ in 0..10 {
        provider.stream(&hello()).await.unwrap().into_response().await.unwrap();
        settle().await;
    }
    assert_eq!((sim.stats().requests, sim.connections()), (10, 1));
}

#[tokio::test]
async fn the_end_of_the_body_is_not_waited_for_and_the_connection_is_kept() {
    let gate = Gate::new();
    let whole = Piece::from(text("a") + &finish("stop") + DONE);
    let (sim, provider) = scripted([Answer::stream([whole, Piece::Wait(gate.clone())]), texts(["b"])]).await;
    let mut stream = soon(provider.stream(&hello())).await.unwrap();
    assert_eq!(content(stream.next().await), "a");
    let last = poll_fn(|cx| Poll::Ready(Pin::new(&mut stream).poll_next(cx))).await;
    assert!(matches!(last, Poll::Ready(Some(Ok(Event::Done(_))))), "{last:?}");
    gate.open();
    drop(stream);
    settle().await;
    soon(provider.complete(&hello())).await.unwrap();
    assert_eq!(sim.connections(), 1);
}

#[tokio::test]
async fn a_refused_stream_gives_its_connection_back() {
    let refusal = || Answer::json(400, json!({"error": {"message": "no"}}));
    let (sim, provider) = scripted([refusal(), refusal(), refusal()]).await;
    for _ in 0..3 {
        provider.stream(&hello()).await.unwrap_err();
        settle().await;
    }
    assert_eq!(sim.connections(), 1);
}

#[tokio::test]
async fn streams_at_once_use_a_connection_each_and_use_them_again() {
    const TASKS: usize = 8;
    let gate = Gate::new();
    let round = || {
        let pieces = [text("a").into(), Piece::Wait(gate.clone()), (finish("stop") + DONE).into()];
        Answer::stream(pieces)
    };
    let (sim, provider) = scripted((0..2 * TASKS).map(|_| round())).await;
    for _ in 0..2 {
        let mut streams = Vec::new();
        for _ in 0..TASKS {
            streams.push(soon(provider.stream(&hello())).await.unwrap());
        }
        assert_eq!(sim.connections(), TASKS);
        for _ in 0..TASKS {
            gate.release();
        }
        for stream in streams {
            soon(stream.into_response()).await.unwrap();
        }
        settle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stays_open_after_its_end_is_not_waited_for() {
    let body = Frames::open([text("a"), finish("stop"), DONE.to_owned()]);
    let double = Double::new([Step::stream(body)]);
    let start = Instant::now();
    let response = at_all(double.provider().complete(&hello().with_stream(true))).await.unwrap();
    assert_eq!(response.text(), "a");
    assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_limit_on_what_follows_the_end_holds_for_bytes_without_end() {
    let endless = std::iter::repeat_n(": and so on\n\n".to_owned(), 100_000);
    let body = Frames::open([text("a"), finish("stop"), DONE.to_owned()].into_iter().chain(endless));
    let double = Double::new([Step::stream(body)]);
    let start = Instant::now();
    let response = at_all(double.provider().complete(&hello().with_stream(true))).await.unwrap();
    assert_eq!(response.text(), "a");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_server_that_stays_open_after_the_end_loses_the_connection_alone() {
    let pieces = [Piece::from(text("a") + &finish("stop") + DONE), Piece::Stall];
    let (sim, provider) = scripted([Answer::stream(pieces), texts(["b"])]).await;
    let first = soon(provider.complete(&hello().with_stream(true))).await.unwrap();
    assert_eq!(first.text(), "a");
    assert_eq!(soon(provider.complete(&hello().with_stream(true))).await.unwrap().text(), "b");
    assert_eq!(sim.connections(), 2);
    soon(sim.closed_by_client()).await;
}
