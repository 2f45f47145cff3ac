//! HTTP/2 by ALPN and by prior knowledge, against servers of the crate h2 and against bytes written by hand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use http_body_util::BodyExt;
use oa_transport::{Http2, HyperTransport, Stage, TransportErrorKind};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Barrier, Notify, mpsc},
};

use crate::support::*;

fn prior_knowledge() -> HyperTransport {
    HyperTransport::builder().no_proxy().http2(Http2::PriorKnowledge).build().unwrap()
}

/// Serves one connection with at most `limit` streams at once; each is answered by a task of its own.
async fn serve<S, F>(
    stream: S,
    limit: u32,
    answer: impl Fn(http::Request<RecvStream>, SendResponse<Bytes>) -> F,
) where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()> + Send + 'static,
{
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(limit);
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond));
    }
}

fn whole(mut respond: SendResponse<Bytes>, text: &'static str) {
    let response = http::Response::builder().status(200).body(()).unwrap();
    if let Ok(mut stream) = respond.send_response(response, false) {
        let _ = stream.send_data(Bytes::from_static(text.as_bytes()), true);
    }
}

#[tokio::test]
async fn a_request_by_prior_knowledge() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |_, peer| {
        let tell = tell.clone();
        serve(peer.stream, 100, move |request, respond| {
            let tell = tell.clone();
            async move {
                let (head, mut body) = request.into_parts();
                let mut text = Vec::new();
                while let Some(Ok(data)) = body.data().await {
                    text.extend_from_slice(&data);
                }
                tell.send((head, text)).unwrap();
                whole(respond, "fine");
            }
        })
    })
    .await;
    let transport = prior_knowledge();
    for _ in 0..3 {
        assert_eq!(text(&transport, &server.url()).await.unwrap(), "fine");
    }
    assert_eq!(server.accepted(), 1);
    let (head, body) = told.recv().await.unwrap();
    assert_eq!(head.uri.to_string(), server.url());
    assert_eq!(head.headers.get("authorization").unwrap(), "Bearer sk-canary");
    assert_eq!(head.headers.get("host"), None);
    assert_eq!(body, b"{}");
}

/// Nobody is answered before all are there: none waits for another's end.
#[tokio::test]
async fn three_hundred_streams_at_once_where_the_server_takes_a_hundred_a_connection() {
    const N: usize = 300;
    let all = Arc::new(Barrier::new(N));
    let server = Server::start(move |_, peer| {
        let all = Arc::clone(&all);
        serve(peer.stream, 100, move |_, respond| {
            let all = Arc::clone(&all);
            async move {
                all.wait().await;
                whole(respond, "fine");
            }
        })
    })
    .await;
    let transport = prior_knowledge();
    let calls: Vec<_> = (0..N)
        .map(|_| {
            let (transport, url) = (transport.clone(), server.url());
            tokio::spawn(async move { text(&transport, &url).await })
        })
        .collect();
    for call in calls {
        assert_eq!(
            tokio::time::timeout(Duration::from_secs(60), call).await.unwrap().unwrap().unwrap(),
            "fine"
        );
    }
    assert!((3..=6).contains(&server.accepted()), "{} connections", server.accepted());
}

/// The client knows the limit only when the connection stands; until then it opens more.
#[tokio::test]
async fn a_limit_of_one_stream_is_kept() {
    const N: usize = 8;
    let all = Arc::new(Barrier::new(N));
    let server = Server::start(move |_, peer| {
        let all = Arc::clone(&all);
        serve(peer.stream, 1, move |_, respond| {
            let all = Arc::clone(&all);
            async move {
                all.wait().await;
                whole(respond, "fine");
            }
        })
    })
    .await;
    let transport = prior_knowledge();
    let calls: Vec<_> = (0..N)
        .map(|_| {
            let (transport, url) = (transport.clone(), server.url());
            tokio::spawn(async move { text(&transport, &url).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "fine");
    }
    assert_eq!(server.accepted(), N);
}

#[tokio::test]
async fn a_refused_stream_is_sent_again() {
    let seen = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&seen);
    let server = Server::start(move |_, peer| {
        let seen = Arc::clone(&count);
        serve(peer.stream, 100, move |_, mut respond| {
            let first = seen.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if first {
                    respond.send_reset(Reason::REFUSED_STREAM);
                } else {
                    whole(respond, "fine");
                }
            }
        })
    })
    .await;
    assert_eq!(text(&prior_knowledge(), &server.url()).await.unwrap(), "fine");
    assert_eq!((seen.load(Ordering::SeqCst), server.accepted()), (2, 1));
}

#[tokio::test]
async fn a_stream_that_is_refused_always_or_reset_is_an_error() {
    for (reason, requests, words) in
        [(Reason::REFUSED_STREAM, 4, "REFUSED_STREAM"), (Reason::INTERNAL_ERROR, 1, "INTERNAL_ERROR")]
    {
        let seen = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&seen);
        let server = Server::start(move |_, peer| {
            let seen = Arc::clone(&count);
            serve(peer.stream, 100, move |_, mut respond| {
                seen.fetch_add(1, Ordering::SeqCst);
                async move { respond.send_reset(reason) }
            })
        })
        .await;
        let error = failure(&prior_knowledge(), &server.url()).await;
        assert_eq!(
            line(&error, server.addr),
            format!("no answer from http://127.0.0.1:PORT: the server reset the stream ({words})")
        );
        assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::Reset));
        assert_eq!(seen.load(Ordering::SeqCst), requests);
    }
}

const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
const SETTINGS_ACK: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
/// The last stream that was taken is none, and nothing is wrong.
const GO_AWAY: &[u8] = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[tokio::test]
async fn what_a_server_did_not_begin_with_before_it_went_away_is_sent_again() {
    let server = Server::start(|number, mut peer| async move {
        if number > 0 {
            return serve(peer.stream, 100, |_, respond| async { whole(respond, "fine") }).await;
        }
        peer.stream.write_all(&[SETTINGS, SETTINGS_ACK].concat()).await.unwrap();
        // The preface, the settings and the request's first frame.
        let mut received = Vec::new();
        while !received.windows(9).any(|window| window[3] == 1 && window[5..] == [0, 0, 0, 1]) {
            peer.stream.read_buf(&mut received).await.unwrap();
        }
        peer.stream.write_all(GO_AWAY).await.unwrap();
        peer.rest().await;
    })
    .await;
    assert_eq!(text(&prior_knowledge(), &server.url()).await.unwrap(), "fine");
    assert_eq!(server.accepted(), 2);
}

/// The other stream of the connection goes on.
#[tokio::test]
async fn dropping_a_body_resets_its_stream_alone() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let server = Server::start(move |_, peer| {
        let (tell, gate) = (tell.clone(), Arc::clone(&gate));
        serve(peer.stream, 100, move |request, mut respond| {
            let (tell, gate) = (tell.clone(), Arc::clone(&gate));
            async move {
                let response = http::Response::builder().status(200).body(()).unwrap();
                let mut stream = respond.send_response(response, false).unwrap();
                stream.send_data(Bytes::from_static(b"first"), false).unwrap();
                if request.uri().path() == "/dropped" {
                    let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await.unwrap();
                    tell.send(reset).unwrap();
                } else {
                    gate.notified().await;
                    stream.send_data(Bytes::from_static(b" and last"), true).unwrap();
                }
            }
        })
    })
    .await;
    let transport = prior_knowledge();
    let url = |path: &str| format!("http://{}/{path}", server.addr);
    let kept = send(&transport, post(&url("kept"), "{}")).await.unwrap();
    let mut dropped = send(&transport, post(&url("dropped"), "{}")).await.unwrap().into_body();
    assert_eq!(dropped.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
    drop(dropped);
    assert_eq!(told.recv().await.unwrap(), Reason::CANCEL);
    go_on.notify_one();
    assert_eq!(read(kept).await.unwrap(), "first and last");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn dropping_the_future_resets_its_stream() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |_, peer| {
        let tell = tell.clone();
        serve(peer.stream, 100, move |_, mut respond| {
            let tell = tell.clone();
            async move {
                tell.send(Reason::NO_ERROR).unwrap();
                tell.send(std::future::poll_fn(|cx| respond.poll_reset(cx)).await.unwrap()).unwrap();
            }
        })
    })
    .await;
    let transport = prior_knowledge();
    let url = server.url();
    let call = tokio::spawn(async move { text(&transport, &url).await });
    assert_eq!(told.recv().await.unwrap(), Reason::NO_ERROR);
    call.abort();
    assert_eq!(told.recv().await.unwrap(), Reason::CANCEL);
}

#[tokio::test]
async fn a_server_that_does_not_speak_it() {
    let server = Server::start(|_, mut peer| async move {
        assert_ne!(peer.stream.read(&mut [0; 1024]).await.unwrap(), 0);
        peer.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    let error = failure(&prior_knowledge(), &server.url()).await;
    let line = line(&error, server.addr);
    assert!(
        line.starts_with("could not connect to http://127.0.0.1:PORT: what came is not HTTP/2 ("),
        "{line}"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Connect, TransportErrorKind::NotHttp));
}

/// The clock runs as soon as nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn a_server_that_answers_no_ping_is_given_up() {
    let server = Server::start(|_, mut peer| async move {
        peer.stream.write_all(&[SETTINGS, SETTINGS_ACK].concat()).await.unwrap();
        peer.rest().await;
    })
    .await;
    let error = failure(&prior_knowledge(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://127.0.0.1:PORT: the server did not answer a ping of HTTP/2"
    );
    assert_eq!(error.kind(), TransportErrorKind::TimedOut);
    assert_eq!(error.elapsed().as_secs(), 40);
}

#[tokio::test]
async fn calls_that_wait_for_one_connection_fail_with_it() {
    let addr = closed_port();
    let transport = prior_knowledge();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let transport = transport.clone();
            tokio::spawn(async move { failure(&transport, &format!("http://{addr}/")).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().kind(), TransportErrorKind::Refused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_streams_is_closed_at_the_limit() {
    let (tell, mut closed) = mpsc::unbounded_channel();
    let server = Server::start(move |_, peer| {
        let tell = tell.clone();
        async move {
            serve(peer.stream, 100, |_, respond| async { whole(respond, "fine") }).await;
            tell.send(()).unwrap();
        }
    })
    .await;
    let transport = prior_knowledge();
    let start = tokio::time::Instant::now();
    text(&transport, &server.url()).await.unwrap();
    closed.recv().await.unwrap();
    assert!((3..=6).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn the_server_chooses_in_the_tls_handshake() {
    for (offered, protocol) in [("h2", "HTTP/2.0"), ("http/1.1", "HTTP/1.1"), ("", "HTTP/1.1")] {
        let made = crate::tls::make("localhost", |_| {});
        let mut config = made.config;
        config.alpn_protocols =
            [offered].iter().filter(|name| !name.is_empty()).map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let server = Server::start(move |_, peer| {
            let acceptor = acceptor.clone();
            async move {
                let stream = acceptor.accept(peer.stream).await.unwrap();
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    return serve(stream, 100, |_, respond| async { whole(respond, "HTTP/2.0") }).await;
                }
                let mut peer = Peer::new(stream);
                while peer.request().await.is_some() {
                    peer.send(ok("HTTP/1.1")).await;
                }
            }
        })
        .await;
        let transport = HyperTransport::builder()
            .no_proxy()
            .http2(Http2::Negotiated)
            .without_platform_roots()
            .add_root_pem(&made.authority)
            .build()
            .unwrap();
        let url = format!("https://localhost:{}/v1/models", server.addr.port());
        for _ in 0..3 {
            assert_eq!(text(&transport, &url).await.unwrap(), protocol);
        }
        assert_eq!(server.accepted(), 1);
    }
}
