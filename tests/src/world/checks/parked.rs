//! What was parked, and what of it people send again.

use super::super::Micros;
use super::super::reach::{Moment, Reach};
use super::Checks;
use partner_dispatcher::retry::{HEADER_ASKED, HEADER_CODE, HEADER_ORIG_OFFSET};
use runtime::Record;
use schemas::settlements::Settlement;

/// A parked settlement.
#[derive(Clone, Debug)]
pub(in crate::world) struct Parked {
    pub(in crate::world) settlement: Settlement,
    pub(in crate::world) partition: u32,
    /// Its offset in `settlements`.
    pub(in crate::world) orig: u64,
    /// The request of its partner to be told it again, if it follows from one.
    pub(in crate::world) asked: Option<String>,
    replayed_at: Micros,
}

/// What a world may park: what is not answered in time, and what a lying partner says of money.
const CODES: [&str; 2] = ["retention_exhausted", "collected_net"];

/// And what a restored ledger says of rows that it lost.
const UNKNOWN: &str = "unknown_bet";

impl Checks {
    fn codes(&self) -> impl Iterator<Item = &'static str> {
        let parks = self.misbehaves.and_then(|which| which.entry().parks);
        CODES.into_iter().chain(self.restored.as_ref().map(|_| UNKNOWN)).chain(parks)
    }

    /// True if the alarm says no more than that such a settlement was parked.
    pub(super) fn is_parking_meant(&self, name: &str, text: &str) -> bool {
        name == "delivery_parked" && self.codes().any(|code| text.contains(code))
    }

    /// True if this was set aside for people.
    pub(in crate::world) fn is_parked(&self, bet: &str, revision: u32) -> bool {
        self.parked.contains_key(&(bet.to_owned(), revision))
    }

    pub(super) fn parked_record(&mut self, partition: u32, record: &Record, reach: &mut Reach) {
        reach.hit(Moment::Parked);
        let Ok(settlement) = Settlement::decode(&record.value) else {
            self.broken("R23", format!("unreadable parked record at {}", record.offset));
            return;
        };
        let orig = record.header(HEADER_ORIG_OFFSET).and_then(|text| text.parse().ok());
        let known =
            record.header(HEADER_CODE).is_some_and(|code| self.codes().any(|known| known == code));
        let id = (settlement.bet.to_string(), settlement.revision);
        let Some(orig) = orig.filter(|_| known) else {
            self.broken("R18", format!("{id:?} is parked without a reason or a place"));
            return;
        };
        let asked = record.header(HEADER_ASKED).map(ToOwned::to_owned);
        self.parked.insert(id, Parked { settlement, partition, orig, asked, replayed_at: 0 });
    }

    /// What is parked, has no final answer, and was not replayed within `wait`.
    pub(in crate::world) fn due_again(&mut self, now: Micros, wait: Micros) -> Vec<Parked> {
        let finals = &self.finals;
        let due = self.parked.iter_mut().filter(|(id, parked)| {
            finals.get(&id.0).is_none_or(|last| *last < id.1) && wait < now - parked.replayed_at
        });
        due.map(|(_, parked)| {
            parked.replayed_at = now;
            parked.clone()
        })
        .collect()
    }
}
