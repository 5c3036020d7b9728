//! Records between the thread that fetches them and the readers that take them.

use crate::Record;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::Notify;

/// Bytes of the newest records that a feed keeps for readers that come a little later.
const WINDOW_BYTES_MAX: usize = 1 << 20;
/// Bytes that may wait for one reader. More, and it loses its place in a feed that others read too, or
/// the feed is paused.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// Counted for each record beside its key and value.
const RECORD_BYTES: usize = 200;

fn bytes_of(record: &Record) -> usize {
    RECORD_BYTES + record.key.len() + record.value.len()
}

/// What waits for one reader.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    state: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    records: VecDeque<Record>,
    bytes: usize,
    /// Nothing more will come: the reader begins again where it is.
    closed: bool,
    /// The feed waits for the reader to make room.
    holds_up: bool,
}

/// What a reader finds in its buffer.
pub(super) enum Taken {
    Records(Vec<Record>),
    Empty,
    Closed,
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, records: impl Iterator<Item = Record>) {
        let mut waiting = self.lock();
        for record in records {
            waiting.bytes += bytes_of(&record);
            waiting.records.push_back(record);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    fn full(&self) -> bool {
        WAITING_BYTES_MAX < self.lock().bytes
    }

    /// The feed waits for room here. A reader that has made it meanwhile is woken to say so.
    fn hold_up(&self) {
        let mut waiting = self.lock();
        waiting.holds_up = true;
        if waiting.bytes < WAITING_BYTES_MAX / 2 {
            self.changed.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// At most `records_max` records, and whether the feed should be told that there is room again.
    pub(super) fn take(&self, records_max: usize) -> (Taken, bool) {
        let mut waiting = self.lock();
        let count = records_max.min(waiting.records.len());
        let records: Vec<Record> = waiting.records.drain(..count).collect();
        waiting.bytes -= records.iter().map(bytes_of).sum::<usize>();
        let room = waiting.holds_up && waiting.bytes < WAITING_BYTES_MAX / 2;
        waiting.holds_up &= !room;
        let taken = match records.is_empty() {
            false => Taken::Records(records),
            true if waiting.closed => Taken::Closed,
            true => Taken::Empty,
        };
        (taken, room)
    }

    /// Waits for a change. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// One partition as one consumer reads it, for every reader that is near its position.
#[derive(Debug)]
pub(super) struct Feed {
    state: Mutex<Flow>,
}

#[derive(Debug)]
struct Flow {
    /// The offset that a record to come has at least.
    next: u64,
    /// The newest records.
    window: VecDeque<Record>,
    window_bytes: usize,
    /// Every record at or above it and below `next` is in the window.
    window_from: u64,
    readers: Vec<Weak<Buffer>>,
    paused: bool,
    closed: bool,
}

/// What a feed needs after records came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Nothing,
    /// Its one reader has enough for now.
    Pause,
    /// Nobody reads it.
    End,
}

impl Feed {
    pub(super) fn new(from: u64) -> Self {
        Self {
            state: Mutex::new(Flow {
                next: from,
                window: VecDeque::new(),
                window_bytes: 0,
                window_from: from,
                readers: Vec::new(),
                paused: false,
                closed: false,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Flow> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A buffer that gets every record from `from` on; `None` if the feed is beyond it or not there yet.
    pub(super) fn attach(&self, from: u64) -> Option<Arc<Buffer>> {
        let mut flow = self.lock();
        if flow.closed || flow.paused || from < flow.window_from || flow.next < from {
            return None;
        }
        let buffer = Arc::new(Buffer::default());
        buffer.push(flow.window.iter().filter(|record| from <= record.offset).cloned());
        flow.readers.push(Arc::downgrade(&buffer));
        Some(buffer)
    }

    /// Hands records on, and says what the feed needs. Leaves `records` empty, to be filled again.
    pub(super) fn push(&self, records: &mut Vec<Record>) -> Need {
        let mut flow = self.lock();
        records.retain(|record| flow.next <= record.offset);
        let Some(last) = records.last() else { return flow.need() };
        flow.next = last.offset + 1;
        let mut readers = flow.readers.iter().filter_map(Weak::upgrade).collect::<Vec<_>>();
        if 1 < readers.len() {
            // One that is slow must not hold up the others: it reads on by itself.
            let slow = readers.extract_if(.., |reader| reader.full());
            slow.for_each(|reader| {
                reader.close();
                flow.readers.retain(|kept| !std::ptr::eq(kept.as_ptr(), Arc::as_ptr(&reader)));
            });
        }
        for reader in &readers {
            reader.push(records.iter().cloned());
        }
        flow.remember(records.drain(..));
        flow.need()
    }

    /// Where to go on, if the feed was paused; from now on it is not.
    pub(super) fn resume(&self) -> Option<u64> {
        let mut flow = self.lock();
        std::mem::take(&mut flow.paused).then_some(flow.next)
    }

    /// Ends the feed: its readers begin again where they are.
    pub(super) fn close(&self) {
        let mut flow = self.lock();
        flow.closed = true;
        flow.readers.drain(..).filter_map(|reader| reader.upgrade()).for_each(|one| one.close());
    }

    /// Ends the feed if nobody has begun to read it meanwhile.
    pub(super) fn close_unread(&self) -> bool {
        let mut flow = self.lock();
        flow.closed = flow.unread();
        flow.closed
    }
}

impl Flow {
    fn unread(&mut self) -> bool {
        self.readers.retain(|reader| 0 < reader.strong_count());
        self.readers.is_empty()
    }

    fn need(&mut self) -> Need {
        if self.unread() {
            return Need::End;
        }
        let readers: Vec<_> = self.readers.iter().filter_map(Weak::upgrade).collect();
        if self.paused || !readers.iter().all(|reader| reader.full()) {
            return Need::Nothing;
        }
        self.paused = true;
        readers.iter().for_each(|reader| reader.hold_up());
        Need::Pause
    }

    fn remember(&mut self, records: impl Iterator<Item = Record>) {
        for record in records {
            self.window_bytes += bytes_of(&record);
            self.window.push_back(record);
        }
        while WINDOW_BYTES_MAX < self.window_bytes {
            let Some(oldest) = self.window.pop_front() else { return };
            self.window_bytes -= bytes_of(&oldest);
            self.window_from = oldest.offset + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RecordHeaders;
    use bytes::Bytes;

    fn record(offset: u64, bytes: usize) -> Record {
        let value = Bytes::from(vec![0; bytes]);
        Record {
            offset,
            appended_at: 0,
            key: Bytes::new(),
            headers: RecordHeaders::default(),
            value,
        }
    }

    fn offsets(buffer: &Buffer) -> Vec<u64> {
        match buffer.take(usize::MAX).0 {
            Taken::Records(records) => records.iter().map(|record| record.offset).collect(),
            Taken::Empty | Taken::Closed => Vec::new(),
        }
    }

    #[test]
    fn one_that_comes_later_gets_every_record_from_where_it_begins() {
        let feed = Feed::new(5);
        let first = feed.attach(5).unwrap();
        assert_eq!(feed.push(&mut vec![record(5, 1), record(7, 1), record(8, 1)]), Need::Nothing);
        let later = feed.attach(6).unwrap();
        let at_end = feed.attach(9).unwrap();
        assert!(feed.attach(4).is_none(), "the feed began behind it");
        assert!(feed.attach(10).is_none(), "the feed is not there yet");
        feed.push(&mut vec![record(8, 1), record(9, 1)]);
        assert_eq!(offsets(&first), [5, 7, 8, 9], "a record that comes twice is taken once");
        assert_eq!(offsets(&later), [7, 8, 9]);
        assert_eq!(offsets(&at_end), [9]);
    }

    #[test]
    fn what_left_the_window_is_not_promised() {
        let feed = Feed::new(0);
        let _first = feed.attach(0).unwrap();
        feed.push(&mut (0..3).map(|offset| record(offset, WINDOW_BYTES_MAX / 2)).collect());
        assert!(feed.attach(1).is_none());
        let newest = feed.attach(2).unwrap();
        assert_eq!(offsets(&newest), [2]);
    }

    #[test]
    fn a_slow_reader_loses_its_place_and_nothing_else() {
        let feed = Feed::new(0);
        let (slow, quick) = (feed.attach(0).unwrap(), feed.attach(0).unwrap());
        feed.push(&mut vec![record(0, WAITING_BYTES_MAX + 1)]);
        assert_eq!(offsets(&quick), [0]);
        assert_eq!(feed.push(&mut vec![record(1, 1)]), Need::Nothing);
        assert_eq!(offsets(&quick), [1]);
        assert_eq!(offsets(&slow), [0], "what it had is still given");
        assert!(matches!(slow.take(1).0, Taken::Closed), "then it begins again by itself");
    }

    #[test]
    fn a_feed_rests_until_its_only_reader_has_room() {
        let feed = Feed::new(0);
        let reader = feed.attach(0).unwrap();
        assert_eq!(feed.push(&mut vec![record(0, WAITING_BYTES_MAX), record(1, 1)]), Need::Pause);
        assert!(feed.attach(2).is_none(), "nobody joins a feed that rests");
        let (_, room) = reader.take(1);
        assert!(room);
        assert_eq!(feed.resume(), Some(2), "it goes on behind what it gave");
        assert_eq!(feed.resume(), None);
        let (_, room) = reader.take(1);
        assert!(!room, "it is told once");
    }

    /// The reader emptied its buffer between the look at it and the pause.
    #[tokio::test]
    async fn a_reader_that_made_room_before_the_pause_is_woken_to_say_so() {
        let buffer = Buffer::default();
        assert!(matches!(buffer.take(1), (Taken::Empty, false)));
        buffer.hold_up();
        let woken = tokio::time::timeout(std::time::Duration::from_secs(5), buffer.changed());
        woken.await.unwrap();
        assert!(matches!(buffer.take(1), (Taken::Empty, true)));
    }

    #[test]
    fn a_look_for_unread_feeds_pauses_none() {
        let feed = Feed::new(0);
        let (slow, quick) = (feed.attach(0).unwrap(), feed.attach(0).unwrap());
        feed.push(&mut vec![record(0, WAITING_BYTES_MAX / 2)]);
        assert_eq!(offsets(&quick), [0]);
        assert_eq!(feed.push(&mut vec![record(1, WAITING_BYTES_MAX / 2)]), Need::Nothing);
        drop(quick);
        assert!(!feed.close_unread());
        assert_eq!(feed.resume(), None, "nobody has unassigned it");
        assert_eq!(feed.push(&mut vec![record(2, 1)]), Need::Pause);
        assert_eq!(offsets(&slow), [0, 1, 2]);
    }

    #[test]
    fn a_feed_without_readers_ends() {
        let feed = Feed::new(0);
        let reader = feed.attach(0).unwrap();
        assert!(!feed.close_unread());
        drop(reader);
        assert_eq!(feed.push(&mut vec![record(0, 1)]), Need::End);
        assert!(feed.close_unread());
        assert!(feed.attach(1).is_none());
    }
}
