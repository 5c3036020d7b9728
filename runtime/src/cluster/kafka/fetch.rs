//! Fetching: consumers on threads of their own, which read what they are told to and hand it to readers.
//!
//! A consumer reads partitions of one topic, each from one position. Readers of the same partition that are
//! near each other share it as one [`Feed`]; one that is elsewhere gets the partition on another consumer, or on one
//! on which nobody reads it any more. So a process has a consumer for each topic it reads, and one more for each
//! distant reader of a partition at the same time.
//!
//! One for each topic, because every request names all partitions that a consumer reads and is answered as
//! soon as one of them has something: with all topics on one connection a record waits behind those of
//! every other topic.

use super::buffer::{Buffer, Feed, Need};
use super::names::Names;
use super::settings::{self, Said};
use crate::cluster::ClusterOptions;
use crate::{EngineError, Record, RecordHeaders, Source, Topic};
use bytes::BytesMut;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::Offset;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest wait in a poll: how long a command waits while no records come.
const POLL_WAIT_MAX: Duration = Duration::from_millis(5);
/// Records taken in one go before they are handed on.
const TAKEN_MAX: usize = 5_000;
/// Room for records of a partition that is kept from one go to the next; a catch-up needs more for a while.
const TAKEN_KEPT: usize = 1_000;
/// Longest wait for the leaders of a topic that is read for the first time.
const LEADERS_WAIT_MAX: Duration = Duration::from_secs(1);
/// How often feeds that nobody reads are looked for, in polls.
const SWEEP_POLLS: u32 = 200;
/// Room for the headers of a record; with more of them they are moved once.
const HEADERS_BYTES: usize = 224;

/// What one consumer is told, of partitions of its topic.
enum Command {
    Read { partition: u32, from: u64, feed: Arc<Feed> },
    Resume { partition: u32 },
    Stop,
}

/// All consumers of the process that fetch.
pub(super) struct Fetchers {
    options: ClusterOptions,
    names: Arc<Names>,
    consumers: Mutex<Vec<Fetcher>>,
}

/// One consumer.
struct Fetcher {
    topic: Topic,
    commands: mpsc::Sender<Command>,
    feeds: Arc<Mutex<BTreeMap<u32, Arc<Feed>>>>,
    thread: Option<JoinHandle<()>>,
}

/// A reader's place, and the way to tell its consumer that there is room again.
pub(super) struct Place {
    pub(super) buffer: Arc<Buffer>,
    partition: u32,
    commands: mpsc::Sender<Command>,
}

impl Place {
    /// Tells the consumer that there is room. A consumer that has ended has closed the buffer.
    pub(super) fn resume(&self) {
        if self.commands.send(Command::Resume { partition: self.partition }).is_err() {
            tracing::debug!(partition = self.partition, "the consumer has ended");
        }
    }
}

impl Fetchers {
    pub(super) fn new(options: &ClusterOptions, names: Arc<Names>) -> Self {
        Self { options: options.clone(), names, consumers: Mutex::default() }
    }

    /// Reads `source` from `from`, which must be an offset that it has.
    pub(super) fn read(&self, source: Source, from: u64) -> Result<Place, EngineError> {
        let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        let place = |buffer, fetcher: &Fetcher| Place {
            buffer,
            partition: source.partition,
            commands: fetcher.commands.clone(),
        };
        for fetcher in consumers.iter().filter(|fetcher| fetcher.topic == source.topic) {
            let mut feeds = fetcher.feeds.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(feed) = feeds.get(&source.partition) {
                match feed.attach(from) {
                    Some(buffer) => return Ok(place(buffer, fetcher)),
                    // Nobody reads it any more: its consumer reads on from here.
                    None if feed.close_unread() => {}
                    None => continue,
                }
            }
            let feed = Arc::new(Feed::new(from));
            let Some(buffer) = feed.attach(from) else { continue };
            let read = Command::Read { partition: source.partition, from, feed: Arc::clone(&feed) };
            if fetcher.commands.send(read).is_ok() {
                feeds.insert(source.partition, feed);
                return Ok(place(buffer, fetcher));
            }
        }
        let unavailable =
            |error: &dyn std::fmt::Display| EngineError::Unavailable(error.to_string());
        let number = consumers.len();
        let fetcher = Fetcher::start(&self.options, &self.names, number, source.topic)
            .map_err(|error| unavailable(&error))?;
        let feed = Arc::new(Feed::new(from));
        let buffer = feed.attach(from).ok_or(EngineError::Closed)?;
        let read = Command::Read { partition: source.partition, from, feed: Arc::clone(&feed) };
        let mut feeds = fetcher.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        feeds.insert(source.partition, feed);
        drop(feeds);
        fetcher.commands.send(read).map_err(|error| unavailable(&error))?;
        let place = place(buffer, &fetcher);
        consumers.push(fetcher);
        tracing::debug!(number, topic = %source.topic, "one more consumer fetches");
        Ok(place)
    }

    /// How many consumers there are.
    pub(super) fn count(&self) -> usize {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Ends every consumer; their readers find their buffers closed. Blocks.
    pub(super) fn stop(&self) {
        let consumers = {
            let mut consumers = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *consumers)
        };
        for fetcher in &consumers {
            if fetcher.commands.send(Command::Stop).is_err() {
                tracing::debug!("a consumer has ended already");
            }
        }
        for mut fetcher in consumers {
            if fetcher.thread.take().is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("a consumer broke down");
            }
        }
    }
}

impl Fetcher {
    fn start(
        options: &ClusterOptions,
        names: &Names,
        number: usize,
        topic: Topic,
    ) -> KafkaResult<Self> {
        let consumer: BaseConsumer<Said> = settings::fetcher(options).create_with_context(Said)?;
        let (commands, received) = mpsc::channel();
        let feeds = Arc::default();
        let work = Work {
            consumer,
            topic: (topic, names.topic(topic).to_owned()),
            asked: false,
            received,
            feeds: Arc::clone(&feeds),
            partitions: BTreeMap::new(),
        };
        let thread = std::thread::Builder::new().name(format!("kafka-fetch-{number}"));
        let thread = thread.spawn(move || work.run()).map_err(|error| {
            KafkaError::ClientCreation(format!("a consumer's thread cannot be started: {error}"))
        })?;
        Ok(Self { topic, commands, feeds, thread: Some(thread) })
    }
}

impl Drop for Work {
    /// However the thread ends, its readers begin again elsewhere.
    fn drop(&mut self) {
        for feed in self.feeds.lock().unwrap_or_else(PoisonError::into_inner).values() {
            feed.close();
        }
    }
}

/// What a consumer's thread has.
struct Work {
    consumer: BaseConsumer<Said>,
    /// The one topic that it reads, and Kafka's name for it.
    topic: (Topic, String),
    /// Whether it asked who leads the partitions.
    asked: bool,
    received: mpsc::Receiver<Command>,
    feeds: Arc<Mutex<BTreeMap<u32, Arc<Feed>>>>,
    /// The feeds again, as the library numbers partitions, with what was taken and not handed on.
    partitions: BTreeMap<i32, Reading>,
}

struct Reading {
    partition: u32,
    feed: Arc<Feed>,
    /// False while the feed is paused.
    assigned: bool,
    taken: Vec<Record>,
}

impl Work {
    fn run(mut self) {
        let mut polls = 0_u32;
        while self.obey() {
            self.fetch();
            self.hand_on();
            polls = polls.wrapping_add(1);
            if polls.is_multiple_of(SWEEP_POLLS) {
                self.sweep();
            }
        }
    }

    /// Does what was commanded; false to end.
    fn obey(&mut self) -> bool {
        loop {
            match self.received.try_recv() {
                Ok(Command::Read { partition, from, feed }) => {
                    let Ok(number) = i32::try_from(partition) else { continue };
                    self.ask_who_leads();
                    let reading = Reading { partition, feed, assigned: true, taken: Vec::new() };
                    let before = self.partitions.insert(number, reading);
                    if before.is_some_and(|before| before.assigned) {
                        self.unassign(partition);
                    }
                    self.assign(partition, from);
                }
                Ok(Command::Resume { partition }) => self.resume(partition),
                Err(mpsc::TryRecvError::Empty) => return true,
                Ok(Command::Stop) | Err(mpsc::TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Asks once who leads the partitions of the topic. The library would ask once a second, and the first
    /// record would wait for that. Where nobody answers it does so still.
    fn ask_who_leads(&mut self) {
        let (topic, name) = &self.topic;
        if !std::mem::replace(&mut self.asked, true)
            && let Err(error) = self.consumer.fetch_metadata(Some(name), LEADERS_WAIT_MAX)
        {
            tracing::debug!(%topic, %error, "it is not known yet who leads a topic");
        }
    }

    fn resume(&mut self, partition: u32) {
        let mut readings = self.partitions.values_mut();
        let Some(reading) = readings.find(|one| one.partition == partition) else { return };
        if let Some(from) = reading.feed.resume() {
            reading.assigned = true;
            self.assign(partition, from);
        }
    }

    fn assign(&mut self, partition: u32, from: u64) {
        let list = self.list(partition, Some(from));
        if let Err(error) = list.and_then(|list| self.consumer.incremental_assign(&list)) {
            let source = self.source(partition);
            tracing::error!(%source, from, %error, "a partition cannot be read");
            self.break_off();
        }
    }

    fn unassign(&self, partition: u32) {
        let list = self.list(partition, None);
        if let Err(error) = list.and_then(|list| self.consumer.incremental_unassign(&list)) {
            let source = self.source(partition);
            tracing::error!(%source, %error, "a partition cannot be left");
        }
    }

    fn source(&self, partition: u32) -> Source {
        Source { topic: self.topic.0, partition }
    }

    fn list(&self, partition: u32, from: Option<u64>) -> KafkaResult<TopicPartitionList> {
        let wrong = |_| {
            let source = self.source(partition);
            KafkaError::Subscription(format!("{source} at {from:?}"))
        };
        let number = i32::try_from(partition).map_err(wrong)?;
        let offset = match from {
            Some(from) => Offset::Offset(i64::try_from(from).map_err(wrong)?),
            None => Offset::Invalid,
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic.1, number, offset)?;
        Ok(list)
    }

    fn fetch(&mut self) {
        let mut wait = POLL_WAIT_MAX;
        for _ in 0..TAKEN_MAX {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let reading = self.partitions.get_mut(&message.partition());
                    if let (Some(reading), Some(record)) = (reading, record(&message)) {
                        reading.taken.push(record);
                    }
                }
                Some(Err(KafkaError::MessageConsumption(RDKafkaErrorCode::AutoOffsetReset))) => {
                    // Not said of which partition: every reader looks again whether its offset is there.
                    tracing::warn!("an offset is gone; readers look for theirs again");
                    self.break_off();
                }
                // The library connects again by itself.
                Some(Err(error)) => tracing::warn!(%error, "kafka consumer"),
                None => return,
            }
            wait = Duration::ZERO;
        }
    }

    /// Ends all feeds; their readers begin again, where it is checked that their offsets exist.
    fn break_off(&mut self) {
        for reading in self.partitions.values() {
            reading.feed.close();
        }
        self.sweep();
    }

    fn hand_on(&mut self) {
        let mut paused = Vec::new();
        for reading in self.partitions.values_mut().filter(|one| !one.taken.is_empty()) {
            if reading.feed.push(&mut reading.taken) == Need::Pause {
                reading.assigned = false;
                paused.push(reading.partition);
            }
            reading.taken.shrink_to(TAKEN_KEPT);
        }
        // The library's own pause drops what was fetched ahead and keeps the position to itself.
        paused.into_iter().for_each(|partition| self.unassign(partition));
    }

    /// Leaves the partitions that nobody reads any more.
    fn sweep(&mut self) {
        let mut left = Vec::new();
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        self.partitions.retain(|_, reading| {
            let unread = reading.feed.close_unread();
            if unread {
                left.extend(reading.assigned.then_some(reading.partition));
                // Another one may be on its way here already.
                let is_this = |feed: &&Arc<Feed>| Arc::ptr_eq(feed, &reading.feed);
                if feeds.get(&reading.partition).filter(is_this).is_some() {
                    feeds.remove(&reading.partition);
                }
            }
            !unread
        });
        drop(feeds);
        left.into_iter().for_each(|partition| self.unassign(partition));
    }
}

/// The record, owned; `None` for an offset that cannot be, which Kafka does not give.
fn record(message: &BorrowedMessage<'_>) -> Option<Record> {
    let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
    // One piece of memory for all of it.
    let mut buffer = BytesMut::with_capacity(key.len() + value.len() + HEADERS_BYTES);
    let mut copy = |bytes: &[u8]| {
        buffer.extend_from_slice(bytes);
        buffer.split().freeze()
    };
    let (key, value) = (copy(key), copy(value));
    let headers = message.headers().map(|headers| {
        let headers = headers.iter();
        let headers = headers.map(|one| (one.key.as_bytes(), one.value.unwrap_or_default()));
        RecordHeaders::pack(headers, &mut buffer)
    });
    Some(Record {
        offset: u64::try_from(message.offset()).ok()?,
        appended_at: message.timestamp().to_millis().unwrap_or(0),
        key,
        headers: headers.flatten().unwrap_or_default(),
        value,
    })
}
