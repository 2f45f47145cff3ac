//! One host: how it is reached, and its connections that wait.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
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

use super::PoolLimits;
use crate::{
    connect::{Settings, bad_request},
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
    pub(crate) http1: Box<Http1>,
    /// It was in the pool: it may have died there.
    pub(crate) is_reused: bool,
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
        })
    }

    pub(super) fn is_of(&self, uri: &Uri) -> bool {
        self.authority.as_ref() == uri.authority() && self.scheme.as_ref() == uri.scheme()
    }

    pub(super) fn is_in_use(&self) -> bool {
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

    pub(crate) fn near_miss(&self, settings: &Settings) -> Option<NearMiss> {
        settings.proxies.near_miss(&self.uri)
    }

    /// A connection that waits, or a new one; whichever comes first.
    pub(crate) async fn checkout(
        self: &Arc<Self>,
        settings: &Arc<Settings>,
        now: Instant,
    ) -> Result<Checkout, TransportError> {
        let mut ending = match self.take(now) {
            Taken::Idle(http1) => return Ok(Checkout { http1, is_reused: true }),
            Taken::Ending(ending) => Some(ending),
            Taken::None => None,
        };
        let mut connecting: Connecting = Box::pin(Arc::clone(self).connect(Arc::clone(settings)));
        let mut waiter = Waiter::new(self);
        let mut is_connecting = false;
        let won = poll_fn(|cx| {
            if let Some(mut taken) = ending.take() {
                match taken.poll_end(cx) {
                    Poll::Ready(true) => return Poll::Ready(Won::Returned(taken.idle)),
                    Poll::Ready(false) => {}
                    Poll::Pending => ending = Some(taken),
                }
            }
            if let Poll::Ready(Ok(idle)) = Pin::new(&mut waiter.receiver).poll(cx) {
                return Poll::Ready(Won::Returned(idle));
            }
            is_connecting = true;
            connecting.as_mut().poll(cx).map(Won::Connected)
        })
        .await;
        match won {
            Won::Connected(connected) => Ok(Checkout { http1: connected?, is_reused: false }),
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
                Ok(Checkout { http1: idle.http1, is_reused: true })
            }
        }
    }

    /// A new connection.
    pub(crate) async fn connect(
        self: Arc<Self>,
        settings: Arc<Settings>,
    ) -> Result<Box<Http1>, TransportError> {
        let conn = settings.connect(&self.uri, &self.origin).await?;
        match Http1::new(conn).await {
            Ok(http1) => Ok(Box::new(http1)),
            Err(error) => {
                let kind = TransportErrorKind::Other;
                let message = error.to_string();
                let failure = TransportError::new(Stage::Connect, kind, self.origin.clone(), message);
                Err(failure.with_cause(Arc::new(error)))
            }
        }
    }

    /// The connection that waits for the shortest time.
    fn take(&self, now: Instant) -> Taken {
        let limit = self.limits.idle_timeout;
        let is_alive = |idle: &Idle| now.saturating_duration_since(idle.since) < limit;
        let mut state = self.lock();
        let idle = state.idle.pop();
        if let Some(idle) = idle.filter(is_alive) {
            return Taken::Idle(idle.http1);
        }
        // All others wait for longer.
        let expired = mem::take(&mut state.idle);
        let ending = state.ending.pop().filter(|ending| is_alive(&ending.idle));
        let expired_too = if ending.is_none() { mem::take(&mut state.ending) } else { Vec::new() };
        drop(state);
        drop((expired, expired_too));
        ending.map_or(Taken::None, Taken::Ending)
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
        if count >= self.limits.max_idle_per_host || !self.is_reaped(&mut state) {
            drop(state);
            drop(idle);
            return;
        }
        match rest {
            None => state.idle.push(idle),
            Some(rest) => state.ending.push(Ending { idle, rest }),
        }
    }

    /// Sees to it that a task closes what waits for too long. False where there is no runtime for it.
    fn is_reaped(self: &Arc<Self>, state: &mut State) -> bool {
        if !state.reaped {
            let Ok(runtime) = Handle::try_current() else { return false };
            state.reaped = true;
            let reaper = Reaper { host: Arc::downgrade(self), has_ended: false };
            runtime.spawn(reaper.run(self.limits.idle_timeout));
        }
        true
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
