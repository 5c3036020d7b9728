//! Draining: what a partner is owed that is back is read ahead of the tiers' heads.
//!
//! A head stays where it is and reads every record in its turn. What was read ahead has no record of its
//! own here, so it frees no offset: only the head does, when it finds the final answer in the store, or
//! makes one. So a crash in a drain loses nothing but time.

use super::Dispatcher;
use crate::book::{Count, Read, Stage, home};
use crate::drain::{Drain, Next};
use runtime::{Effect, Millis, Record, Source};
use schemas::catalogue::RetryTier;
use schemas::contract::Traffic;
use schemas::settlements::Settlement;
use schemas::{PartnerId, facts};

/// A read ahead on its way.
#[derive(Debug)]
pub(super) struct Peek {
    partner: PartnerId,
    traffic: Traffic,
    tier: RetryTier,
    from: u64,
}

impl Dispatcher {
    /// Begins to drain a partner's traffic: what rests in memory is woken, the rest read ahead.
    pub(super) fn begin_drain(&mut self, name: &PartnerId, traffic: Traffic) {
        let cursors = self.tiers.map(|source| self.book.offsets.next(source));
        let resting = self.book.iter().filter(|(_, item)| item.stage == Stage::Resting);
        let of = |(_, item): &(u64, &crate::book::Item)| {
            item.settlement.partner == *name && Traffic::of(item.settlement.revision) == traffic
        };
        let woken: Vec<u64> = resting.filter(of).map(|(id, _)| id).collect();
        for id in woken {
            self.wake_one(id);
        }
        let queue = self.partner(name).queue(traffic);
        queue.drain = Some(Drain::new(cursors, queue.moving == 0));
        self.drains.push_back((name.clone(), traffic));
    }

    /// Reads on for the partners that are drained, each in its turn, as far as there is room for them.
    pub(super) fn go_on_draining(&mut self) {
        let limits = self.options.limits;
        for _ in 0..self.drains.len() {
            let Some((name, traffic)) = self.drains.pop_front() else { return };
            let Count { busy, ahead } = self.book.count(&name, traffic);
            let held = self.book.len();
            let Some(queue) = self.partners.get_mut(&name).map(|one| one.queue(traffic)) else {
                continue;
            };
            let moving = queue.moving;
            let Some(drain) = &mut queue.drain else { continue };
            match drain.next(moving) {
                Next::Over => {
                    queue.drain = None;
                    queue.failed.clear();
                    continue;
                }
                // Half the room is left to what falls due meanwhile.
                Next::Peek(tier, from)
                    if self.peeks.len() < limits.peeks_in_flight_max
                        && busy.max(ahead) < limits.partner_items_max / 2
                        && held < limits.items_held_max =>
                {
                    self.tokens += 1;
                    let token = self.tokens;
                    drain.peeking(token);
                    let source = self.tiers[tier.index()];
                    let peek = Peek { partner: name.clone(), traffic, tier, from };
                    self.peeks.insert(token, peek);
                    self.effects.push(Effect::Peek { token, source, from });
                }
                Next::Peek(..) | Next::Answer | Next::Moves => {}
            }
            self.drains.push_back((name, traffic));
        }
    }

    /// Takes what was read ahead; what is of others stays for the head.
    pub(super) fn peeked(&mut self, now: Millis, token: u64, records: &[Record], end: u64) {
        let Some(peek) = self.peeks.remove(&token) else { return };
        let Peek { partner: name, traffic, tier, from } = peek;
        let cursor = records.last().map_or(end.max(from), |last| last.offset.saturating_add(1));
        let queue = self.partner(&name).queue(traffic);
        let goes_on =
            queue.drain.as_mut().is_some_and(|drain| drain.peeked(token, tier, cursor, end));
        if !goes_on {
            return;
        }
        let to = &mut queue.drained_to[tier.index()];
        *to = cursor.max(*to);
        for record in records {
            let of = record.header(facts::HEADER_PARTNER);
            if of.is_none_or(|of| of == name.as_str()) {
                self.take_ahead(now, (&name, traffic), tier, record);
            }
        }
    }

    fn take_ahead(
        &mut self,
        now: Millis,
        (name, traffic): (&PartnerId, Traffic),
        tier: RetryTier,
        record: &Record,
    ) {
        let source = self.tiers[tier.index()];
        // One that cannot be read is for the head to say.
        let Ok(settlement) = Settlement::decode(&record.value) else { return };
        if settlement.partner != *name || Traffic::of(settlement.revision) != traffic {
            return;
        }
        let mut item = self.item(now, source, record, settlement);
        item.places = Vec::new();
        item.ahead = true;
        match self.book.read_ahead(item) {
            Read::New(id) | Read::Joined(id) => self.wake_one(id),
            Read::Known | Read::Conflict(_) => {}
        }
        self.forget_dropped();
    }

    /// Ends the rest of an item: the store is asked, then it is sent.
    pub(super) fn wake_one(&mut self, id: u64) {
        let Some(item) = self.book.get_mut(id).filter(|item| item.stage == Stage::Resting) else {
            return;
        };
        item.woken = true;
        let due = std::mem::replace(&mut item.due, Millis::MIN);
        for resting in &mut self.resting {
            resting.items.remove(&(due, id));
        }
        self.ask_first(id);
    }

    /// Has the store asked whether a resting item has its final answer.
    pub(super) fn ask_first(&mut self, id: u64) {
        if !self.book.step(id, Stage::Resting, Stage::LookedUp) {
            return;
        }
        let Some(item) = self.book.get(id) else { return };
        let (round, from_head) = (item.settlement.bet.round(), !item.ahead);
        self.lookups.heads_count += usize::from(from_head);
        let lookup = self.lookups.wanted(round);
        lookup.heads_count += usize::from(from_head);
        lookup.due.push(id);
    }

    /// True if the record at `offset` of the tier was read ahead when its partner came back.
    pub(super) fn was_read_ahead(&mut self, id: u64, source: Source, offset: u64) -> bool {
        let Some(tier) = RetryTier::of_topic(source.topic.0) else { return false };
        let Some((name, traffic)) = self.book.get(id).map(home) else { return false };
        offset < self.partner(&name).queue(traffic).drained_to[tier.index()]
    }
}
