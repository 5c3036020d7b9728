//! The decisions read lately, for repeats.

use schemas::decisions::{Decision, Verdict};
use schemas::{BetId, PartnerId, PlayerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Decisions by bet, the newest word of each; the bets read first go first.
#[derive(Debug)]
pub(super) struct Recent {
    kept_max: usize,
    decisions: BTreeMap<BetId, Decision>,
    order: VecDeque<BetId>,
    /// The same bets by player.
    players: BTreeMap<(PartnerId, PlayerId), BTreeSet<BetId>>,
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
        Self {
            kept_max,
            decisions: BTreeMap::new(),
            order: VecDeque::new(),
            players: BTreeMap::new(),
        }
    }

    /// The decisions of a player's bets.
    pub(super) fn of(&self, partner: &PartnerId, player: &PlayerId) -> Vec<Decision> {
        let bets = self.players.get(&(partner.clone(), player.clone()));
        let bets = bets.into_iter().flatten();
        bets.filter_map(|bet| self.decisions.get(bet)).cloned().collect()
    }

    pub(super) fn get(&self, bet: &BetId) -> Option<&Decision> {
        self.decisions.get(bet)
    }

    pub(super) fn learn(&mut self, decision: &Decision) -> Learned {
        let bet = &decision.bet.id;
        let Some(known) = self.decisions.get_mut(bet) else {
            self.decisions.insert(bet.clone(), decision.clone());
            self.order.push_back(bet.clone());
            self.players.entry(player(decision)).or_default().insert(bet.clone());
            while self.kept_max < self.order.len() {
                let Some(oldest) = self.order.pop_front() else { break };
                self.forget(&oldest);
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

    fn forget(&mut self, bet: &BetId) {
        let Some(decision) = self.decisions.remove(bet) else { return };
        let player = player(&decision);
        if let Some(bets) = self.players.get_mut(&player) {
            bets.remove(bet);
            if bets.is_empty() {
                self.players.remove(&player);
            }
        }
    }
}

/// Copies share their text.
fn player(decision: &Decision) -> (PartnerId, PlayerId) {
    (decision.bet.partner.clone(), decision.bet.player.clone())
}
