//! The server plays what a test scripted, fault by fault.

use crate::client::{Client, request};
use oa_sim::{Answer, Gate, Piece, Sim};
use serde_json::json;
use std::{io::ErrorKind, time::Duration};
use tokio::{net::TcpStream, time::Instant};

async fn serve(answers: impl IntoIterator<Item = Answer>) -> (Sim, Client) {
    let sim = Sim::builder().script(answers).start().await.unwrap();
    let client = Client::connect(&sim).await;
    (sim, client)
}

#[tokio::test]
async fn answers_come_in_order_and_then_the_script_is_exhausted() {
    let (sim, mut client) = serve([Answer::text(418, "one"), Answer::json(200, json!({"n": 2}))]).await;
    let first = client.get("/a").await;
    assert_eq!((first.status, first.text().as_str()), (418, "one"));
    assert_eq!(first.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(sim.unused(), 1);
    assert_eq!(client.get("/b").await.json(), json!({"n": 2}));
    let third = client.get("/health").await;
    assert_eq!(third.status, 500);
    assert_eq!(
        third.json()["error"]["message"],
        "simulator: script exhausted: nothing is left in it for GET /health"
    );
    sim.push(Answer::html(200, "<p>").header("content-type", "text/HTML"));
    assert_eq!(client.get("/c").await.header("content-type"), Some("text/HTML"));
}

#[tokio::test]
async fn an_exhausted_script_may_give_way_to_the_generative_mode() {
    let sim = Sim::builder().script([Answer::text(500, "")]).then_generate().start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.get("/version").await.status, 500);
    assert_eq!(client.get("/version").await.status, 200);
}

#[tokio::test]
async fn answers_may_wait_for_their_path_and_may_stay() {
    let (sim, mut client) = serve([
        Answer::text(200, "models").on("GET", "/v1/models").forever(),
        Answer::text(200, "any"),
        Answer::text(200, "posted").on("post", "/v1/chat/completions"),
    ])
    .await;
    assert_eq!(client.get("/v1/models?x").await.text(), "models");
    assert_eq!(client.get("/x").await.text(), "any");
    assert_eq!(client.get("/v1/models").await.text(), "models");
    assert_eq!(sim.unused(), 1);
    assert_eq!(client.post(&json!({})).await.text(), "posted");
    assert_eq!(client.get("/x").await.status, 500);
}

#[tokio::test]
async fn one_request_may_be_left_to_the_generative_mode() {
    let (_sim, mut client) =
        serve([Answer::text(503, ""), Answer::generated().header("x-late", "1"), Answer::text(504, "")])
            .await;
    assert_eq!(client.get("/version").await.status, 503);
    let generated = client.get("/version").await;
    assert_eq!((generated.status, generated.header("x-late")), (200, Some("1")));
    assert_eq!(client.get("/version").await.status, 504);
}

#[tokio::test]
async fn a_handler_answers_what_it_likes() {
    let sim = Sim::builder()
        .handler(|request| (request.path == "/mine").then(|| Answer::text(200, request.method.clone())))
        .start()
        .await
        .unwrap();
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.get("/mine").await.text(), "GET");
    assert_eq!(client.get("/version").await.status, 200);
}

#[tokio::test]
async fn every_piece_is_one_http_chunk_and_bytes_are_exact() {
    let (_sim, mut client) = serve([Answer::stream(["data: a", "\n\n", "", "\u{e9}"])]).await;
    let reply = client.get("/").await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(reply.chunks, [&b"data: a"[..], b"\n\n", "\u{e9}".as_bytes()]);
    assert!(reply.complete);
}

#[tokio::test]
async fn the_simulator_says_that_it_is_one() {
    let (_sim, mut client) = serve([
        Answer::text(200, ""),
        Answer::text(200, "")
            .header("server", "uvicorn")
            .header("X-OA-Simulator", "no")
            .header("x", "1")
            .header("x", "2"),
    ])
    .await;
    let reply = client.get("/").await;
    let version = format!("oa-sim/{}", oa_sim::VERSION);
    assert_eq!(reply.header("server"), Some(version.as_str()));
    assert_eq!(reply.header("x-oa-simulator"), Some(oa_sim::VERSION));
    let names: Vec<(String, String)> = client.get("/").await.headers;
    let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "server", "X-OA-Simulator", "x", "x", "content-length"]);
}

#[test]
#[should_panic(expected = "a header with a line break")]
fn a_header_cannot_smuggle_another_one() {
    let _ = Answer::text(200, "").header("x", "1\r\ny: 2");
}

#[tokio::test]
async fn a_cut_ends_the_body_early_with_fin() {
    let (sim, mut client) = serve([Answer::stream([Piece::from("ab"), Piece::Cut, "c".into()])]).await;
    let reply = client.get("/").await;
    assert_eq!((reply.bytes(), reply.complete), (b"ab".to_vec(), false));
    assert_eq!(client.rest().await.unwrap(), b"");
    sim.wait_for(|stats| stats.cut == 1).await;
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    for (answer, before) in [
        (Answer::reset(), &b""[..]),
        (Answer::pieces(200, "text/plain", [Piece::from("ab"), Piece::Reset, "cd".into()]), b"ab"),
    ] {
        let (sim, mut client) = serve([answer]).await;
        client.send("GET / HTTP/1.1\r\nHost: sim\r\n\r\n").await;
        if !before.is_empty() {
            assert_eq!(client.head().await.unwrap().header("content-length"), Some("4"));
        }
        assert_eq!(client.rest().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        sim.wait_for(|stats| stats.cut == 1 && stats.open == 0).await;
    }
}

#[tokio::test]
async fn a_hang_up_on_a_kept_connection_is_the_keep_alive_race() {
    let (sim, mut client) =
        serve([Answer::text(200, "ok"), Answer::disconnect(), Answer::text(200, "again")]).await;
    assert_eq!(client.get("/").await.text(), "ok");
    client.send(request("{}")).await;
    assert_eq!(client.rest().await.unwrap(), b"");
    let mut fresh = Client::connect(&sim).await;
    fresh.send(request("{}")).await;
    assert_eq!(fresh.reply().await.unwrap().text(), "again");
    let carried: Vec<usize> = sim.requests().iter().map(|request| request.connection).collect();
    assert_eq!(carried, [0, 0, 1]);
}

#[tokio::test]
async fn a_stall_ends_when_the_client_leaves() {
    for answer in [Answer::stall(), Answer::stream([Piece::from("ab"), Piece::Stall])] {
        let (sim, mut client) = serve([answer]).await;
        client.send(request("{}")).await;
        sim.wait_for(|stats| stats.requests == 1).await;
        assert_eq!(sim.stats().client_left, 0);
        drop(client);
        sim.closed_by_client().await;
        sim.wait_for(|stats| stats.open == 0 && stats.answered == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn delays_use_the_clock_of_the_runtime() {
    let second = Duration::from_secs(1);
    let body = [Piece::from("a"), Piece::Delay(100 * second), "b".into()];
    let (_sim, mut client) =
        serve([Answer::pieces(200, "text/plain", body).delay(10 * second).body_delay(20 * second)]).await;
    let start = Instant::now();
    client.send("GET / HTTP/1.1\r\nHost: sim\r\n\r\n").await;
    client.head().await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
    let mut client = client;
    let mut byte = [0];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut byte).await.unwrap();
    assert_eq!((byte, start.elapsed().as_secs()), (*b"a", 30));
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut byte).await.unwrap();
    assert_eq!((byte, start.elapsed().as_secs()), (*b"b", 130));
}

#[tokio::test]
async fn a_gate_holds_an_answer_until_it_is_opened() {
    let gate = Gate::new();
    let body =
        [Piece::from("1"), Piece::Wait(gate.clone()), "2".into(), Piece::Wait(gate.clone()), "3".into()];
    let (sim, mut client) = serve([Answer::stream(body).wait(&gate)]).await;
    client.send(request("{}")).await;
    sim.wait_for(|stats| stats.requests == 1).await;
    gate.release();
    client.head().await.unwrap();
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"1");
    assert_eq!(sim.stats().answered, 0);
    gate.release();
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"2");
    gate.open();
    assert_eq!(client.chunk().await.unwrap().unwrap(), b"3");
    assert_eq!(client.chunk().await.unwrap(), None);
    sim.wait_for(|stats| stats.answered == 1).await;
}

#[tokio::test]
async fn a_length_may_be_a_lie() {
    let (_sim, mut client) = serve([Answer::text(200, "abc").content_length(10)]).await;
    let reply = client.get("/").await;
    assert_eq!((reply.header("content-length"), reply.header("connection")), (Some("10"), None));
    assert_eq!((reply.text().as_str(), reply.complete), ("abc", false));

    let (_sim, mut client) =
        serve([Answer::text(200, "abcHTTP/1.1 201 Created\r\n\r\n").content_length(3)]).await;
    assert_eq!(client.get("/").await.text(), "abc");
    assert_eq!(client.head().await.unwrap().status, 201);
}

#[tokio::test]
async fn raw_bytes_are_the_whole_answer() {
    let (_sim, mut client) = serve([Answer::raw("HTTP/1.1 200\r\nno-colon\r\n\r\nx")]).await;
    client.send(request("{}")).await;
    assert_eq!(client.rest().await.unwrap(), b"HTTP/1.1 200\r\nno-colon\r\n\r\nx");
}

#[tokio::test]
async fn a_connection_closes_with_and_without_a_word() {
    let (_sim, mut client) = serve([Answer::text(200, "a").close()]).await;
    assert_eq!(client.get("/").await.header("connection"), Some("close"));
    assert_eq!(client.rest().await.unwrap(), b"");
    let (_sim, mut client) = serve([Answer::stream(["a"]).then_disconnect()]).await;
    let reply = client.get("/").await;
    assert_eq!((reply.header("connection"), reply.complete), (None, true));
    assert_eq!(client.rest().await.unwrap(), b"");
    let (_sim, mut client) = serve([Answer::text(200, "ab").until_close()]).await;
    let reply = client.get("/").await;
    assert_eq!((reply.header("content-length"), reply.text().as_str()), (None, "ab"));
}

#[tokio::test]
async fn idle_connections_can_be_closed_and_busy_ones_stay() {
    let gate = Gate::new();
    let (sim, mut busy) = serve([Answer::text(200, "idle"), Answer::text(200, "busy").wait(&gate)]).await;
    let mut idle = Client::connect(&sim).await;
    idle.get("/").await;
    busy.send(request("{}")).await;
    sim.wait_for(|stats| stats.requests == 2 && stats.idle == 1).await;
    sim.close_idle();
    assert_eq!(idle.rest().await.unwrap(), b"");
    gate.open();
    assert_eq!(busy.reply().await.unwrap().text(), "busy");
    // What was busy then is not closed later for that.
    assert_eq!(busy.get("/").await.status, 500);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_waits_too_long_is_closed() {
    let limit = Duration::from_secs(5);
    let slow = Answer::text(200, "slow").delay(2 * limit);
    let sim = Sim::builder().idle_timeout(limit).script([slow]).then_generate().start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    // What is busy is not idle.
    assert_eq!(client.get("/").await.text(), "slow");
    assert_eq!(client.get("/health").await.status, 200);
    let idle_since = Instant::now();
    assert_eq!(client.rest().await.unwrap(), b"");
    assert!((limit..2 * limit).contains(&idle_since.elapsed()));
}

#[tokio::test]
async fn a_client_that_leaves_a_stream_is_noticed_while_bytes_flow() {
    let piece = "x".repeat(64 * 1024);
    let (sim, mut client) = serve([Answer::stream(vec![piece; 2000])]).await;
    client.send(request("{}")).await;
    client.head().await.unwrap();
    client.chunk().await.unwrap();
    drop(client);
    sim.closed_by_client().await;
    sim.wait_for(|stats| stats.open == 0).await;
}

#[tokio::test]
async fn loading_comes_before_everything() {
    let sim = Sim::builder().loading_for(2).script([Answer::text(200, "scripted")]).start().await.unwrap();
    for path in ["/v1/models", "/nowhere"] {
        let reply = Client::connect(&sim).await.get(path).await;
        assert_eq!((reply.status, reply.header("connection")), (503, Some("close")));
        let body = json!({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}});
        assert_eq!(reply.json(), body);
    }
    assert_eq!(Client::connect(&sim).await.get("/").await.text(), "scripted");
    sim.set_loading(true);
    assert_eq!(Client::connect(&sim).await.get("/").await.status, 503);
    sim.set_loading(false);
    assert_eq!(Client::connect(&sim).await.get("/").await.status, 500);
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let port = Sim::closed_port().unwrap();
    let refused = TcpStream::connect(port.addr()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(port.base_url(), format!("http://{}", port.addr()));
}

#[tokio::test]
async fn shutdown_closes_the_port_and_every_connection() {
    let (sim, mut stalled) = serve([Answer::stall()]).await;
    let addr = sim.addr();
    let mut idle = Client::connect(&sim).await;
    stalled.send(request("{}")).await;
    sim.wait_for(|stats| stats.requests == 1 && stats.open == 2).await;
    sim.shutdown().await;
    assert!(matches!(stalled.rest().await.as_deref(), Ok(b"") | Err(_)));
    assert!(matches!(idle.rest().await.as_deref(), Ok(b"") | Err(_)));
    assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn dropping_closes_connections_too() {
    let (sim, mut client) = serve([Answer::stall()]).await;
    client.send(request("{}")).await;
    sim.wait_for(|stats| stats.requests == 1).await;
    drop(sim);
    assert!(matches!(client.rest().await.as_deref(), Ok(b"") | Err(_)));
}

#[test]
fn a_simulator_on_its_own_thread_needs_no_runtime() {
    use std::io::{Read, Write};

    let sim =
        Sim::builder().script([Answer::text(200, "ok").close(), Answer::stall()]).start_blocking().unwrap();
    let addr = sim.addr();
    let mut first = std::net::TcpStream::connect(addr).unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n").unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok"), "{answer}");

    let mut second = std::net::TcpStream::connect(addr).unwrap();
    second.write_all(b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n").unwrap();
    assert!(sim.wait_for_blocking(Duration::from_secs(30), |stats| stats.requests == 2));
    assert!(!sim.wait_for_blocking(Duration::ZERO, |stats| stats.requests == 3));
    sim.shutdown_blocking();
    assert!(matches!(second.read(&mut [0; 10]), Ok(0) | Err(_)));
    assert!(std::net::TcpStream::connect(addr).is_err());
}

#[tokio::test]
async fn bytes_can_be_cut_anew() {
    let bytes = |answer: &Answer| -> Vec<Vec<u8>> {
        let pieces = answer.body().iter();
        pieces
            .map(|piece| if let Piece::Bytes(bytes) = piece { bytes.to_vec() } else { b"|".to_vec() })
            .collect()
    };
    let answer = Answer::stream([
        Piece::from("abc"),
        "de".into(),
        Piece::Wait(Gate::new()),
        "fg".into(),
        Piece::Cut,
        "h".into(),
    ]);
    assert_eq!(answer.body_bytes(), b"abcdefg");
    let every_two = bytes(&answer.clone().split_every(2));
    assert_eq!(every_two, [&b"ab"[..], b"cd", b"e", b"|", b"fg", b"|", b"h"]);
    assert_eq!(bytes(&answer.clone().split_every(0))[0], b"a");
    let at = bytes(&answer.clone().split_at(&[6, 1, 1, 0, 99, 4]));
    assert_eq!(at, [&b"a"[..], b"bcd", b"e", b"|", b"f", b"g", b"|", b"h"]);
    assert_eq!(bytes(&answer.split_at(&[])), [&b"abcde"[..], b"|", b"fg", b"|", b"h"]);
}
