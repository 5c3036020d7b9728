//! The bets, by the place of their intents in the log.

use super::super::line::{BetLine, Standing};
use super::events::Events;
use schemas::bets::Bet;
use schemas::decisions::{Decision, RejectReason, Verdict};
use schemas::{BetId, Odds};
use std::collections::BTreeMap;

/// Bets kept, about 300 bytes each. Above it the oldest leave the list.
const BETS_MAX: usize = 1_000_000;

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Decided {
    NotYet,
    Accepted,
    Rejected(RejectReason),
    Cancelled,
}

/// One bet.
#[derive(Debug)]
pub(super) struct Row {
    bet: BetId,
    units: i64,
    odds: Odds,
    placed_at: i64,
    decided: Decided,
}

impl Row {
    fn of(bet: &Bet) -> Self {
        Self {
            bet: bet.id.clone(),
            units: bet.stake.units,
            odds: bet.odds,
            placed_at: bet.placed_at,
            decided: Decided::NotYet,
        }
    }

    /// The stake in minor units.
    pub(super) fn units(&self) -> i64 {
        self.units
    }

    /// Whether its decision has been read.
    pub(super) fn is_decided(&self) -> bool {
        self.decided != Decided::NotYet
    }

    /// The bet as it stands now; `None` if its event is not known: it was let go, or was never an event.
    pub(super) fn line(&self, events: &Events) -> Option<BetLine> {
        let of_event = events.standing(&self.bet.round())?;
        let standing = match &self.decided {
            Decided::NotYet => Standing::Pending,
            Decided::Accepted => of_event,
            Decided::Rejected(reason) => Standing::Rejected(reason.clone()),
            Decided::Cancelled => Standing::Void,
        };
        Some(BetLine {
            bet: self.bet.clone(),
            units: self.units,
            odds: self.odds,
            placed_at: self.placed_at,
            decided: self.is_decided(),
            standing,
        })
    }

    fn is_listed(&self) -> bool {
        match self.decided {
            Decided::NotYet | Decided::Accepted | Decided::Cancelled => true,
            Decided::Rejected(_) => false,
        }
    }
}

/// All bets.
#[derive(Debug, Default)]
pub(super) struct Bets {
    /// By the offset of the intent.
    rows: BTreeMap<u64, Row>,
    places: BTreeMap<BetId, u64>,
}

impl Bets {
    /// Takes an intent; the first one of a bet counts (R12).
    pub(super) fn intended(&mut self, at: u64, bet: &Bet) {
        if self.places.contains_key(&bet.id) {
            return;
        }
        self.places.insert(bet.id.clone(), at);
        self.rows.insert(at, Row::of(bet));
        while BETS_MAX < self.rows.len() {
            let Some((_, oldest)) = self.rows.pop_first() else { return };
            self.places.remove(&oldest.bet);
        }
    }

    /// Takes a decision, also one that is read before its intent.
    pub(super) fn decided(&mut self, decision: &Decision) {
        if let Some(at) = decision.intent_at {
            self.intended(at, &decision.bet);
        }
        let at = self.places.get(&decision.bet.id);
        let Some(row) = at.and_then(|at| self.rows.get_mut(at)) else { return };
        let decided = match &decision.verdict {
            Verdict::Accepted => Decided::Accepted,
            Verdict::Rejected(reason) => Decided::Rejected(reason.clone()),
            Verdict::Cancelled(_) => Decided::Cancelled,
        };
        // A decision may be published again, also behind the cancel that followed it.
        match (&row.decided, &decided) {
            (Decided::NotYet, _) | (Decided::Accepted, Decided::Cancelled) => row.decided = decided,
            (Decided::Accepted | Decided::Rejected(_) | Decided::Cancelled, _) => {}
        }
    }

    /// A bet, also a rejected one.
    pub(super) fn get(&self, bet: &BetId) -> Option<&Row> {
        self.places.get(bet).and_then(|at| self.rows.get(at))
    }

    /// Up to `limit` listed bets, newest first, that stand before `after`.
    pub(super) fn page(
        &self,
        after: Option<u64>,
        limit: usize,
        events: &Events,
    ) -> Vec<(u64, BetLine)> {
        let older = self.rows.range(..after.unwrap_or(u64::MAX)).rev();
        let listed = older.filter(|(_, row)| row.is_listed());
        listed.filter_map(|(at, row)| Some((*at, row.line(events)?))).take(limit).collect()
    }
}
