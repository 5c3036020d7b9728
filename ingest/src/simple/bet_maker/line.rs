//! A bet as it is listed, and what bet-maker asks its book before it places one.

use super::super::event::Ending;
use schemas::decisions::RejectReason;
use schemas::{BetId, ClientRef, Odds, RoundId};

/// How a bet stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not decided, or no result stands.
    Pending,
    /// The first team won.
    Won,
    /// It did not.
    Lost,
    /// The stake goes back: the event does not count, or the bet was taken back.
    Void,
    /// The bet never was. Such a bet is not listed.
    Rejected(RejectReason),
}

impl Standing {
    /// How an accepted bet stands on an event that ended like this.
    pub(super) const fn of(ending: Ending) -> Self {
        match ending {
            Ending::None => Self::Pending,
            Ending::First => Self::Won,
            Ending::Second => Self::Lost,
            Ending::Void => Self::Void,
        }
    }

    /// The word in the API.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Void => "void",
            Self::Rejected(_) => "rejected",
        }
    }
}

/// A bet as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetLine {
    /// The bet; names its event.
    pub bet: BetId,
    /// The stake in minor units.
    pub units: i64,
    /// The odds it was placed at.
    pub odds: Odds,
    /// When it was placed, ms since the Unix epoch, UTC.
    pub placed_at: i64,
    /// Whether the settler has decided it.
    pub decided: bool,
    /// How it stands.
    pub standing: Standing,
}

/// A bet that somebody wants to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// The event.
    pub event: RoundId,
    /// The stake in minor units.
    pub units: i64,
    /// The name that the caller's key gives the bet; `None` if the caller gave no key.
    pub key: Option<ClientRef>,
}

/// Whether a bet may be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// At these odds.
    At(Odds),
    /// It was placed and decided before, under the same key.
    Placed(Box<BetLine>),
    /// The key stands for another bet.
    KeyReused,
    /// There is no such event.
    EventUnknown,
    /// The event takes no bets any more.
    NotBetting,
    /// Its deadline has passed.
    DeadlinePassed,
}
