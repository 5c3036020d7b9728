//! Groups of the simulated log: who owns a partition, and which offsets are stored.

use runtime::{Lease, Source, Topic};
use std::collections::BTreeMap;

/// A process in one of its lives.
pub type Member = (usize, u64);

/// One group.
#[derive(Debug)]
pub struct Group {
    pub name: &'static str,
    /// The topic whose partitions are shared out.
    pub topic: Topic,
    /// Topics whose partition of the same number goes to the same owner.
    pub also: Vec<Topic>,
    /// Per partition the owner and the generation.
    owners: Vec<(Option<Member>, u64)>,
    /// Everyone who ever owned a partition, to see takeovers that come back.
    pub past_owners: Vec<Vec<usize>>,
    /// Offset, generation and batch that stored it.
    stored: BTreeMap<Source, (u64, u64, u64)>,
}

/// The offset store refuses a lease that is not the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced;

impl Group {
    pub fn new(name: &'static str, topic: Topic, also: Vec<Topic>, partitions: u32) -> Self {
        let count = usize::try_from(partitions).unwrap_or(0);
        Self {
            name,
            topic,
            also,
            owners: vec![(None, 0); count],
            past_owners: vec![Vec::new(); count],
            stored: BTreeMap::new(),
        }
    }

    pub fn partitions(&self) -> u32 {
        u32::try_from(self.owners.len()).unwrap_or(0)
    }

    pub fn owner(&self, partition: u32) -> Option<Member> {
        self.owners[index(partition)].0
    }

    /// The newest lease of a partition, if it has an owner.
    pub fn lease(&self, partition: u32) -> Option<Lease> {
        let (owner, generation) = self.owners[index(partition)];
        let source = Source { topic: self.topic, partition };
        owner.map(|_| Lease { group: self.name, source, generation })
    }

    /// Makes `member` the owner: every earlier lease of the partition can store nothing any more.
    pub fn give(&mut self, partition: u32, member: Member) -> Lease {
        let owner = &mut self.owners[index(partition)];
        *owner = (Some(member), owner.1 + 1);
        let generation = owner.1;
        self.past_owners[index(partition)].push(member.0);
        let source = Source { topic: self.topic, partition };
        Lease { group: self.name, source, generation }
    }

    /// Takes the partition from its owner, who is dead.
    pub fn take(&mut self, partition: u32) {
        let owner = &mut self.owners[index(partition)];
        *owner = (None, owner.1 + 1);
    }

    pub fn is_current(&self, lease: &Lease) -> bool {
        self.owners[index(lease.source.partition)].1 == lease.generation
    }

    /// Stores an offset for batch `op`. Stores of one owner arrive in the order of its batches, as on one
    /// connection: an older one that was slow changes nothing.
    ///
    /// # Errors
    /// [`Fenced`] if `lease` is not the newest of its partition.
    pub fn store(
        &mut self,
        lease: &Lease,
        source: Source,
        offset: u64,
        op: u64,
    ) -> Result<(), Fenced> {
        if !self.is_current(lease) {
            return Err(Fenced);
        }
        let late = self
            .stored
            .get(&source)
            .is_some_and(|(_, generation, newest)| *generation == lease.generation && op < *newest);
        if !late {
            self.stored.insert(source, (offset, lease.generation, op));
        }
        Ok(())
    }

    pub fn stored(&self, source: Source) -> Option<u64> {
        self.stored.get(&source).map(|(offset, _, _)| *offset)
    }

    /// Where a new owner of `partition` starts: the offset stored, or 0, for each topic.
    pub fn positions(&self, partition: u32) -> Vec<(Source, u64)> {
        std::iter::once(self.topic)
            .chain(self.also.iter().copied())
            .map(|topic| Source { topic, partition })
            .map(|source| (source, self.stored(source).unwrap_or(0)))
            .collect()
    }
}

fn index(partition: u32) -> usize {
    usize::try_from(partition).unwrap_or(usize::MAX)
}
