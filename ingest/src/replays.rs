//! What the API asks of whoever can read bets, for a partner that wants to be told again what it confirmed.

use crate::corrections::NotShown;
use schemas::{BetId, PartnerId, RoundId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use thiserror::Error;
use utoipa::ToSchema;

/// What is to be told again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// Who asks.
    pub partner: PartnerId,
    /// Names the request.
    pub request: String,
    /// Rounds, with the bets of each; none named: all of the partner's.
    pub rounds: BTreeMap<RoundId, BTreeSet<BetId>>,
}

/// What came of it, in bets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Replayed {
    /// Their newest revision is told again.
    pub told_again: u64,
    /// You were told nothing of them but the request for the stake.
    pub held: u64,
    /// You have not confirmed their newest revision: it comes by itself.
    pub owed: u64,
    /// Their newest revision is parked: people look at it.
    pub parked: u64,
    /// They are frozen: people look at them.
    pub frozen: u64,
    /// You answered their newest revision 10 times: ask us.
    pub told_often: u64,
}

/// Why nothing is told again.
#[derive(Debug, Error)]
pub enum NotReplayed {
    /// A bet that is none of the partner's.
    #[error("no bet {0} of yours is known here")]
    Bet(BetId),
    /// A round without bets of the partner.
    #[error("no round {0} with bets of yours is known here")]
    Round(RoundId),
    /// Not now.
    #[error(transparent)]
    Later(NotShown),
}

/// An answer that takes a while.
pub type Replaying<'a> = Pin<Box<dyn Future<Output = Result<Replayed, NotReplayed>> + Send + 'a>>;

/// Says settlements again.
pub trait Replays: Send + Sync {
    /// Says the newest settlement of each of these bets again, as far as it is confirmed.
    fn say_again(&self, replay: Replay) -> Replaying<'_>;
}
