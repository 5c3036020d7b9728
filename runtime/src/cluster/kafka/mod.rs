//! The record log on Apache Kafka.
//!
//! One idempotent producer, a few consumers that fetch what readers are at, one consumer for each
//! membership of a group. The library's clients have threads of their own, and every call into them that
//! can wait is made on one of ours or on a blocking task, never on a worker of tokio.

mod buffer;
mod fetch;
mod holes;
mod member;
mod names;
mod offsets;
mod produce;
mod reader;
mod settings;

pub use member::KafkaAssignments;
pub use reader::KafkaReader;
pub use settings::{fetcher as fetcher_settings, producer as producer_settings};

use crate::catalogue::Catalogue;
use crate::cluster::ClusterOptions;
use crate::{Append, Clock, EngineError, Lease, Source, StoreOffset, Topic};
use fetch::Fetchers;
use member::Member;
use names::Names;
use produce::Producer;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use settings::{ANSWER_WAIT_MAX, Said};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Longest wait at the end for what was handed over, and for members to leave their groups.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Questions to Kafka that wait at once, each on a thread: a process that takes over all partitions has
/// hundreds.
const ASKING_MAX: usize = 16;
/// Longest wait for one answer of a leader, which may be gone.
const LEADER_WAIT_MAX: Duration = Duration::from_secs(4);
/// Shortest time between two clients for questions: each has threads and connections of its own.
const ASKER_AGE_MIN: Duration = Duration::from_secs(1);
/// Pause before a leader or coordinator that is being moved is asked again.
const MOVE_PAUSE: Duration = Duration::from_millis(50);
/// How often it is looked whether members have left.
const LOOK_PERIOD: Duration = Duration::from_millis(10);

/// Every client of Kafka in this process.
pub(super) struct Kafka {
    options: ClusterOptions,
    catalogue: Catalogue,
    names: Arc<Names>,
    producer: Producer,
    fetchers: Fetchers,
    /// Asks for ends of partitions.
    asker: Mutex<Asker>,
    /// One permit for each question that waits on a thread.
    asking: Arc<Semaphore>,
    /// Asks for the offsets of a group.
    askers: Mutex<BTreeMap<String, Arc<BaseConsumer<Said>>>>,
    members: Mutex<Members>,
    generation: Arc<AtomicU64>,
    now: Arc<dyn Fn() -> u64 + Send + Sync>,
    closed: AtomicBool,
}

/// A client for questions, and since when it is the one.
struct Asker {
    client: Arc<BaseConsumer<Said>>,
    since: Instant,
}

impl Asker {
    fn new(options: &ClusterOptions) -> KafkaResult<Self> {
        let client = settings::fetcher(options).create_with_context(Said)?;
        Ok(Self { client: Arc::new(client), since: Instant::now() })
    }
}

#[derive(Default)]
struct Members {
    live: Vec<Arc<Member>>,
    /// Names of members in use, until their threads have ended.
    instances: Vec<String>,
}

/// The name of a member, free again when this is dropped. Not to be dropped under the lock of the members.
struct Taken {
    kafka: Weak<Kafka>,
    name: String,
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(kafka) = self.kafka.upgrade() {
            kafka.members().instances.retain(|name| *name != self.name);
        }
    }
}

impl Kafka {
    /// Connects, and waits until the leader of every partition has answered the producer: a record sent
    /// to a leader that is just being made known may be lost (KAFKA-15591).
    pub(super) async fn open(
        options: ClusterOptions,
        catalogue: Catalogue,
        clock: impl Clock,
    ) -> Result<Arc<Self>, KafkaError> {
        let names = Arc::new(Names::new(&options, &catalogue));
        let kafka = Arc::new(Self {
            producer: Producer::new(&options, Arc::clone(&names))?,
            fetchers: Fetchers::new(&options, Arc::clone(&names)),
            names,
            asker: Mutex::new(Asker::new(&options)?),
            asking: Arc::new(Semaphore::new(ASKING_MAX)),
            askers: Mutex::default(),
            members: Mutex::default(),
            generation: Arc::default(),
            now: Arc::new(move || u64::try_from(clock.now()).unwrap_or(0)),
            closed: AtomicBool::new(false),
            options,
            catalogue,
        });
        let reached = blocking(&kafka, |kafka| {
            let topics = kafka.catalogue.topics().map(|spec| kafka.names.topic(spec.topic));
            let topics = topics.collect();
            kafka.patiently(&LEADER_MOVES, |wait_max| kafka.producer.reach(&topics, wait_max))
        });
        reached.await.map(|()| kafka)
    }

    fn not_closed(&self) -> Result<(), EngineError> {
        if self.closed.load(Ordering::Acquire) { Err(EngineError::Closed) } else { Ok(()) }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Producer::append`].
    pub(super) async fn append(
        &self,
        records: Vec<Append>,
        new_work: bool,
    ) -> Result<(), EngineError> {
        self.not_closed()?;
        self.producer.append(records, new_work).await
    }

    pub(super) async fn failed(&self) -> String {
        self.producer.failed().await
    }

    pub(super) fn reader(self: &Arc<Self>, source: Source, from: u64) -> KafkaReader {
        KafkaReader::new(Arc::clone(self), source, from)
    }

    pub(super) fn consumers(&self) -> usize {
        self.fetchers.count()
    }

    pub(super) fn partitions(&self, topic: Topic) -> u32 {
        self.catalogue.partitions(topic)
    }

    pub(super) async fn range(self: &Arc<Self>, source: Source) -> Result<(u64, u64), EngineError> {
        self.not_closed()?;
        let asked = blocking(self, move |kafka| kafka.ends(source));
        let (low, end) = asked.await.map_err(|error| unavailable(source, &error))?;
        Ok((u64::try_from(low).unwrap_or(0), u64::try_from(end).unwrap_or(0)))
    }

    /// Blocks.
    fn ends(&self, source: Source) -> KafkaResult<(i64, i64)> {
        let topic = self.names.topic(source.topic);
        let partition = i32::try_from(source.partition).unwrap_or(i32::MAX);
        self.patiently(&LEADER_MOVES, |wait_max| {
            let asker = Arc::clone(&self.asker().client);
            let asked = asker.fetch_watermarks(topic, partition, wait_max.min(LEADER_WAIT_MAX));
            let code = asked.as_ref().err().and_then(KafkaError::rdkafka_error_code);
            if code.is_some_and(|code| LEADER_FORGOTTEN.contains(&code)) {
                self.replace_asker(&asker)?;
            }
            asked
        })
    }

    fn asker(&self) -> MutexGuard<'_, Asker> {
        self.asker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client keeps for minutes that a partition has no leader, or one that is gone, and asks nobody again.
    fn replace_asker(&self, stale: &Arc<BaseConsumer<Said>>) -> KafkaResult<()> {
        let mut asker = self.asker();
        if Arc::ptr_eq(&asker.client, stale) && ASKER_AGE_MIN <= asker.since.elapsed() {
            *asker = Asker::new(&self.options)?;
        }
        Ok(())
    }

    /// Asks again for a while after an answer that is `passing`, until this is closed. `ask` is told how long it
    /// may wait. Blocks.
    fn patiently<T>(
        &self,
        passing: &[RDKafkaErrorCode],
        ask: impl Fn(Duration) -> KafkaResult<T>,
    ) -> KafkaResult<T> {
        patiently(passing, ANSWER_WAIT_MAX, || self.closed.load(Ordering::Acquire), ask)
    }

    pub(super) async fn stored(
        self: &Arc<Self>,
        group: &'static str,
        source: Source,
    ) -> Result<Option<u64>, EngineError> {
        self.not_closed()?;
        let asked = blocking(self, move |kafka| kafka.committed(group, source));
        asked.await.map_err(|error| unavailable(source, &error))
    }

    /// Blocks.
    fn committed(&self, group: &str, source: Source) -> KafkaResult<Option<u64>> {
        let joined = self.spec(group).is_some_and(|spec| spec.topic == source.topic);
        let names = &self.names;
        let group = if joined { names.group(group) } else { names.unowned_group(group) };
        let asker = {
            let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
            match askers.get(&group) {
                Some(asker) => Arc::clone(asker),
                None => {
                    let config = settings::offsets(&self.options, &group);
                    let asker = Arc::new(config.create_with_context(Said)?);
                    askers.insert(group, Arc::clone(&asker));
                    asker
                }
            }
        };
        let mut list = TopicPartitionList::new();
        list.add_partition(
            names.topic(source.topic),
            i32::try_from(source.partition).unwrap_or(i32::MAX),
        );
        let ask = |wait_max| asker.committed_offsets(list.clone(), wait_max);
        let found = self.patiently(&COORDINATOR_MOVES, ask)?;
        Ok(match found.elements().first().map(|one| (one.offset(), one.error())) {
            Some((Offset::Offset(offset), Ok(()))) => u64::try_from(offset).ok(),
            Some((_, Err(error))) => return Err(error),
            Some(_) | None => None,
        })
    }

    fn spec(&self, group: &str) -> Option<&crate::cluster::GroupSpec> {
        self.options.groups.iter().find(|spec| spec.group == group)
    }

    pub(super) fn join(self: &Arc<Self>, group: &'static str, topic: Topic) -> KafkaAssignments {
        let spec = self.spec(group).filter(|spec| spec.topic == topic).copied();
        let Some(spec) = spec else {
            let why = format!("the group {group} of {topic} is not in the options of the engine");
            return KafkaAssignments::refused(EngineError::Unavailable(why));
        };
        let (instance, taken) = self.take_name(group);
        let (generation, now) = (Arc::clone(&self.generation), Arc::clone(&self.now));
        let (assignments, member) = KafkaAssignments::join(
            &self.options,
            Arc::clone(&self.names),
            &spec,
            instance,
            generation,
            now,
            taken,
        );
        let mut members = self.members();
        members.live.retain(|member| !member.left());
        members.live.extend(member);
        assignments
    }

    /// A name for a member of `group` that no other of this process has.
    fn take_name(self: &Arc<Self>, group: &str) -> (String, Taken) {
        let mut members = self.members();
        let name = |number: u32| format!("{}-{number}", self.options.instance);
        let free = |name: &String| !members.instances.contains(&format!("{group}/{name}"));
        let instance = (0..).map(name).find(free).unwrap_or_default();
        let name = format!("{group}/{instance}");
        members.instances.push(name.clone());
        (instance, Taken { kafka: Arc::downgrade(self), name })
    }

    /// Whether the lease still holds in this process.
    pub(super) fn owns(&self, lease: &Lease) -> bool {
        self.members().live.iter().any(|member| member.owns(lease))
    }

    /// Takes offsets over, to be stored soon; refused if the lease does not hold any more.
    pub(super) fn store(&self, lease: &Lease, offsets: &[StoreOffset]) -> Result<(), EngineError> {
        let stored = self.members().live.iter().any(|member| member.store(lease, offsets));
        if stored { Ok(()) } else { Err(EngineError::Fenced(lease.source)) }
    }

    /// Leaves the groups, waits for acknowledgements, ends all threads.
    pub(super) async fn close(self: &Arc<Self>) {
        self.members().live.drain(..).for_each(|member| member.leave());
        let until = Instant::now() + CLOSE_WAIT_MAX;
        while !self.members().instances.is_empty() && Instant::now() < until {
            tokio::time::sleep(LOOK_PERIOD).await;
        }
        self.closed.store(true, Ordering::Release);
        let kafka = Arc::clone(self);
        // Without a permit: it would wait for all questions.
        let closed = tokio::task::spawn_blocking(move || {
            let flushed = kafka.producer.flush(CLOSE_WAIT_MAX);
            kafka.fetchers.stop();
            flushed
        });
        match closed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "records in flight were cut off"),
            Err(error) => tracing::error!(%error, "the end broke down"),
        }
    }
}

fn unavailable(source: Source, error: &KafkaError) -> EngineError {
    EngineError::Unavailable(format!("{source}: {error}"))
}

/// The coordinator of a group is only just being made, or moved.
const COORDINATOR_MOVES: [RDKafkaErrorCode; 4] = [
    RDKafkaErrorCode::NotCoordinator,
    RDKafkaErrorCode::CoordinatorLoadInProgress,
    RDKafkaErrorCode::CoordinatorNotAvailable,
    RDKafkaErrorCode::WaitingForCoordinator,
];

/// A partition has another leader, or is only just getting one: what was answered may be otherwise soon.
const LEADER_MOVES: [RDKafkaErrorCode; 9] = [
    RDKafkaErrorCode::NotLeaderForPartition,
    RDKafkaErrorCode::LeaderNotAvailable,
    RDKafkaErrorCode::FencedLeaderEpoch,
    RDKafkaErrorCode::UnknownLeaderEpoch,
    RDKafkaErrorCode::OffsetNotAvailable,
    RDKafkaErrorCode::UnknownTopicOrPartition,
    RDKafkaErrorCode::UnknownPartition,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::BrokerTransportFailure,
];

/// What a client answers that may not know who leads now, and would not ask.
const LEADER_FORGOTTEN: [RDKafkaErrorCode; 4] = [
    RDKafkaErrorCode::LeaderNotAvailable,
    RDKafkaErrorCode::UnknownPartition,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::BrokerTransportFailure,
];

fn patiently<T>(
    passing: &[RDKafkaErrorCode],
    wait_max: Duration,
    given_up: impl Fn() -> bool,
    ask: impl Fn(Duration) -> KafkaResult<T>,
) -> KafkaResult<T> {
    let until = Instant::now() + wait_max;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let asked = ask(left.max(MOVE_PAUSE));
        let code = asked.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        let passes = code.is_some_and(|code| passing.contains(&code));
        if !passes || until <= Instant::now() || given_up() {
            return asked;
        }
        std::thread::sleep(MOVE_PAUSE);
    }
}

/// Runs what may wait on a task that may block.
async fn blocking<T: Send + 'static>(
    kafka: &Arc<Kafka>,
    work: impl FnOnce(&Kafka) -> KafkaResult<T> + Send + 'static,
) -> KafkaResult<T> {
    let broken = |error: &dyn std::fmt::Display| {
        KafkaError::ClientCreation(format!("a task broke down: {error}"))
    };
    let permit = Arc::clone(&kafka.asking).acquire_owned().await;
    let permit = permit.map_err(|error| broken(&error))?;
    let asked = Arc::clone(kafka);
    let done = tokio::task::spawn_blocking(move || {
        let done = work(&asked);
        drop(permit);
        done
    });
    done.await.unwrap_or_else(|error| Err(broken(&error)))
}

#[cfg(test)]
fn options_for_tests(brokers: &str) -> ClusterOptions {
    use crate::cluster::{Profile, StoreOptions};
    ClusterOptions {
        profile: Profile::Single,
        brokers: brokers.to_owned(),
        properties: BTreeMap::new(),
        namespace: "n.".to_owned(),
        instance: "test".to_owned(),
        groups: Vec::new(),
        store: StoreOptions {
            nodes: Vec::new(),
            keyspace: String::new(),
            given_addresses_only: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_passes_is_asked_again_and_nothing_else() {
        let failed = |code| Err(KafkaError::MetadataFetch(code));
        let ask_of = |answers: &[KafkaResult<u8>], wait_ms, given_up| {
            let asked = Cell::new(0);
            let told = patiently(
                &LEADER_MOVES,
                Duration::from_millis(wait_ms),
                || given_up,
                |_| {
                    asked.set(asked.get() + 1);
                    answers[(asked.get() - 1).min(answers.len() - 1)].clone()
                },
            );
            (told.ok(), asked.get())
        };
        let moved = failed(RDKafkaErrorCode::NotLeaderForPartition);
        let lost = failed(RDKafkaErrorCode::UnknownPartition);
        let refused = failed(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert_eq!(ask_of(&[Ok(1)], 5_000, false), (Some(1), 1));
        assert_eq!(ask_of(&[moved.clone(), lost, Ok(3)], 5_000, false), (Some(3), 3));
        assert_eq!(ask_of(&[refused, Ok(2)], 5_000, false), (None, 1));
        assert_eq!(ask_of(&[moved.clone(), Ok(2)], 5_000, true), (None, 1), "closed");
        let (told, asked) = ask_of(&[moved], 120, false);
        assert!(told.is_none() && 2 <= asked, "{asked} times");
    }
}
