//! A partner's ledger that was restored from a backup (R20): signing it off, and sending again what it lost.
//!
//! What was lost is what the partner confirmed since the backup was made. It is found in `deliveries.v1`, and of
//! each such bet the newest settlement is sent again: a row that was not lost answers as it stands, and
//! one that fell back is put where it should be. A bet whose row is gone altogether is told anew by the dispatcher, with
//! `recover`; so is one whose hold alone was lost, whenever its result comes.

#[cfg(test)]
mod tests;

use crate::acts;
use crate::parked::{self, Filter, Item};
use crate::topics::whole;
use anyhow::{Context, bail};
use runtime::{Append, Engine, Millis, Record, Source, Topic};
use schemas::catalogue::{DELIVERIES, PARTNERS, SETTLEMENTS};
use schemas::outgoing::{self, Partitions};
use schemas::partners::{LedgerWord, PartnerSaid, PartnerWord, Said};
use schemas::settlements::Settlement;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use schemas::{PartnerId, frame};
use std::collections::{BTreeMap, BTreeSet};

/// The code of cases of a ledger that names another epoch.
pub const CODE: &str = "ledger_restored";
/// What an answer that was on its way when the backup was made may differ, in ms: the partner's clock says when that was,
/// ours when we were answered.
const MARGIN_MS: Millis = 5 * 60 * 1_000;

/// Which ledger, and from when on it may lack what it confirmed.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The partner.
    pub partner: PartnerId,
    /// The epoch of the ledger that it has now.
    pub epoch: String,
    /// When the backup was made, in ms since the Unix epoch, or any time before.
    pub since: Millis,
}

/// What is to be sent again.
#[derive(Clone, Debug, Default)]
pub struct Lost {
    /// The newest settlement of each bet, by bet.
    pub items: BTreeMap<String, Item>,
    /// Bets that it confirmed something of since, and whose settlements are in the log no more.
    pub gone: u64,
    /// Records that could not be read.
    pub unreadable: u64,
}

/// Reads what the partner confirmed since, in whatever ledger but this one, and what it said it does not know. Joins no
/// group and writes nothing.
///
/// # Errors
/// If the engine cannot be read.
pub async fn read(
    engine: &impl Engine,
    counts: Partitions,
    restored: &Restored,
) -> anyhow::Result<Lost> {
    let Restored { partner, epoch, since } = restored;
    let partition = counts.of_partner(partner);
    let from = since.saturating_sub(MARGIN_MS);
    let (mut lost, mut bets) = (Lost::default(), BTreeSet::new());
    let source = Source { topic: Topic(DELIVERIES), partition };
    let answered = |record: &Record| match frame::decode::<DeliveryRecord>(&record.value) {
        Ok(said) => {
            let last =
                matches!(said.outcome, DeliveryOutcome::Applied | DeliveryOutcome::Superseded);
            let counts = from <= record.appended_at && said.ledger_epoch != *epoch;
            if last && counts && said.partner_id == partner.as_str() {
                bets.insert(said.bet_id);
            }
        }
        Err(_) => lost.unreadable += 1,
    };
    whole(engine, source, answered).await?;
    let filter = Filter {
        partner: Some(partner.clone()),
        code: Some("unknown_bet".to_owned()),
        ..Filter::default()
    };
    let parked = parked::read(engine, counts, &filter).await?;
    // What it did not know before may have been settled by hand.
    let parked = parked.owed.into_values().filter(|item| from <= item.parked_at);
    bets.extend(parked.map(|item| item.settlement.bet.to_string()));
    let source = Source { topic: Topic(SETTLEMENTS), partition };
    let newest = |record: &Record| match Settlement::decode(&record.value) {
        Ok(settlement) if bets.contains(settlement.bet.as_str()) => {
            let standing = lost.items.get(settlement.bet.as_str());
            let newer = standing.is_none_or(|s| s.settlement.revision < settlement.revision);
            if newer && settlement.partner == *partner {
                let item = Item {
                    code: CODE.to_owned(),
                    parked_at: record.appended_at,
                    times: 0,
                    partition,
                    orig: record.offset,
                    asked: None,
                    settlement,
                };
                lost.items.insert(item.settlement.bet.to_string(), item);
            }
        }
        Ok(_) => {}
        Err(_) => lost.unreadable += 1,
    };
    whole(engine, source, newest).await?;
    let gone = bets.iter().filter(|bet| !lost.items.contains_key(*bet)).count();
    lost.gone = u64::try_from(gone).unwrap_or(u64::MAX);
    Ok(lost)
}

/// Says in `partners.v1` that the ledger counts: its partner's betting goes on, and bets that it does not know are told
/// to it anew.
///
/// # Errors
/// If the engine cannot take it, or the epoch is none that a partner can name.
pub async fn sign_off(
    engine: &impl Engine,
    restored: &Restored,
    (reason, actor): (&str, &str),
    now: Millis,
) -> anyhow::Result<()> {
    let Restored { partner, epoch, .. } = restored;
    if !partner_dispatcher::judge::is_epoch(epoch) {
        bail!("`{epoch}` is no ledger epoch: at most 64 letters, digits and _ - . :");
    }
    let said = PartnerSaid {
        partner: partner.clone(),
        what: PartnerWord::Ledger(LedgerWord { epoch: epoch.clone(), restored: true }),
        by: Said { reason: reason.to_owned(), actor: actor.to_owned(), said_at: now },
    };
    if let Some(act) = schemas::acts::of_partner(&said) {
        acts::keep(engine, &act).await?;
    }
    let record = outgoing::partner(&said, engine.partitions(Topic(PARTNERS)));
    let record = record.context("the sign-off does not survive its own encoding")?;
    let appended = engine.append(vec![Append::from(record.into_parts())]).await;
    appended.context("the sign-off cannot be written")?;
    Ok(())
}
