//! The plain programs' disk: one file, appended to and fsynced in groups.
//!
//! A file and not the engine: it is the limit of the disk, and any store has to come close to it.

use super::client::micros;
use super::report::median;
use anyhow::Context;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Appends that wait at once.
const WAITING_MAX: usize = 65_536;
/// Appends of a probe, and bytes of each.
const PROBES: usize = 100;
const PROBE_BYTES: usize = 4_096;

struct Entry {
    bytes: usize,
    durable: oneshot::Sender<()>,
}

/// A file with one writer thread: what waits is written together and fsynced once.
#[derive(Clone, Debug)]
pub(super) struct PlainJournal {
    queue: mpsc::Sender<Entry>,
}

impl PlainJournal {
    /// Makes the file and starts its writer, which ends with the last clone.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("{} cannot be made", path.display()))?;
        let (queue, entries) = mpsc::channel(WAITING_MAX);
        let writer = std::thread::Builder::new().name("plain-journal".to_owned());
        writer
            .spawn(move || write_all(file, entries))
            .context("no thread for the plain journal")?;
        Ok(Self { queue })
    }

    /// Appends `bytes` bytes; durable when it resolves.
    ///
    /// # Errors
    /// If the disk said no.
    pub(super) async fn append(&self, bytes: usize) -> anyhow::Result<()> {
        let (durable, waits) = oneshot::channel();
        self.queue
            .send(Entry { bytes, durable })
            .await
            .ok()
            .context("the plain journal stopped")?;
        waits.await.context("the plain journal stopped")
    }
}

/// Ends at the first error, which the waiting see as a journal that stopped.
fn write_all(mut file: File, mut entries: mpsc::Receiver<Entry>) {
    let mut buffer = Vec::new();
    while let Some(first) = entries.blocking_recv() {
        let mut group = vec![first];
        while let Ok(entry) = entries.try_recv() {
            group.push(entry);
        }
        buffer.clear();
        buffer.resize(group.iter().map(|entry| entry.bytes).sum(), b'x');
        if let Err(error) = file.write_all(&buffer).and_then(|()| file.sync_data()) {
            tracing::error!(%error, "the plain journal stopped");
            return;
        }
        for entry in group {
            // Whoever waited may be gone, at the end of a run.
            entry.durable.send(()).ok();
        }
    }
}

/// What one append and its fsync take when nothing else is to be written: the median, in µs.
///
/// # Errors
/// If the disk says no.
pub(super) async fn fsync_us(directory: &Path) -> anyhow::Result<u64> {
    let journal = PlainJournal::create(&directory.join("probe"))?;
    let mut took_us = Vec::with_capacity(PROBES);
    for _ in 0..PROBES {
        let begun = Instant::now();
        journal.append(PROBE_BYTES).await?;
        took_us.push(micros(begun.elapsed()));
    }
    Ok(median(took_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_byte_stands_in_the_file_when_an_append_resolves() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plain");
        let journal = PlainJournal::create(&path).unwrap();
        for total in [10, 20, 30] {
            journal.append(10).await.unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().len(), total);
        }
    }
}
