//! What is parked: set aside for a human, still owed, still counted; and sending it again.
//!
//! A settlement is parked while its record stands in the parking place and no final answer to it, or to a
//! newer revision of its bet, stands in the store (R18): one in the ledger of its partner that counts (R20). So
//! what was replayed and confirmed is parked no more, and the record, which is kept for ever, says that it once
//! was. Of a bet with two revisions in the parking place the newer is owed (R15). To what a
//! partner asked to be told again, only what it answered since counts.

mod replay;
#[cfg(test)]
mod tests;

pub use replay::{Pace, REPLAYED, Replayed, Why, replay};

use crate::topics::whole;
use anyhow::Context;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use partner_dispatcher::retry::{HEADER_ASKED, HEADER_CODE, HEADER_ORIG_OFFSET};
use runtime::{Engine, Fact, Millis, Record, Scope, Source, Topic};
use schemas::catalogue::{PARKED, PARTNERS, SETTLEMENTS};
use schemas::outgoing::Partitions;
use schemas::partners::{PartnerSaid, PartnerWord};
use schemas::settlements::{Settlement, Target};
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use schemas::{Currency, PartnerId, RoundId, facts, frame};
use std::collections::{BTreeMap, BTreeSet};

/// Scopes of facts read side by side.
const SCANS_AT_ONCE: usize = 64;
/// The code of what must not be sent without a look: two contents stand under one revision.
pub const CONFLICT: &str = "revision_conflict";

/// Which of the parked are meant. What is `None` is not asked.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The partner.
    pub partner: Option<PartnerId>,
    /// The round.
    pub round: Option<RoundId>,
    /// Why it was parked.
    pub code: Option<String>,
}

impl Filter {
    fn takes(&self, item: &Item) -> bool {
        let settlement = &item.settlement;
        self.partner.as_ref().is_none_or(|partner| *partner == settlement.partner)
            && self.round.as_ref().is_none_or(|r| r.as_str() == settlement.bet.round_str())
            && self.code.as_ref().is_none_or(|code| *code == item.code)
    }
}

/// A settlement in the parking place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is owed.
    pub settlement: Settlement,
    /// Why it was parked the last time: a stable code.
    pub code: String,
    /// When it was parked the last time, in ms since the Unix epoch.
    pub parked_at: Millis,
    /// How often it was parked.
    pub times: u32,
    /// The partition that its partner's lane has.
    pub partition: u32,
    /// Its offset in `settlements.v1`.
    pub orig: u64,
    /// The request by which its partner asked to be told it again, if it did.
    pub asked: Option<String>,
}

/// The parking place as it stands, as far as a filter takes it.
#[derive(Clone, Debug, Default)]
pub struct Lot {
    /// Owed, by `<bet_id>/<revision>`.
    pub owed: BTreeMap<String, Item>,
    /// Parked once, and answered since.
    pub answered: u64,
    /// Records that could not be read; their facts keep the bytes.
    pub unreadable: u64,
}

/// Number and money of some settlements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Settlements.
    pub count: u64,
    /// Their stakes, in minor units.
    pub stake: i128,
    /// What their players get with them, stakes that go back included, in minor units.
    pub payout: i128,
    /// Decimals between minor and major unit.
    pub exponent: u8,
}

/// By partner and currency.
pub type Sums = BTreeMap<(PartnerId, Currency), Sum>;

/// Counts settlements and their money.
pub fn sums<'a>(items: impl IntoIterator<Item = &'a Item>) -> Sums {
    let mut sums = Sums::new();
    for Item { settlement, .. } in items {
        let of = (settlement.partner.clone(), settlement.stake.currency);
        let sum = sums.entry(of).or_default();
        sum.count += 1;
        sum.exponent = settlement.stake.exponent;
        sum.stake += i128::from(settlement.stake.units);
        sum.payout += match settlement.target {
            Target::Settled(payout) => i128::from(payout),
            Target::Voided => i128::from(settlement.stake.units),
            Target::Held => 0,
        };
    }
    sums
}

/// Reads the parking place and which of it was answered since. Joins no group and writes nothing.
///
/// # Errors
/// If the engine cannot be read.
pub async fn read(
    engine: &impl Engine,
    counts: Partitions,
    filter: &Filter,
) -> anyhow::Result<Lot> {
    let mut lot = Lot::default();
    for partition in 0..counts.lanes {
        read_partition(engine, partition, &mut lot).await?;
    }
    let mut newest: BTreeMap<String, u32> = BTreeMap::new();
    for Item { settlement, .. } in lot.owed.values() {
        let revision = newest.entry(settlement.bet.to_string()).or_default();
        *revision = settlement.revision.max(*revision);
    }
    lot.owed.retain(|_, item| {
        filter.takes(item) && newest[item.settlement.bet.as_str()] == item.settlement.revision
    });
    let ledgers = ledgers(engine).await?;
    let scopes: BTreeSet<(u32, String)> = lot
        .owed
        .values()
        .map(|item| (item.partition, item.settlement.bet.round_str().to_owned()))
        .collect();
    let scans = scopes.into_iter().map(|(partition, group)| async move {
        let unread = format!("the facts of round {group} cannot be read");
        let scope = Scope { group, topic: Topic(SETTLEMENTS), partition };
        engine.scan(scope).await.context(unread)
    });
    let mut finals = BTreeMap::new();
    let mut scans = stream::iter(scans).buffered(SCANS_AT_ONCE);
    while let Some(facts) = scans.try_next().await? {
        note_finals(&facts, &mut finals);
    }
    let before = lot.owed.len();
    lot.owed.retain(|_, item| {
        let Settlement { bet, partner, revision, .. } = &item.settlement;
        let finals = finals.get(bet.as_str()).into_iter().flatten();
        let counts = |epoch: &str| ledgers.get(partner).is_none_or(|counts| counts == epoch);
        let owed = (i64::from(*revision), item.asked.as_ref().map_or(0, |_| item.orig));
        !finals.filter(|(epoch, _)| counts(epoch)).any(|(_, last)| owed <= *last)
    });
    lot.answered = u64::try_from(before - lot.owed.len()).unwrap_or(u64::MAX);
    Ok(lot)
}

async fn read_partition(engine: &impl Engine, partition: u32, lot: &mut Lot) -> anyhow::Result<()> {
    let source = Source { topic: Topic(PARKED), partition };
    let taken = |record: &Record| match item(record, partition) {
        None => lot.unreadable += 1,
        Some(mut item) => {
            let id = item.settlement.id();
            item.times += lot.owed.get(&id).map_or(0, |before| before.times);
            lot.owed.insert(id, item);
        }
    };
    whole(engine, source, taken).await?;
    Ok(())
}

fn item(record: &Record, partition: u32) -> Option<Item> {
    Some(Item {
        settlement: Settlement::decode(&record.value).ok()?,
        code: record.header(HEADER_CODE).unwrap_or("unknown").to_owned(),
        parked_at: record.appended_at,
        times: 1,
        partition,
        orig: record.header(HEADER_ORIG_OFFSET).and_then(|text| text.parse().ok()).unwrap_or(0),
        asked: record.header(HEADER_ASKED).map(ToOwned::to_owned),
    })
}

/// The epoch of the ledger that counts, by partner, where one was ever named.
async fn ledgers(engine: &impl Engine) -> anyhow::Result<BTreeMap<PartnerId, String>> {
    let mut ledgers = BTreeMap::new();
    for partition in 0..engine.partitions(Topic(PARTNERS)) {
        let source = Source { topic: Topic(PARTNERS), partition };
        let said = |record: &Record| {
            if let Ok(Some(PartnerSaid { partner, what: PartnerWord::Ledger(ledger), .. })) =
                PartnerSaid::decode(&record.value)
            {
                ledgers.insert(partner, ledger.epoch);
            }
        };
        whole(engine, source, said).await?;
    }
    Ok(ledgers)
}

/// The highest revision with a final answer, and the highest offset at which it has one, by bet and epoch.
fn note_finals(found: &[Fact], finals: &mut BTreeMap<String, BTreeMap<String, (i64, u64)>>) {
    for fact in found.iter().filter(|fact| fact.key.kind == facts::DELIVERED) {
        let Ok(record) = frame::decode::<DeliveryRecord>(&fact.body) else { continue };
        match record.outcome {
            DeliveryOutcome::Applied | DeliveryOutcome::Superseded => {
                let of = finals.entry(record.bet_id).or_default();
                let answer = (record.revision, fact.key.at);
                let last = of.entry(record.ledger_epoch).or_insert(answer);
                *last = answer.max(*last);
            }
            DeliveryOutcome::Parked | DeliveryOutcome::Unknown => {}
        }
    }
}
