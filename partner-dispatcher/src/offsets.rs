//! How far a partition may count as done.

use runtime::{Source, StoreOffset};
use std::collections::{BTreeMap, BTreeSet};

/// A record of one of the partitions read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) source: Source,
    pub(crate) offset: u64,
}

/// The positions of all sources: what was read, and what of it is not done.
#[derive(Debug, Default)]
pub(crate) struct Offsets {
    tracks: BTreeMap<Source, Track>,
}

/// Records are counted as they are seen: offsets may have gaps, so "the one after" proves nothing.
#[derive(Debug)]
struct Track {
    /// The offset to read next.
    next: u64,
    undone: BTreeSet<u64>,
    /// The offset stored last, or on its way to be.
    stored: u64,
}

impl Track {
    fn storable(&self) -> u64 {
        self.undone.first().copied().unwrap_or(self.next)
    }
}

impl Offsets {
    /// Begins to track a source that is read from `from`.
    pub(crate) fn track(&mut self, source: Source, from: u64) {
        let track = Track { next: from, undone: BTreeSet::new(), stored: from };
        self.tracks.insert(source, track);
    }

    /// The offset that is read next from a source.
    pub(crate) fn next(&self, source: Source) -> u64 {
        self.tracks.get(&source).map_or(0, |track| track.next)
    }

    /// A record was read; it is not done.
    pub(crate) fn read(&mut self, place: Place) {
        if let Some(track) = self.tracks.get_mut(&place.source) {
            track.undone.insert(place.offset);
            track.next = track.next.max(place.offset.saturating_add(1));
        }
    }

    /// A record is done: its effects are durable, or are in the batch that the next offset goes with.
    pub(crate) fn done(&mut self, place: Place) {
        if let Some(track) = self.tracks.get_mut(&place.source) {
            track.undone.remove(&place.offset);
        }
    }

    /// The offsets that rose since the last call: the lowest record undone in each source.
    pub(crate) fn take_risen(&mut self) -> Vec<StoreOffset> {
        let risen = self.tracks.iter_mut().filter_map(|(source, track)| {
            let offset = track.storable();
            let higher = track.stored < offset;
            track.stored = track.stored.max(offset);
            higher.then_some(StoreOffset { source: *source, offset })
        });
        risen.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::Topic;

    const SOURCE: Source = Source { topic: Topic("t"), partition: 0 };

    fn place(offset: u64) -> Place {
        Place { source: SOURCE, offset }
    }

    #[test]
    fn only_the_lowest_undone_record_counts_and_gaps_do_not() {
        let mut offsets = Offsets::default();
        offsets.track(SOURCE, 3);
        assert!(offsets.take_risen().is_empty());
        for offset in [5, 6, 9] {
            offsets.read(place(offset));
        }
        offsets.done(place(6));
        assert_eq!(offsets.take_risen(), [StoreOffset { source: SOURCE, offset: 5 }]);
        offsets.done(place(9));
        assert!(offsets.take_risen().is_empty());
        offsets.done(place(5));
        assert_eq!(offsets.take_risen(), [StoreOffset { source: SOURCE, offset: 10 }]);
        assert!(offsets.take_risen().is_empty(), "told once");
    }
}
