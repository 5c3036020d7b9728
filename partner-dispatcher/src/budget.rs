//! How many calls may repeat what has just failed, beside those that are made for the first time.
//!
//! A wallet that fails every second call never fails often enough in a row to open its breaker, and would get half as many
//! calls again at the very moment at which it has the least to spare. So repeats from memory have a budget, as those of
//! Finagle and Envoy have: a fifth of the first calls, and a few a second where there are few. What is beyond
//! goes to its tier, whose rest is a limit of its own.

use crate::limits::Limits;
use runtime::Millis;

/// One repeat, in thousandths.
const REPEAT: u64 = 1_000;

/// The repeats of one partner and kind of traffic. It begins full.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// What was taken and has not come back, in thousandths of a repeat.
    spent: u64,
    /// When it was looked at last.
    at: Millis,
    /// Repeats that it did not allow.
    withheld: u64,
}

impl Budget {
    /// A call was made for the first time.
    pub(crate) fn first(&mut self, limits: &Limits) {
        self.spent = self.spent.saturating_sub(limits.repeats_per_mille);
    }

    /// True if one call may be repeated at once.
    pub(crate) fn take(&mut self, now: Millis, limits: &Limits) -> bool {
        // A clock that was set back gives nothing.
        let passed_ms = u64::try_from(now.saturating_sub(self.at)).unwrap_or(0);
        self.at = now;
        self.spent = self.spent.saturating_sub(passed_ms.saturating_mul(limits.repeats_per_s_min));
        let spent = self.spent.saturating_add(REPEAT);
        let is_left = spent <= limits.repeats_kept_max.saturating_mul(REPEAT);
        if is_left {
            self.spent = spent;
        } else {
            self.withheld = self.withheld.saturating_add(1);
        }
        is_left
    }

    /// Repeats that it did not allow so far.
    pub(crate) fn withheld(&self) -> u64 {
        self.withheld
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits::PRODUCTION;

    #[test]
    fn the_first_failures_are_all_repeated_and_those_of_an_outage_are_not() {
        let mut budget = Budget::default();
        let taken = (0..1_000).filter(|_| budget.take(7_000, &LIMITS)).count();
        assert_eq!((taken, budget.withheld()), (40, 960));
        assert!(!budget.take(7_249, &LIMITS) && budget.take(7_250, &LIMITS), "four a second");
        for _ in 0..5 {
            assert!(!budget.take(7_250, &LIMITS));
            budget.first(&LIMITS);
        }
        assert!(budget.take(7_250, &LIMITS), "one for five");
        assert!(!budget.take(0, &LIMITS), "a clock that was set back");
    }

    proptest! {
        /// Repeats are no more than a fifth of the first calls, four a second, and those that were kept.
        #[test]
        fn repeats_are_bounded_whatever_fails(steps in vec((0..3_u8, 0..400_i64), 0..2_000)) {
            let (mut budget, mut now) = (Budget::default(), 1_000_000);
            let (begun, mut firsts, mut repeats) = (now, 0_u64, 0_u64);
            for (step, ms) in steps {
                match step {
                    0 => {
                        budget.first(&LIMITS);
                        firsts += 1;
                    }
                    1 => now += ms,
                    _ => repeats += u64::from(budget.take(now, &LIMITS)),
                }
                let passed_ms = u64::try_from(now - begun).unwrap();
                prop_assert!(1_000 * repeats <= 40_000 + 200 * firsts + 4 * passed_ms);
            }
        }
    }
}
