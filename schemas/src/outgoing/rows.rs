//! The key and hash of every fact.

use super::{Outgoing, decision_record};
use crate::bets::BetEvent;
use crate::catalogue::{BETS, ROUNDS, SETTLEMENTS};
use crate::decisions::{Decision, RejectReason, Verdict};
use crate::facts;
use crate::frame::{self, FrameError};
use crate::rounds::{Outcome, RoundEvent, RoundSaid};
use crate::settlements::Settlement;
use crate::wire::{
    BetRecord, CloseRecord, DecisionRecord, DeliveryRecord, FreezeRecord, RepeatRecord,
    RoundRecord, TallyRecord, UnreadableRecord,
};
use crate::{ContentHash, Lane, PartnerId, RoundId};

/// A fact ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactRow {
    /// The round.
    pub round: String,
    /// The topic whose record caused it.
    pub topic: &'static str,
    /// The partition of that topic.
    pub partition: u32,
    /// The lane; empty for what concerns the round.
    pub lane: String,
    /// The bet; empty for what concerns the round.
    pub bet: String,
    /// The kind of fact.
    pub kind: &'static str,
    /// The offset of the record that caused it (R2).
    pub at: u64,
    /// Hash over the fact's named fields.
    pub hash: [u8; 16],
    /// The framed body.
    pub body: Vec<u8>,
}

/// (round, topic, partition), (lane, bet, kind, at, hash), body.
pub type FactParts =
    ((String, &'static str, u32), (String, String, &'static str, u64, [u8; 16]), Vec<u8>);

impl FactRow {
    /// The row as the fact store takes it.
    pub fn into_parts(self) -> FactParts {
        let place = (self.lane, self.bet, self.kind, self.at, self.hash);
        ((self.round, self.topic, self.partition), place, self.body)
    }
}

/// The fact of a decision, caused by the record at `decision.at` of `bets` partition `partition`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn decision_fact(decision: &Decision, partition: u32) -> Result<FactRow, FrameError> {
    decided(decision, decision.bet.content_hash(), partition).map(|(fact, _)| fact)
}

/// The fact of a decision and its record, whose value is the fact's body: encoded once. `content` is the hash of its
/// bet's content, which the intent knows.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn decided(
    decision: &Decision,
    content: ContentHash,
    partition: u32,
) -> Result<(FactRow, Outgoing), FrameError> {
    let content = content.text();
    let wire = DecisionRecord::of(decision, &content);
    let (bet, partner) = (&decision.bet.id, &decision.bet.partner);
    let names = (bet, partner, decision.kind());
    let record = decision_record(decision.id(), names, partition, frame::encode(&wire)?);
    let kind = decision.kind().name();
    let (detail, code) = match &decision.verdict {
        Verdict::Accepted => ("", ""),
        Verdict::Rejected(RejectReason::Declined(code)) => ("declined", code.as_str()),
        Verdict::Rejected(reason) => (reason.code(), ""),
        Verdict::Cancelled(request) => (request.as_str(), ""),
    };
    let fact = FactRow {
        round: bet.round_str().to_owned(),
        topic: BETS,
        partition,
        lane: Lane::of(&decision.bet.partner).into(),
        kind,
        at: decision.at,
        hash: ContentHash::of(&[bet.as_str(), kind, detail, code, &content]).0,
        bet: bet.to_string(),
        body: record.value.clone(),
    };
    Ok((fact, record))
}

/// The fact of a marker at offset `at` of `bets` partition `partition`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn marker_fact(
    event: &BetEvent,
    round: &RoundId,
    partition: u32,
    at: u64,
) -> Result<FactRow, FrameError> {
    let record = BetRecord::of(event, None);
    let number = record.number.unwrap_or_default().to_string();
    let version = record.version.unwrap_or_default().to_string();
    let mut parts = vec![record.kind.name(), number.as_str(), version.as_str()];
    parts.push(record.outcome.unwrap_or_default());
    parts.push(record.game.unwrap_or_default());
    for list in [&record.won, &record.void, &record.selections] {
        parts.push("list");
        parts.extend(list);
    }
    Ok(FactRow {
        round: round.to_string(),
        topic: BETS,
        partition,
        lane: String::new(),
        bet: String::new(),
        kind: facts::MARKER,
        at,
        hash: ContentHash::of(&parts).0,
        body: frame::encode(&record)?,
    })
}

/// The tally of (round, partition), caused by `closed` at offset `at`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn tally_fact(tally: &TallyRecord, partition: u32, at: u64) -> Result<FactRow, FrameError> {
    Ok(FactRow {
        round: tally.round_id.clone(),
        topic: BETS,
        partition,
        lane: String::new(),
        bet: String::new(),
        kind: facts::TALLY,
        at,
        hash: ContentHash::of(&[&tally.bets.to_string(), &tally.digest]).0,
        body: frame::encode(tally)?,
    })
}

/// A freeze or thaw caused by the record at offset `at`; `lane` is empty where a round is meant.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn freeze_fact(
    freeze: &FreezeRecord,
    lane: &str,
    partition: u32,
    at: u64,
) -> Result<FactRow, FrameError> {
    let bet = freeze.bet_id.clone().unwrap_or_default();
    let frozen = if freeze.frozen { "frozen" } else { "thawed" };
    Ok(FactRow {
        round: freeze.round_id.clone(),
        topic: BETS,
        partition,
        lane: lane.to_owned(),
        kind: facts::FREEZE,
        at,
        hash: ContentHash::of(&[&bet, frozen, &freeze.code]).0,
        bet,
        body: frame::encode(freeze)?,
    })
}

/// A record that could not be decoded (R23). `round`, `lane` and `bet` come from its headers.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn unreadable_fact(
    record: &UnreadableRecord,
    topic: &'static str,
    (round, lane, bet): (&str, &str, &str),
) -> Result<FactRow, FrameError> {
    let partition = u32::try_from(record.partition).unwrap_or(u32::MAX);
    let at = u64::try_from(record.offset).unwrap_or(u64::MAX);
    Ok(FactRow {
        round: round.to_owned(),
        topic,
        partition,
        lane: lane.to_owned(),
        bet: bet.to_owned(),
        kind: facts::UNREADABLE,
        at,
        hash: ContentHash::of(&[topic, &partition.to_string(), &at.to_string()]).0,
        body: frame::encode(record)?,
    })
}

/// What the herald admitted at offset `at` of `rounds` partition `partition`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn admitted_fact(event: &RoundEvent, partition: u32, at: u64) -> Result<FactRow, FrameError> {
    let record = RoundRecord::from(event);
    Ok(FactRow {
        round: record.round_id.clone(),
        topic: ROUNDS,
        partition,
        lane: String::new(),
        bet: String::new(),
        kind: facts::ADMITTED,
        at,
        hash: round_content(event).0,
        body: frame::encode(&record)?,
    })
}

/// The hash of what a record of `rounds` says, without who said it, when, or under which request.
///
/// Equal for a request and its repeat: it is what `request_id` may stand for only once.
pub fn round_content(event: &RoundEvent) -> ContentHash {
    let mut parts: Vec<String> = vec![event.round.to_string(), event.kind().name().to_owned()];
    match &event.said {
        RoundSaid::Opened(opened) => {
            parts.extend([opened.game.clone(), opened.rules_version.to_string()]);
            parts.extend([opened.closes_at.to_string(), opened.grace_ms.to_string()]);
            let offers = opened.offers.iter();
            parts.extend(offers.map(|offer| format!("{}={}", offer.selection, offer.odds)));
        }
        RoundSaid::Amended { offers, closes_at } => {
            parts.push(closes_at.map(|at| at.to_string()).unwrap_or_default());
            parts.extend(offers.iter().map(|offer| format!("{}={}", offer.selection, offer.odds)));
        }
        RoundSaid::Closing | RoundSaid::Closed | RoundSaid::Sealed | RoundSaid::Rejected { .. } => {
        }
        RoundSaid::Version { replaces, outcome, .. }
        | RoundSaid::Proposed { replaces, outcome, .. } => {
            parts.push(replaces.to_string());
            match outcome {
                Outcome::Game(outcome) => parts.push(outcome.clone()),
                Outcome::Named { won, void } => {
                    for list in [won, void] {
                        parts.push("list".to_owned());
                        parts.extend(list.iter().map(ToString::to_string));
                    }
                }
                Outcome::Withdrawn | Outcome::Voided => {}
            }
        }
        RoundSaid::Verdict(verdict) => parts.push(verdict.judged.to_string()),
    }
    ContentHash::of(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A final delivery answer or a parking, caused by the settlement at offset `at` of `settlements`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn delivered_fact(
    record: &DeliveryRecord,
    partition: u32,
    at: u64,
) -> Result<FactRow, FrameError> {
    let lane = record.partner_id.parse::<PartnerId>().map(|partner| Lane::of(&partner));
    Ok(FactRow {
        round: record.round_id.clone(),
        topic: SETTLEMENTS,
        partition,
        lane: lane.map(|lane| lane.as_str().to_owned()).unwrap_or_default(),
        bet: record.bet_id.clone(),
        kind: facts::DELIVERED,
        at,
        hash: ContentHash::of(&[&record.delivery_id]).0,
        body: frame::encode(record)?,
    })
}

/// What came of closing a round with a partner. `at` is the offset, in `bets` partition `partition`, of
/// the marker of the version that it was closed at: the record that caused it.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn close_fact(record: &CloseRecord, partition: u32, at: u64) -> Result<FactRow, FrameError> {
    let lane = record.partner_id.parse::<PartnerId>().map(|partner| Lane::of(&partner));
    let version = record.result_version.to_string();
    let case = record.case_id.as_deref().unwrap_or_default();
    let named = [record.partner_id.as_str(), &version, &record.said, case];
    let ended = record.ended.iter().map(String::as_str);
    let named: Vec<&str> = named.into_iter().chain(ended).collect();
    Ok(FactRow {
        round: record.round_id.clone(),
        topic: BETS,
        partition,
        lane: lane.map(|lane| lane.as_str().to_owned()).unwrap_or_default(),
        bet: String::new(),
        kind: facts::CLOSE,
        at,
        hash: ContentHash::of(&named).0,
        body: frame::encode(record)?,
    })
}

/// That a settlement without a final answer is said again, by whoever reconciles `bets` partition `partition`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn repeated_fact(
    settlement: &Settlement,
    partition: u32,
    said_at: i64,
) -> Result<FactRow, FrameError> {
    let record = RepeatRecord {
        round_id: settlement.bet.round_str().to_owned(),
        partner_id: settlement.partner.to_string(),
        bet_id: settlement.bet.to_string(),
        revision: i64::from(settlement.revision),
        said_at,
    };
    Ok(FactRow {
        topic: SETTLEMENTS,
        partition,
        lane: Lane::of(&settlement.partner).into(),
        kind: facts::REPEATED,
        at: 0,
        hash: ContentHash::of(&[&settlement.id(), &said_at.to_string()]).0,
        body: frame::encode(&record)?,
        round: record.round_id,
        bet: record.bet_id,
    })
}
