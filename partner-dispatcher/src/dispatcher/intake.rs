//! Records in: settlements, and the tier's records when they are due.

use super::{Dispatcher, Due, home};
use crate::book::{Item, Read, Stage};
use crate::judge::ParkCode;
use crate::offsets::Place;
use crate::output;
use crate::retry::{History, later};
use runtime::{Effect, Millis, Record, Scope, Source};
use schemas::settlements::Settlement;

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

    fn take_one(&mut self, now: Millis, source: Source, record: &Record, settlement: Settlement) {
        let tier = source == self.tier;
        let limits = &self.options.limits;
        let history = if tier {
            History::of(record, limits)
        } else {
            let chunk_items_max = limits.chunk_items_max;
            History { orig: record.offset, attempts: 0, chunk_items_max }
        };
        let place = Place { source, offset: record.offset };
        let item = Item {
            settlement,
            orig: history.orig,
            places: vec![place],
            stage: Stage::Resting,
            attempts: history.attempts,
            repeat_left: !tier,
            chunk_items_max: history.chunk_items_max,
        };
        let (partner, _) = home(&item);
        if tier {
            let partner = self.partner(&partner);
            partner.tier_unread = partner.tier_unread.saturating_sub(1);
        }
        match self.book.read(item) {
            Read::Known => {}
            Read::Conflict(id) => {
                let epoch = self.partner(&partner).epoch.clone().unwrap_or_default();
                let said = "another content stands under this revision in our own log";
                self.park(id, &epoch, ParkCode::RevisionConflict, said);
            }
            Read::New(id) if tier => {
                // A tier sets the latest time, also if the writer's clock runs ahead of ours.
                let wait_ms = self.options.limits.tier_wait_ms;
                let due = later(record.appended_at, wait_ms).clamp(now, later(now, wait_ms));
                self.resting.push_back((due, id));
            }
            Read::New(id) => self.queue_or_move(id, Stage::Resting),
        }
        // At once, so that what follows in this read finds the room.
        self.forget_dropped();
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

    /// Queues an item, or moves it to the tier if its partner's queue is full: a partner that is slow
    /// or down never holds up the partition.
    pub(super) fn queue_or_move(&mut self, id: u64, from: Stage) {
        if self.has_room(id) {
            self.enqueue(id, from);
        } else {
            self.move_to_tier(id);
        }
    }

    fn has_room(&mut self, id: u64) -> bool {
        let (held, limits) = (self.book.len(), self.options.limits);
        let Some((partner, traffic)) = self.book.get(id).map(home) else { return false };
        self.partner(&partner).has_room(traffic, held, &limits)
    }

    /// Takes what is due off the head of the tier. A full queue is asked first: it saves the lookup.
    pub(super) fn wake(&mut self, now: Millis) {
        while let Some((due, id)) = self.resting.front().copied() {
            if now < due {
                break;
            }
            self.resting.pop_front();
            let round = match self.book.get(id) {
                Some(item) if item.stage == Stage::Resting => item.settlement.bet.round(),
                // Superseded while it rested.
                Some(_) | None => continue,
            };
            if !self.has_room(id) {
                self.move_to_tier(id);
            } else if self.book.step(id, Stage::Resting, Stage::LookedUp) {
                self.lookups.due_count += 1;
                self.lookups.wanted(round).due.push(id);
            }
        }
    }

    /// Sets the timer of the tier's head.
    pub(super) fn rest(&mut self, now: Millis) {
        if let Some((due, _)) = self.resting.front()
            && !self.rest_timed
        {
            self.rest_timed = true;
            self.timer((*due).max(now), Due::Tier);
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

    /// Records of the tier in memory that are not queued: those resting and those looked up.
    pub(super) fn tier_held(&self) -> usize {
        self.resting.len() + self.lookups.due_count
    }
}
