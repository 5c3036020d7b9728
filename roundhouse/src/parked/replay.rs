//! Sending the parked again, as a command of a person with a reason.

use super::{Item, sums};
use anyhow::Context;
use partner_dispatcher::replayed;
use runtime::{Append, Engine};
use schemas::outgoing::{self, Partitions};
use schemas::wire::CaseRecord;
use schemas::{ContentHash, PartnerId};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Settlements appended at once, at most.
const BATCH_MAX: usize = 500;
/// The code of the case that says what of the parked was sent again, and why.
pub const REPLAYED: &str = "parked_replayed";

/// Why settlements are sent again: what the case says.
#[derive(Clone, Copy, Debug)]
pub struct Why<'a> {
    /// A stable code.
    pub code: &'a str,
    /// What is sent again, in words.
    pub what: &'a str,
    /// Why, as the person says it.
    pub reason: &'a str,
}

/// How fast to go.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Settlements a second.
    pub per_second: NonZeroU32,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Settlements appended to the first retry tier.
    pub count: usize,
}

/// Appends settlements to the first retry tier, with the content as it is. Before, a case for each
/// partner says how many and why. `progress` is told the number appended so far.
///
/// Moves no money twice: a dispatcher looks each up in the store before it sends it, and the partner's
/// register knows what it applied. A replay that broke off half-way may be run again as a whole.
///
/// # Errors
/// If the engine cannot take it; some may have been appended.
pub async fn replay(
    engine: &impl Engine,
    counts: Partitions,
    items: &[&Item],
    why: Why<'_>,
    pace: Pace,
    mut progress: impl FnMut(usize),
) -> anyhow::Result<Replayed> {
    let cases = cases(items, why, counts)?;
    engine.append(cases).await.context("the case of the replay cannot be written")?;
    let per_second = usize::try_from(pace.per_second.get()).unwrap_or(usize::MAX);
    // At least ten steps a second, so that a slow pace is even.
    let step = per_second.div_ceil(10).min(BATCH_MAX);
    let (begun, mut done) = (Instant::now(), 0_usize);
    for batch in items.chunks(step) {
        let due_ms = done.saturating_mul(1_000) / per_second;
        sleep_until(begun + Duration::from_millis(u64::try_from(due_ms).unwrap_or(0))).await;
        let records: Result<Vec<Append>, _> = batch
            .iter()
            .map(|item| {
                let from = (item.orig, item.asked.as_deref());
                replayed(&item.settlement, from, item.partition)
            })
            .collect();
        let records = records.context("a settlement does not survive its own encoding")?;
        engine.append(records).await.with_context(|| {
            format!("{done} settlements were appended; the same command goes on with the rest")
        })?;
        done += batch.len();
        progress(done);
    }
    Ok(Replayed { count: done })
}

/// One case for each partner, named by what is replayed and why: the same command again says the same.
fn cases(items: &[&Item], why: Why<'_>, counts: Partitions) -> anyhow::Result<Vec<Append>> {
    let mut by_partner: BTreeMap<&PartnerId, Vec<&Item>> = BTreeMap::new();
    for item in items {
        by_partner.entry(&item.settlement.partner).or_default().push(item);
    }
    let case = |(partner, items): (&PartnerId, Vec<&Item>)| {
        let ids: Vec<String> = items.iter().map(|item| item.settlement.id()).collect();
        let named =
            [partner.as_str(), why.reason].into_iter().chain(ids.iter().map(String::as_str));
        let name = ContentHash::of(&named.collect::<Vec<_>>());
        let money: Vec<String> = sums(items.iter().copied())
            .into_iter()
            .map(|((_, currency), sum)| {
                format!("{} with {} minor units of {currency} to pay", sum.count, sum.payout)
            })
            .collect();
        let record = CaseRecord {
            case_id: format!("case_{name}"),
            step: 1,
            code: why.code.to_owned(),
            partner_id: Some(partner.to_string()),
            round_id: None,
            bet_id: None,
            revision: None,
            text: format!("{} sent again: {}: {}", why.what, money.join(", "), why.reason),
        };
        let outgoing = outgoing::case(&record, counts).context("the case cannot be encoded")?;
        Ok(Append::from(outgoing.into_parts()))
    };
    by_partner.into_iter().map(case).collect()
}
