//! What becomes durable, one batch at a time.
//!
//! While a batch is on its way, what other chunks bring is collected for the next: the slower the
//! engine, the larger the batches. An offset goes with the batch that frees it and never before, since
//! no batch is issued before the one ahead of it is durable.

use super::Dispatcher;
use crate::book::{Stage, home};
use crate::offsets::Place;
use crate::output::Output;
use runtime::{Batch, Effect};
use schemas::frame::FrameError;
use std::collections::{BTreeSet, VecDeque};

/// What waits to become durable, and what is on its way.
#[derive(Debug, Default)]
pub(super) struct Writer {
    waiting: VecDeque<(Subject, Output)>,
    /// Moves of items to a tier. Few go with a batch: a round of a partner that is away would make all others wait for one
    /// large write.
    moves: VecDeque<(u64, Output)>,
    /// The token of the batch on its way, and the items it ends.
    on_its_way: Option<(u64, BTreeSet<u64>)>,
}

/// Whose output it is.
#[derive(Debug)]
enum Subject {
    Item(u64),
    /// A record that is no item.
    Record(Place),
}

impl Writer {
    /// Output about a record that is no item.
    pub(super) fn note(&mut self, place: Place, output: Output) {
        self.waiting.push_back((Subject::Record(place), output));
    }

    /// What waits to be written and is not on its way.
    pub(super) fn waiting_count(&self) -> usize {
        self.waiting.len() + self.moves.len()
    }

    /// Whether the end of this item is being made durable just now.
    pub(super) fn is_on_its_way(&self, item: u64) -> bool {
        self.on_its_way.as_ref().is_some_and(|(_, items)| items.contains(&item))
    }
}

impl Dispatcher {
    /// Takes the output that ends an item here, or moves it to a tier. Output that cannot be written leaves the item
    /// undone: the offset stays before it, and people are told.
    pub(super) fn settle_output(&mut self, id: u64, output: Result<Output, FrameError>) {
        let moves = self.book.get(id).is_some_and(|item| item.stage == Stage::Moving);
        match output {
            Ok(output) if moves => self.writer.moves.push_back((id, output)),
            Ok(output) => self.writer.waiting.push_back((Subject::Item(id), output)),
            Err(error) => {
                let name = self.book.get(id).map(|item| item.settlement.id()).unwrap_or_default();
                self.alarm("unwritable", format!("{name}: {error}"));
            }
        }
    }

    /// Issues the next batch, if none is on its way and there is something to write or to store.
    pub(super) fn write(&mut self) {
        if self.writer.on_its_way.is_some() {
            return;
        }
        let limits = self.options.limits;
        let Writer { waiting, moves, .. } = &mut self.writer;
        let moves = moves.drain(..moves.len().min(limits.moves_applied_max));
        let outputs: Vec<(Subject, Output)> = waiting
            .drain(..waiting.len().min(limits.apply_items_max))
            .chain(moves.map(|(id, output)| (Subject::Item(id), output)))
            .collect();
        let mut ids = BTreeSet::new();
        let (mut closing, mut records) =
            (Vec::with_capacity(outputs.len()), Vec::with_capacity(outputs.len()));
        for (subject, output) in outputs {
            closing.extend(output.facts);
            records.extend(output.records);
            match subject {
                Subject::Item(id) => {
                    self.count_in_tier(id);
                    self.book.goes(id);
                    ids.insert(id);
                }
                Subject::Record(place) => self.book.offsets.done(place),
            }
        }
        let offsets = self.book.offsets.take_risen();
        let batch = Batch { records: vec![records], closing, offsets, ..Batch::default() };
        if !batch.is_empty() {
            let token = self.token();
            self.writer.on_its_way = Some((token, ids));
            self.effects.push(Effect::Apply { token, batch });
        }
    }

    /// An item is about to stand in a tier. It is counted now: its record may be read before it is known here
    /// that it is durable.
    fn count_in_tier(&mut self, id: u64) {
        let Some(item) = self.book.get(id).filter(|item| item.stage == Stage::Moving) else {
            return;
        };
        let ((name, traffic), tier) = (home(item), item.tier);
        let failed = item.retried_since.map(|_| item.settlement.clone());
        let partner = self.partner(&name);
        if let Some(tier) = tier {
            partner.tier_unread[tier.index()] += 1;
        }
        if let Some(settlement) = failed {
            partner.queue(traffic).failed.put(&settlement);
        }
    }

    /// The batch is durable: its items leave the memory.
    pub(super) fn applied(&mut self, token: u64) {
        if self.writer.on_its_way.as_ref().is_none_or(|(on_its_way, _)| *on_its_way != token) {
            return;
        }
        let Some((_, ids)) = self.writer.on_its_way.take() else { return };
        for id in ids {
            let moved = self.book.done(id).filter(|item| item.stage == Stage::Moving);
            if let Some((name, traffic)) = moved.filter(|item| item.aside).map(|item| home(&item)) {
                let queue = self.partner(&name).queue(traffic);
                queue.moving = queue.moving.saturating_sub(1);
            }
        }
    }
}
