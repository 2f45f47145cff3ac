//! The server: connections are accepted, kept, answered and closed.

use crate::{
    answer::Answer,
    generate,
    http::{ReadError, Request, read_request},
    recorded::Recorded,
    respond::{RequestKind, Sent, respond},
    state::Shared,
};
use bytes::BytesMut;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};

/// Accepts until `stop` changes (or its sender is gone); then every connection is closed.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    // Declared first, so that it goes last: also when the task is aborted or its runtime ends.
    let _stopped = Stopped(&shared);
    let mut connections = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, number, Arc::clone(&shared)));
                    number += 1;
                }
                // Out of file descriptors, or a connection that died in the queue: others may get through.
                Err(_) => sleep(Duration::from_millis(5)).await,
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

struct Stopped<'a>(&'a Shared);

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.stopped = true);
    }
}

/// Counts a connection as open as long as it lives, also when its task is aborted.
struct Open<'a>(&'a Shared);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.stats.open -= 1);
    }
}

async fn connection(mut stream: TcpStream, number: usize, shared: Arc<Shared>) {
    shared.change(|state| {
        state.stats.connections += 1;
        state.stats.open += 1;
    });
    let open = Open(&shared);
    // Best effort: without it, small pieces would only be joined on the way.
    let _ = stream.set_nodelay(true);
    let reset = exchange_all(&mut stream, number, &shared).await;
    if reset {
        // Zero never blocks; its newer name is not in all versions of tokio that serve here.
        #[allow(deprecated)]
        let _ = stream.set_linger(Some(Duration::ZERO));
    } else {
        close(&mut stream).await;
    }
    // The socket goes first, so that "none open" means that the client can see it.
    drop(stream);
    drop(open);
}

/// Orderly close: FIN, then read what the client still sends, since closing with unread bytes would reset.
async fn close(stream: &mut TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let mut sink = [0; 4096];
    while let Ok(1..) = stream.read(&mut sink).await {}
}

/// Serves request after request. True: the connection is to be reset.
async fn exchange_all(stream: &mut TcpStream, number: usize, shared: &Shared) -> bool {
    let mut buffer = BytesMut::new();
    let mut close_idle = shared.close_idle.subscribe();
    loop {
        let request = match next_request(stream, &mut buffer, shared, &mut close_idle).await {
            Ok(request) => request,
            Err(ReadError::Closed) => return false,
            Err(ReadError::Broken) => {
                shared.change(|state| state.stats.malformed += 1);
                return false;
            }
            Err(ReadError::Refused(status, reason)) => {
                let kind = RequestKind { head_only: false, http_1_0: false, close: true };
                respond(stream, &mut buffer, &Answer::text(status, reason).close().wire, kind).await;
                shared.change(|state| state.stats.malformed += 1);
                return false;
            }
        };
        let kind = RequestKind {
            head_only: request.method == "HEAD",
            http_1_0: request.http_1_0,
            close: request.wants_close(),
        };
        let answer = choose(request, number, shared);
        let sent = respond(stream, &mut buffer, &answer.wire, kind).await;
        shared.change(|state| match sent {
            Sent::Whole | Sent::WholeThenClose => state.stats.answered += 1,
            Sent::Cut | Sent::Reset => state.stats.cut += 1,
            Sent::ClientLeft => state.stats.client_left += 1,
        });
        match sent {
            Sent::Whole => {}
            Sent::WholeThenClose | Sent::Cut | Sent::ClientLeft => return false,
            Sent::Reset => return true,
        }
    }
}

/// Counts a connection as idle while it waits for the first byte of a request.
struct Idle<'a>(&'a Shared);

impl<'a> Idle<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.change(|state| state.stats.idle += 1);
        Self(shared)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.stats.idle -= 1);
    }
}

async fn next_request(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    shared: &Shared,
    close_idle: &mut watch::Receiver<u64>,
) -> Result<Request, ReadError> {
    if buffer.is_empty() {
        // Before it counts as idle: what was told while it was busy is not meant for it.
        close_idle.mark_unchanged();
        let _idle = Idle::new(shared);
        tokio::select! {
            _ = close_idle.changed() => return Err(ReadError::Closed),
            () = idle_for(shared.limits.idle) => return Err(ReadError::Closed),
            read = stream.read_buf(buffer) => match read {
                Ok(0) | Err(_) => return Err(ReadError::Closed),
                Ok(_) => {}
            },
        }
    }
    read_request(stream, buffer, shared.limits).await
}

/// Without a limit there is no timer either: a paused clock would go on to it.
async fn idle_for(limit: Option<Duration>) {
    match limit {
        Some(limit) => sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Records the request and decides its answer: loading, the script, the handler, the generative mode.
fn choose(request: Request, connection: usize, shared: &Shared) -> Answer {
    let path = request.path().to_owned();
    let recorded = Recorded {
        method: request.method,
        path,
        target: request.target,
        headers: request.headers,
        body: request.body,
        connection,
    };
    let chosen = shared.change(|state| state.take(&recorded, shared.keep));
    let from_handler = || shared.handler.as_ref().and_then(|handler| handler(&recorded));
    match chosen.or_else(from_handler) {
        Some(answer) if answer.generate => {
            let mut generated = generate::answer(&shared.model, &recorded);
            generated.wire.before = answer.wire.before;
            generated.wire.headers.extend(answer.wire.headers);
            generated
        }
        Some(answer) => answer,
        None if shared.read(|state| state.scripted && !state.then_generate) => exhausted(&recorded),
        None => generate::answer(&shared.model, &recorded),
    }
}

/// A mistake in the test, which a retry would only delay: clients that know the header do not retry.
fn exhausted(request: &Recorded) -> Answer {
    let message =
        format!("simulator: script exhausted: nothing is left in it for {} {}", request.method, request.path);
    let error = json!({"message": message, "type": "simulator_error", "param": null, "code": 500});
    Answer::json(500, json!({"error": error})).header("x-should-retry", "false")
}
