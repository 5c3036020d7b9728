//! When an item is tried again: at once from memory, then from one tier after the other, at last by a
//! human.

pub use schemas::facts::{HEADER_ASKED, HEADER_ATTEMPT, HEADER_REPLAYED};

use crate::limits::Limits;
use runtime::{Millis, Record};
use schemas::catalogue::RetryTier;
use std::str::FromStr;

/// Header of the tiers and the parking place: the offset of the settlement in `settlements.v1`.
pub const HEADER_ORIG_OFFSET: &str = "orig_offset";
/// Header of the tiers: items that a chunk with this one may have.
pub const HEADER_CHUNK_ITEMS_MAX: &str = "chunk_items_max";
/// Header of the tiers: when the settlement first went to one, in ms since the Unix epoch.
pub const HEADER_RETRIED_SINCE: &str = "retried_since";
/// Header of the parking place: why, a stable code.
pub const HEADER_CODE: &str = "code";

/// A source of small differences: splitmix64, so that a seed gives the same waits again.
///
/// Nothing of worth depends on it; it only keeps chunks that failed together apart.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The wait before the repeat from memory, in ms.
    pub(crate) fn repeat_wait_ms(&mut self, limits: &Limits) -> u64 {
        self.between(limits.repeat_wait_ms_min, limits.repeat_wait_ms_max)
    }

    /// A number of `min..=max`.
    pub(crate) fn between(&mut self, min: u64, max: u64) -> u64 {
        let span = max.saturating_sub(min).saturating_add(1);
        min.saturating_add(self.next() % span)
    }
}

/// `now` and `ms` later, in the clock's own type.
pub(crate) fn later(now: Millis, ms: u64) -> Millis {
    now.saturating_add(Millis::try_from(ms).unwrap_or(Millis::MAX))
}

/// The tier that an item rests in next, after it rested in `tier` and got no answer; `None` if it has been
/// tried for long enough and a human must look. `age_ms` is the time since it first went to a tier. One that was `woken`
/// before its time rests as long again: a partner that comes and goes must not find its money an hour away.
///
/// # Source
/// DESIGN 7: 5 s, 30 s, 2 min, 10 min for a day, then 1 h for 35 days, then parked.
pub(crate) fn next_tier(
    tier: Option<RetryTier>,
    woken: bool,
    age_ms: u64,
    limits: &Limits,
) -> Option<RetryTier> {
    if limits.park_after_ms <= age_ms {
        return None;
    }
    Some(match tier {
        Some(tier) if woken => tier,
        None => RetryTier::S5,
        Some(RetryTier::S5) => RetryTier::S30,
        Some(RetryTier::S30) => RetryTier::M2,
        Some(RetryTier::M2) => RetryTier::M10,
        Some(RetryTier::M10) if age_ms < limits.last_tier_after_ms => RetryTier::M10,
        Some(RetryTier::M10 | RetryTier::H1) => RetryTier::H1,
    })
}

/// What happened to an item before, as its record in a tier says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct History {
    /// Its offset in `settlements.v1`.
    pub(crate) orig: u64,
    pub(crate) attempts: u32,
    pub(crate) chunk_items_max: usize,
    /// When it first went to a tier.
    pub(crate) retried_since: Option<Millis>,
}

impl History {
    /// Reads the headers. A record without them was written by other hands: its facts then stand at
    /// offset 0.
    pub(crate) fn of(record: &Record, limits: &Limits) -> Self {
        Self {
            orig: number(record, HEADER_ORIG_OFFSET).unwrap_or(0),
            attempts: number(record, HEADER_ATTEMPT).unwrap_or(1),
            chunk_items_max: number(record, HEADER_CHUNK_ITEMS_MAX)
                .unwrap_or(limits.chunk_items_max)
                .clamp(1, limits.chunk_items_max),
            retried_since: number(record, HEADER_RETRIED_SINCE),
        }
    }
}

fn number<T: FromStr>(record: &Record, name: &str) -> Option<T> {
    record.header(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn waits_stay_within_their_bounds_and_differ() {
        let mut jitter = Jitter::new(7);
        let waits: Vec<u64> =
            (0..1_000).map(|_| jitter.repeat_wait_ms(&Limits::PRODUCTION)).collect();
        assert!(waits.iter().all(|wait| (100..=150).contains(wait)));
        assert!(40 < waits.iter().collect::<BTreeSet<_>>().len());
        let mut again = Jitter::new(7);
        assert!(waits.iter().all(|wait| *wait == again.repeat_wait_ms(&Limits::PRODUCTION)));
    }

    #[test]
    fn headers_read_back() {
        let limits = Limits::PRODUCTION;
        for (texts, orig, attempts, chunk_items_max) in [
            (["41", "3", "2"], 41, 3, 2),
            (["-1", "many", "0"], 0, 1, 1),
            (["", "", "501"], 0, 1, 500),
        ] {
            let names = [HEADER_ORIG_OFFSET, HEADER_ATTEMPT, HEADER_CHUNK_ITEMS_MAX];
            let record = Record {
                offset: 9,
                appended_at: 0,
                key: "k".into(),
                headers: names.into_iter().zip(texts).collect(),
                value: "v".into(),
            };
            let wanted = History { orig, attempts, chunk_items_max, retried_since: None };
            assert_eq!(History::of(&record, &limits), wanted);
        }
        let record = Record {
            offset: 9,
            appended_at: 0,
            key: "k".into(),
            headers: [(HEADER_RETRIED_SINCE, "77")].into_iter().collect(),
            value: "v".into(),
        };
        assert_eq!(History::of(&record, &limits).retried_since, Some(77));
    }

    #[test]
    fn tiers_follow_each_other_until_the_time_is_over() {
        const HOUR_MS: u64 = 3_600_000;
        let limits = Limits::PRODUCTION;
        let (mut tier, mut age_ms, mut visits) = (None, 0, [0_u64; 5]);
        while let Some(next) = next_tier(tier, false, age_ms, &limits) {
            visits[next.index()] += 1;
            age_ms += limits.tier_wait_ms[next.index()];
            tier = Some(next);
        }
        // 10 min for a day, less the 155 s before; then every hour.
        assert_eq!(visits, [1, 1, 1, 144, 34 * 24]);
        assert_eq!(next_tier(tier, true, age_ms, &limits), None, "also one that was woken");
        assert!((35 * 24 * HOUR_MS..35 * 24 * HOUR_MS + HOUR_MS).contains(&age_ms));
    }
}
