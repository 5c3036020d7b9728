//! The bodies of facts that are no records of a topic.

use super::{AmountRecord, Wire};
use crate::frame::{self, FrameError};
use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

/// The tally of (round, partition), a fact: what was accepted and not cancelled at `closed`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct TallyRecord {
    /// The round.
    pub round_id: String,
    /// Number of bets accepted and not cancelled.
    pub bets: i64,
    /// Their stakes by currency and exponent, ordered.
    pub stakes: Vec<AmountRecord>,
    /// SHA-256, in hex, over lines `bet_id|content_hash` ordered by bet id.
    pub digest: String,
}

/// A freeze or a thaw, a fact: a bet, or a round in one partition, that an invariant stopped.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct FreezeRecord {
    /// The round.
    pub round_id: String,
    /// The bet; absent where the whole round is frozen in this partition.
    pub bet_id: Option<String>,
    /// True for a freeze, false for a thaw.
    pub frozen: bool,
    /// What broke: a stable code.
    pub code: String,
    /// What happened, in words; for a thaw the operator's reason.
    pub text: String,
    /// Offset in `bets.v1` of the undecided intent that this freeze stops; absent where it stops none.
    pub intent_at: Option<i64>,
    /// The bet as known: framed `DecisionRecord`, or empty.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub known: Vec<u8>,
}

/// A record that could not be decoded, a fact (R23).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct UnreadableRecord {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i64,
    /// The offset.
    pub offset: i64,
    /// Its headers, as `name: value` lines.
    pub headers: Vec<String>,
    /// Why it could not be decoded.
    pub error: String,
    /// Its key.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub key: Vec<u8>,
    /// Its value.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub value: Vec<u8>,
}

// Rows of earlier builds: they are read for ever and not written any more.
/// A record as the history of its bet keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct HistoryRecord {
    /// When the log took the record, ms since the Unix epoch, UTC.
    pub logged_at: i64,
    /// deliveries: how often the settlement was sent; absent where the record does not say it.
    pub attempts: Option<i64>,
    /// The record's value, framed as in its topic.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub value: Vec<u8>,
}

/// A row of a bet's story.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct StoryRecord {
    /// When the log took the record that the row follows from, or else when what it tells began; ms since the Unix
    /// epoch, UTC.
    pub logged_at: i64,
    /// How often the settlement was sent; absent where the record does not say it.
    pub attempts: Option<i64>,
    /// The first of these attempts and the last ones, as text; absent where the record does not say it.
    pub attempt_log: Option<String>,
    /// A record's value, framed as in its topic, or what the kind of the row says.
    #[serde(with = "apache_avro::serde::bytes")]
    #[avro(with)]
    pub value: Vec<u8>,
}

impl StoryRecord {
    /// Reads a row, also one of an earlier build.
    ///
    /// # Errors
    /// [`FrameError`], as for [`frame::decode`].
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        match frame::decode(bytes) {
            Err(FrameError::Schema { found: HistoryRecord::SCHEMA_ID, .. }) => {
                let HistoryRecord { logged_at, attempts, value } = frame::decode(bytes)?;
                Ok(Self { logged_at, attempts, attempt_log: None, value })
            }
            read => read,
        }
    }
}

/// What came of closing a round with a partner, a fact: it said the same, or a case was opened.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct CloseRecord {
    /// The round.
    pub round_id: String,
    /// The partner.
    pub partner_id: String,
    /// The result version that the round was closed at.
    pub result_version: i64,
    /// Hash, in hex, of all that we said: another total, digest or list of bets is another close.
    pub said: String,
    /// The case that holds the difference; null if the partner said the same.
    pub case_id: Option<String>,
    /// Cases of earlier closes that ended with this one, ordered.
    pub ended: Vec<String>,
}

/// That a settlement without a final answer was said again in `settlements.v1` (R19), a fact.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct RepeatRecord {
    /// The round.
    pub round_id: String,
    /// The partner.
    pub partner_id: String,
    /// The bet.
    pub bet_id: String,
    /// The revision.
    pub revision: i64,
    /// When it was said again, ms since the Unix epoch, UTC.
    pub said_at: i64,
}

/// What somebody said or had done, a fact: an operator, a feed, or whoever ran a command.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct ActRecord {
    /// When, ms since the Unix epoch, UTC.
    pub said_at: i64,
    /// The operator's or the feed's name, or who a command was told had run it.
    pub actor: String,
    /// What: a kind of `rounds.v1` or `approved`; of a partner `set`, `paused`, `resumed` or `restored`; of what stood
    /// still `replayed` or `thawed`.
    pub what: String,
    /// The round, the bet or the partner.
    pub of: String,
    /// Why, in words, where a reason is asked for.
    pub reason: Option<String>,
    /// The request's id; of a step of a correction it names the proposal.
    pub request_id: Option<String>,
    /// Why it was refused, a stable code; absent if it was not.
    pub refused: Option<String>,
}

impl UnreadableRecord {
    /// The record at (topic, partition, offset) with its headers, key and value, and why it cannot be
    /// decoded.
    pub fn of<'a>(
        (topic, partition, offset): (&str, u32, u64),
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        (key, value): (&[u8], &[u8]),
        error: &dyn std::error::Error,
    ) -> Self {
        Self {
            topic: topic.to_owned(),
            partition: i64::from(partition),
            offset: i64::try_from(offset).unwrap_or(i64::MAX),
            headers: headers.map(|(name, value)| format!("{name}: {value}")).collect(),
            error: error.to_string(),
            key: key.to_vec(),
            value: value.to_vec(),
        }
    }
}
