//! Answers in, from partners and from the store.

use super::{Claim, Dispatcher, Due, Flight};
use crate::book::{Stage, home};
use crate::judge::{Answer, Asked, Judgement, ParkCode, Verdict, judge};
use crate::output::{self, End};
use crate::queue::TRAFFIC;
use crate::retry::{later, next_tier};
use planted::Bug;
use runtime::{Fact, Millis};
use schemas::catalogue::RetryTier;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use schemas::{PartnerId, facts, frame};
use std::collections::BTreeMap;

/// Ms in a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl Dispatcher {
    /// Carries out what [`judge`] says of an answer.
    pub(super) fn answered(&mut self, now: Millis, token: u64, answer: &Answer) {
        let Some(flight) = self.flights.remove(&token) else { return };
        let queue = self.partner(&flight.partner).queue(flight.traffic);
        queue.chunks_in_flight = queue.chunks_in_flight.saturating_sub(1);
        self.touched.insert(flight.partner.clone());
        let judgement = self.judged(&flight, answer);
        for (id, verdict) in flight.ids.iter().zip(&judgement.verdicts) {
            if let Some(item) = self.book.get_mut(*id) {
                item.tried(flight.at, answer.attempt(verdict));
            }
        }
        let halved = judgement.blames_items() && self.halve(&flight);
        self.note_call(now, &flight, &judgement);
        if let Some(wait_ms) = judgement.retry_after_ms {
            let limits = self.options.limits;
            // Who is not busy has no reason to be left alone for long, whatever stands in a header.
            let max = if answer.is_busy() {
                limits.retry_after_ms_max
            } else {
                limits.retry_after_held_ms_max
            };
            self.gate(now, &flight.partner, wait_ms.min(max));
        }
        // Good answers and halves are no repeats of what failed: those are bounded by themselves.
        let has_failed = judgement.epoch.is_none() && !halved;
        let epoch = judgement.epoch.unwrap_or_default();
        let mut owed = Vec::new();
        for (id, verdict) in flight.ids.into_iter().zip(judgement.verdicts) {
            match verdict {
                Verdict::Applied { shortfall } => self.end(id, &epoch, End::Applied { shortfall }),
                Verdict::Superseded { by } => self.end(id, &epoch, End::Superseded { by }),
                Verdict::Claimed { by } => self.prove(id, by, epoch.clone()),
                Verdict::Pending | Verdict::Owed => owed.push(id),
                Verdict::Park { code: ParkCode::UnknownBet, .. } if self.recovers(id, &epoch) => {
                    owed.push(id);
                }
                Verdict::Park { code, said } => self.park(id, &epoch, code, &said),
            }
        }
        self.failed(now, owed, has_failed);
    }

    fn judged(&mut self, flight: &Flight, answer: &Answer) -> Judgement {
        let items = flight.ids.iter().filter_map(|id| self.book.get(*id));
        let sent: Vec<Asked<'_>> = items
            .map(|item| {
                let newest_read = self.book.newest(&item.settlement.bet);
                Asked { settlement: &item.settlement, newest_read }
            })
            .collect();
        // Items on their way are never taken out of the book, so verdicts and numbers go in step.
        debug_assert_eq!(sent.len(), flight.ids.len(), "an item left the book on its way");
        let judgement = judge(&flight.chunk_id, &sent, answer);
        if let Some(epoch) = &judgement.epoch {
            self.note_epoch(&flight.partner, epoch);
        }
        judgement
    }

    /// True if a bet that the ledger of this epoch does not know is told to it anew, once: it was restored from a
    /// backup, and people of both sides signed that off (R20).
    fn recovers(&mut self, id: u64, epoch: &str) -> bool {
        let Some((name, _)) = self.book.get(id).map(home) else { return false };
        if self.partner(&name).restored.as_deref() != Some(epoch) {
            return false;
        }
        let Some(item) = self.book.get_mut(id) else { return false };
        // From memory: nothing failed.
        item.repeat_left = true;
        !std::mem::replace(&mut item.recover, true)
    }

    /// A new epoch says that the partner's ledger was restored from a backup (R20). From here on final
    /// answers are keyed by it, so that none of an older epoch closes anything. Whoever watches pauses the partner's
    /// betting until people sign it off.
    fn note_epoch(&mut self, name: &PartnerId, epoch: &str) {
        let partner = self.partner(name);
        partner.refusals = 0;
        let before = partner.epoch.replace(epoch.to_owned());
        if let Some(before) = before.filter(|before| before != epoch) {
            let text = format!("ledger epoch of {name} went from `{before}` to `{epoch}`");
            self.alarm("ledger_epoch_changed", text);
        }
    }

    /// A chunk was refused as a whole: its items travel in smaller ones, so that one that a wallet chokes
    /// on ends up alone and the others get through. Not without end: a wallet that refuses all is down. True if they do.
    fn halve(&mut self, flight: &Flight) -> bool {
        let max = self.options.limits.refusals_halved_max;
        let partner = self.partner(&flight.partner);
        partner.refusals = partner.refusals.saturating_add(1);
        if max < partner.refusals || flight.ids.len() < 2 {
            return false;
        }
        for id in &flight.ids {
            if let Some(item) = self.book.get_mut(*id) {
                item.chunk_items_max = flight.ids.len().div_ceil(2);
                // From memory: the tier would take 5 s for each halving.
                item.repeat_left = true;
            }
        }
        true
    }

    /// Leaves the partner alone for as long as it asked, within bounds. While that is short what it is owed waits here;
    /// else it goes to the tiers, and a probe asks when the time is over.
    fn gate(&mut self, now: Millis, name: &PartnerId, wait_ms: u64) {
        if planted::active(Bug::RestIgnored) {
            return;
        }
        let limits = self.options.limits;
        let until = later(now, wait_ms.min(limits.retry_after_ms_max));
        let partner = self.partner(name);
        partner.not_before = partner.not_before.max(until);
        if !partner.rests(now, &limits) {
            return;
        }
        let until = partner.not_before;
        for traffic in TRAFFIC {
            if self.partner(name).queue(traffic).breaker.rest(until, &limits) {
                self.opened(now, name, traffic);
            }
        }
        self.timer(until, Due::Probe(name.clone()));
    }

    /// A final answer.
    fn end(&mut self, id: u64, epoch: &str, end: End) {
        self.book.put(id, Stage::Ending);
        let Some(item) = self.book.get(id) else { return };
        let output = output::delivered(item, epoch, end, self.options.partition);
        let settlement = &item.settlement;
        if let Some(partner) = self.partners.get_mut(&settlement.partner) {
            partner.parked.answered(&settlement.bet, settlement.revision);
        }
        self.settle_output(id, output);
    }

    /// Sets an item aside for a human (R18). It is still owed, and a newer revision goes its own way.
    pub(super) fn park(&mut self, id: u64, epoch: &str, code: ParkCode, said: &str) {
        let (partition, partitions) = (self.options.partition, self.options.partitions);
        self.book.put(id, Stage::Ending);
        let Some(item) = self.book.get(id) else { return };
        let settlement = &item.settlement;
        let (name, bet, revision) =
            (settlement.partner.clone(), settlement.bet.clone(), settlement.revision);
        let code_text = code.code();
        let text = format!("{} of {name}: {code_text}: {said}", settlement.id());
        let output = output::parked(item, epoch, (code, said), partition, partitions);
        self.settle_output(id, output);
        self.partner(&name).parked.add(bet, revision);
        self.alarm("delivery_parked", text);
    }

    /// Has a claim of `superseded` looked up in the store.
    fn prove(&mut self, id: u64, by: u32, epoch: String) {
        if !self.book.step(id, Stage::Sent, Stage::Proving) {
            return;
        }
        if let Some(round) = self.book.get(id).map(|item| item.settlement.bet.round()) {
            self.lookups.wanted(round).claims.push(Claim { id, by, epoch });
        }
    }

    /// Items without a final answer: dropped if a newer revision was read (R15); else moved on if the
    /// breaker is not closed, repeated once from memory, or moved to the next tier. Where the call `has_failed`, a repeat needs
    /// room in the budget.
    fn failed(&mut self, now: Millis, ids: Vec<u64>, has_failed: bool) {
        let limits = self.options.limits;
        let (mut repeated, mut granted) = (Vec::new(), BTreeMap::new());
        for id in ids {
            self.book.put(id, Stage::Repeating);
            let Some(item) = self.book.get_mut(id) else { continue };
            let repeats = std::mem::replace(&mut item.repeat_left, false);
            let (name, traffic) = home(item);
            if self.book.get(id).is_some_and(|item| self.book.outdated(item)) {
                self.book.done(id);
            } else if !self.partner(&name).queue(traffic).breaker.is_closed() {
                self.set_aside(now, id);
            } else if repeats
                && (!has_failed
                    || *granted.entry((name.clone(), traffic)).or_insert_with(|| {
                        self.partner(&name).queue(traffic).repeats.take(now, &limits)
                    }))
            {
                repeated.push(id);
            } else if self.book.get(id).is_some_and(|item| item.places.is_empty()) {
                self.rest_in_memory(now, id);
            } else {
                self.move_on(now, id);
            }
        }
        if !repeated.is_empty() {
            let wait = self.jitter.repeat_wait_ms(&self.options.limits);
            self.timer(later(now, wait), Due::Repeat(repeated));
        }
    }

    /// An item that was read ahead needs no record in another tier: it rests here, a few times, and is
    /// then left to the head of the tier it stands in.
    fn rest_in_memory(&mut self, now: Millis, id: u64) {
        let wait_ms = self.options.limits.tier_wait_ms[0];
        let Some(item) = self.book.get_mut(id) else { return };
        let Some(left) = item.rests_left.checked_sub(1) else {
            self.book.done(id);
            return;
        };
        (item.rests_left, item.due) = (left, later(now, wait_ms));
        self.book.put(id, Stage::Resting);
        self.rest_on(id, RetryTier::S5);
    }

    /// Moves an item to its next tier, or parks it if its time is over; it leaves the memory when that is
    /// durable. True if it moves.
    pub(super) fn move_on(&mut self, now: Millis, id: u64) -> bool {
        let limits = self.options.limits;
        let Some(item) = self.book.get_mut(id) else { return false };
        let since = *item.retried_since.get_or_insert(now);
        let age_ms = u64::try_from(now.saturating_sub(since)).unwrap_or(0);
        if let Some(tier) = next_tier(item.tier, item.woken, age_ms, &limits) {
            self.move_to(id, tier);
            return true;
        }
        if planted::active(Bug::RetriesDropped) {
            self.book.done(id);
            return false;
        }
        let name = item.settlement.partner.clone();
        let epoch = self.partner(&name).epoch.clone().unwrap_or_default();
        let said = format!("no answer in {} days of retries", age_ms / DAY_MS);
        self.park(id, &epoch, ParkCode::RetentionExhausted, &said);
        false
    }

    /// Moves an item that found its partner's queue full to the first tier: nothing failed, so it is soon to come
    /// again. From a tier it goes to that of 30 s, or a backlog would be written anew every 5 s; a longer rest would leave a
    /// partner that has room again waiting for its money.
    pub(super) fn spill(&mut self, id: u64) {
        let Some(item) = self.book.get(id) else { return };
        if item.places.is_empty() {
            self.book.done(id);
            return;
        }
        let tier = item.tier.map_or(RetryTier::S5, |_| RetryTier::S30);
        self.move_to(id, tier);
    }

    fn move_to(&mut self, id: u64, tier: RetryTier) {
        self.book.put(id, Stage::Moving);
        let Some(item) = self.book.get_mut(id) else { return };
        item.tier = Some(tier);
        let output = output::to_tier(item, tier, self.options.partition);
        self.settle_output(id, output);
    }

    /// What stands in the store of one round.
    pub(super) fn loaded(&mut self, now: Millis, token: u64, found: &[Fact]) {
        let Some(lookup) = self.lookups.running.remove(&token) else { return };
        let standing = self.standing(found);
        self.lookups.heads_count = self.lookups.heads_count.saturating_sub(lookup.heads_count);
        for id in lookup.due {
            self.close_or_queue(now, id, &standing);
        }
        let mut owed = Vec::new();
        for Claim { id, by, epoch } in lookup.claims {
            let Some(item) = self.book.get(id).filter(|item| item.stage == Stage::Proving) else {
                continue;
            };
            let answers = standing.get(item.settlement.bet.as_str());
            if answers.is_some_and(|answers| answers.iter().any(|one| one.proves(by))) {
                self.end(id, &epoch, End::Superseded { by });
            } else {
                owed.push(id);
            }
        }
        self.failed(now, owed, true);
    }

    /// An item of a tier that is final in the ledger as it is now, or was superseded by one that is parked, is
    /// done; any other is sent when it is due. While the epoch is not known nothing counts as final: sending
    /// again moves no money.
    fn close_or_queue(&mut self, now: Millis, id: u64, standing: &BTreeMap<String, Vec<Standing>>) {
        let Some(item) = self.book.get(id).filter(|item| item.stage == Stage::LookedUp) else {
            return;
        };
        let (due, tier) = (item.due, item.tier);
        let (name, traffic) = home(item);
        let partner = self.partners.get(&name);
        let epoch = partner.and_then(|partner| partner.epoch.as_deref());
        let answers = standing.get(item.settlement.bet.as_str());
        let closed = answers.is_some_and(|answers| {
            let asked_at = item.asked.as_ref().map(|_| item.orig);
            let counts = |answer: &&Standing| answer.is_behind(item.settlement.revision, asked_at);
            let mut answers = answers.iter().filter(counts);
            answers.any(|answer| answer.closes(item.settlement.revision, epoch))
        });
        if closed {
            let settlement = &item.settlement;
            if let Some(partner) = self.partners.get_mut(&name) {
                partner.parked.answered(&settlement.bet, settlement.revision);
                partner.queue(traffic).hearing.take_if(|first| *first == id);
            }
            self.book.done(id);
        } else if let Some(tier) = tier.filter(|_| now < due) {
            // It was read ahead and is owed all the same.
            self.book.step(id, Stage::LookedUp, Stage::Resting);
            self.rest_on(id, tier);
        } else {
            self.enqueue(now, id, Stage::LookedUp);
        }
    }

    /// The answers among the facts of a round, by bet.
    fn standing(&mut self, found: &[Fact]) -> BTreeMap<String, Vec<Standing>> {
        let mut standing: BTreeMap<String, Vec<Standing>> = BTreeMap::new();
        for fact in found.iter().filter(|fact| fact.key.kind == facts::DELIVERED) {
            match frame::decode::<DeliveryRecord>(&fact.body) {
                Ok(record) => {
                    let answer = Standing {
                        revision: u32::try_from(record.revision).unwrap_or(0),
                        epoch: record.ledger_epoch,
                        outcome: record.outcome,
                        at: fact.key.at,
                    };
                    standing.entry(record.bet_id).or_default().push(answer);
                }
                // It proves nothing; the item is sent again, which moves no money.
                Err(error) => {
                    self.alarm("fact_unreadable", format!("{:?}: {error}", fact.key));
                }
            }
        }
        standing
    }
}

/// A final answer or a parking that stands in the store.
#[derive(Debug)]
struct Standing {
    revision: u32,
    epoch: String,
    outcome: DeliveryOutcome,
    /// The offset of what was answered, in `settlements.v1`.
    at: u64,
}

impl Standing {
    /// True if nothing at `revision` is to be sent: a final answer at it or above, in the ledger as it
    /// is now; or a parking above it, which is the newer one in a log (R15). Its own parking closes nothing.
    fn closes(&self, revision: u32, epoch: Option<&str>) -> bool {
        let last = match self.outcome {
            DeliveryOutcome::Applied | DeliveryOutcome::Superseded => true,
            DeliveryOutcome::Parked if planted::active(Bug::ParkedBlocksNewer) => return true,
            DeliveryOutcome::Parked if revision < self.revision => return true,
            DeliveryOutcome::Parked => planted::active(Bug::ParkedMeansDone),
            DeliveryOutcome::Unknown => false,
        };
        let counts = epoch == Some(self.epoch.as_str());
        last && revision <= self.revision && (counts || planted::active(Bug::LedgerEpochIgnored))
    }

    /// False if this is what the partner had said of `revision` before it asked to be told it again, which it did at
    /// `asked_at` in `settlements.v1`.
    fn is_behind(&self, revision: u32, asked_at: Option<u64>) -> bool {
        revision < self.revision || asked_at.is_none_or(|asked_at| asked_at <= self.at)
    }

    /// True if revision `by` was said to partners at all (R17): it was answered, in whatever ledger, or parked. A ledger
    /// that was restored and kept the row is right to name it.
    fn proves(&self, by: u32) -> bool {
        self.outcome != DeliveryOutcome::Unknown && by <= self.revision
    }
}
