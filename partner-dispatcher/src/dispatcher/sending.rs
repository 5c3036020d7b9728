//! Chunks out.

use super::{Dispatcher, Due, Flight};
use crate::book::Stage;
use crate::chunk::Filling;
use crate::queue::{Queue, TRAFFIC};
use runtime::{Alarm, Effect, Millis};
use schemas::PartnerId;
use schemas::contract::Traffic;

impl Dispatcher {
    /// Starts chunks for every partner that has something to send and a free slot, voids first. While
    /// slots are free nothing waits for a chunk to fill. To a partner whose breaker is open a probe goes.
    pub(super) fn start_chunks(&mut self, now: Millis) {
        while let Some(name) = self.touched.pop_first() {
            let Some(partner) = self.partners.get_mut(&name) else { continue };
            let waits = |queue: &Queue| !queue.ids.is_empty() || !queue.kept.is_empty();
            let waits = TRAFFIC.iter().any(|traffic| waits(partner.queue(*traffic)));
            if now < partner.not_before {
                let at = partner.not_before;
                if waits && !std::mem::replace(&mut partner.gated, true) {
                    self.timer(at, Due::Gate(name));
                }
                continue;
            }
            for traffic in TRAFFIC {
                self.start_probe(now, &name, traffic);
                while self.start_chunk(&name, traffic) {}
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
        let bytes_max = self.options.limits.chunk_bytes_max;
        // It was written before, to its tier.
        if filling.add(id, &item.settlement, (item.attempts, item.recover), bytes_max).is_ok() {
            self.book.step(id, Stage::Kept, Stage::Queued);
            self.partner(name).queue(traffic).breaker.probing();
            self.send(name, traffic, filling, true);
        }
    }

    /// Starts one chunk; false if there is no slot or nothing to send.
    fn start_chunk(&mut self, name: &PartnerId, traffic: Traffic) -> bool {
        let limits = self.options.limits;
        let Some(partner) = self.partners.get_mut(name) else { return false };
        let queue = partner.queue(traffic);
        if limits.chunks_in_flight_max <= queue.chunks_in_flight || !queue.breaker.is_closed() {
            return false;
        }
        let hearing = queue.hearing;
        let mut decisive = false;
        let mut filling = Filling::new();
        let mut items_max = limits.chunk_items_max;
        while let Some(id) = queue.ids.first().copied() {
            let Some(item) = self.book.get(id) else {
                queue.ids.remove(&id);
                continue;
            };
            items_max = items_max.min(item.chunk_items_max);
            if items_max <= filling.len() {
                break;
            }
            match filling.add(
                id,
                &item.settlement,
                (item.attempts, item.recover),
                limits.chunk_bytes_max,
            ) {
                Ok(true) => {}
                Ok(false) => break,
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
        self.send(name, traffic, filling, decisive);
        true
    }

    fn send(&mut self, name: &PartnerId, traffic: Traffic, filling: Filling, decisive: bool) {
        let filled = filling.finish(name.clone(), traffic);
        self.partner(name).queue(traffic).chunks_in_flight += 1;
        for id in &filled.ids {
            self.book.step(*id, Stage::Queued, Stage::Sent);
        }
        let token = self.token();
        let chunk_id = filled.call.request.chunk_id.clone();
        let flight = Flight { partner: name.clone(), traffic, chunk_id, ids: filled.ids, decisive };
        self.flights.insert(token, flight);
        self.effects.push(Effect::Call { token, call: filled.call });
    }
}
