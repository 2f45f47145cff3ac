//! The connections of HTTP/2 to one host, which calls share.
//!
//! A call takes a place on a connection that has one. Where none has, it opens a connection, unless so many
//! are being opened already that one of them will have a place for it.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use crate::{
    error::TransportError,
    http2::{Connection, Slot},
};

#[derive(Default)]
pub(super) struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The server speaks HTTP/1.1.
    is_http1: bool,
    connections: Vec<Arc<Connection>>,
    /// Connections that are being opened.
    opening: usize,
    waiters: Vec<oneshot::Sender<Result<(), TransportError>>>,
}

/// How many calls a connection that is being opened is expected to serve: the least limit of streams that the
/// standard recommends.
const EXPECTED_STREAMS: usize = 100;

/// What a call does next.
pub(super) enum Next {
    /// It has a place.
    Send(Slot),
    /// It waits until a connection was opened, and looks again.
    Wait(oneshot::Receiver<Result<(), TransportError>>),
    /// It opens a connection.
    Open,
    /// It uses HTTP/1.1.
    Http1,
}

/// A call that opens a connection. Dropped before it has told the outcome, another call opens one.
pub(super) struct Opening<'a>(Option<&'a Shared>);

impl Shared {
    pub(super) fn next(&self) -> Next {
        let mut state = self.lock();
        if state.is_http1 {
            return Next::Http1;
        }
        state.connections.retain(|connection| !connection.is_retired());
        if let Some(slot) = state.connections.iter().find_map(Connection::reserve) {
            return Next::Send(slot);
        }
        if state.waiters.len() + state.opening < state.opening * EXPECTED_STREAMS {
            let (sender, receiver) = oneshot::channel();
            state.waiters.push(sender);
            return Next::Wait(receiver);
        }
        state.opening += 1;
        Next::Open
    }

    /// The call that was told to open a connection does so.
    pub(super) fn open(&self) -> Opening<'_> {
        Opening(Some(self))
    }

    /// Closes what has no stream since before `limit`; since when the next one has none.
    pub(super) fn reap(&self, now: Instant, limit: Duration) -> Option<Instant> {
        let mut state = self.lock();
        let is_alive = |connection: &Arc<Connection>| {
            let since = connection.idle_since();
            !connection.is_retired() && since.is_none_or(|since| now.saturating_duration_since(since) < limit)
        };
        let (alive, expired) = mem::take(&mut state.connections).into_iter().partition(is_alive);
        let expired: Vec<_> = expired;
        state.connections = alive;
        // One that is in use is looked at again after a whole time.
        let next = state.connections.iter().map(|connection| connection.idle_since().unwrap_or(now)).min();
        drop(state);
        drop(expired);
        next
    }

    pub(super) fn is_in_use(&self) -> bool {
        let state = self.lock();
        state.opening > 0 || !state.connections.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opening<'_> {
    /// The connection stands: the call has a place on it, if the server takes any stream.
    pub(super) fn connected(mut self, connection: Connection) -> Option<Slot> {
        let connection = Arc::new(connection);
        let slot = connection.reserve();
        self.end(&Ok(()), |state| state.connections.push(connection));
        slot
    }

    /// The server speaks HTTP/1.1.
    pub(super) fn speaks_http1(mut self) {
        self.end(&Ok(()), |state| state.is_http1 = true);
    }

    /// There is no connection. Those who wait for it fail with it, and not each in its turn.
    pub(super) fn failed(mut self, error: &TransportError) {
        self.end(&Err(error.clone()), |_| ());
    }

    fn end(&mut self, outcome: &Result<(), TransportError>, change: impl FnOnce(&mut State)) {
        let Some(shared) = self.0.take() else { return };
        let mut state = shared.lock();
        state.opening -= 1;
        change(&mut state);
        let waiters = mem::take(&mut state.waiters);
        drop(state);
        for waiter in waiters {
            let _ = waiter.send(outcome.clone());
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.end(&Ok(()), |_| ());
    }
}
