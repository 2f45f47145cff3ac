//! An answer that comes before the request was written to its end.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::support::*;

const ANSWER: &str =
    "HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 9\r\n\r\ntoo large";

/// What the server does after its answer.
#[derive(Clone, Copy)]
enum Then {
    /// Closes at once, with most of the request unread.
    Close,
    /// Reads on until the client has closed.
    Linger,
    /// Stays, and reads nothing.
    Stay,
    /// Resets the connection.
    Reset,
}

async fn refusing(then: Then) -> Server {
    Server::start(move |_, mut peer| async move {
        peer.stream.read_exact(&mut [0; 256]).await.unwrap();
        peer.send(ANSWER).await;
        match then {
            Then::Close => {}
            Then::Linger => drop(peer.rest().await),
            Then::Stay => peer.stream.ready(tokio::io::Interest::ERROR).await.map(drop).unwrap(),
            Then::Reset => peer.reset(),
        }
    })
    .await
}

async fn post_of(megabytes: usize, server: &Server) -> Result<(u16, String), oa_transport::TransportError> {
    let body = vec![b' '; megabytes << 20];
    let response = send(&direct(), post(&server.url(), body)).await?;
    let status = response.status().as_u16();
    Ok((status, read(response).await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_read_whatever_the_server_does_then() {
    for then in [Then::Close, Then::Linger, Then::Stay] {
        for megabytes in [1, 4, 12] {
            let server = refusing(then).await;
            for _ in 0..4 {
                let answer = tokio::time::timeout(Duration::from_secs(20), post_of(megabytes, &server));
                assert_eq!(answer.await.unwrap().unwrap(), (413, "too large".to_owned()), "{megabytes} MB");
            }
        }
    }
}

/// A reset may overtake the answer, which then is lost to every client. It must not be lost always, nor be
/// taken for anything else.
#[tokio::test]
async fn it_may_be_lost_to_a_reset() {
    for megabytes in [1, 4, 12] {
        let server = refusing(Then::Reset).await;
        for _ in 0..4 {
            match post_of(megabytes, &server).await {
                Ok(answer) => assert_eq!(answer, (413, "too large".to_owned())),
                Err(error) => {
                    assert_eq!(error.kind(), oa_transport::TransportErrorKind::Reset, "{error}");
                }
            }
        }
    }
}

/// The connection whose write failed must not carry another request.
#[tokio::test]
async fn the_next_request_has_a_connection_of_its_own() {
    let server = Server::start(|number, mut peer| async move {
        if number == 0 {
            peer.stream.read_exact(&mut [0; 256]).await.unwrap();
            peer.send("HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\n\r\ntoo large").await;
            return;
        }
        while peer.request().await.is_some() {
            peer.send(ok("fine")).await;
        }
    })
    .await;
    let transport = direct();
    let response = send(&transport, post(&server.url(), vec![b' '; 4 << 20])).await.unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(read(response).await.unwrap(), "too large");
    settle().await;
    assert_eq!(text(&transport, &server.url()).await.unwrap(), "fine");
    assert_eq!(server.accepted(), 2);
}
