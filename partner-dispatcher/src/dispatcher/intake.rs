//! Records in: settlements, and the tiers' records when they are due.

use super::{Dispatcher, Due};
use crate::book::{Item, Read, Stage, home};
use crate::judge::ParkCode;
use crate::offsets::Place;
use crate::output;
use crate::retry::{HEADER_ASKED, History, later};
use runtime::{Effect, Millis, Record, Scope, Source};
use schemas::attempts::Attempts;
use schemas::catalogue::RetryTier;
use schemas::facts::HEADER_ATTEMPT_LOG;
use schemas::settlements::Settlement;

/// Rests in memory of an item read ahead, before it is left to the head of its tier.
const RESTS_MAX: u32 = 2;
/// The shortest tier whose first record wakes a partner that was not heard of: those below are due in no
/// time.
const FIRST_WORD_FROM: RetryTier = RetryTier::S30;

impl Dispatcher {
    /// Takes the records of one read; chunks are cut when all of them are in, so that they travel
    /// together.
    pub(super) fn take_in(&mut self, now: Millis, source: Source, records: &[Record]) {
        for record in records {
            match Settlement::decode(&record.value) {
                Ok(settlement) => self.take_one(now, source, record, settlement),
                Err(error) => self.unreadable(source, record, &error),
            }
        }
    }

    /// The item of a record.
    pub(super) fn item(
        &self,
        now: Millis,
        source: Source,
        record: &Record,
        settlement: Settlement,
    ) -> Item {
        let limits = &self.options.limits;
        let tier = RetryTier::of_topic(source.topic.0);
        let history = match tier {
            Some(_) => History::of(record, limits),
            None => History {
                orig: record.offset,
                attempts: 0,
                chunk_items_max: limits.chunk_items_max,
                retried_since: None,
            },
        };
        // A tier sets the latest time, also if the writer's clock runs ahead of ours.
        let wait_ms = tier.map_or(0, |tier| limits.tier_wait_ms[tier.index()]);
        Item {
            settlement,
            orig: history.orig,
            places: vec![Place { source, offset: record.offset }],
            ahead: false,
            stage: Stage::Resting,
            attempts: history.attempts,
            attempt_log: record.header(HEADER_ATTEMPT_LOG).map(Attempts::read).unwrap_or_default(),
            tried: false,
            repeat_left: true,
            chunk_items_max: history.chunk_items_max,
            tier,
            retried_since: history.retried_since,
            due: later(record.appended_at, wait_ms).clamp(now, later(now, wait_ms)),
            woken: false,
            rests_left: RESTS_MAX,
            aside: false,
            recover: false,
            asked: record.header(HEADER_ASKED).map(ToOwned::to_owned),
        }
    }

    fn take_one(&mut self, now: Millis, source: Source, record: &Record, settlement: Settlement) {
        let item = self.item(now, source, record, settlement);
        let (partner, traffic) = home(&item);
        let tier = item.tier;
        if let Some(tier) = tier {
            let of = self.partner(&partner);
            let unread = &mut of.tier_unread[tier.index()];
            *unread = unread.saturating_sub(1);
            if item.retried_since.is_some() {
                of.queue(traffic).failed.take(&item.settlement);
            }
        }
        match (self.book.read(item), tier) {
            (Read::Known, _) | (Read::Joined(_), Some(_)) => {}
            // Somebody wants it sent now.
            (Read::Joined(id), None) => self.wake_one(id),
            (Read::Conflict(id), _) => {
                let epoch = self.partner(&partner).epoch.clone().unwrap_or_default();
                let said = "another content stands under this revision in our own log";
                self.park(id, &epoch, ParkCode::RevisionConflict, said);
            }
            (Read::New(id), Some(tier)) => self.rest_or_ask(id, tier, source, record.offset),
            (Read::New(id), None) => self.queue_or_move(now, id, Stage::Resting),
        }
        // At once, so that what follows in this read finds the room.
        self.forget_dropped();
    }

    /// Lets an item of a tier rest until it is due. One that was read ahead has its final answer, most
    /// often, and the store is asked at once: so the heads come on behind a drain.
    fn rest_or_ask(&mut self, id: u64, tier: RetryTier, source: Source, offset: u64) {
        if self.was_read_ahead(id, source, offset) {
            self.ask_first(id);
        } else if FIRST_WORD_FROM <= tier && self.is_first_word(id) {
            self.wake_one(id);
        } else {
            self.rest_on(id, tier);
        }
    }

    pub(super) fn rest_on(&mut self, id: u64, tier: RetryTier) {
        if let Some(item) = self.book.get(id) {
            self.resting[tier.index()].items.insert((item.due, id));
        }
    }

    fn unreadable(&mut self, source: Source, record: &Record, error: &dyn std::error::Error) {
        let place = Place { source, offset: record.offset };
        self.book.offsets.read(place);
        let text = format!("{source} offset {}: {error}", record.offset);
        self.alarm("settlement_unreadable", text);
        match output::unreadable(record, source, error) {
            Ok(output) => self.writer.note(place, output),
            Err(error) => self.alarm("unwritable", format!("{source} {}: {error}", record.offset)),
        }
    }

    /// Queues an item, or moves it to a tier if its partner's breaker is open or its room full: a partner
    /// that is slow or down never holds up the partition.
    pub(super) fn queue_or_move(&mut self, now: Millis, id: u64, from: Stage) {
        if self.is_called(id) && !self.has_room(id) {
            self.spill(id);
        } else {
            self.enqueue(now, id, from);
        }
    }

    /// True unless the breaker of the item's partner keeps it back.
    fn is_called(&mut self, id: u64) -> bool {
        let Some((partner, traffic)) = self.book.get(id).map(home) else { return false };
        self.partner(&partner).queue(traffic).breaker.is_closed()
    }

    /// True if another item of the partner may wait here.
    fn has_room(&self, id: u64) -> bool {
        let (held, limits) = (self.book.len(), self.options.limits);
        let Some((partner, traffic)) = self.book.get(id).map(home) else { return false };
        let max = if held < limits.items_held_max {
            limits.partner_items_max
        } else {
            limits.partner_items_crowded_max()
        };
        self.book.count(&partner, traffic).busy < max
    }

    /// Takes what is due off the head of a tier. The room is asked first: it saves the lookup. An open
    /// breaker is not: what has its final answer must not move on.
    pub(super) fn wake(&mut self, now: Millis, tier: RetryTier) {
        while let Some((due, id)) = self.resting[tier.index()].items.first().copied() {
            if now < due {
                break;
            }
            self.resting[tier.index()].items.pop_first();
            // Else it was superseded or woken while it rested.
            if self.book.get(id).is_some_and(|item| item.stage == Stage::Resting) {
                if self.is_called(id) && !self.has_room(id) {
                    self.spill(id);
                } else {
                    self.ask_first(id);
                }
            }
        }
    }

    /// Sets the timers of the tiers' heads.
    pub(super) fn rest(&mut self, now: Millis) {
        for tier in RetryTier::ALL {
            let resting = &mut self.resting[tier.index()];
            let Some((due, _)) = resting.items.first().copied() else { continue };
            if resting.timed.is_none_or(|timed| due < timed) {
                resting.timed = Some(due);
                self.timer(due.max(now), Due::Tier(tier));
            }
        }
    }

    /// Asks the store for the rounds wanted, as many at once as allowed.
    pub(super) fn look_up(&mut self) {
        while self.lookups.running.len() < self.options.limits.loads_in_flight_max {
            let Some(round) = self.lookups.order.pop_front() else { return };
            let Some(lookup) = self.lookups.wanted.remove(&round) else { continue };
            let token = self.token();
            self.lookups.running.insert(token, lookup);
            let scope = Scope {
                group: round.to_string(),
                topic: self.settlements.topic,
                partition: self.options.partition,
            };
            self.effects.push(Effect::Load { token, scope });
        }
    }

    /// Records of a tier in memory that are not queued: those resting, and those of any tier looked up.
    pub(super) fn tier_held(&self, tier: RetryTier) -> usize {
        self.resting[tier.index()].items.len() + self.lookups.heads_count
    }
}
