//! A disk in memory that fails the way disks do.
//!
//! It keeps what was synced apart from what was written since. A power cut leaves the first, and of
//! the second a random part: writes survive in any order, whole, torn or not at all.

use super::store::OpenDatabase;
use redb::StorageBackend;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// What a disk writes in one piece.
const SECTOR_BYTES: usize = 512;

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    current: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    /// Writes, changes of length and syncs so far.
    points: u64,
    crash_at: Option<u64>,
    crashed: bool,
    quota_bytes: Option<u64>,
    failing_syncs: u32,
    stalled: bool,
    /// Syncs that wait for the stall to end.
    waiting: u32,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// A disk with these bytes, all synced.
    fn of(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.lock().current.clone_from(&bytes);
        disk.lock().synced = bytes;
        disk
    }

    pub(super) fn database(&self) -> OpenDatabase {
        let disk = self.clone();
        Box::new(move |builder| {
            if disk.bytes() == 0 {
                // As on a file system: created under another name, synced, renamed.
                let unfinished = Self::default();
                drop(builder.create_with_backend(unfinished.clone())?);
                let bytes = unfinished.lock().current.clone();
                disk.lock().current.clone_from(&bytes);
                disk.lock().synced = bytes;
            }
            builder.create_with_backend(disk.clone())
        })
    }

    /// Stops for good at the `point`-th write, change of length or sync from now.
    pub(super) fn crash_at(&self, point: u64) {
        let mut state = self.lock();
        state.crash_at = Some(state.points + point);
    }

    pub(super) fn crashed(&self) -> bool {
        self.lock().crashed
    }

    /// The disk after a power cut: everything synced, and a random part of the rest.
    pub(super) fn power_cut(&self, random: &mut Random) -> Self {
        let state = self.lock();
        let mut bytes = state.synced.clone();
        let mut changes = state.unsynced.clone();
        if random.below(2) == 0 {
            for index in (1..changes.len()).rev() {
                changes.swap(index, random.below(index + 1));
            }
        }
        // From nearly all gone to nearly all there.
        let kept_of_eight = random.below(9);
        for change in changes {
            if random.below(8) < kept_of_eight {
                survive(&mut bytes, change, random);
            }
        }
        Self::of(bytes)
    }

    /// No byte beyond `bytes` can be written, as on a full volume.
    pub(super) fn quota(&self, bytes: Option<u64>) {
        self.lock().quota_bytes = bytes;
    }

    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(self.lock().current.len()).unwrap()
    }

    pub(super) fn fail_syncs(&self, count: u32) {
        self.lock().failing_syncs = count;
    }

    /// Syncs wait from now on.
    pub(super) fn stall(&self) {
        self.lock().stalled = true;
    }

    pub(super) fn release(&self) {
        self.lock().stalled = false;
        self.0.1.notify_all();
    }

    pub(super) fn waiting(&self) -> u32 {
        self.lock().waiting
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }
}

/// Applies a change that may have reached the disk in part.
fn survive(bytes: &mut Vec<u8>, change: Change, random: &mut Random) {
    match change {
        Change::Length(length) => bytes.resize(length, 0),
        Change::Write(offset, data) => {
            let torn = random.below(4);
            let prefix_bytes = random.below(data.len() + 1);
            for (index, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                let from = index * SECTOR_BYTES;
                // One in four keeps a prefix of any length, one in four any of its sectors.
                let kept_bytes = match torn {
                    0 => sector.len().min(prefix_bytes.saturating_sub(from)),
                    1 => sector.len() * random.below(2),
                    _ => sector.len(),
                };
                if 0 < kept_bytes {
                    put(bytes, offset + from, &sector[..kept_bytes]);
                }
            }
        }
    }
}

fn make(bytes: &mut Vec<u8>, change: Change) {
    match change {
        Change::Write(offset, data) => put(bytes, offset, &data),
        Change::Length(length) => bytes.resize(length, 0),
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    bytes.resize(bytes.len().max(end), 0);
    bytes[offset..end].copy_from_slice(data);
}

impl State {
    /// Counts a point; from the crash on everything fails, and that point is not taken.
    fn point(&mut self) -> io::Result<()> {
        self.points += 1;
        self.crashed |= Some(self.points) == self.crash_at;
        if self.crashed { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
    }

    fn within_quota(&self, end: usize) -> io::Result<()> {
        let end = u64::try_from(end).unwrap();
        if self.quota_bytes.is_some_and(|quota| quota < end) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        let end = match &change {
            Change::Write(offset, data) => offset + data.len(),
            Change::Length(length) => *length,
        };
        // At the crash the change may still reach the disk in part, though nobody is told so.
        if self.crashed {
            return self.point();
        }
        self.unsynced.push(change.clone());
        self.point()?;
        if let Err(full) = self.within_quota(end) {
            self.unsynced.pop();
            return Err(full);
        }
        make(&mut self.current, change);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        if state.crashed {
            return Err(io::Error::other("the disk is gone"));
        }
        let offset = usize::try_from(offset).unwrap();
        let found = state.current.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.lock().change(Change::Length(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.point()?;
        state.waiting += 1;
        while state.stalled {
            state = self.0.1.wait(state).unwrap();
        }
        state.waiting -= 1;
        if 0 < state.failing_syncs {
            state.failing_syncs -= 1;
            return Err(io::Error::other("told to fail"));
        }
        for change in std::mem::take(&mut state.unsynced) {
            make(&mut state.synced, change);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.lock().change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()))
    }
}

/// Numbers that are the same for the same seed.
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `limit`, which is at least 1.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let limit = u64::try_from(limit).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % limit).unwrap()
    }
}
