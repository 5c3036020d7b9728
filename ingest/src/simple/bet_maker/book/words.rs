//! What the book is told, what it is asked, and what it says.

use super::super::line::{Begin, Begun, BetLine};
use crate::tail::{Tail, rounds};
use bytes::Bytes;
use runtime::{EngineError, Millis, RecordLog, Source, Topic};
use schemas::catalogue::{BETS, DECISIONS};
use schemas::outgoing::Partitions;
use schemas::{BetId, ClientRef, PartnerId, PlayerId, RoundId};

/// What the book is told at its start.
#[derive(Clone, Debug)]
pub struct BookOptions {
    /// Whose bets.
    pub partner: PartnerId,
    /// Whose bets.
    pub player: PlayerId,
    /// What is read.
    pub tails: Vec<Tail>,
}

impl BookOptions {
    /// What concerns `player` of `partner`, from the lowest offsets kept.
    ///
    /// # Errors
    /// If the log does not tell its ranges.
    pub async fn read<L: RecordLog>(
        log: &L,
        partitions: Partitions,
        partner: PartnerId,
        player: PlayerId,
    ) -> Result<Self, EngineError> {
        let lane = partitions.of_partner(&partner);
        let own = [BETS, DECISIONS].map(|topic| Source { topic: Topic(topic), partition: lane });
        let tails = Tail::all(log, rounds(partitions).chain(own)).await?;
        Ok(Self { partner, player, tails })
    }
}

/// What may be asked of the book.
#[derive(Clone, Debug)]
pub enum Ask {
    /// The events that take bets now, as a JSON array.
    Events,
    /// An event, as a JSON object.
    Event(RoundId),
    /// Bets, newest first, that come after the place of the last one before.
    Bets {
        /// That place.
        after: Option<u64>,
        /// Bets wanted, at most [`super::PAGE_BETS_MAX`].
        limit: usize,
    },
    /// A bet.
    Bet(BetId),
    /// A bet, once its intent or, with `decided`, its decision has been read.
    Once {
        /// The bet.
        bet: BetId,
        /// Whether the decision is waited for.
        decided: bool,
    },
    /// Whether and at which odds a bet may be placed now.
    Begin(Begin),
    /// The bet begun under this key was not written down.
    NotTaken(ClientRef),
    /// How fresh the book is.
    Fresh,
}

/// What the book says.
#[derive(Clone, Debug)]
pub enum Told {
    /// It is still reading what was said before it began.
    Starting,
    /// JSON, and the moment (ms) up to which it is complete; no body if there is no such event.
    Json(Option<Bytes>, Millis),
    /// Bets, each with its place.
    Bets(Vec<(u64, BetLine)>),
    /// A bet, if there is one.
    Bet(Option<Box<BetLine>>),
    /// The answer to [`Ask::Begin`].
    Begun(Begun),
    /// The answer to [`Ask::NotTaken`].
    Noted,
    /// The moment (ms) up to which the book is complete.
    Fresh(Millis),
}
