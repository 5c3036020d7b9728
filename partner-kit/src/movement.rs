//! What the journal of a wallet says: every accepted change, in order.

use schemas::Currency;
use schemas::contract::RowStatus;
use serde::{Deserialize, Serialize};

/// Why a stake was refused; the words of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineCode {
    /// The free balance is below the stake.
    InsufficientFunds,
    /// The player may not bet.
    PlayerBlocked,
    /// A limit of the partner.
    LimitExceeded,
    /// The player's token is no longer good.
    SessionInvalid,
    /// The player's account is in another currency.
    CurrencyMismatch,
    /// The request came after its `expires_at`.
    BetExpired,
}

impl DeclineCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientFunds => "insufficient_funds",
            Self::PlayerBlocked => "player_blocked",
            Self::LimitExceeded => "limit_exceeded",
            Self::SessionInvalid => "session_invalid",
            Self::CurrencyMismatch => "currency_mismatch",
            Self::BetExpired => "bet_expired",
        }
    }
}

/// One accepted change of a bet's row, also one that moved no money.
///
/// A repeat changes nothing and is no movement. `(bet_id, revision)` is unique in a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// Position in the journal, from 1, without gaps.
    pub seq: u64,
    /// The latest time the register had been told, ms since the Unix epoch.
    pub at_ms: i64,
    /// The bet.
    pub bet_id: String,
    /// The revision that the row is at from here on.
    pub revision: u32,
    /// The player.
    pub player: String,
    /// The state that the row is in from here on.
    pub status: RowStatus,
    /// declined: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<DeclineCode>,
    /// The stake as this revision says it, minor units.
    pub stake: i64,
    /// The payout, minor units; 0 unless settled.
    pub payout: i64,
    /// Currency of stake and payout.
    pub currency: Currency,
    /// Decimals between minor and major unit.
    pub exponent: u8,
    /// Signed change of the player's balance, minor units of the player's account. The account is in
    /// `currency`, but for a final void that names another currency than was held; see `Register::state`.
    pub moved: i64,
    /// Sum of all that was moved on this bet, minor units.
    pub collected_net: i64,
    /// What a claw-back could not take so far, minor units, 0 or above.
    pub shortfall: i64,
    /// What of `moved` went to the player's suspense account, or with a negative amount came from there; 0 unless the
    /// player is blocked.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub suspense: i64,
    /// Balance that the player's account was opened with, if this movement opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_nothing(units: &i64) -> bool {
    *units == 0
}

/// Money put into, or with a negative amount taken out of, a player's account by the partner itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deposit {
    /// Position in the journal.
    pub seq: u64,
    /// The latest time the register had been told, ms since the Unix epoch.
    pub at_ms: i64,
    /// The player.
    pub player: String,
    /// Minor units.
    pub units: i64,
    /// Currency of the account.
    pub currency: Currency,
    /// Decimals between minor and major unit.
    pub exponent: u8,
    /// Balance that the account was opened with, if this deposit opened it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<i64>,
}

/// A player was blocked, or may bet again and has what was kept in suspense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Position in the journal.
    pub seq: u64,
    /// The player.
    pub player: String,
    /// Whether bets are refused from here on.
    pub blocked: bool,
}

/// The start of a journal, and of each ledger epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// The partner whose journal this is.
    pub partner: String,
    /// Rises when the ledger was restored from a backup (R20).
    pub ledger_epoch: u64,
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// First line, and one per new epoch.
    Epoch(Epoch),
    /// A bet's row changed.
    Movement(Movement),
    /// The partner moved money of a player.
    Deposit(Deposit),
    /// A player was blocked or freed.
    Block(Block),
}
