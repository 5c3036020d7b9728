//! What looks wrong about a result.

use crate::memory::{BetState, Round};
use runtime::Millis;
use schemas::rounds::{Outcome, RoundEvent, RoundSaid};
use schemas::settlements::Target;
use schemas::wire::CaseRecord;
use schemas::{ContentHash, Currency, RoundId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What looks wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuspicionRules {
    /// Age of `closed`, in ms, at which a missing result is a case.
    pub overdue_ms: Millis,
    /// Percent of a round's stakes in one currency that its payouts may be.
    pub payout_percent_max: u64,
    /// Accepted bets in the currency below which payouts say nothing.
    pub bets_min: u64,
}

/// Wait before a round's bets are read, and read again where a settler has not come so far, in ms: nobody
/// waits for it, and money goes first.
const LOOK_MS: Millis = 5_000;
/// Rounds with a result that are remembered, for another result that comes late.
const REMEMBERED_MAX: usize = 1_000;

/// A result version that stands.
#[derive(Clone, Debug)]
struct Standing {
    version: u32,
    outcome: Outcome,
    actor: String,
}

#[derive(Clone, Debug)]
struct Watched {
    /// Offset of `opened`.
    opened: u64,
    closed_at: Option<Millis>,
    standing: Option<Standing>,
    /// Whether the result is missing, or its bets were not looked at: the offset does not pass it.
    is_open: bool,
}

/// The rounds of one partition.
#[derive(Debug)]
pub(super) struct Suspicion {
    rules: SuspicionRules,
    read_to: u64,
    /// What was said and is not judged yet, by offset.
    said: BTreeMap<u64, RoundEvent>,
    rounds: BTreeMap<RoundId, Watched>,
    /// Rounds whose result is looked for, by the time at which it is overdue.
    due: BTreeSet<(Millis, RoundId)>,
    /// Rounds whose bets are to be looked at, by the time.
    looks: BTreeSet<(Millis, RoundId)>,
    /// Rounds that are no longer open, oldest first.
    remembered: VecDeque<RoundId>,
}

impl Suspicion {
    pub(super) fn new(rules: SuspicionRules, from: u64) -> Self {
        Self {
            rules,
            read_to: from,
            said: BTreeMap::new(),
            rounds: BTreeMap::new(),
            due: BTreeSet::new(),
            looks: BTreeSet::new(),
            remembered: VecDeque::new(),
        }
    }

    /// The lowest record that is needed again after a restart.
    pub(super) fn storable(&self) -> u64 {
        let opened = self.rounds.values().filter(|round| round.is_open).map(|round| round.opened);
        let said = self.said.keys().copied();
        opened.chain(said).min().unwrap_or(self.read_to)
    }

    /// When a result is overdue next.
    pub(super) fn overdue_at(&self) -> Option<Millis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// When bets are to be looked at next.
    pub(super) fn looks_at(&self) -> Option<Millis> {
        self.looks.first().map(|(at, _)| *at)
    }

    /// Takes the record at `offset`, if it can be read.
    pub(super) fn take(&mut self, offset: u64, event: Option<RoundEvent>) -> Option<CaseRecord> {
        self.read_to = offset + 1;
        let event = event?;
        let RoundSaid::Verdict(verdict) = &event.said else {
            self.said.insert(offset, event);
            return None;
        };
        // A second herald for a while judges again.
        let judged = self.said.remove(&verdict.judged)?;
        match &verdict.refused {
            None => self.admitted(verdict.judged, verdict.version, judged),
            Some(code) if code == "version_conflict" => self.differing(&judged),
            Some(_) => None,
        }
    }

    fn admitted(&mut self, at: u64, version: u32, event: RoundEvent) -> Option<CaseRecord> {
        let RoundEvent { round, actor, said_at, said, .. } = event;
        if let RoundSaid::Opened(_) = said {
            let watched = Watched { opened: at, closed_at: None, standing: None, is_open: true };
            self.rounds.entry(round).or_insert(watched);
            return None;
        }
        // One that was opened below the offset this began at has had its result.
        let watched = self.rounds.get_mut(&round)?;
        match said {
            RoundSaid::Closed if watched.closed_at.is_none() => {
                watched.closed_at = Some(said_at);
                let due = said_at.saturating_add(self.rules.overdue_ms);
                self.due.insert((due, round));
                None
            }
            RoundSaid::Version { outcome, reason, .. } => {
                self.due.retain(|(_, other)| *other != round);
                self.looks.retain(|(_, other)| *other != round);
                let withdrawn = (outcome == Outcome::Withdrawn).then(|| {
                    let text = format!("{actor} took the result of {round} back: {reason}");
                    case("result_withdrawn", &round, version, text)
                });
                let is_paid = matches!(outcome, Outcome::Game(_) | Outcome::Named { .. });
                watched.standing = Some(Standing { version, outcome, actor });
                if is_paid {
                    self.looks.insert((said_at.saturating_add(LOOK_MS), round));
                } else {
                    self.finish(&round);
                }
                withdrawn
            }
            RoundSaid::Opened(_)
            | RoundSaid::Amended { .. }
            | RoundSaid::Closing
            | RoundSaid::Closed
            | RoundSaid::Sealed
            | RoundSaid::Proposed { .. }
            | RoundSaid::Rejected { .. }
            | RoundSaid::Verdict(_) => None,
        }
    }

    /// A first result that came second and says something else than the one that stands.
    fn differing(&self, event: &RoundEvent) -> Option<CaseRecord> {
        let RoundSaid::Version { replaces: 0, outcome, .. } = &event.said else { return None };
        let standing = self.rounds.get(&event.round)?.standing.as_ref()?;
        if standing.outcome == *outcome || standing.actor == event.actor {
            return None;
        }
        let Standing { version, outcome: stands, actor } = standing;
        let (round, other) = (&event.round, &event.actor);
        let text = format!(
            "{other} says {} of {round}, and version {version} by {actor} says {}",
            words(outcome),
            words(stands)
        );
        Some(case("results_differ", round, *version, text))
    }

    /// Rounds whose result is overdue.
    pub(super) fn overdue(&mut self, now: Millis) -> Vec<CaseRecord> {
        let mut cases = Vec::new();
        while let Some((at, round)) = self.due.pop_first() {
            if now < at {
                self.due.insert((at, round));
                break;
            }
            let waited = self.rules.overdue_ms / 1_000;
            let text = format!("{round} closed {waited} s ago and has no result");
            cases.push(case("result_overdue", &round, 0, text));
        }
        cases
    }

    /// The next round whose bets are to be looked at, if it is time.
    pub(super) fn next_look(&mut self, now: Millis) -> Option<Payout> {
        let (at, round) = self.looks.pop_first()?;
        if now < at {
            self.looks.insert((at, round));
            return None;
        }
        let version = self.rounds.get(&round)?.standing.as_ref()?.version;
        Some(Payout { round, version, sums: BTreeMap::new() })
    }

    /// A settler has not come so far.
    pub(super) fn look_later(&mut self, now: Millis, payout: &Payout) {
        if self.is_current(payout) {
            self.looks.insert((now.saturating_add(LOOK_MS), payout.round.clone()));
        }
    }

    /// All bets of a round were looked at.
    pub(super) fn looked(&mut self, payout: &Payout) -> Vec<CaseRecord> {
        // A newer version has a look of its own.
        if !self.is_current(payout) {
            return Vec::new();
        }
        self.finish(&payout.round);
        payout.cases(self.rules)
    }

    fn is_current(&self, payout: &Payout) -> bool {
        let standing = self.rounds.get(&payout.round).and_then(|round| round.standing.as_ref());
        standing.is_some_and(|standing| standing.version == payout.version)
    }

    /// The offset may pass the round; it is remembered for a while.
    fn finish(&mut self, round: &RoundId) {
        let Some(watched) = self.rounds.get_mut(round) else { return };
        if std::mem::take(&mut watched.is_open) {
            self.remembered.push_back(round.clone());
        }
        while REMEMBERED_MAX < self.remembered.len() {
            let Some(oldest) = self.remembered.pop_front() else { return };
            if self.looks.iter().all(|(_, other)| *other != oldest) {
                self.rounds.remove(&oldest);
            }
        }
    }
}

/// Stakes and payouts of a round, in minor units, gathered partition by partition.
#[derive(Clone, Debug)]
pub(super) struct Payout {
    round: RoundId,
    version: u32,
    sums: BTreeMap<(Currency, u8), Sum>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    bets: u64,
    stakes: i128,
    payouts: i128,
}

impl Payout {
    pub(super) fn round(&self) -> &RoundId {
        &self.round
    }

    /// Adds what is in one partition; false if its settler has not come to the version.
    pub(super) fn add(&mut self, round: &Round) -> bool {
        let index = usize::try_from(self.version).ok().and_then(|version| version.checked_sub(1));
        let version = index.and_then(|index| round.versions.get(index));
        let (Some((outcome, _)), Some(rules)) = (version, round.rules) else { return false };
        for state in round.bets.states() {
            let BetState::Accepted(decision) = state else { continue };
            let bet = &decision.bet;
            // What cannot be graded is frozen, and told of there.
            let Ok(target) = settlement::state(rules.game, bet, Some(outcome)) else { continue };
            let sum = self.sums.entry((bet.stake.currency, bet.stake.exponent)).or_default();
            sum.bets += 1;
            sum.stakes += i128::from(bet.stake.units);
            sum.payouts += match target {
                Target::Settled(units) => i128::from(units),
                Target::Voided => i128::from(bet.stake.units),
                Target::Held => 0,
            };
        }
        true
    }

    fn cases(&self, rules: SuspicionRules) -> Vec<CaseRecord> {
        let (round, version) = (&self.round, self.version);
        let percent_max = i128::from(rules.payout_percent_max);
        let wrong = self.sums.iter().filter(|(_, sum)| {
            rules.bets_min <= sum.bets && sum.stakes * percent_max < sum.payouts * 100
        });
        wrong
            .map(|((currency, _), sum)| {
                let percent = sum.payouts * 100 / sum.stakes.max(1);
                let text = format!(
                    "version {version} of {round} pays {percent}% of the stakes of {} bets in {currency}",
                    sum.bets
                );
                case(&format!("payout_out_of_range_{currency}"), round, version, text)
            })
            .collect()
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Game(outcome) => outcome.clone(),
        Outcome::Named { won, .. } => {
            let won: Vec<String> = won.iter().map(ToString::to_string).collect();
            format!(
                "that {} won",
                if won.is_empty() { "nothing".to_owned() } else { won.join(", ") }
            )
        }
        Outcome::Withdrawn => "that there is none".to_owned(),
        Outcome::Voided => "that it is void".to_owned(),
    }
}

/// A case of this partition's rounds, named by what it is about.
fn case(code: &str, round: &RoundId, version: u32, text: String) -> CaseRecord {
    let name = ContentHash::of(&[code, round.as_str(), &version.to_string()]);
    CaseRecord {
        case_id: format!("case_{name}"),
        step: 1,
        code: code.to_owned(),
        round_id: Some(round.to_string()),
        text,
        ..CaseRecord::default()
    }
}
