//! By how much healthy partners notice.

use super::{Found, ILL, IsolationPlan, Pair};
use crate::audit::report::Report;
use crate::bench::illness::Seen;
use crate::bench::report::{Machine, Memory, Thousandths, per_mille, percentile};
use crate::bench::trial::Verdict;
use serde::Serialize;
use std::fmt;

/// The most that the p99 with ill partners may be of that without, in thousandths.
const RATIO_MAX_PER_MILLE: u64 = 1_100;
/// Pairs without which no interval of 95 % can be given.
const PAIRS_MIN: usize = 6;

/// Ratios, lowest, median and highest, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub from: u64,
    /// The median of all.
    pub median: u64,
    /// The upper end.
    pub to: u64,
}

impl Interval {
    /// The interval in which the true median lies with 95 % or more, whatever the distribution: between the k-th
    /// lowest and the k-th highest of the ratios, where fewer than k of so many lie on one side of their median
    /// in one of 40 cases or less (the sign test). `None` of fewer than [`PAIRS_MIN`].
    ///
    /// # Source
    /// Conover, Practical Nonparametric Statistics, 3.4.
    fn of(mut ratios: Vec<u64>) -> Option<Self> {
        ratios.sort_unstable();
        let pairs = u32::try_from(ratios.len()).ok()?;
        let all = 1_u128.checked_shl(pairs)?;
        let (mut below, mut choices, mut k) = (0_u128, 1_u128, 0_usize);
        for n in 0..u128::from(pairs) {
            below += choices;
            if all < 40 * below {
                break;
            }
            k += 1;
            choices = choices * (u128::from(pairs) - n) / (n + 1);
        }
        let from = *ratios.get(k.checked_sub(1)?)?;
        let to = *ratios.get(ratios.len() - k)?;
        Some(Self { from, median: percentile(&ratios, 50), to })
    }
}

/// What was measured, and what the audit says.
#[derive(Clone, Debug, Serialize)]
pub struct IsolationReport {
    /// Which bench.
    pub what: &'static str,
    /// Partners that were well all the time.
    pub healthy: usize,
    /// Length of each phase, in s.
    pub seconds: u64,
    /// Bets of each round of the healthy ones.
    pub bets: usize,
    /// Between the beginnings of two of their rounds, in ms.
    pub every_ms: u64,
    /// Bets of each round of the ill ones.
    pub ill_bets: usize,
    /// Pair by pair.
    pub pairs: Vec<Pair>,
    /// The p99 while five are ill by that while all are well: the true median lies in it with 95 % or more.
    pub ratio_per_mille: Interval,
    /// The most that it may be; passed if the whole interval is above it.
    pub ratio_max_per_mille: u64,
    /// How the dispatcher saw the ill ones.
    pub ill: Vec<Seen>,
    /// Of server and client together.
    pub memory: Memory,
    /// The audit of everything, journals included.
    pub audit: Report,
    /// The machine, before and after.
    pub machine: [Machine; 2],
}

impl IsolationReport {
    pub(super) fn of(
        plan: &IsolationPlan,
        found: Found,
        audit: Report,
        machine: [Machine; 2],
    ) -> anyhow::Result<Self> {
        let Found { pairs, seen, memory } = found;
        let ratios = pairs.iter().map(|pair| per_mille(pair.ill_p99_ms, pair.well_p99_ms));
        let too_few = || anyhow::anyhow!("{PAIRS_MIN} pairs or more are needed for an interval");
        let ratio_per_mille = Interval::of(ratios.collect()).ok_or_else(too_few)?;
        Ok(Self {
            what: "isolation",
            healthy: plan.healthy,
            seconds: plan.seconds,
            bets: plan.bets,
            every_ms: plan.every_ms,
            ill_bets: plan.ill_bets,
            pairs,
            ratio_per_mille,
            ratio_max_per_mille: RATIO_MAX_PER_MILLE,
            ill: seen,
            memory,
            audit,
            machine,
        })
    }

    /// Whether not all of the interval is above what the ratio may be.
    fn ratio_held(&self) -> bool {
        self.ratio_per_mille.from <= self.ratio_max_per_mille
    }
}

impl Verdict for IsolationReport {
    fn audit(&self) -> &Report {
        &self.audit
    }

    /// Whether the ratio was held, by wallets that were as ill as they should be.
    fn held(&self) -> bool {
        self.ratio_held() && self.ill.iter().all(Seen::is_as_meant)
    }
}

impl fmt::Display for IsolationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [before, after] = &self.machine;
        writeln!(
            f,
            "{}: {} partners with a round of {} bets every {} ms, beside {ILL} that are well or ill and for \
             whom {} bets fall due every 500 ms; phases of {} s",
            self.what, self.healthy, self.bets, self.every_ms, self.ill_bets, self.seconds
        )?;
        writeln!(f, "before: {before}\nafter:  {after}")?;
        writeln!(f, "from a result to its confirmation, p99 of the healthy partners:")?;
        writeln!(f, "{:<8}{:>14}{:>14}{:>10}", "pair", "all well, ms", "five ill, ms", "ratio")?;
        for (number, pair) in self.pairs.iter().enumerate() {
            let Pair { well_p99_ms, ill_p99_ms } = pair;
            let ratio = Thousandths(per_mille(*ill_p99_ms, *well_p99_ms));
            writeln!(f, "{:<8}{well_p99_ms:>14}{ill_p99_ms:>14}{ratio:>10}", number + 1)?;
        }
        let Interval { from, median, to } = self.ratio_per_mille;
        let [from, median, to, max] = [from, median, to, self.ratio_max_per_mille].map(Thousandths);
        writeln!(
            f,
            "ratio: median {median}, with 95 % or more from {from} to {to}; at most {max}: {}",
            if self.ratio_held() { "held" } else { "NOT HELD" }
        )?;
        self.ill.iter().try_for_each(|seen| writeln!(f, "{seen}"))?;
        writeln!(f, "{}", self.memory)?;
        write!(f, "{}", self.audit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_sign_test() {
        let of = |count: u64| {
            let interval = Interval::of((1..=count).rev().collect())?;
            Some((interval.from, interval.median, interval.to))
        };
        assert_eq!([of(0), of(1), of(5)], [None; 3]);
        // Of 6 all lie on one side in one of 32 cases; of 8 more than one of 8 do in 9 of 128.
        assert_eq!(of(6), Some((1, 3, 6)));
        assert_eq!(of(7), Some((1, 4, 7)));
        assert_eq!(of(8), Some((1, 4, 8)));
        assert_eq!(of(9), Some((2, 5, 8)));
        assert_eq!(of(20), Some((6, 10, 15)));
    }
}
