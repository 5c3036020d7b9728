//! Wallets that take less in a state call than the contract has, and say once that they take something else.

use super::cast::PARTNERS;
use super::reach::Moment;
use super::{Event, World};
use crate::rng::Rng;
use schemas::PartnerId;
use schemas::partners::StateCalls;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

/// What wallets say that they take: at first, and later. An item of a world has some 400 bytes.
#[derive(Debug, Default)]
pub(super) struct Narrow {
    said: [Arc<BTreeMap<PartnerId, StateCalls>>; 2],
    later: usize,
}

impl Narrow {
    /// What they say now.
    pub(super) fn state_calls(&self) -> Arc<BTreeMap<PartnerId, StateCalls>> {
        Arc::clone(&self.said[self.later])
    }
}

impl World {
    /// Draws which wallets are narrow; by a generator of its own, so that all else of a seed is as it was.
    pub(super) fn plan_narrow(&mut self) {
        let mut rng = Rng::new(self.seed.rotate_left(17));
        let narrow: Vec<PartnerId> = PARTNERS
            .iter()
            .filter_map(|name| name.parse().ok())
            .filter(|_| rng.chance(400))
            .collect();
        let mut number =
            |low, high| u32::try_from(rng.between(low, high)).ok().and_then(NonZeroU32::new);
        for said in &mut self.narrow.said {
            let takes = |partner: &PartnerId| {
                let (items_max, bytes_max) = (number(1, 5), number(900, 2_500));
                (partner.clone(), StateCalls { items_max, bytes_max, gzip: false })
            };
            *said = Arc::new(narrow.iter().map(takes).collect());
        }
        let ms = i64::from(number(500, 10_000).map_or(500, NonZeroU32::get));
        self.after_ms(ms, Event::Narrowed);
    }

    pub(super) fn narrowed(&mut self) {
        self.narrow.later = 1;
        self.tell_dispatchers();
    }

    /// A call is no larger than its wallet takes, or took before it said otherwise; one that is larger than it takes now is
    /// refused.
    pub(super) fn measure(
        &mut self,
        partner: &PartnerId,
        (items, bytes): (usize, usize),
    ) -> Result<(), u16> {
        let most = (usize::MAX, usize::MAX);
        let takes =
            |of: usize| self.narrow.said[of].get(partner).map_or(most, |calls| calls.within(most));
        let (first, now) = (takes(0), takes(self.narrow.later));
        if first.0.max(now.0) < items || first.1.max(now.1) < bytes {
            let what = format!("{items} items and {bytes} bytes to {partner}, which takes {now:?}");
            self.broken("contract 8", what);
        }
        if now.0 < items || now.1 < bytes {
            return Err(413);
        }
        if items == now.0 {
            self.reach.hit(Moment::NarrowCall);
        }
        Ok(())
    }
}
