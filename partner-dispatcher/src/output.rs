//! The facts and records of an item's end, of its move to a tier, and of what cannot be read.

use crate::book::Item;
use crate::judge::ParkCode;
use crate::retry::{
    HEADER_ASKED, HEADER_ATTEMPT, HEADER_CHUNK_ITEMS_MAX, HEADER_CODE, HEADER_ORIG_OFFSET,
    HEADER_REPLAYED, HEADER_RETRIED_SINCE,
};
use runtime::{Append, Fact, Record, Source};
use schemas::catalogue::RetryTier;
use schemas::facts::{HEADER_ATTEMPT_LOG, HEADER_SHORTFALL, HEADER_TRIED};
use schemas::frame::FrameError;
use schemas::outgoing::{self, Partitions, SettlementTopic};
use schemas::settlements::Settlement;
use schemas::wire::{CaseRecord, DeliveryOutcome, DeliveryRecord, UnreadableRecord};
use schemas::{ContentHash, Lane, PartnerId, facts};

/// What must become durable before an item, or a record that is no item, is done.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) facts: Vec<Fact>,
    pub(crate) records: Vec<Append>,
}

/// A final answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Applied {
        /// What the partner could not take back, in minor units.
        shortfall: i64,
    },
    Superseded {
        by: u32,
    },
}

/// A final answer: a fact and its record.
///
/// # Errors
/// [`FrameError`] if either does not survive its own encoding; nothing may be written then.
pub(crate) fn delivered(
    item: &Item,
    epoch: &str,
    end: End,
    partition: u32,
) -> Result<Output, FrameError> {
    let record = match end {
        End::Applied { .. } => delivery(item, epoch, DeliveryOutcome::Applied),
        End::Superseded { by } => DeliveryRecord {
            superseded_by: Some(i64::from(by)),
            ..delivery(item, epoch, DeliveryOutcome::Superseded)
        },
    };
    let mut output = ended(item, &record.identified(), partition)?;
    if let End::Applied { shortfall } = end
        && (shortfall != 0 || item.asked.is_some())
        && let Some(record) = output.records.first_mut()
    {
        record.headers.push((HEADER_SHORTFALL, shortfall.to_string()));
    }
    Ok(output)
}

/// A parking (R18): the fact, its record, the settlement in the parking place, and a case.
///
/// # Errors
/// [`FrameError`], as for [`delivered`].
pub(crate) fn parked(
    item: &Item,
    epoch: &str,
    (code, said): (ParkCode, &str),
    partition: u32,
    partitions: Partitions,
) -> Result<Output, FrameError> {
    let code = code.code();
    let record = DeliveryRecord {
        code: Some(code.to_owned()),
        ..delivery(item, epoch, DeliveryOutcome::Parked)
    };
    let mut output = ended(item, &record.identified(), partition)?;
    let headers = [(HEADER_CODE, code.to_owned())];
    output.records.push(moved(item, SettlementTopic::Parked, partition, headers)?);
    let case = case(item, code, said);
    output.records.push(outgoing::case(&case, partitions)?.into_parts().into());
    Ok(output)
}

/// The move to a tier.
///
/// # Errors
/// [`FrameError`], as for [`delivered`].
pub(crate) fn to_tier(item: &Item, tier: RetryTier, partition: u32) -> Result<Output, FrameError> {
    let since = item.retried_since.map(|at| (HEADER_RETRIED_SINCE, at.to_string()));
    let tried = item.tried.then(|| (HEADER_TRIED, "true".to_owned()));
    let headers = [
        (HEADER_ATTEMPT, item.attempts.to_string()),
        (HEADER_CHUNK_ITEMS_MAX, item.chunk_items_max.to_string()),
    ];
    let headers = headers.into_iter().chain(since).chain(attempt_log(item)).chain(tried);
    let record = moved(item, SettlementTopic::Retry(tier), partition, headers)?;
    Ok(Output { facts: Vec::new(), records: vec![record] })
}

/// A parked settlement sent again by command: a record of the first tier, with the content as parked and
/// a history that begins anew. `orig` is its offset in `settlements.v1` and `asked` the request of its partner that it
/// follows from, if one, as the parked record's headers say.
///
/// Appending it any number of times moves no money: what has its final answer is found in the store, and the
/// partner's register knows the rest.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn replayed(
    settlement: &Settlement,
    (orig, asked): (u64, Option<&str>),
    partition: u32,
) -> Result<Append, FrameError> {
    let topic = SettlementTopic::Retry(RetryTier::S5);
    let mut record = outgoing::settlement(settlement, topic, partition)?;
    record.headers.push((HEADER_ORIG_OFFSET, orig.to_string()));
    record.headers.push((HEADER_ATTEMPT, "0".to_owned()));
    record.headers.push((HEADER_REPLAYED, "true".to_owned()));
    record.headers.extend(asked.map(|request| (HEADER_ASKED, request.to_owned())));
    Ok(record.into_parts().into())
}

/// A record that cannot be decoded (R23): the fact keeps its bytes.
///
/// # Errors
/// [`FrameError`], as for [`delivered`].
pub(crate) fn unreadable(
    record: &Record,
    source: Source,
    error: &dyn std::error::Error,
) -> Result<Output, FrameError> {
    let place = (source.topic.0, source.partition, record.offset);
    let body =
        UnreadableRecord::of(place, record.headers.iter(), (&record.key, &record.value), error);
    let header = |name| record.header(name).unwrap_or_default();
    let lane = header(facts::HEADER_PARTNER).parse::<PartnerId>();
    let lane = lane.map(|partner| Lane::of(&partner).to_string()).unwrap_or_default();
    let names = (header(facts::HEADER_ROUND), lane.as_str(), header(facts::HEADER_BET));
    let row = outgoing::unreadable_fact(&body, source.topic.0, names)?;
    Ok(Output { facts: vec![Fact::from(row.into_parts())], records: Vec::new() })
}

fn delivery(item: &Item, epoch: &str, outcome: DeliveryOutcome) -> DeliveryRecord {
    let settlement = &item.settlement;
    let bet = settlement.bet.as_str();
    DeliveryRecord {
        delivery_id: String::new(),
        bet_id: bet.to_owned(),
        revision: i64::from(settlement.revision),
        round_id: settlement.bet.round_str().to_owned(),
        partner_id: settlement.partner.to_string(),
        ledger_epoch: epoch.to_owned(),
        outcome,
        superseded_by: None,
        code: None,
    }
}

fn ended(item: &Item, record: &DeliveryRecord, partition: u32) -> Result<Output, FrameError> {
    let row = outgoing::delivered_fact(record, partition, item.orig)?;
    let mut append = outgoing::delivery(record, partition)?;
    // A header: two dispatchers may count otherwise, and what a fact says must be the same.
    append.headers.push((HEADER_ATTEMPT, item.attempts.to_string()));
    append.headers.extend(attempt_log(item));
    Ok(Output {
        facts: vec![Fact::from(row.into_parts())],
        records: vec![Append::from(append.into_parts())],
    })
}

/// None where it was not sent, or nobody wrote down how.
fn attempt_log(item: &Item) -> Option<(&'static str, String)> {
    (!item.attempt_log.is_empty()).then(|| (HEADER_ATTEMPT_LOG, item.attempt_log.to_string()))
}

fn moved(
    item: &Item,
    topic: SettlementTopic,
    partition: u32,
    headers: impl IntoIterator<Item = (&'static str, String)>,
) -> Result<Append, FrameError> {
    let mut record = outgoing::settlement(&item.settlement, topic, partition)?;
    record.headers.push((HEADER_ORIG_OFFSET, item.orig.to_string()));
    record.headers.extend(item.asked.clone().map(|request| (HEADER_ASKED, request)));
    record.headers.extend(headers);
    Ok(record.into_parts().into())
}

/// Named by all it says, so that a repeat names the same case and another difference another one.
fn case(item: &Item, code: &str, said: &str) -> CaseRecord {
    let settlement = &item.settlement;
    let (bet, revision) = (settlement.bet.as_str(), settlement.revision.to_string());
    let name = ContentHash::of(&[settlement.partner.as_str(), bet, &revision, code, said]);
    CaseRecord {
        case_id: format!("case_{name}"),
        step: 1,
        code: code.to_owned(),
        partner_id: Some(settlement.partner.to_string()),
        round_id: Some(settlement.bet.round_str().to_owned()),
        bet_id: Some(bet.to_owned()),
        revision: Some(i64::from(settlement.revision)),
        text: format!("revision {revision} of {bet} is parked: {said}"),
    }
}
