//! Which rounds are closed with which partners now, and what becomes of the answers.
//!
//! A partner has one lane, so all its bets of a round are in one partition, and whoever reconciles that
//! partition closes the round with it. No partner waits for another one. Two owners for a while ask twice.

use super::book::Book;
use super::desk::{CloseAnswer, Closing, End, Next, Question};
use super::{Reconciler, Standing, alarm};
use crate::memory::Round;
use runtime::machine::{Alarm, Effect};
use runtime::{Append, Batch, Fact, Millis};
use schemas::facts::{CLOSE, MARKER};
use schemas::frame::{self, FrameError};
use schemas::wire::{CaseRecord, CloseRecord};
use schemas::{PartnerId, RoundId, outgoing};
use std::collections::{BTreeMap, BTreeSet};

/// Partners asked at once by a process: what bounds the books in memory.
const CLOSES_AT_ONCE_MAX: usize = 32;
/// Of these, those whose last call failed: partners that hang leave room for the others.
const FAILING_AT_ONCE_MAX: usize = 8;

/// A round as a look found it.
pub(super) struct Seen<'a> {
    pub(super) round: &'a RoundId,
    pub(super) bets: &'a Round,
    /// The facts that `bets` were made of.
    pub(super) facts: &'a [Fact],
}

impl Reconciler {
    /// Closes the round with every partner that confirmed all it was told; how it stands with each.
    pub(super) fn close(
        &mut self,
        now: Millis,
        partition: u32,
        seen: &Seen<'_>,
        books: BTreeMap<PartnerId, Book>,
    ) -> (BTreeMap<PartnerId, Standing>, Vec<Effect<Self>>) {
        let mut effects = Vec::new();
        let mut standings = BTreeMap::new();
        let mut closes = closes(seen.facts);
        let version = u32::try_from(seen.bets.versions.len()).unwrap_or(u32::MAX);
        let changed = seen.bets.versions.last().map(|(_, said_at)| *said_at);
        let is_over = seen.bets.closed_at.is_some();
        let is_newest = self.rounds.version(seen.round) <= version;
        for (partner, book) in books {
            let mut standing = Standing::of(&book);
            let closes = closes.remove(&partner).unwrap_or_default();
            standing.cases = u64::try_from(open(&closes).len()).unwrap_or(u64::MAX);
            match changed {
                Some(changed) if is_over => {
                    let is_ready = book.unanswered == 0 && is_newest;
                    let closing = Closing::of(seen, version, (&partner, book), &closes);
                    let is_same = closing.as_ref().is_some_and(Closing::is_same);
                    if !is_same {
                        standing.unclosed = 1;
                        standing.unclosed_since = Some(changed);
                    }
                    let is_again =
                        is_same && self.is_to_be_checked(now, partition, seen.round, &partner);
                    let is_wanted = is_ready && (!is_same || is_again);
                    standing.unchecked = u64::from(is_wanted && is_again);
                    if let Some(closing) = closing.filter(|_| is_wanted) {
                        effects.extend(self.begin(now, partition, &partner, closing));
                    }
                }
                Some(_) => {}
                None => {
                    let whose = (&partner, book);
                    effects.extend(self.ask_holds(now, partition, seen, whose, &closes));
                }
            }
            standings.insert(partner, standing);
        }
        (standings, effects)
    }

    /// Whether the partner, which agreed to the round before, is to be asked again in this cycle. One that does not
    /// answer is left to the next cycle: rounds of weeks are not to pile up for it.
    fn is_to_be_checked(
        &self,
        now: Millis,
        partition: u32,
        round: &RoundId,
        partner: &PartnerId,
    ) -> bool {
        let Some(lane) = self.lanes.get(&partition) else { return false };
        let rests = lane.desks.get(partner).is_some_and(|desk| now < desk.not_before());
        let unchecked = lane.rechecked.get(round).is_some_and(|checked| !checked.contains(partner));
        unchecked && !rests
    }

    pub(super) fn begin(
        &mut self,
        now: Millis,
        partition: u32,
        partner: &PartnerId,
        closing: Closing,
    ) -> Option<Effect<Self>> {
        let desks = || self.lanes.values().flat_map(|lane| lane.desks.values());
        let at_once = desks().filter(|desk| desk.is_trying()).count();
        let failing = desks().filter(|desk| desk.is_trying() && desk.is_failing()).count();
        let token = self.token();
        let lane = self.lanes.get_mut(&partition)?;
        let desk = lane.desks.entry(partner.clone()).or_default();
        let has_room =
            at_once < CLOSES_AT_ONCE_MAX && (!desk.is_failing() || failing < FAILING_AT_ONCE_MAX);
        if !has_room || !desk.is_free(now) {
            return None;
        }
        let again = closing.was_same.then(|| closing.round.clone());
        let call = desk.begin(token, partner, closing)?;
        if let Some(checked) = again.and_then(|round| lane.rechecked.get_mut(&round)) {
            checked.insert(partner.clone());
        }
        Some(Effect::Call { token, call })
    }

    /// A partner answered, or did not.
    pub(super) fn answered(
        &mut self,
        now: Millis,
        token: u64,
        answer: &CloseAnswer,
    ) -> Vec<Effect<Self>> {
        let next = self.token();
        let asked = self.lanes.iter_mut().find_map(|(partition, lane)| {
            let (partner, desk) = lane.desks.iter_mut().find(|(_, desk)| desk.awaits(token))?;
            Some((*partition, partner.clone(), desk.answered(now, partner, answer, next)))
        });
        match asked {
            Some((_, _, Next::Ask(call))) => vec![Effect::Call { token: next, call }],
            Some((partition, partner, Next::End(closing, end))) => {
                self.ended(now, partition, &partner, &closing, &end)
            }
            Some((_, _, Next::Nothing)) | None => Vec::new(),
        }
    }

    fn ended(
        &mut self,
        now: Millis,
        partition: u32,
        partner: &PartnerId,
        closing: &Closing,
        end: &End,
    ) -> Vec<Effect<Self>> {
        let again_at = now.saturating_add(self.wait(now, &closing.round));
        let Some(lane) = self.lanes.get_mut(&partition) else { return Vec::new() };
        let place = (closing.round.clone(), partner.clone());
        let mut effects = Vec::new();
        match end {
            End::Same => {
                lane.suspects.remove(&place);
                let is_news = closing.question == Question::Whole && !closing.was_same;
                if !is_news && closing.open.is_empty() {
                    return effects;
                }
            }
            End::Differs(case) if closing.open.contains(&case.case_id) => return effects,
            End::Differs(case)
                if !lane.confirms(place.clone(), &case.case_id, closing.open.is_empty()) =>
            {
                if closing.was_same {
                    lane.rechecked.entry(closing.round.clone()).or_default().remove(partner);
                    lane.plan_by(&closing.round, again_at);
                }
                return effects;
            }
            End::Differs(case) => {
                let text = format!("{}: {}", case.case_id, case.text);
                effects.push(Effect::Alarm(Alarm { name: "round_differs", text }));
            }
        }
        let (cases, record) = closing.ended(partner, end);
        match self.written(partition, closing.at, &cases, &record) {
            Ok(batch) => effects.push(Effect::Apply { token: self.token(), batch }),
            Err(error) => {
                let (round, text) = (&closing.round, "cannot be written");
                effects.push(alarm(format!("the close of {round} with {partner} {text}: {error}")));
            }
        }
        effects
    }

    fn written(
        &self,
        partition: u32,
        at: u64,
        cases: &[CaseRecord],
        record: &CloseRecord,
    ) -> Result<Batch, FrameError> {
        let case = |case| Ok(outgoing::case(case, self.options.counts)?.into_parts().into());
        let records: Result<Vec<Append>, FrameError> = cases.iter().map(case).collect();
        let fact = outgoing::close_fact(record, partition, at)?;
        let closing = vec![Fact::from(fact.into_parts())];
        Ok(Batch { records: vec![records?], closing, ..Batch::default() })
    }
}

impl Closing {
    pub(super) fn of(
        seen: &Seen<'_>,
        version: u32,
        (partner, book): (&PartnerId, Book),
        closes: &[CloseRecord],
    ) -> Option<Self> {
        let request = book.request(partner, seen.round, version);
        let markers = seen.facts.iter().filter(|fact| fact.key.kind == MARKER);
        let said = request.hash()?.to_string();
        let said_so = |close: &CloseRecord| close.case_id.is_none() && close.said == said;
        Some(Self {
            was_same: closes.iter().any(said_so),
            round: seen.round.clone(),
            question: Question::Whole,
            version,
            at: markers.map(|fact| fact.key.at).max()?,
            said,
            book,
            request,
            open: open(closes).into_iter().map(ToOwned::to_owned).collect(),
            ended_count: ended(closes).len(),
        })
    }

    /// Whether the partner has said the same before, and nothing speaks against it now.
    fn is_same(&self) -> bool {
        self.was_same && self.open.is_empty() && self.book.unexplained.is_empty()
    }
}

/// What came of closing the round so far, by partner.
fn closes(facts: &[Fact]) -> BTreeMap<PartnerId, Vec<CloseRecord>> {
    let mut closes: BTreeMap<PartnerId, Vec<CloseRecord>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.key.kind == CLOSE) {
        let Ok(record) = frame::decode::<CloseRecord>(&fact.body) else { continue };
        let Ok(partner) = record.partner_id.parse() else { continue };
        closes.entry(partner).or_default().push(record);
    }
    closes
}

/// The cases that have ended.
fn ended(closes: &[CloseRecord]) -> BTreeSet<&str> {
    closes.iter().flat_map(|close| &close.ended).map(String::as_str).collect()
}

/// The cases that have not.
fn open(closes: &[CloseRecord]) -> BTreeSet<&str> {
    let ended = ended(closes);
    let opened = closes.iter().filter_map(|close| close.case_id.as_deref());
    opened.filter(|case| !ended.contains(case)).collect()
}
