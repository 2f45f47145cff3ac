//! The state of the simulator about its clients, and how tests wait for it.

use crate::{answer::Answer, generate::Model, http::Limits, recorded::Recorded};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::{Notify, watch};

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that were accepted.
    pub connections: usize,
    /// Connections that are open now, idle ones included.
    pub open: usize,
    /// Open connections that wait for a request.
    pub idle: usize,
    /// Requests that arrived whole.
    pub requests: usize,
    /// Answers that were sent to their end.
    pub answered: usize,
    /// Answers that the script ended early (cut, reset, hang-up).
    pub cut: usize,
    /// Answers that the client did not wait for: before their end it closed the connection, or its half of
    /// it, which counts the same here as with uvicorn.
    pub client_left: usize,
    /// Requests that were refused as malformed or too large, or that broke off in the middle.
    pub malformed: usize,
}

pub(crate) type Handler = dyn Fn(&Recorded) -> Option<Answer> + Send + Sync;

/// What all connections and the handle share.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    /// How many requests are kept for the test to look at.
    pub(crate) keep: usize,
    pub(crate) model: Model,
    pub(crate) handler: Option<Box<Handler>>,
    state: Mutex<State>,
    changed_async: Notify,
    changed_blocking: Condvar,
    /// Its change tells connections that wait for a request to close.
    pub(crate) close_idle: watch::Sender<u64>,
}

/// What changes.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) stats: Stats,
    pub(crate) requests: VecDeque<Recorded>,
    pub(crate) script: VecDeque<Answer>,
    /// There was a script; with nothing left in it, requests are refused.
    pub(crate) scripted: bool,
    /// Even so, the generative mode takes over.
    pub(crate) then_generate: bool,
    pub(crate) loading: Loading,
    pub(crate) stopped: bool,
}

/// Whether the model is there yet.
#[derive(Clone, Copy, Default)]
pub(crate) enum Loading {
    #[default]
    Done,
    Indefinitely,
    /// For so many requests more.
    For(usize),
}

impl State {
    /// Whether this request is refused because the model is loading.
    fn still_loading(&mut self) -> bool {
        match &mut self.loading {
            Loading::Done | Loading::For(0) => false,
            Loading::Indefinitely => true,
            Loading::For(requests) => {
                *requests -= 1;
                true
            }
        }
    }

    /// Records a request, and takes what there is for it without asking the handler or the model.
    pub(crate) fn take(&mut self, request: &Recorded, keep: usize) -> Option<Answer> {
        self.stats.requests += 1;
        if self.requests.len() >= keep {
            self.requests.pop_front();
        }
        if keep > 0 {
            self.requests.push_back(request.clone());
        }
        if self.still_loading() {
            return Some(Answer::loading());
        }
        let at = self.script.iter().position(|answer| answer.matches(&request.method, &request.path))?;
        if self.script[at].forever { self.script.get(at).cloned() } else { self.script.remove(at) }
    }
}

impl Shared {
    pub(crate) fn new(
        limits: Limits,
        keep: usize,
        model: Model,
        handler: Option<Box<Handler>>,
        state: State,
    ) -> Arc<Self> {
        Arc::new(Self {
            limits,
            keep,
            model,
            handler,
            state: Mutex::new(state),
            changed_async: Notify::new(),
            changed_blocking: Condvar::new(),
            close_idle: watch::Sender::new(0),
        })
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the state and wakes everyone who waits for a condition.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed_async.notify_waiters();
        self.changed_blocking.notify_all();
        result
    }

    pub(crate) async fn wait_for(&self, mut reached: impl FnMut(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed_async.notified());
            changed.as_mut().enable();
            if self.read(&mut reached) {
                return;
            }
            changed.await;
        }
    }

    pub(crate) fn wait_for_blocking(&self, limit: Duration, mut reached: impl FnMut(&State) -> bool) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if reached(&state) {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed_blocking.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    // A test that panicked while it held the lock has broken none of the counters.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
