//! The log, the store and the groups of the simulation under the traits of every engine: what the
//! production machines meet in a world is what they meet anywhere.

use pipeline_tests::world::group::{Group, Member};
use pipeline_tests::world::log::Log;
use pipeline_tests::world::store::Store;
use runtime::{
    Append, Assignments, Batch, Change, Engine, EngineError, Fact, FactStore, Lease, Reader,
    Record, RecordLog, Scope, Source, Step, Topic, conformance,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc};

/// One world's log, store and groups, without its faults.
#[derive(Clone, Default)]
struct Simulated {
    land: Arc<Mutex<Land>>,
    landed: Arc<Notify>,
}

#[derive(Default)]
struct Land {
    log: Log,
    store: Store,
    groups: BTreeMap<&'static str, Shared>,
    steps_count: u64,
    members_count: usize,
}

/// A group and those of its members that are there.
struct Shared {
    group: Group,
    members: BTreeMap<usize, mpsc::UnboundedSender<Change>>,
}

impl Simulated {
    fn land(&self) -> MutexGuard<'_, Land> {
        self.land.lock().unwrap()
    }

    fn append_all(&self, records: Vec<Append>) {
        let mut land = self.land();
        for record in records {
            land.log.append(record, 0);
        }
        drop(land);
        self.landed.notify_waiters();
    }
}

impl Shared {
    /// Gives every partition to the members in turn; an owner that changes is told.
    fn balance(&mut self) {
        let members: Vec<usize> = self.members.keys().copied().collect();
        let tell = |members: &BTreeMap<usize, mpsc::UnboundedSender<Change>>, to: usize, change| {
            if let Some(member) = members.get(&to) {
                member.send(change).unwrap();
            }
        };
        for partition in 0..self.group.partitions() {
            let old = self.group.owner(partition).zip(self.group.lease(partition));
            let index = usize::try_from(partition).unwrap();
            let new = members.get(index % members.len().max(1)).copied();
            if old.as_ref().map(|((member, _), _)| *member) == new {
                continue;
            }
            if let Some(((member, _), lease)) = old {
                self.group.take(partition);
                tell(&self.members, member, Change::Revoked(lease));
            }
            if let Some(member) = new {
                let owner: Member = (member, 0);
                let lease = self.group.give(partition, owner);
                tell(&self.members, member, Change::Assigned(lease));
            }
        }
    }
}

struct Tail {
    engine: Simulated,
    source: Source,
    next: u64,
}

impl Reader for Tail {
    async fn next(&mut self, records_max: usize) -> Result<(Vec<Record>, u64), EngineError> {
        loop {
            let landed = Arc::clone(&self.engine.landed);
            let waiting = landed.notified();
            {
                let land = self.engine.land();
                let end = land.log.end(self.source);
                if end < self.next {
                    let (source_, offset) = (self.source, self.next);
                    return Err(EngineError::OutOfRange { source_, offset });
                }
                let records = land.log.from(self.source, self.next);
                let records: Vec<Record> = records.iter().take(records_max).cloned().collect();
                if let Some(last) = records.last() {
                    self.next = last.offset + 1;
                    return Ok((records, end));
                }
            }
            waiting.await;
        }
    }
}

struct Membership {
    engine: Simulated,
    group: &'static str,
    member: usize,
    changes: mpsc::UnboundedReceiver<Change>,
}

impl Assignments for Membership {
    async fn next(&mut self) -> Result<Change, EngineError> {
        self.changes.recv().await.ok_or(EngineError::Closed)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut land = self.engine.land();
        let group = land.groups.get_mut(self.group).unwrap();
        group.members.remove(&self.member);
        group.balance();
    }
}

impl RecordLog for Simulated {
    type Reader = Tail;
    type Assignments = Membership;

    async fn append(&self, records: Vec<Append>) -> Result<(), EngineError> {
        self.append_all(records);
        Ok(())
    }

    fn reader(&self, source: Source, from: u64) -> Tail {
        Tail { engine: self.clone(), source, next: from }
    }

    fn partitions(&self, topic: Topic) -> u32 {
        let known = conformance::TOPICS.iter().find(|(known, _)| *known == topic);
        known.map_or(0, |(_, count)| *count)
    }

    async fn range(&self, source: Source) -> Result<(u64, u64), EngineError> {
        Ok((0, self.land().log.end(source)))
    }

    async fn stored(
        &self,
        group: &'static str,
        source: Source,
    ) -> Result<Option<u64>, EngineError> {
        Ok(self.land().groups.get(group).and_then(|shared| shared.group.stored(source)))
    }

    fn join(&self, group: &'static str, topic: Topic) -> Membership {
        let partitions = self.partitions(topic);
        let (sender, changes) = mpsc::unbounded_channel();
        let mut land = self.land();
        land.members_count += 1;
        let member = land.members_count;
        let shared = land.groups.entry(group).or_insert_with(|| Shared {
            group: Group::new(group, topic, Vec::new(), partitions),
            members: BTreeMap::new(),
        });
        shared.members.insert(member, sender.clone());
        shared.balance();
        sender.send(Change::Shared).unwrap();
        drop(land);
        Membership { engine: self.clone(), group, member, changes }
    }
}

impl FactStore for Simulated {
    async fn scan(&self, scope: Scope) -> Result<Vec<Fact>, EngineError> {
        Ok(self.land().store.scan(&scope))
    }

    async fn about(
        &self,
        scope: Scope,
        lane: String,
        subject: String,
    ) -> Result<Vec<Fact>, EngineError> {
        let mut facts = self.land().store.scan(&scope);
        facts.retain(|fact| fact.key.lane == lane && fact.key.subject == subject);
        Ok(facts)
    }
}

impl Engine for Simulated {
    async fn apply(&self, lease: Option<&Lease>, batch: Batch) -> Result<(), EngineError> {
        for step in batch.steps() {
            match step {
                Step::Facts(facts) => {
                    let mut land = self.land();
                    for fact in facts {
                        land.store.write(fact);
                    }
                }
                Step::Records(records) => self.append_all(records),
                Step::Offsets(offsets) => {
                    let mut land = self.land();
                    land.steps_count += 1;
                    let op = land.steps_count;
                    let lease = lease.expect("offsets are stored with a lease");
                    let shared = land.groups.get_mut(lease.group).unwrap();
                    for offset in offsets {
                        let stored = shared.group.store(lease, offset.source, offset.offset, op);
                        stored.map_err(|_| EngineError::Fenced(lease.source))?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn the_simulated_engine_conforms() {
    conformance::check(&Simulated::default(), "simulated").await.unwrap();
}
