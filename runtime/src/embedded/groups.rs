//! Who in this process owns which partition.
//!
//! Only one process has the file, so membership lives in memory. Generations live in the file: a claim
//! is durable before its owner hears of it, and from then on the writer refuses every older one.

use super::Shared;
use super::queue::Work;
use crate::{Assignments, Change, EngineError, Lease, Source, Topic};
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use tokio::sync::mpsc;

/// A change of owner on its way through the writer.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) lease: Lease,
    to: mpsc::UnboundedSender<Change>,
    from: Option<(mpsc::UnboundedSender<Change>, Lease)>,
    /// The last of those that a new member gets when it joins.
    completes: bool,
}

impl Claim {
    /// Tells the old owner and the new one, now that the claim is durable. Either may be gone.
    pub(super) fn announce(self) {
        if let Some((from, lease)) = self.from
            && from.send(Change::Revoked(lease)).is_err()
        {
            tracing::debug!("the old owner has left");
        }
        let assigned = self.to.send(Change::Assigned(self.lease));
        let shared = if self.completes { self.to.send(Change::Shared) } else { Ok(()) };
        if assigned.and(shared).is_err() {
            tracing::debug!("the new owner has left");
        }
    }
}

/// Every group of this process.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: BTreeMap<(&'static str, Topic), Group>,
    /// The newest generation given out, by group and partition.
    generations: BTreeMap<(String, Source), u64>,
    members_count: u64,
}

#[derive(Debug, Default)]
struct Group {
    members: BTreeMap<u64, mpsc::UnboundedSender<Change>>,
    owners: BTreeMap<u32, (u64, Lease)>,
}

impl Groups {
    pub(super) fn new(generations: BTreeMap<(String, Source), u64>) -> Self {
        Self { generations, ..Self::default() }
    }

    /// The groups that ever owned `source`.
    pub(super) fn of(&self, source: Source) -> impl Iterator<Item = &str> {
        let of_source = self.generations.keys().filter(move |(_, found)| *found == source);
        of_source.map(|(group, _)| group.as_str())
    }

    fn join(
        &mut self,
        name: &'static str,
        topic: Topic,
        partitions: u32,
    ) -> (u64, mpsc::UnboundedReceiver<Change>, Vec<Claim>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.members_count += 1;
        let member = self.members_count;
        self.groups.entry((name, topic)).or_default().members.insert(member, sender.clone());
        let mut claims = self.balance(name, topic, partitions);
        match claims.iter_mut().rfind(|claim| claim.to.same_channel(&sender)) {
            Some(last) => last.completes = true,
            // There are more members than partitions.
            None => sender.send(Change::Shared).unwrap_or_default(),
        }
        (member, receiver, claims)
    }

    fn leave(
        &mut self,
        name: &'static str,
        topic: Topic,
        partitions: u32,
        member: u64,
    ) -> Vec<Claim> {
        if let Some(group) = self.groups.get_mut(&(name, topic)) {
            group.members.remove(&member);
            group.owners.retain(|_, (owner, _)| *owner != member);
        }
        self.balance(name, topic, partitions)
    }

    /// Moves as few partitions as an even share allows.
    fn balance(&mut self, name: &'static str, topic: Topic, partitions: u32) -> Vec<Claim> {
        let Some(group) = self.groups.get_mut(&(name, topic)) else { return Vec::new() };
        let shares = shares(group, partitions);
        let mut claims = Vec::new();
        for (partition, member) in shares {
            let old = group.owners.get(&partition);
            if old.is_some_and(|(owner, _)| *owner == member) {
                continue;
            }
            let Some(to) = group.members.get(&member).cloned() else { continue };
            let from = old.and_then(|(owner, lease)| {
                Some((group.members.get(owner)?.clone(), lease.clone()))
            });
            let source = Source { topic, partition };
            let newest = self.generations.entry((name.to_owned(), source)).or_default();
            *newest += 1;
            let lease = Lease { group: name, source, generation: *newest };
            group.owners.insert(partition, (member, lease.clone()));
            claims.push(Claim { lease, to, from, completes: false });
        }
        claims
    }
}

/// The owner each partition should have.
fn shares(group: &Group, partitions: u32) -> BTreeMap<u32, u64> {
    let Ok(members_count) = u32::try_from(group.members.len()) else { return BTreeMap::new() };
    if members_count == 0 {
        return BTreeMap::new();
    }
    let owned = |member: u64| group.owners.iter().filter(move |(_, (owner, _))| *owner == member);
    let mut members: Vec<u64> = group.members.keys().copied().collect();
    members.sort_by_key(|member| std::cmp::Reverse(owned(*member).count()));
    // The members that own most now keep the shares that are larger by one.
    let larger_count = partitions % members_count;
    let quotas = (0..).zip(&members).map(|(index, member): (u32, _)| {
        let extra = u32::from(index < larger_count);
        (*member, usize::try_from(partitions / members_count + extra).unwrap_or(usize::MAX))
    });
    let quotas: Vec<(u64, usize)> = quotas.collect();
    let mut shares = BTreeMap::new();
    for (member, quota) in &quotas {
        shares.extend(owned(*member).take(*quota).map(|(partition, _)| (*partition, *member)));
    }
    let mut free = (0..partitions).filter(|partition| !shares.contains_key(partition));
    let mut given = Vec::new();
    for (member, quota) in &quotas {
        let missing = quota.saturating_sub(owned(*member).count());
        given.extend(free.by_ref().take(missing).map(|partition| (partition, *member)));
    }
    shares.extend(given);
    shares
}

/// A member of a group; dropping it leaves the group.
pub struct EmbeddedAssignments {
    shared: Arc<Shared>,
    group: &'static str,
    topic: Topic,
    member: u64,
    changes: mpsc::UnboundedReceiver<Change>,
}

impl EmbeddedAssignments {
    pub(super) fn join(shared: Arc<Shared>, group: &'static str, topic: Topic) -> Self {
        let partitions = shared.catalogue.partitions(topic);
        let (member, changes) = {
            let mut groups = lock(&shared);
            let (member, changes, claims) = groups.join(group, topic, partitions);
            queue(&shared, claims);
            (member, changes)
        };
        Self { shared, group, topic, member, changes }
    }
}

impl Assignments for EmbeddedAssignments {
    async fn next(&mut self) -> Result<Change, EngineError> {
        tokio::select! {
            biased;
            change = self.changes.recv() => change.ok_or(EngineError::Closed),
            () = self.shared.ended.cancelled() => Err(EngineError::Closed),
        }
    }
}

impl Drop for EmbeddedAssignments {
    fn drop(&mut self) {
        let partitions = self.shared.catalogue.partitions(self.topic);
        let mut groups = lock(&self.shared);
        let claims = groups.leave(self.group, self.topic, partitions, self.member);
        queue(&self.shared, claims);
    }
}

/// Queues under the lock of the groups, so that claims reach the writer in the order they were made.
fn queue(shared: &Shared, claims: Vec<Claim>) {
    for claim in claims {
        shared.queue.push(Work::Claim(claim));
    }
}

fn lock(shared: &Shared) -> MutexGuard<'_, Groups> {
    shared.groups.lock().unwrap_or_else(PoisonError::into_inner)
}
