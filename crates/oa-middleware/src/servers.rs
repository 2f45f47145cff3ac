//! One service over several servers: in order, or balanced.
//!
//! Both kinds share three rules. A call goes on to the next server only for causes where another may do
//! better ([`is_failover_error`]), and never after the first event of a stream. A server whose calls
//! fail in passing several times in a row is left alone for a while (its circuit breaker is open); then one
//! call, or the [probe](Servers::probe), finds out whether it is back. And where all are left alone, they are
//! tried all the same: a refusal would be a sure failure.
//!
//! No task runs besides the calls: a probe is driven by the calls that are under way.

mod breaker;
#[cfg(test)]
mod tests;

pub use breaker::BreakerPolicy;

use crate::{
    AttemptLog, CallContext, CallObserver, attempt::History, observe::ObserveFuture, random::Random,
};
use breaker::{Breaker, Condition};
use oa_wire::{Category, Completion, CompletionRequest, Error, Response};
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;
use tower_service::Service;

/// Several servers behind one service. Clones share the servers, their load and their breakers.
///
/// ```
/// # use oa_wire::{Completion, CompletionRequest, Error};
/// # fn example<S>(near: S, far: S) -> Result<(), Error>
/// # where
/// #     S: tower_service::Service<CompletionRequest, Response = Completion, Error = Error> + Clone + Send + Sync + 'static,
/// #     S::Future: Send,
/// # {
/// use oa_middleware::Servers;
///
/// let service = Servers::failover([("near", near), ("far", far)])?;
/// # let _ = service;
/// # Ok(()) }
/// ```
///
/// The failed attempts are in the error ([`Error::attempts`]), each with the server's name; of a call that
/// succeeds they are in its [`AttemptLog`], if it has one.
pub struct Servers<S> {
    servers: Arc<[Server<S>]>,
    settings: Arc<Settings<S>>,
}

struct Server<S> {
    name: Arc<str>,
    service: S,
    health: Arc<Health>,
    probe: Mutex<Option<Probe>>,
}

/// What is known of a server; shared with the calls that are under way there.
struct Health {
    breaker: Mutex<Breaker>,
    policy: BreakerPolicy,
    pending: AtomicUsize,
}

struct Settings<S> {
    order: Order,
    max_servers: usize,
    random: Random,
    retry_on: Arc<dyn Fn(&Error) -> bool + Send + Sync>,
    probe: Option<Arc<dyn Fn(S) -> Probe + Send + Sync>>,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    AsGiven,
    PowerOfTwo,
}

type Probe = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

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
    /// Asks the first, and the next ones in order where it fails. For servers that are not equal.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for no servers, or two of one name.
    pub fn failover<N: Into<String>>(servers: impl IntoIterator<Item = (N, S)>) -> Result<Self, Error> {
        Self::new(servers, Order::AsGiven, usize::MAX)
    }

    /// Asks the one with fewer calls under way, of two that are drawn. For replicas. A call goes on to one
    /// more at most, since it may be the call that brings servers down; retry, outside, can come back.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for no servers, or two of one name.
    pub fn balance<N: Into<String>>(servers: impl IntoIterator<Item = (N, S)>) -> Result<Self, Error> {
        Self::new(servers, Order::PowerOfTwo, 2)
    }

    fn new<N: Into<String>>(
        servers: impl IntoIterator<Item = (N, S)>,
        order: Order,
        max_servers: usize,
    ) -> Result<Self, Error> {
        let servers: Arc<[_]> = servers
            .into_iter()
            .map(|(name, service)| Server {
                name: name.into().into(),
                service,
                health: Arc::new(Health::new(BreakerPolicy::default())),
                probe: Mutex::new(None),
            })
            .collect();
        let mut names: Vec<_> = servers.iter().map(|server| &*server.name).collect();
        names.sort_unstable();
        if names.is_empty() {
            return Err(Error::invalid_request("servers: there are none"));
        }
        if let Some((twice, _)) = names.iter().zip(&names[1..]).find(|(one, next)| one == next) {
            return Err(Error::invalid_request(format!("servers: two are named `{twice}`")));
        }
        let retry_on = Arc::new(is_failover_error);
        let settings = Settings { order, max_servers, random: Random::default(), retry_on, probe: None };
        Ok(Self { servers, settings: Arc::new(settings) })
    }

    /// How many servers one call may ask: all for failover and two for balance by default, at least one.
    pub fn max_servers(self, servers: usize) -> Self {
        self.set(|settings| settings.max_servers = servers.max(1))
    }

    /// Which errors go on to another server, in place of [`is_failover_error`].
    pub fn retry_on(self, retryable: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.retry_on = Arc::new(retryable))
    }

    /// Sets when a server is left alone. Call it before the service is shared: it forgets what is known of
    /// them.
    pub fn breaker(mut self, policy: BreakerPolicy) -> Self
    where
        S: Clone,
    {
        self.servers = self
            .servers
            .iter()
            .map(|server| Server {
                name: server.name.clone(),
                service: server.service.clone(),
                health: Arc::new(Health::new(policy)),
                probe: Mutex::new(None),
            })
            .collect();
        self
    }

    /// Finds out by this function whether a server that was left alone is back, a provider's `ready` for
    /// instance. Without it, a call finds out.
    ///
    /// It should have a time limit. It makes progress while calls are under way.
    pub fn probe<F>(self, probe: impl Fn(S) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.set(|settings| settings.probe = Some(Arc::new(move |service| Box::pin(probe(service)))))
    }

    /// Makes the choices the same in each run, for tests.
    pub fn seed(self, seed: u64) -> Self {
        self.set(|settings| settings.random = Random::seeded(seed))
    }

    fn set(mut self, change: impl FnOnce(&mut Settings<S>)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
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
        // Which server will be asked is decided by the call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let servers = self.clone();
        Box::pin(async move { servers.ask(request).await })
    }
}

impl<S> Servers<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error> + Clone + Send + Sync + 'static,
    S::Future: Send,
{
    async fn ask(&self, request: CompletionRequest) -> Result<Completion, Error> {
        let mut history = History::new(request.extensions.get::<AttemptLog>());
        let mut left: Vec<usize> = (0..self.servers.len()).collect();
        for called in 1.. {
            let (at, trial) = self.choose(&left, Instant::now());
            let server = &self.servers[left.remove(at)];
            let error = match self.ask_one(server, trial, request.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let end = if !(self.settings.retry_on)(&error) {
                Some("no other server would do better")
            } else if left.is_empty() {
                Some("no other server is left")
            } else if called >= self.settings.max_servers {
                Some("no further server may be asked")
            } else {
                None
            };
            let verdict = end.unwrap_or("failed over to another server");
            history.push(&error, format!("{}: {verdict}", server.name), Duration::ZERO);
            if end.is_some() {
                return Err(history.attach(error));
            }
        }
        Err(Error::invalid_request("servers: there are none"))
    }

    async fn ask_one(
        &self,
        server: &Server<S>,
        trial: bool,
        request: CompletionRequest,
    ) -> Result<Completion, Error> {
        if let Some(context) = CallContext::of(&request) {
            context.set_server(&server.name);
        }
        let lease = Lease::new(server.health.clone(), trial);
        let mut service = server.service.clone();
        let call = async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        };
        let mut call = pin!(ObserveFuture::new(call, Some(lease)));
        poll_fn(|cx| {
            let answer = call.as_mut().poll(cx);
            if answer.is_pending() {
                self.poll_probes(cx);
            }
            answer
        })
        .await
    }

    /// Drives the probes of servers that are left alone.
    fn poll_probes(&self, cx: &mut Context<'_>) {
        let Some(begin) = &self.settings.probe else { return };
        for server in self.servers.iter() {
            let condition = server.health.breaker().condition(Instant::now());
            if condition == Condition::Closed {
                continue;
            }
            // Another call is at it.
            let Ok(mut probe) = server.probe.try_lock() else { continue };
            if condition == Condition::Due {
                server.health.breaker().try_out();
                *probe = Some(begin(server.service.clone()));
            }
            if let Some(Poll::Ready(result)) = probe.as_mut().map(|probe| probe.as_mut().poll(cx)) {
                *probe = None;
                match result {
                    Ok(()) => server.health.breaker().succeeded(),
                    Err(_) => server.health.failed(),
                }
            }
        }
    }

    /// Which of these to ask, as a place in `left`, and whether it is the trial of a server that was left
    /// alone.
    fn choose(&self, left: &[usize], now: Instant) -> (usize, bool) {
        let condition = |at: usize| self.servers[left[at]].health.breaker().condition(now);
        let takes_trials = self.settings.probe.is_none();
        let open_to_calls = |at: usize| match condition(at) {
            Condition::Closed => true,
            Condition::Due => takes_trials,
            Condition::Open => false,
        };
        let mut candidates: Vec<usize> = (0..left.len()).filter(|&at| open_to_calls(at)).collect();
        if candidates.is_empty() {
            candidates = (0..left.len()).collect();
        }
        let chosen = match self.settings.order {
            Order::AsGiven => candidates[0],
            Order::PowerOfTwo => {
                let random = &self.settings.random;
                let first = candidates.swap_remove(random.below(candidates.len()));
                let pending = |at: usize| self.servers[left[at]].health.pending.load(Ordering::Relaxed);
                match candidates.len() {
                    0 => first,
                    others => {
                        let second = candidates[random.below(others)];
                        if pending(second) < pending(first) { second } else { first }
                    }
                }
            }
        };
        let mut breaker = self.servers[left[chosen]].health.breaker();
        let trial = takes_trials && breaker.condition(now) == Condition::Due;
        if trial {
            breaker.try_out();
        }
        (chosen, trial)
    }
}

impl Health {
    fn new(policy: BreakerPolicy) -> Self {
        Self { breaker: Mutex::new(Breaker::new()), policy, pending: AtomicUsize::new(0) }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) {
        self.breaker().failed(self.policy, Instant::now());
    }
}

/// One call's place at a server, until its answer is whole.
struct Lease {
    health: Arc<Health>,
    /// Whether the breaker waits to learn of it.
    trial: bool,
}

impl Lease {
    fn new(health: Arc<Health>, trial: bool) -> Self {
        health.pending.fetch_add(1, Ordering::Relaxed);
        Self { health, trial }
    }
}

impl CallObserver for Lease {
    fn first_event(&mut self) {
        self.trial = false;
        self.health.breaker().succeeded();
    }

    fn done(mut self, _: &Response) {
        self.trial = false;
        self.health.breaker().succeeded();
    }

    fn failed(mut self, error: &Error) {
        self.trial = false;
        if error.is_transient() {
            self.health.failed();
        } else {
            // A server that refuses is a server that lives.
            self.health.breaker().succeeded();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.health.pending.fetch_sub(1, Ordering::Relaxed);
        if self.trial {
            self.health.breaker().abandoned(Instant::now());
        }
    }
}

impl<S> Clone for Servers<S> {
    fn clone(&self) -> Self {
        Self { servers: self.servers.clone(), settings: self.settings.clone() }
    }
}

impl<S> Clone for Settings<S> {
    fn clone(&self) -> Self {
        Self {
            order: self.order,
            max_servers: self.max_servers,
            random: self.random.clone(),
            retry_on: self.retry_on.clone(),
            probe: self.probe.clone(),
        }
    }
}

impl<S> fmt::Debug for Servers<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = Instant::now();
        let servers: Vec<_> = self
            .servers
            .iter()
            .map(|server| {
                let pending = server.health.pending.load(Ordering::Relaxed);
                (&*server.name, server.health.breaker().condition(now), pending)
            })
            .collect();
        f.debug_struct("Servers")
            .field("order", &self.settings.order)
            .field("servers", &servers)
            .finish_non_exhaustive()
    }
}
