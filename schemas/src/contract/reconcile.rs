//! How both sides know that they agree: close of a round, queries, rows, capabilities, health.

use super::shapes::{LedgerEpoch, Sum, Time, Units};
use super::{MoneyBody, RowStatus};
use crate::{BetId, Currency, PartnerId, PlayerId, RoundId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt::{self, Write};
use utoipa::ToSchema;

/// Path of the rows of a round, with `?after=&limit=`; axum's form.
pub const ROUND_BETS_PATH: &str = "/wallet/v1/rounds/{id}/bets";
/// Path of what the partner can do.
pub const CAPABILITIES_PATH: &str = "/wallet/v1/capabilities";
/// Path of the partner's health.
pub const HEALTH_PATH: &str = "/wallet/v1/health";
/// The id of a `GET` to a partner, which has no body to say whose and which it is: it must be this one.
/// `path` is the path from `/wallet/v1` on, with its query; what stands before it in a wallet's URL does not
/// count. What a partner asks of us has the same id, with the path from `/partner/v1` on.
pub fn get_id(partner: impl fmt::Display, path: &str) -> String {
    let digest = Sha256::digest(format!("{partner}\n{path}"));
    format!("get_{}", &hex(&digest)[..32])
}

/// The id of a `POST` of a partner to us: as [`get_id`], with the bytes of the body behind the path. So no answer of
/// ours, which stands under the same id, can be sent back as a request.
pub fn post_id(partner: impl fmt::Display, path: &str, body: &[u8]) -> String {
    let digest = Sha256::new().chain_update(format!("{partner}\n{path}\n")).chain_update(body);
    format!("post_{}", &hex(&digest.finalize())[..32])
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Bet ids a query may name.
pub const QUERY_BETS_MAX: usize = 500;
/// Rows one page of a round holds at most.
pub const ROUND_BETS_MAX: usize = 1000;

/// Totals of one round in one currency, over the rows at revision 3 and above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloseTotal {
    /// The currency.
    #[schema(value_type = Currency)]
    pub currency: String,
    /// Decimals between minor and major unit.
    #[schema(minimum = 0, maximum = 8)]
    pub exponent: i64,
    /// Rows.
    pub bets: u64,
    /// Sum of the stakes, minor units as text.
    #[schema(value_type = Sum)]
    pub stake: String,
    /// Sum of the payouts of settled rows, minor units as text.
    #[schema(value_type = Sum)]
    pub payout: String,
    /// Rows that are voided.
    pub voided: u64,
    /// Rows whose delivery is parked or frozen; 0 in the partner's answer.
    #[serde(default)]
    pub parked: u64,
}

/// `POST /rounds/close`: this is what the round came to; sent again after a correction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloseRequest {
    /// The partner, only to be checked.
    #[schema(value_type = PartnerId)]
    pub partner_id: String,
    /// The round.
    #[schema(value_type = RoundId)]
    pub round_id: String,
    /// The result version that all items are at.
    #[schema(minimum = 1)]
    pub result_version: u32,
    /// One total per currency, ordered by currency.
    pub totals: Vec<CloseTotal>,
    /// Rows that the platform knows to be at revision 1 still.
    pub open_holds: u64,
    /// The digest over the rows at revision 3 and above.
    #[schema(value_type = CloseDigest)]
    pub digest: String,
    /// Bets whose delivery is parked or frozen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<BetId>)]
    pub listed: Vec<String>,
}

/// The partner's own view of the round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CloseResponse {
    /// The round.
    #[schema(value_type = RoundId)]
    pub round_id: String,
    /// The request's result version.
    #[schema(minimum = 1)]
    pub result_version: u32,
    /// Rises when the ledger was restored from a backup.
    #[serde(default)]
    #[schema(value_type = LedgerEpoch)]
    pub ledger_epoch: String,
    /// One total per currency, ordered by currency.
    pub totals: Vec<CloseTotal>,
    /// Rows of the round at revision 1; must be 0 beyond those listed.
    pub open_holds: u64,
    /// The digest over the partner's rows.
    #[schema(value_type = CloseDigest)]
    pub digest: String,
}

/// SHA-256 over lines `bet_id|revision|status|stake|payout`, each ended by a newline, in the order of
/// bet ids; only rows at revision 3 and above.
#[derive(Clone, Debug, Default)]
pub struct CloseDigest(Sha256);

impl CloseDigest {
    /// A digest of no rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row; `stake` and `payout` in minor units, the payout 0 unless the row is settled.
    pub fn row(&mut self, bet_id: &str, revision: u32, status: RowStatus, stake: i64, payout: i64) {
        let status = status.as_str();
        self.0.update(format!("{bet_id}|{revision}|{status}|{stake}|{payout}\n").as_bytes());
    }

    /// The digest as lower-case hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// `POST /bets/query`: how do these bets stand?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryRequest {
    /// 1 to 500 bets.
    #[schema(value_type = Vec<BetId>, min_items = 1, max_items = 500)]
    pub bet_ids: Vec<String>,
}

/// One row of the partner's register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowBody {
    /// The bet.
    #[schema(value_type = BetId)]
    pub bet_id: String,
    /// The row's revision; 0 if there is no row.
    pub revision: u32,
    /// State of the row; `absent` if there is none, which does not prove that a slow hold cannot land.
    pub status: RowStatus,
    /// The player.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PlayerId>)]
    pub partner_player_id: Option<String>,
    /// The stake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stake: Option<MoneyBody>,
    /// The payout; only of a settled row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payout: Option<MoneyBody>,
    /// What was really moved on this bet, minor units as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Units>)]
    pub collected_net: Option<String>,
    /// What a claw-back could not take so far, minor units as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Units>)]
    pub shortfall: Option<String>,
    /// declined: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The partner's own name for the newest movement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partner_ref: Option<String>,
}

impl RowBody {
    /// There is no row of this bet.
    pub fn absent(bet_id: String) -> Self {
        Self {
            bet_id,
            revision: 0,
            status: RowStatus::Absent,
            partner_player_id: None,
            stake: None,
            payout: None,
            collected_net: None,
            shortfall: None,
            code: None,
            partner_ref: None,
        }
    }
}

/// The answer to a query: one row per bet asked for, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryResponse {
    /// Rises when the ledger was restored from a backup.
    #[serde(default)]
    #[schema(value_type = LedgerEpoch)]
    pub ledger_epoch: String,
    /// The rows.
    pub rows: Vec<RowBody>,
}

/// One page of a round's rows, ordered by bet id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoundBetsResponse {
    /// The round.
    #[schema(value_type = RoundId)]
    pub round_id: String,
    /// Rises when the ledger was restored from a backup.
    #[serde(default)]
    #[schema(value_type = LedgerEpoch)]
    pub ledger_epoch: String,
    /// At most 1000 rows.
    #[schema(max_items = 1000)]
    pub rows: Vec<RowBody>,
    /// The `after` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BetId>)]
    pub next: Option<String>,
}

/// A currency that a partner takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrencyBody {
    /// The code.
    #[schema(value_type = Currency)]
    pub currency: String,
    /// Decimals between minor and major unit.
    #[schema(minimum = 0, maximum = 8)]
    pub exponent: i64,
}

/// `GET /capabilities`: what the partner can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapabilitiesResponse {
    /// The partner.
    #[schema(value_type = PartnerId)]
    pub partner_id: String,
    /// Dates of the contract that it speaks.
    pub api_versions: Vec<String>,
    /// Items a state call may carry; less than 500 are kept to once the operator has taken this over into the partner's
    /// profile, as the next two are.
    #[schema(minimum = 1)]
    pub items_max: u64,
    /// Bytes the body of a state call may have, before it is packed; at least 4,096, so that any one item fits.
    #[schema(minimum = 4096)]
    pub bytes_max: u64,
    /// Whether the body of a state call may be packed (`Content-Encoding: gzip`). What is signed is then the packed body, as
    /// it travels.
    #[serde(default)]
    pub gzip: bool,
    /// Whether answers are signed.
    #[serde(default)]
    pub signed: bool,
    /// The currencies, ordered by code.
    pub currencies: Vec<CurrencyBody>,
    /// `negative` or `collect_available`.
    #[schema(pattern = "^(negative|collect_available)$")]
    pub claw_back: String,
    /// Days in which a correction is taken.
    #[schema(minimum = 30)]
    pub correction_window_days: u64,
    /// Days for which a row is kept; 13 months at least.
    #[schema(minimum = 395)]
    pub retention_days: u64,
    /// Rises when the ledger was restored from a backup.
    #[schema(value_type = LedgerEpoch)]
    pub ledger_epoch: String,
    /// Calls a second that it takes of each kind of traffic. The rates that were agreed on keep them below it
    /// (`calls_per_s` of the partner's profile and, for stakes, `stakes_per_s` of each process that takes bets), and so
    /// does a 429 with `Retry-After`; this number does once the operator has taken it over, for settlements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub calls_per_second_max: Option<u64>,
    /// How long it may take to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_ms_max: Option<AnswerTimes>,
}

/// How long a wallet may take to answer, ms, by what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerTimes {
    /// For a stake; 1,500 ms are waited.
    pub authorize: u64,
    /// For states and closes.
    pub state: u64,
}

/// `GET /health`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthResponse {
    /// `ok`, or `failed` if nothing can be written down any more.
    #[schema(pattern = "^(ok|failed)$")]
    pub status: String,
    /// The partner.
    #[schema(value_type = PartnerId)]
    pub partner_id: String,
    /// The partner's clock, RFC 3339 UTC with ms; more than 2 s away from ours is a fault.
    #[schema(value_type = Time)]
    pub time: String,
    /// Rises when the ledger was restored from a backup.
    #[schema(value_type = LedgerEpoch)]
    pub ledger_epoch: String,
}
