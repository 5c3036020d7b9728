//! The redb file: its tables, opening it, and what its errors mean to a caller.

use crate::EngineError;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, TableDefinition,
    WriteTransaction,
};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

/// Facts by the bytes of their key.
pub(super) const FACTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("facts");
/// Segments by (log, first offset).
pub(super) const SEGMENTS: TableDefinition<(u32, u64), &[u8]> = TableDefinition::new("segments");
/// The end of each log: the offset its next record gets, also when all its segments are gone.
pub(super) const ENDS: TableDefinition<u32, u64> = TableDefinition::new("ends");
/// Stored offsets by (group, log).
pub(super) const OFFSETS: TableDefinition<(&str, u32), u64> = TableDefinition::new("offsets");
/// The newest generation by (group, log).
pub(super) const GENERATIONS: TableDefinition<(&str, u32), u64> =
    TableDefinition::new("generations");
/// (first log, partitions) of each topic. The log of a partition is the first log plus its number.
pub(super) const TOPICS: TableDefinition<&str, (u32, u32)> = TableDefinition::new("topics");
/// `format`: the version of all this.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");

/// Opens the database on its device; called again after an I/O error.
pub(super) type OpenDatabase =
    Box<dyn Fn(&Builder) -> Result<Database, DatabaseError> + Send + Sync>;

/// Why something was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// There was no room.
    pub(super) full: bool,
    /// Whether it may be written all the same.
    pub(super) in_doubt: bool,
    pub(super) text: String,
}

impl Failure {
    /// What the caller is told: that it is full only where nothing can have been written.
    pub(super) fn error(&self) -> EngineError {
        if self.full && !self.in_doubt {
            EngineError::Full(self.text.clone())
        } else {
            EngineError::Unavailable(self.text.clone())
        }
    }
}

impl<T: Into<redb::Error>> From<T> for Failure {
    fn from(error: T) -> Self {
        let error = error.into();
        let full = matches!(&error, redb::Error::Io(error) if is_full(error));
        Self { full, in_doubt: false, text: error.to_string() }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Opens the file at `path`, which only this process has locked.
pub(super) fn on_file(path: PathBuf) -> OpenDatabase {
    Box::new(move |builder| {
        if !path.try_exists()? {
            create(builder, &path)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        forget_cached_pages(&file)?;
        builder.create_file(file)
    })
}

/// Creates the file under another name first: one that a crash left half created opens never again.
fn create(builder: &Builder, path: &Path) -> Result<(), DatabaseError> {
    let unfinished = path.with_extension("unfinished");
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&unfinished)?;
    drop(builder.create_file(file)?);
    File::open(&unfinished)?.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Makes the next reads come from the disk.
///
/// After a failed fsync the kernel may keep pages as clean that never reached the disk; what is built
/// on such a page would be lost with the next power cut, though its own fsync succeeds.
#[cfg(target_os = "linux")]
fn forget_cached_pages(file: &File) -> io::Result<()> {
    rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed).map_err(io::Error::from)
}

#[cfg(not(target_os = "linux"))]
fn forget_cached_pages(_file: &File) -> io::Result<()> {
    Ok(())
}

/// The database, while it is open.
pub(super) struct Store {
    open_database: OpenDatabase,
    cache_bytes: usize,
    database: RwLock<Option<Database>>,
}

impl Store {
    /// A store that is not yet open.
    pub(super) fn new(open_database: OpenDatabase, cache_bytes: usize) -> Self {
        Self { open_database, cache_bytes, database: RwLock::new(None) }
    }

    /// Opens the database, closing it first if it is open. After a crash this walks the whole file.
    pub(super) fn open(&self) -> Result<(), DatabaseError> {
        self.close();
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder.set_repair_callback(|_| tracing::info!("checking the file after a crash"));
        let database = (self.open_database)(&builder)?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        Ok(())
    }

    /// Closes the database; reads under way fail.
    pub(super) fn close(&self) {
        let open = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
    }

    pub(super) fn write(&self) -> Result<WriteTransaction, Failure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(not_open)?;
        Ok(database.begin_write()?)
    }

    /// A view of what is durable now. Blocks: never on a worker of tokio.
    pub(super) fn read(&self) -> Result<ReadTransaction, Failure> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(not_open)?;
        Ok(database.begin_read()?)
    }
}

fn not_open() -> Failure {
    let text = "the file is not open after an error; it is tried again".to_owned();
    Failure { full: false, in_doubt: false, text }
}
