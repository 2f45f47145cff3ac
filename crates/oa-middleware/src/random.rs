//! Random numbers for jitter and choices: a fast generator of each thread, or a seeded one.

use std::{
    cell::Cell,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A source of random numbers for jitter and for choices between servers; not for secrets.
///
/// The default draws from a generator of the calling thread: unlike a cloned `tower::util::rng::HasherRng`,
/// concurrent calls never share a sequence. A seeded one gives the same numbers each time, and its clones
/// share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Random(Option<Arc<AtomicU64>>);

impl Random {
    /// A source that gives the same numbers for the same seed.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(AtomicU64::new(seed))))
    }

    /// The next number.
    pub(crate) fn next_u64(&self) -> u64 {
        thread_local! {
            static STATE: Cell<u64> = Cell::new(RandomState::new().build_hasher().finish());
        }
        let state = match &self.0 {
            Some(state) => state.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA),
            None => STATE.with(|state| {
                state.set(state.get().wrapping_add(GAMMA));
                state.get()
            }),
        };
        mix(state)
    }

    /// The next number of [0, 1).
    pub(crate) fn next_f64(&self) -> f64 {
        // 53 bits are what the mantissa holds.
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The next number below `end`, which is not 0. The bias of a remainder is below anything that matters
    /// here.
    pub(crate) fn below(&self, end: usize) -> usize {
        (self.next_u64() % end as u64) as usize
    }
}

/// The step of splitmix64: the golden ratio, odd.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output function of splitmix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spread_evenly_enough() {
        for source in [Random::seeded(1), Random::default()] {
            let mut buckets = [0u32; 10];
            for _ in 0..10_000 {
                buckets[(source.next_f64() * 10.0) as usize] += 1;
            }
            assert!(buckets.iter().all(|&count| (800..1200).contains(&count)), "{buckets:?}");
        }
    }

    #[test]
    fn it_is_splitmix64() {
        // The first output for seed 0, from the generator's reference.
        assert_eq!(Random::seeded(0).next_u64(), 0xe220_a839_7b1d_cdaf);
    }
}
