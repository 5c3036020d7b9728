//! How the engine is to run.

use std::path::PathBuf;

/// How the engine is to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory of the file; created if absent. One process at a time.
    pub data_dir: PathBuf,
    /// Age in ms at which a record that every group has passed is deleted.
    pub retention_ms: i64,
    /// Free bytes of the file system below which appends are refused, so that batches already under
    /// way still find room.
    pub reserve_bytes: u64,
    /// Memory for pages of the file.
    pub cache_bytes: usize,
    /// Memory for the newest records of each partition: readers within it never touch the file.
    pub tail_bytes: usize,
}

impl Options {
    /// 35 days, 256 MiB in reserve, 128 MiB of pages, 4 MiB of tail for each partition.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            retention_ms: 35 * 24 * 60 * 60 * 1_000,
            reserve_bytes: 256 << 20,
            cache_bytes: 128 << 20,
            tail_bytes: 4 << 20,
        }
    }
}
