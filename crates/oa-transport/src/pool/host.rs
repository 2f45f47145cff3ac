//! One host: how it is reached, and its connections that wait.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::{
    HeaderValue, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};
use hyper::body::Incoming;
use tokio::{
    runtime::Handle,
    sync::oneshot,
    time::{Instant, sleep_until},
};

use super::limits::PoolLimits;
use crate::{
    connect::{Settings, bad_request, conn::Conn},
    error::{Stage, TransportError, TransportErrorKind},
    http1::Http1,
    origin::{self, Origin},
    proxy::{NearMiss, Proxy, ProxyRoute},
};

pub(crate) struct Host {
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    /// A URI of this host.
    uri: Uri,
    origin: Origin,
    /// The value of `host`.
    header: HeaderValue,
    proxy: Option<Proxy>,
    limits: PoolLimits,
    state: Mutex<State>,
    #[cfg(feature = "http2")]
    shared: super::shared::Shared,
}

#[derive(Default)]
struct State {
    /// The last one waits for the shortest time, and is used first.
    idle: Vec<Idle>,
    /// Those whose last body has not ended, used when there are no others.
    ending: Vec<Ending>,
    /// Calls that open a connection, and would take one that comes back before.
    waiters: VecDeque<(u64, oneshot::Sender<Idle>)>,
    next_waiter: u64,
    /// A task closes what waits for too long.
    reaped: bool,
}

/// A connection that waits.
struct Idle {
    http1: Box<Http1>,
    since: Instant,
}

/// A connection that waits, and the body that was read last: the message in it was complete before its end.
struct Ending {
    idle: Idle,
    rest: Incoming,
}

/// A connection for a request.
pub(crate) struct Checkout {
    pub(crate) connection: Connection,
    /// It was in the pool: it may have died there.
    pub(crate) is_reused: bool,
}

pub(crate) enum Connection {
    Http1(Box<Http1>),
    #[cfg(feature = "http2")]
    Http2(crate::http2::Slot),
}

/// The opening of a connection, which may go on after its call has ended.
type Connecting = Pin<Box<dyn Future<Output = Result<Box<Http1>, TransportError>> + Send>>;

impl Host {
    pub(super) fn new(uri: &Uri, settings: &Settings, limits: PoolLimits) -> Result<Self, TransportError> {
        let origin = Origin::of(uri).map_err(|message| bad_request(Origin::of_any(uri), message))?;
        #[cfg(not(feature = "tls"))]
        if origin.scheme == origin::Scheme::Https {
            return Err(bad_request(origin, crate::connect::NO_TLS));
        }
        let header = match origin.scheme {
            // A socket has no name; every server takes this one.
            origin::Scheme::Unix => Ok(HeaderValue::from_static("localhost")),
            _ => HeaderValue::try_from(origin.authority()),
        };
        let header = header
            .map_err(|_| bad_request(origin.clone(), "the host of the URL cannot be a header's value"))?;
        let proxy = match settings.proxies.for_uri(uri) {
            ProxyRoute::Through(proxy) => Some(proxy.clone()),
            _ => None,
        };
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::from_static("/"));
        Ok(Self {
            scheme: uri.scheme().cloned(),
            authority: uri.authority().cloned(),
            uri: Uri::from_parts(parts).unwrap_or_default(),
            origin,
            header,
            proxy,
            limits,
            state: Mutex::default(),
            #[cfg(feature = "http2")]
            shared: super::shared::Shared::default(),
        })
    }

    pub(super) fn is_of(&self, uri: &Uri) -> bool {
        self.is_written_so(uri)
            || self.authority.as_ref() == uri.authority() && self.scheme.as_ref() == uri.scheme()
    }

    /// Whether the URI names the host in the same letters, which is quick to see.
    fn is_written_so(&self, uri: &Uri) -> bool {
        self.authority.as_ref().map(Authority::as_str) == uri.authority().map(Authority::as_str)
            && self.scheme.as_ref() == uri.scheme()
    }

    pub(super) fn is_in_use(&self) -> bool {
        #[cfg(feature = "http2")]
        if self.shared.is_in_use() {
            return true;
        }
        let state = self.lock();
        !(state.idle.is_empty() && state.ending.is_empty() && state.waiters.is_empty())
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// The proxy that requests go through.
    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The proxy that requests are sent to, in plain HTTP: they then name the host in their first line.
    pub(crate) fn forward_proxy(&self) -> Option<&Proxy> {
        let is_plain = self.origin.scheme == origin::Scheme::Http;
        self.proxy.as_ref().filter(|proxy| is_plain && !proxy.scheme().is_socks())
    }

    /// The scheme that HTTP knows.
    #[cfg(feature = "http2")]
    pub(crate) fn http_scheme(&self) -> Scheme {
        if self.origin.scheme == origin::Scheme::Https { Scheme::HTTPS } else { Scheme::HTTP }
    }

    pub(crate) fn near_miss(&self, settings: &Settings) -> Option<NearMiss> {
        settings.proxies.near_miss(&self.uri)
    }

    /// A connection that waits, or a new one; whichever comes first. With `fresh` a new one, or one that is
    /// shared.
    #[inline]
    pub(crate) async fn checkout(
        self: &Arc<Self>,
        settings: &Arc<Settings>,
        now: Instant,
        fresh: bool,
    ) -> Result<Checkout, TransportError> {
        #[cfg(feature = "http2")]
        if self.may_speak_http2(settings) {
            if let Some(checkout) = Box::pin(self.checkout_http2(settings)).await? {
                return Ok(checkout);
            }
        }
        if fresh {
            return self.connect(settings).await.map(Checkout::fresh);
        }
        let mut ending = Unended { host: self, ending: Vec::new() };
        if let Some(http1) = ending.take(now) {
            return Ok(Checkout::reused(http1));
        }
        // In a box, so that a call which finds a connection is not as large as one that opens one.
        Box::pin(self.race(settings, ending)).await
    }

    /// A connection whose last body ends, one that comes back, or a new one; whichever comes first.
    async fn race(
        self: &Arc<Self>,
        settings: &Arc<Settings>,
        mut ending: Unended<'_>,
    ) -> Result<Checkout, TransportError> {
        let mut connecting = self.connect(settings);
        let mut waiter = Waiter::new(self);
        let mut is_connecting = false;
        let won = poll_fn(|cx| {
            if let Poll::Ready(idle) = ending.poll(cx) {
                return Poll::Ready(Won::Returned(idle));
            }
            if let Poll::Ready(Ok(idle)) = Pin::new(&mut waiter.receiver).poll(cx) {
                return Poll::Ready(Won::Returned(idle));
            }
            is_connecting = true;
            connecting.as_mut().poll(cx).map(Won::Connected)
        })
        .await;
        match won {
            Won::Connected(connected) => Ok(Checkout::fresh(connected?)),
            Won::Returned(idle) => {
                if is_connecting {
                    let host = Arc::clone(self);
                    // Its connect timeout bounds it. A failure is nobody's.
                    tokio::spawn(async move {
                        if let Ok(http1) = connecting.await {
                            host.park(http1, None);
                        }
                    });
                }
                Ok(Checkout::reused(idle.http1))
            }
        }
    }

    /// A new connection.
    fn connect(self: &Arc<Self>, settings: &Arc<Settings>) -> Connecting {
        let (host, settings) = (Arc::clone(self), Arc::clone(settings));
        Box::pin(async move {
            let conn = settings.connect(&host.uri, &host.origin).await?;
            host.begin_http1(conn).await
        })
    }

    async fn begin_http1(&self, conn: Conn) -> Result<Box<Http1>, TransportError> {
        Http1::new(conn).await.map(Box::new).map_err(|error| {
            let (kind, message) = (TransportErrorKind::Other, error.to_string());
            let failure = TransportError::new(Stage::Connect, kind, self.origin.clone(), message);
            failure.with_cause(Arc::new(error))
        })
    }

    #[cfg(feature = "http2")]
    fn may_speak_http2(&self, settings: &Settings) -> bool {
        use crate::http2::Http2;
        match settings.http2.mode {
            Http2::Off => false,
            Http2::Negotiated => self.origin.scheme == origin::Scheme::Https,
            Http2::PriorKnowledge => self.forward_proxy().is_none(),
        }
    }

    /// A place on a connection of HTTP/2; none if the server speaks HTTP/1.1.
    #[cfg(feature = "http2")]
    async fn checkout_http2(
        self: &Arc<Self>,
        settings: &Arc<Settings>,
    ) -> Result<Option<Checkout>, TransportError> {
        use super::shared::Next;
        loop {
            match self.shared.next() {
                Next::Http1 => return Ok(None),
                Next::Send(slot) => return Ok(Some(Checkout::shared(slot))),
                // Whoever opened it may be gone: then this one looks again.
                Next::Wait(opened) => opened.await.unwrap_or(Ok(()))?,
                Next::Open => {
                    let opening = self.shared.open();
                    match self.open_http2(settings).await {
                        Ok(Opened::Http2(connection)) => {
                            self.begin_reaping();
                            match opening.connected(connection) {
                                Some(slot) => return Ok(Some(Checkout::shared(slot))),
                                None => return Err(self.http2_error("the server takes no stream", None)),
                            }
                        }
                        Ok(Opened::Http1(http1)) => {
                            opening.speaks_http1();
                            return Ok(Some(Checkout::fresh(http1)));
                        }
                        Err(error) => {
                            opening.failed(&error);
                            return Err(error);
                        }
                    }
                }
            }
        }
    }

    /// A new connection, of the protocol that the server has chosen.
    #[cfg(feature = "http2")]
    async fn open_http2(self: &Arc<Self>, settings: &Arc<Settings>) -> Result<Opened, TransportError> {
        let conn = settings.connect(&self.uri, &self.origin).await?;
        let is_known = settings.http2.mode == crate::http2::Http2::PriorKnowledge;
        if !is_known && !conn.has_chosen_http2() {
            return self.begin_http1(conn).await.map(Opened::Http1);
        }
        let begun = crate::http2::Connection::new(conn.into_stream(), settings.http2);
        match tokio::time::timeout(settings.connect_timeout, begun).await {
            Ok(Ok(connection)) => Ok(Opened::Http2(connection)),
            Ok(Err(Some(error))) => Err(self.http2_error("what came is not HTTP/2", Some(error))),
            Ok(Err(None)) => {
                Err(self.http2_error("the server closed the connection where HTTP/2 begins", None))
            }
            Err(_) => {
                let message = settings.out_of_time("no settings of HTTP/2");
                let kind = TransportErrorKind::TimedOut;
                Err(TransportError::new(Stage::Connect, kind, self.origin.clone(), message))
            }
        }
    }

    #[cfg(feature = "http2")]
    fn http2_error(&self, message: &str, cause: Option<hyper::Error>) -> TransportError {
        let detail = cause.as_ref().map(|cause| format!(" ({cause})")).unwrap_or_default();
        let message = format!("{message}{detail}");
        let kind = TransportErrorKind::NotHttp;
        let error = TransportError::new(Stage::Connect, kind, self.origin.clone(), message);
        match cause {
            Some(cause) => error.with_cause(Arc::new(cause)),
            None => error,
        }
    }

    /// The connection that waits for the shortest time.
    fn take(&self, now: Instant) -> Taken {
        let is_alive = |idle: &Idle| now.saturating_duration_since(idle.since) < self.limits.idle_timeout;
        let mut expired = (Vec::new(), Vec::new());
        let mut state = self.lock();
        // If the last one has waited for too long, all others have.
        match state.idle.pop() {
            Some(idle) if is_alive(&idle) => return Taken::Idle(idle.http1),
            Some(idle) => {
                expired.0 = mem::take(&mut state.idle);
                expired.0.push(idle);
            }
            None => {}
        }
        let taken = match state.ending.pop() {
            Some(ending) if is_alive(&ending.idle) => Taken::Ending(ending),
            Some(ending) => {
                expired.1 = mem::take(&mut state.ending);
                expired.1.push(ending);
                Taken::None
            }
            None => Taken::None,
        };
        // What is closed is closed without the lock.
        drop(state);
        drop(expired);
        taken
    }

    /// Gives a connection to a call that waits for one, or keeps it. `rest` is the body whose end has not
    /// come.
    pub(crate) fn park(self: &Arc<Self>, mut http1: Box<Http1>, rest: Option<Incoming>) {
        if self.limits.idle_timeout.is_zero() {
            return;
        }
        http1.release();
        let mut idle = Idle { http1, since: Instant::now() };
        let mut state = self.lock();
        if rest.is_none() {
            while let Some((_, waiter)) = state.waiters.pop_front() {
                match waiter.send(idle) {
                    Ok(()) => return,
                    Err(refused) => idle = refused,
                }
            }
        }
        let count = state.idle.len() + state.ending.len();
        if count >= self.limits.max_idle_per_host {
            drop(state);
            drop(idle);
            return;
        }
        match rest {
            None => state.idle.push(idle),
            Some(rest) => state.ending.push(Ending { idle, rest }),
        }
        drop(state);
        self.begin_reaping();
    }

    /// Keeps a connection whose last body has not ended yet, in its order.
    fn park_again(self: &Arc<Self>, mut ending: Ending) {
        ending.idle.http1.release();
        let mut state = self.lock();
        if state.idle.len() + state.ending.len() >= self.limits.max_idle_per_host {
            drop(state);
            drop(ending);
            return;
        }
        let at = state.ending.partition_point(|other| other.idle.since <= ending.idle.since);
        state.ending.insert(at, ending);
        drop(state);
        self.begin_reaping();
    }

    /// Sees to it that a task closes what waits for too long. Without a runtime nothing is kept.
    fn begin_reaping(self: &Arc<Self>) {
        if mem::replace(&mut self.lock().reaped, true) {
            return;
        }
        // Without the lock: a runtime that shuts down drops the task at once, which takes the lock.
        if let Ok(runtime) = Handle::try_current() {
            let reaper = Reaper { host: Arc::downgrade(self), has_ended: false };
            runtime.spawn(reaper.run(self.limits.idle_timeout));
        } else {
            let mut state = self.lock();
            state.reaped = false;
            let kept = (mem::take(&mut state.idle), mem::take(&mut state.ending));
            drop(state);
            drop(kept);
        }
    }

    /// Closes what waits since before `limit`; when the next one is due.
    fn reap(&self, limit: Duration) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let is_expired = |idle: &Idle| now.saturating_duration_since(idle.since) >= limit;
        let count = state.idle.iter().take_while(|idle| is_expired(idle)).count();
        let expired: Vec<_> = state.idle.drain(..count).collect();
        let count = state.ending.iter().take_while(|ending| is_expired(&ending.idle)).count();
        let expired_too: Vec<_> = state.ending.drain(..count).collect();
        let oldest = [state.idle.first(), state.ending.first().map(|ending| &ending.idle)];
        let next = oldest.into_iter().flatten().map(|idle| idle.since).min();
        #[cfg(feature = "http2")]
        let next = [next, self.shared.reap(now, limit)].into_iter().flatten().min();
        if next.is_none() {
            state.reaped = false;
        }
        drop(state);
        drop((expired, expired_too));
        next.map(|since| since.checked_add(limit).unwrap_or(now + FAR))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A longer time than a transport lives.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

enum Won {
    Returned(Idle),
    Connected(Result<Box<Http1>, TransportError>),
}

#[cfg(feature = "http2")]
enum Opened {
    Http1(Box<Http1>),
    Http2(crate::http2::Connection),
}

impl Checkout {
    fn reused(http1: Box<Http1>) -> Self {
        Self { connection: Connection::Http1(http1), is_reused: true }
    }

    fn fresh(http1: Box<Http1>) -> Self {
        Self { connection: Connection::Http1(http1), is_reused: false }
    }

    #[cfg(feature = "http2")]
    fn shared(slot: crate::http2::Slot) -> Self {
        let is_reused = slot.is_reused();
        Self { connection: Connection::Http2(slot), is_reused }
    }
}

enum Taken {
    Idle(Box<Http1>),
    Ending(Ending),
    None,
}

impl Ending {
    /// Reads the rest of the body; then whether the connection can be used.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.idle.http1.poll_end(&mut self.rest, cx)
    }
}

/// Connections whose last bodies have not ended, in the hands of one call. Dropped, it gives them back.
struct Unended<'a> {
    host: &'a Arc<Host>,
    ending: Vec<Ending>,
}

impl Unended<'_> {
    /// A connection that can be used now. Those whose last body has not ended yet are put together here.
    fn take(&mut self, now: Instant) -> Option<Box<Http1>> {
        loop {
            let mut ending = match self.host.take(now) {
                Taken::Idle(http1) => return Some(http1),
                Taken::Ending(ending) => ending,
                Taken::None => return None,
            };
            match ending.poll_end(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(true) => return Some(ending.idle.http1),
                Poll::Ready(false) => {}
                Poll::Pending => self.ending.push(ending),
            }
        }
    }

    /// The first connection whose last body ends.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Idle> {
        let mut at = 0;
        while let Some(ending) = self.ending.get_mut(at) {
            match ending.poll_end(cx) {
                Poll::Ready(true) => return Poll::Ready(self.ending.swap_remove(at).idle),
                Poll::Ready(false) => drop(self.ending.swap_remove(at)),
                Poll::Pending => at += 1,
            }
        }
        Poll::Pending
    }
}

impl Drop for Unended<'_> {
    fn drop(&mut self) {
        for ending in self.ending.drain(..) {
            self.host.park_again(ending);
        }
    }
}

/// A call's place in the queue. Dropped, it leaves the queue, and gives back what it was given.
struct Waiter<'a> {
    host: &'a Arc<Host>,
    id: u64,
    receiver: oneshot::Receiver<Idle>,
}

impl<'a> Waiter<'a> {
    fn new(host: &'a Arc<Host>) -> Self {
        let (sender, receiver) = oneshot::channel();
        let mut state = host.lock();
        let id = state.next_waiter;
        state.next_waiter = id.wrapping_add(1);
        state.waiters.push_back((id, sender));
        Self { host, id, receiver }
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.host.lock().waiters.retain(|(id, _)| *id != self.id);
        if let Ok(idle) = self.receiver.try_recv() {
            self.host.park(idle.http1, None);
        }
    }
}

/// Closes what waits for too long. If it ends early, with its runtime, the next connection starts another.
struct Reaper {
    host: Weak<Host>,
    has_ended: bool,
}

impl Reaper {
    async fn run(mut self, limit: Duration) {
        let now = Instant::now();
        let mut due = now.checked_add(limit).unwrap_or(now + FAR);
        loop {
            sleep_until(due).await;
            let Some(host) = self.host.upgrade() else { return };
            let Some(next) = host.reap(limit) else {
                self.has_ended = true;
                return;
            };
            due = next;
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if let (false, Some(host)) = (self.has_ended, self.host.upgrade()) {
            host.lock().reaped = false;
        }
    }
}
