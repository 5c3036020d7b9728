//! The journal's file.

use super::Storage;
use crate::movement::Entry;
use crate::register::ReplayError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Whether an answer waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Every answer waits until what it says survives a power loss.
    Fsync,
    /// Every answer waits until what it says is written; survives a crash of the process alone. For
    /// benches.
    NoFsync,
}

/// Why a journal cannot be opened or read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file system said no.
    #[error("cannot {step} {path}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process writes this journal.
    #[error("{path} belongs to a running wallet; stop it, or choose another --journal-dir")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A whole line that is no entry: the file was damaged or edited, and is not touched.
    #[error("line {line} of {path} is not a journal entry; restore the file from a backup")]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// Why not.
        source: serde_json::Error,
    },
    /// An entry that cannot follow the ones before it.
    #[error("line {line} of {path} cannot follow the lines before it")]
    Replay {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// Why not.
        source: ReplayError,
    },
}

/// An open, locked journal file; the lock goes with the process.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
    durability: Durability,
}

impl JournalFile {
    /// Opens or makes the file, cuts a torn last line, and hands every entry to `visit` in order. Blocks.
    ///
    /// # Errors
    /// [`JournalError`]; the file is as before, but for the cut.
    pub fn open(
        path: &Path,
        durability: Durability,
        visit: impl FnMut(Entry) -> Result<(), ReplayError>,
    ) -> Result<Self, JournalError> {
        let at = |step| move |source| JournalError::Io { step, path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)
            .map_err(at("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked { path: path.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(at("lock")(error)),
        }
        let whole = visit_lines(path, &file, visit)?;
        let length = file.metadata().map_err(at("measure"))?.len();
        if whole < length {
            tracing::warn!(path = %path.display(), cut = length - whole, "cut a torn last line");
            file.set_len(whole).and_then(|()| file.sync_all()).map_err(at("cut"))?;
        }
        if length == 0 {
            sync_directory(path).map_err(at("make"))?;
        }
        Ok(Self { file, durability })
    }
}

impl Storage for JournalFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        match self.durability {
            Durability::Fsync => self.file.sync_data(),
            Durability::NoFsync => Ok(()),
        }
    }
}

/// Every entry of a journal, in order; a torn last line is left out. Takes no lock and changes nothing.
///
/// # Errors
/// [`JournalError::Io`] or [`JournalError::Line`].
pub fn read(path: &Path) -> Result<Vec<Entry>, JournalError> {
    let file = File::open(path).map_err(|source| JournalError::Io {
        step: "open",
        path: path.to_owned(),
        source,
    })?;
    let mut entries = Vec::new();
    visit_lines(path, &file, |entry| {
        entries.push(entry);
        Ok(())
    })?;
    Ok(entries)
}

/// Hands every whole line to `visit`; gives the bytes of the whole lines.
fn visit_lines(
    path: &Path,
    file: &File,
    mut visit: impl FnMut(Entry) -> Result<(), ReplayError>,
) -> Result<u64, JournalError> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut bytes = Vec::new();
    let mut whole = 0_u64;
    let mut line = 0_u64;
    loop {
        bytes.clear();
        let count = reader.read_until(b'\n', &mut bytes).map_err(|source| JournalError::Io {
            step: "read",
            path: path.to_owned(),
            source,
        })?;
        if !bytes.ends_with(b"\n") {
            return Ok(whole);
        }
        line = line.saturating_add(1);
        let entry = serde_json::from_slice(&bytes).map_err(|source| JournalError::Line {
            path: path.to_owned(),
            line,
            source,
        })?;
        visit(entry).map_err(|source| JournalError::Replay {
            path: path.to_owned(),
            line,
            source,
        })?;
        whole = whole.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

/// Makes the new file's name as durable as its content will be.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}
