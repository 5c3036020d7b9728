//! Keeping offsets: those handed over are stored in one request at a time, the newest of each partition.
//!
//! Handing an offset over does not wait for Kafka: a stored offset that trails behind costs reading
//! again and no more, and a coordinator that changes must not hold up a partition. Requests are made and
//! waited for on a thread of their own; the library calls nobody back for one that is not waited for.

use super::names::Names;
use crate::{Source, StoreOffset};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Pause between two requests, in which offsets gather.
const GATHER_PAUSE: Duration = Duration::from_millis(5);
/// Pause after a refused request: the group is between two generations, or its coordinator moves.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Offsets of one group on their way to Kafka.
#[derive(Debug, Default)]
pub(super) struct Pending {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Offsets,
    busy: bool,
    ending: bool,
    /// Nothing is tried again.
    given_up: bool,
}

/// By partition the offset, and the generation of the lease under which it was handed over.
type Offsets = BTreeMap<Source, (u64, u64)>;

impl Pending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an offset over; of one partition the last stands.
    pub(super) fn put(&self, StoreOffset { source, offset }: StoreOffset, generation: u64) {
        self.lock().waiting.insert(source, (offset, generation));
        self.changed.notify_all();
    }

    /// Gives up what is not sent of a partition that is somebody else's now; what it was.
    pub(super) fn remove(&self, partition: u32) -> Vec<(Source, u64)> {
        let mut state = self.lock();
        let gone = state.waiting.extract_if(.., |source, _| source.partition == partition);
        gone.map(|(source, (offset, _))| (source, offset)).collect()
    }

    /// Stores what waits and takes no more, as far as it can be done in time.
    pub(super) fn end(&self, until: Instant) {
        let mut state = self.lock();
        state.ending = true;
        self.changed.notify_all();
        while state.busy || !state.waiting.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.waiting.clear();
                state.given_up = true;
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What is to be sent now; `None` at the end.
    fn next(&self) -> Option<Offsets> {
        let mut state = self.lock();
        loop {
            if !state.waiting.is_empty() {
                state.busy = true;
                return Some(std::mem::take(&mut state.waiting));
            }
            if state.ending {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What was refused waits again, unless a newer offset does.
    fn refused(&self, offsets: Offsets) {
        let mut state = self.lock();
        if !state.given_up {
            for (source, offset) in offsets {
                state.waiting.entry(source).or_insert(offset);
            }
        }
    }

    /// Stores offsets through `consumer` until the end. Those of a lease that is not `ours` any more are
    /// left out; one that is on its way when its partition is given up may still land, and let a stored
    /// offset fall, which costs reading again. Blocks.
    pub(super) fn run<C: ConsumerContext>(
        &self,
        consumer: &BaseConsumer<C>,
        names: &Names,
        ours: impl Fn(Source, u64) -> bool,
    ) {
        while let Some(mut offsets) = self.next() {
            offsets.retain(|source, (_, generation)| ours(*source, *generation));
            let list = list(names, offsets.iter().map(|(source, (offset, _))| (*source, *offset)));
            let stored = list.and_then(|list| match list.count() {
                0 => Ok(()),
                _ => consumer.commit(&list, CommitMode::Sync),
            });
            let pause = match &stored {
                Ok(()) => GATHER_PAUSE,
                Err(error) => {
                    tracing::debug!(%error, "offsets were not stored; they are sent again");
                    self.refused(offsets);
                    RETRY_PAUSE
                }
            };
            self.lock().busy = false;
            self.changed.notify_all();
            std::thread::sleep(pause);
        }
    }
}

/// Offsets as the library takes them.
pub(super) fn list(
    names: &Names,
    offsets: impl IntoIterator<Item = (Source, u64)>,
) -> KafkaResult<TopicPartitionList> {
    let wrong = |_| KafkaError::Subscription("an offset is too large".to_owned());
    let mut list = TopicPartitionList::new();
    for (source, offset) in offsets {
        let partition = i32::try_from(source.partition).map_err(wrong)?;
        let offset = Offset::Offset(i64::try_from(offset).map_err(wrong)?);
        list.add_partition_offset(names.topic(source.topic), partition, offset)?;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Topic;

    const ONE: Source = Source { topic: Topic("one"), partition: 1 };
    const TIER: Source = Source { topic: Topic("tier"), partition: 1 };
    const OTHER: Source = Source { topic: Topic("one"), partition: 2 };

    fn put(pending: &Pending, source: Source, offset: u64) {
        pending.put(StoreOffset { source, offset }, 7);
    }

    #[test]
    fn what_was_refused_waits_again_behind_anything_newer() {
        let pending = Pending::default();
        put(&pending, ONE, 10);
        put(&pending, OTHER, 20);
        let sent = pending.next().unwrap();
        put(&pending, ONE, 11);
        pending.refused(sent);
        assert_eq!(pending.next(), Some(Offsets::from([(ONE, (11, 7)), (OTHER, (20, 7))])));
    }

    #[test]
    fn a_partition_that_is_given_up_takes_its_offsets_along() {
        let pending = Pending::default();
        put(&pending, ONE, 10);
        put(&pending, TIER, 5);
        put(&pending, OTHER, 20);
        assert_eq!(pending.remove(1), [(ONE, 10), (TIER, 5)]);
        assert_eq!(pending.next(), Some(Offsets::from([(OTHER, (20, 7))])));
    }

    #[test]
    fn what_cannot_be_stored_in_time_is_not_tried_for_ever() {
        let pending = Pending::default();
        put(&pending, ONE, 10);
        let sent = pending.next().unwrap();
        pending.end(Instant::now());
        pending.refused(sent);
        assert_eq!(pending.next(), None);
    }
}
