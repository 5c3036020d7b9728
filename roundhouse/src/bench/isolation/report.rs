//! By how much healthy partners notice.

use super::{Found, ILL, IsolationPlan, Pair};
use crate::audit::report::Report;
use crate::bench::illness::Seen;
use crate::bench::plain_street::DOES;
use crate::bench::report::{Memory, Place, Thousandths, median, per_mille, percentile};
use crate::bench::trial::Verdict;
use anyhow::Context;
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
    /// The same of the plain program: what the machine and the wallets do to the ratio without us.
    pub plain_ratio_per_mille: Interval,
    /// What the plain program does.
    pub plain_does: &'static str,
    /// The p99 while all are well by that of the plain program, in thousandths, median of the pairs.
    pub well_by_plain_per_mille: u64,
    /// The most that it may be; passed if the whole interval is above it.
    pub ratio_max_per_mille: u64,
    /// How the dispatcher saw the ill ones.
    pub ill: Vec<Seen>,
    /// Of server and client together.
    pub memory: Memory,
    /// The audit of everything, journals included.
    pub audit: Report,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl IsolationReport {
    pub(super) fn of(
        plan: &IsolationPlan,
        found: Found,
        audit: Report,
        place: Place,
    ) -> anyhow::Result<Self> {
        let Found { pairs, seen, memory } = found;
        let interval = |ratio: fn(&Pair) -> u64| {
            Interval::of(pairs.iter().map(ratio).collect())
                .with_context(|| format!("{PAIRS_MIN} pairs or more are needed for an interval"))
        };
        let ratio_per_mille = interval(|pair| per_mille(pair.ill_p99_ms, pair.well_p99_ms))?;
        let plain_ratio_per_mille =
            interval(|pair| per_mille(pair.plain_ill_p99_us, pair.plain_well_p99_us))?;
        let well_by_plain =
            |pair: &Pair| per_mille(pair.well_p99_ms.saturating_mul(1_000), pair.plain_well_p99_us);
        let well_by_plain_per_mille = median(pairs.iter().map(well_by_plain).collect());
        Ok(Self {
            what: "isolation",
            healthy: plan.healthy,
            seconds: plan.seconds,
            bets: plan.bets,
            every_ms: plan.every_ms,
            ill_bets: plan.ill_bets,
            pairs,
            ratio_per_mille,
            plain_ratio_per_mille,
            plain_does: DOES,
            well_by_plain_per_mille,
            ratio_max_per_mille: RATIO_MAX_PER_MILLE,
            ill: seen,
            memory,
            audit,
            place,
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
        writeln!(
            f,
            "{}: {} partners with a round of {} bets every {} ms, beside {ILL} that are well or ill and for \
             whom {} bets fall due every 500 ms; phases of {} s",
            self.what, self.healthy, self.bets, self.every_ms, self.ill_bets, self.seconds
        )?;
        writeln!(f, "{}", self.place)?;
        writeln!(f, "from a result to its confirmation, p99 of the healthy partners:")?;
        write!(f, "{:<8}{:>14}{:>14}{:>10}", "pair", "all well, ms", "five ill, ms", "ratio")?;
        writeln!(f, "{:>14}{:>14}{:>10}", "plain: well", "ill", "ratio")?;
        for (number, pair) in self.pairs.iter().enumerate() {
            let Pair { well_p99_ms, ill_p99_ms, plain_well_p99_us, plain_ill_p99_us } = *pair;
            let ratio = Thousandths(per_mille(ill_p99_ms, well_p99_ms));
            write!(f, "{:<8}{well_p99_ms:>14}{ill_p99_ms:>14}{ratio:>10}", number + 1)?;
            let ratio = Thousandths(per_mille(plain_ill_p99_us, plain_well_p99_us));
            let [well, ill] = [plain_well_p99_us, plain_ill_p99_us].map(Thousandths);
            writeln!(f, "{well:>14}{ill:>14}{ratio:>10}")?;
        }
        let Interval { from, median, to } = self.ratio_per_mille;
        let [from, median, to, max] = [from, median, to, self.ratio_max_per_mille].map(Thousandths);
        writeln!(
            f,
            "ratio: median {median}, with 95 % or more from {from} to {to}; at most {max}: {}",
            if self.ratio_held() { "held" } else { "NOT HELD" }
        )?;
        let Interval { from, median, to } = self.plain_ratio_per_mille;
        let [from, median, to] = [from, median, to].map(Thousandths);
        writeln!(f, "{}; no logic", self.plain_does)?;
        writeln!(
            f,
            "its ratio: median {median}, from {from} to {to}. While all are well, by that of plain: {}",
            Thousandths(self.well_by_plain_per_mille)
        )?;
        self.ill.iter().try_for_each(|seen| writeln!(f, "{seen}"))?;
        writeln!(f, "{}", self.memory)?;
        write!(f, "{}", self.audit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// Pairs in which the ill phases took so much longer, in ms; those of the plain program take 20 and 21 ms.
    fn report(more_ms: [u64; 6]) -> IsolationReport {
        let pair = |more_ms| Pair {
            well_p99_ms: 40,
            ill_p99_ms: 40 + more_ms,
            plain_well_p99_us: 20_000,
            plain_ill_p99_us: 21_000,
        };
        let plan = IsolationPlan {
            healthy: 1,
            pairs: 6,
            seconds: 1,
            bets: 1,
            every_ms: 1,
            ill_bets: 1,
            wallet_latency_ms: 20,
            seed: 1,
            data_dir: PathBuf::new(),
            exe: PathBuf::new(),
        };
        let pairs = more_ms.map(pair).to_vec();
        let found = Found { pairs, seen: Vec::new(), memory: Memory::default() };
        IsolationReport::of(&plan, found, Report::new(Vec::new()), Place::nowhere()).unwrap()
    }

    #[test]
    fn the_ratio_is_judged_and_stands_beside_that_of_the_plain_program() {
        let held = report([4, 5, 6, 7, 8, 9]);
        assert_eq!(held.ratio_per_mille, Interval { from: 1_100, median: 1_150, to: 1_225 });
        assert_eq!(held.plain_ratio_per_mille, Interval { from: 1_050, median: 1_050, to: 1_050 });
        assert_eq!(held.well_by_plain_per_mille, 2_000);
        assert!(held.held(), "{held}");
        assert!(!report([5, 5, 6, 7, 8, 9]).held(), "all of the interval is above");
    }

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
