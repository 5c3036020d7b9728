//! What is said of partners.

use super::Wire;
use crate::frame::{self, FrameError};
use apache_avro::AvroSchema;
use serde::{Deserialize, Serialize};

/// One record of `partners.v1`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, AvroSchema)]
pub struct PartnerRecord {
    /// The partner.
    pub partner_id: String,
    /// `profile`, `pause` (said by an operator), `health` (by those who deliver), `stakes` (by those who ask
    /// for stakes), `restore` (paused since its ledger may be a restored one) or `ledger`.
    pub kind: String,
    /// profile: base URL of the wallet.
    pub wallet_url: Option<String>,
    /// profile: the public key that verifies players' tokens, base64url of 32 bytes (Ed25519).
    pub token_key: Option<String>,
    /// pause, health, stakes, restore: whether betting is paused.
    pub paused: Option<bool>,
    /// Why, in words.
    pub reason: Option<String>,
    /// Who said so: an operator's name, `deliveries` or `stakes`.
    pub actor: Option<String>,
    /// When, in ms since the Unix epoch.
    pub said_at: Option<i64>,
    /// profile: the currencies that bets are taken in.
    pub currencies: Option<Vec<CurrencyRecord>>,
    /// profile: the public keys that verify replies (Ed25519, `whpk_` and base64).
    pub reply_keys: Option<Vec<String>>,
    /// ledger: the epoch of the partner's ledger that counts from here on (R20).
    pub ledger_epoch: Option<String>,
    /// ledger: whether an operator signed it off as one restored from a backup.
    pub restored: Option<bool>,
    /// profile: state calls a second that the wallet takes of each kind of traffic; absent where it has no rate of its own.
    pub calls_per_s: Option<i64>,
    /// profile: stakes that the wallet is asked for in a second by each process that takes bets; absent where it has no
    /// rate of its own.
    pub stakes_per_s: Option<i64>,
    /// profile: items that a state call to the wallet may carry; absent where it takes as many as the contract has.
    pub items_max: Option<i64>,
    /// profile: bytes that the body of a state call may have before it is packed; absent where the wallet takes as many as
    /// the contract has.
    pub bytes_max: Option<i64>,
    /// profile: whether the body of a state call may be packed (gzip).
    pub gzip: Option<bool>,
}

impl PartnerRecord {
    /// The schema of earlier builds: without `items_max`, `bytes_max` and `gzip`.
    pub const EARLIER_SCHEMA_ID: u32 = 7;

    /// Reads a record, also one of an earlier build.
    ///
    /// # Errors
    /// [`FrameError`], as for [`frame::decode`].
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        match frame::decode(bytes) {
            Err(FrameError::Schema { found: Self::EARLIER_SCHEMA_ID, .. }) => {
                let datum = bytes.get(5..).unwrap_or_default();
                // A datum is its fields one behind the other, and an absent one is a zero.
                let absent = [0; 3];
                let grown = [&[0], &Self::SCHEMA_ID.to_be_bytes()[..], datum, &absent].concat();
                frame::decode(&grown)
            }
            read => read,
        }
    }
}

/// What a partner takes in one currency, in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, AvroSchema)]
pub struct CurrencyRecord {
    /// The currency.
    pub currency: String,
    /// Decimals between minor and major unit.
    pub exponent: i32,
    /// The smallest stake.
    pub stake_min: i64,
    /// The largest stake.
    pub stake_max: i64,
    /// The largest payout of one bet.
    pub payout_max: i64,
    /// The largest sum of open payouts of one round.
    pub liability_max: i64,
}
