//! What the audit found, for people and for programs.

use runtime::telemetry::plain;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Violations in the printed report; all are counted.
pub const VIOLATIONS_SHOWN_MAX: usize = 20;
/// Violations kept of each invariant.
const VIOLATIONS_KEPT_MAX: usize = 1_000;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// The bet, round or partition it concerns.
    pub subject: String,
    /// What was found and what should have been.
    pub text: String,
}

/// One invariant: how much was checked, and what broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub meaning: &'static str,
    /// Things checked.
    pub checked: u64,
    /// Things that broke it.
    pub violations: u64,
    #[serde(skip)]
    kept: Vec<Violation>,
}

impl Finding {
    /// Nothing checked yet.
    pub(super) fn new(name: &'static str, meaning: &'static str) -> Self {
        Self { name, meaning, checked: 0, violations: 0, kept: Vec::new() }
    }

    /// Checks one thing.
    pub(super) fn that(
        &mut self,
        holds: bool,
        subject: impl FnOnce() -> String,
        text: impl FnOnce() -> String,
    ) {
        self.checked += 1;
        if !holds {
            self.violations += 1;
            if self.kept.len() < VIOLATIONS_KEPT_MAX {
                let (invariant, subject, text) = (self.name, subject(), text());
                self.kept.push(Violation { invariant, subject, text });
            }
        }
    }
}

/// Bets and money of one partner in one currency, in minor units.
///
/// By the log: `stakes` = `held` + `lost` + `won_stakes` + `released`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Bets with an intent.
    pub bets: u64,
    /// Bets that are in: accepted and not cancelled.
    pub accepted: u64,
    /// Stakes of all decided bets that are not frozen.
    pub stakes: i128,
    /// Stakes of accepted bets without a result.
    pub held: i128,
    /// Stakes of settled bets with payout 0.
    pub lost: i128,
    /// Stakes of settled bets with a payout.
    pub won_stakes: i128,
    /// Payouts, stake included.
    pub payouts: i128,
    /// Stakes that went back, or were never taken: voided, rejected, cancelled.
    pub released: i128,
    /// Stakes of bets without a decision, and of frozen bets.
    pub pending: i128,
    /// What the bets must be worth by the log.
    pub due: i128,
    /// What the wallet's journal moved on them, shortfalls counted as moved.
    pub moved: i128,
    /// `moved` - `due` of all bets that are at rest: must be 0.
    pub difference: i128,
    /// Settlements without a final answer and without a newer final one, parked included.
    pub owed: u64,
    /// Of those, parked.
    pub parked: u64,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// True if nothing broke.
    pub clean: bool,
    /// Things checked.
    pub checked: u64,
    /// Things that broke an invariant.
    pub violations: u64,
    /// Settlements owed to partners.
    pub owed: u64,
    /// Bets without a decision.
    pub undecided: u64,
    /// Every invariant, in the order of the checks.
    pub invariants: Vec<Finding>,
    /// By partner and currency.
    pub totals: BTreeMap<String, Totals>,
    /// The first violations.
    pub first_violations: Vec<Violation>,
    /// Bets left to people, with the reason.
    pub frozen: BTreeMap<String, String>,
    /// What could not be checked and why.
    pub notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(invariants: Vec<Finding>) -> Self {
        let violations = invariants.iter().map(|finding| finding.violations).sum();
        let shown = invariants.iter().flat_map(|finding| finding.kept.iter().cloned());
        Self {
            clean: violations == 0,
            checked: invariants.iter().map(|finding| finding.checked).sum(),
            violations,
            owed: 0,
            undecided: 0,
            first_violations: shown.take(VIOLATIONS_SHOWN_MAX).collect(),
            invariants,
            totals: BTreeMap::new(),
            frozen: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// The invariant called `name`.
    pub fn finding(&self, name: &str) -> Option<&Finding> {
        self.invariants.iter().find(|finding| finding.name == name)
    }

    /// What broke, the first 1,000 of each invariant.
    pub fn broken(&self) -> impl Iterator<Item = &Violation> {
        self.invariants.iter().flat_map(|finding| &finding.kept)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<34} {:>10} {:>10}  what it says", "invariant", "checked", "violations")?;
        for finding in &self.invariants {
            let Finding { name, checked, violations, meaning, .. } = finding;
            writeln!(f, "{name:<34} {checked:>10} {violations:>10}  {meaning}")?;
        }
        writeln!(f)?;
        writeln!(
            f,
            "{:<22} {:>7} {:>9} {:>12} {:>12} {:>12} {:>12} {:>12} {:>9} {:>6}",
            "partner, currency",
            "bets",
            "accepted",
            "stakes",
            "payouts",
            "released",
            "due",
            "moved",
            "differs",
            "owed"
        )?;
        for (name, t) in &self.totals {
            writeln!(
                f,
                "{name:<22} {:>7} {:>9} {:>12} {:>12} {:>12} {:>12} {:>12} {:>9} {:>6}",
                t.bets,
                t.accepted,
                t.stakes,
                t.payouts,
                t.released,
                t.due,
                t.moved,
                t.difference,
                t.owed
            )?;
        }
        writeln!(f)?;
        for (bet, why) in &self.frozen {
            writeln!(f, "frozen: {}: {}", plain(bet), plain(why))?;
        }
        for note in &self.notes {
            writeln!(f, "note: {}", plain(note))?;
        }
        for Violation { invariant, subject, text } in &self.first_violations {
            writeln!(f, "VIOLATION {invariant}: {}: {}", plain(subject), plain(text))?;
        }
        let verdict = if self.clean { "clean" } else { "NOT CLEAN" };
        writeln!(
            f,
            "{verdict}: {} checks, {} violations, {} owed, {} undecided",
            self.checked, self.violations, self.owed, self.undecided
        )
    }
}
