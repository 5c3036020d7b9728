//! Opening the data directory.

use super::groups::Groups;
use super::queue::Queue;
use super::space::{FreeBytes, Space, on_file_system};
use super::store::{Failure, OpenDatabase, Store, on_file};
use super::tail::Tail;
use super::writer::Writer;
use super::{Embedded, Open, Options, Partition, Shared, retention, state};
use crate::{Catalogue, Clock, Topic};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// The file that holds everything.
const FILE_NAME: &str = "roundhouse.redb";
/// The file that one process locks.
const LOCK_NAME: &str = "lock";

/// Why a data directory could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process works on it, or this one does already.
    #[error("the data directory {} is in use by another process", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory or a file in it cannot be used.
    #[error("the data directory {} cannot be used", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Partition counts never change (R9).
    #[error("{topic} was created with {recorded} partitions and cannot be opened with {given}")]
    Partitions {
        /// The topic.
        topic: Topic,
        /// The count in the file.
        recorded: u32,
        /// The count asked for.
        given: u32,
    },
    /// The file was written by a version that this one does not read.
    #[error("the file has format {found}, which this version does not read")]
    Format {
        /// The format found.
        found: u64,
    },
    /// The file cannot be read or written.
    #[error("the file cannot be opened: {0}")]
    Storage(String),
    /// The writer's thread could not be started.
    #[error("the writer cannot be started")]
    Thread(#[source] io::Error),
}

/// The devices below the engine; tests put others in their place.
pub(super) struct Devices {
    pub(super) database: OpenDatabase,
    pub(super) free_bytes: FreeBytes,
    /// How often old records are looked for.
    pub(super) retention_interval: Duration,
}

impl Embedded {
    /// Opens the data directory, creating it if needed, and starts the writer.
    ///
    /// Blocks; after a crash for as long as it takes to read the file.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        options: &Options,
        catalogue: Catalogue,
        clock: impl Clock,
    ) -> Result<Self, OpenError> {
        let directory = options.data_dir.clone();
        let unusable = |source| OpenError::Directory { directory: directory.clone(), source };
        std::fs::create_dir_all(&directory).map_err(unusable)?;
        let lock = DirectoryLock::take(&directory)?;
        let devices = Devices {
            database: on_file(directory.join(FILE_NAME)),
            free_bytes: on_file_system(directory.clone()),
            retention_interval: retention::INTERVAL,
        };
        Self::open_on(devices, Some(lock), options, catalogue, clock)
    }

    pub(super) fn open_on(
        devices: Devices,
        lock: Option<DirectoryLock>,
        options: &Options,
        catalogue: Catalogue,
        clock: impl Clock,
    ) -> Result<Self, OpenError> {
        let store = Store::new(devices.database, options.cache_bytes);
        store.open().map_err(|error| OpenError::Storage(error.to_string()))?;
        let logs = state::prepare(&store, &catalogue)?;
        let storage = |failure: Failure| OpenError::Storage(failure.text);
        let state = state::load(&store.read().map_err(storage)?, &logs).map_err(storage)?;
        let partition = |(source, log)| {
            let (low, end) = state.ranges.get(&source).copied().unwrap_or_default();
            (source, Partition { log, tail: Tail::new(low, end, options.tail_bytes) })
        };
        let shared = Arc::new(Shared {
            partitions: logs.into_iter().map(partition).collect(),
            catalogue,
            store,
            queue: Queue::new(),
            groups: Mutex::new(Groups::new(state.generations.clone())),
            stored: Mutex::new(state.stored),
            space: Space::new(devices.free_bytes, options.reserve_bytes, &options.data_dir),
            retention_ms: options.retention_ms,
            now: Box::new(move || clock.now()),
            lock: Mutex::new(lock),
            ended: CancellationToken::new(),
        });
        let interval = devices.retention_interval;
        let writer = Writer::new(Arc::clone(&shared), state.generations, interval);
        let thread = std::thread::Builder::new().name("embedded-writer".to_owned());
        thread.spawn(move || writer.run()).map_err(OpenError::Thread)?;
        Ok(Self { open: Arc::new(Open { shared }) })
    }
}

/// The right of one process to the data directory.
pub(super) struct DirectoryLock(File);

impl DirectoryLock {
    fn take(directory: &Path) -> Result<Self, OpenError> {
        let directory = directory.to_owned();
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join(LOCK_NAME))
            .map_err(|source| OpenError::Directory { directory: directory.clone(), source })?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { directory }),
            Err(TryLockError::Error(source)) => Err(OpenError::Directory { directory, source }),
        }
    }
}

impl Drop for DirectoryLock {
    /// Closing the file is not enough: a child process being started holds a copy of the descriptor
    /// until it executes its program, and with it the lock.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the data directory could not be unlocked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_descriptor_does_not_keep_the_lock() {
        let directory = tempfile::TempDir::new().unwrap();
        let lock = DirectoryLock::take(directory.path()).unwrap();
        let copy = lock.0.try_clone().unwrap();
        assert!(matches!(DirectoryLock::take(directory.path()), Err(OpenError::InUse { .. })));
        drop(lock);
        DirectoryLock::take(directory.path()).unwrap();
        drop(copy);
    }
}
