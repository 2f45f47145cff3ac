//! The state that callers, restarts and samples share: counts, outages, pauses and violations.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// How long after a server is up again what failed before may still come to light.
const AFTERWARDS: Duration = Duration::from_secs(1);

pub(crate) struct World {
    pub(crate) started: Instant,
    pub(crate) counts: Counts,
    /// No further calls begin.
    pub(crate) ends: AtomicBool,
    /// Calls that are under way.
    pub(crate) active: AtomicUsize,
    /// Until when nobody calls, in milliseconds since the start.
    pause: AtomicU64,
    /// When the last call ended, in milliseconds since the start.
    last_end: AtomicU64,
    outage: Mutex<Outage>,
    violations: Mutex<Vec<Violation>>,
}

/// The last time when one of the servers was down. Restarts are one after the other.
#[derive(Default)]
enum Outage {
    #[default]
    Never,
    Now,
    Until(Instant),
}

/// What shall never be.
#[derive(Clone)]
pub(crate) struct Violation {
    pub(crate) what: &'static str,
    pub(crate) times: usize,
    pub(crate) first: String,
}

/// How many calls there were of each kind, and what became of them.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) whole: AtomicU64,
    pub(crate) streamed: AtomicU64,
    pub(crate) collected: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) dropped_calls: AtomicU64,
    pub(crate) dropped_streams: AtomicU64,
    pub(crate) dropped_ends: AtomicU64,
    pub(crate) broken: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) failed_attempts: AtomicU64,
    pub(crate) helped: AtomicU64,
    /// Servers that went out of rotation, and came back.
    pub(crate) out: AtomicU64,
    pub(crate) back: AtomicU64,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            counts: Counts::default(),
            ends: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            pause: AtomicU64::new(0),
            last_end: AtomicU64::new(0),
            outage: Mutex::default(),
            violations: Mutex::default(),
        }
    }

    pub(crate) fn begin(&self, of_kind: &AtomicU64) {
        self.active.fetch_add(1, SeqCst);
        of_kind.fetch_add(1, SeqCst);
    }

    pub(crate) fn end(&self) {
        self.last_end.fetch_max(self.now(), SeqCst);
        self.active.fetch_sub(1, SeqCst);
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> u64 {
        let Counts { whole, streamed, collected, .. } = &self.counts;
        whole.load(SeqCst) + streamed.load(SeqCst) + collected.load(SeqCst)
    }

    /// For how long no call has been under way; none while there is one.
    pub(crate) fn idle(&self) -> Option<Duration> {
        let is_idle = self.active.load(SeqCst) == 0;
        is_idle.then(|| Duration::from_millis(self.now().saturating_sub(self.last_end.load(SeqCst))))
    }

    pub(crate) fn pause(&self, time: Duration) {
        self.pause.store(self.now() + time.as_millis() as u64, SeqCst);
    }

    /// For how long nobody may call.
    pub(crate) fn paused(&self) -> Duration {
        Duration::from_millis(self.pause.load(SeqCst).saturating_sub(self.now()))
    }

    pub(crate) fn down(&self) {
        *lock(&self.outage) = Outage::Now;
    }

    pub(crate) fn up(&self) {
        *lock(&self.outage) = Outage::Until(Instant::now());
    }

    /// Whether a server was down at some moment since then.
    pub(crate) fn was_down(&self, since: Instant) -> bool {
        match *lock(&self.outage) {
            Outage::Never => false,
            Outage::Now => true,
            Outage::Until(up) => since <= up + AFTERWARDS,
        }
    }

    /// `what` is the same for all of its kind, `which` is quoted of the first.
    pub(crate) fn violation(&self, what: &'static str, which: &str) {
        let mut violations = lock(&self.violations);
        if let Some(known) = violations.iter_mut().find(|known| known.what == what) {
            known.times += 1;
            return;
        }
        let at = self.started.elapsed().as_secs_f64();
        violations.push(Violation { what, times: 1, first: format!("at {at:.1} s: {which}") });
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        lock(&self.violations).clone()
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
