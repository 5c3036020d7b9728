//! The rows of histories: where they stand, and what a record becomes.
//!
//! Groups begin with `history/`, which no round's id can: no scope of money is ever read or written here.

use super::lists::{List, Place};
use runtime::{Fact, FactKey, Record, Scope, Source, Topic};
use schemas::bets::Unreadable;
use schemas::catalogue::{DECISIONS, DELIVERIES, RETRY_5S, SETTLEMENTS, partition_of};
use schemas::decisions::DecisionSaid;
use schemas::facts::{
    HEADER_ATTEMPT, HEADER_REPLAYED, HEADER_SHORTFALL, HISTORY_DECISION, HISTORY_DELIVERY,
    HISTORY_PLACE, HISTORY_REPLAY, HISTORY_SETTLEMENT, HISTORY_SHORTFALL,
};
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::settlements::{REVISION_HELD, Settlement};
use schemas::wire::{DeliveryRecord, HistoryRecord};
use schemas::{BetId, ContentHash, PartnerId};
use std::collections::BTreeSet;

/// Where the story of a bet stands, as facts about the bet in no lane.
///
/// The topic is the one that begins the story. The partition is no partition of it but spreads the bets of a
/// round, so that a bet is found by its id alone and a round is not one partition of the store's table.
pub(crate) fn story_scope(bet: &BetId, partitions: Partitions) -> Scope {
    let partition = partition_of(bet.as_str(), partitions.lanes);
    Scope { group: format!("history/{}", bet.round_str()), topic: Topic(DECISIONS), partition }
}

/// What a batch of records becomes: each row once.
#[derive(Debug, Default)]
pub(super) struct Rows {
    stories: Vec<Fact>,
    places: BTreeSet<FactKey>,
    indexes: BTreeSet<FactKey>,
}

impl Rows {
    /// Adds the rows of a record.
    ///
    /// # Errors
    /// [`Unreadable`] if it cannot be decoded; nothing is added then.
    pub(super) fn take(
        &mut self,
        source: Source,
        record: &Record,
        partitions: Partitions,
    ) -> Result<(), Unreadable> {
        let story = |kind, bet: &BetId| said(record, kind, bet, partitions);
        match source.topic.0 {
            DECISIONS => {
                let said = DecisionSaid::decode(&record.value)?;
                self.stories.push(story(HISTORY_DECISION, said.bet_id())?);
                let DecisionSaid::Decided(decision) = said else { return Ok(()) };
                let bet = &decision.bet;
                let partner = List::Partner(&bet.partner);
                let player = List::Player(&bet.partner, &bet.player);
                self.place(&player, Place::of_bet(bet.placed_at, &bet.id), partitions);
                // The cancel of an accepted bet ends no intent: its hold was asked for before.
                if decision.intent_at.is_some() {
                    let held = Place::of_revision(bet.placed_at, &bet.id, REVISION_HELD);
                    self.place(&partner, held, partitions);
                }
            }
            SETTLEMENTS => {
                let settlement = Settlement::decode(&record.value)?;
                self.stories.push(story(HISTORY_SETTLEMENT, &settlement.bet)?);
                let Settlement { bet, revision, caused_at, partner, .. } = &settlement;
                let place = Place::of_revision(*caused_at, bet, *revision);
                self.place(&List::Partner(partner), place, partitions);
            }
            DELIVERIES => {
                let delivery: DeliveryRecord = frame::decode(&record.value)?;
                let bet: BetId = delivery.bet_id.parse()?;
                self.stories.push(story(HISTORY_DELIVERY, &bet)?);
                if let Some(units) = record.header(HEADER_SHORTFALL) {
                    let told = format!("{} {units}", delivery.revision);
                    let row = HistoryRecord {
                        logged_at: record.appended_at,
                        attempts: None,
                        value: told.into_bytes(),
                    };
                    self.stories.push(fact(record, HISTORY_SHORTFALL, &bet, &row, partitions)?);
                }
            }
            RETRY_5S if record.header(HEADER_REPLAYED).is_some() => {
                let settlement = Settlement::decode(&record.value)?;
                self.stories.push(story(HISTORY_REPLAY, &settlement.bet)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn place(&mut self, list: &List<'_>, place: Place, partitions: Partitions) {
        let bucket = list.bucket(place.at);
        let index = list.index_scope(list.index(bucket), partitions);
        self.indexes.insert(key(index, String::new(), bucket));
        self.places.insert(key(list.scope(bucket, partitions), place.subject, place.at));
    }

    /// Leaves out indexes that stand already, by their [`name`](index_name); the names of the others.
    pub(super) fn without(&mut self, indexed: &BTreeSet<ContentHash>) -> Vec<ContentHash> {
        self.indexes.retain(|key| !indexed.contains(&index_name(key)));
        self.indexes.iter().map(index_name).collect()
    }

    /// Stories first, then places, then indexes: what is listed has its story, and what is not indexed yet is
    /// not missed by a page that went past it.
    pub(super) fn into_waves(self) -> Vec<Vec<Fact>> {
        let bare = |keys: BTreeSet<FactKey>| {
            keys.into_iter().map(|key| Fact { key, body: Vec::new().into() }).collect()
        };
        vec![self.stories, bare(self.places), bare(self.indexes)]
    }
}

/// An index's key in 16 bytes.
fn index_name(key: &FactKey) -> ContentHash {
    let (partition, at) = (key.scope.partition.to_string(), key.at.to_string());
    ContentHash::of(&[&key.scope.group, &partition, &at])
}

/// A place's key is all it says: a fact that was published again has the place that it has already.
fn key(scope: Scope, subject: String, at: u64) -> FactKey {
    FactKey { scope, lane: String::new(), subject, kind: HISTORY_PLACE, at, hash: [0; 16] }
}

fn said(
    record: &Record,
    kind: &'static str,
    bet: &BetId,
    partitions: Partitions,
) -> Result<Fact, Unreadable> {
    let attempts = record.header(HEADER_ATTEMPT).filter(|_| kind == HISTORY_DELIVERY);
    let body = HistoryRecord {
        logged_at: record.appended_at,
        attempts: attempts.and_then(|attempts| attempts.parse().ok()),
        value: record.value.to_vec(),
    };
    fact(record, kind, bet, &body, partitions)
}

/// What follows from a record, in the story of a bet.
fn fact(
    record: &Record,
    kind: &'static str,
    bet: &BetId,
    body: &HistoryRecord,
    partitions: Partitions,
) -> Result<Fact, Unreadable> {
    let key = FactKey {
        scope: story_scope(bet, partitions),
        lane: String::new(),
        subject: bet.to_string(),
        kind,
        at: record.offset,
        hash: ContentHash::of(&[&String::from_utf8_lossy(&record.key)]).0,
    };
    Ok(Fact { key, body: frame::encode(body)?.into() })
}

/// The partition in which the lists of `partner` and its players stand.
pub(super) fn list_scope(group: String, partner: &PartnerId, partitions: Partitions) -> Scope {
    Scope { group, topic: Topic(DECISIONS), partition: partitions.of_partner(partner) }
}
