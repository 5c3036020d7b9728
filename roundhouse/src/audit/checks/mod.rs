//! The invariants of DESIGN 9, each checked by name against the definitions.

mod decisions;
mod deliveries;
mod facts;
mod money;
mod offsets;
mod rounds;
mod settlements;
mod wallets;

use super::answers::Answers;
use super::books::{Books, Movement};
use super::definition::Stories;
use super::report::{Finding, Totals};
use std::collections::BTreeMap;

pub(super) use crate::engine::{DISPATCHER, HERALD, SETTLER};

/// What every check looks at.
pub(super) struct Scene<'a> {
    pub(super) books: &'a Books,
    pub(super) stories: &'a Stories<'a>,
    pub(super) answers: Answers<'a>,
    /// Movements by bet, in the journal's order.
    pub(super) movements: BTreeMap<&'a str, Vec<&'a Movement>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(books: &'a Books, stories: &'a Stories<'a>) -> Self {
        let mut movements: BTreeMap<&str, Vec<&Movement>> = BTreeMap::new();
        for movement in books.journals.iter().flat_map(BTreeMap::values).flatten() {
            movements.entry(movement.bet.as_str()).or_default().push(movement);
        }
        Self { books, stories, answers: Answers::of(books), movements }
    }

    /// True if the settler's effects of the record at `at` must be durable.
    pub(super) fn due(&self, partition: u32, at: u64) -> bool {
        at < self.books.stored(SETTLER, schemas::catalogue::BETS, partition)
    }

    /// True if what is said of the bet cannot be judged: frozen, or of a round before the log begins.
    pub(super) fn exempt(&self, partition: u32, bet: &str) -> bool {
        let round = bet.split(':').next().unwrap_or_default();
        let frozen = self.stories.bets.get(bet).is_some_and(|story| story.frozen.is_some());
        let stopped = usize::try_from(partition).ok().and_then(|p| self.stories.log.get(p));
        let unread = stopped.and_then(|log| log.bets.get(bet)).is_some_and(|b| b.stopped.is_some());
        frozen || unread || self.stories.left_out.contains(&(partition, round))
    }
}

/// Every invariant, and the totals by partner and currency.
pub(super) fn run(scene: &Scene<'_>) -> (Vec<Finding>, BTreeMap<String, Totals>) {
    let (mut findings, totals) = money::check(scene);
    findings.extend(wallets::check(scene));
    findings.extend(decisions::check(scene));
    findings.extend(settlements::check(scene));
    findings.extend(rounds::check(scene));
    findings.extend(facts::check(scene));
    findings.extend(offsets::check(scene));
    findings.extend(deliveries::check(scene));
    (findings, totals)
}
