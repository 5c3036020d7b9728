//! Takes what is appended to a topic, as it becomes durable, and reads it only later: decoding 10,000
//! records would take time from what is measured.

use super::ground::Watcher;
use anyhow::{Context, bail};
use bytes::Bytes;
use runtime::{Reader, Record, RecordHeaders, RecordLog, Source, Topic};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// Records read at once.
const RECORDS_MAX: usize = 1_000;
/// Longest wait for records that are only seen.
const WATCH_WAIT_MAX: Duration = Duration::from_secs(60);

/// A record as it was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The partition.
    pub(super) partition: u32,
    /// When this reader got it.
    pub(super) at: Instant,
    /// Bytes of key, headers and value.
    pub(super) bytes: usize,
    /// Its key.
    pub(super) key: Bytes,
    /// Its headers.
    pub(super) headers: RecordHeaders,
    /// The framed value.
    pub(super) value: Bytes,
}

impl Taken {
    fn of(record: Record, partition: u32, at: Instant) -> Self {
        let headers = record.headers.iter().map(|(name, value)| name.len() + value.len());
        let bytes = record.key.len() + record.value.len() + headers.sum::<usize>();
        let Record { key, headers, value, .. } = record;
        Self { partition, at, bytes, key, headers, value }
    }
}

#[derive(Default)]
struct Shared {
    taken: Mutex<Vec<Taken>>,
    more: Notify,
}

/// Reads all partitions of a topic from where they end now. Ends when dropped.
pub struct Tail {
    shared: Arc<Shared>,
    _readers: JoinSet<()>,
}

impl Tail {
    /// Starts to read.
    ///
    /// # Errors
    /// What the engine says.
    pub(super) async fn start(
        engine: &impl RecordLog,
        topic: &'static str,
    ) -> anyhow::Result<Self> {
        let topic = Topic(topic);
        let shared = Arc::new(Shared::default());
        let mut readers = JoinSet::new();
        for partition in 0..engine.partitions(topic) {
            let source = Source { topic, partition };
            let (_, end) = engine.range(source).await?;
            readers.spawn(read(engine.reader(source, end), partition, Arc::clone(&shared)));
        }
        Ok(Self { shared, _readers: readers })
    }

    /// The records, once there are `count`.
    ///
    /// # Errors
    /// If there are not so many within `wait_max`.
    pub(super) async fn take(
        &self,
        count: usize,
        wait_max: Duration,
    ) -> anyhow::Result<Vec<Taken>> {
        let full = async {
            loop {
                let more = self.shared.more.notified();
                if count <= self.len() {
                    return;
                }
                more.await;
            }
        };
        if timeout(wait_max, full).await.is_err() {
            bail!("{} of {count} records came within {} s", self.len(), wait_max.as_secs());
        }
        let mut taken = self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(std::mem::take(&mut *taken))
    }

    fn len(&self) -> usize {
        self.shared.taken.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Watcher for Tail {
    async fn seen(&mut self, count: usize) -> anyhow::Result<Instant> {
        let taken = self.take(count, WATCH_WAIT_MAX).await?;
        taken.iter().map(|record| record.at).max().context("nothing was awaited")
    }
}

/// What cannot be read any more is missing in the end, which is an error there.
async fn read(mut reader: impl Reader, partition: u32, shared: Arc<Shared>) {
    while let Ok((records, _)) = reader.next(RECORDS_MAX).await {
        let at = Instant::now();
        let taken = records.into_iter().map(|record| Taken::of(record, partition, at));
        shared.taken.lock().unwrap_or_else(PoisonError::into_inner).extend(taken);
        shared.more.notify_one();
    }
}

/// About the first `count` records of a topic, from the beginning of its partitions.
///
/// # Errors
/// What the engine says.
pub(super) async fn first(
    engine: &impl RecordLog,
    topic: &'static str,
    count: usize,
) -> anyhow::Result<Vec<Taken>> {
    let topic = Topic(topic);
    let mut filled = Vec::new();
    for partition in 0..engine.partitions(topic) {
        let source = Source { topic, partition };
        let (low, end) = engine.range(source).await?;
        filled.extend((low < end).then_some((source, low, end)));
    }
    let each = u64::try_from(count.div_ceil(filled.len().max(1)))?;
    let mut all = Vec::new();
    for (source, low, end) in filled {
        let mut reader = engine.reader(source, low);
        let wanted = usize::try_from(each.min(end - low))?;
        let mut taken = 0;
        while taken < wanted {
            let (records, _) = reader.next(wanted - taken).await?;
            taken += records.len();
            let of = |record| Taken::of(record, source.partition, Instant::now());
            all.extend(records.into_iter().map(of));
        }
    }
    Ok(all)
}

/// Gives `each` every record of a topic, from the beginning of its partitions to where they end now.
///
/// # Errors
/// What the engine or `each` says.
pub(super) async fn all(
    engine: &impl RecordLog,
    topic: &'static str,
    mut each: impl FnMut(Taken) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let topic = Topic(topic);
    for partition in 0..engine.partitions(topic) {
        let source = Source { topic, partition };
        let (mut at, end) = engine.range(source).await?;
        let mut reader = engine.reader(source, at);
        while at < end {
            let (records, _) = reader.next(RECORDS_MAX).await?;
            for record in records {
                at = record.offset.saturating_add(1);
                each(Taken::of(record, partition, Instant::now()))?;
            }
        }
    }
    Ok(())
}

/// The mean of `sizes`, rounded down; an error if there are none.
pub(super) fn mean(sizes: &[usize]) -> anyhow::Result<usize> {
    sizes.iter().sum::<usize>().checked_div(sizes.len()).context("nothing was appended")
}
