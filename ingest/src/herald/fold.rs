//! What is said about one round, judged in the order of the log (R7).
//!
//! A pure function of the records of one `rounds` partition: the first in the log wins, the rest are
//! refused. Whoever reads the same records gets the same verdicts.

use planted::Bug;
use schemas::outgoing::round_content;
use schemas::proposal::Step;
use schemas::rounds::{Offer, Opened, Outcome, RoundEvent, RoundSaid};
use schemas::{ContentHash, RequestId, Selection};
use std::collections::BTreeMap;

/// Ms after the first result in which a later version is admitted: 30 days.
pub const CORRECTION_MS_MAX: i64 = 30 * 24 * 60 * 60 * 1000;

/// The rules a herald asks: pure functions of the build, handed in so that this crate knows no game.
#[derive(Clone, Copy, Debug)]
pub struct RoundRules {
    /// Whether a round may be opened like this at this time (ms), or a stable code why not.
    pub check_opened: fn(&Opened, i64) -> Result<(), &'static str>,
    /// Whether a game with these selections can have this outcome, or a stable code why not.
    pub check_outcome: fn(&str, &[Selection], &Outcome) -> Result<(), &'static str>,
}

/// Where a round stands in the fold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Bets are taken, as soon as ingest has read the verdict of `opened`.
    Betting,
    /// No more bets; answers may still land.
    Closing,
    /// The cut-off is admitted.
    Closed,
    /// The cut-off stands in every partition.
    Sealed,
}

/// What an admitted record was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The marker's number in the round; 0 if it is no marker.
    pub number: u32,
    /// The round's result version after it.
    pub version: u32,
}

/// The verdict on one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is the case from now on.
    Admitted(Admitted),
    /// It repeats something admitted: the same verdict again, nothing else.
    Again(Admitted),
    /// It is not the case, with a stable code.
    Refused(&'static str),
}

/// A correction that somebody proposed.
#[derive(Clone, Debug)]
struct Proposal {
    actor: String,
    replaces: u32,
    outcome: Outcome,
    /// False once it was approved or rejected.
    is_open: bool,
}

/// One round as its partition of `rounds` has it.
#[derive(Clone, Debug)]
pub struct Round {
    /// Offset of its `opened`.
    pub opened_at_offset: u64,
    /// When it was opened, ms: what its deadline is measured from, however often it is amended.
    pub opened_said_at: i64,
    /// Offset of the last record about it.
    pub last_offset: u64,
    /// What was opened, with amendments.
    pub opened: Opened,
    /// Where it stands.
    pub status: Status,
    /// When `closing` was said, ms; 0 before.
    pub closing_said_at: i64,
    /// The last marker's number.
    pub number: u32,
    /// The current result version.
    pub version: u32,
    /// What the current version says.
    pub outcome: Option<Outcome>,
    first_result_at: i64,
    requests: BTreeMap<RequestId, (ContentHash, Admitted)>,
    proposals: BTreeMap<ContentHash, Proposal>,
}

/// The rounds of one partition that are in memory.
#[derive(Debug)]
pub struct Fold {
    rules: RoundRules,
    rounds: BTreeMap<String, Option<Round>>,
}

impl Fold {
    /// A fold that has read nothing.
    pub fn new(rules: RoundRules) -> Self {
        Self { rules, rounds: BTreeMap::new() }
    }

    /// Whether the round was loaded or has been read from its beginning.
    pub fn knows(&self, round: &str) -> bool {
        self.rounds.contains_key(round)
    }

    /// The round, if it was ever opened.
    pub fn get(&self, round: &str) -> Option<&Round> {
        self.rounds.get(round).and_then(Option::as_ref)
    }

    /// The rounds that were opened.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Round)> {
        self.rounds.iter().filter_map(|(id, round)| round.as_ref().map(|round| (id, round)))
    }

    /// Starts the memory of a round from what was admitted below the record about to be judged, in
    /// the order of offsets (R2).
    pub fn load(&mut self, round: &str, admitted: &[(u64, RoundEvent)]) {
        self.rounds.insert(round.to_owned(), None);
        for (offset, event) in admitted {
            self.judge(*offset, event);
        }
    }

    /// Drops a round; it is loaded again when it is named again.
    pub fn forget(&mut self, round: &str) {
        self.rounds.remove(round);
    }

    /// Drops the memory of names under which nothing was ever opened.
    pub fn forget_unknown(&mut self) {
        self.rounds.retain(|_, round| round.is_some());
    }

    /// Judges the record at `offset` and takes it in if it is admitted.
    pub fn judge(&mut self, offset: u64, event: &RoundEvent) -> Judgement {
        let rules = self.rules;
        let content = round_content(event);
        let slot = self.rounds.entry(event.round.to_string()).or_default();
        if let Some(round) = slot {
            round.last_offset = offset;
            if let Some((told, admitted)) = round.requests.get(&event.request) {
                return if *told == content {
                    Judgement::Again(*admitted)
                } else {
                    Judgement::Refused("request_reused")
                };
            }
        }
        let judged = match (slot.as_mut(), &event.said) {
            (None, RoundSaid::Opened(opened)) => {
                (rules.check_opened)(opened, event.said_at).map(|()| {
                    *slot = Some(Round::new(offset, event.said_at, opened.clone()));
                })
            }
            (Some(_), RoundSaid::Opened(_)) => Err("round_exists"),
            (None, _) => Err("round_unknown"),
            (Some(round), _) => round.judge(rules, event),
        };
        match (judged, slot) {
            (Err(code), _) => Judgement::Refused(code),
            (Ok(()), None) => Judgement::Refused("round_unknown"),
            (Ok(()), Some(round)) => {
                let number = if is_marker(&event.said) {
                    round.number = round.number.saturating_add(1);
                    round.number
                } else {
                    0
                };
                let admitted = Admitted { number, version: round.version };
                round.requests.insert(event.request.clone(), (content, admitted));
                Judgement::Admitted(admitted)
            }
        }
    }
}

/// Whether an admitted record is copied to `bets`.
fn is_marker(said: &RoundSaid) -> bool {
    match said {
        RoundSaid::Opened(_) | RoundSaid::Closed | RoundSaid::Version { .. } => true,
        RoundSaid::Amended { .. }
        | RoundSaid::Closing
        | RoundSaid::Sealed
        | RoundSaid::Proposed { .. }
        | RoundSaid::Rejected { .. }
        | RoundSaid::Verdict(_) => false,
    }
}

impl Round {
    fn new(offset: u64, said_at: i64, opened: Opened) -> Self {
        Self {
            opened_at_offset: offset,
            opened_said_at: said_at,
            last_offset: offset,
            opened,
            status: Status::Betting,
            closing_said_at: 0,
            number: 0,
            version: 0,
            outcome: None,
            first_result_at: 0,
            requests: BTreeMap::new(),
            proposals: BTreeMap::new(),
        }
    }

    fn judge(&mut self, rules: RoundRules, event: &RoundEvent) -> Result<(), &'static str> {
        let said_at = event.said_at;
        match &event.said {
            RoundSaid::Opened(_) => Err("round_exists"),
            RoundSaid::Amended { offers, closes_at } => {
                self.amend(rules, said_at, offers, *closes_at)
            }
            RoundSaid::Closing => {
                self.step(Status::Betting, Status::Closing, "not_betting").map(|()| {
                    self.closing_said_at = said_at;
                })
            }
            RoundSaid::Closed => self.step(Status::Closing, Status::Closed, "not_closing"),
            RoundSaid::Sealed => self.step(Status::Closed, Status::Sealed, "not_closed"),
            RoundSaid::Version { replaces, outcome, .. } => {
                let approved = self.approved(event, *replaces, outcome)?;
                self.take_version(rules, said_at, *replaces, outcome)?;
                self.end(approved);
                Ok(())
            }
            RoundSaid::Proposed { replaces, outcome, .. } => {
                let Some((Step::Proposed, id)) = Step::of(&event.request) else {
                    return Err("proposal_unknown");
                };
                if *replaces == 0 {
                    return Err("version_conflict");
                }
                self.check_version(rules, said_at, *replaces, outcome)?;
                let (actor, outcome) = (event.actor.clone(), outcome.clone());
                let proposal = Proposal { actor, replaces: *replaces, outcome, is_open: true };
                self.proposals.insert(id, proposal);
                Ok(())
            }
            RoundSaid::Rejected { .. } => {
                let Some((Step::Rejected, id)) = Step::of(&event.request) else {
                    return Err("proposal_unknown");
                };
                self.open_proposal(id)?;
                self.end(Some(id));
                Ok(())
            }
            RoundSaid::Verdict(_) => Err("not_judged"),
        }
    }

    fn step(&mut self, from: Status, to: Status, code: &'static str) -> Result<(), &'static str> {
        if self.status != from {
            return Err(code);
        }
        self.status = to;
        Ok(())
    }

    fn amend(
        &mut self,
        rules: RoundRules,
        said_at: i64,
        offers: &[Offer],
        closes_at: Option<i64>,
    ) -> Result<(), &'static str> {
        if self.status != Status::Betting {
            return Err("not_betting");
        }
        let mut amended = self.opened.clone();
        for offer in offers {
            let known = amended.offers.iter_mut().find(|known| known.selection == offer.selection);
            known.ok_or("selection_unknown")?.odds = offer.odds;
        }
        if let Some(closes_at) = closes_at {
            if closes_at <= said_at {
                return Err("deadline_out_of_range");
            }
            amended.closes_at = closes_at;
        }
        (rules.check_opened)(&amended, self.opened_said_at)?;
        self.opened = amended;
        Ok(())
    }

    /// The proposal that a result version approves, if it approves one: by another operator than made it,
    /// and saying what was proposed.
    fn approved(
        &self,
        event: &RoundEvent,
        replaces: u32,
        outcome: &Outcome,
    ) -> Result<Option<ContentHash>, &'static str> {
        let Some((step, id)) = Step::of(&event.request) else { return Ok(None) };
        if step != Step::Approved {
            return Err("proposal_unknown");
        }
        let proposal = self.open_proposal(id)?;
        if proposal.actor == event.actor {
            return Err("same_operator");
        }
        if proposal.replaces != replaces || proposal.outcome != *outcome {
            return Err("proposal_differs");
        }
        Ok(Some(id))
    }

    fn open_proposal(&self, id: ContentHash) -> Result<&Proposal, &'static str> {
        let proposal = self.proposals.get(&id).ok_or("proposal_unknown")?;
        if proposal.is_open { Ok(proposal) } else { Err("proposal_closed") }
    }

    fn end(&mut self, proposal: Option<ContentHash>) {
        if let Some(proposal) = proposal.and_then(|id| self.proposals.get_mut(&id)) {
            proposal.is_open = false;
        }
    }

    fn take_version(
        &mut self,
        rules: RoundRules,
        said_at: i64,
        replaces: u32,
        outcome: &Outcome,
    ) -> Result<(), &'static str> {
        self.check_version(rules, said_at, replaces, outcome)?;
        if self.version == 0 {
            self.first_result_at = said_at;
        }
        self.version = self.version.checked_add(1).ok_or("too_many_versions")?;
        self.outcome = Some(outcome.clone());
        Ok(())
    }

    /// Whether the version could be taken now.
    fn check_version(
        &self,
        rules: RoundRules,
        said_at: i64,
        replaces: u32,
        outcome: &Outcome,
    ) -> Result<(), &'static str> {
        if replaces != self.version && !planted::active(Bug::NoBaseVersion) {
            return Err("version_conflict");
        }
        if self.version != 0 && CORRECTION_MS_MAX < said_at.saturating_sub(self.first_result_at) {
            return Err("too_late");
        }
        match outcome {
            Outcome::Withdrawn => {
                if matches!(self.outcome, None | Some(Outcome::Withdrawn)) {
                    return Err("nothing_to_withdraw");
                }
            }
            Outcome::Voided => {}
            Outcome::Game(_) | Outcome::Named { .. } => {
                let selections: Vec<Selection> =
                    self.opened.offers.iter().map(|offer| offer.selection.clone()).collect();
                (rules.check_outcome)(&self.opened.game, &selections, outcome)?;
            }
        }
        // Last: it ends betting, which what can never be a result must not.
        let enough =
            if planted::active(Bug::ResultBeforeSealed) { Status::Closing } else { Status::Sealed };
        if self.status < enough {
            return Err("not_sealed");
        }
        Ok(())
    }
}
