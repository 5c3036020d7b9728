//! When an item is tried again: at once from memory, then from the tier.

use crate::limits::Limits;
use runtime::{Millis, Record};

/// Header of the tier and the parking place: the offset of the settlement in `settlements.v1`.
pub const HEADER_ORIG_OFFSET: &str = "orig_offset";
/// Header of the tier: how often the settlement was sent before.
pub const HEADER_ATTEMPT: &str = "attempt";
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
        let (min, max) = (limits.repeat_wait_ms_min, limits.repeat_wait_ms_max);
        let span = max.saturating_sub(min).saturating_add(1);
        min.saturating_add(self.next() % span)
    }
}

/// `now` and `ms` later, in the clock's own type.
pub(crate) fn later(now: Millis, ms: u64) -> Millis {
    now.saturating_add(Millis::try_from(ms).unwrap_or(Millis::MAX))
}

/// The settlement's offset in `settlements.v1` and the attempts before, as a tier record says them.
///
/// A record without the header was written by other hands: its facts then stand at offset 0.
pub(crate) fn history(record: &Record) -> (u64, u32) {
    let number = |name| record.header(name).and_then(|text| text.parse::<u64>().ok());
    let attempts = number(HEADER_ATTEMPT).and_then(|count| u32::try_from(count).ok());
    (number(HEADER_ORIG_OFFSET).unwrap_or(0), attempts.unwrap_or(1))
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
        assert!(waits.iter().all(|wait| (100..=250).contains(wait)));
        assert!(100 < waits.iter().collect::<BTreeSet<_>>().len());
        let mut again = Jitter::new(7);
        assert!(waits.iter().all(|wait| *wait == again.repeat_wait_ms(&Limits::PRODUCTION)));
    }

    #[test]
    fn headers_read_back() {
        let headers = |orig: &str, attempt: &str| Record {
            offset: 9,
            appended_at: 0,
            key: "k".into(),
            headers: vec![
                (HEADER_ORIG_OFFSET.to_owned(), orig.to_owned()),
                (HEADER_ATTEMPT.to_owned(), attempt.to_owned()),
            ],
            value: "v".into(),
        };
        assert_eq!(history(&headers("41", "3")), (41, 3));
        assert_eq!(history(&headers("-1", "many")), (0, 1));
    }
}
