//! From what is said to what is written: topic, partition, key and headers of every record, and the key
//! and hash of every fact. Producers always choose the partition here.

mod rows;

pub use rows::{
    FactParts, FactRow, admitted_fact, close_fact, decided, decision_fact, delivered_fact,
    freeze_fact, marker_fact, repeated_fact, round_content, tally_fact, unreadable_fact,
};

use crate::bets::{BetEvent, BetSaid};
use crate::catalogue::{
    BETS, CASES, DECISIONS, DELIVERIES, PARKED, PARTNERS, ROUNDS, RetryTier, SETTLEMENTS,
    partition_of,
};
use crate::decisions::DecisionSaid;
use crate::facts;
use crate::frame::{self, FrameError};
use crate::partners::PartnerSaid;
use crate::rounds::RoundEvent;
use crate::settlements::Settlement;
use crate::wire::{CaseRecord, DecisionKind, DeliveryOutcome, DeliveryRecord};
use crate::{BetId, Lane, PartnerId, RoundId};

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

/// Topic, partition, key, headers, value.
pub type RecordParts = (&'static str, u32, String, Vec<(&'static str, String)>, Vec<u8>);

impl Outgoing {
    /// Topic, partition, key, headers, value.
    pub fn into_parts(self) -> RecordParts {
        (self.topic, self.partition, self.key, self.headers, self.value)
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
    pub const EMBEDDED: Self = Self { rounds: 2, lanes: 4, cases: 2 };
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
    let (bet, partner, kind) = (said.bet_id(), said.partner(), said.kind());
    Ok(decision_record(said.key(), (bet, partner, kind), partition, said.encode()?))
}

fn decision_record(
    key: String,
    (bet, partner, kind): (&BetId, &PartnerId, DecisionKind),
    partition: u32,
    value: Vec<u8>,
) -> Outgoing {
    let (round, kind) = (bet.round_str(), kind.name());
    let headers = bet_headers(round, bet.as_str(), partner.as_str(), kind, partition);
    Outgoing { topic: DECISIONS, partition, key, headers, value }
}

/// Where a settlement is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettlementTopic {
    /// `settlements.v1`.
    Settlements,
    /// A retry tier.
    Retry(RetryTier),
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
    let key = settlement.id();
    Ok(Outgoing {
        topic: match topic {
            SettlementTopic::Settlements => SETTLEMENTS,
            SettlementTopic::Retry(tier) => tier.topic(),
            SettlementTopic::Parked => PARKED,
        },
        partition,
        headers: bet_headers(bet.round_str(), bet.as_str(), partner, kind, partition),
        value: settlement.encode_as(&key)?,
        key,
    })
}

/// A record of `partners.v1`, which has so many partitions.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn partner(said: &PartnerSaid, partitions: u32) -> Result<Outgoing, FrameError> {
    Ok(Outgoing {
        topic: PARTNERS,
        partition: partition_of(said.partner.as_str(), partitions),
        key: said.key(),
        headers: vec![(facts::HEADER_PARTNER, said.partner.to_string())],
        value: said.encode()?,
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
