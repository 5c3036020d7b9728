//! Partners that are busy and ask for a rest (contract 6): whoever tells them settlements and hears it leaves them alone until
//! then. That a rest ends is seen at the end: what is owed must be told.
//!
//! Stakes rest too, in two places of which a world has one: what stands before the machine in production is tested there.

use super::World;
use super::calls::{Answer, Call, Endpoint};
use super::reach::Moment;
use super::slot::SlotRef;
use bytes::Bytes;
use schemas::PartnerId;
use std::collections::BTreeMap;

/// The longest rest that dispatchers of a world take, in ms.
pub(super) const REST_MS_MAX: u64 = 8_000;

/// Who was told to leave whom alone.
#[derive(Debug, Default)]
pub(super) struct Busy {
    /// Whom the calls with settlements are to that are not answered.
    asked: BTreeMap<(SlotRef, u64), PartnerId>,
    /// Until when, in ms.
    until: BTreeMap<(SlotRef, PartnerId), i64>,
}

impl World {
    /// A refusal; one that says no more than "not now" may ask for a rest of some seconds, or by mistake of an hour.
    pub(super) fn refusal(&mut self, status: u16) -> Answer {
        let asks = [429, 503].contains(&status) && self.rng.chance(500);
        let seconds = if self.rng.chance(50) { 3_600 } else { 1 + self.rng.below(9) };
        let retry_after_ms = asks.then_some(seconds * 1_000);
        Answer::Http { status, retry_after_ms, body: Bytes::new() }
    }

    /// A call goes out: not to a partner that wants to be left alone.
    pub(super) fn called(&mut self, at: SlotRef, token: u64, call: &Call) {
        if call.endpoint != Endpoint::State {
            return;
        }
        let of = (at, call.partner.clone());
        let now = self.now_ms();
        match self.busy.until.get(&of).copied() {
            Some(until) if now < until => {
                let what =
                    format!("{at} calls {} {} ms before its rest is over", of.1, until - now);
                self.broken("contract 6", what);
            }
            Some(_) => {
                self.busy.until.remove(&of);
                self.reach.hit(Moment::RestOver);
            }
            None => {}
        }
        self.busy.asked.insert((at, token), of.1);
    }

    /// An answer has come to whoever called.
    pub(super) fn heard(&mut self, at: SlotRef, token: u64, answer: &Answer) {
        let Some(partner) = self.busy.asked.remove(&(at, token)) else { return };
        let Answer::Http { retry_after_ms: Some(ms), .. } = answer else { return };
        self.reach.hit(Moment::RestAsked);
        let until = self.now_ms() + ms.min(&REST_MS_MAX).cast_signed();
        let known = self.busy.until.entry((at, partner)).or_insert(until);
        *known = until.max(*known);
    }
}
