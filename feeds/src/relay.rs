//! A feed adapter: carries what a source says of rounds over HTTP into the rounds API.
//!
//! The source answers `GET <source>?after=<cursor>` with a page: events, each with an id, a round and the
//! body of the API's call, and the cursor of the next page (`docs/feeds.md`). The adapter says the events
//! of one round one after the other and those of different rounds at the same time; each is repeated until
//! the herald's word is there, a result through `not_sealed`. The request's id follows from the event's, so
//! whatever is read or said twice counts once. The cursor is stored once everything before it has its
//! answer: a crash reads again, and loses nothing.

mod page;
mod run;
#[cfg(test)]
mod tests;

pub use page::{Event, PageError, What};
pub use run::{RelayError, RelayOptions, run};

use page::Page;
use schemas::RoundId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Events in hand above which nothing more is read. One that waits for its round to be sealed holds up
/// only its own round, so this is how far the source may be ahead of the slowest.
const EVENTS_MAX: usize = 10_000;

/// An event's place: the number of its page, and its index there.
pub(crate) type Place = (u64, usize);

/// What is in hand, in order. No IO.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    /// Events of each round that have no answer, the oldest first.
    rounds: BTreeMap<RoundId, VecDeque<(Place, Event)>>,
    /// Rounds whose oldest event is being said.
    saying: BTreeSet<RoundId>,
    /// Pages with events that have no answer: how many, and the cursor behind them.
    pages: BTreeMap<u64, (usize, String)>,
    pages_read: u64,
    /// Where to read on.
    read_to: String,
    /// Everything before it has its answer.
    done_to: String,
}

impl Relay {
    /// An adapter that begins behind `cursor`; empty for the beginning.
    pub(crate) fn new(cursor: String) -> Self {
        Self { read_to: cursor.clone(), done_to: cursor, ..Self::default() }
    }

    /// The cursor to be read behind, unless too much is in hand.
    pub(crate) fn wants(&self) -> Option<&str> {
        let in_hand: usize = self.pages.values().map(|(left, _)| left).sum();
        (in_hand < EVENTS_MAX).then_some(self.read_to.as_str())
    }

    /// Everything before this cursor has its answer.
    pub(crate) fn done_to(&self) -> &str {
        &self.done_to
    }

    /// Takes what the source answered. Whether it was anything new.
    pub(crate) fn take(&mut self, page: Page) -> bool {
        let fresh = page.next != self.read_to;
        if !fresh && page.events.is_empty() {
            return false;
        }
        let number = self.pages_read;
        self.pages_read += 1;
        self.read_to.clone_from(&page.next);
        self.pages.insert(number, (page.events.len(), page.next));
        for (index, event) in page.events.into_iter().enumerate() {
            let of_round = self.rounds.entry(event.round_id.clone()).or_default();
            of_round.push_back(((number, index), event));
        }
        self.advance();
        fresh
    }

    /// The events that can be said now: the oldest of every round that none is being said of.
    pub(crate) fn ready(&mut self) -> Vec<Event> {
        let ready: Vec<Event> = self
            .rounds
            .iter()
            .filter(|(round, _)| !self.saying.contains(*round))
            .filter_map(|(_, events)| events.front().map(|(_, event)| event.clone()))
            .collect();
        self.saying.extend(ready.iter().map(|event| event.round_id.clone()));
        ready
    }

    /// The oldest event of `round` has its answer.
    pub(crate) fn answered(&mut self, round: &RoundId) {
        self.saying.remove(round);
        let Some(events) = self.rounds.get_mut(round) else { return };
        if let Some(((page, _), _)) = events.pop_front()
            && let Some((left, _)) = self.pages.get_mut(&page)
        {
            *left -= 1;
        }
        if events.is_empty() {
            self.rounds.remove(round);
        }
        self.advance();
    }

    fn advance(&mut self) {
        while let Some(first) = self.pages.first_entry()
            && first.get().0 == 0
        {
            self.done_to = first.remove().1;
        }
    }
}
