//! Samples of the system while the callers run, and what is a leak.

use crate::{
    system::{Figures, System},
    world::World,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// The pool closes a connection that nobody has used for three seconds; and some time on a busy machine.
pub(crate) const IDLE: Duration = Duration::from_secs(4);
const EVERY: Duration = Duration::from_millis(250);
/// A process's memory is not flat to the byte: the allocator keeps what it has.
const MEMORY_KIB: u64 = 1024;
const MEMORY_PERCENT: u64 = 5;
const DESCRIPTORS: usize = 2;

/// A thread of its own: reading `/proc` blocks.
pub(crate) struct Watch {
    thread: JoinHandle<Vec<Figures>>,
    ends: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn start(mut system: System, world: Arc<World>, callers: usize) -> Self {
        // A connection that is being opened when another comes back is left to the pool, beside the callers'.
        let most = callers + callers / 8;
        let ends = Arc::<AtomicBool>::default();
        let has_ended = Arc::clone(&ends);
        let thread = thread::spawn(move || {
            let mut samples = Vec::with_capacity(8192);
            while !has_ended.load(SeqCst) {
                thread::sleep(EVERY);
                let calls = world.calls();
                let Some(figures) = system.figures() else { break };
                // Only if no call has begun while the figures were read.
                let is_idle = world.idle().is_some_and(|idle| idle > IDLE) && calls == world.calls();
                judge(&figures, is_idle, most, &world);
                samples.push(figures);
            }
            samples
        });
        Self { thread, ends }
    }

    /// The samples in their order.
    pub(crate) fn end(self) -> Vec<Figures> {
        self.ends.store(true, SeqCst);
        self.thread.join().unwrap_or_default()
    }
}

fn judge(figures: &Figures, is_idle: bool, most: usize, world: &World) {
    if let Some(count) = figures.connections.iter().find(|count| **count > most) {
        world.violation("more connections than callers", &format!("{count} to one server"));
    }
    let open: usize = figures.connections.iter().sum();
    if is_idle && open > 0 {
        world.violation("connections are left", &format!("{open}, {IDLE:?} after the last call had ended"));
    }
}

/// What is compared of the third and the last quarter of the samples: their medians.
pub(crate) struct Growth {
    pub(crate) memory_kib: (u64, u64),
    pub(crate) descriptors: (usize, usize),
}

impl Growth {
    pub(crate) fn of(samples: &[Figures]) -> Self {
        let (half, last) = (samples.len() / 2, samples.len() / 4 * 3);
        let (third, last) = (&samples[half..last.max(half)], &samples[last.max(half)..]);
        let memory = |samples| median(samples, |figures| figures.memory_kib);
        let descriptors = |samples| median(samples, |figures| figures.descriptors);
        Self {
            memory_kib: (memory(third), memory(last)),
            descriptors: (descriptors(third), descriptors(last)),
        }
    }

    pub(crate) fn judge(&self, world: &World) {
        let (before, after) = self.memory_kib;
        if after > before + MEMORY_KIB.max(before * MEMORY_PERCENT / 100) {
            world.violation("resident memory grows", &format!("{before} KiB, and then {after} KiB"));
        }
        let (before, after) = self.descriptors;
        if after > before + DESCRIPTORS {
            world.violation("open descriptors grow", &format!("{before}, and then {after}"));
        }
    }
}

fn median<T: Ord + Copy + Default>(samples: &[Figures], of: impl Fn(&Figures) -> T) -> T {
    let mut values: Vec<T> = samples.iter().map(of).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
