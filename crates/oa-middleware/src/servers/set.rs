//! The set of servers: its members, the choice among them, and what their calls tell.

use super::{
    breaker::{BreakerPolicy, Change, Condition, OutReason, Verdict},
    event::{ServerEvent, ServerStatus},
    health::{Health, micros},
    hedge::{Hedge, Latencies},
    pick::{self, Call, Candidate},
    prompt::{self, AffinityKey},
    share,
};
use crate::{CallContext, random::Random};
use oa_wire::{CompletionRequest, Error};
use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::Instant;

/// One server and what is known of it.
pub(super) struct Server<S> {
    /// Of two servers of one name, one after the other, each has its own.
    pub(super) id: u64,
    pub(super) service: S,
    pub(super) health: Health,
    probe: Mutex<Option<Probe>>,
}

pub(super) type Probe = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// The servers and how they are used. Clones share the servers.
pub(super) struct Set<S> {
    members: Arc<Members<S>>,
    pub(super) settings: Arc<Settings<S>>,
}

struct Members<S> {
    epoch: Instant,
    servers: Mutex<Snapshot<S>>,
    next_id: AtomicU64,
    homes: Homes,
    latencies: Mutex<Latencies>,
}

/// The members at a moment.
pub(super) type Snapshot<S> = Arc<[Arc<Server<S>>]>;

pub(super) struct Settings<S> {
    pub(super) order: Order,
    pub(super) max_servers: usize,
    pub(super) first_event: Duration,
    pub(super) idle: Duration,
    pub(super) breaker: BreakerPolicy,
    pub(super) slow_start: Duration,
    pub(super) hedge: Option<Hedge>,
    pub(super) random: Random,
    pub(super) retry_on: Arc<dyn Fn(&Error) -> bool + Send + Sync>,
    pub(super) probe: Option<Arc<dyn Fn(S) -> Probe + Send + Sync>>,
    pub(super) on_change: Option<ChangeHook>,
}

pub(super) type ChangeHook = Arc<dyn Fn(ServerEvent<'_>) + Send + Sync>;

#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    AsGiven,
    PowerOfTwo,
    Affinity { bound: f64 },
}

/// The server that was chosen for a call.
pub(super) struct Choice {
    /// Its place among the servers.
    pub(super) at: usize,
    /// All in rotation have failed the call.
    again: bool,
    /// The call's conversation moves there.
    moves: bool,
}

/// Which servers that are out of rotation may be called all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Out {
    None,
    /// Those that may be back: not one that refused the key, for instance.
    Transient,
    All,
}

impl<S> Set<S> {
    pub(super) fn new(settings: Settings<S>) -> Self {
        let members = Members {
            epoch: Instant::now(),
            servers: Mutex::new(Vec::new().into()),
            next_id: AtomicU64::new(0),
            homes: Homes::new(matches!(settings.order, Order::Affinity { .. })),
            latencies: Mutex::new(Latencies::new()),
        };
        Self { members: Arc::new(members), settings: Arc::new(settings) }
    }

    pub(super) fn now(&self) -> Duration {
        self.members.epoch.elapsed()
    }

    pub(super) fn snapshot(&self) -> Snapshot<S> {
        self.servers().clone()
    }

    fn servers(&self) -> MutexGuard<'_, Snapshot<S>> {
        self.members.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a server; false if there is one of this name. `starts_slowly` is true for one that joins others.
    pub(super) fn add(&self, name: &Arc<str>, service: S, starts_slowly: bool) -> bool {
        let added = starts_slowly.then(|| self.now());
        let id = self.members.next_id.fetch_add(1, Relaxed);
        let health = Health::new(name.clone(), added);
        let server = Arc::new(Server { id, service, health, probe: Mutex::new(None) });
        {
            let mut servers = self.servers();
            if servers.iter().any(|server| server.health.name == *name) {
                return false;
            }
            *servers = servers.iter().cloned().chain([server]).collect();
        }
        if starts_slowly {
            self.tell(ServerEvent::Added { server: name });
        }
        true
    }

    /// Removes a server; false if there is none of this name.
    pub(super) fn remove(&self, name: &str) -> bool {
        {
            let mut servers = self.servers();
            let Some(server) = servers.iter().find(|server| &*server.health.name == name) else {
                return false;
            };
            server.health.removed.store(true, Relaxed);
            *servers = servers.iter().filter(|server| &*server.health.name != name).cloned().collect();
        }
        self.tell(ServerEvent::Removed { server: name });
        true
    }

    pub(super) fn status(&self) -> Vec<ServerStatus> {
        let now = self.now();
        let status = |server: &Arc<Server<S>>| ServerStatus {
            name: server.health.name.to_string(),
            out: server.health.out(now),
            calls: server.health.calls(),
            load: server.health.load(),
            weight: server.health.weight(),
            share: server.health.share(micros(now), micros(self.settings.slow_start) as f64),
        };
        self.snapshot().iter().map(status).collect()
    }

    /// The server for a call, or for one more try of it, and whether the call is the trial of a server that
    /// was out of rotation. `called` are the ids of those that it was sent to.
    pub(super) fn choose(
        &self,
        servers: &[Arc<Server<S>>],
        called: &[u64],
        context: &CallContext,
        call: Call,
        now: Duration,
    ) -> Option<(usize, bool)> {
        let takes_trials = self.takes_trials(call);
        let chosen = self.place(servers, called, Some(context), call, now)?;
        if chosen.again && context.attempt() > 0 {
            context.forget_failed();
        }
        let health = &servers[chosen.at].health;
        if chosen.moves && !call.is_hedge {
            self.members.homes.set(call.key, health.hash32());
        }
        if call.begins && !call.is_hedge {
            health.conversation_begins(pick::begun(call.load), now);
        }
        let is_due = takes_trials && health.condition(micros(now)) == Condition::Due;
        let is_trial = is_due && health.begin_trial(now);
        Some((chosen.at, is_trial))
    }

    /// The same without a consequence.
    pub(super) fn place(
        &self,
        servers: &[Arc<Server<S>>],
        called: &[u64],
        context: Option<&CallContext>,
        call: Call,
        now: Duration,
    ) -> Option<Choice> {
        let takes_trials = self.takes_trials(call);
        let retry = context.filter(|context| context.attempt() > 0);
        let (moment, slow_start) = (micros(now), micros(self.settings.slow_start) as f64);
        let is_able = |server: &Server<S>, again: bool, out: Out| {
            let in_rotation = match server.health.condition(moment) {
                Condition::Closed => true,
                Condition::Due if takes_trials => true,
                _ => match out {
                    Out::None => false,
                    Out::Transient => server.health.out(now).is_some_and(may_be_back),
                    Out::All => true,
                },
            };
            in_rotation
                && (called.is_empty() || !called.contains(&server.id))
                && (again || !retry.is_some_and(|retry| retry.has_failed(&server.health.name)))
        };
        // A call that would fail everywhere is better made than refused. After a failure that a retry may
        // mend, one that surely fails would only hide it.
        let last = if called.is_empty() { Out::All } else { Out::Transient };
        let passes = [(false, Out::None), (true, Out::None), (true, Out::Transient), (true, last)];
        passes.into_iter().filter(|&(again, _)| retry.is_some() || again).find_map(|(again, out)| {
            let able = servers.iter().enumerate().filter(|(_, server)| is_able(server, again, out));
            let candidates = able.map(|(at, server)| server.health.candidate(at, moment, slow_start));
            let begun = |at: usize| servers[at].health.begun_lately(moment);
            let (at, moves) = self.pick(candidates, call, begun)?;
            Some(Choice { at, again, moves })
        })
    }

    /// Whether this call may find out whether a server is back.
    fn takes_trials(&self, call: Call) -> bool {
        self.settings.probe.is_none() && !call.is_hedge
    }

    /// One of these, and whether the call's conversation moves there.
    fn pick(
        &self,
        able: impl Iterator<Item = Candidate>,
        call: Call,
        begun: impl Fn(usize) -> u32,
    ) -> Option<(usize, bool)> {
        let random = &self.settings.random;
        let (chosen, moves) = match self.settings.order {
            Order::AsGiven => (pick::first(able, || random.next_f64())?, false),
            Order::PowerOfTwo => {
                let look = |servers: &mut [_]| pick::power_of_two(servers, call, |end| random.below(end));
                (with_all(able, look)?, false)
            }
            Order::Affinity { bound } => with_all(able, |servers| {
                if call.begins {
                    for server in &mut *servers {
                        server.begun = begun(server.at as usize);
                    }
                }
                Some((pick::affinity(servers, call, bound)?, pick::moves(servers, call)))
            })?,
        };
        Some((chosen.at as usize, moves))
    }

    /// What the choice needs to know of a call.
    pub(super) fn call(&self, request: &CompletionRequest) -> Call {
        let (key, home, begins) = match self.settings.order {
            Order::Affinity { .. } => {
                let key = AffinityKey::of(request);
                let home = self.members.homes.get(key);
                (key, home, home.is_none() && !prompt::has_answers(request))
            }
            _ => (0, None, false),
        };
        Call { key, load: prompt::load(request), home, begins, is_hedge: false }
    }

    /// The end of a call, or of a probe.
    pub(super) fn record(&self, server: &Server<S>, verdict: Verdict) {
        let Settings { breaker, probe, .. } = &*self.settings;
        let change = server.health.record(verdict, *breaker, probe.is_some(), self.now());
        let name = &*server.health.name;
        match change {
            // Whoever still reads a stream of it tells nobody anything.
            _ if server.health.removed.load(Relaxed) => {}
            Some(Change::Out(reason, time)) => self.tell(ServerEvent::Out { server: name, reason, time }),
            Some(Change::Back) => self.tell(ServerEvent::Back { server: name }),
            None => {}
        }
    }

    /// A call has begun to be answered.
    pub(super) fn began(&self, server: &Server<S>, after: Duration, is_stream: bool) {
        server.health.took(after);
        if self.settings.hedge.is_some() {
            self.latencies().add(after);
        }
        if !is_stream {
            return;
        }
        let now = self.now();
        let Some(own) = server.health.begins.add(after.as_secs_f64(), now) else { return };
        let mut others = [0.0; 32];
        let mut count = 0;
        let servers = self.snapshot();
        let medians = servers.iter().filter(|other| other.id != server.id);
        for median in medians.filter_map(|other| other.health.begins.median()).take(others.len()) {
            others[count] = median;
            count += 1;
        }
        if let Some(others) = share::median(&mut others[..count]) {
            server.health.set_outlier(share::outlier(own, others), now);
        }
    }

    /// How long a call may take to begin before a second server is called.
    pub(super) fn hedge_delay(&self) -> Option<Duration> {
        let hedge = self.settings.hedge.as_ref()?;
        hedge.delay(&self.latencies())
    }

    fn latencies(&self) -> MutexGuard<'_, Latencies> {
        self.members.latencies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, event: ServerEvent<'_>) {
        if let Some(hook) = &self.settings.on_change {
            hook(event);
        }
    }
}

impl<S: Clone> Set<S> {
    /// Drives the probes of servers that are out of rotation.
    pub(super) fn poll_probes(&self, cx: &mut Context<'_>) {
        let Some(begin) = &self.settings.probe else { return };
        let now = self.now();
        for server in &*self.snapshot() {
            let condition = server.health.condition(micros(now));
            if condition == Condition::Closed {
                continue;
            }
            // Another call is at it.
            let Ok(mut probe) = server.probe.try_lock() else { continue };
            if condition == Condition::Due && server.health.begin_trial(now) {
                *probe = Some(begin(server.service.clone()));
            }
            if let Some(Poll::Ready(result)) = probe.as_mut().map(|probe| probe.as_mut().poll(cx)) {
                *probe = None;
                let verdict = match result {
                    Ok(()) => Verdict::Answered,
                    Err(error) => match Verdict::of(&error) {
                        Verdict::Nothing => Verdict::Failed(1),
                        verdict => verdict,
                    },
                };
                self.record(server, verdict);
            }
        }
    }
}

/// Shows the candidates to a function, which looks at each of them more than once. Up to sixteen, they are
/// kept without an allocation.
fn with_all<T>(able: impl Iterator<Item = Candidate>, look: impl FnOnce(&mut [Candidate]) -> T) -> T {
    let mut few = [Candidate::default(); 16];
    let mut many = Vec::new();
    let mut count = 0;
    for server in able {
        if let Some(place) = few.get_mut(count) {
            *place = server;
        } else {
            if many.is_empty() {
                many.extend_from_slice(&few);
            }
            many.push(server);
        }
        count += 1;
    }
    look(if many.is_empty() { &mut few[..count] } else { &mut many })
}

/// Whether there is a server that was not called and may answer; for a hedge, one in rotation.
pub(super) fn has_another<S>(
    servers: &[Arc<Server<S>>],
    called: &[u64],
    now: Duration,
    in_rotation: bool,
) -> bool {
    servers.iter().filter(|server| !called.contains(&server.id)).any(|server| {
        server.health.condition(micros(now)) == Condition::Closed
            || !in_rotation && server.health.out(now).is_none_or(may_be_back)
    })
}

fn may_be_back(reason: OutReason) -> bool {
    matches!(reason, OutReason::Failures | OutReason::Wait | OutReason::ModelNotLoaded)
}

/// The homes of conversations: a table of fixed size, in which a new one may take the place of an old one. It
/// is a memory of caches, which forget too.
struct Homes(Box<[AtomicU64]>);

const HOMES: usize = 4096;

impl Homes {
    fn new(used: bool) -> Self {
        let places = if used { HOMES } else { 0 };
        Self((0..places).map(|_| AtomicU64::new(0)).collect())
    }

    fn place(&self, key: u64) -> Option<&AtomicU64> {
        self.0.get(key as usize % HOMES)
    }

    fn get(&self, key: u64) -> Option<u32> {
        let home = self.place(key)?.load(Relaxed);
        (home != 0 && home >> 32 == key >> 32).then_some(home as u32)
    }

    fn set(&self, key: u64, server: u32) {
        if let Some(place) = self.place(key) {
            place.store((key >> 32) << 32 | u64::from(server), Relaxed);
        }
    }
}

impl<S> Clone for Set<S> {
    fn clone(&self) -> Self {
        Self { members: self.members.clone(), settings: self.settings.clone() }
    }
}

impl<S> Clone for Settings<S> {
    fn clone(&self) -> Self {
        Self {
            order: self.order,
            max_servers: self.max_servers,
            first_event: self.first_event,
            idle: self.idle,
            breaker: self.breaker,
            slow_start: self.slow_start,
            hedge: self.hedge.clone(),
            random: self.random.clone(),
            retry_on: self.retry_on.clone(),
            probe: self.probe.clone(),
            on_change: self.on_change.clone(),
        }
    }
}
