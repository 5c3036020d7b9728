//! What a record of `settlements.v1` says: the target state of one bet at one revision.

use crate::bets::{Bet, Unreadable};
use crate::frame::{self, FrameError};
use crate::wire::{SettlementRecord, TargetKind, Text};
use crate::{BetId, Money, PartnerId, PlayerId};

/// The revision of the hold.
pub const REVISION_HELD: u32 = 1;
/// The revision of the final void of a bet that was rejected or cancelled (R10).
pub const REVISION_VOID: u32 = 2;

/// The revision of result version `version`, 1 and above. A bet gets 2, or 3 and above, never both (R10).
pub fn revision_of(version: u32) -> u32 {
    version.saturating_add(2)
}

/// The state a bet is to be in at the partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The stake is held; the result is open.
    Held,
    /// The bet is over and worth this much, in minor units of the stake's currency; 0 for a loss.
    Settled(i64),
    /// The bet does not count.
    Voided,
}

impl Target {
    /// Its word in headers.
    pub fn name(self) -> &'static str {
        self.to_columns().0.name()
    }

    /// What the player has of it beside what was had before the bet, in minor units: the stake is gone
    /// while it is held, and nothing has moved once it does not count.
    pub fn net(self, stake_units: i64) -> i128 {
        match self {
            Self::Held => -i128::from(stake_units),
            Self::Settled(payout) => i128::from(payout) - i128::from(stake_units),
            Self::Voided => 0,
        }
    }

    fn to_columns(self) -> (TargetKind, i64) {
        match self {
            Self::Held => (TargetKind::Held, 0),
            Self::Settled(payout) => (TargetKind::Settled, payout),
            Self::Voided => (TargetKind::Voided, 0),
        }
    }

    fn from_columns(kind: TargetKind, payout: i64) -> Result<Self, Unreadable> {
        match kind {
            TargetKind::Settled if 0 <= payout => Ok(Self::Settled(payout)),
            TargetKind::Settled => Err(Unreadable::Range("payout_units")),
            TargetKind::Held if payout == 0 => Ok(Self::Held),
            TargetKind::Voided if payout == 0 => Ok(Self::Voided),
            TargetKind::Held | TargetKind::Voided => Err(Unreadable::Range("payout_units")),
            TargetKind::Unknown => Err(Unreadable::UnknownKind),
        }
    }
}

/// Why a settlement was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first result.
    Result,
    /// A later result.
    ResultCorrected,
    /// The result was taken back.
    ResultWithdrawn,
    /// The round does not count.
    RoundVoided,
    /// The bet was rejected.
    BetRejected,
    /// The bet was cancelled.
    BetCancelled,
    /// The bet or its round was frozen and thawed.
    Thawed,
}

impl Reason {
    /// Every reason.
    pub const ALL: &[Self] = &[
        Self::Result,
        Self::ResultCorrected,
        Self::ResultWithdrawn,
        Self::RoundVoided,
        Self::BetRejected,
        Self::BetCancelled,
        Self::Thawed,
    ];

    /// The stable code on the wire.
    pub fn code(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::ResultCorrected => "result_corrected",
            Self::ResultWithdrawn => "result_withdrawn",
            Self::RoundVoided => "round_voided",
            Self::BetRejected => "bet_rejected",
            Self::BetCancelled => "bet_cancelled",
            Self::Thawed => "thawed",
        }
    }
}

/// The target state of one bet at one revision, with the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// The bet; names its round.
    pub bet: BetId,
    /// 2, or 3 and above.
    pub revision: u32,
    /// The partner.
    pub partner: PartnerId,
    /// The player.
    pub player: PlayerId,
    /// The stake.
    pub stake: Money,
    /// The state the bet is to be in.
    pub target: Target,
    /// The state before.
    pub previous: Target,
    /// Why.
    pub reason: Reason,
    /// `said_at` of the record that caused it.
    pub caused_at: i64,
}

impl Settlement {
    /// The settlement of `bet` at `revision`.
    pub fn of(
        bet: &Bet,
        revision: u32,
        previous: Target,
        target: Target,
        reason: Reason,
        caused_at: i64,
    ) -> Self {
        Self {
            bet: bet.id.clone(),
            revision,
            partner: bet.partner.clone(),
            player: bet.player.clone(),
            stake: bet.stake,
            target,
            previous,
            reason,
            caused_at,
        }
    }

    /// The fact's id, `<bet_id>/<revision>`, and the record's key.
    pub fn id(&self) -> String {
        [self.bet.as_str(), "/", &self.revision.to_string()].concat()
    }

    /// What the partner is to give the player, payout or stake, in minor units; 0 where it is to give nothing or to
    /// take something back.
    pub fn credit(&self) -> i128 {
        let net = |target: Target| target.net(self.stake.units);
        (net(self.target) - net(self.previous)).max(0)
    }

    /// The result version; 0 for a final void.
    pub fn result_version(&self) -> u32 {
        self.revision.saturating_sub(2)
    }

    /// Reads a framed record.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        Self::try_from(frame::decode::<SettlementRecord<&str>>(bytes)?)
    }

    /// Frames the record.
    ///
    /// # Errors
    /// [`FrameError`] if it does not survive its own encoding.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        self.encode_as(&self.id())
    }

    /// Frames the record, whose [`Self::id`] is at hand.
    pub(crate) fn encode_as(&self, id: &str) -> Result<Vec<u8>, FrameError> {
        debug_assert!(self.is_id(id));
        frame::encode(&SettlementRecord::of(self, id))
    }

    /// Whether `text` is [`Self::id`], for revisions from 1.
    fn is_id(&self, text: &str) -> bool {
        let revision = text.strip_prefix(self.bet.as_str()).and_then(|rest| rest.strip_prefix('/'));
        // One text per number: neither a sign nor a zero in front.
        let revision = revision.filter(|digits| !digits.starts_with(['+', '0']));
        revision.is_some_and(|digits| digits.parse() == Ok(self.revision))
    }
}

impl<'a> SettlementRecord<&'a str> {
    fn of(settlement: &'a Settlement, id: &'a str) -> Self {
        let (target, payout_units) = settlement.target.to_columns();
        let (previous_target, previous_payout_units) = settlement.previous.to_columns();
        Self {
            settlement_id: id,
            bet_id: settlement.bet.as_str(),
            revision: i64::from(settlement.revision),
            round_id: settlement.bet.round_str(),
            result_version: i64::from(settlement.result_version()),
            partner_id: settlement.partner.as_str(),
            partner_player_id: settlement.player.as_str(),
            target,
            stake_units: settlement.stake.units,
            payout_units,
            currency: settlement.stake.currency.as_str(),
            exponent: i32::from(settlement.stake.exponent),
            reason: settlement.reason.code(),
            previous_target,
            previous_payout_units,
            caused_at: settlement.caused_at,
        }
    }
}

impl<T: Text> TryFrom<SettlementRecord<T>> for Settlement {
    type Error = Unreadable;

    fn try_from(record: SettlementRecord<T>) -> Result<Self, Unreadable> {
        let settlement = Self {
            bet: record.bet_id.as_ref().parse()?,
            revision: crate::bets::small(record.revision, "revision")?,
            partner: record.partner_id.as_ref().parse()?,
            player: record.partner_player_id.as_ref().parse()?,
            stake: Money::new(
                record.stake_units,
                record.currency.as_ref().parse()?,
                i64::from(record.exponent),
            )?,
            target: Target::from_columns(record.target, record.payout_units)?,
            previous: Target::from_columns(record.previous_target, record.previous_payout_units)?,
            reason: Reason::ALL
                .iter()
                .copied()
                .find(|reason| reason.code() == record.reason.as_ref())
                .ok_or(Unreadable::Range("reason"))?,
            caused_at: record.caused_at,
        };
        if settlement.revision < REVISION_VOID {
            return Err(Unreadable::Range("revision"));
        }
        if settlement.bet.round_str() != record.round_id.as_ref() {
            return Err(Unreadable::Range("round_id"));
        }
        if i64::from(settlement.result_version()) != record.result_version {
            return Err(Unreadable::Range("result_version"));
        }
        if !settlement.is_id(record.settlement_id.as_ref()) {
            return Err(Unreadable::Range("settlement_id"));
        }
        Ok(settlement)
    }
}

#[cfg(test)]
mod tests;
