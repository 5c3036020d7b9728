//! Idempotency keys: what each stands for.
//!
//! The key is the bet's client reference, so it stands in the log with the bet; a bet's id covers its event
//! as well, which is why the same key on another event has to be noticed here. A bet that is on its way is
//! remembered until its intent has been read.

use super::super::line::{Begin, Begun};
use super::bets::Bets;
use super::events::Events;
use runtime::Millis;
use schemas::bets::Bet;
use schemas::{BetId, ClientRef, Odds, RoundId};
use std::collections::{BTreeMap, VecDeque};

/// Before every client reference that comes from a key.
pub(in super::super) const PREFIX: &str = "key-";
/// Keys remembered; above it those that sort first go. As many as there may be bets.
const KEYS_MAX: usize = 1_000_000;
/// How long a bet is on its way at most, in ms: longer than anybody waits for a decision.
const ON_THE_WAY_MS: i64 = 30_000;

/// A bet that was begun and whose intent has not been read.
#[derive(Debug)]
struct OnTheWay {
    event: RoundId,
    units: i64,
    odds: Odds,
    until: Millis,
    /// Calls with the key that were told these odds: one that is refused does not end the others.
    calls: usize,
}

/// What every key stands for.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bets: BTreeMap<ClientRef, BetId>,
    begun: BTreeMap<ClientRef, OnTheWay>,
    /// The keys begun in the order of their times, some of them gone already.
    begun_until: VecDeque<(Millis, ClientRef)>,
}

impl Keys {
    /// Takes an intent.
    pub(super) fn intended(&mut self, bet: &Bet) {
        if !bet.client_ref.as_str().starts_with(PREFIX) {
            return;
        }
        self.begun.remove(&bet.client_ref);
        // Two bets under one key can only come from two processes at once: the first stands.
        self.bets.entry(bet.client_ref.clone()).or_insert_with(|| bet.id.clone());
        while KEYS_MAX < self.bets.len() {
            self.bets.pop_first();
        }
    }

    /// What the key of `begin` says; `None` if it stands for nothing.
    pub(super) fn told(
        &mut self,
        now: Millis,
        begin: &Begin,
        bets: &Bets,
        events: &Events,
    ) -> Option<Begun> {
        let key = begin.key.as_ref()?;
        if let Some(row) = self.bets.get(key).and_then(|bet| bets.get(bet)) {
            let line = row.line(events)?;
            let same = line.bet.round() == begin.event && row.units() == begin.units;
            return Some(match (same, line.decided) {
                (false, _) => Begun::KeyReused,
                (true, true) => Begun::Placed(Box::new(line)),
                // The same bet again waits for its decision.
                (true, false) => Begun::At(line.odds),
            });
        }
        let begun = self.begun.get_mut(key).filter(|begun| now < begun.until)?;
        if begun.event != begin.event || begun.units != begin.units {
            return Some(Begun::KeyReused);
        }
        begun.calls += 1;
        Some(Begun::At(begun.odds))
    }

    /// Remembers that a bet is on its way at these odds.
    pub(super) fn begun(&mut self, now: Millis, begin: &Begin, odds: Odds) {
        let Some(key) = begin.key.clone() else { return };
        while let Some((_, old)) = self.begun_until.pop_front_if(|(until, _)| *until <= now) {
            if self.begun.get(&old).is_some_and(|begun| begun.until <= now) {
                self.begun.remove(&old);
            }
        }
        let (event, units) = (begin.event.clone(), begin.units);
        let until = now.saturating_add(ON_THE_WAY_MS);
        self.begun_until.push_back((until, key.clone()));
        self.begun.insert(key, OnTheWay { event, units, odds, until, calls: 1 });
    }

    /// Takes that a call with the key was refused before anything was written down. Once all of them were,
    /// the key stands for nothing.
    pub(super) fn not_taken(&mut self, key: &ClientRef) {
        let Some(begun) = self.begun.get_mut(key) else { return };
        begun.calls = begun.calls.saturating_sub(1);
        if begun.calls == 0 {
            self.begun.remove(key);
        }
    }
}
