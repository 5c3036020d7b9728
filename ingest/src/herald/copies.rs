//! Copies of admitted records, in waves: marker n + 1, the verdict and `sealed` wait until the copies of
//! marker n are acknowledged in every partition (R7, R22).

use super::Admitted;
use planted::Bug;
use runtime::{Append, Batch, Fact};
use schemas::RoundId;
use schemas::bets::{BetEvent, BetSaid, Marker, MarkerBody};
use schemas::frame::FrameError;
use schemas::outgoing::{self, Partitions};
use schemas::rounds::{RoundEvent, RoundSaid};
use std::collections::{BTreeMap, BTreeSet};

/// The marker that copies an admitted record; `None` if the record is none.
pub(super) fn marker(event: &RoundEvent, admitted: Admitted) -> Option<BetEvent> {
    let body = match &event.said {
        RoundSaid::Opened(opened) => MarkerBody::Opened {
            game: opened.game.clone(),
            rules_version: opened.rules_version,
            selections: opened.offers.iter().map(|offer| offer.selection.clone()).collect(),
        },
        RoundSaid::Closed => MarkerBody::Closed,
        RoundSaid::Version { outcome, .. } => {
            MarkerBody::Version { version: admitted.version, outcome: outcome.clone() }
        }
        RoundSaid::Amended { .. }
        | RoundSaid::Closing
        | RoundSaid::Sealed
        | RoundSaid::Proposed { .. }
        | RoundSaid::Rejected { .. }
        | RoundSaid::Verdict(_) => return None,
    };
    Some(BetEvent {
        round: Some(event.round.clone()),
        said_at: event.said_at,
        said: BetSaid::Marker(Marker { number: admitted.number, body }),
    })
}

/// The facts and records of one batch of judgements, in waves.
#[derive(Debug, Default)]
pub(super) struct Waves {
    facts: Vec<Fact>,
    records: Vec<Vec<Append>>,
    /// The wave in which the round's next record may go out.
    next: BTreeMap<String, usize>,
    sealed: BTreeSet<String>,
}

impl Waves {
    pub(super) fn fact(&mut self, fact: Fact) {
        self.facts.push(fact);
    }

    /// Copies a marker to every partition; what the round says next waits for all of them.
    pub(super) fn copies(
        &mut self,
        round: &RoundId,
        marker: &BetEvent,
        partitions: Partitions,
    ) -> Result<(), FrameError> {
        for partition in 0..partitions.lanes {
            let append = Append::from(outgoing::bet(marker, partition)?.into_parts());
            self.say(round, append);
        }
        if let BetSaid::Marker(Marker { body: MarkerBody::Closed, .. }) = marker.said {
            self.sealed.insert(round.to_string());
        }
        if !planted::active(Bug::MarkerUnacknowledged) {
            *self.next.entry(round.to_string()).or_default() += 1;
        }
        Ok(())
    }

    /// A record of the round, behind all copies of it so far.
    pub(super) fn say(&mut self, round: &RoundId, append: Append) {
        let wave = self.next.get(round.as_str()).copied().unwrap_or_default();
        self.push(wave, append);
    }

    /// A record in the last wave: behind all copies whose next record has a wave already.
    pub(super) fn last(&mut self, append: Append) {
        self.push(self.records.len().saturating_sub(1), append);
    }

    /// Whether this batch already says that the round is sealed.
    pub(super) fn says_sealed(&self, round: &str) -> bool {
        self.sealed.contains(round)
    }

    fn push(&mut self, wave: usize, append: Append) {
        if self.records.len() <= wave {
            self.records.resize_with(wave + 1, Vec::new);
        }
        if let Some(records) = self.records.get_mut(wave) {
            records.push(append);
        }
    }

    pub(super) fn into_batch(self) -> Batch {
        Batch { facts: vec![self.facts], records: self.records, ..Batch::default() }
    }
}
