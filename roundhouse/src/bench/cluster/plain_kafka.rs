//! The plain programs' log: librdkafka with the settings of the engine, those given by `--property` too, and nothing
//! between.

use super::ground::{ClusterGround, LANES};
use crate::bench::ground::Watcher;
use crate::bench::tail::Taken;
use anyhow::Context;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;
use runtime::cluster::{fetcher_settings, producer_settings};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Longest wait for an answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// Pause while the queue is full, or acknowledgements are awaited.
const PAUSE: Duration = Duration::from_millis(1);

/// Counts what was acknowledged and what was given up.
#[derive(Clone, Default)]
struct Count {
    acknowledged: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.acknowledged } else { &self.failed };
        counter.fetch_add(1, Ordering::AcqRel);
    }
}

/// What the clients of the plain programs are called.
const INSTANCE: &str = "bench-plain";

/// Tells each sender that its record was acknowledged; dropped if it was given up.
struct Tell;

impl ClientContext for Tell {}

impl ProducerContext for Tell {
    type DeliveryOpaque = Box<oneshot::Sender<()>>;

    fn delivery(&self, result: &DeliveryResult<'_>, acknowledged: Box<oneshot::Sender<()>>) {
        if result.is_ok() {
            // Whoever waited may be gone, at the end of a run.
            acknowledged.send(()).ok();
        }
    }
}

/// Appends one record at a time to one partition, for many at once.
#[derive(Clone)]
pub(in crate::bench) struct PlainAppends {
    kafka: Arc<ThreadedProducer<Tell>>,
    topic: String,
}

impl PlainAppends {
    /// Connects to the leader of partition 0 of `topic`. Blocks.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn open(ground: &ClusterGround, topic: &str) -> anyhow::Result<Self> {
        let kafka: ThreadedProducer<Tell> =
            producer_settings(&ground.options(INSTANCE)).create_with_context(Tell)?;
        kafka.client().fetch_watermarks(topic, 0, ANSWER_WAIT_MAX)?;
        Ok(Self { kafka: Arc::new(kafka), topic: topic.to_owned() })
    }

    /// Appends `bytes` bytes; acknowledged when it resolves.
    ///
    /// # Errors
    /// If they are not taken.
    pub(in crate::bench) async fn append(&self, bytes: usize) -> anyhow::Result<()> {
        let (sender, acknowledged) = oneshot::channel();
        let payload = vec![b'x'; bytes];
        let message = BaseRecord::<(), [u8], _>::with_opaque_to(&self.topic, Box::new(sender))
            .partition(0)
            .payload(&payload[..]);
        self.kafka.send(message).map_err(|(error, _)| error).context("a record was not taken")?;
        acknowledged.await.context("a record was not acknowledged")
    }
}

/// A producer.
pub(super) struct PlainProducer {
    kafka: ThreadedProducer<Count>,
    count: Count,
    sent: usize,
}

impl PlainProducer {
    /// Connects to the leader of every partition of `topic`. Blocks.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn open(ground: &ClusterGround, topic: &str) -> anyhow::Result<Self> {
        let count = Count::default();
        let kafka: ThreadedProducer<Count> =
            producer_settings(&ground.options(INSTANCE)).create_with_context(count.clone())?;
        for partition in 0..i32::try_from(LANES)? {
            kafka.client().fetch_watermarks(topic, partition, ANSWER_WAIT_MAX)?;
        }
        Ok(Self { kafka, count, sent: 0 })
    }

    /// Hands a record over. Blocks while the queue is full.
    ///
    /// # Errors
    /// If it cannot be taken.
    pub(super) fn send(&mut self, topic: &str, record: &Taken) -> anyhow::Result<()> {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.iter().count());
        for (key, value) in record.headers.iter() {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        let mut message = BaseRecord::to(topic)
            .partition(i32::try_from(record.partition)?)
            .key(&record.key[..])
            .payload(&record.value[..])
            .headers(headers);
        self.sent += 1;
        loop {
            match self.kafka.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    sleep(PAUSE);
                }
                Err((error, _)) => return Err(error).context("a record was not taken"),
            }
        }
    }

    /// Waits until everything is acknowledged. Blocks.
    ///
    /// # Errors
    /// If something never is.
    pub(super) fn done(&self) -> anyhow::Result<()> {
        loop {
            anyhow::ensure!(
                self.count.failed.load(Ordering::Acquire) == 0,
                "records were not acknowledged"
            );
            if self.sent <= self.count.acknowledged.load(Ordering::Acquire) {
                return Ok(());
            }
            sleep(PAUSE);
        }
    }
}

/// A consumer of all partitions of a topic.
pub struct PlainConsumer {
    kafka: BaseConsumer,
}

impl PlainConsumer {
    /// Reads `topic` from its beginning, or from where it ends now. Blocks.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn open(
        ground: &ClusterGround,
        topic: &str,
        beginning: bool,
    ) -> anyhow::Result<Self> {
        let kafka: BaseConsumer = fetcher_settings(&ground.options(INSTANCE)).create()?;
        let mut list = TopicPartitionList::new();
        for partition in 0..i32::try_from(LANES)? {
            let (low, end) = kafka.fetch_watermarks(topic, partition, ANSWER_WAIT_MAX)?;
            let from = if beginning { low } else { end };
            list.add_partition_offset(topic, partition, Offset::Offset(from))?;
        }
        kafka.assign(&list)?;
        Ok(Self { kafka })
    }

    /// Takes at most `records_max` records that are there, at least one. Blocks.
    ///
    /// # Errors
    /// If none comes.
    pub(super) fn take(&self, records_max: usize) -> anyhow::Result<usize> {
        let mut taken = 0;
        let mut wait = ANSWER_WAIT_MAX;
        while taken < records_max {
            match self.kafka.poll(wait) {
                Some(message) => {
                    message.context("a record could not be read")?;
                    taken += 1;
                    wait = Duration::ZERO;
                }
                None if 0 < taken => break,
                None => anyhow::bail!("no record came"),
            }
        }
        Ok(taken)
    }

    /// Takes `count` records; when it had the last. Blocks.
    ///
    /// # Errors
    /// If one does not come.
    fn take_all(&self, count: usize) -> anyhow::Result<Instant> {
        let mut taken = 0;
        while taken < count {
            taken += self.take(count - taken)?;
        }
        Ok(Instant::now())
    }
}

impl Watcher for Arc<PlainConsumer> {
    async fn seen(&mut self, count: usize) -> anyhow::Result<tokio::time::Instant> {
        let consumer = Self::clone(self);
        Ok(tokio::task::spawn_blocking(move || consumer.take_all(count)).await??.into())
    }
}

/// Produces `records` into `topic`; the time until a consumer has seen the last. Blocks.
///
/// # Errors
/// If one does not come back.
pub(super) fn there_and_back(
    producer: &mut PlainProducer,
    consumer: &PlainConsumer,
    topic: &str,
    records: &[Taken],
) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| consumer.take_all(records.len()));
        for record in records {
            producer.send(topic, record)?;
        }
        match reading.join() {
            Ok(last) => Ok(last?.duration_since(begun)),
            Err(_) => anyhow::bail!("the plain consumer broke down"),
        }
    })
}
