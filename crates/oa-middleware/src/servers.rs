//! Several servers as one service: in order, balanced, or by conversation.

mod begins;
mod breaker;
mod call;
mod dns;
mod event;
mod health;
mod hedge;
mod permit;
mod pick;
mod prompt;
mod set;
mod share;
#[cfg(test)]
mod tests;

pub use breaker::{BreakerPolicy, OutReason};
pub use dns::DnsDiscover;
pub use event::{ServerEvent, ServerStatus};
pub use hedge::Hedge;
pub use prompt::AffinityKey;

use crate::{CallContext, random::Random};
use oa_wire::{Category, Completion, CompletionRequest, Error};
use set::{Order, Set, Settings};
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::discover::{Change, Discover};
use tower_service::Service;

/// Several servers behind one service. Clones share the servers, their load and their breakers.
///
/// ```
/// # use oa_wire::{Completion, CompletionRequest, Error};
/// # fn example<S>(near: S, far: S) -> Result<(), Error>
/// # where
/// #     S: tower_service::Service<CompletionRequest, Response = Completion, Error = Error>
/// #         + Clone + Send + Sync + 'static,
/// #     S::Future: Send,
/// # {
/// use oa_middleware::Servers;
///
/// let service = Servers::affinity([("gpu1", near), ("gpu2", far)])?;
/// # let _ = service;
/// # Ok(()) }
/// ```
///
/// # Which server
///
/// - [`failover`](Self::failover), for servers that are not equal: the first that is well.
/// - [`affinity`](Self::affinity), for replicas and conversations of several turns: the one that has the
///   conversation's prefix in its cache, unless that one has more than its part of the load.
/// - [`balance`](Self::balance), for replicas and prompts that have nothing in common: the one with less
///   under way, of two that are drawn.
///
/// The load of a server is the bytes of the prompts that are under way there (and 1024 bytes for each call).
///
/// Of 64 conversations of 20 turns, 16 at once, on replicas that cache prompts, these parts of all prompts
/// were prefilled in a simulation, and the replica with the most load had so many times the mean's:
///
/// | caches | replicas | balance | affinity | hashing without a bound |
/// |---|---|---|---|---|
/// | endless | 1 | 9 % | 9 % | 9 % |
/// | endless | 2 | 11 %, 1.0 | 9 %, 1.0 | 9 %, 1.1 |
/// | endless | 4 | 30 %, 1.0 | 9 %, 1.0 | 9 %, 1.4 |
/// | endless | 8 | 48 %, 1.1 | 10 %, 1.1 | 9 %, 1.5 |
/// | six conversations each | 2 | 32 %, 1.0 | 32 %, 1.0 | 40 %, 1.1 |
/// | six conversations each | 4 | 54 %, 1.0 | 9 %, 1.0 | 13 %, 1.4 |
/// | six conversations each | 8 | 62 %, 1.1 | 10 %, 1.1 | 9 %, 1.5 |
///
/// # Where a server fails
///
/// A call goes on to another server for causes where another may do better ([`is_failover_error`]), until the
/// first event of a stream, never after. Each server has the time limits of an attempt to itself
/// ([`first_event_timeout`](Self::first_event_timeout), [`idle_timeout`](Self::idle_timeout)): where a
/// [`Stack`](crate::Stack) or the timeout layers are outside, their limits are applied to each server, and so
/// a server that hangs is a server that failed. The next attempt of a retry layer outside goes to a server
/// that has not failed the call yet.
///
/// A server is taken out of rotation
///
/// - by several transient failures in a row, of calls or of streams that had begun; only a whole answer
///   clears the count. Where a call meets a time limit and the server gave no sign of life to anybody for the
///   second half of that time, all calls that wait there count as failed. A call that somebody drops counts
///   where the server was silent in the same way;
/// - for the time that it asks to wait ([`Error::retry_after`]), at most an hour;
/// - by a wrong key, an unknown or unloaded model, a spent quota, at once.
///
/// Then the [probe](Self::probe), or one call, finds out whether it is back, and its share of the calls rises
/// over half a minute ([`slow_start`](Self::slow_start)). A call that does so goes to another server as well
/// where the answer takes four times as long as was usual to begin, and half a second at least. Where all
/// are out of rotation they are called all the same: a refusal would be a sure failure. A server whose
/// streams take more than three times as long to begin as the others' loses share, and gets it back.
/// [`on_change`](Self::on_change) tells of all this, and [`status`](Self::status) shows it.
///
/// The failed attempts are in the error ([`Error::attempts`]), each with the server's name; of a call that
/// succeeds they are in its [`AttemptLog`](crate::AttemptLog), if it has one.
///
/// No task runs besides the calls: a probe is driven by the calls that are under way.
pub struct Servers<S> {
    set: Set<S>,
}

/// How a set of servers chooses, for [`Servers::empty`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerChoice {
    /// As [`Servers::failover`].
    Failover,
    /// As [`Servers::balance`].
    Balance,
    /// As [`Servers::affinity`].
    Affinity,
}

impl ServerChoice {
    /// The order, and how many servers one call may go to.
    const fn order(self) -> (Order, usize) {
        match self {
            Self::Failover => (Order::AsGiven, usize::MAX),
            Self::Balance => (Order::PowerOfTwo, 2),
            Self::Affinity => (Order::Affinity { bound: 1.25 }, 2),
        }
    }
}

/// Whether another server may do better: unavailable, rate limited (a spent quota too), not loaded, a model
/// or a key that this server does not know. Not what is wrong with the request, and not what the model made
/// of it.
pub fn is_failover_error(error: &Error) -> bool {
    matches!(
        error.category(),
        Category::Unavailable
            | Category::RateLimit
            | Category::ModelNotLoaded
            | Category::InvalidModel
            | Category::Authentication
    )
}

impl<S> Servers<S> {
    /// Calls the first, and the next ones in order where it fails. For servers that are not equal.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for no servers, or two of one name.
    pub fn failover<N: Into<String>>(servers: impl IntoIterator<Item = (N, S)>) -> Result<Self, Error> {
        Self::new(servers, ServerChoice::Failover)
    }

    /// Calls the one with less under way, of two that are drawn. For replicas. A call goes on to one more at
    /// most, since it may be the call that brings servers down; retry, outside, can come back.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for no servers, or two of one name.
    pub fn balance<N: Into<String>>(servers: impl IntoIterator<Item = (N, S)>) -> Result<Self, Error> {
        Self::new(servers, ServerChoice::Balance)
    }

    /// Calls the server that has the conversation's prefix in its cache, while that one has no more than 1.25
    /// times its part of the load ([`bound`](Self::bound)); otherwise the next in the conversation's order.
    /// For replicas. A call goes on to one more at most. A conversation that begins is sent where few
    /// began lately: it has no cache to lose.
    ///
    /// The order is that of rendezvous hashing by [`AffinityKey`], or else by the system message and the
    /// first user message; it is the same in every process that gives the servers the same names. A turn that
    /// is sent elsewhere because of the load is one turn: the next one goes to the conversation's server
    /// again. Where that one failed the call or is out of rotation, the conversation moves and stays.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for no servers, or two of one name.
    pub fn affinity<N: Into<String>>(servers: impl IntoIterator<Item = (N, S)>) -> Result<Self, Error> {
        Self::new(servers, ServerChoice::Affinity)
    }

    /// A set without servers, until some are [added](Self::add) or a feed is [followed](Self::follow). A call
    /// is [`Unavailable`](Category::Unavailable) in the meantime.
    pub fn empty(choice: ServerChoice) -> Self {
        let (order, max_servers) = choice.order();
        Self { set: Set::new(settings(order, max_servers)) }
    }

    fn new<N: Into<String>>(
        servers: impl IntoIterator<Item = (N, S)>,
        choice: ServerChoice,
    ) -> Result<Self, Error> {
        let Self { set } = Self::empty(choice);
        for (name, service) in servers {
            let name: Arc<str> = name.into().into();
            if !set.add(&name, service, false) {
                return Err(Error::invalid_request(format!("servers: two are named `{name}`")));
            }
        }
        if set.snapshot().is_empty() {
            return Err(Error::invalid_request("servers: there are none"));
        }
        Ok(Self { set })
    }

    /// How many servers one call may go to: by default all for failover and two otherwise, at least one.
    /// Those that refuse the key, the model or the quota do not count.
    #[must_use]
    pub fn max_servers(self, servers: usize) -> Self {
        self.set(|settings| settings.max_servers = servers.max(1))
    }

    /// Which errors go on to another server, in place of [`is_failover_error`].
    #[must_use]
    pub fn retry_on(self, retryable: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.retry_on = Arc::new(retryable))
    }

    /// How long a server may take to begin its answer. Ten minutes by default. A shorter limit of a
    /// [`FirstEventTimeoutLayer`](crate::FirstEventTimeoutLayer) outside takes its place.
    #[must_use]
    pub fn first_event_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.first_event = limit)
    }

    /// How long a stream may be silent. 60 seconds by default. A shorter limit of an
    /// [`IdleTimeoutLayer`](crate::IdleTimeoutLayer) outside takes its place.
    #[must_use]
    pub fn idle_timeout(self, limit: Duration) -> Self {
        self.set(|settings| settings.idle = limit)
    }

    /// When a server is taken out of rotation for its failures, and for how long.
    #[must_use]
    pub fn breaker(self, policy: BreakerPolicy) -> Self {
        self.set(|settings| settings.breaker = policy)
    }

    /// Over what time the share of a server rises that came back or was added: half of it after a quarter of
    /// the time. 30 seconds by default; none for zero.
    #[must_use]
    pub fn slow_start(self, time: Duration) -> Self {
        self.set(|settings| settings.slow_start = time)
    }

    /// How much more than its part of the load a server may have before a turn goes elsewhere; only for
    /// [`affinity`](Self::affinity). 1.25 by default, 1 at least; infinite for hashing without a bound. A
    /// server with 10 KiB or less under way is within every bound. A conversation that begins goes to the
    /// first of these servers where at most 1.05 times its part of the conversations began lately.
    #[must_use]
    pub fn bound(self, bound: f64) -> Self {
        self.set(|settings| {
            if let Order::Affinity { bound: own } = &mut settings.order {
                *own = bound.max(1.0);
            }
        })
    }

    /// Calls a second server where the first does not begin to answer. Off by default.
    #[must_use]
    pub fn hedge(self, hedge: Hedge) -> Self {
        self.set(|settings| settings.hedge = Some(hedge))
    }

    /// Finds out by this function whether a server that is out of rotation is back, a provider's `ready` for
    /// instance. Without it, a call finds out.
    ///
    /// It should have a time limit. It makes progress while calls are under way.
    #[must_use]
    pub fn probe<F>(self, probe: impl Fn(S) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.set(|settings| settings.probe = Some(Arc::new(move |service| Box::pin(probe(service)))))
    }

    /// Is told when a server goes out of rotation and comes back, is added or removed, and of hedges. It must
    /// not block.
    #[must_use]
    pub fn on_change(self, hook: impl Fn(ServerEvent<'_>) + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.on_change = Some(Arc::new(hook)))
    }

    /// Makes the choices the same in each run, for tests.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.set(|settings| settings.random = Random::seeded(seed))
    }

    /// Adds a server while calls run. Its share rises slowly. False if there is one of this name.
    pub fn add(&self, name: impl Into<String>, service: S) -> bool {
        self.set.add(&name.into().into(), service, true)
    }

    /// Removes a server while calls run: it gets no new calls, and those that are under way there go on.
    /// False if there is none of this name.
    pub fn remove(&self, name: &str) -> bool {
        self.set.remove(name)
    }

    /// Follows a feed of servers: adds and removes them while calls run. It ends when the feed ends, or with
    /// its error; the servers stay as they are then. A server that is announced again replaces the one of its
    /// name.
    ///
    /// Nothing follows the feed while this future is not polled: give it to a task. For a name with several
    /// addresses, see [`DnsDiscover`].
    ///
    /// # Errors
    ///
    /// The feed's own.
    pub async fn follow<D>(&self, feed: D) -> Result<(), D::Error>
    where
        D: Discover<Service = S>,
        D::Key: fmt::Display,
    {
        let mut feed = pin!(feed);
        while let Some(change) = poll_fn(|cx| feed.as_mut().poll_discover(cx)).await {
            match change? {
                Change::Insert(name, service) => {
                    let name = name.to_string();
                    self.remove(&name);
                    self.add(name, service);
                }
                Change::Remove(name) => {
                    self.remove(&name.to_string());
                }
            }
        }
        Ok(())
    }

    /// Sets a server's weight: its part of the load, where the others' is 1. Above 0. False if there is none
    /// of this name, or the weight is none.
    pub fn set_weight(&self, name: &str, weight: f64) -> bool {
        let servers = self.set.snapshot();
        let server = servers.iter().find(|server| &*server.health.name == name);
        let Some(server) = server.filter(|_| weight.is_finite() && weight > 0.0) else { return false };
        server.health.set_weight(weight);
        true
    }

    /// The server that a call of this request would go to now. Nothing is called, and nothing changes.
    pub fn route(&self, request: &CompletionRequest) -> Option<Arc<str>> {
        let servers = self.set.snapshot();
        let (context, call) = (CallContext::of(request), self.set.call(request));
        let choice = self.set.place(&servers, &[], context, call, self.set.now())?;
        Some(servers[choice.at].health.name.clone())
    }

    /// The servers at this moment.
    pub fn status(&self) -> Vec<ServerStatus> {
        self.set.status()
    }

    fn set(mut self, change: impl FnOnce(&mut Settings<S>)) -> Self {
        change(Arc::make_mut(&mut self.set.settings));
        self
    }
}

fn settings<S>(order: Order, max_servers: usize) -> Settings<S> {
    Settings {
        order,
        max_servers,
        first_event: Duration::from_secs(600),
        idle: Duration::from_secs(60),
        breaker: BreakerPolicy::new(),
        slow_start: Duration::from_secs(30),
        hedge: None,
        random: Random::default(),
        retry_on: Arc::new(is_failover_error),
        probe: None,
        on_change: None,
    }
}

impl<S> Service<CompletionRequest> for Servers<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Which server is called is decided by the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        Box::pin(call::call(self.set.clone(), request))
    }
}

impl<S> Clone for Servers<S> {
    fn clone(&self) -> Self {
        Self { set: self.set.clone() }
    }
}

impl<S> fmt::Debug for Servers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers")
            .field("order", &self.set.settings.order)
            .field("servers", &self.status())
            .finish_non_exhaustive()
    }
}
