//! Chunks out.

use super::{Dispatcher, Due, Flight};
use crate::book::Stage;
use crate::chunk::Filling;
use crate::queue::{Queue, TRAFFIC};
use planted::Bug;
use runtime::{Alarm, Effect, Millis};
use schemas::PartnerId;
use schemas::contract::Traffic;
use schemas::partners::StateCalls;
use std::num::NonZeroU32;

impl Dispatcher {
    /// Starts chunks for every partner that has something to send and a free slot, voids first. While
    /// slots are free nothing waits for a chunk to fill. To a partner whose breaker is open a probe goes.
    pub(super) fn start_chunks(&mut self, now: Millis) {
        let limits = self.options.limits;
        while let Some(name) = self.touched.pop_first() {
            let Some(partner) = self.partners.get_mut(&name) else { continue };
            let waits = |queue: &Queue| !queue.ids.is_empty() || !queue.kept.is_empty();
            let waits = TRAFFIC.iter().any(|traffic| waits(partner.queue(*traffic)));
            if planted::active(Bug::RestUnended) && 0 < partner.not_before {
                continue;
            }
            let at = partner.rest_end(now, &limits);
            if now < at {
                if waits && !std::mem::replace(&mut partner.gated, true) {
                    self.timer(at, Due::Gate(name));
                }
                continue;
            }
            for traffic in TRAFFIC {
                self.start_probe(now, &name, traffic);
                while self.start_chunk(now, &name, traffic) {}
            }
        }
    }

    /// Sends one of the items kept, if the breaker is open and its wait over.
    fn start_probe(&mut self, now: Millis, name: &PartnerId, traffic: Traffic) {
        let queue = self.partner(name).queue(traffic);
        if !queue.breaker.may_probe(now) {
            return;
        }
        let Some(id) = queue.kept.pop_front() else { return };
        let Some(item) = self.book.get(id) else { return };
        let mut filling = Filling::new();
        let (_, bytes_max) = self.chunk_max(name);
        // It was written before, to its tier.
        if filling.add(id, &item.settlement, (item.attempts, item.recover), bytes_max).is_ok() {
            self.book.step(id, Stage::Kept, Stage::Queued);
            self.partner(name).queue(traffic).breaker.probing();
            self.send(now, (name, traffic), filling, true, false);
        }
    }

    /// True if a chunk may start now: there is a slot, the breaker is closed, and the rate has a call left. If it has
    /// none, it is looked again when it has. While nothing is answered, what failed takes the slot that it had, also where
    /// there are fewer by now: where all calls hang, it would wait until others have failed too.
    fn may_start(&mut self, now: Millis, name: &PartnerId, traffic: Traffic) -> bool {
        let (ceiling, per_s) =
            (self.options.limits.chunks_in_flight_max, self.per_s(name, traffic));
        let Some(partner) = self.partners.get_mut(name) else { return false };
        let queue = partner.queue(traffic);
        let first = queue.ids.first().and_then(|id| self.book.get(*id));
        let comes_again = queue.breaker.is_failing() && first.is_some_and(|item| !item.repeat_left);
        let slots = if comes_again {
            queue.concurrency.max_again(ceiling)
        } else {
            queue.concurrency.max(ceiling)
        };
        if slots <= queue.chunks_in_flight || !queue.breaker.is_closed() || queue.ids.is_empty() {
            return false;
        }
        let free_at = per_s.and_then(|per_s| queue.rate.free_at(now, per_s));
        let before = std::mem::replace(&mut queue.kept_back_to, free_at);
        if let Some(at) = free_at.filter(|_| free_at != before) {
            self.timer(at, Due::Rate(name.clone(), traffic, at));
        }
        free_at.is_none()
    }

    /// Calls a second that the partner takes of this traffic, if that is limited.
    fn per_s(&self, name: &PartnerId, traffic: Traffic) -> Option<NonZeroU32> {
        let (limits, own) = (&self.options.limits, self.options.known.rates.get(name).copied());
        let all = own.or(limits.calls_per_s_max);
        let corrections = limits.corrections_per_s_max.filter(|_| traffic == Traffic::Correction);
        all.into_iter().chain(corrections).min()
    }

    /// Items and bytes that a chunk to the partner may have.
    fn chunk_max(&self, name: &PartnerId) -> (usize, usize) {
        let limits = &self.options.limits;
        self.state_calls(name).within((limits.chunk_items_max, limits.chunk_bytes_max))
    }

    fn state_calls(&self, name: &PartnerId) -> StateCalls {
        self.options.known.state_calls.get(name).copied().unwrap_or_default()
    }

    /// Starts one chunk; false if nothing may be sent or there is nothing to send.
    fn start_chunk(&mut self, now: Millis, name: &PartnerId, traffic: Traffic) -> bool {
        let limits = self.options.limits;
        let (chunk_items_max, chunk_bytes_max) = self.chunk_max(name);
        if !self.may_start(now, name, traffic) {
            return false;
        }
        let Some(partner) = self.partners.get_mut(name) else { return false };
        let queue = partner.queue(traffic);
        let hearing = queue.hearing;
        let is_beyond =
            queue.concurrency.max(limits.chunks_in_flight_max) <= queue.chunks_in_flight;
        let (mut decisive, mut full) = (false, false);
        let mut filling = Filling::new();
        let mut items_max = chunk_items_max;
        while let Some(id) = queue.ids.first().copied() {
            let Some(item) = self.book.get(id) else {
                queue.ids.remove(&id);
                continue;
            };
            // Nothing new goes where only what failed may.
            if is_beyond && item.repeat_left {
                break;
            }
            items_max = items_max.min(item.chunk_items_max);
            if items_max <= filling.len() {
                // Not if an item that travels in smaller chunks ended it: that says nothing of the size.
                full = chunk_items_max <= filling.len();
                break;
            }
            let sent_before = (item.attempts, item.recover);
            match filling.add(id, &item.settlement, sent_before, chunk_bytes_max) {
                Ok(true) => {}
                Ok(false) => {
                    full = true;
                    break;
                }
                // It stays undone, and the offset before it.
                Err(error) => {
                    let text = format!("{}: {error}", item.settlement.id());
                    self.effects.push(Effect::Alarm(Alarm { name: "unwritable", text }));
                }
            }
            decisive |= hearing == Some(id);
            queue.ids.remove(&id);
        }
        if filling.len() == 0 {
            return false;
        }
        if let Some(per_s) = self.per_s(name, traffic) {
            self.partner(name).queue(traffic).rate.take(now, per_s);
        }
        self.send(now, (name, traffic), filling, decisive, full);
        true
    }

    fn send(
        &mut self,
        now: Millis,
        (name, traffic): (&PartnerId, Traffic),
        filling: Filling,
        decisive: bool,
        full: bool,
    ) {
        let mut filled = filling.finish(name.clone(), traffic);
        filled.call.gzip = self.state_calls(name).gzip;
        let limits = self.options.limits;
        let ceiling = limits.chunks_in_flight_max;
        let queue = self.partner(name).queue(traffic);
        if filled.call.attempt == 1 {
            queue.repeats.first(&limits);
        }
        let sent = queue.concurrency.sent(now, full, queue.chunks_in_flight, ceiling);
        queue.chunks_in_flight += 1;
        for id in &filled.ids {
            self.book.step(*id, Stage::Queued, Stage::Sent);
        }
        let token = self.token();
        let chunk_id = filled.call.request.chunk_id.clone();
        let (partner, ids) = (name.clone(), filled.ids);
        let flight = Flight { partner, traffic, chunk_id, at: now, ids, decisive, sent };
        self.flights.insert(token, flight);
        self.effects.push(Effect::Call { token, call: filled.call });
    }
}
