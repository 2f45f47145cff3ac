//! A request is sent once more exactly when a reused connection died before any byte of an answer.

use std::sync::{Arc, Mutex};

use oa_transport::{HyperTransport, Stage, TransportError, TransportErrorKind};

use crate::support::*;

/// What the server does with the second request of its first connection.
#[derive(Clone, Copy)]
enum End {
    Close,
    Reset,
    OneByte,
}

struct Scene {
    server: Server,
    transport: HyperTransport,
    /// Number of the connection and body of every request that arrived.
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Scene {
    /// A server whose first connection answers one request and ends so at the second; whose other connections
    /// answer, or end at once. The pool holds the first connection.
    async fn start(end: End, others_answer: bool) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let server = Server::start(move |number, mut peer| {
            let log = Arc::clone(&log);
            async move {
                let mut answers = if number == 0 { 1 } else { usize::from(others_answer) };
                while let Some((_, body)) = peer.request().await {
                    log.lock().unwrap().push((number, String::from_utf8(body).unwrap()));
                    if answers == 0 {
                        match end {
                            End::Close => {}
                            End::Reset => peer.reset(),
                            End::OneByte => peer.send("H").await,
                        }
                        return;
                    }
                    answers -= 1;
                    peer.send(ok("fine")).await;
                }
            }
        })
        .await;
        let scene = Self { server, transport: direct(), seen };
        assert_eq!(scene.post("first").await.unwrap(), "fine");
        settle().await;
        scene
    }

    async fn post(&self, body: &'static str) -> Result<String, TransportError> {
        read(send(&self.transport, post(&self.server.url(), body)).await?).await
    }

    fn seen(&self) -> Vec<(usize, String)> {
        self.seen.lock().unwrap().clone()
    }
}

fn arrived(what: &[(usize, &str)]) -> Vec<(usize, String)> {
    what.iter().map(|(number, body)| (*number, (*body).to_owned())).collect()
}

#[tokio::test]
async fn a_reused_connection_that_was_closed_is_replaced_once() {
    let scene = Scene::start(End::Close, true).await;
    assert_eq!(scene.post("second").await.unwrap(), "fine");
    assert_eq!(scene.seen(), arrived(&[(0, "first"), (0, "second"), (1, "second")]));
}

#[tokio::test]
async fn a_reused_connection_that_was_reset_is_replaced_once() {
    let scene = Scene::start(End::Reset, true).await;
    assert_eq!(scene.post("second").await.unwrap(), "fine");
    assert_eq!(scene.seen(), arrived(&[(0, "first"), (0, "second"), (1, "second")]));
}

#[tokio::test]
async fn there_is_no_second_replay() {
    let scene = Scene::start(End::Close, false).await;
    let error = scene.post("second").await.unwrap_err();
    assert_eq!(
        line(&error, scene.server.addr),
        "no answer from http://127.0.0.1:PORT: the server closed the connection without an answer, after \
         a reused connection had died and the request was sent once more"
    );
    assert!(error.replayed());
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::ClosedBeforeResponse));
    assert_eq!(scene.seen(), arrived(&[(0, "first"), (0, "second"), (1, "second")]));
}

#[tokio::test]
async fn after_one_byte_of_an_answer_there_is_no_replay() {
    let scene = Scene::start(End::OneByte, true).await;
    let error = scene.post("second").await.unwrap_err();
    assert!(!error.replayed());
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::CutOff));
    assert_eq!(scene.seen(), arrived(&[(0, "first"), (0, "second")]));
}

#[tokio::test]
async fn a_fresh_connection_that_dies_is_not_replaced() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert!(!error.replayed());
    assert_eq!(server.accepted(), 1);
}

/// The server sent its `FIN` while the connection lay in the pool: nothing was written, so that hyper
/// itself may take another, and nobody sees a failure.
#[tokio::test]
async fn a_connection_that_was_closed_in_the_pool_costs_nothing() {
    let server = Server::start(|_, mut peer| async move {
        if peer.request().await.is_some() {
            peer.send(ok("fine")).await;
        }
    })
    .await;
    let transport = direct();
    for _ in 0..10 {
        assert_eq!(text(&transport, &server.url()).await.unwrap(), "fine");
    }
    assert_eq!(server.accepted(), 10);
}

#[tokio::test]
async fn a_replayed_request_is_the_same_to_the_byte() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heads);
    let server = Server::start(move |number, mut peer| {
        let log = Arc::clone(&log);
        async move {
            let mut answers = 1;
            while let Some(request) = peer.request().await {
                log.lock().unwrap().push(request);
                if number == 0 && answers == 0 {
                    return;
                }
                answers -= 1;
                peer.send(ok("fine")).await;
            }
        }
    })
    .await;
    let transport = direct();
    text(&transport, &server.url()).await.unwrap();
    settle().await;
    let body = "x".repeat(1 << 20);
    let mut request = post(&server.url(), body.clone());
    request.headers_mut().append("x-many", "one".parse().unwrap());
    request.headers_mut().append("x-many", "two".parse().unwrap());
    read(send(&transport, request).await.unwrap()).await.unwrap();
    let heads = heads.lock().unwrap();
    assert_eq!(heads.len(), 3);
    assert_eq!(heads[1].1, body.as_bytes());
    assert!(heads[1] == heads[2], "{}\n{}", heads[1].0, heads[2].0);
}
