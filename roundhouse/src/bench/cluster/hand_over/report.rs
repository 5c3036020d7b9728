//! What a hand-over cost.

use super::load::Played;
use super::phases::{Phase, Step, Took, sorted_us};
use super::{Found, HandOverPlan};
use crate::audit::report::Report;
use crate::bench::report::{Place, Spread, Thousandths, per_mille, word};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The most that the p99 of the hand-over may be, by that of the steady phase, in thousandths.
const LIMIT_PER_MILLE: u64 = 3_000;
/// Of the bets of the steady phase, in thousandths, the most that may be rejected. Beyond it the load is more than the
/// place carries, and what is not rejected says nothing of a hand-over.
const REJECTED_PER_MILLE_MAX: usize = 10;

/// One phase.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseReport {
    /// Which.
    pub phase: Phase,
    /// Settlements that were on their way in it.
    pub settlements: usize,
    /// From a round's result to the confirmation of each of its settlements.
    pub confirmed: Spread,
    /// Bets that were on their way in it.
    pub bets: usize,
    /// Of these, bets that were rejected.
    pub rejected: usize,
    /// From a bet's request to its answer.
    pub answered: Spread,
}

/// One thing that was done to the settlers, until the next.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// When, in µs from the beginning of the load.
    pub at_us: u64,
    /// What.
    pub what: String,
    /// The phase that it belongs to.
    pub phase: Phase,
    /// Settlements that were on their way in it; those of two steps count in both.
    pub settlements: usize,
    /// From a round's result to the confirmation of each of its settlements.
    pub confirmed: Spread,
}

/// What was measured, and what the audit says.
#[derive(Clone, Debug, Serialize)]
pub struct HandOverReport {
    /// Which bench.
    pub what: &'static str,
    /// Settlers at the most.
    pub settlers: usize,
    /// Partners.
    pub partners: usize,
    /// How long each wallet takes to answer, in ms.
    pub wallet_latency_ms: u64,
    /// Bets of each round.
    pub bets: usize,
    /// Between the beginnings of two rounds, in ms.
    pub every_ms: u64,
    /// Rounds played.
    pub rounds: usize,
    /// Bets whose players were told that they are in.
    pub accepted: u64,
    /// Bets whose players were told that they are not.
    pub rejected: usize,
    /// Rejected bets in the log, by why.
    pub rejections: BTreeMap<String, usize>,
    /// Bets whose players were told nothing final.
    pub untold: u64,
    /// Those that are measured.
    pub phases: Vec<PhaseReport>,
    /// What was done, in order.
    pub steps: Vec<StepReport>,
    /// The p99 of the hand-over by that of the steady phase, in thousandths.
    pub p99_per_mille: u64,
    /// The most that it may be.
    pub limit_per_mille: u64,
    /// Whether it is, and the place carries the load.
    pub limit_met: bool,
    /// The load is more than the place carries.
    pub overloaded: bool,
    /// The whole log, the store and the wallets' journals, at rest.
    pub audit: Report,
    /// Where it was measured.
    #[serde(flatten)]
    pub place: Place,
}

impl HandOverReport {
    /// # Errors
    /// If nothing was confirmed in a phase that is compared.
    pub(super) fn of(plan: &HandOverPlan, found: Found, place: Place) -> anyhow::Result<Self> {
        let Found { steps, confirmed, played, rejections, audit } = found;
        let mut phases = vec![Phase::Steady, Phase::HandOver];
        phases.extend(plan.kill.then_some(Phase::Kill));
        let phase = |phase| phase_report(phase, &steps, &confirmed, &played);
        let phases: Vec<PhaseReport> = phases.into_iter().map(phase).collect();
        let p99_per_mille = p99_per_mille(&phases)?;
        let overloaded = phases.iter().any(PhaseReport::is_overloaded);
        Ok(Self {
            what: "hand-over",
            settlers: plan.settlers,
            partners: plan.partners,
            wallet_latency_ms: plan.wallet_latency_ms,
            bets: plan.bets,
            every_ms: plan.every_ms,
            rounds: played.said_us.len(),
            accepted: played.accepted,
            rejected: played.rejected.len(),
            rejections,
            untold: played.untold,
            steps: step_reports(&steps, &confirmed),
            phases,
            p99_per_mille,
            limit_per_mille: LIMIT_PER_MILLE,
            limit_met: !overloaded && p99_per_mille <= LIMIT_PER_MILLE,
            overloaded,
            audit,
            place,
        })
    }
}

impl PhaseReport {
    fn is_overloaded(&self) -> bool {
        self.phase == Phase::Steady && self.bets * REJECTED_PER_MILLE_MAX < self.rejected * 1_000
    }
}

fn phase_report(phase: Phase, steps: &[Step], confirmed: &[Took], played: &Played) -> PhaseReport {
    let within = |all: &[Took]| sorted_us(all, |took| took.phase(steps) == phase);
    let (confirmed, answered) = (within(confirmed), within(&played.answered));
    PhaseReport {
        phase,
        settlements: confirmed.len(),
        confirmed: Spread::of(&confirmed),
        bets: answered.len(),
        rejected: within(&played.rejected).len(),
        answered: Spread::of(&answered),
    }
}

/// # Errors
/// If nothing was confirmed in one of the two.
fn p99_per_mille(phases: &[PhaseReport]) -> anyhow::Result<u64> {
    let p99_us = |wanted: Phase| {
        let phase = phases.iter().find(|one| one.phase == wanted && 0 < one.settlements);
        phase.map(|one| one.confirmed.p99_us)
    };
    match (p99_us(Phase::Steady), p99_us(Phase::HandOver)) {
        (Some(steady), Some(hand_over)) => Ok(per_mille(hand_over, steady)),
        _ => anyhow::bail!("nothing was confirmed in the steady phase or in the hand-over"),
    }
}

/// Of every step but the end.
fn step_reports(steps: &[Step], confirmed: &[Took]) -> Vec<StepReport> {
    let but_end = steps.len().saturating_sub(1);
    let step = |(index, step): (usize, &Step)| {
        let sorted = sorted_us(confirmed, |took| took.saw(steps, index));
        StepReport {
            at_us: step.at_us,
            what: step.what.clone(),
            phase: step.phase,
            settlements: sorted.len(),
            confirmed: Spread::of(&sorted),
        }
    };
    steps.iter().enumerate().take(but_end).map(step).collect()
}

impl fmt::Display for HandOverReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: 1, {} and 1 settlers; {} partners answering in {} ms, a round of {} bets every {} ms",
            self.what,
            self.settlers,
            self.partners,
            self.wallet_latency_ms,
            self.bets,
            self.every_ms
        )?;
        writeln!(f, "{}", self.place)?;
        writeln!(
            f,
            "{} rounds; bets: {} accepted, {} rejected, {} not told in time",
            self.rounds, self.accepted, self.rejected, self.untold
        )?;
        for (why, bets) in &self.rejections {
            writeln!(f, "rejected in the log, {why}: {bets}")?;
        }
        writeln!(f, "from a round's result to the confirmation of each of its settlements")?;
        head(f, "", "settlements")?;
        for phase in &self.phases {
            row(f, &phase.phase.to_string(), phase.settlements, phase.confirmed)?;
        }
        writeln!(f, "what was on its way in each step")?;
        for step in &self.steps {
            let name = format!("{:>4} s {}", step.at_us / 1_000_000, step.what);
            row(f, &name, step.settlements, step.confirmed)?;
        }
        writeln!(f, "from a bet's request to its answer")?;
        head(f, "", "bets")?;
        for phase in &self.phases {
            row(f, &phase.phase.to_string(), phase.bets, phase.answered)?;
        }
        if self.phases.iter().any(|phase| phase.phase == Phase::Kill) {
            writeln!(
                f,
                "a settler that is killed keeps its partitions until its session of 6 s ends: its phase is \
                 no part of the hand-over"
            )?;
        }
        let (ratio, limit) = (Thousandths(self.p99_per_mille), Thousandths(self.limit_per_mille));
        for phase in &self.phases {
            writeln!(f, "rejected: {} of {} bets ({})", phase.rejected, phase.bets, phase.phase)?;
        }
        if self.overloaded {
            writeln!(
                f,
                "the load is more than this place carries, also with nothing changing hands: say fewer --bets or more \
                 --every-ms; servers that were just started need a run to get warm"
            )?;
        }
        let met = word(self.limit_met);
        writeln!(f, "p99 of the hand-over, by that of steady: {ratio}; limit {limit}: {met}")?;
        if self.audit.clean {
            return writeln!(f, "audit at rest: clean, {} things checked", self.audit.checked);
        }
        writeln!(f, "audit at rest: NOT clean\n{}", self.audit)
    }
}

fn head(f: &mut fmt::Formatter<'_>, name: &str, what: &str) -> fmt::Result {
    write!(f, "{name:<30}{what:>12}")?;
    ["p50 ms", "p95 ms", "p99 ms", "max ms"].iter().try_for_each(|head| write!(f, "{head:>10}"))?;
    writeln!(f)
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, count: usize, spread: Spread) -> fmt::Result {
    write!(f, "{name:<30}{count:>12}")?;
    let figures = [spread.p50_us, spread.p95_us, spread.p99_us, spread.max_us];
    figures.iter().try_for_each(|figure| write!(f, "{:>10}", Thousandths(*figure)))?;
    writeln!(f)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One second warm-up, 200 settlements in each phase: steady 10 ms and one in 100 20 ms; in the
    /// hand-over twice that.
    fn measured() -> (Vec<Step>, Vec<Took>) {
        let step = |at_us, phase, what: &str| Step { at_us, phase, what: what.to_owned() };
        let steps = vec![
            step(1_000_000, Phase::Steady, "one settler"),
            step(2_000_000, Phase::HandOver, "settler-2 is started"),
            step(3_000_000, Phase::Aside, "end"),
        ];
        let took = |from_us, us| Took { from_us, until_us: from_us + us };
        let steady = (0..200).map(|n| took(1_100_000, if n % 50 == 0 { 20_000 } else { 10_000 }));
        let moved = (0..200).map(|n| took(2_100_000, if n % 50 == 0 { 50_000 } else { 10_000 }));
        (steps, steady.chain(moved).collect())
    }

    #[test]
    fn the_ratio_is_of_the_p99() {
        let (steps, confirmed) = measured();
        let of = |phase| phase_report(phase, &steps, &confirmed, &Played::default());
        let phases = [of(Phase::Steady), of(Phase::HandOver)];
        assert_eq!(phases.each_ref().map(|phase| phase.settlements), [200, 200]);
        assert_eq!(phases.each_ref().map(|phase| phase.confirmed.p50_us), [10_000, 10_000]);
        assert_eq!(p99_per_mille(&phases).unwrap(), 2_500);
    }

    #[test]
    fn more_than_one_in_a_hundred_rejected_while_nothing_moves_is_too_much_load() {
        let (steps, all) = measured();
        let overloaded = |phase: Phase, rejected: usize| {
            let of_phase = all.iter().copied().filter(|took| took.phase(&steps) == phase);
            let rejected = of_phase.take(rejected).collect();
            let played = Played { answered: all.clone(), rejected, ..Played::default() };
            phase_report(phase, &steps, &[], &played).is_overloaded()
        };
        let said = [(Phase::Steady, 2), (Phase::Steady, 3), (Phase::HandOver, 200)]
            .map(|(phase, rejected)| overloaded(phase, rejected));
        assert_eq!(said, [false, true, false]);
    }

    #[test]
    fn nothing_is_no_ratio() {
        let (steps, _) = measured();
        let of = |phase| phase_report(phase, &steps, &[], &Played::default());
        assert!(p99_per_mille(&[of(Phase::Steady), of(Phase::HandOver)]).is_err());
    }

    #[test]
    fn the_end_is_no_step() {
        let (steps, confirmed) = measured();
        let reports = step_reports(&steps, &confirmed);
        let found: Vec<(&str, usize)> =
            reports.iter().map(|step| (step.what.as_str(), step.settlements)).collect();
        assert_eq!(found, [("one settler", 200), ("settler-2 is started", 200)]);
    }
}
