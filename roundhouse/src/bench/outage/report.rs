//! What an outage cost, and whom.

use super::{Found, OutagePlan, Phase};
use crate::audit::report::Report;
use crate::bench::illness::{Illness, Seen};
use crate::bench::plain_street::DOES;
use crate::bench::report::{Memory, Place, Spread, Thousandths, per_mille, word};
use crate::bench::trial::Verdict;
use anyhow::Context;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Settlements a second that must be confirmed behind the return, until nothing is owed.
const DRAINED_FLOOR_PER_S: u64 = 10_000;

/// What the others noticed in one phase.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseReport {
    /// Which.
    pub phase: Phase,
    /// Rounds of the others whose result was said in it.
    pub rounds: usize,
    /// From the result of such a round to its last confirmation.
    pub confirmed: Spread,
    /// The p99 by that of the control, in thousandths.
    pub p99_per_mille: u64,
}

/// What was measured, and what the audit says.
#[derive(Clone, Debug, Serialize)]
pub struct OutageReport {
    /// Which bench.
    pub what: &'static str,
    /// Partners that stayed.
    pub others: usize,
    /// What was amiss with those that were away.
    pub illnesses: Vec<Illness>,
    /// Settlements that fell due for these while they were away.
    pub owed: usize,
    /// Rounds that these were spread over.
    pub rounds: usize,
    /// Rounds as large and as far apart before, while it was there; not among those owed.
    pub control_rounds: usize,
    /// How long it was away, in s.
    pub away_s: u64,
    /// Bets of each round of the others.
    pub bets: usize,
    /// Between the beginnings of two of their rounds, in ms.
    pub every_ms: u64,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// From the return to the last confirmation of what was owed, in ms.
    pub drained_ms: u64,
    /// Settlements confirmed a second meanwhile, rounded down.
    pub drained_per_s: u64,
    /// The least it may be.
    pub floor_per_s: u64,
    /// Whether it is.
    pub floor_met: bool,
    /// What the plain program does.
    pub plain_does: &'static str,
    /// Settlements that it brought, one round after the other.
    pub plain_settlements: usize,
    /// Settlements a second meanwhile, rounded down.
    pub plain_per_s: u64,
    /// Settlements confirmed a second by those of the plain program, in thousandths.
    pub drained_by_plain_per_mille: u64,
    /// The most calls that the one's wallet answered at once.
    pub calls_at_once: u64,
    /// The most it may be.
    pub calls_at_once_max: usize,
    /// The most settlements that its dispatchers had in memory.
    pub held: u64,
    /// The most that it may be, whatever is owed.
    pub held_max: usize,
    /// Whether more was owed than may be held: else the bound was not put to the test.
    pub held_tested: bool,
    /// How the dispatchers saw those that were away.
    pub ill: Vec<Seen>,
    /// By how much memory grew from their going on, in MiB.
    pub growth_mib: u64,
    /// The most that it may be.
    pub growth_mib_max: u64,
    /// Of server and client together; at rest is when the one went.
    pub memory: Memory,
    /// The others, phase by phase.
    pub phases: Vec<PhaseReport>,
    /// The audit of everything, journals included.
    pub audit: Report,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl OutageReport {
    pub(super) fn of(
        plan: &OutagePlan,
        found: &Found,
        audit: Report,
        place: Place,
    ) -> anyhow::Result<Self> {
        let back = found.began.get(&Phase::Back).context("it never came back")?;
        let drained_ms = u64::try_from(found.drained_at - back).unwrap_or_default();
        let owed = plan.owed / plan.rounds * plan.rounds;
        let drained_per_s = per_s(owed, drained_ms);
        let plain_per_s = per_s(found.plain.settlements, found.plain.took_us / 1_000);
        let held_max = plan.held_max();
        Ok(Self {
            what: "outage",
            others: plan.others,
            illnesses: plan.illnesses.clone(),
            owed,
            rounds: plan.rounds,
            control_rounds: plan.control_rounds,
            away_s: plan.away_s,
            bets: plan.bets,
            every_ms: plan.every_ms,
            wallet_latency_ms: plan.wallet_latency_ms,
            drained_ms,
            drained_per_s,
            floor_per_s: DRAINED_FLOOR_PER_S,
            floor_met: DRAINED_FLOOR_PER_S <= drained_per_s,
            plain_does: DOES,
            plain_settlements: found.plain.settlements,
            plain_per_s,
            drained_by_plain_per_mille: per_mille(drained_per_s, plain_per_s),
            calls_at_once: found.calls_at_once,
            calls_at_once_max: found.calls_at_once_max,
            held: found.held_most,
            held_max,
            held_tested: held_max < owed,
            ill: found.seen.clone(),
            growth_mib: found.memory.growth_kib() / 1_024,
            growth_mib_max: plan.growth_mib_max,
            memory: found.memory,
            phases: phases(&found.began, &found.others),
            audit,
            place,
        })
    }
}

impl Verdict for OutageReport {
    fn audit(&self) -> &Report {
        &self.audit
    }

    /// Whether no wallet was called more often at once than it may be, the memory of what is owed stayed within its
    /// bounds, in items and in bytes, and the wallets were as ill as they should be.
    fn held(&self) -> bool {
        self.calls_held() && self.memory_held() && self.ill.iter().all(Seen::is_as_meant)
    }
}

impl OutageReport {
    fn calls_held(&self) -> bool {
        within(self.calls_at_once, self.calls_at_once_max) && within(self.held, self.held_max)
    }

    fn memory_held(&self) -> bool {
        self.growth_mib <= self.growth_mib_max
    }
}

/// Whether it was seen at all, and never above `max`.
fn within(most: u64, max: usize) -> bool {
    0 < most && u64::try_from(max).is_ok_and(|max| most <= max)
}

/// So many in so many ms, by the second.
fn per_s(count: usize, took_ms: u64) -> u64 {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    count.saturating_mul(1_000).checked_div(took_ms.max(1)).unwrap_or_default()
}

/// Sorts rounds into the phases that their results were said in.
fn phases(began: &BTreeMap<Phase, i64>, others: &[(i64, i64)]) -> Vec<PhaseReport> {
    let phase_of = |said_at: i64| {
        began.iter().rev().find(|(_, from)| **from <= said_at).map(|(phase, _)| *phase)
    };
    let mut times: BTreeMap<Phase, Vec<u64>> = BTreeMap::new();
    for (said_at, confirmed_at) in others {
        let Some(phase) = phase_of(*said_at) else { continue };
        let took_ms = u64::try_from(confirmed_at - said_at).unwrap_or_default();
        times.entry(phase).or_default().push(took_ms.saturating_mul(1_000));
    }
    times.values_mut().for_each(|times| times.sort_unstable());
    let control = times.get(&Phase::Control).map_or(0, |times| Spread::of(times).p99_us);
    let report = |(phase, times): (&Phase, &Vec<u64>)| {
        let confirmed = Spread::of(times);
        let p99_per_mille = per_mille(confirmed.p99_us, control);
        PhaseReport { phase: *phase, rounds: times.len(), confirmed, p99_per_mille }
    };
    times.iter().map(report).collect()
}

/// The phase in words.
pub(super) fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Control => "the one is there",
        Phase::Away => "the one is away",
        Phase::Back => "the one is back",
    }
}

impl fmt::Display for OutageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: {} away for {} s and owed {} settlements of {} rounds, and there for {} such \
             before; {} others with a round of {} bets every {} ms; wallets answer in {} ms",
            self.what,
            self.illnesses.len(),
            self.away_s,
            self.owed,
            self.rounds,
            self.control_rounds,
            self.others,
            self.bets,
            self.every_ms,
            self.wallet_latency_ms
        )?;
        writeln!(f, "{}", self.place)?;
        writeln!(f, "the others, from a result to the round's last confirmation:")?;
        write!(f, "{:<24}{:>8}", "", "rounds")?;
        ["p50 ms", "p95 ms", "p99 ms", "max ms", "p99 ratio"]
            .iter()
            .try_for_each(|name| write!(f, "{name:>11}"))?;
        writeln!(f)?;
        for phase in &self.phases {
            let PhaseReport { confirmed, .. } = phase;
            write!(f, "{:<24}{:>8}", words(phase.phase), phase.rounds)?;
            let figures = [confirmed.p50_us, confirmed.p95_us, confirmed.p99_us, confirmed.max_us];
            figures
                .iter()
                .chain([&phase.p99_per_mille])
                .try_for_each(|figure| write!(f, "{:>11}", Thousandths(*figure)))?;
            writeln!(f)?;
        }
        writeln!(
            f,
            "calls at once at the one's wallet: {}; at most {}. Settlements in memory: {}; at most {}{}: {}",
            self.calls_at_once,
            self.calls_at_once_max,
            self.held,
            self.held_max,
            if self.held_tested { "" } else { ", and no more were owed" },
            if self.calls_held() { "held" } else { "NOT HELD" }
        )?;
        self.ill.iter().try_for_each(|seen| writeln!(f, "{seen}"))?;
        writeln!(
            f,
            "all confirmed {} s after its return, {}/s; floor: {}/s: {}",
            Thousandths(self.drained_ms),
            self.drained_per_s,
            self.floor_per_s,
            word(self.floor_met)
        )?;
        writeln!(
            f,
            "{}: {} of them at {}/s; no logic. Rate, by that of plain: {}",
            self.plain_does,
            self.plain_settlements,
            self.plain_per_s,
            Thousandths(self.drained_by_plain_per_mille)
        )?;
        writeln!(
            f,
            "{}; grown by {} MiB, at most {}: {}",
            self.memory,
            self.growth_mib,
            self.growth_mib_max,
            if self.memory_held() { "held" } else { "NOT HELD" }
        )?;
        write!(f, "{}", self.audit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plain::Drained;
    use super::*;
    use crate::bench::illness::Attempts;
    use std::path::PathBuf;

    /// Of a million that were owed, and confirmed in 100 s; the plain program brought 100,000 in 2 s.
    fn report(held_most: u64, owed: usize) -> OutageReport {
        let plan = OutagePlan {
            others: 1,
            illnesses: vec![Illness::Resets],
            owed,
            growth_mib_max: 0,
            rounds: 10,
            away_s: 60,
            control_rounds: 2,
            bets: 100,
            every_ms: 1_000,
            wallet_latency_ms: 20,
            seed: 1,
            data_dir: PathBuf::new(),
            exe: PathBuf::new(),
        };
        let mut seen = Seen::new("p_1".to_owned(), Illness::Resets);
        seen.add(&Attempts::default(), &Attempts::broken("p_1"));
        let found = Found {
            began: BTreeMap::from([(Phase::Back, 0)]),
            drained_at: 100_000,
            others: Vec::new(),
            calls_at_once: 4,
            calls_at_once_max: 4,
            held_most,
            seen: vec![seen],
            memory: Memory::default(),
            plain: Drained { settlements: 100_000, took_us: 2_000_000 },
        };
        OutageReport::of(&plan, &found, Report::new(Vec::new()), Place::nowhere()).unwrap()
    }

    #[test]
    fn a_drain_stands_beside_that_of_the_plain_program() {
        let report = report(1, 1_000_000);
        assert_eq!((report.drained_per_s, report.plain_per_s), (10_000, 50_000));
        assert_eq!((report.drained_by_plain_per_mille, report.plain_settlements), (200, 100_000));
    }

    #[test]
    fn what_is_in_memory_is_bound_whatever_is_owed() {
        let max = report(1, 1_000_000).held_max;
        assert!(max < 200_000, "{max}: less than is owed by default, so that it can be passed");
        let most = u64::try_from(max).unwrap();
        for (held, owed, is_held, tested) in [
            (most, 1_000_000, true, true),
            (most + 1, 1_000_000, false, true),
            (0, 1_000_000, false, true),
            (9, max, true, false),
        ] {
            let report = report(held, owed);
            assert_eq!((report.held(), report.held_tested), (is_held, tested), "{report}");
            assert_eq!(report.to_string().contains("no more were owed"), !tested, "{report}");
        }
    }

    #[test]
    fn a_drain_is_told_by_the_second() {
        assert_eq!(per_s(1_000_000, 100_000), DRAINED_FLOOR_PER_S);
        assert_eq!(per_s(7, 0), 7_000);
    }

    #[test]
    fn what_was_never_seen_is_not_within_a_bound() {
        assert_eq!([0, 1, 7, 8].map(|most| within(most, 7)), [false, true, true, false]);
    }

    #[test]
    fn a_round_belongs_to_the_phase_in_which_its_result_was_said() {
        let began = BTreeMap::from([(Phase::Control, 100), (Phase::Away, 200), (Phase::Back, 300)]);
        let others = [(99, 150), (100, 110), (199, 400), (200, 230), (250, 270), (300, 301)];
        let phases = phases(&began, &others);
        let of = |phase: &PhaseReport| (phase.phase, phase.rounds, phase.confirmed.max_us);
        assert_eq!(
            phases.iter().map(of).collect::<Vec<_>>(),
            [(Phase::Control, 2, 201_000), (Phase::Away, 2, 30_000), (Phase::Back, 1, 1_000)]
        );
        assert_eq!(phases[1].p99_per_mille, 149);
    }
}
