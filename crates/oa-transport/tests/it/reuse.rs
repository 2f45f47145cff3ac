//! The reuse of connections: which are kept, for how long, and which are closed.

use std::sync::{Arc, Mutex};

use http_body_util::BodyExt;
use oa_transport::HyperTransport;
use tokio::sync::{Notify, mpsc};

use crate::support::*;

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

/// A server that answers every request, and tells the number of each connection that the client has closed.
async fn answering() -> (Server, mpsc::UnboundedReceiver<usize>) {
    let (tell, closed) = mpsc::unbounded_channel();
    let server = Server::start(move |number, mut peer| {
        let tell = tell.clone();
        async move {
            while peer.request().await.is_some() {
                peer.send(ok(&number.to_string())).await;
            }
            tell.send(number).unwrap();
        }
    })
    .await;
    (server, closed)
}

/// The clock runs to the limit as soon as nobody has anything to do.
#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_is_closed_at_the_limit() {
    let (server, mut closed) = answering().await;
    let transport = direct();
    let start = tokio::time::Instant::now();
    text(&transport, &server.url()).await.unwrap();
    assert_eq!(closed.recv().await, Some(0));
    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(text(&transport, &server.url()).await.unwrap(), "1");
}

#[tokio::test]
async fn a_transport_that_is_dropped_closes_what_it_keeps() {
    let (server, mut closed) = answering().await;
    let transport = direct();
    text(&transport, &server.url()).await.unwrap();
    drop(transport);
    assert_eq!(closed.recv().await, Some(0));
}

/// Sends two requests at once, so that two connections stand.
async fn two_at_once(transport: &HyperTransport, server: &Server) {
    let (first, second) =
        tokio::join!(send(transport, post(&server.url(), "{}")), send(transport, post(&server.url(), "{}")));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(server.accepted(), 2);
    read(first).await.unwrap();
    read(second).await.unwrap();
}

#[tokio::test]
async fn the_connection_that_came_back_last_is_used_first() {
    let (server, _closed) = answering().await;
    let transport = direct();
    let (first, second) = tokio::join!(
        send(&transport, post(&server.url(), "{}")),
        send(&transport, post(&server.url(), "{}"))
    );
    let last = read(first.unwrap()).await.unwrap();
    assert_ne!(read(second.unwrap()).await.unwrap(), last);
    for _ in 0..3 {
        assert_ne!(text(&transport, &server.url()).await.unwrap(), last);
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test]
async fn no_more_connections_are_kept_than_allowed() {
    let (server, mut closed) = answering().await;
    let transport = HyperTransport::builder().no_proxy().max_idle_per_host(1).build().unwrap();
    two_at_once(&transport, &server).await;
    closed.recv().await.unwrap();
    text(&transport, &server.url()).await.unwrap();
    assert_eq!(server.accepted(), 2);
}

/// As haproxy does when a connection has been idle for too long.
#[tokio::test]
async fn a_connection_with_bytes_that_nobody_asked_for_is_not_used() {
    let server = Server::start(|_, mut peer| async move {
        if peer.request().await.is_some() {
            peer.send(ok("fine") + "HTTP/1.1 408 Request Time-out\r\ncontent-length: 0\r\n\r\n").await;
            assert_eq!(peer.rest().await, b"", "nothing more is sent over it");
        }
    })
    .await;
    let transport = direct();
    for _ in 0..5 {
        assert_eq!(text(&transport, &server.url()).await.unwrap(), "fine");
        settle().await;
    }
    assert_eq!(server.accepted(), 5);
}

#[tokio::test]
async fn a_server_that_announces_to_close_is_believed() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nfine").await;
        assert_eq!(peer.rest().await, b"");
    })
    .await;
    let transport = direct();
    for _ in 0..3 {
        assert_eq!(text(&transport, &server.url()).await.unwrap(), "fine");
    }
    assert_eq!(server.accepted(), 3);
}

/// Its end has come already, so that nothing is saved by closing.
#[tokio::test]
async fn a_body_that_is_dropped_unread_after_its_end_came_gives_its_connection_back() {
    let (server, _closed) = answering().await;
    let transport = direct();
    for _ in 0..3 {
        drop(send(&transport, post(&server.url(), "{}")).await.unwrap());
    }
    assert_eq!(server.accepted(), 1);
}

/// A server whose answers end when it is told so.
async fn ending_late(end: &'static str) -> (Server, Arc<Notify>, mpsc::UnboundedReceiver<&'static str>) {
    let (tell, told) = mpsc::unbounded_channel();
    let finish = Arc::new(Notify::new());
    let notified = Arc::clone(&finish);
    let server = Server::start(move |_, mut peer| {
        let (tell, finish) = (tell.clone(), Arc::clone(&notified));
        async move {
            while peer.request().await.is_some() {
                peer.send(format!("{CHUNKED}4\r\nDONE\r\n")).await;
                finish.notified().await;
                peer.send(end).await;
                tell.send("ended").unwrap();
            }
            tell.send("closed").unwrap();
        }
    })
    .await;
    (server, finish, told)
}

#[tokio::test]
async fn a_complete_message_need_not_wait_for_the_end_of_its_body() {
    let (server, finish, mut told) = ending_late("0\r\n\r\n").await;
    let transport = direct();
    for _ in 0..3 {
        let mut body = send(&transport, post(&server.url(), "{}")).await.unwrap().into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "DONE");
        body.reuse_when_dropped();
        drop(body);
        finish.notify_one();
        assert_eq!(told.recv().await, Some("ended"));
        settle().await;
    }
    assert_eq!(server.accepted(), 1);
}

/// LiteLLM sends the last chunk a while after `[DONE]`: two connections take turns.
#[tokio::test]
async fn a_connection_whose_last_body_has_not_ended_waits_for_its_turn() {
    let (server, finish, mut told) = ending_late("0\r\n\r\n").await;
    let transport = direct();
    for call in 0..6 {
        let mut body = send(&transport, post(&server.url(), "{}")).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        body.reuse_when_dropped();
        drop(body);
        // The end of each body comes while the next call runs.
        if call > 0 {
            finish.notify_one();
            assert_eq!(told.recv().await, Some("ended"));
        }
        settle().await;
    }
    assert_eq!(server.accepted(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_last_body_does_not_end_is_closed_at_the_limit() {
    let (server, finish, mut told) = ending_late("").await;
    let transport = direct();
    let mut body = send(&transport, post(&server.url(), "{}")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    body.reuse_when_dropped();
    drop(body);
    finish.notify_one();
    assert_eq!(told.recv().await, Some("ended"));
    let second = send(&transport, post(&server.url(), "{}")).await.unwrap();
    assert_eq!(server.accepted(), 2);
    assert_eq!(told.recv().await, Some("closed"));
    drop(second);
}

#[tokio::test]
async fn a_body_that_is_dropped_in_the_middle_closes_its_connection() {
    let (server, finish, mut told) = ending_late("0\r\n\r\n").await;
    let mut body = send(&direct(), post(&server.url(), "{}")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    finish.notify_one();
    // The server writes into a connection that is closed, and sees it when it reads.
    assert_eq!(told.recv().await, Some("ended"));
    assert_eq!(told.recv().await, Some("closed"));
}

/// A server that answers with the number of the connection. The first answer and the second connection wait
/// until they are let go.
#[cfg(unix)]
#[tokio::test]
async fn a_call_takes_a_connection_that_comes_back_before_its_own_stands_and_that_one_is_kept() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (answer, connect) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let gates = (Arc::clone(&answer), Arc::clone(&connect));
    let targets = Arc::new(Mutex::new(0));
    let opened = Arc::clone(&targets);
    // A SOCKS proxy that is the server too: its handshake is what takes long.
    let server = Server::start(move |number, mut peer| {
        let (answer, connect) = gates.clone();
        let opened = Arc::clone(&opened);
        async move {
            peer.stream.read_exact(&mut [0; 3]).await.unwrap();
            if number == 1 {
                connect.notified().await;
            }
            peer.stream.write_all(&[5, 0]).await.unwrap();
            peer.stream.read_exact(&mut [0; 10]).await.unwrap();
            peer.stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            *opened.lock().unwrap() += 1;
            let mut is_first = number == 0;
            while peer.request().await.is_some() {
                if is_first {
                    answer.notified().await;
                }
                is_first = false;
                peer.send(ok(&number.to_string())).await;
            }
        }
    })
    .await;
    let transport = HyperTransport::builder().proxy(&format!("socks5h://{}", server.addr)).build().unwrap();
    let call = || {
        let transport = transport.clone();
        tokio::spawn(async move { text(&transport, "http://10.9.9.9/").await.unwrap() })
    };
    let first = call();
    while server.accepted() < 1 {
        tokio::task::yield_now().await;
    }
    settle().await;
    let second = call();
    while server.accepted() < 2 {
        tokio::task::yield_now().await;
    }
    answer.notify_one();
    assert_eq!(first.await.unwrap(), "0");
    assert_eq!(second.await.unwrap(), "0", "it did not wait for its own");
    assert_eq!(*targets.lock().unwrap(), 1);
    connect.notify_one();
    while *targets.lock().unwrap() < 2 {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert_eq!(call().await.unwrap(), "1", "it was kept, and came last");
    assert_eq!(server.accepted(), 2);
}

/// The end of a runtime drops bodies, which then find no runtime for what they would keep.
#[test]
fn a_body_that_is_dropped_with_its_runtime_hangs_nobody() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let servers = runtime();
    let (server, _closed) = servers.block_on(answering());
    let transport = direct();
    for _ in 0..3 {
        let clients = runtime();
        let (transport, url) = (transport.clone(), server.url());
        let (tell, told) = std::sync::mpsc::channel();
        clients.spawn(async move {
            let response = send(&transport, post(&url, "{}")).await.unwrap();
            tell.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(response);
        });
        told.recv().unwrap();
        drop(clients);
    }
    // A runtime that lives finds a connection of one that does not, and opens another.
    let text = servers.block_on(text(&transport, &server.url()));
    assert!(text.is_ok(), "{text:?}");
    drop(servers.block_on(send(&transport, post(&server.url(), "{}"))).unwrap());
}
