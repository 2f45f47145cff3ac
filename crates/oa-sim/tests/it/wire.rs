//! HTTP/1.1 as it is read, and what is answered to what breaks its rules.

use crate::client::{Client, request};
use oa_sim::{Answer, Sim};
use serde_json::json;

const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\n";
const BODY: &str = r#"{"messages":[{"role":"user","content":"hi"}]}"#;

#[tokio::test]
async fn requests_are_recorded_as_they_came() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client
        .send(
            "POST /v1/x?a=1#b HTTP/1.1\r\nHOST: sim\r\nx-B:  2 \r\nX-A: 1\r\nx-b: 3\r\n\
             Content-Length: 7\r\n\r\n{\"a\":1}",
        )
        .await;
    assert_eq!(client.reply().await.unwrap().status, 404);
    client.get("/health").await;

    let requests = sim.requests();
    let first = &requests[0];
    assert_eq!(
        (first.method.as_str(), first.path.as_str(), first.target.as_str()),
        ("POST", "/v1/x", "/v1/x?a=1#b")
    );
    let headers: Vec<(&str, &str)> = first.headers.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(headers, [("HOST", "sim"), ("x-B", "2"), ("X-A", "1"), ("x-b", "3"), ("Content-Length", "7")]);
    assert_eq!(first.header("X-b"), Some("2"));
    assert_eq!(first.json(), json!({"a": 1}));
    assert_eq!((first.connection, requests[1].connection), (0, 0));
    assert_eq!(sim.last_request().unwrap().path, "/health");
}

#[tokio::test]
async fn connections_are_kept_and_numbered() {
    let sim = Sim::start().await.unwrap();
    let mut one = Client::connect(&sim).await;
    one.get("/health").await;
    let mut two = Client::connect(&sim).await;
    two.get("/health").await;
    one.get("/version").await;
    let carried: Vec<usize> = sim.requests().iter().map(|request| request.connection).collect();
    assert_eq!(carried, [0, 1, 0]);
    assert_eq!((sim.connections(), sim.open_connections()), (2, 2));
    drop(one);
    sim.wait_for(|stats| stats.open == 1).await;
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n")).await;
    let (one, two) = BODY.split_at(9);
    client.send(format!("{:X};note=1\r\n{one}\r\n", one.len())).await;
    client.send(format!("{:x}\r\n{two}\r\n0\r\nX-Sum: 1\r\n\r\n", two.len())).await;
    assert_eq!(client.reply().await.unwrap().status, 200);
    assert_eq!(sim.requests()[0].body, BODY);
    assert_eq!(client.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_continue() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.send(format!("{HEAD}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", BODY.len())).await;
    assert_eq!(client.line().await.unwrap(), "HTTP/1.1 100 Continue");
    assert_eq!(client.line().await.unwrap(), "");
    client.send(BODY).await;
    assert_eq!(client.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.send(format!("{}GET /version HTTP/1.1\r\nHost: sim\r\n\r\n", request(BODY))).await;
    assert!(client.reply().await.unwrap().json()["choices"].is_array());
    assert_eq!(client.reply().await.unwrap().json(), json!({"version": oa_sim::VERSION}));
}

#[tokio::test]
async fn a_request_in_single_bytes_is_understood() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    for byte in request(BODY).as_bytes() {
        client.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(client.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn what_breaks_the_rules_is_refused_and_the_connection_closed() {
    let cases: [(&str, u16); 15] = [
        ("GET /health HTTP/1.1\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET  /health HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET /health HTTP/2.0\r\nHost: a\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
        ("GET /health HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n", 400),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", 400),
        ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\na", 400),
        (
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabcd\r\n", 400),
    ];
    for (request, status) in cases {
        let sim = Sim::start().await.unwrap();
        let mut client = Client::connect(&sim).await;
        client.send(request).await;
        let reply = client.reply().await.unwrap();
        assert_eq!((reply.status, reply.header("connection")), (status, Some("close")), "{request:?}");
        assert_eq!(client.rest().await.unwrap(), b"", "{request:?}");
        drop(client);
        sim.wait_for(|stats| stats.malformed == 1 && stats.open == 0).await;
        assert!(sim.requests().is_empty());
    }
}

#[tokio::test]
async fn too_large_heads_and_bodies_are_refused() {
    let sim = Sim::builder().max_head(1000).max_body(20).start().await.unwrap();
    let long = "x".repeat(2000);
    let cases = [
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}"), 431),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\n".to_owned(), 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\nExpect: 100-continue\r\n\r\n".to_owned(), 413),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n5\r\n"
                .to_owned(),
            413,
        ),
    ];
    for (request, status) in cases {
        let mut client = Client::connect(&sim).await;
        client.send(&request).await;
        assert_eq!(client.reply().await.unwrap().status, status, "{request}");
        assert_eq!(client.rest().await.unwrap(), b"");
    }
    let mut client = Client::connect(&sim).await;
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n01234567890123456789").await;
    assert_eq!(client.reply().await.unwrap().status, 404);
}

#[tokio::test]
async fn a_request_that_breaks_off_is_counted_and_not_recorded() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.send(format!("{HEAD}Content-Length: 100\r\n\r\n{{")).await;
    drop(client);
    sim.wait_for(|stats| stats.malformed == 1 && stats.open == 0).await;
    assert!(sim.requests().is_empty());
}

#[tokio::test]
async fn the_client_may_ask_to_close() {
    let sim = Sim::start().await.unwrap();
    for request in [
        "GET /health HTTP/1.1\r\nHost: sim\r\nConnection: keep-alive, Close\r\n\r\n",
        "GET /health HTTP/1.0\r\n\r\n",
    ] {
        let mut client = Client::connect(&sim).await;
        client.send(request).await;
        let reply = client.reply().await.unwrap();
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
        assert_eq!(client.rest().await.unwrap(), b"");
    }
    let mut client = Client::connect(&sim).await;
    client.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    client.reply().await.unwrap();
    assert_eq!(client.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_stream_for_http_1_0_has_no_chunks() {
    let sim = Sim::builder().script([Answer::stream(["a", "b"])]).start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let reply = client.reply().await.unwrap();
    assert_eq!((reply.header("transfer-encoding"), reply.text().as_str()), (None, "ab"));
}

#[tokio::test]
async fn head_and_options_have_no_body() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let length = client.get("/v1/models").await.bytes().len().to_string();
    client.send("HEAD /v1/models HTTP/1.1\r\nHost: sim\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().header("content-length"), Some(length.as_str()));
    client.send("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: sim\r\n\r\n").await;
    let reply = client.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.header("allow"), reply.header("content-length")),
        (204, Some("POST"), None)
    );
    client.send("HEAD /v1/chat/completions HTTP/1.1\r\nHost: sim\r\n\r\n").await;
    assert_eq!(client.head().await.unwrap().status, 405);
    assert_eq!(client.get("/health").await.status, 200);
}

#[tokio::test]
async fn an_absolute_target_is_understood() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    client.send("GET http://sim/v1/models?x=http://y HTTP/1.1\r\nHost: sim\r\n\r\n").await;
    assert_eq!(client.reply().await.unwrap().status, 200);
    assert_eq!(sim.requests()[0].path, "/v1/models");
}

#[tokio::test]
async fn only_so_many_requests_are_kept() {
    let sim = Sim::builder().keep_requests(2).start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    for path in ["/1", "/2", "/3"] {
        client.get(path).await;
    }
    let paths: Vec<String> = sim.requests().into_iter().map(|request| request.path).collect();
    assert_eq!((paths, sim.stats().requests), (vec!["/2".to_owned(), "/3".to_owned()], 3));
}

#[tokio::test]
async fn keys_are_not_shown() {
    let sim = Sim::builder().api_key("sk-secret").start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let keys = "Authorization: Bearer sk-secret\r\nX-API-Key: sk-secret\r\n";
    client.send(format!("GET /health HTTP/1.1\r\nHost: sim\r\n{keys}\r\n")).await;
    client.reply().await.unwrap();
    let shown = format!("{:?} {sim:?} {:?}", sim.requests(), Sim::builder().api_key("sk-secret"));
    assert!(!shown.contains("sk-secret"), "{shown}");
    assert_eq!(sim.requests()[0].header("authorization"), Some("Bearer sk-secret"));
}
