//! Partners that do not answer, and those that are back.

use super::{Dispatcher, Due, Flight};
use crate::book::{Stage, home};
use crate::breaker::Failure;
use crate::judge::Judgement;
use crate::queue::{TRAFFIC, word};
use planted::Bug;
use runtime::Millis;
use schemas::PartnerId;
use schemas::contract::Traffic;

impl Dispatcher {
    /// Tells the breaker how a call ended, before anything is done about its items.
    pub(super) fn note_call(&mut self, now: Millis, flight: &Flight, judgement: &Judgement) {
        let (name, traffic) = (&flight.partner, flight.traffic);
        let ceiling = self.options.limits.chunks_in_flight_max;
        let queue = self.partner(name).queue(traffic);
        queue.to_fix_row = judgement.to_fix.map_or(0, |_| queue.to_fix_row.saturating_add(1));
        if judgement.epoch.is_some() {
            queue.concurrency.answered(now, flight.sent, ceiling);
            queue.to_fix = None;
            // What was asked before it wanted a rest does not end that.
            let limits = self.options.limits;
            if !self.partner(name).rests(now, &limits)
                && self.partner(name).queue(traffic).breaker.answered()
            {
                self.returned(now, name, traffic);
            }
            return;
        }
        if judgement.refused {
            queue.concurrency.ended(flight.sent);
        } else {
            queue.concurrency.failed(flight.sent, ceiling);
        }
        let halved_max = self.options.limits.refusals_halved_max;
        let (limits, partner) =
            (self.options.limits, self.partners.entry(name.clone()).or_default());
        // While chunks are halved, one item may be to blame, and not the wallet.
        if judgement.blames_items() && partner.refusals <= halved_max && !flight.decisive {
            return;
        }
        let failure = Failure {
            decisive: flight.decisive,
            lasting: judgement.refuses_all(),
            refused: judgement.blames_items(),
        };
        let breaker = &mut partner.queue(traffic).breaker;
        let closed = breaker.is_closed();
        let Some(probe_at) = breaker.failed(now, failure, &limits, &mut self.jitter) else {
            return;
        };
        self.timer(probe_at, Due::Probe(name.clone()));
        // One of a partner that is down for another reason says nothing of what it will say when it is back.
        let in_a_row = self.partner(name).queue(traffic).to_fix_row;
        let lasts = judgement.refuses_all() || limits.breaker_failures() <= in_a_row;
        if let Some(status) = judgement.to_fix.filter(|_| lasts) {
            self.tell_to_fix(name, traffic, status);
        }
        if closed {
            self.opened(now, name, traffic);
        }
    }

    /// Tells people, once until the partner answers, that its breaker is open for something that they must mend.
    fn tell_to_fix(&mut self, name: &PartnerId, traffic: Traffic, status: u16) {
        if self.partner(name).queue(traffic).to_fix.replace(status).is_none() {
            let text =
                format!("{name} refuses {} calls with {status}: fix_then_retry", word(traffic));
            self.alarm("partner_refuses", text);
        }
    }

    /// The breaker has opened: what waits goes to the tiers, so that nothing waits for this partner here.
    pub(super) fn opened(&mut self, now: Millis, name: &PartnerId, traffic: Traffic) {
        let queue = self.partner(name).queue(traffic);
        queue.drain = None;
        queue.hearing = None;
        for id in std::mem::take(&mut queue.ids) {
            self.set_aside(now, id);
        }
    }

    /// Moves an item of a partner whose breaker is not closed to its next tier. A few are also kept in
    /// memory, as probes. An item without a record of its own leaves: its record stands in a tier.
    pub(super) fn set_aside(&mut self, now: Millis, id: u64) {
        let Some(item) = self.book.get(id) else { return };
        let (name, traffic) = home(item);
        let max = self.options.limits.probes_kept_max;
        let missing = self.partner(&name).queue(traffic).kept.len() < max;
        let Some(item) = self.book.get_mut(id) else { return };
        if item.places.is_empty() {
            if missing {
                self.book.put(id, Stage::Kept);
                self.keep(name, traffic, id);
            } else {
                self.book.done(id);
            }
            return;
        }
        item.aside = true;
        let copy = item.clone();
        if missing {
            let kept = self.book.keep(&copy);
            self.keep(name.clone(), traffic, kept);
            if planted::active(Bug::ProbeNotMoved) {
                self.book.done(id);
                return;
            }
        }
        if self.move_on(now, id) {
            self.partner(&name).queue(traffic).moving += 1;
        }
    }

    fn keep(&mut self, name: PartnerId, traffic: Traffic, id: u64) {
        self.partner(&name).queue(traffic).kept.push_back(id);
        // Its probe may be due and have had no item.
        self.touched.insert(name);
    }

    /// The partner answers again, or for the first time: what it is owed is drained, and its other
    /// traffic is worth a probe.
    fn returned(&mut self, now: Millis, name: &PartnerId, traffic: Traffic) {
        let queue = self.partner(name).queue(traffic);
        queue.hearing = None;
        for id in std::mem::take(&mut queue.kept) {
            // Their records stand in a tier and are drained with the others.
            self.book.done(id);
        }
        self.touched.insert(name.clone());
        self.begin_drain(name, traffic);
        for other in TRAFFIC.into_iter().filter(|other| *other != traffic) {
            let queue = self.partner(name).queue(other);
            queue.breaker.hurry(now);
            // With nothing to ask with, nothing would ever close it.
            if !queue.breaker.is_closed() && queue.kept.is_empty() {
                queue.breaker.answered();
                self.begin_drain(name, other);
            }
        }
    }

    /// True if the item is the first of a partner not heard of, whose old debts are met in a tier: it is
    /// woken now, since the partner may be there and nobody knows.
    pub(super) fn is_first_word(&mut self, id: u64) -> bool {
        let Some((name, traffic)) = self.book.get(id).map(home) else { return false };
        let queue = self.partner(&name).queue(traffic);
        if queue.breaker.heard() || !queue.breaker.is_closed() || queue.hearing.is_some() {
            return false;
        }
        queue.hearing = Some(id);
        true
    }
}
