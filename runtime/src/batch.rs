//! What a loop wants to become durable, and the order in which it does (R3).

use crate::{Append, Fact, Source};
use planted::Bug;

/// An offset to be stored for the group that owns the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreOffset {
    /// The partition read.
    pub source: Source,
    /// The next record to be read after a restart: everything below has its effects durable (R1).
    pub offset: u64,
}

/// The durable effects of one input, or of a batch of records.
///
/// Waves are lists whose members may become durable in any order; a wave begins only when all of the
/// one before it is durable and acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Facts, in waves.
    pub facts: Vec<Vec<Fact>>,
    /// Records, in waves. Within a wave, records of one partition keep their order.
    pub records: Vec<Vec<Append>>,
    /// Facts that close something: who finds one does not say again what the records say, so they are written behind them.
    pub closing: Vec<Fact>,
    /// Offsets to store last.
    pub offsets: Vec<StoreOffset>,
    /// Whether this begins new work, which is refused when room runs short so that what is under way
    /// can be finished. Only a batch of records alone can be.
    pub begins_work: bool,
}

/// One step of a batch. The next begins when this one is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write these facts.
    Facts(Vec<Fact>),
    /// Append these records and wait for every acknowledgement.
    Records(Vec<Append>),
    /// Store these offsets.
    Offsets(Vec<StoreOffset>),
}

impl Batch {
    /// A batch of records alone, in one wave.
    pub fn of_records(records: Vec<Append>) -> Self {
        Self { records: vec![records], ..Self::default() }
    }

    /// A batch of records that begins new work: the first to be refused when room runs short.
    pub fn of_new_work(records: Vec<Append>) -> Self {
        Self { begins_work: true, ..Self::of_records(records) }
    }

    /// True if there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.facts.iter().all(Vec::is_empty)
            && self.records.iter().all(Vec::is_empty)
            && self.closing.is_empty()
            && self.offsets.is_empty()
    }

    /// True for records in one wave and nothing else.
    pub(crate) fn is_of_records_alone(&self) -> bool {
        self.facts.iter().all(Vec::is_empty)
            && self.records.len() <= 1
            && self.closing.is_empty()
            && self.offsets.is_empty()
    }

    /// The order of R3: facts durable, then records acknowledged, then what closes them, then the offset.
    ///
    /// Every engine follows these steps, whether one by one or inside one transaction, and so does
    /// the simulation; no other code knows the order.
    pub fn steps(self) -> Vec<Step> {
        let mut steps = Vec::with_capacity(self.facts.len() + self.records.len() + 2);
        steps.extend(self.facts.into_iter().map(Step::Facts));
        steps.extend(self.records.into_iter().map(Step::Records));
        let closes_at = if planted::active(Bug::ClosedBeforeSaid) { 0 } else { steps.len() };
        steps.insert(closes_at, Step::Facts(self.closing));
        steps.push(Step::Offsets(self.offsets));
        if planted::active(Bug::PublishBeforeFact) {
            steps.sort_by_key(|step| match step {
                Step::Records(_) => 0,
                Step::Facts(_) => 1,
                Step::Offsets(_) => 2,
            });
        }
        if planted::active(Bug::OffsetBeforeEffects) {
            steps.rotate_right(1);
        }
        steps.retain(|step| match step {
            Step::Facts(facts) => !facts.is_empty(),
            Step::Records(records) => !records.is_empty(),
            Step::Offsets(offsets) => !offsets.is_empty(),
        });
        steps
    }
}
