//! The choice of a server as a function: load, weights, key and randomness are arguments. No allocation.

/// What the choice needs to know of one server that may be called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Of its name, so that every process orders the servers alike.
    pub(super) hash: u64,
    /// Its part of the load: the configured weight times its present share. Above 0.
    pub(super) weight: f64,
    /// Its present share of the configured weight, up to 1: lower after a return, and for an outlier.
    pub(super) share: f64,
    /// What is under way there.
    pub(super) load: u64,
}

/// What the choice needs to know of the call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Of the conversation.
    pub(super) key: u64,
    /// What the call adds to a server's load.
    pub(super) load: u64,
    /// The hash of the server that the conversation was last sent to, if that is known.
    pub(super) home: Option<u32>,
    /// It is to go to a server that is well, not to one that may be back.
    pub(super) well_only: bool,
}

/// The first in the given order. One that has a part of its share only gets that part of the calls.
pub(super) fn first(
    count: usize,
    candidate: impl Fn(usize) -> Option<Candidate>,
    mut random: impl FnMut() -> f64,
) -> Option<usize> {
    let mut fallback = None;
    for at in 0..count {
        let Some(server) = candidate(at) else { continue };
        if server.share >= 1.0 || random() < server.share {
            return Some(at);
        }
        fallback.get_or_insert(at);
    }
    fallback
}

/// The one with less load by its weight, of two that are drawn.
pub(super) fn power_of_two(
    count: usize,
    candidate: impl Fn(usize) -> Option<Candidate>,
    call: Call,
    mut below: impl FnMut(usize) -> usize,
) -> Option<usize> {
    let able = (0..count).filter(|&at| candidate(at).is_some()).count();
    let nth = |n: usize| (0..count).filter_map(|at| candidate(at).map(|server| (at, server))).nth(n);
    let draw = below(able.max(1));
    let (first, one) = nth(draw)?;
    if able < 2 {
        return Some(first);
    }
    let other = below(able - 1);
    let Some((second, two)) = nth(if other >= draw { other + 1 } else { other }) else { return Some(first) };
    let after = |server: Candidate| server.load.saturating_add(call.load) as f64 / server.weight;
    Some(if after(two) < after(one) { second } else { first })
}

/// Rendezvous hashing with bounded loads: the first in the key's order whose load is within the bound.
///
/// A server is within it while its load, before this call, is at most `bound` times its part (by weight) of
/// all load, this call's included. So its load exceeds the bound by one call at most. The server of the
/// conversation's last turn comes first in the order, as its cache holds the latest prefix. Where none is
/// within the bound, the one with the least load by its weight.
pub(super) fn affinity(
    count: usize,
    candidate: impl Fn(usize) -> Option<Candidate>,
    call: Call,
    bound: f64,
) -> Option<usize> {
    let (mut load, mut weight) = (call.load as f64, 0.0);
    for server in (0..count).filter_map(&candidate) {
        load += server.load as f64;
        weight += server.weight;
    }
    let most = bound * load / weight;
    let mut best: Option<(f64, usize)> = None;
    for at in 0..count {
        let Some(server) = candidate(at) else { continue };
        if server.load != 0 && server.load as f64 > most * server.weight {
            continue;
        }
        // A server that has little of its share keeps no conversations.
        let is_home = call.home == Some(server.hash as u32) && server.share >= 0.5;
        let place = if is_home { f64::NEG_INFINITY } else { place(call.key, server) };
        if best.is_none_or(|(other, _)| place < other) {
            best = Some((place, at));
        }
    }
    best.map(|(_, at)| at).or_else(|| least(count, candidate))
}

/// The server with the least load by its weight.
#[cold]
fn least(count: usize, candidate: impl Fn(usize) -> Option<Candidate>) -> Option<usize> {
    let relative = |at| candidate(at).map(|server| (server.load as f64 / server.weight, at));
    let least = (0..count).filter_map(relative).min_by(|(one, _), (other, _)| one.total_cmp(other));
    least.map(|(_, at)| at)
}

/// The server's place in the key's order: the lowest is the first. Each is first for a part of the keys that
/// is proportional to its weight, and a change of one weight moves keys only from or to that server.
#[inline]
fn place(key: u64, server: Candidate) -> f64 {
    // In (0, 1], from the 53 bits that a mantissa holds.
    let unit = ((mix(key ^ server.hash) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    let exponential = -log2(unit);
    // A division takes as long as all the rest.
    if (server.weight - 1.0).abs() < f64::EPSILON { exponential } else { exponential / server.weight }
}

/// The binary logarithm of a number in (0, 1], within 0.01. Made of exact operations, so that all processes
/// on all machines order the servers alike, which `f64::log2` does not promise.
fn log2(number: f64) -> f64 {
    let bits = number.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as f64 - 1023.0;
    let mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    exponent + (mantissa - 1.0) * (1.0 + 0.344_848_43 * (2.0 - mantissa))
}

/// The output function of splitmix64.
pub(super) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A hash that is the same in every process and version.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut state = mix(bytes.len() as u64 ^ 0x9e37_79b9_7f4a_7c15);
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        let word = word.try_into().map_or(0, u64::from_le_bytes);
        state = (state ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29);
    }
    let mut last = [0; 8];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn server(at: usize, weight: f64, load: u64) -> Candidate {
        Candidate { hash: hash(format!("server {at}").as_bytes()), weight, share: 1.0, load }
    }

    fn call(key: u64) -> Call {
        Call { key: mix(key), load: 10, home: None, well_only: false }
    }

    #[test]
    fn the_logarithm_is_close_and_rises() {
        let mut last = f64::NEG_INFINITY;
        for step in 1..=10_000 {
            let number = f64::from(step) / 10_000.0;
            let log = log2(number);
            assert!((log - number.log2()).abs() < 0.01, "{number}: {log}");
            assert!(log >= last, "{number}");
            last = log;
        }
        assert!(log2(1.0).abs() < 1e-12);
    }

    #[test]
    fn keys_spread_by_weight() {
        let weights = [1.0, 2.0, 1.0, 4.0];
        let mut counts = [0u32; 4];
        for key in 0..80_000 {
            counts[affinity(4, |at| Some(server(at, weights[at], 0)), call(key), 1.25).unwrap()] += 1;
        }
        for (count, weight) in counts.into_iter().zip(weights) {
            let want = 10_000.0 * weight;
            assert!((f64::from(count) - want).abs() < 0.05 * want, "{counts:?}");
        }
    }

    #[test]
    fn a_server_that_goes_moves_only_its_own_keys() {
        for key in 0..2000 {
            let all = affinity(8, |at| Some(server(at, 1.0, 0)), call(key), 1.25).unwrap();
            let without = |at| (at != 3).then(|| server(at, 1.0, 0));
            let left = affinity(8, without, call(key), 1.25).unwrap();
            assert!(left == all || all == 3, "key {key} moved from {all} to {left}");
        }
    }

    #[test]
    fn a_weight_that_rises_moves_keys_only_to_that_server() {
        for key in 0..2000 {
            let pick = |weight| {
                let candidate = |at| Some(server(at, if at == 2 { weight } else { 1.0 }, 0));
                affinity(6, candidate, call(key), 1.25).unwrap()
            };
            let (before, after) = (pick(0.3), pick(0.9));
            assert!(before == after || after == 2, "key {key} moved from {before} to {after}");
        }
    }

    #[test]
    fn no_choice_is_of_a_server_beyond_the_bound_while_another_is_within() {
        let random = Random::seeded(5);
        for key in 0..5000 {
            let count = 1 + random.below(9);
            let servers: Vec<_> =
                (0..count).map(|at| server(at, 0.1 + random.next_f64(), random.next_u64() % 1000)).collect();
            let call = Call { home: Some(servers[random.below(count)].hash as u32), ..call(key) };
            let chosen = affinity(count, |at| Some(servers[at]), call, 1.25).unwrap();
            let load: u64 = servers.iter().map(|server| server.load).sum::<u64>() + call.load;
            let weight: f64 = servers.iter().map(|server| server.weight).sum();
            let within = |server: &Candidate| {
                server.load == 0 || server.load as f64 <= 1.25 * load as f64 * server.weight / weight
            };
            assert!(within(&servers[chosen]) || !servers.iter().any(within), "key {key}");
        }
    }

    #[test]
    fn the_home_comes_first_while_it_is_within_the_bound_and_has_its_share() {
        let mut servers: Vec<_> = (0..4).map(|at| server(at, 1.0, 100)).collect();
        let pick = |servers: &[Candidate], home: usize| {
            let call = Call { home: Some(servers[home].hash as u32), ..call(1) };
            affinity(4, |at| Some(servers[at]), call, 1.25).unwrap()
        };
        assert!((0..4).all(|home| pick(&servers, home) == home));
        let usual = affinity(4, |at| Some(servers[at]), call(1), 1.25).unwrap();
        let home = (usual + 1) % 4;
        servers[home].load = 1000;
        assert_eq!(pick(&servers, home), usual);
        (servers[home].load, servers[home].share, servers[home].weight) = (0, 0.1, 0.1);
        assert_eq!(pick(&servers, home), usual);
    }

    #[test]
    fn power_of_two_draws_evenly_and_takes_the_lesser_load() {
        let random = Random::seeded(3);
        let mut counts = [0u32; 5];
        for _ in 0..10_000 {
            let candidate = |at| (at != 2).then(|| server(at, 1.0, u64::from(at == 4) * 100));
            counts[power_of_two(5, candidate, call(0), |end| random.below(end)).unwrap()] += 1;
        }
        assert_eq!((counts[2], counts[4]), (0, 0));
        assert!(
            [counts[0], counts[1], counts[3]].iter().all(|count| (3000..3700).contains(count)),
            "{counts:?}"
        );
        assert_eq!(power_of_two(3, |_| None, call(0), |end| random.below(end)), None);
    }

    #[test]
    fn the_first_with_a_part_of_its_share_gets_that_part() {
        let random = Random::seeded(4);
        let candidate = |at| Some(Candidate { share: if at == 0 { 0.2 } else { 1.0 }, ..server(at, 1.0, 0) });
        let firsts = (0..10_000).filter(|_| first(2, candidate, || random.next_f64()) == Some(0)).count();
        assert!((1800..2200).contains(&firsts), "{firsts}");
        let alone = |at| candidate(at).filter(|_| at == 0);
        assert_eq!(first(2, alone, || 0.9), Some(0));
    }

    #[test]
    fn hashes_are_the_same_everywhere() {
        // A change of these moves every conversation of every user to another server.
        let hashes = [hash(b""), hash(b"gpu1"), hash(b"a text of more than eight bytes")];
        assert_eq!(hashes, [0x4821_8226_ff3c_d4bf, 0xb6f4_bba8_fac1_16c4, 0x54a0_851e_9df5_ee52]);
        assert_ne!(hash(b"ab"), hash(b"ab\0"));
    }
}
