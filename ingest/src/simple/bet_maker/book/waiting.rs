//! Askers who wait for something to be read.

use super::super::line::Begin;
use super::Book;
use runtime::{Effect, Millis};
use schemas::{BetId, RoundId};
use std::collections::BTreeMap;

/// What an asker waits for.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// The event of a bet.
    Event(Begin),
    /// A bet.
    Bet {
        bet: BetId,
        /// Whether its decision is waited for.
        decided: bool,
    },
}

/// The askers, each with its token and the number of its timer.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    askers: BTreeMap<u64, (u64, Wanted)>,
    of_event: BTreeMap<RoundId, Vec<u64>>,
    of_bet: BTreeMap<BetId, Vec<u64>>,
    count: u64,
}

impl Waiting {
    /// Lets the asker wait until `until`; the effect is its timer.
    pub(super) fn wait(&mut self, token: u64, wanted: Wanted, until: Millis) -> Effect<Book> {
        self.count += 1;
        match &wanted {
            Wanted::Event(begin) => {
                self.of_event.entry(begin.event.clone()).or_default().push(self.count);
            }
            Wanted::Bet { bet, .. } => {
                self.of_bet.entry(bet.clone()).or_default().push(self.count);
            }
        }
        self.askers.insert(self.count, (token, wanted));
        Effect::Timer { token: self.count, at: until }
    }

    /// Everybody who waits for the event.
    pub(super) fn take_of_event(&mut self, event: &RoundId) -> Vec<(u64, Wanted)> {
        let numbers = self.of_event.remove(event).unwrap_or_default();
        numbers.into_iter().filter_map(|number| self.askers.remove(&number)).collect()
    }

    /// Everybody who waits for the bet, or, unless it is `decided`, those who wait for no decision.
    pub(super) fn take_of_bet(&mut self, bet: &BetId, decided: bool) -> Vec<(u64, Wanted)> {
        let Some(numbers) = self.of_bet.get_mut(bet) else { return Vec::new() };
        let askers = &mut self.askers;
        let waits_on = |number: &u64| {
            matches!(askers.get(number), Some((_, Wanted::Bet { decided: true, .. }))) && !decided
        };
        let (stay, go): (Vec<u64>, Vec<u64>) = numbers.iter().partition(|number| waits_on(number));
        if stay.is_empty() {
            self.of_bet.remove(bet);
        } else {
            *numbers = stay;
        }
        go.into_iter().filter_map(|number| self.askers.remove(&number)).collect()
    }

    /// The asker whose timer has come, if it still waits.
    pub(super) fn give_up(&mut self, number: u64) -> Option<(u64, Wanted)> {
        let (token, wanted) = self.askers.remove(&number)?;
        match &wanted {
            Wanted::Event(begin) => forget(&mut self.of_event, &begin.event, number),
            Wanted::Bet { bet, .. } => forget(&mut self.of_bet, bet, number),
        }
        Some((token, wanted))
    }
}

fn forget<K: Ord>(of: &mut BTreeMap<K, Vec<u64>>, key: &K, number: u64) {
    let Some(numbers) = of.get_mut(key) else { return };
    numbers.retain(|known| *known != number);
    if numbers.is_empty() {
        of.remove(key);
    }
}
