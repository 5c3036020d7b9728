//! From what is said to what is written: topic, partition, key and headers of every record, and the key
//! and hash of every fact. Producers always choose the partition here.

use crate::bets::{BetEvent, BetSaid};
use crate::catalogue::{
    BETS, CASES, DECISIONS, DELIVERIES, PARKED, RETRY_5S, ROUNDS, SETTLEMENTS, partition_of,
};
use crate::decisions::{Decision, DecisionSaid, RejectReason, Verdict};
use crate::facts;
use crate::frame::{self, FrameError};
use crate::rounds::{Outcome, RoundEvent, RoundSaid};
use crate::settlements::Settlement;
use crate::wire::{
    CaseRecord, DecisionRecord, DeliveryOutcome, DeliveryRecord, FreezeRecord, RoundRecord,
    TallyRecord, UnreadableRecord,
};
use crate::{ContentHash, Lane, PartnerId, RoundId};

/// A record ready to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic.
    pub topic: &'static str,
    /// The partition.
    pub partition: u32,
    /// The key; empty for ticks.
    pub key: String,
    /// The headers.
    pub headers: Vec<(&'static str, String)>,
    /// The framed value.
    pub value: Vec<u8>,
}

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

/// Topic, partition, key, headers, value.
pub type RecordParts = (&'static str, u32, String, Vec<(&'static str, String)>, Vec<u8>);

impl Outgoing {
    /// Topic, partition, key, headers, value.
    pub fn into_parts(self) -> RecordParts {
        (self.topic, self.partition, self.key, self.headers, self.value)
    }
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

/// How many partitions the topics have: those of one lane's topics are equal (R9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions {
    /// Of `rounds`.
    pub rounds: u32,
    /// Of `bets`, `decisions`, `settlements`, the tiers and `deliveries`.
    pub lanes: u32,
    /// Of `cases`.
    pub cases: u32,
}

impl Partitions {
    /// The counts of the embedded engine.
    pub const EMBEDDED: Self = Self { rounds: 2, lanes: 4, cases: 1 };
    /// The counts of the cluster engine.
    pub const CLUSTER: Self = Self { rounds: 12, lanes: 24, cases: 12 };

    /// The partition of a round in `rounds`.
    pub fn of_round(self, round: &RoundId) -> u32 {
        partition_of(round.as_str(), self.rounds)
    }

    /// The partition of a partner's lane in `bets`, `decisions`, `settlements` and the tiers.
    pub fn of_partner(self, partner: &PartnerId) -> u32 {
        partition_of(Lane::of(partner).as_str(), self.lanes)
    }
}

/// A record of `rounds.v1`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn round(event: &RoundEvent, partitions: Partitions) -> Result<Outgoing, FrameError> {
    Ok(Outgoing {
        topic: ROUNDS,
        partition: partitions.of_round(&event.round),
        key: event.round.to_string(),
        headers: vec![
            (facts::HEADER_ROUND, event.round.to_string()),
            (facts::HEADER_KIND, event.kind().name().to_owned()),
        ],
        value: event.encode()?,
    })
}

/// A record of `bets.v1` in `partition`: that of the partner's lane, or any for a marker or tick.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn bet(event: &BetEvent, partition: u32) -> Result<Outgoing, FrameError> {
    let names = match &event.said {
        BetSaid::Intent(intent) => Some((&intent.bet.id, &intent.bet.partner)),
        BetSaid::Answer { bet, partner, .. } | BetSaid::Cancel { bet, partner, .. } => {
            Some((bet, partner))
        }
        BetSaid::Thaw { bet, .. } => bet.as_ref().map(|(bet, partner)| (bet, partner)),
        BetSaid::Marker(_) | BetSaid::Tick => None,
    };
    let mut headers = vec![
        (facts::HEADER_KIND, event.kind().name().to_owned()),
        (facts::HEADER_BETS_PARTITION, partition.to_string()),
    ];
    let mut key = String::new();
    if let Some(round) = &event.round {
        headers.push((facts::HEADER_ROUND, round.to_string()));
        key = round.to_string();
    }
    if let Some((bet, partner)) = names {
        headers.push((facts::HEADER_BET, bet.to_string()));
        headers.push((facts::HEADER_PARTNER, partner.to_string()));
        key = bet.to_string();
    }
    Ok(Outgoing { topic: BETS, partition, key, headers, value: event.encode()? })
}

fn bet_headers(
    round: &str,
    bet: &str,
    partner: &str,
    kind: &str,
    partition: u32,
) -> Vec<(&'static str, String)> {
    vec![
        (facts::HEADER_KIND, kind.to_owned()),
        (facts::HEADER_BETS_PARTITION, partition.to_string()),
        (facts::HEADER_ROUND, round.to_owned()),
        (facts::HEADER_BET, bet.to_owned()),
        (facts::HEADER_PARTNER, partner.to_owned()),
    ]
}

/// A record of `decisions.v1`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn decision(said: &DecisionSaid, partition: u32) -> Result<Outgoing, FrameError> {
    let bet = said.bet_id();
    let partner = said.partner().as_str();
    Ok(Outgoing {
        topic: DECISIONS,
        partition,
        key: said.key(),
        headers: bet_headers(bet.round_str(), bet.as_str(), partner, said.kind().name(), partition),
        value: said.encode()?,
    })
}

/// Where a settlement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementTopic {
    /// `settlements.v1`.
    Settlements,
    /// The tier of 5 s.
    Retry5s,
    /// The parking place.
    Parked,
}

/// A record of `settlements.v1`, a retry tier or the parking place; the value is the same in all.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn settlement(
    settlement: &Settlement,
    topic: SettlementTopic,
    partition: u32,
) -> Result<Outgoing, FrameError> {
    let (bet, partner) = (&settlement.bet, settlement.partner.as_str());
    let kind = settlement.target.name();
    Ok(Outgoing {
        topic: match topic {
            SettlementTopic::Settlements => SETTLEMENTS,
            SettlementTopic::Retry5s => RETRY_5S,
            SettlementTopic::Parked => PARKED,
        },
        partition,
        key: settlement.id(),
        headers: bet_headers(bet.round_str(), bet.as_str(), partner, kind, partition),
        value: settlement.encode()?,
    })
}

/// A record of `deliveries.v1`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn delivery(record: &DeliveryRecord, partition: u32) -> Result<Outgoing, FrameError> {
    Ok(Outgoing {
        topic: DELIVERIES,
        partition,
        key: record.delivery_id.clone(),
        headers: bet_headers(
            &record.round_id,
            &record.bet_id,
            &record.partner_id,
            record.outcome.name(),
            partition,
        ),
        value: frame::encode(record)?,
    })
}

/// A record of `cases.v1`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn case(record: &CaseRecord, partitions: Partitions) -> Result<Outgoing, FrameError> {
    let round = record.round_id.clone().unwrap_or_default();
    let mut headers = vec![(facts::HEADER_KIND, record.code.clone())];
    if let Some(bet) = &record.bet_id {
        headers.push((facts::HEADER_BET, bet.clone()));
    }
    if let Some(partner) = &record.partner_id {
        headers.push((facts::HEADER_PARTNER, partner.clone()));
    }
    Ok(Outgoing {
        topic: CASES,
        partition: partition_of(&round, partitions.cases),
        key: format!("{}/{}", record.case_id, record.step),
        headers,
        value: frame::encode(record)?,
    })
}

impl DeliveryRecord {
    /// The same record under its id, `<bet_id>/<revision>/<ledger_epoch>/<outcome>`.
    ///
    /// What may differ between two answers about one revision is part of the outcome's word, such as
    /// `superseded:5` or `parked:unknown_bet`, so that an id always carries the same content.
    pub fn identified(self) -> Self {
        let detail = match self.outcome {
            DeliveryOutcome::Superseded => self.superseded_by.map(|by| by.to_string()),
            DeliveryOutcome::Parked => self.code.clone(),
            DeliveryOutcome::Applied | DeliveryOutcome::Unknown => None,
        };
        let detail = detail.map(|detail| format!(":{detail}")).unwrap_or_default();
        let (bet, revision, epoch) = (&self.bet_id, self.revision, &self.ledger_epoch);
        let delivery_id = format!("{bet}/{revision}/{epoch}/{}{detail}", self.outcome.name());
        Self { delivery_id, ..self }
    }
}

/// The fact of a decision, caused by the record at `decision.at` of `bets` partition `partition`.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn decision_fact(decision: &Decision, partition: u32) -> Result<FactRow, FrameError> {
    decided(decision, partition).map(|(fact, _)| fact)
}

/// The fact of a decision and its record, whose value is the fact's body: encoded once.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn decided(decision: &Decision, partition: u32) -> Result<(FactRow, Outgoing), FrameError> {
    let wire = DecisionRecord::from(decision);
    let (bet, partner) = (&decision.bet.id, decision.bet.partner.as_str());
    let kind = decision.kind().name();
    let record = Outgoing {
        topic: DECISIONS,
        partition,
        key: decision.id(),
        headers: bet_headers(bet.round_str(), bet.as_str(), partner, kind, partition),
        value: frame::encode(&wire)?,
    };
    let (detail, code) = match &decision.verdict {
        Verdict::Accepted => ("", ""),
        Verdict::Rejected(RejectReason::Declined(code)) => ("declined", code.as_str()),
        Verdict::Rejected(reason) => (reason.code(), ""),
        Verdict::Cancelled(request) => (request.as_str(), ""),
    };
    let content = wire.content_hash.as_deref().unwrap_or_default();
    let fact = FactRow {
        round: wire.round_id,
        topic: BETS,
        partition,
        lane: Lane::of(&decision.bet.partner).as_str().to_owned(),
        kind,
        at: decision.at,
        hash: ContentHash::of(&[bet.as_str(), kind, detail, code, content]).0,
        bet: wire.bet_id,
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
    let record = crate::wire::BetRecord::from(event);
    let number = record.number.unwrap_or_default().to_string();
    let version = record.version.unwrap_or_default().to_string();
    let mut parts = vec![record.kind.name(), number.as_str(), version.as_str()];
    parts.push(record.outcome.as_deref().unwrap_or_default());
    parts.push(record.game.as_deref().unwrap_or_default());
    for list in [&record.won, &record.void, &record.selections] {
        parts.push("list");
        parts.extend(list.iter().map(String::as_str));
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
        body: event.encode()?,
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
        RoundSaid::Closing | RoundSaid::Closed | RoundSaid::Sealed => {}
        RoundSaid::Version { replaces, outcome, .. } => {
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
