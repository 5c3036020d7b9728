//! What is frozen: bets, and rounds in one partition, that a broken invariant stopped; and the thaw, with
//! which a person lets them go on.
//!
//! A freeze is a fact, and so is its end. What is frozen now is what the last of them says.

#[cfg(test)]
mod tests;

use crate::topics::whole;
use anyhow::{Context, bail};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use runtime::{Append, Engine, Fact, Millis, Scope, Source, Topic};
use schemas::bets::{BetEvent, BetSaid};
use schemas::catalogue::{BETS, ROUNDS};
use schemas::decisions::DecisionSaid;
use schemas::outgoing::{self, Partitions};
use schemas::rounds::RoundEvent;
use schemas::wire::FreezeRecord;
use schemas::{BetId, ContentHash, PartnerId, RequestId, RoundId, facts, frame};
use std::collections::{BTreeMap, BTreeSet};

/// Scopes of facts read side by side.
const SCANS_AT_ONCE: usize = 64;

/// A bet, or a round in one partition, that is frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The round.
    pub round: RoundId,
    /// The bet; `None` where the whole round is frozen in this partition.
    pub bet: Option<BetId>,
    /// The bet's partner, if anything readable names it.
    pub partner: Option<PartnerId>,
    /// The partition of `bets.v1`.
    pub partition: u32,
    /// The offset of the record that it froze at.
    pub at: u64,
    /// What broke: a stable code.
    pub code: String,
    /// What happened, in words.
    pub text: String,
}

/// The rounds of which anything was said at `since` or later, in ms since the Unix epoch, as far as the log
/// keeps it.
///
/// # Errors
/// If the log cannot be read.
pub async fn rounds_since(
    engine: &impl Engine,
    counts: Partitions,
    since: Millis,
) -> anyhow::Result<BTreeSet<RoundId>> {
    let mut rounds = BTreeSet::new();
    for partition in 0..counts.rounds {
        let source = Source { topic: Topic(ROUNDS), partition };
        whole(engine, source, |record| {
            if record.appended_at < since {
                return;
            }
            // One that cannot be read freezes its round all the same, under the name in its header.
            let said = RoundEvent::decode(&record.value).map(|event| event.round);
            let named = || record.header(facts::HEADER_ROUND)?.parse().ok();
            rounds.extend(said.ok().or_else(named));
        })
        .await?;
    }
    Ok(rounds)
}

/// What is frozen in these rounds. `progress` is told the number of rounds looked at.
///
/// # Errors
/// If the facts cannot be read.
pub async fn read(
    engine: &impl Engine,
    counts: Partitions,
    rounds: &BTreeSet<RoundId>,
    mut progress: impl FnMut(usize),
) -> anyhow::Result<Vec<Frozen>> {
    let scopes = rounds
        .iter()
        .flat_map(|round| (0..counts.lanes).map(move |partition| (round.clone(), partition)));
    let scans = scopes.map(|(round, partition)| async move {
        let scope = Scope { group: round.to_string(), topic: Topic(BETS), partition };
        let unread = || format!("the facts of round {round} cannot be read");
        let found = engine.scan(scope).await.with_context(unread)?;
        anyhow::Ok((partition, frozen_in(&round, partition, &found)?))
    });
    let (mut scans, mut frozen, mut done) =
        (stream::iter(scans).buffered(SCANS_AT_ONCE), Vec::new(), 0);
    while let Some((partition, found)) = scans.try_next().await? {
        frozen.extend(found);
        if partition + 1 == counts.lanes {
            done += 1;
            progress(done);
        }
    }
    Ok(frozen)
}

/// What the facts of one round and partition say of freezes.
fn frozen_in(round: &RoundId, partition: u32, found: &[Fact]) -> anyhow::Result<Vec<Frozen>> {
    let mut last: BTreeMap<Option<String>, (u64, FreezeRecord)> = BTreeMap::new();
    for fact in found.iter().filter(|fact| fact.key.kind == facts::FREEZE) {
        let record: FreezeRecord = frame::decode(&fact.body)
            .with_context(|| format!("a freeze of {round} at {} cannot be read", fact.key.at))?;
        let of = record.bet_id.clone();
        if last.get(&of).is_none_or(|(at, _)| *at <= fact.key.at) {
            last.insert(of, (fact.key.at, record));
        }
    }
    let mut frozen = Vec::new();
    for (bet, (at, record)) in last {
        if !record.frozen {
            continue;
        }
        let bet: Option<BetId> = bet.map(|bet| bet.parse()).transpose()?;
        let partner = bet.as_ref().and_then(|bet| partner_of(bet, &record, found));
        frozen.push(Frozen {
            round: round.clone(),
            bet,
            partner,
            partition,
            at,
            code: record.code,
            text: record.text,
        });
    }
    Ok(frozen)
}

/// Whose bet it is: its intent stands in the freeze if it was not decided, else its decision is a fact.
fn partner_of(bet: &BetId, freeze: &FreezeRecord, found: &[Fact]) -> Option<PartnerId> {
    if let Ok(BetEvent { said: BetSaid::Intent(intent), .. }) = BetEvent::decode(&freeze.known) {
        return Some(intent.bet.partner);
    }
    let decisions = [facts::ACCEPTED, facts::REJECTED, facts::CANCELLED];
    let decided = found.iter().filter(|fact| decisions.contains(&fact.key.kind));
    decided.filter_map(|fact| DecisionSaid::decode(&fact.body).ok()).find_map(|said| match said {
        DecisionSaid::Decided(decision) if decision.bet.id == *bet => Some(decision.bet.partner),
        DecisionSaid::Decided(_) | DecisionSaid::CancelRefused(_) => None,
    })
}

/// Lets frozen bets and rounds go on: a thaw for each, in the partition where it is frozen. The settler
/// computes them again. A bet without a decision ends in a void; what was said of a decided one is said
/// again, with the same contents. A round whose marker is still missing stays frozen, and says so by an
/// alarm. The same thaws again change nothing.
///
/// # Errors
/// If the partner of a bet is not known, or the log cannot take the thaws; then none is written.
pub async fn thaw(
    engine: &impl Engine,
    items: &[&Frozen],
    reason: &str,
    now: Millis,
) -> anyhow::Result<()> {
    let thaws: anyhow::Result<Vec<Append>> =
        items.iter().map(|item| thaw_record(item, reason, now)).collect();
    engine.append(thaws?).await.context("the thaws cannot be written")
}

fn thaw_record(item: &Frozen, reason: &str, now: Millis) -> anyhow::Result<Append> {
    let bet = match (&item.bet, &item.partner) {
        (None, _) => None,
        (Some(bet), Some(partner)) => Some((bet.clone(), partner.clone())),
        (Some(bet), None) => bail!(
            "nothing that can be read names the partner of {bet}: no intent of it stands in the log, so \
             there is nothing to go on with"
        ),
    };
    let at = item.at.to_string();
    let named =
        [item.round.as_str(), bet.as_ref().map_or("", |(bet, _)| bet.as_str()), &at, reason];
    let request: RequestId = format!("thaw-{}", ContentHash::of(&named)).parse()?;
    let said = BetSaid::Thaw { bet, request, reason: reason.to_owned() };
    let event = BetEvent { round: Some(item.round.clone()), said_at: now, said };
    let record = outgoing::bet(&event, item.partition).context("the thaw cannot be encoded")?;
    Ok(Append::from(record.into_parts()))
}
