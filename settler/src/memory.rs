//! What a settler knows of one partition: a cache of facts and of the records behind them.

use crate::bets::Bets;
use planted::Bug;
use schemas::bets::{Bet, Intent};
use schemas::decisions::Decision;
use schemas::rounds::Outcome;
use schemas::wire::TallyRecord;
use schemas::{BetId, RoundId};
use settlement::Game;
use std::collections::BTreeMap;

/// A bet as the log has it so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BetState {
    /// Written down at offset `at`, not decided.
    Pending { intent: Intent, at: u64 },
    /// In.
    Accepted(Decision),
    /// Never was.
    Rejected(Decision),
    /// Taken back.
    Cancelled(Decision),
    /// Stopped by a broken invariant.
    Frozen(Known),
}

impl BetState {
    /// The bet, and its decision unless it has none or is frozen; `None` if nothing but its id is known.
    pub(crate) fn known(&self) -> Option<(&Bet, Option<&Decision>)> {
        match self {
            Self::Accepted(decision) | Self::Rejected(decision) | Self::Cancelled(decision) => {
                Some((&decision.bet, Some(decision)))
            }
            Self::Frozen(Known::Decision(decision)) => Some((&decision.bet, None)),
            Self::Frozen(Known::Intent(intent)) | Self::Pending { intent, .. } => {
                Some((&intent.bet, None))
            }
            Self::Frozen(Known::Nothing) => None,
        }
    }

    /// Takes the intent of a bet that is not decided. Its decision goes in the place; until then nothing is known.
    pub(crate) fn take_intent(&mut self) -> Option<Intent> {
        if !matches!(self, Self::Pending { .. }) {
            return None;
        }
        match std::mem::replace(self, Self::Frozen(Known::Nothing)) {
            Self::Pending { intent, .. } => Some(intent),
            Self::Accepted(_) | Self::Rejected(_) | Self::Cancelled(_) | Self::Frozen(_) => None,
        }
    }
}

/// What is known of a frozen bet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing but its id.
    Nothing,
    /// It was written down and not decided.
    Intent(Intent),
    /// Its last decision.
    Decision(Decision),
}

/// The rules a round was opened under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) game: Game,
}

/// Why a round is frozen whose bets in the store are not those that were tallied at its close (R5).
pub(crate) const DAMAGED: &str = "tally";

/// One round in this partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    pub(crate) rules: Option<Rules>,
    /// Offset of the first `closed`.
    pub(crate) closed_at: Option<u64>,
    /// The last marker's number.
    pub(crate) number: u32,
    /// The highest number of a marker that is known to stand in this partition, taken or not.
    pub(crate) seen: u32,
    /// Outcome and `said_at` of versions 1, 2, ...
    pub(crate) versions: Vec<(Outcome, i64)>,
    /// Why the whole round is frozen here.
    pub(crate) frozen: Option<String>,
    pub(crate) bets: Bets,
    /// The tally found in the store.
    pub(crate) tally: Option<TallyRecord>,
    /// Offset of the last record about the round.
    pub(crate) last_offset: u64,
}

impl Round {
    /// Whether it is frozen since its facts did not add up, whatever the store has by now.
    pub(crate) fn is_damaged(&self) -> bool {
        self.frozen.as_deref() == Some(DAMAGED)
    }
}

/// One partition.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) rounds: BTreeMap<RoundId, Round>,
    /// Intents without a decision, by offset, with the number of ticks read before each.
    pub(crate) undecided: BTreeMap<u64, (BetId, u64)>,
    /// Ticks read since this memory began; only differences count (R8).
    pub(crate) ticks: u64,
}

impl Memory {
    /// The offset that may be stored when everything below `read_to` has durable effects: never past an
    /// undecided intent (R1).
    pub(crate) fn storable(&self, read_to: u64) -> u64 {
        if planted::active(Bug::OffsetPastIntent) {
            return read_to;
        }
        self.undecided.keys().next().copied().unwrap_or(read_to).min(read_to)
    }

    /// Drops rounds whose records all lie below `stored`, the least recently named first, until at most
    /// `rounds_kept` are left. A dropped round is loaded again when a record names it (R2).
    pub(crate) fn evict(&mut self, stored: u64, rounds_kept: usize) {
        let over = self.rounds.len().saturating_sub(rounds_kept);
        if over == 0 {
            return;
        }
        let mut idle: Vec<(u64, RoundId)> = self
            .rounds
            .iter()
            .filter(|(_, round)| round.last_offset < stored)
            .map(|(id, round)| (round.last_offset, id.clone()))
            .collect();
        idle.sort();
        for (_, id) in idle.into_iter().take(over) {
            self.rounds.remove(&id);
        }
    }
}
