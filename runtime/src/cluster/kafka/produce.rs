//! Appending: one idempotent producer for the process.

use super::names::Names;
use super::settings::{self, NEW_WORK_RECORDS_MAX};
use crate::cluster::ClusterOptions;
use crate::{Append, EngineError};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Pause before a record is offered again to a producer whose queue is full.
const FULL_PAUSE: Duration = Duration::from_millis(2);

/// Records sent together, waiting for their acknowledgements.
#[derive(Debug)]
struct Wave {
    /// Acknowledgements to come, and one for the sender while it is still sending.
    left: AtomicUsize,
    failed: Mutex<Option<KafkaError>>,
    done: Notify,
}

impl Wave {
    fn end_one(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    fn fail(&self, error: KafkaError) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn result(&self) -> KafkaResult<()> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(Ok(()), Err)
    }
}

/// Takes the acknowledgements.
struct Acknowledge {
    failed: watch::Sender<Option<String>>,
}

impl Acknowledge {
    fn give_up(&self, why: String) {
        tracing::error!(why, "a record was not acknowledged; this process has to end");
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert(why);
            first
        });
    }
}

impl ClientContext for Acknowledge {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        settings::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // A fatal error is repeated by every record that it fails.
        tracing::warn!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Acknowledge {
    type DeliveryOpaque = Arc<Wave>;

    fn delivery(&self, result: &DeliveryResult<'_>, wave: Arc<Wave>) {
        if let Err((error, _)) = result {
            self.give_up(error.to_string());
            wave.fail(error.clone());
        }
        wave.end_one();
    }
}

/// Appends records and waits for their acknowledgements.
pub(super) struct Producer {
    kafka: ThreadedProducer<Acknowledge>,
    names: Arc<Names>,
    /// Held while the records of one request are handed over, so that a full queue does not mix them with
    /// those of the next.
    sending: tokio::sync::Mutex<()>,
    failed: watch::Receiver<Option<String>>,
}

impl Producer {
    pub(super) fn new(options: &ClusterOptions, names: Arc<Names>) -> KafkaResult<Self> {
        let (sender, failed) = watch::channel(None);
        let kafka = settings::producer(options)
            .create_with_context::<_, ThreadedProducer<_>>(Acknowledge { failed: sender })?;
        Ok(Self { kafka, names, sending: tokio::sync::Mutex::default(), failed })
    }

    /// Learns who leads what, and connects to every broker that leads a partition of ours, so that the first
    /// record waits for neither. Blocks.
    pub(super) fn reach(&self, topics: &BTreeSet<&str>, wait_max: Duration) -> KafkaResult<()> {
        let client = self.kafka.client();
        // Of all topics: asking a producer's client for one that is missing would have it made.
        let metadata = client.fetch_metadata(None, wait_max)?;
        let ours = metadata.topics().iter().filter(|topic| topics.contains(topic.name()));
        let mut led_by = BTreeMap::new();
        for topic in ours {
            for partition in topic.partitions() {
                led_by.entry(partition.leader()).or_insert((topic.name(), partition.id()));
            }
        }
        for (topic, partition) in led_by.into_values() {
            client.fetch_watermarks(topic, partition, wait_max)?;
        }
        Ok(())
    }

    /// Resolves when a record could not be appended. What was said to be durable is; what the producer
    /// would do to the order of later records is not worth finding out: the process ends.
    pub(super) async fn failed(&self) -> String {
        let mut failed = self.failed.clone();
        // Not held across the wait below, so that the future can be sent to another thread.
        let why = failed.wait_for(Option::is_some).await.map(|why| why.clone().unwrap_or_default());
        match why {
            Ok(why) => why,
            Err(_) => std::future::pending().await,
        }
    }

    /// Records handed to the producer and not acknowledged.
    pub(super) fn waiting(&self) -> usize {
        usize::try_from(self.kafka.in_flight_count()).unwrap_or(0)
    }

    /// Appends in the order given and waits for every acknowledgement. New work is refused with
    /// [`EngineError::Full`] while too much waits; other records wait for room.
    pub(super) async fn append(
        &self,
        records: Vec<Append>,
        new_work: bool,
    ) -> Result<(), EngineError> {
        if let Some(why) = self.failed.borrow().as_ref() {
            return Err(EngineError::Unavailable(why.clone()));
        }
        let waiting = self.waiting();
        if new_work && NEW_WORK_RECORDS_MAX < waiting {
            let text = format!("{waiting} records wait for Kafka's acknowledgement");
            return Err(EngineError::Full(text));
        }
        let wave = Arc::new(Wave {
            left: AtomicUsize::new(1),
            failed: Mutex::new(None),
            done: Notify::new(),
        });
        let sending = self.sending.lock().await;
        // Each is dropped as soon as the library has its copy, while its memory is still in the cache.
        for record in records {
            if let Err(error) = self.send(&record, &wave).await {
                if self.kafka.client().fatal_error().is_some() {
                    self.kafka.context().give_up(error.to_string());
                }
                wave.fail(error);
                break;
            }
        }
        drop(sending);
        let done = wave.done.notified();
        wave.end_one();
        done.await;
        wave.result().map_err(|error| EngineError::Unavailable(error.to_string()))
    }

    async fn send(&self, record: &Append, wave: &Arc<Wave>) -> KafkaResult<()> {
        let partition = i32::try_from(record.partition).unwrap_or(i32::MAX);
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        wave.left.fetch_add(1, Ordering::AcqRel);
        let mut message =
            BaseRecord::with_opaque_to(self.names.topic(record.topic), Arc::clone(wave))
                .partition(partition)
                .payload(&record.value[..])
                .headers(headers);
        if !record.key.is_empty() {
            message = message.key(&record.key[..]);
        }
        loop {
            match self.kafka.send(message) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    message = back;
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err((error, _)) => {
                    wave.end_one();
                    return Err(error);
                }
            }
        }
    }

    /// Waits until everything handed over is acknowledged or given up. Blocks.
    pub(super) fn flush(&self, wait_max: Duration) -> KafkaResult<()> {
        self.kafka.flush(wait_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::kafka::options_for_tests;
    use crate::{Catalogue, Topic};
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    const TOPIC: Topic = Topic("log");

    fn record() -> Append {
        let value = "value".into();
        Append { topic: TOPIC, partition: 0, key: "key".into(), headers: Vec::new(), value }
    }

    /// A record that is given up ends the process: whoever waits for that hears of it, and nothing more
    /// is taken.
    #[tokio::test]
    async fn a_record_that_is_given_up_is_fatal() {
        let brokers = MockCluster::new(1).unwrap();
        brokers.create_topic("n.log", 1, 1).unwrap();
        let options = options_for_tests(&brokers.bootstrap_servers());
        let names = Names::new(&options, &Catalogue::new([(TOPIC, 1)], ["kind"]));
        let producer = Producer::new(&options, Arc::new(names)).unwrap();
        producer.append(vec![record(), record()], true).await.unwrap();
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
        brokers.request_errors(RDKafkaApiKey::Produce, &[refused; 4]);
        let lost = producer.append(vec![record()], false).await;
        assert!(matches!(lost, Err(EngineError::Unavailable(_))), "{lost:?}");
        let why = tokio::time::timeout(Duration::from_secs(10), producer.failed()).await.unwrap();
        brokers.clear_request_errors(RDKafkaApiKey::Produce);
        let after = producer.append(vec![record()], false).await;
        assert_eq!(after, Err(EngineError::Unavailable(why)));
    }
}
