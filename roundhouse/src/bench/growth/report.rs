//! Whether a settlement costs the same everywhere.

use super::{Costs, Grid, Point};
use crate::bench::report::{Memory, Place, Thousandths, median, per_mille, word};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The most that the dearest point may cost by the cheapest, in thousandths.
const SPREAD_PER_MILLE_MAX: u64 = 1_500;
/// The least CPU time of a run that says something, in ms: the system counts it in steps of 10.
const CPU_MS_MIN: u64 = 500;

/// What a settlement cost at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PointReport {
    /// Which.
    #[serde(flatten)]
    pub point: Point,
    /// Rounds of a run.
    pub rounds: usize,
    /// CPU time of a run, median, in ms.
    pub cpu_ms: u64,
    /// CPU time of a settlement, median, in ns.
    pub cpu_ns: u64,
    /// The same of the cheapest run.
    pub cpu_ns_min: u64,
    /// The same of the dearest run.
    pub cpu_ns_max: u64,
    /// Time of a settlement, median, in ns; partitions are worked on side by side, if more than one has partners.
    pub took_ns: u64,
    /// CPU time by that of the cheapest point, in thousandths.
    pub cpu_per_mille: u64,
    /// Time by that of the fastest point, in thousandths.
    pub took_per_mille: u64,
    /// CPU time of a settlement in the plain program, median, in ns.
    pub plain_cpu_ns: u64,
    /// Time of a settlement in the plain program, median, in ns.
    pub plain_took_ns: u64,
    /// CPU time by that of the plain program behind it, in thousandths, median of the runs.
    pub cpu_by_plain_per_mille: u64,
    /// Time by that of the plain program behind it, in thousandths, median of the runs.
    pub took_by_plain_per_mille: u64,
    /// Memory of the run that had the highest peak; at rest is when the bets waited in the log.
    pub memory: Memory,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct GrowthReport {
    /// Which bench.
    pub what: &'static str,
    /// Settlements of every run.
    pub settlements: usize,
    /// Runs of each point.
    pub runs: usize,
    /// What a settlement cost, point by point.
    pub points: Vec<PointReport>,
    /// From the fewest partners to the most: the dearest point by the cheapest, in thousandths.
    pub partners_per_mille: u64,
    /// The same from the smallest round to the largest.
    pub rounds_per_mille: u64,
    /// The most that either may be.
    pub floor_per_mille: u64,
    /// Whether both are; nothing is said of runs that were too short.
    pub floor_met: Option<bool>,
    /// What the plain program does.
    pub plain_does: &'static str,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl GrowthReport {
    pub(super) fn of(
        grid: &Grid,
        costs: &BTreeMap<Point, Vec<Costs>>,
        plain_does: &'static str,
        place: Place,
    ) -> Self {
        let points = points(grid.settlements, costs);
        let spread = |of: &[Point]| {
            let of = points.iter().filter(|report| of.contains(&report.point));
            spread_per_mille(&of.map(|report| report.cpu_ns).collect::<Vec<_>>())
        };
        let (partners_per_mille, rounds_per_mille) = (spread(&grid.partners), spread(&grid.rounds));
        let long_enough = points.iter().all(|report| CPU_MS_MIN <= report.cpu_ms);
        Self {
            what: "growth",
            settlements: grid.settlements,
            runs: costs.values().map(Vec::len).max().unwrap_or_default(),
            partners_per_mille,
            rounds_per_mille,
            floor_per_mille: SPREAD_PER_MILLE_MAX,
            floor_met: long_enough
                .then(|| partners_per_mille.max(rounds_per_mille) <= SPREAD_PER_MILLE_MAX),
            points,
            plain_does,
            place,
        }
    }
}

fn points(settlements: usize, costs: &BTreeMap<Point, Vec<Costs>>) -> Vec<PointReport> {
    let count = u64::try_from(settlements).unwrap_or(u64::MAX);
    let each = |all: u64| all.checked_div(count).unwrap_or_default();
    let report = |(point, costs): (&Point, &Vec<Costs>)| {
        let cpu_ms = || costs.iter().map(|[ours, _]| ours.cpu_ms);
        let cpu_ns = |ms: u64| each(ms.saturating_mul(1_000_000));
        let took_ns = |us: u64| each(us.saturating_mul(1_000));
        let of = |figure: fn(&Costs) -> u64| median(costs.iter().map(figure).collect());
        let median_ms = median(cpu_ms().collect());
        let highest = costs.iter().max_by_key(|[ours, _]| ours.memory.peak_kib);
        PointReport {
            point: *point,
            rounds: settlements.checked_div(point.round_bets).unwrap_or_default(),
            cpu_ms: median_ms,
            cpu_ns: cpu_ns(median_ms),
            cpu_ns_min: cpu_ns(cpu_ms().min().unwrap_or_default()),
            cpu_ns_max: cpu_ns(cpu_ms().max().unwrap_or_default()),
            took_ns: took_ns(of(|[ours, _]| ours.took_us)),
            cpu_per_mille: 0,
            took_per_mille: 0,
            plain_cpu_ns: cpu_ns(of(|[_, plain]| plain.cpu_ms)),
            plain_took_ns: took_ns(of(|[_, plain]| plain.took_us)),
            cpu_by_plain_per_mille: of(|[ours, plain]| per_mille(ours.cpu_ms, plain.cpu_ms)),
            took_by_plain_per_mille: of(|[ours, plain]| per_mille(ours.took_us, plain.took_us)),
            memory: highest.map(|[ours, _]| ours.memory).unwrap_or_default(),
        }
    };
    let mut points: Vec<PointReport> = costs.iter().map(report).collect();
    let least = |figure: fn(&PointReport) -> u64| points.iter().map(figure).min();
    let cheapest = least(|report| report.cpu_ns).unwrap_or_default();
    let fastest = least(|report| report.took_ns).unwrap_or_default();
    for report in &mut points {
        report.cpu_per_mille = per_mille(report.cpu_ns, cheapest);
        report.took_per_mille = per_mille(report.took_ns, fastest);
    }
    points
}

/// The largest figure by the smallest, in thousandths; 0 if the smallest is 0.
fn spread_per_mille(figures: &[u64]) -> u64 {
    let smallest = figures.iter().min().copied().unwrap_or_default();
    per_mille(figures.iter().max().copied().unwrap_or_default(), smallest)
}

impl fmt::Display for GrowthReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} settlements a run, medians of {} runs; a settler's work alone",
            self.what, self.settlements, self.runs
        )?;
        writeln!(f, "{}\n{}; no logic\nfor one settlement:", self.place, self.plain_does)?;
        for name in ["partners", "round bets", "rounds"] {
            write!(f, "{name:>11}")?;
        }
        for name in
            ["cpu us", "least", "most", "by least", "by plain", "time us", "by least", "by plain"]
        {
            write!(f, "{name:>10}")?;
        }
        writeln!(f, "{:>10}{:>10}", "rest MiB", "most MiB")?;
        for report in &self.points {
            let Point { partners, round_bets } = report.point;
            write!(f, "{partners:>11}{round_bets:>11}{:>11}", report.rounds)?;
            let PointReport { cpu_ns, cpu_ns_min, cpu_ns_max, took_ns, .. } = *report;
            let (cpu, took) = (report.cpu_per_mille, report.took_per_mille);
            let (cpu_by_plain, took_by_plain) =
                (report.cpu_by_plain_per_mille, report.took_by_plain_per_mille);
            [cpu_ns, cpu_ns_min, cpu_ns_max, cpu, cpu_by_plain, took_ns, took, took_by_plain]
                .iter()
                .try_for_each(|figure| write!(f, "{:>10}", Thousandths(*figure)))?;
            let [rest, most] = report.memory.mib();
            writeln!(f, "{rest:>10}{most:>10}")?;
        }
        let [partners, rounds, floor] =
            [self.partners_per_mille, self.rounds_per_mille, self.floor_per_mille].map(Thousandths);
        writeln!(
            f,
            "dearest by cheapest, cpu: {partners} with more partners, {rounds} with larger rounds; \
             floor: at most {floor}: {}",
            self.floor_met.map_or("cannot be said", word)
        )?;
        if self.floor_met.is_none() {
            writeln!(f, "runs were too short: less than {CPU_MS_MIN} ms of cpu")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::settling::Cost;

    /// The report of three points with more partners and of two with larger rounds, one in common, from the
    /// CPU time in ms of the runs of each.
    fn of(cpu_ms: [&[u64]; 4]) -> GrowthReport {
        let grid = Grid::of(10_000);
        let points = [(1, 10_000), (20, 1_000), (20, 10_000), (1_000, 10_000)];
        let points = points.map(|(partners, round_bets)| Point { partners, round_bets });
        let memory = |peak_kib| Memory { at_rest_kib: 1, peak_kib };
        let cost = |ms: u64| Cost { took_us: ms * 500, cpu_ms: ms, memory: memory(ms) };
        // The plain program takes a third, and in a long run a ninth.
        let both = |ms: &u64| [cost(*ms), cost(if *ms < 5_000 { ms / 3 } else { ms / 9 })];
        let costs = points.into_iter().zip(cpu_ms);
        let costs = costs.map(|(point, ms)| (point, ms.iter().map(both).collect())).collect();
        GrowthReport::of(&grid, &costs, "plain", Place::nowhere())
    }

    #[test]
    fn each_way_of_growing_is_judged_apart() {
        let report = of([&[1_500], &[1_500], &[1_000], &[1_200]]);
        assert_eq!((report.partners_per_mille, report.rounds_per_mille), (1_500, 1_500));
        assert_eq!(report.floor_met, Some(true));
        let report = of([&[1_501], &[900], &[1_000], &[1_000]]);
        assert_eq!((report.partners_per_mille, report.rounds_per_mille), (1_501, 1_111));
        assert_eq!(report.floor_met, Some(false));
        let report = of([&[1_000], &[1_510], &[1_000], &[1_000]]);
        assert_eq!(report.floor_met, Some(false), "larger rounds are cheaper by more than half");
    }

    #[test]
    fn medians_count_and_are_per_settlement() {
        let report = of([&[1_000, 9_000, 1_000], &[2_000, 1_000, 1_100], &[1_000; 3], &[400; 3]]);
        let small = report.points[1];
        assert_eq!((small.point.round_bets, small.rounds), (1_000, 10));
        assert_eq!((small.cpu_ns, small.cpu_ns_min, small.cpu_ns_max), (110_000, 100_000, 200_000));
        assert_eq!((small.took_ns, small.cpu_per_mille), (55_000, 2_750));
        let first = report.points[0];
        assert_eq!(first.cpu_ns, 100_000);
        assert_eq!((first.plain_cpu_ns, first.plain_took_ns), (33_300, 16_650));
        // Of the pairs of runs, not of the medians; and memory of the run that had most.
        assert_eq!((first.cpu_by_plain_per_mille, first.took_by_plain_per_mille), (3_003, 3_003));
        assert_eq!(first.memory, Memory { at_rest_kib: 1, peak_kib: 9_000 });
        assert_eq!(report.runs, 3);
        assert_eq!(report.floor_met, None);
        assert!(report.to_string().contains("too short"), "{report}");
    }
}
