//! A connection of HTTP/2: many streams at once, up to the server's limit, driven by a task of its own.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Waker,
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http2::{Builder, SendRequest},
    },
    rt::Executor,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{sync::oneshot, time::Instant};

use crate::{connect::stream::Stream, http1::FullBody};

/// Whether HTTP/2 is spoken.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Http2 {
    /// HTTP/1.1 alone.
    #[default]
    Off,
    /// Over TLS, where the server chooses it in the handshake (ALPN). Everything else is HTTP/1.1.
    Negotiated,
    /// Always, without TLS too: the server is known to speak it. Through a proxy that forwards plain HTTP it
    /// is HTTP/1.1 all the same.
    PriorKnowledge,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Http2Settings {
    pub(crate) mode: Http2,
    pub(crate) keep_alive: Option<Duration>,
}

impl Default for Http2Settings {
    fn default() -> Self {
        Self { mode: Http2::Off, keep_alive: Some(Duration::from_secs(20)) }
    }
}

/// How long a ping may take.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Stands for a limit of streams that the server has not told. More than it could: limits have 32 bits.
const UNKNOWN: usize = usize::MAX - 1;

pub(crate) struct Connection {
    sender: SendRequest<FullBody>,
    shared: Arc<Shared>,
}

struct Shared {
    /// The server's limit of streams.
    limit: AtomicUsize,
    active: AtomicUsize,
    /// It has carried a stream to its end or beyond its head.
    used: AtomicBool,
    /// The server takes no further streams.
    retired: AtomicBool,
    idle_since: Mutex<Instant>,
}

/// Runs hyper's task that reads and writes. It wakes the other one, which sees the server's settings, until
/// those are there: hyper does so only when there is a request to send.
#[derive(Clone, Default)]
struct SettingsWaker(Arc<Mutex<Option<Waker>>>);

impl SettingsWaker {
    fn register(&self, waker: &Waker) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    fn wake(&self) {
        let waker = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for SettingsWaker {
    fn execute(&self, task: F) {
        let waker = self.clone();
        tokio::spawn(async move {
            let mut task = pin!(task);
            poll_fn(|cx| {
                let polled = task.as_mut().poll(cx);
                waker.wake();
                polled
            })
            .await;
        });
    }
}

/// The place of one stream on a connection. Dropped, it is free for another.
pub(crate) struct Slot {
    connection: Arc<Connection>,
}

impl Connection {
    /// Begins HTTP/2 on a stream, and awaits the server's settings.
    pub(crate) async fn new(stream: Stream, settings: Http2Settings) -> Result<Self, Option<hyper::Error>> {
        let settings_may_be_there = SettingsWaker::default();
        let mut builder = Builder::new(settings_may_be_there.clone());
        builder
            .timer(TokioTimer::new())
            .initial_max_send_streams(UNKNOWN)
            .keep_alive_interval(settings.keep_alive)
            .keep_alive_timeout(PING_TIMEOUT);
        let (sender, mut driven) = builder.handshake(TokioIo::new(stream)).await.map_err(Some)?;
        let shared = Arc::new(Shared {
            limit: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
        });
        let (tell, told) = oneshot::channel();
        let mut tell = Some(tell);
        let told_to = Arc::clone(&shared);
        tokio::spawn(async move {
            let ended = poll_fn(|cx| {
                let polled = Pin::new(&mut driven).poll(cx);
                if tell.is_some() {
                    settings_may_be_there.register(cx.waker());
                }
                let limit = driven.current_max_send_streams();
                if limit != UNKNOWN {
                    told_to.limit.store(limit, Ordering::Relaxed);
                    if let Some(tell) = tell.take() {
                        let _ = tell.send(Ok(()));
                    }
                }
                polled
            })
            .await;
            told_to.retired.store(true, Ordering::Relaxed);
            if let Some(tell) = tell.take() {
                let _ = tell.send(ended.map_or_else(|error| Err(Some(error)), |()| Err(None)));
            }
        });
        match told.await {
            Ok(known) => known.map(|()| Self { sender, shared }),
            Err(_) => Err(None),
        }
    }

    /// A place for one more stream, if the server takes one.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Slot> {
        let Shared { limit, active, .. } = &*self.shared;
        if self.is_retired() {
            return None;
        }
        let limit = limit.load(Ordering::Relaxed);
        let more = |active: usize| (active < limit).then_some(active + 1);
        active.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Slot { connection: Arc::clone(self) })
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.shared.retired.load(Ordering::Relaxed) || self.sender.is_closed()
    }

    /// Since when it has no stream; none while it has some.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        let is_idle = self.shared.active.load(Ordering::Relaxed) == 0;
        is_idle.then(|| *self.shared.idle_since.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Slot {
    /// Sends a request and awaits the response's head. Dropped before that, the stream is reset, and no
    /// other.
    pub(crate) async fn send(
        &self,
        request: Request<FullBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<FullBody>>> {
        let mut sender = self.connection.sender.clone();
        let response = sender.try_send_request(request).await;
        if response.is_ok() {
            self.connection.shared.used.store(true, Ordering::Relaxed);
        }
        response
    }

    /// Whether another stream has had an answer over this connection.
    pub(crate) fn is_reused(&self) -> bool {
        self.connection.shared.used.load(Ordering::Relaxed)
    }

    /// No further stream is begun on this connection.
    pub(crate) fn retire(&self) {
        self.connection.shared.retired.store(true, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let shared = &self.connection.shared;
        *shared.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        shared.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether the server has told that it did not begin with a request: then it may be sent again.
pub(crate) enum Unprocessed {
    /// This stream was refused.
    Stream,
    /// The connection takes no further streams, and has not taken this one.
    Connection,
}

impl Unprocessed {
    pub(crate) fn of(error: &hyper::Error) -> Option<Self> {
        let error: &h2::Error = std::error::Error::source(error)?.downcast_ref()?;
        match error.reason()? {
            h2::Reason::REFUSED_STREAM if error.is_remote() => Some(Self::Stream),
            // The streams up to the last one that the server has taken go on after it; h2 ends only those
            // beyond.
            h2::Reason::NO_ERROR if error.is_remote() && error.is_go_away() => Some(Self::Connection),
            _ => None,
        }
    }
}
