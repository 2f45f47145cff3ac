//! The connections of the pool: how many are opened, when they are reused, and when they are closed.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use oa_transport::HyperTransport;
use tokio::sync::{Barrier, mpsc};
use tower_service::Service;

use crate::support::*;

#[tokio::test]
async fn requests_one_after_another_share_a_connection() {
    let server = Server::start(|_, mut peer| async move {
        while peer.request().await.is_some() {
            peer.send(ok("fine")).await;
        }
    })
    .await;
    let transport = direct();
    for _ in 0..5 {
        assert_eq!(text(&transport, &server.url()).await.unwrap(), "fine");
        settle().await;
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn requests_at_once_have_a_connection_each() {
    const N: usize = 16;
    let all = Arc::new(Barrier::new(N));
    let server = Server::start(move |_, mut peer| {
        let all = Arc::clone(&all);
        async move {
            peer.request().await.unwrap();
            all.wait().await;
            peer.send(ok("fine")).await;
        }
    })
    .await;
    let transport = direct();
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
async fn a_limit_of_no_idle_connections_keeps_none() {
    let server = Server::start(|_, mut peer| async move {
        while peer.request().await.is_some() {
            peer.send(ok("fine")).await;
        }
    })
    .await;
    let transport = HyperTransport::builder().no_proxy().max_idle_per_host(0).build().unwrap();
    for _ in 0..3 {
        text(&transport, &server.url()).await.unwrap();
        settle().await;
    }
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn dropping_the_future_closes_the_connection_and_sends_nothing_more() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await.unwrap();
            tell.send(Vec::new()).unwrap();
            tell.send(peer.rest().await).unwrap();
        }
    })
    .await;
    let mut transport = direct();
    let mut call = Box::pin(transport.call(post(&server.url(), "{}")));
    // Driven until the server has the whole request.
    poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending());
        told.poll_recv(cx)
    })
    .await
    .unwrap();
    drop(call);
    assert_eq!(told.recv().await.unwrap(), b"", "nothing more was sent before the end");
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn dropping_the_future_before_the_connection_stands_sends_nothing() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let tell = tell.clone();
        async move { tell.send(peer.rest().await).unwrap() }
    })
    .await;
    let mut transport = direct();
    let mut call = Box::pin(transport.call(post(&server.url(), "{}")));
    poll_fn(|cx| {
        assert!(call.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(call);
    assert_eq!(told.recv().await.unwrap(), b"");
}

#[tokio::test]
async fn dropping_the_body_closes_the_connection() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await.unwrap();
            peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
            tell.send(peer.rest().await).unwrap();
        }
    })
    .await;
    let mut body = send(&direct(), post(&server.url(), "{}")).await.unwrap().into_body();
    let frame = http_body_util::BodyExt::frame(&mut body).await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "hello");
    drop(body);
    assert_eq!(told.recv().await.unwrap(), b"");
}

#[tokio::test]
async fn the_request_arrives_as_it_was_given() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            tell.send(peer.request().await.unwrap()).unwrap();
            peer.send(ok("")).await;
        }
    })
    .await;
    text(&direct(), &server.url()).await.unwrap();
    let (head, body) = told.recv().await.unwrap();
    assert_eq!(
        head.replace(&server.addr.to_string(), "ADDR"),
        "POST /v1/chat/completions HTTP/1.1\r\n\
         content-type: application/json\r\n\
         authorization: Bearer sk-canary\r\n\
         host: ADDR\r\n\
         accept-encoding: identity\r\n\
         content-length: 2\r\n\r\n"
    );
    assert_eq!(body, b"{}");
}

/// The trait takes any service of the shape, with its own error and body.
#[tokio::test]
async fn a_foreign_service_is_a_transport() {
    #[derive(Clone)]
    struct Echo;
    impl Service<http::Request<bytes::Bytes>> for Echo {
        type Response = http::Response<http_body_util::Full<bytes::Bytes>>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: http::Request<bytes::Bytes>) -> Self::Future {
            std::future::ready(Ok(http::Response::new(http_body_util::Full::new(request.into_body()))))
        }
    }
    let response = send(&Echo, post("http://nowhere/", "hello")).await.unwrap();
    assert_eq!(http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes(), "hello");
}
