//! The choice of a server as a function: load, weights, key and randomness are arguments. No allocation.

/// What the choice needs to know of one server that may be called.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidate {
    /// Its place in the set.
    pub(super) at: u32,
    /// Its present share of the configured weight, up to 1: lower after a return, and for an outlier.
    pub(super) share: f32,
    /// Of its name, so that every process orders the servers alike.
    pub(super) hash: u64,
    /// Its part of the load: the configured weight times its present share. Above 0.
    pub(super) weight: f64,
    /// What is under way there. A whole number.
    pub(super) load: f64,
    /// The weight of the conversations that began there lately ([`begun`]); only where the call begins one.
    pub(super) begun: u32,
}

/// What the choice needs to know of the call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// Of the conversation.
    pub(super) key: u64,
    /// What the call adds to a server's load.
    pub(super) load: u64,
    /// The hash of the server that has the conversation, if that is known.
    pub(super) home: Option<u32>,
    /// No server has a part of the conversation in its cache: it begins.
    pub(super) begins: bool,
    /// It is the second of two at once: it goes to a server that is well, not to one that may be back, and
    /// its conversation stays where it is.
    pub(super) is_hedge: bool,
}

/// The first in the given order. One that has a part of its share only gets that part of the calls.
pub(super) fn first(
    servers: impl Iterator<Item = Candidate>,
    mut random: impl FnMut() -> f64,
) -> Option<Candidate> {
    let mut fallback = None;
    for server in servers {
        if server.share >= 1.0 || random() < f64::from(server.share) {
            return Some(server);
        }
        fallback.get_or_insert(server);
    }
    fallback
}

/// The one with less load by its weight, of two that are drawn.
pub(super) fn power_of_two(
    servers: &[Candidate],
    call: Call,
    mut below: impl FnMut(usize) -> usize,
) -> Option<Candidate> {
    let draw = below(servers.len().max(1));
    let one = *servers.get(draw)?;
    if servers.len() < 2 {
        return Some(one);
    }
    let other = below(servers.len() - 1);
    let two = servers[if other >= draw { other + 1 } else { other }];
    let after = |server: Candidate| server.load + call.load as f64;
    Some(if after(two) * one.weight < after(one) * two.weight { two } else { one })
}

/// A server with so little under way is not overloaded, whatever the others have: a prefill elsewhere would
/// take longer than to share it. It is about what vLLM prefills in one step by default (2048 tokens).
pub(super) const LITTLE: u64 = 10 * 1024;

/// Rendezvous hashing with bounded loads: the first in the key's order whose load is within the bound.
///
/// A server is within it while its load, before this call, is at most `bound` times its part (by weight) of
/// all load, this call's included, or is [`LITTLE`]. So its load exceeds the bound by one call at most. The
/// conversation's home comes first in the order, as its cache holds the latest prefix. Where none is within
/// the bound, the one with the least load by its weight.
///
/// A conversation that begins has nothing to lose anywhere, and will stay where it is sent. What is under way
/// at the moment says little about how many conversations a server has: between two turns people think. So of
/// the servers within the bound it goes to the first where not much more than its part of the conversations
/// began lately, and of these to one that has not much more than its part of the load. Its part is by those
/// servers that have their whole share: one that is coming back gets nothing for the time that it missed.
pub(super) fn affinity(servers: &[Candidate], call: Call, bound: f64) -> Option<Candidate> {
    let (mut load, mut weight) = (call.load as f64, 0.0);
    let (mut all_begun, mut settled) = (begun(call.load), 0.0);
    for server in servers {
        load += server.load;
        weight += server.weight;
        if server.share >= 1.0 {
            all_begun += u64::from(server.begun);
            settled += server.weight;
        }
    }
    let part = load / weight;
    let most = bound * part;
    let is_within = |server: &Candidate| server.load <= LITTLE as f64 || server.load <= most * server.weight;
    if call.begins && bound.is_finite() {
        let most_begun = MOST * all_begun as f64 / if settled > 0.0 { settled } else { weight };
        let is_due = |server: &Candidate| f64::from(server.begun) <= most_begun * server.weight;
        // Such a one is within the bound too.
        let most_free = most.min(MOST * part);
        let is_free = |server: &Candidate| server.load <= most_free * server.weight;
        let due = first_in_order(servers, call, |server| is_free(server) && is_due(server))
            .or_else(|| first_in_order(servers, call, |server| is_within(server) && is_due(server)));
        if due.is_some() {
            return due;
        }
    }
    first_in_order(servers, call, is_within).or_else(|| least(servers).copied())
}

/// Whether the conversation moves to the server that is chosen for a call, of these. It does not from a home
/// that may be called and at most has too much under way: back there only the turns since are new. Otherwise
/// conversations would leave a server at each peak, and none would come back.
pub(super) fn moves(servers: &[Candidate], call: Call) -> bool {
    !servers.iter().any(|server| call.is_at_home(server))
}

impl Call {
    /// A server that has little of its share keeps no conversations.
    #[inline]
    fn is_at_home(&self, server: &Candidate) -> bool {
        self.home == Some(server.hash as u32) && server.share >= 0.5
    }
}

/// How much more than its part a server may have where a conversation begins.
const MOST: f64 = 1.05;

/// The weight of a conversation that begins with a prompt of this load, in units of 256 bytes: the turns to
/// come weigh something.
pub(super) const fn begun(load: u64) -> u64 {
    load.saturating_add(LITTLE) >> 8
}

/// The first in the order of the call's key, among those that are such.
#[inline]
fn first_in_order(
    servers: &[Candidate],
    call: Call,
    is_such: impl Fn(&Candidate) -> bool,
) -> Option<Candidate> {
    let (mut first, mut best) = (None, Place { exponential: f64::INFINITY, weight: 1.0 });
    for server in servers {
        if !is_such(server) {
            continue;
        }
        if call.is_at_home(server) {
            return Some(*server);
        }
        let unit = unit(call.key, server);
        // The logarithm is at least as far from 0 as this: most servers need none.
        let nearest = Place { exponential: 1.0 - unit, weight: server.weight };
        if nearest.is_before(best) {
            let place = Place { exponential: -log2(unit), ..nearest };
            if place.is_before(best) {
                (first, best) = (Some(server), place);
            }
        }
    }
    first.copied()
}

/// The server with the least load by its weight.
#[cold]
fn least(servers: &[Candidate]) -> Option<&Candidate> {
    let relative = |server: &Candidate| server.load / server.weight;
    servers.iter().min_by(|one, other| relative(one).total_cmp(&relative(other)))
}

/// What a server draws for a key, in (0, 1], with the 53 bits that a mantissa holds.
#[inline]
fn unit(key: u64, server: &Candidate) -> f64 {
    ((mix(key ^ server.hash) >> 11) as i64 + 1) as f64 / (1u64 << 53) as f64
}

/// A server's place in a key's order: an exponential variable, and the weight by which it is to be divided.
/// The lowest is the first. Each is first for a part of the keys that is proportional to its weight, and a
/// change of one weight moves keys only from or to that server.
#[derive(Clone, Copy, Debug)]
struct Place {
    exponential: f64,
    weight: f64,
}

impl Place {
    /// Compares the quotients. A division takes as long as all the rest.
    #[inline]
    fn is_before(self, other: Self) -> bool {
        self.exponential * other.weight < other.exponential * self.weight
    }
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
    let mut rest = bytes;
    if bytes.len() >= 64 {
        // Each step waits for the one before: of long texts, four are under way at once.
        let mut lanes = [state; 4];
        let mut blocks = bytes.chunks_exact(32);
        for block in &mut blocks {
            for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
                *lane = step(*lane, word);
            }
        }
        state = lanes.into_iter().fold(state, |state, lane| mix(state ^ lane));
        rest = blocks.remainder();
    }
    let mut words = rest.chunks_exact(8);
    for word in &mut words {
        state = step(state, word);
    }
    let mut last = [0; 8];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(last))
}

/// One word of eight bytes more.
#[inline]
fn step(state: u64, word: &[u8]) -> u64 {
    let word = word.try_into().map_or(0, u64::from_le_bytes);
    (state ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25).rotate_left(29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn server(at: usize, weight: f64, load: u64) -> Candidate {
        let hash = hash(format!("server {at}").as_bytes());
        Candidate { at: at as u32, share: 1.0, hash, weight, load: load as f64, begun: 0 }
    }

    /// So many servers, of which some may be called.
    fn servers(count: usize, candidate: impl Fn(usize) -> Option<Candidate>) -> Vec<Candidate> {
        (0..count).filter_map(candidate).collect()
    }

    fn by_affinity(servers: &[Candidate], call: Call) -> usize {
        affinity(servers, call, 1.25).unwrap().at as usize
    }

    fn call(key: u64) -> Call {
        Call { key: mix(key), load: 10, home: None, begins: false, is_hedge: false }
    }

    #[test]
    fn the_logarithm_is_close_and_rises() {
        let mut last = f64::NEG_INFINITY;
        for step in 1..=10_000 {
            let number = f64::from(step) / 10_000.0;
            let log = log2(number);
            assert!((log - number.log2()).abs() < 0.01, "{number}: {log}");
            assert!(log >= last, "{number}");
            assert!(-log >= 1.0 - number, "{number}: {log}");
            last = log;
        }
        assert!(log2(1.0).abs() < 1e-12);
    }

    #[test]
    fn keys_spread_by_weight() {
        let weights = [1.0, 2.0, 1.0, 4.0];
        let mut counts = [0u32; 4];
        let servers = servers(4, |at| Some(server(at, weights[at], 0)));
        for key in 0..80_000 {
            counts[by_affinity(&servers, call(key))] += 1;
        }
        for (count, weight) in counts.into_iter().zip(weights) {
            let want = 10_000.0 * weight;
            assert!((f64::from(count) - want).abs() < 0.05 * want, "{counts:?}");
        }
    }

    #[test]
    fn a_server_that_goes_moves_only_its_own_keys() {
        let whole = servers(8, |at| Some(server(at, 1.0, 0)));
        let without = servers(8, |at| (at != 3).then(|| server(at, 1.0, 0)));
        for key in 0..2000 {
            let (all, left) = (by_affinity(&whole, call(key)), by_affinity(&without, call(key)));
            assert!(left == all || all == 3, "key {key} moved from {all} to {left}");
        }
    }

    #[test]
    fn a_weight_that_rises_moves_keys_only_to_that_server() {
        for key in 0..2000 {
            let pick = |weight| {
                let candidate = |at| Some(server(at, if at == 2 { weight } else { 1.0 }, 0));
                by_affinity(&servers(6, candidate), call(key))
            };
            // A weight of 1 is compared in another way than the others.
            let picks = [0.3, 0.9, 1.0, 1.5].map(pick);
            for pair in picks.windows(2) {
                assert!(pair[0] == pair[1] || pair[1] == 2, "key {key} moved: {picks:?}");
            }
        }
    }

    #[test]
    fn no_choice_is_of_a_server_beyond_the_bound_while_another_is_within() {
        let random = Random::seeded(5);
        for key in 0..5000 {
            let count = 1 + random.below(9);
            let servers: Vec<_> = (0..count)
                .map(|at| Candidate {
                    begun: (random.next_u64() % 400) as u32,
                    ..server(at, 0.1 + random.next_f64(), random.next_u64() % 100_000)
                })
                .collect();
            let begins = key % 2 == 0;
            let home = (!begins).then(|| servers[random.below(count)].hash as u32);
            let call = Call { home, begins, ..call(key) };
            let chosen = by_affinity(&servers, call);
            let load = servers.iter().map(|server| server.load).sum::<f64>() + call.load as f64;
            let weight: f64 = servers.iter().map(|server| server.weight).sum();
            let within = |server: &Candidate| {
                server.load <= LITTLE as f64 || server.load <= 1.25 * load * server.weight / weight
            };
            assert!(within(&servers[chosen]) || !servers.iter().any(within), "key {key}");
        }
    }

    #[test]
    fn a_conversation_that_begins_goes_where_few_began() {
        for key in 0..100 {
            let begun = |at, count| Candidate { begun: count * begun(10) as u32, ..server(at, 1.0, 0) };
            let servers = [begun(0, 10), begun(1, 20)];
            let begins = |begins| by_affinity(&servers, Call { begins, ..call(key) });
            assert_eq!(begins(true), 0);
            assert_eq!(begins(false), by_affinity(&[server(0, 1.0, 0), server(1, 1.0, 0)], call(key)));
        }
    }

    #[test]
    fn a_server_that_comes_back_gets_its_share_of_the_beginnings_and_no_more() {
        let back = Candidate { share: 0.5, ..server(0, 0.5, 0) };
        let settled = Candidate { begun: 100 * begun(10) as u32, ..server(1, 1.0, 0) };
        let begins = |key| by_affinity(&[back, settled], Call { begins: true, ..call(key) }) == 0;
        let count = (0..3000).filter(|&key| begins(key)).count();
        assert!((900..1100).contains(&count), "{count}");
    }

    #[test]
    fn conversations_begin_at_a_server_by_its_weight() {
        let mut servers: Vec<_> = (0..3).map(|at| server(at, [1.0, 1.0, 2.0][at], 0)).collect();
        for key in 0..400 {
            let chosen = by_affinity(&servers, Call { begins: true, ..call(key) });
            servers[chosen].begun += begun(10) as u32;
        }
        let counts: Vec<_> = servers.iter().map(|server| server.begun / begun(10) as u32).collect();
        let parts = [100, 100, 200];
        assert!(
            counts.iter().zip(parts).all(|(count, part)| count.abs_diff(part) * 16 <= part),
            "{counts:?}"
        );
    }

    #[test]
    fn the_home_comes_first_while_it_is_within_the_bound_and_has_its_share() {
        let mut servers: Vec<_> = (0..4).map(|at| server(at, 1.0, 100)).collect();
        let pick = |servers: &[Candidate], home: usize| {
            let call = Call { home: Some(servers[home].hash as u32), ..call(1) };
            by_affinity(servers, call)
        };
        assert!((0..4).all(|home| pick(&servers, home) == home));
        let usual = by_affinity(&servers, call(1));
        let home = (usual + 1) % 4;
        servers[home].load = 1000.0;
        assert_eq!(pick(&servers, home), home, "that is little");
        servers[home].load = 100_000.0;
        assert_eq!(pick(&servers, home), usual);
        (servers[home].load, servers[home].share, servers[home].weight) = (0.0, 0.1, 0.1);
        assert_eq!(pick(&servers, home), usual);
    }

    #[test]
    fn power_of_two_draws_evenly_and_takes_the_lesser_load() {
        let random = Random::seeded(3);
        let mut counts = [0u32; 5];
        let able = servers(5, |at| (at != 2).then(|| server(at, 1.0, u64::from(at == 4) * 100)));
        for _ in 0..10_000 {
            counts[power_of_two(&able, call(0), |end| random.below(end)).unwrap().at as usize] += 1;
        }
        assert_eq!((counts[2], counts[4]), (0, 0));
        assert!(
            [counts[0], counts[1], counts[3]].iter().all(|count| (3000..3700).contains(count)),
            "{counts:?}"
        );
        assert!(power_of_two(&[], call(0), |end| random.below(end)).is_none());
    }

    #[test]
    fn the_first_with_a_part_of_its_share_gets_that_part() {
        let random = Random::seeded(4);
        let both = [Candidate { share: 0.2, ..server(0, 1.0, 0) }, server(1, 1.0, 0)];
        let pick = |servers: &[Candidate], draw: f64| {
            first(servers.iter().copied(), || draw).map(|server| server.at)
        };
        let firsts = (0..10_000).filter(|_| pick(&both, random.next_f64()) == Some(0)).count();
        assert!((1800..2200).contains(&firsts), "{firsts}");
        assert_eq!(pick(&both[..1], 0.9), Some(0));
    }

    #[test]
    fn hashes_are_the_same_everywhere() {
        // A change of these moves every conversation of every user to another server.
        let hashes = [hash(b""), hash(b"gpu1"), hash(b"a text of more than eight bytes")];
        assert_eq!(hashes, [0x4821_8226_ff3c_d4bf, 0xb6f4_bba8_fac1_16c4, 0x54a0_851e_9df5_ee52]);
        assert_ne!(hash(b"ab"), hash(b"ab\0"));
        let long: Vec<u8> = (0..255).collect();
        assert_eq!([hash(&long[..64]), hash(&long)], [0xfbe4_8950_78a1_043f, 0xca85_77dd_01b0_7454]);
        for at in 0..long.len() {
            let mut other = long.clone();
            other[at] ^= 1;
            assert_ne!(hash(&long), hash(&other), "byte {at}");
            other.swap(at, (at + 8) % long.len());
            assert_ne!(hash(&long), hash(&other), "byte {at} at the place of another");
        }
    }
}
