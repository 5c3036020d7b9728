//! How deliveries ended, by bet and revision.

use super::books::{Books, FactSaid};
use schemas::settlements::Settlement;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use std::collections::{BTreeMap, BTreeSet};

/// What partners and the dispatcher said last of each bet.
#[derive(Debug, Default)]
pub(super) struct Answers<'a> {
    /// The highest revision with a final answer in the store.
    last: BTreeMap<&'a str, i64>,
    /// (bet, revision) set aside.
    parked: BTreeSet<(&'a str, i64)>,
    /// Every final answer.
    pub(super) all: Vec<&'a DeliveryRecord>,
}

impl<'a> Answers<'a> {
    /// Reads the records and the facts. The fact is written behind the record, and of a final answer it alone counts.
    pub(super) fn of(books: &'a Books) -> Self {
        let mut answers = Self::default();
        let records = books.deliveries.iter().flatten().map(|(_, delivery)| (false, delivery));
        let facts = books.facts.iter().filter_map(|fact| match &fact.said {
            FactSaid::Delivered(delivery) => Some((true, delivery)),
            FactSaid::Decision(_)
            | FactSaid::Marker(_)
            | FactSaid::Tally(_)
            | FactSaid::Freeze(_)
            | FactSaid::Unreadable(_)
            | FactSaid::Admitted(_)
            | FactSaid::Close(_)
            | FactSaid::Repeated(_)
            | FactSaid::Broken(_) => None,
        });
        for (is_fact, delivery) in records.chain(facts) {
            let bet = delivery.bet_id.as_str();
            match delivery.outcome {
                DeliveryOutcome::Applied | DeliveryOutcome::Superseded => {
                    if is_fact {
                        let last = answers.last.entry(bet).or_insert(delivery.revision);
                        *last = (*last).max(delivery.revision);
                    }
                    answers.all.push(delivery);
                }
                DeliveryOutcome::Parked => {
                    answers.parked.insert((bet, delivery.revision));
                }
                DeliveryOutcome::Unknown => {}
            }
        }
        let set_aside = books.parked.iter().flatten();
        answers.parked.extend(
            set_aside.map(|(_, settlement)| (settlement.bet.as_str(), settlement.revision.into())),
        );
        answers
    }

    /// True if a final answer at this revision or above stands.
    pub(super) fn closed(&self, bet: &str, revision: u32) -> bool {
        self.last.get(bet).is_some_and(|last| i64::from(revision) <= *last)
    }

    /// True if it was set aside and no final answer closed it since.
    pub(super) fn parked(&self, settlement: &Settlement) -> bool {
        let bet = settlement.bet.as_str();
        self.parked.contains(&(bet, settlement.revision.into()))
            && !self.closed(bet, settlement.revision)
    }
}
