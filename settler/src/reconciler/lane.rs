//! One partition of the reconciler: when each of its rounds is looked at, and what was found there.

use super::desk::Desk;
use super::rounds::Rounds;
use super::{Answers, Owed, ReconcilerOptions, Standing};
use runtime::Millis;
use schemas::settlements::Settlement;
use schemas::{BetId, PartnerId, RoundId};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of the cycle compared at once: partners that answer slowly are not to have thousands wait for them.
const RECHECKED_MAX: usize = 64;

/// What a partition does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The look at this round is due.
    Look(RoundId),
    /// The next look is due then.
    Wait(Millis),
    /// It looks at a round already, or no round owes anything.
    Nothing,
}

/// How far the look at a round has come.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// The answers of partners are being loaded: first, so that what caused each is among the facts about
    /// bets.
    Answers,
    /// The facts about its bets are.
    Bets {
        /// The answers.
        answers: Box<Answers>,
    },
}

/// Looks in a row, each of which finds a difference, until that is a case though none is like the one before. More than
/// what is on its way stays there.
const LOOKS_MAX: u32 = 5;

/// A difference that is no case yet.
#[derive(Debug)]
pub(super) struct Suspect {
    /// What would be its case.
    case_id: String,
    /// Looks in a row that found one, whichever.
    looks: u32,
}

/// The memory of one partition; dropped with its ownership (R4).
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// When each round is to be looked at next, ms. Rounds that owe nothing are absent.
    due: BTreeMap<RoundId, Millis>,
    queue: BTreeSet<(Millis, RoundId)>,
    standings: BTreeMap<RoundId, BTreeMap<PartnerId, Standing>>,
    /// Where partners are asked to close rounds.
    pub(super) desks: BTreeMap<PartnerId, Desk>,
    /// Differences that are no case yet.
    pub(super) suspects: BTreeMap<(RoundId, PartnerId), Suspect>,
    /// When a partner was last asked about the holds of a round, ms.
    pub(super) holds_asked: BTreeMap<(RoundId, PartnerId), Millis>,
    /// Settlements on their way to the log, by the token of their batch.
    saying: BTreeMap<u64, BTreeSet<(BetId, u32)>>,
    /// How far it has come in the cycle: the time whose place in it that is, ms, and the last round there.
    cycled: Option<(Millis, Option<RoundId>)>,
    /// Rounds of the cycle that are being compared again, with the partners that are done.
    pub(super) rechecked: BTreeMap<RoundId, BTreeSet<PartnerId>>,
    /// The round that is looked at, under the token of its load.
    pub(super) looking: Option<(u64, RoundId, Look)>,
}

impl Lane {
    /// Looks at the round next at `at`, whatever was planned before.
    pub(super) fn plan(&mut self, round: &RoundId, at: Millis) {
        if let Some(before) = self.due.insert(round.clone(), at) {
            self.queue.remove(&(before, round.clone()));
        }
        self.queue.insert((at, round.clone()));
    }

    /// Looks at the round at `at`, or before if that was planned while it was looked at.
    pub(super) fn plan_by(&mut self, round: &RoundId, at: Millis) {
        let planned = self.due.get(round).copied();
        self.plan(round, planned.map_or(at, |planned| planned.min(at)));
    }

    /// Notes a difference; whether it is a case now. What is on its way may look like one once; it does not twice, by facts
    /// read anew. A partner that says something else each time would never be told of, so where nothing was said of the
    /// round yet (`is_first`), a difference at each of [`LOOKS_MAX`] looks is one too.
    pub(super) fn confirms(
        &mut self,
        place: (RoundId, PartnerId),
        case_id: &str,
        is_first: bool,
    ) -> bool {
        let before = self.suspects.remove(&place);
        let is_same = before.as_ref().is_some_and(|suspect| suspect.case_id == case_id);
        let looks = before.map_or(0, |suspect| suspect.looks).saturating_add(1);
        let confirmed = is_same || (is_first && LOOKS_MAX <= looks);
        if !confirmed {
            self.suspects.insert(place, Suspect { case_id: case_id.to_owned(), looks });
        }
        confirmed
    }

    /// What to do now. A round that is to be looked at has no plan any more, so that what is planned
    /// during the look stands when it ends.
    fn next(&mut self, now: Millis) -> Next {
        if self.looking.is_some() {
            return Next::Nothing;
        }
        match self.queue.first() {
            None => Next::Nothing,
            Some((at, _)) if now < *at => Next::Wait(*at),
            Some(_) => {
                let Some((_, round)) = self.queue.pop_first() else { return Next::Nothing };
                self.due.remove(&round);
                Next::Look(round)
            }
        }
    }

    /// Takes how partners stand in a round, and plans the next look at it behind `wait` unless all is
    /// `done`.
    pub(super) fn found(
        &mut self,
        now: Millis,
        round: RoundId,
        is_over: bool,
        mut standings: BTreeMap<PartnerId, Standing>,
        wait: Millis,
    ) {
        standings.retain(|_, standing| !standing.is_done());
        if standings.values().all(|standing| standing.unchecked == 0) {
            self.rechecked.remove(&round);
        }
        if standings.is_empty() && is_over {
            self.standings.remove(&round);
            return;
        }
        let asked = standings.iter().filter(|(_, it)| 0 < it.unclosed + it.unchecked);
        let free = asked.filter_map(|(partner, _)| self.desks.get(partner)).map(Desk::not_before);
        let wait_until = now.saturating_add(wait);
        // A partner that is left alone for a while needs no look before; others may.
        let only_unclosed = standings.values().all(|standing| standing.owed == Owed::default());
        let at = match free.min() {
            Some(free) if only_unclosed => wait_until.max(free),
            Some(_) | None => wait_until,
        };
        self.plan_by(&round, at);
        self.standings.insert(round, standings);
    }

    /// What to do now: what is due comes before the cycle.
    pub(super) fn next_of_all(&mut self, now: Millis, rounds: &Rounds, cycle_ms: i64) -> Next {
        let due = self.next(now);
        if matches!(due, Next::Look(_)) {
            return due;
        }
        match (due, self.cycle(now, rounds, cycle_ms)) {
            (Next::Wait(one), Next::Wait(other)) => Next::Wait(one.min(other)),
            (wait @ Next::Wait(_), Next::Nothing) => wait,
            (_, next) => next,
        }
    }

    /// The round that is to be looked at again although it is done; when the next one is, if it is none yet.
    fn cycle(&mut self, now: Millis, rounds: &Rounds, cycle_ms: Millis) -> Next {
        if self.looking.is_some() || RECHECKED_MAX <= self.rechecked.len() {
            return Next::Nothing;
        }
        let (time, round) = self.cycled.get_or_insert((now, None));
        // What was missed for a whole cycle comes with the next one.
        if *time < now.saturating_sub(cycle_ms) {
            (*time, *round) = (now.saturating_sub(cycle_ms), None);
        }
        let place = (time.rem_euclid(cycle_ms), round.clone());
        let Some((next_place, next)) = rounds.behind(&place) else { return Next::Nothing };
        let turns =
            if (*next_place, Some(next)) <= (place.0, place.1.as_ref()) { cycle_ms } else { 0 };
        let begin = time.saturating_sub(place.0);
        let at = begin.saturating_add(turns).saturating_add(*next_place);
        if now < at {
            return Next::Wait(at);
        }
        self.cycled = Some((at, Some(next.clone())));
        self.rechecked.insert(next.clone(), BTreeSet::new());
        if self.due.contains_key(next) {
            // It is looked at anyway.
            return Next::Wait(now);
        }
        Next::Look(next.clone())
    }

    /// Those of `unanswered` that are old enough to be said again, and have not been for `repeat_ms`.
    pub(super) fn stale(
        &self,
        now: Millis,
        mut unanswered: Vec<Settlement>,
        answers: &Answers,
        options: &ReconcilerOptions,
    ) -> Vec<Settlement> {
        unanswered.retain(|settlement| {
            let one = (settlement.bet.clone(), settlement.revision);
            let last = answers.repeated_at(settlement);
            let rested = last.is_none_or(|at| options.repeat_ms <= now.saturating_sub(at));
            // What waits for a partner that is away is most likely not lost.
            let is_away = options.away.contains(&settlement.partner);
            let old_ms =
                if is_away { options.stale_ms.max(options.repeat_ms) } else { options.stale_ms };
            let is_old = old_ms <= now.saturating_sub(settlement.caused_at);
            rested && is_old && !self.saying.values().any(|said| said.contains(&one))
        });
        unanswered
    }

    /// These go to the log as the batch `token`.
    pub(super) fn say(&mut self, token: u64, settlements: BTreeSet<(BetId, u32)>) {
        self.saying.insert(token, settlements);
    }

    /// The batch has ended: what it said is a fact, or counts as not said.
    pub(super) fn said(&mut self, token: u64) {
        self.saying.remove(&token);
    }

    /// How each partner stood when the rounds were last looked at, one line for each round.
    pub(super) fn standings(&self) -> impl Iterator<Item = (&PartnerId, &Standing)> {
        self.standings.values().flatten()
    }
}
