//! The journal of a wallet: one JSON line per entry, on disk before the answer leaves.
//!
//! One thread writes, many requests wait (group commit): while a group is being synced, the next one
//! gathers, so that the number of syncs does not grow with the number of requests. No caller ever
//! blocks: [`Journal::append`] only queues, and [`Journal::durable`] is awaited.
//!
//! A crash leaves whole lines and at most one torn line at the end, which no answer ever spoke of; it is
//! cut when the file is opened again. After a failed write nothing is written any more and every wait
//! fails: what is in memory is then ahead of the disk, and only a restart brings the two together.

mod file;
#[cfg(test)]
mod tests;

pub use file::{Durability, JournalError, JournalFile, read};

use crate::movement::Entry;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use thiserror::Error;
use tokio::sync::watch;

/// What a journal writes to.
pub trait Storage: Send + 'static {
    /// Adds `bytes` at the end.
    ///
    /// # Errors
    /// If not all of them could be written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns once everything appended survives a power loss.
    ///
    /// # Errors
    /// If it may not.
    fn sync(&mut self) -> io::Result<()>;
}

/// A write failed, or the journal is closed: what was asked for may or may not be on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the journal takes no more entries")]
pub struct JournalStopped;

/// Names the end of the journal at some moment; see [`Journal::durable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// How far the journal is on disk.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    durable: u64,
    stopped: bool,
}

/// Entries on their way to the writer. Bounded by the requests in flight, each of which waits for its
/// own entries before it ends.
#[derive(Debug, Default)]
struct Queue {
    entries: Vec<Entry>,
    /// Entries ever queued.
    tail: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open journal, or the pretence of one.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    progress: watch::Receiver<Progress>,
    writer: Option<JoinHandle<()>>,
}

impl Journal {
    /// A journal in `storage`, with its writer thread.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(storage: impl Storage) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (sender, progress) = watch::channel(Progress::default());
        let queue = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write(&queue, storage, &sender))?;
        Ok(Self { shared, progress, writer: Some(writer) })
    }

    /// A journal that forgets everything: for benches, and where a restart need not be survived.
    pub fn in_memory() -> Self {
        let (_, progress) = watch::channel(Progress { durable: u64::MAX, stopped: false });
        Self { shared: Arc::new(Shared::default()), progress, writer: None }
    }

    /// Queues entries in the order of the calls and gives the end of the journal behind them.
    ///
    /// With no entries: the end as it is. Whoever answers from memory must wait for that too, or the
    /// answer might speak of a row that a crash takes away.
    pub fn append(&self, entries: impl IntoIterator<Item = Entry>) -> Ticket {
        if self.writer.is_none() {
            return Ticket(0);
        }
        let mut queue = self.shared.queue();
        let before = queue.entries.len();
        queue.entries.extend(entries);
        let added = queue.entries.len().saturating_sub(before);
        queue.tail = queue.tail.saturating_add(u64::try_from(added).unwrap_or(u64::MAX));
        if 0 < added {
            self.shared.arrived.notify_one();
        }
        Ticket(queue.tail)
    }

    /// Waits until everything up to `ticket` is on disk.
    ///
    /// # Errors
    /// [`JournalStopped`] if that will not happen.
    pub async fn durable(&self, ticket: Ticket) -> Result<(), JournalStopped> {
        let mut progress = self.progress.clone();
        let reached = |progress: &Progress| progress.stopped || ticket.0 <= progress.durable;
        match progress.wait_for(reached).await {
            Ok(progress) if ticket.0 <= progress.durable => Ok(()),
            Ok(_) | Err(_) => Err(JournalStopped),
        }
    }

    /// Whether entries are still taken.
    pub fn is_open(&self) -> bool {
        let Progress { stopped, .. } = *self.progress.borrow();
        !stopped
    }

    /// Writes what is queued and ends the writer thread. Blocks.
    pub fn close(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.arrived.notify_one();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the journal's writer panicked");
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The writer: takes what gathered, writes it, syncs it, says so; until closed or failed.
fn write(shared: &Shared, mut storage: impl Storage, progress: &watch::Sender<Progress>) {
    let mut bytes = Vec::new();
    while let Some((entries, tail)) = gather(shared) {
        bytes.clear();
        let written = entries
            .iter()
            .try_for_each(|entry| encode(entry, &mut bytes))
            .and_then(|()| storage.append(&bytes))
            .and_then(|()| storage.sync());
        match written {
            Ok(()) => progress.send_modify(|progress| progress.durable = tail),
            Err(error) => {
                tracing::error!(%error, "the journal cannot be written; restart the wallet");
                break;
            }
        }
    }
    progress.send_modify(|progress| progress.stopped = true);
}

/// Waits for entries; nothing once the journal is closed and all of them are written.
fn gather(shared: &Shared) -> Option<(Vec<Entry>, u64)> {
    let mut queue = shared.queue();
    while queue.entries.is_empty() {
        if queue.closed {
            return None;
        }
        queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
    Some((std::mem::take(&mut queue.entries), queue.tail))
}

fn encode(entry: &Entry, bytes: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *bytes, entry)?;
    bytes.push(b'\n');
    Ok(())
}
