//! What bet placing is asked, and what it tells.

use super::options::PartnerEntry;
use runtime::Millis;
use schemas::bets::Bet;
use schemas::decisions::{CancelRefused, Decision};
use schemas::{BetId, ClientRef, Money, Odds, PartnerId, PlayerId, RequestId, RoundId, Selection};
use std::fmt;

/// A player's token, as the client gave it. Goes to the partner and nowhere else: it has no `Display`,
/// and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

impl SessionToken {
    /// Wraps the token.
    pub fn new(token: String) -> Self {
        Self(token)
    }

    pub(super) fn into_inner(self) -> String {
        self.0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(..)")
    }
}

/// A bet that a player wants to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The bookmaker, from the credential.
    pub partner: PartnerId,
    /// The player, from the credential.
    pub player: PlayerId,
    /// The client's own name for the bet: with round, partner and player it names the bet.
    pub client_ref: ClientRef,
    /// The round.
    pub round: RoundId,
    /// What is bet on.
    pub selection: Selection,
    /// The stake.
    pub stake: Money,
    /// The odds the player saw.
    pub odds: Odds,
    /// The player's token, for the partner.
    pub session_token: SessionToken,
}

impl Place {
    /// The bet that this request names, whatever else it says (R12).
    pub fn bet_id(&self) -> BetId {
        BetId::of(&self.round, &self.partner, &self.player, &self.client_ref)
    }

    /// The bet as of `placed_at`; the rules version is the round's to say.
    pub(super) fn bet(&self, placed_at: Millis) -> Bet {
        Bet {
            id: self.bet_id(),
            partner: self.partner.clone(),
            player: self.player.clone(),
            client_ref: self.client_ref.clone(),
            selection: self.selection.clone(),
            stake: self.stake,
            odds: self.odds,
            rules_version: 0,
            placed_at,
        }
    }
}

/// A bet that a player wants back.
///
/// A bet in memory is compared with `partner` and `player`; of any other the log knows only the
/// partner, so whoever asks has to know that the bet is the player's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cancel {
    /// The bet.
    pub bet: BetId,
    /// The bookmaker, from the credential.
    pub partner: PartnerId,
    /// The player, from the credential.
    pub player: PlayerId,
    /// Names the request.
    pub request: RequestId,
}

/// Something about the world that bet placing cannot see in its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A partner is this from now on.
    Partner(PartnerId, PartnerEntry),
    /// How far this machine's clock is from the true time, in ms, positive if it is ahead.
    ClockOffset(Millis),
}

/// What bet placing is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Place a bet.
    Place(Place),
    /// Take a bet back.
    Cancel(Cancel),
    /// The decisions of a player's bets that were read lately.
    Recent(PartnerId, PlayerId),
    /// Whether everything was read that was said before this machine began: [`Told::Started`] if so.
    Started,
    /// Take note.
    Note(Note),
}

/// What the asker is told, once per request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The settler's decision (R13). Final.
    Decided(Decision),
    /// The settler refused the cancel. Final for this request.
    CancelRefused(CancelRefused),
    /// No decision came in time; it will, and `GET /v1/bets/{id}` shows it.
    Undecided {
        /// The bet.
        bet: BetId,
    },
    /// The bet exists, or is on its way, with another content (R12).
    ReferenceReused {
        /// The bet.
        bet: BetId,
    },
    /// Refused without the log, and so never final (R13).
    NotTaken {
        /// Why.
        code: NotTaken,
        /// For people.
        detail: String,
    },
    /// Asked by [`Ask::Recent`]: the newest decision of each bet, ordered by bet.
    Recent(Vec<Decision>),
    /// A [`Note`] was taken.
    Noted,
    /// Bets are taken.
    Started,
}

/// Why a request was refused without the log. None of these says that the bet does not exist (R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotTaken {
    /// What was said before this process began is still being read.
    Starting,
    /// The partner is not known here.
    PartnerUnknown,
    /// Betting is paused for the partner.
    BettingPaused,
    /// The partner takes no bets in this currency, or with another exponent.
    CurrencyUnknown,
    /// The round is not known here.
    RoundUnknown,
    /// The round does not take bets, or not any more.
    NotBetting,
    /// By this clock the deadline has passed, or is too near for the partner to be asked.
    DeadlinePassed,
    /// The round has no such selection.
    SelectionUnknown,
    /// The odds are others now.
    OddsChanged,
    /// The stake is outside the partner's limits.
    StakeLimit,
    /// The payout would be above the partner's limit, or cannot be held as money.
    PayoutLimit,
    /// The open payouts of the round would be above the partner's limit.
    LiabilityLimit,
    /// A cancel of a bet that is not this player's.
    BetUnknown,
    /// Too much is in flight.
    Overloaded,
    /// The log has no room.
    StorageFull,
    /// The log did not acknowledge; what was asked may still land.
    StorageUnavailable,
    /// This machine's clock is too far off to keep a deadline.
    ClockOffset,
    /// What was asked cannot be written down.
    Unencodable,
}

impl NotTaken {
    /// Every code.
    pub const ALL: &[Self] = &[
        Self::Starting,
        Self::PartnerUnknown,
        Self::BettingPaused,
        Self::CurrencyUnknown,
        Self::RoundUnknown,
        Self::NotBetting,
        Self::DeadlinePassed,
        Self::SelectionUnknown,
        Self::OddsChanged,
        Self::StakeLimit,
        Self::PayoutLimit,
        Self::LiabilityLimit,
        Self::BetUnknown,
        Self::Overloaded,
        Self::StorageFull,
        Self::StorageUnavailable,
        Self::ClockOffset,
        Self::Unencodable,
    ];

    /// The stable code on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::PartnerUnknown => "partner_unknown",
            Self::BettingPaused => "betting_paused",
            Self::CurrencyUnknown => "currency_unknown",
            Self::RoundUnknown => "round_unknown",
            Self::NotBetting => "not_betting",
            Self::DeadlinePassed => "deadline_passed",
            Self::SelectionUnknown => "selection_unknown",
            Self::OddsChanged => "odds_changed",
            Self::StakeLimit => "stake_limit",
            Self::PayoutLimit => "payout_limit",
            Self::LiabilityLimit => "liability_limit",
            Self::BetUnknown => "bet_unknown",
            Self::Overloaded => "overloaded",
            Self::StorageFull => "storage_full",
            Self::StorageUnavailable => "storage_unavailable",
            Self::ClockOffset => "clock_offset",
            Self::Unencodable => "unencodable",
        }
    }
}

/// A refusal on its way to [`Told::NotTaken`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: NotTaken,
    pub(super) detail: String,
}

impl Refusal {
    pub(super) fn new(code: NotTaken, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<Refusal> for Told {
    fn from(refusal: Refusal) -> Self {
        Self::NotTaken { code: refusal.code, detail: refusal.detail }
    }
}
