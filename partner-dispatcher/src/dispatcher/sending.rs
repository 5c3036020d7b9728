//! Chunks out.

use super::{Dispatcher, Due, Flight};
use crate::book::Stage;
use crate::chunk::Filling;
use crate::queue::TRAFFIC;
use runtime::{Alarm, Effect, Millis};
use schemas::PartnerId;
use schemas::contract::Traffic;

impl Dispatcher {
    /// Starts chunks for every partner that has something to send and a free slot, voids first. While
    /// slots are free nothing waits for a chunk to fill.
    pub(super) fn start_chunks(&mut self, now: Millis) {
        for name in std::mem::take(&mut self.touched) {
            let Some(partner) = self.partners.get_mut(&name) else { continue };
            let waits = TRAFFIC.iter().any(|traffic| !partner.queue(*traffic).ids.is_empty());
            if now < partner.not_before {
                let at = partner.not_before;
                if waits && !std::mem::replace(&mut partner.gated, true) {
                    self.timer(at, Due::Gate(name));
                }
                continue;
            }
            for traffic in TRAFFIC {
                while self.start_chunk(&name, traffic) {}
            }
        }
    }

    /// Starts one chunk; false if there is no slot or nothing to send.
    fn start_chunk(&mut self, name: &PartnerId, traffic: Traffic) -> bool {
        let limits = self.options.limits;
        let Some(partner) = self.partners.get_mut(name) else { return false };
        let queue = partner.queue(traffic);
        if limits.chunks_in_flight_max <= queue.chunks_in_flight {
            return false;
        }
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
            match filling.add(id, &item.settlement, item.attempts, limits.chunk_bytes_max) {
                Ok(true) => {}
                Ok(false) => break,
                // It stays undone, and the offset before it.
                Err(error) => {
                    let text = format!("{}: {error}", item.settlement.id());
                    self.effects.push(Effect::Alarm(Alarm { name: "unwritable", text }));
                }
            }
            queue.ids.remove(&id);
        }
        if filling.len() == 0 {
            return false;
        }
        let filled = filling.finish(name.clone(), traffic);
        queue.chunks_in_flight += 1;
        for id in &filled.ids {
            self.book.step(*id, Stage::Queued, Stage::Sent);
        }
        let token = self.token();
        let chunk_id = filled.call.request.chunk_id.clone();
        let flight = Flight { partner: name.clone(), traffic, chunk_id, ids: filled.ids };
        self.flights.insert(token, flight);
        self.effects.push(Effect::Call { token, call: filled.call });
        true
    }
}
