//! The HTTP bodies between us and a partner's wallet, as the partner contract says (sections 1, 2 and 4).
//!
//! Both sides of the wire are written from these types: what the dispatcher and bet placing send, the
//! reference wallet reads. Unknown fields are ignored; an unknown enum value becomes `Other`.

use crate::{BetId, Currency, Money, MoneyError, PartnerId, PlayerId, RoundId};
use serde::{Deserialize, Serialize};
use shapes::{LedgerEpoch, Time, Units};
use utoipa::ToSchema;

pub mod document;
mod reconcile;
mod said;
mod shapes;

pub use document::document;
pub use reconcile::{
    AnswerTimes, CAPABILITIES_PATH, CapabilitiesResponse, CloseDigest, CloseRequest, CloseResponse,
    CloseTotal, CurrencyBody, HEALTH_PATH, HealthResponse, QUERY_BETS_MAX, QueryRequest,
    QueryResponse, ROUND_BETS_MAX, ROUND_BETS_PATH, RoundBetsResponse, RowBody, get_id, post_id,
};
pub use said::{CLOSE_LISTED_MAX, CloseSums};

/// The version of the contract that both sides speak (contract 8).
pub const API_VERSION: &str = "2026-11-01";
/// Items a state call may carry.
pub const STATE_ITEMS_MAX: usize = 500;
/// Bytes a state call may have.
pub const STATE_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a state call that every wallet takes: any one item fits, whatever its names.
pub const STATE_BYTES_MIN: usize = 4 * 1024;
/// Bytes an answer may have; a longer one is no answer.
pub const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// Path of the stake request.
pub const AUTHORIZE_PATH: &str = "/wallet/v1/bets/authorize";
/// Path of settlements, voids and corrections.
pub const STATE_PATH: &str = "/wallet/v1/bets/state";
/// Path of the close of a round.
pub const CLOSE_PATH: &str = "/wallet/v1/rounds/close";
/// Path of the query by bet ids.
pub const QUERY_PATH: &str = "/wallet/v1/bets/query";

/// Money on the partner's wire: `{"units":"1250","currency":"EUR","exponent":2}`.
///
/// Units are a string, so that no JSON reader loses precision above 2^53.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MoneyBody {
    /// Minor units, a decimal integer of the int64 range as text.
    #[schema(value_type = Units)]
    pub units: String,
    /// The currency.
    #[schema(value_type = Currency)]
    pub currency: String,
    /// Decimals between minor and major unit, 0 to 8.
    #[schema(minimum = 0, maximum = 8)]
    pub exponent: i64,
}

impl From<Money> for MoneyBody {
    fn from(money: Money) -> Self {
        Self {
            units: money.units.to_string(),
            currency: money.currency.to_string(),
            exponent: i64::from(money.exponent),
        }
    }
}

impl TryFrom<&MoneyBody> for Money {
    type Error = MoneyError;

    fn try_from(body: &MoneyBody) -> Result<Self, MoneyError> {
        let units = parse_units(&body.units)
            .ok_or_else(|| MoneyError::Syntax(body.units.chars().take(40).collect()))?;
        let currency: Currency = body.currency.parse()?;
        Self::new(units, currency, body.exponent)
    }
}

/// Minor units as text: an optional minus and digits, in the int64 range. No plus, blank or exponent.
pub fn parse_units(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// `POST /bets/authorize`: hold this stake. The bytes never change on a retry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorizeRequest {
    /// Always `authorize`.
    #[schema(pattern = "^authorize$")]
    pub op: String,
    /// `<bet_id>:1`.
    #[schema(pattern = "^[A-Za-z0-9_-]{1,36}:[A-Za-z0-9_-]{1,27}:1$")]
    pub message_id: String,
    /// The bet.
    #[schema(value_type = BetId)]
    pub bet_id: String,
    /// Always 1.
    #[schema(minimum = 1, maximum = 1)]
    pub revision: u32,
    /// The round.
    #[schema(value_type = RoundId)]
    pub round_id: String,
    /// The partner, only to be checked against the credential.
    #[schema(value_type = PartnerId)]
    pub partner_id: String,
    /// The player, to be given back byte for byte.
    #[schema(value_type = PlayerId)]
    pub partner_player_id: String,
    /// The player's token, as the client gave it.
    pub session_token: String,
    /// The stake.
    pub stake: MoneyBody,
    /// Opaque, for support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// When the bet was placed, RFC 3339 UTC with ms.
    #[schema(value_type = Time)]
    pub placed_at: String,
    /// When the stake must no longer be held if no row stands yet, RFC 3339 UTC with ms.
    #[schema(value_type = Time)]
    pub expires_at: String,
}

/// What the partner decided about a stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldDecision {
    /// The stake is held.
    Approved,
    /// It is not, and never will be for this bet.
    Declined,
    /// A void came first.
    Voided,
    /// A word this build does not know.
    #[serde(other)]
    Other,
}

/// The state of a partner's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    /// The stake is held.
    Held,
    /// The stake was refused; sticky.
    Declined,
    /// The bet is over.
    Settled,
    /// The bet does not count.
    Voided,
    /// No row (queries only).
    Absent,
    /// A word this build does not know.
    #[serde(other)]
    Other,
}

impl RowStatus {
    /// The word on the wire and in the digest of a close.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Declined => "declined",
            Self::Settled => "settled",
            Self::Voided => "voided",
            Self::Absent => "absent",
            Self::Other => "other",
        }
    }
}

/// The answer to an authorize: 200 always means that the partner has a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorizeResponse {
    /// The request's message id.
    #[serde(default)]
    pub message_id: String,
    /// The bet; must echo the request.
    #[schema(value_type = BetId)]
    pub bet_id: String,
    /// Revision of the row; 1 unless a void or a settlement came first.
    #[schema(minimum = 1)]
    pub revision: u32,
    /// The decision; absent where the row is at revision 3 or above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<HoldDecision>,
    /// State of the row.
    pub status: RowStatus,
    /// declined: why. `insufficient_funds`, `player_blocked`, `limit_exceeded`, `session_invalid`,
    /// `currency_mismatch`, `game_not_allowed`, `bet_expired` or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// declined: words for the player.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub player_message: Option<String>,
    /// Whether the row stood before this request.
    #[serde(default)]
    pub replayed: bool,
    /// The partner's own name for the movement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_ref: Option<String>,
    /// When the partner decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Time>)]
    pub processed_at: Option<String>,
    /// The player's free balance after the movement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<MoneyBody>,
}

/// The kinds of state calls that never wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// Final voids, revision 2.
    Void,
    /// Result version 1.
    Live,
    /// Later result versions.
    Correction,
}

impl Traffic {
    /// The traffic of a revision.
    pub fn of(revision: u32) -> Self {
        match revision {
            0..=2 => Self::Void,
            3 => Self::Live,
            _ => Self::Correction,
        }
    }
}

/// A target state on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetBody {
    /// The stake is held.
    Held,
    /// The bet is over.
    Settled,
    /// The bet does not count.
    Voided,
}

/// One item of a state call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateItem {
    /// The bet.
    #[schema(value_type = BetId)]
    pub bet_id: String,
    /// The revision.
    #[schema(minimum = 2)]
    pub revision: u32,
    /// The state the row is to be in.
    pub target: TargetBody,
    /// The round.
    #[schema(value_type = RoundId)]
    pub round_id: String,
    /// The result version; absent for a final void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub result_version: Option<u32>,
    /// The partner, only to be checked.
    #[schema(value_type = PartnerId)]
    pub partner_id: String,
    /// The player.
    #[schema(value_type = PlayerId)]
    pub partner_player_id: String,
    /// The stake.
    pub stake: MoneyBody,
    /// settled: the payout, stake included; 0 for a loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout: Option<MoneyBody>,
    /// Why, for support.
    pub reason: String,
    /// The partner's ledger was restored from a backup, and both sides signed it off: a bet without a row was held, and
    /// is to be put into this state as if its hold stood. Left out where it is not so.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recover: bool,
}

/// As serde wants to ask.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// `POST /bets/state`: settlements, voids, corrections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateRequest {
    /// Always `state`.
    #[schema(pattern = "^state$")]
    pub op: String,
    /// Hash over the sorted (bet_id, revision) of the items. Only to be echoed: an item that got no answer
    /// comes again in another chunk.
    #[schema(pattern = "^[A-Za-z0-9_:-]{1,64}$")]
    pub chunk_id: String,
    /// The kind of traffic.
    pub traffic: Traffic,
    /// 1 to 500 items.
    #[schema(min_items = 1, max_items = 500)]
    pub items: Vec<StateItem>,
}

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemOutcome {
    /// The row is at this revision.
    Applied,
    /// The row is at a higher revision, which is named.
    Superseded,
    /// Not yet; send again.
    Pending,
    /// Refused with a code.
    Rejected,
    /// A word this build does not know.
    #[serde(other)]
    Other,
}

/// The answer to one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateResult {
    /// The bet.
    #[schema(value_type = BetId)]
    pub bet_id: String,
    /// applied: the item's revision; superseded: the row's.
    #[schema(minimum = 1)]
    pub revision: u32,
    /// What became of it.
    pub outcome: ItemOutcome,
    /// State of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RowStatus>,
    /// The signed change made by this message, minor units as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Units>)]
    pub moved: Option<String>,
    /// The sum of all that was moved on this bet, minor units as text; absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Units>)]
    pub collected_net: Option<String>,
    /// What a claw-back could not take, minor units as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Units>)]
    pub shortfall: Option<String>,
    /// Whether the row was there before this message.
    #[serde(default)]
    pub replayed: bool,
    /// rejected: why. `revision_conflict`, `unknown_bet`, `invalid_transition`, `bad_request`, or
    /// `correction_refused` after the agreed window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The partner's own name for the movement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_ref: Option<String>,
}

/// The answer to a state call: one result per item, keyed by bet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StateResponse {
    /// The request's chunk id.
    pub chunk_id: String,
    /// Rises when the ledger was restored from a backup.
    #[serde(default)]
    #[schema(value_type = LedgerEpoch)]
    pub ledger_epoch: String,
    /// The results.
    pub results: Vec<StateResult>,
}

/// What the sender is to do about a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemClass {
    /// Send the same bytes again.
    RetrySameBytes,
    /// Nobody can answer this before it is mended; then send it again.
    FixThenRetry,
    /// The two sides disagree; a human must look.
    Conflict,
    /// A word this build does not know.
    #[serde(other)]
    Other,
}

/// `application/problem+json` (RFC 9457) with the contract's extensions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A stable URI reference that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// One line for people.
    pub title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened here and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The stable code.
    pub code: String,
    /// What is to be done about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ProblemClass>,
    /// Ms to wait before trying again; counts in answers to states alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// What was asked: the request's `message_id` or `chunk_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// A time on the partner's wire: RFC 3339, UTC, ms.
///
/// Times outside the years 0 to 9999 are clamped, so that a body can always be written.
pub fn timestamp(ms: i64) -> String {
    const YEAR_9999: i64 = 253_402_300_799_999;
    let instant = jiff::Timestamp::from_millisecond(ms.clamp(0, YEAR_9999)).unwrap_or_default();
    format!("{instant:.3}")
}

/// Reads an RFC 3339 time with offset as ms since the Unix epoch.
pub fn parse_timestamp(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(|instant| instant.as_millisecond())
}
