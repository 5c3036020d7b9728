//! Membership of a group: a consumer on a thread of its own that is assigned partitions, reads nothing and
//! stores the offsets of what it owns.
//!
//! A partition that is taken away is fenced in this process before the library is allowed to go on: from
//! then on no offset of it is accepted. Of a process that was thought dead and comes back Kafka refuses
//! offsets by the generation of its membership, until it has joined again.

use super::holes::{Shares, Watch};
use super::names::Names;
use super::offsets::{self, Pending};
use super::settings::{self, Said};
use crate::cluster::{ClusterOptions, GroupSpec};
use crate::{Assignments, Change, EngineError, Lease, Source, StoreOffset, Topic};
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::Offset;
use rdkafka::types::RDKafkaRespErr;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Longest wait in a poll: how long the wish to leave waits.
const POLL_WAIT_MAX: Duration = Duration::from_millis(20);
/// For so long a member keeps what is to go to another. The library asks to join at most once a second:
/// the others, who joined to hear of this change, could not join the next one, which hands the partitions
/// on, and until all have joined these would rest.
const KEEP_WAIT: Duration = Duration::from_millis(1_020);
/// Longest wait for the last offsets, and for giving everything up, when it leaves the group.
const LEAVE_WAIT_MAX: Duration = Duration::from_secs(3);
/// Time for the request to leave to go out.
const LEAVE_SEND_WAIT: Duration = Duration::from_millis(250);
/// Pause between two looks at the group: longer than partitions are on their way from one member to
/// another.
const LOOK_PERIOD: Duration = Duration::from_secs(3);
/// Longest wait for Kafka's answer to a look, which holds up the end of a member.
const LOOK_WAIT_MAX: Duration = Duration::from_secs(1);

/// What the member's thread, its consumer and the owners of its leases share.
pub(super) struct Member {
    pub(super) group: &'static str,
    pub(super) topic: Topic,
    instance: String,
    owned: Mutex<BTreeMap<u32, Lease>>,
    /// Offsets of the topic joined.
    pending: Pending,
    /// Offsets of the other topics that its partitions go with.
    pending_unowned: Pending,
    names: Arc<Names>,
    changes: mpsc::UnboundedSender<Result<Change, EngineError>>,
    generation: Arc<AtomicU64>,
    now: Arc<dyn Fn() -> u64 + Send + Sync>,
    leaving: AtomicBool,
    /// Set until it has left in order to join again.
    rejoining: AtomicBool,
}

impl Member {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Lease>> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn owns(&self, lease: &Lease) -> bool {
        self.lock().get(&lease.source.partition) == Some(lease)
    }

    /// Whether the lease of the source's partition is still the one of this generation.
    fn holds(&self, source: Source, generation: u64) -> bool {
        self.lock().get(&source.partition).is_some_and(|lease| lease.generation == generation)
    }

    /// Takes offsets over if the lease still holds.
    pub(super) fn store(&self, lease: &Lease, offsets: &[StoreOffset]) -> bool {
        let owned = self.lock();
        if owned.get(&lease.source.partition) != Some(lease) {
            return false;
        }
        for offset in offsets {
            match offset.source.topic == self.topic {
                true => self.pending.put(*offset, lease.generation),
                false => self.pending_unowned.put(*offset, lease.generation),
            }
        }
        true
    }

    /// Leaves the group, soon.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    pub(super) fn left(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }

    fn rejoins(&self) -> bool {
        self.rejoining.load(Ordering::Acquire)
    }

    fn tell(&self, change: Result<Change, EngineError>) {
        if self.changes.send(change).is_err() {
            self.leave();
        }
    }

    /// Higher than any before in this process; of several processes, higher as far as their clocks
    /// agree. What fences a process that lost its membership is Kafka's own generation.
    fn next_generation(&self) -> u64 {
        let now = (self.now)();
        let next = |newest: u64| Some(now.max(newest + 1));
        let before = self.generation.fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        now.max(before.unwrap_or_default() + 1)
    }

    fn assigned(&self, partitions: impl Iterator<Item = u32>) {
        let mut owned = self.lock();
        for partition in partitions {
            let source = Source { topic: self.topic, partition };
            let lease = Lease { group: self.group, source, generation: self.next_generation() };
            owned.insert(partition, lease.clone());
            self.tell(Ok(Change::Assigned(lease)));
        }
    }

    fn revoked(&self, partitions: impl Iterator<Item = u32>) {
        let mut owned = self.lock();
        for lease in partitions.filter_map(|partition| owned.remove(&partition)) {
            self.tell(Ok(Change::Revoked(lease)));
        }
    }
}

impl Member {
    fn revoke_all(&self) {
        let owned: Vec<u32> = self.lock().keys().copied().collect();
        self.revoked(owned.into_iter());
    }
}

/// What the library calls on the member's thread.
struct Membership(Arc<Member>);

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        settings::log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(group = self.0.group, %error, reason, "kafka group");
    }
}

impl ConsumerContext for Membership {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let member = &self.0;
        let done = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            assign(consumer, list).map(|()| {
                member.assigned(partitions(list));
                // Also where the list is empty: the library tells of every sharing out.
                member.tell(Ok(Change::Shared));
            })
        } else {
            keep(consumer, member);
            member.revoked(partitions(list));
            partitions(list).for_each(|partition| {
                member.pending_unowned.remove(partition);
            });
            let waiting: Vec<_> =
                partitions(list).flat_map(|partition| member.pending.remove(partition)).collect();
            if !consumer.assignment_lost() && !waiting.is_empty() {
                // Goes out ahead of the request that gives the partitions up. Not waited for: what is
                // not stored is read again.
                let sent = offsets::list(&member.names, waiting)
                    .and_then(|list| consumer.commit(&list, CommitMode::Async));
                tracing::debug!(group = member.group, ?sent, "the last offsets were sent");
            }
            consumer.incremental_unassign(list)
        };
        if let Err(error) = done {
            tracing::error!(group = member.group, %error, "a change of the group failed");
            member.tell(Err(EngineError::Unavailable(error.to_string())));
        }
    }
}

/// Waits with giving up partitions until those who get them can. They are worked on meanwhile: the member
/// is one of the group, and its offsets are taken. What is lost is given up at once, and so is everything
/// where the member leaves: nobody has joined just now.
fn keep<C: ConsumerContext>(consumer: &BaseConsumer<C>, member: &Member) {
    let until = Instant::now() + KEEP_WAIT;
    let stays = || !consumer.assignment_lost() && !member.left() && !member.rejoins();
    while Instant::now() < until && stays() {
        std::thread::sleep(POLL_WAIT_MAX);
    }
}

/// Takes the partitions without fetching from them.
fn assign<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    list: &mut TopicPartitionList,
) -> KafkaResult<()> {
    list.set_all_offsets(Offset::End)?;
    consumer.incremental_assign(list)?;
    consumer.pause(list)
}

fn partitions(list: &TopicPartitionList) -> impl Iterator<Item = u32> {
    let partitions: Vec<i32> = list.elements().iter().map(|one| one.partition()).collect();
    partitions.into_iter().filter_map(|partition| u32::try_from(partition).ok())
}

/// A member's view of its group; dropping it leaves the group.
pub struct KafkaAssignments {
    changes: mpsc::UnboundedReceiver<Result<Change, EngineError>>,
    member: Option<Arc<Member>>,
}

impl KafkaAssignments {
    /// Joins; an error is told by the first [`Assignments::next`].
    pub(super) fn join(
        options: &ClusterOptions,
        names: Arc<Names>,
        spec: &GroupSpec,
        instance: String,
        generation: Arc<AtomicU64>,
        now: Arc<dyn Fn() -> u64 + Send + Sync>,
        name: impl Send + 'static,
    ) -> (Self, Option<Arc<Member>>) {
        let (sender, changes) = mpsc::unbounded_channel();
        let member = Arc::new(Member {
            group: spec.group,
            topic: spec.topic,
            instance,
            owned: Mutex::default(),
            pending: Pending::default(),
            pending_unowned: Pending::default(),
            names,
            changes: sender,
            generation,
            now,
            leaving: AtomicBool::new(false),
            rejoining: AtomicBool::new(false),
        });
        match Consumers::new(options, spec, &member).and_then(|it| it.start(name)) {
            Ok(()) => (Self { changes, member: Some(Arc::clone(&member)) }, Some(member)),
            Err(error) => {
                // Threads that were started have nothing to do.
                member.pending.end(Instant::now());
                member.pending_unowned.end(Instant::now());
                member.tell(Err(EngineError::Unavailable(error.to_string())));
                (Self { changes, member: None }, None)
            }
        }
    }
}

impl KafkaAssignments {
    /// A group that cannot be joined.
    pub(super) fn refused(why: EngineError) -> Self {
        let (sender, changes) = mpsc::unbounded_channel();
        if sender.send(Err(why)).is_err() {
            tracing::debug!("nobody asks for the group");
        }
        Self { changes, member: None }
    }
}

impl Assignments for KafkaAssignments {
    async fn next(&mut self) -> Result<Change, EngineError> {
        self.changes.recv().await.unwrap_or(Err(EngineError::Closed))
    }
}

impl Drop for KafkaAssignments {
    fn drop(&mut self) {
        if let Some(member) = &self.member {
            member.leave();
        }
    }
}

/// What the member's threads have.
struct Consumers {
    member: Arc<Member>,
    joined: Arc<BaseConsumer<Membership>>,
    unowned: Arc<BaseConsumer<Said>>,
}

impl Consumers {
    fn new(options: &ClusterOptions, spec: &GroupSpec, member: &Arc<Member>) -> KafkaResult<Self> {
        let group = member.names.group(spec.group);
        let joined: BaseConsumer<_> =
            settings::member(options, &group, spec.session, &member.instance)
                .create_with_context(Membership(Arc::clone(member)))?;
        let unowned: BaseConsumer<_> =
            settings::offsets(options, &member.names.unowned_group(spec.group))
                .create_with_context(Said)?;
        let (joined, unowned) = (Arc::new(joined), Arc::new(unowned));
        let consumers = Self { member: Arc::clone(member), joined, unowned };
        consumers.subscribe()?;
        Ok(consumers)
    }

    fn subscribe(&self) -> KafkaResult<()> {
        self.joined.subscribe(&[self.member.names.topic(self.member.topic)])
    }

    /// Starts a thread for the membership, one for each kind of offsets and one that looks for partitions
    /// which are nobody's. `name` is dropped when they have ended.
    fn start(self, name: impl Send + 'static) -> KafkaResult<()> {
        let (member, joined) = (Arc::clone(&self.member), Arc::clone(&self.joined));
        let of_joined = spawn(format!("offsets-{}", member.group), move || {
            let ours = |source, generation| member.holds(source, generation);
            member.pending.run(&joined, &member.names, ours);
        })?;
        let (member, unowned) = (Arc::clone(&self.member), Arc::clone(&self.unowned));
        let of_unowned = spawn(format!("assigned-{}", member.group), move || {
            let ours = |source, generation| member.holds(source, generation);
            member.pending_unowned.run(&unowned, &member.names, ours);
        })?;
        let (member, asker) = (Arc::clone(&self.member), Arc::clone(&self.unowned));
        let of_looks = spawn(format!("looks-{}", member.group), move || look(&member, &asker))?;
        spawn(format!("group-{}", self.member.group), move || {
            self.run();
            for thread in [of_joined, of_unowned, of_looks] {
                if thread.join().is_err() {
                    tracing::error!("a thread of a member broke down");
                }
            }
            drop(name);
        })?;
        Ok(())
    }

    fn run(self) {
        while !self.member.left() {
            let rejoined = if self.member.rejoins() { self.rejoin() } else { Ok(()) };
            if let Err(fatal) = rejoined.and_then(|()| self.turn()) {
                tracing::error!(group = self.member.group, %fatal, "the membership is over");
                self.member.revoke_all();
                self.member.tell(Err(EngineError::Unavailable(fatal.to_string())));
                break;
            }
        }
        self.member.leave();
        let until = Instant::now() + LEAVE_WAIT_MAX;
        self.member.pending.end(until);
        self.member.pending_unowned.end(until);
        self.leave();
        self.member.revoke_all();
    }

    fn rejoin(&self) -> KafkaResult<()> {
        tracing::warn!(group = self.member.group, "partitions are nobody's: joins again");
        self.leave();
        self.member.rejoining.store(false, Ordering::Release);
        self.subscribe()
    }

    fn turn(&self) -> Result<(), KafkaError> {
        match self.joined.poll(POLL_WAIT_MAX) {
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
            // The library connects, finds the coordinator and joins again by itself.
            Some(Err(error)) => tracing::debug!(group = self.member.group, %error, "kafka group"),
            // A record that came before the pause.
            Some(Ok(_)) | None => {}
        }
        // The library looks whether a heartbeat is due when it is asked something, else twice a second.
        if let Err(error) = self.joined.assignment() {
            tracing::debug!(group = self.member.group, %error, "kafka group");
        }
        if let Some(Err(error)) = self.unowned.poll(Duration::ZERO) {
            tracing::debug!(group = self.member.group, %error, "kafka offsets");
        }
        Ok(())
    }

    /// Leaves, so that others take over at once. (Closing alone would keep a static member's partitions for
    /// its session.)
    fn leave(&self) {
        self.joined.unsubscribe();
        let until = Instant::now() + LEAVE_WAIT_MAX;
        let owns = || !self.member.lock().is_empty();
        while owns() && Instant::now() < until && self.turn().is_ok() {}
        // The library says that it leaves once the partitions are given up.
        let until = Instant::now() + LEAVE_SEND_WAIT;
        while Instant::now() < until && self.turn().is_ok() {}
    }
}

/// Looks at the group until the member leaves, and has it join again where that is for this member to do.
fn look(member: &Member, asker: &BaseConsumer<Said>) {
    let (group, topic) = (member.names.group(member.group), member.names.topic(member.topic));
    let partitions = member.names.partitions(member.topic);
    let (mut watch, mut next) = (Watch::default(), Instant::now() + LOOK_PERIOD);
    while !member.left() {
        std::thread::sleep(POLL_WAIT_MAX);
        if Instant::now() < next || member.rejoins() {
            continue;
        }
        // Without an answer the group counts as being shared out.
        let answer = asker.fetch_group_list(Some(&group), LOOK_WAIT_MAX);
        let seen = answer.ok().and_then(|list| Shares::of(list.groups().first()?, topic));
        if watch.look(seen, &member.instance, partitions) {
            member.rejoining.store(true, Ordering::Release);
        }
        next = Instant::now() + LOOK_PERIOD;
    }
}

fn spawn(
    name: String,
    work: impl FnOnce() + Send + 'static,
) -> KafkaResult<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(work).map_err(|error| {
        KafkaError::ClientCreation(format!("a member's thread cannot be started: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalogue;
    use crate::cluster::kafka::options_for_tests;

    const TOPIC: Topic = Topic("log");

    fn offset(partition: u32) -> StoreOffset {
        StoreOffset { source: Source { topic: TOPIC, partition }, offset: 9 }
    }

    /// What a member that came back under a clock that stood still was told, against what it had before.
    #[tokio::test]
    async fn a_lease_that_is_gone_stores_nothing() {
        let (changes, mut told) = mpsc::unbounded_channel();
        let names = Names::new(&options_for_tests("127.0.0.1:1"), &Catalogue::default());
        let member = Member {
            group: "g",
            topic: TOPIC,
            instance: "i".to_owned(),
            owned: Mutex::default(),
            pending: Pending::default(),
            pending_unowned: Pending::default(),
            names: Arc::new(names),
            changes,
            generation: Arc::default(),
            now: Arc::new(|| 5),
            leaving: AtomicBool::new(false),
            rejoining: AtomicBool::new(false),
        };
        member.assigned([1].into_iter());
        let Some(Ok(Change::Assigned(old))) = told.recv().await else { panic!() };
        assert!(member.owns(&old) && member.store(&old, &[offset(1)]));
        assert_eq!(member.pending.remove(1).len(), 1);
        member.revoked([1].into_iter());
        assert_eq!(told.recv().await.unwrap(), Ok(Change::Revoked(old.clone())));
        assert!(!member.owns(&old) && !member.store(&old, &[offset(1)]));
        member.assigned([1].into_iter());
        let Some(Ok(Change::Assigned(new))) = told.recv().await else { panic!() };
        assert!(old.generation < new.generation, "also where the clock stands still");
        assert!(!member.owns(&old) && !member.store(&old, &[offset(1)]));
        assert!(!member.holds(old.source, old.generation));
        assert_eq!(member.pending.remove(1), [], "nothing of the old lease waits");
        assert!(member.store(&new, &[offset(1)]) && member.holds(new.source, new.generation));
    }
}
