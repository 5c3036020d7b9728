//! The decisions read lately, for repeats.

use schemas::BetId;
use schemas::decisions::{Decision, Verdict};
use std::collections::{BTreeMap, VecDeque};

/// Decisions by bet, the newest word of each; the bets read first go first.
#[derive(Debug)]
pub(super) struct Recent {
    kept_max: usize,
    decisions: BTreeMap<BetId, Decision>,
    order: VecDeque<BetId>,
}

/// What a decision adds to what was known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Learned {
    /// The bet's first decision here.
    First,
    /// Accepted before, cancelled now.
    Cancelled,
    /// Nothing.
    Nothing,
    /// It contradicts what was known; what was known stays.
    Conflict,
}

impl Recent {
    pub(super) fn new(kept_max: usize) -> Self {
        Self { kept_max, decisions: BTreeMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, bet: &BetId) -> Option<&Decision> {
        self.decisions.get(bet)
    }

    pub(super) fn learn(&mut self, decision: &Decision) -> Learned {
        let bet = &decision.bet.id;
        let Some(known) = self.decisions.get_mut(bet) else {
            self.decisions.insert(bet.clone(), decision.clone());
            self.order.push_back(bet.clone());
            while self.kept_max < self.order.len() {
                let Some(oldest) = self.order.pop_front() else { break };
                self.decisions.remove(&oldest);
            }
            return Learned::First;
        };
        let same_bet = known.bet.content_hash() == decision.bet.content_hash();
        match (&known.verdict, &decision.verdict) {
            (Verdict::Accepted, Verdict::Cancelled(_)) if same_bet => {
                *known = decision.clone();
                Learned::Cancelled
            }
            // A decision published again, also behind the cancel that followed it.
            (Verdict::Cancelled(_), Verdict::Accepted) if same_bet => Learned::Nothing,
            (known, said) if same_bet && known == said => Learned::Nothing,
            (
                Verdict::Accepted | Verdict::Rejected(_) | Verdict::Cancelled(_),
                Verdict::Accepted | Verdict::Rejected(_) | Verdict::Cancelled(_),
            ) => Learned::Conflict,
        }
    }
}
