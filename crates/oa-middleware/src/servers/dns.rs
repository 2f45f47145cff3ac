//! A name with several addresses as a feed of servers: looked up again and again.

use futures_core::Stream;
use std::{
    convert::Infallible,
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use tower::discover::Change;

/// A feed of the servers behind one name, such as a headless service of Kubernetes: each address is a server,
/// which is added when the name gets it and removed when the name loses it. For
/// [`Servers::follow`](crate::Servers::follow).
///
/// ```no_run
/// # use oa_wire::{Completion, CompletionRequest, Error};
/// # fn example<S>(provider: fn(String) -> S)
/// # where
/// #     S: tower_service::Service<CompletionRequest, Response = Completion, Error = Error>
/// #         + Clone + Send + Sync + 'static,
/// #     S::Future: Send,
/// # {
/// use oa_middleware::{DnsDiscover, ServerChoice, Servers};
///
/// let feed = DnsDiscover::new(
///     || async { Ok(tokio::net::lookup_host("vllm.default.svc:8000").await?.collect()) },
///     // Each address has connections of its own.
///     move |address| provider(format!("http://{address}")),
/// );
/// let servers: Servers<S> = Servers::empty(ServerChoice::Affinity);
/// tokio::spawn({
///     let servers = servers.clone();
///     async move { servers.follow(feed).await }
/// });
/// # }
/// ```
///
/// A look-up that fails, or finds no address, changes nothing. An address is removed when two look-ups in a
/// row have missed it, since some name servers answer with a part of the addresses.
pub struct DnsDiscover<S> {
    resolve: Box<dyn FnMut() -> Lookup + Send>,
    make: Box<dyn FnMut(SocketAddr) -> S + Send>,
    interval: Duration,
    state: State,
    /// The addresses of the feed, and how many look-ups have missed each.
    known: Vec<(SocketAddr, u32)>,
    changes: Vec<Change<SocketAddr, ()>>,
}

type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

enum State {
    Looking(Lookup),
    Waiting(Pin<Box<Sleep>>),
}

/// So many look-ups must miss an address before it is removed.
const MISSES: u32 = 2;

impl<S> DnsDiscover<S> {
    /// A feed of the addresses that `resolve` finds, each of which `make` makes a service of. The name is
    /// looked up at once, and then every five seconds.
    pub fn new<F>(
        mut resolve: impl FnMut() -> F + Send + 'static,
        make: impl FnMut(SocketAddr) -> S + Send + 'static,
    ) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        let mut resolve: Box<dyn FnMut() -> Lookup + Send> = Box::new(move || Box::pin(resolve()));
        Self {
            state: State::Looking(resolve()),
            resolve,
            make: Box::new(make),
            interval: Duration::from_secs(5),
            known: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Sets the time between the end of one look-up and the next.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Compares what was found with what is known.
    fn compare(&mut self, mut found: Vec<SocketAddr>) {
        if found.is_empty() {
            return;
        }
        found.sort_unstable();
        found.dedup();
        for (address, misses) in &mut self.known {
            *misses = if found.binary_search(address).is_ok() { 0 } else { *misses + 1 };
        }
        let changes = &mut self.changes;
        self.known.retain(|&(address, misses)| {
            let stays = misses < MISSES;
            if !stays {
                changes.push(Change::Remove(address));
            }
            stays
        });
        for address in found {
            if !self.known.iter().any(|&(known, _)| known == address) {
                self.known.push((address, 0));
                changes.push(Change::Insert(address, ()));
            }
        }
        // They are taken from the end.
        changes.reverse();
    }
}

impl<S> Stream for DnsDiscover<S> {
    type Item = Result<Change<SocketAddr, S>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(change) = this.changes.pop() {
                return Poll::Ready(Some(Ok(match change {
                    Change::Insert(address, ()) => Change::Insert(address, (this.make)(address)),
                    Change::Remove(address) => Change::Remove(address),
                })));
            }
            this.state = match &mut this.state {
                State::Looking(lookup) => {
                    if let Ok(found) = ready!(lookup.as_mut().poll(cx)) {
                        this.compare(found);
                    }
                    State::Waiting(Box::pin(sleep(this.interval)))
                }
                State::Waiting(wait) => {
                    ready!(wait.as_mut().poll(cx));
                    State::Looking((this.resolve)())
                }
            };
        }
    }
}

// The service is made when it is handed out.
impl<S> Unpin for DnsDiscover<S> {}

impl<S> fmt::Debug for DnsDiscover<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = self.known.iter().map(|(address, _)| address).collect();
        f.debug_struct("DnsDiscover")
            .field("interval", &self.interval)
            .field("known", &known)
            .finish_non_exhaustive()
    }
}
