//! The machines of the partitions a member owns.

use planted::Bug;
use std::collections::BTreeMap;

/// What a member of a group keeps for each partition it owns; dropped with the ownership (R4).
#[derive(Debug)]
pub struct Partitions<T> {
    owned: BTreeMap<u32, T>,
    kept: BTreeMap<u32, T>,
}

impl<T> Default for Partitions<T> {
    fn default() -> Self {
        Self { owned: BTreeMap::new(), kept: BTreeMap::new() }
    }
}

impl<T> Partitions<T> {
    /// Takes ownership of `partition` with a fresh memory.
    ///
    /// A memory from an earlier ownership would have a hole where the owner between decided.
    pub fn assign(&mut self, partition: u32, fresh: impl FnOnce() -> T) -> &mut T {
        let memory = self.kept.remove(&partition).unwrap_or_else(fresh);
        self.owned.insert(partition, memory);
        self.owned.entry(partition).or_insert_with(|| unreachable!("inserted above"))
    }

    /// Gives `partition` up: all its memory goes, on revoke and on loss alike (R4).
    pub fn revoke(&mut self, partition: u32) {
        let gone = self.owned.remove(&partition);
        if planted::active(Bug::MemoryKept)
            && let Some(memory) = gone
        {
            self.kept.insert(partition, memory);
        }
    }

    /// The memory of an owned partition.
    pub fn get_mut(&mut self, partition: u32) -> Option<&mut T> {
        self.owned.get_mut(&partition)
    }

    /// The owned partitions, in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut T)> {
        self.owned.iter_mut().map(|(partition, memory)| (*partition, memory))
    }
}
