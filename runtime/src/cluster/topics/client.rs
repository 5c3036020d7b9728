//! A client of Kafka that asks and changes, and waits.
//!
//! It lives and dies on a thread where blocking is allowed: asking and dropping both block.

use super::check::{Finding, Found, FoundBroker, FoundTopic, Setting};
use super::errors::TopicsError;
use super::plan::{Alter, Create, plan};
use super::properties::check_properties;
use super::wanted::Wanted;
use crate::{Source, Topic};
use rdkafka::TopicPartitionList;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigEntry, ConfigSource, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Longest wait for one answer of Kafka.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Longest wait for the leaders' answers to one question.
const LEADERS_ANSWER_MAX: Duration = Duration::from_secs(3);
/// Longest wait until what was changed is seen, and until new leaders answer.
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(30);
/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Longest wait for the reason why no broker answers.
const WORDS_MAX: Duration = Duration::from_secs(2);
/// Kafka's topic with the stored offsets.
const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Where Kafka is and how it is spoken to.
#[derive(Clone)]
pub struct Kafka {
    /// Brokers to begin with, `host:port`, separated by commas.
    pub brokers: String,
    /// More properties of librdkafka: TLS, SASL, tuning.
    pub properties: BTreeMap<String, String>,
}

/// Without the values of the properties, which may be passwords.
impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.properties.keys().collect();
        f.debug_struct("Kafka").field("brokers", &self.brokers).field("properties", &names).finish()
    }
}

impl Kafka {
    /// Runs `ask` with a client of its own.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Client) -> Result<T, TopicsError> + Send + 'static,
    ) -> Result<T, TopicsError> {
        let (kafka, runtime) = (self.clone(), Handle::current());
        let asked = tokio::task::spawn_blocking(move || ask(&Client::new(kafka, runtime)?));
        asked.await.map_err(TopicsError::Broken)?
    }
}

/// Keeps the last error of a client.
#[derive(Default)]
struct LastWords(Mutex<String>);

impl ClientContext for LastWords {
    fn error(&self, _: KafkaError, reason: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason.to_owned();
    }
}

impl ConsumerContext for LastWords {}

/// Why no broker answers, in parentheses behind a blank, if it comes to light: a request itself ends
/// with no more than "timed out", and an admin client drops the errors of its connections.
fn last_words(config: &ClientConfig) -> String {
    let made = config.create_with_context::<_, BaseConsumer<LastWords>>(LastWords::default());
    let Ok(consumer) = made else { return String::new() };
    let until = Instant::now() + WORDS_MAX;
    while Instant::now() < until {
        if consumer.poll(LOOK_EVERY).is_some() {
            let said = consumer.context().0.lock().unwrap_or_else(PoisonError::into_inner);
            if !said.is_empty() {
                return format!(" ({said})");
            }
        }
    }
    String::new()
}

pub(super) struct Client {
    admin: AdminClient<DefaultClientContext>,
    config: ClientConfig,
    brokers: String,
    runtime: Handle,
}

impl Client {
    fn new(kafka: Kafka, runtime: Handle) -> Result<Self, TopicsError> {
        check_properties(&kafka.properties)?;
        let mut config = ClientConfig::new();
        config.extend(kafka.properties);
        config.set("bootstrap.servers", &kafka.brokers);
        config.set("allow.auto.create.topics", "false");
        let admin = config.create().map_err(|source| TopicsError::Client(Box::new(source)))?;
        Ok(Self { admin, config, brokers: kafka.brokers, runtime })
    }

    fn metadata(&self) -> Result<Metadata, TopicsError> {
        // Of all topics: asking a producer's client for one that is missing would have it made.
        let metadata = self.admin.inner().fetch_metadata(None, ANSWER_MAX);
        metadata.map_err(|source| self.no_broker(source))
    }

    fn no_broker(&self, source: KafkaError) -> TopicsError {
        let last = last_words(&self.config);
        TopicsError::NoBroker { brokers: self.brokers.clone(), last, source: Box::new(source) }
    }

    pub(super) fn read(&self, topics: &[Topic]) -> Result<Found, TopicsError> {
        let metadata = self.metadata()?;
        let mut found = Found::default();
        for topic in metadata.topics() {
            let replicas = topic.partitions().iter().map(|partition| partition.replicas().len());
            let replication = small(replicas.min().unwrap_or_default());
            if topic.name() == OFFSETS_TOPIC && !topic.partitions().is_empty() {
                found.offsets_replication = Some(replication);
            }
            if topics.iter().any(|wanted| wanted.0 == topic.name()) {
                let entries = self.describe(ResourceSpecifier::Topic(topic.name()))?;
                let settings = entries.into_iter().map(setting).collect();
                let partitions = small(topic.partitions().len());
                let topic_found = FoundTopic { partitions, replication, settings };
                found.topics.insert(topic.name().to_owned(), topic_found);
            }
        }
        for broker in metadata.brokers() {
            let entries = self.describe(ResourceSpecifier::Broker(broker.id()))?;
            let told = entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            found.brokers.push(FoundBroker { id: broker.id(), settings: told.collect() });
        }
        found.brokers.sort_by_key(|broker| broker.id);
        Ok(found)
    }

    fn describe(&self, of: ResourceSpecifier<'_>) -> Result<Vec<ConfigEntry>, TopicsError> {
        let failed = |source| TopicsError::Describe { of: named(&of), source: Box::new(source) };
        let asked = self.admin.describe_configs([&of], &options());
        let answers = self.runtime.block_on(asked).map_err(failed)?;
        let [answer] = <[_; 1]>::try_from(answers).map_err(|_| failed(KafkaError::Canceled))?;
        answer.map(|resource| resource.entries).map_err(|code| failed(KafkaError::AdminOp(code)))
    }

    pub(super) fn create(&self, topics: &[Create], up: usize) -> Result<(), TopicsError> {
        for made in topics {
            let failed = |source| TopicsError::Create {
                topic: made.topic.to_owned(),
                partitions: made.partitions,
                replication: made.replication,
                up,
                source: Box::new(source),
            };
            let count = |number: u32| {
                i32::try_from(number).map_err(|_| TopicsError::Count {
                    topic: Topic(made.topic),
                    partitions: number,
                })
            };
            let replication = TopicReplication::Fixed(count(made.replication)?);
            let mut topic = NewTopic::new(made.topic, count(made.partitions)?, replication);
            for (name, value) in &made.settings {
                topic = topic.set(name, value);
            }
            let asked = self.admin.create_topics([&topic], &options());
            for answer in self.runtime.block_on(asked).map_err(failed)? {
                match answer {
                    // Somebody else made it meanwhile: it is read again and checked like any other.
                    Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                    Err((_, code)) => {
                        return Err(failed(KafkaError::AdminOp(code)));
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn alter(&self, topics: &[Alter]) -> Result<(), TopicsError> {
        for alter in topics {
            let topic = alter.topic.to_owned();
            if !alter.hidden.is_empty() {
                return Err(TopicsError::Hidden { topic, settings: alter.hidden.join(", ") });
            }
            let failed =
                |source| TopicsError::Alter { topic: topic.clone(), source: Box::new(source) };
            let mut config = AlterConfig::new(ResourceSpecifier::Topic(alter.topic));
            for (name, value) in &alter.settings {
                config = config.set(name, value);
            }
            let asked = self.admin.alter_configs([&config], &options());
            for answer in self.runtime.block_on(asked).map_err(failed)? {
                answer.map_err(|(_, code)| failed(KafkaError::AdminOp(code)))?;
            }
        }
        Ok(())
    }

    /// What differs once nothing is left that `apply` could do: a broker shows a change a little later.
    pub(super) fn settled(
        &self,
        wanted: &Wanted,
        topics: &[Topic],
    ) -> Result<Vec<Finding>, TopicsError> {
        let until = Instant::now() + SETTLE_MAX;
        loop {
            let left = plan(wanted, &self.read(topics)?);
            if left.create.is_empty() && left.alter.is_empty() {
                return Ok(left.findings);
            }
            if until <= Instant::now() {
                return Err(TopicsError::Unsettled);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    pub(super) fn leaders_answer(
        &self,
        partitions: &[Source],
        within: Duration,
    ) -> Result<(), TopicsError> {
        let until = Instant::now() + within;
        let mut silent = partitions.to_vec();
        loop {
            // A new one each time: it keeps what a broker told it that had not heard of a topic yet.
            let asker: BaseConsumer =
                self.config.create().map_err(|source| TopicsError::Client(Box::new(source)))?;
            let metadata = asker.fetch_metadata(None, ANSWER_MAX);
            let metadata = metadata.map_err(|source| self.no_broker(source))?;
            let answered =
                answered(&asker, silent.iter().filter(|source| led(&metadata, **source)));
            silent.retain(|source| !answered.contains(source));
            let Some(first) = silent.first() else { return Ok(()) };
            if until <= Instant::now() {
                return Err(TopicsError::Leaderless { count: silent.len(), first: *first });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// Whether a partition has a leader.
fn led(metadata: &Metadata, source: Source) -> bool {
    let topic = metadata.topics().iter().find(|topic| topic.name() == source.topic.0);
    let mut partitions = topic.into_iter().flat_map(|topic| topic.partitions());
    partitions.any(|found| {
        u32::try_from(found.id()) == Ok(source.partition)
            && 0 <= found.leader()
            && found.error().is_none()
    })
}

/// The partitions whose leaders tell their ends. One question to each leader, for all its partitions: one
/// for each partition would make the start of a process on a busy cluster last longer than its deadline.
fn answered<'a>(
    asker: &BaseConsumer,
    sources: impl Iterator<Item = &'a Source>,
) -> BTreeSet<Source> {
    let mut list = TopicPartitionList::new();
    let mut asked = BTreeMap::new();
    for source in sources {
        let Ok(partition) = i32::try_from(source.partition) else { continue };
        // In place of a time this asks for the end.
        if list.add_partition_offset(source.topic.0, partition, Offset::End).is_ok() {
            asked.insert((source.topic.0, partition), *source);
        }
    }
    if asked.is_empty() {
        return BTreeSet::new();
    }
    let Ok(ends) = asker.offsets_for_times(list, LEADERS_ANSWER_MAX) else {
        return BTreeSet::new();
    };
    let told = ends
        .elements()
        .into_iter()
        .filter(|end| end.error().is_ok() && matches!(end.offset(), Offset::Offset(_)))
        .filter_map(|end| asked.get(&(end.topic(), end.partition())).copied());
    told.collect()
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_MAX)).operation_timeout(Some(ANSWER_MAX))
}

fn setting(entry: ConfigEntry) -> (String, Setting) {
    let own = entry.source == ConfigSource::DynamicTopic;
    (entry.name, Setting { value: entry.value, own })
}

fn named(of: &ResourceSpecifier<'_>) -> String {
    match of {
        ResourceSpecifier::Topic(topic) => format!("topic {topic}"),
        ResourceSpecifier::Group(group) => format!("group {group}"),
        ResourceSpecifier::Broker(id) => format!("broker {id}"),
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
