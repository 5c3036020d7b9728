//! Room left on the file system.

use std::io;
use std::path::{Path, PathBuf};

/// Free bytes of a file system.
pub(super) type FreeBytes = Box<dyn Fn() -> io::Result<u64> + Send + Sync>;

/// Free bytes, for us, of the file system of `directory`.
pub(super) fn on_file_system(directory: PathBuf) -> FreeBytes {
    Box::new(move || {
        let found = rustix::fs::statvfs(&directory)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    })
}

/// Says when work that can be refused has to be.
pub(super) struct Space {
    free_bytes: FreeBytes,
    reserve_bytes: u64,
    directory: String,
}

impl Space {
    pub(super) fn new(free_bytes: FreeBytes, reserve_bytes: u64, directory: &Path) -> Self {
        Self { free_bytes, reserve_bytes, directory: directory.display().to_string() }
    }

    /// What is wrong, if less than the reserve is free. One cheap system call; asked by the writer
    /// before each transaction that holds refusable work.
    pub(super) fn shortage(&self) -> Option<String> {
        match (self.free_bytes)() {
            Ok(free) if self.reserve_bytes <= free => None,
            Ok(free) => Some(format!(
                "{free} bytes are free in {}, fewer than the {} in reserve",
                self.directory, self.reserve_bytes
            )),
            Err(error) => {
                tracing::warn!(%error, "the free space of the file system is not known");
                None
            }
        }
    }
}
