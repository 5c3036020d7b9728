//! The rows of histories: where they stand, and what a record becomes.
//!
//! Groups begin with `history/`, which no round's id can: no scope of money is ever read or written here.

use super::lists::{List, Place};
use runtime::{Fact, FactKey, Record, Scope, Source, Topic};
use schemas::attempts::{Attempt, Attempts};
use schemas::bets::Unreadable;
use schemas::catalogue::{DECISIONS, DELIVERIES, RetryTier, SETTLEMENTS, partition_of};
use schemas::decisions::DecisionSaid;
use schemas::facts::{
    HEADER_ATTEMPT, HEADER_ATTEMPT_LOG, HEADER_REPLAYED, HEADER_SHORTFALL, HEADER_TRIED,
    HISTORY_ATTEMPTS, HISTORY_DECISION, HISTORY_DELIVERY, HISTORY_PLACE, HISTORY_REPLAY,
    HISTORY_SETTLEMENT, HISTORY_SHORTFALL,
};
use schemas::frame::{self, FrameError};
use schemas::outgoing::Partitions;
use schemas::settlements::{REVISION_HELD, Settlement};
use schemas::wire::{DeliveryRecord, StoryRecord};
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

/// Whether a record becomes a row: of the tiers only what was sent again by command, and what was tried and not
/// answered. Most of what a partner that is away is owed goes through them untried.
pub(super) fn is_told(source: Source, record: &Record) -> bool {
    let news = [HEADER_TRIED, HEADER_REPLAYED];
    RetryTier::of_topic(source.topic.0).is_none()
        || news.iter().any(|name| record.header(name).is_some())
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
                    let row = StoryRecord {
                        logged_at: record.appended_at,
                        value: told.into_bytes(),
                        ..StoryRecord::default()
                    };
                    self.stories.push(fact(record, HISTORY_SHORTFALL, &bet, &row, partitions)?);
                }
            }
            _ if is_told(source, record) => {
                let settlement = Settlement::decode(&record.value)?;
                if record.header(HEADER_REPLAYED).is_some() {
                    self.stories.push(story(HISTORY_REPLAY, &settlement.bet)?);
                } else {
                    self.stories.push(tried(record, &settlement, partitions)?);
                }
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
    let row = StoryRecord {
        logged_at: record.appended_at,
        value: record.value.to_vec(),
        ..StoryRecord::default()
    };
    let row = if kind == HISTORY_DELIVERY { with_attempts(record, row) } else { row };
    fact(record, kind, bet, &row, partitions)
}

/// What was tried and is owed: it stands in a tier. Records of two tiers may have one offset, so the attempts name the row.
fn tried(
    record: &Record,
    settlement: &Settlement,
    partitions: Partitions,
) -> Result<Fact, Unreadable> {
    let value = settlement.revision.to_string().into_bytes();
    let row = StoryRecord { logged_at: record.appended_at, value, ..StoryRecord::default() };
    let row = with_attempts(record, row);
    let log = row.attempt_log.as_deref().unwrap_or_default();
    let hash = ContentHash::of(&[&settlement.id(), log]);
    let key = row_key(&settlement.bet, HISTORY_ATTEMPTS, record.offset, hash, partitions);
    Ok(Fact { key, body: frame::encode(&row)?.into() })
}

fn with_attempts(record: &Record, row: StoryRecord) -> StoryRecord {
    let attempts = record.header(HEADER_ATTEMPT).and_then(|attempts| attempts.parse().ok());
    let attempt_log = record.header(HEADER_ATTEMPT_LOG).map(ToOwned::to_owned);
    StoryRecord { attempts, attempt_log, ..row }
}

/// An attempt to have the stake of a bet held, in its story.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub(super) fn asked(
    bet: &BetId,
    attempt: Attempt,
    partitions: Partitions,
) -> Result<Fact, FrameError> {
    let (at, mut log) = (attempt.at, Attempts::default());
    log.add(attempt);
    let log = log.to_string();
    let hash = ContentHash::of(&[bet.as_str(), &log]);
    let row = StoryRecord {
        logged_at: at,
        attempts: None,
        attempt_log: Some(log),
        value: REVISION_HELD.to_string().into_bytes(),
    };
    let key = row_key(bet, HISTORY_ATTEMPTS, at.unsigned_abs(), hash, partitions);
    Ok(Fact { key, body: frame::encode(&row)?.into() })
}

/// What follows from a record, in the story of a bet.
fn fact(
    record: &Record,
    kind: &'static str,
    bet: &BetId,
    body: &StoryRecord,
    partitions: Partitions,
) -> Result<Fact, Unreadable> {
    let hash = ContentHash::of(&[&String::from_utf8_lossy(&record.key)]);
    let key = row_key(bet, kind, record.offset, hash, partitions);
    Ok(Fact { key, body: frame::encode(body)?.into() })
}

fn row_key(
    bet: &BetId,
    kind: &'static str,
    at: u64,
    hash: ContentHash,
    partitions: Partitions,
) -> FactKey {
    FactKey {
        scope: story_scope(bet, partitions),
        lane: String::new(),
        subject: bet.to_string(),
        kind,
        at,
        hash: hash.0,
    }
}

/// The partition in which the lists of `partner` and its players stand.
pub(super) fn list_scope(group: String, partner: &PartnerId, partitions: Partitions) -> Scope {
    Scope { group, topic: Topic(DECISIONS), partition: partitions.of_partner(partner) }
}
