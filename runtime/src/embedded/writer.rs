//! The one thread that writes.
//!
//! It takes everything that is queued, writes it in one transaction, syncs once, shows the records to
//! the readers and answers the callers. While it syncs, the next transaction gathers.

use super::plan::{Generations, Plan};
use super::queue::{Taken, Work};
use super::store::{ENDS, FACTS, Failure, GENERATIONS, OFFSETS, SEGMENTS};
use super::{Shared, retention, segment, state};
use crate::EngineError;
use redb::{Durability, Entry, WriteTransaction};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

/// First and longest wait before the file is opened again after an error.
const REOPEN_WAIT_MIN: Duration = Duration::from_millis(50);
const REOPEN_WAIT_MAX: Duration = Duration::from_secs(5);

/// The writer's own state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    generations: Generations,
    /// Claims that an error kept from becoming durable: tried again until they are.
    owed: Vec<Work>,
    down: Option<Down>,
    reopen_wait: Duration,
    retention_interval: Duration,
    retention_due: Instant,
}

/// The file is closed after an error.
struct Down {
    until: Instant,
    failure: Failure,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        generations: Generations,
        retention_interval: Duration,
    ) -> Self {
        Self {
            shared,
            generations,
            owed: Vec::new(),
            down: None,
            reopen_wait: REOPEN_WAIT_MIN,
            retention_interval,
            retention_due: Instant::now() + retention_interval,
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        loop {
            match self.shared.queue.take(Some(self.wake_at())) {
                Taken::Works(works) => self.serve(works),
                Taken::Idle => self.serve(Vec::new()),
                Taken::Closed => break,
            }
            if self.down.is_none() && self.retention_due <= Instant::now() {
                self.retain();
            }
        }
    }

    fn wake_at(&self) -> Instant {
        self.down.as_ref().map_or(self.retention_due, |down| down.until)
    }

    fn serve(&mut self, works: Vec<Work>) {
        if self.down.is_some() && !self.reopened() {
            self.refuse(works);
            return;
        }
        let mut all = std::mem::take(&mut self.owed);
        all.extend(works);
        let wants_room =
            all.iter().any(|work| matches!(work, Work::Request(request) if request.refusable));
        let full = if wants_room { self.shared.space.shortage() } else { None };
        let plan = Plan::of(all, &self.shared, &mut self.generations, full.as_deref());
        if plan.writes_nothing() {
            self.publish(plan);
            return;
        }
        match self.write(&plan) {
            Ok(()) => {
                self.reopen_wait = REOPEN_WAIT_MIN;
                self.publish(plan);
            }
            Err(failure) => self.fail(plan, failure),
        }
    }

    /// Writes and syncs the plan. After an error nothing of it is visible, but unless it came before
    /// the commit it may be there when the file is opened again.
    fn write(&self, plan: &Plan) -> Result<(), Failure> {
        let mut transaction = self.shared.store.write()?;
        transaction.set_durability(Durability::Immediate)?;
        self.fill(&transaction, plan)?;
        transaction.commit().map_err(|error| Failure { in_doubt: true, ..error.into() })
    }

    fn fill(&self, transaction: &WriteTransaction, plan: &Plan) -> Result<(), Failure> {
        if !plan.facts.is_empty() {
            let mut facts = transaction.open_table(FACTS)?;
            for (key, body) in &plan.facts {
                if let Entry::Vacant(vacant) = facts.entry(key.as_slice())? {
                    vacant.insert(&body[..])?;
                }
            }
        }
        if !plan.records.is_empty() {
            let mut segments = transaction.open_table(SEGMENTS)?;
            let mut ends = transaction.open_table(ENDS)?;
            for (source, records) in &plan.records {
                let log = self.shared.log(*source)?;
                for (first, bytes) in segment::encode(records).ok_or_else(too_long)? {
                    segments.insert((log, first), &bytes[..])?;
                    let count = segment::Head::decode(&bytes).map_or(0, |head| head.count);
                    ends.insert(log, first + u64::from(count))?;
                }
            }
        }
        if !plan.offsets.is_empty() {
            let mut offsets = transaction.open_table(OFFSETS)?;
            for ((group, source), offset) in &plan.offsets {
                offsets.insert((*group, self.shared.log(*source)?), *offset)?;
            }
        }
        if !plan.claims.is_empty() {
            let mut generations = transaction.open_table(GENERATIONS)?;
            for claim in &plan.claims {
                let log = self.shared.log(claim.lease.source)?;
                generations.insert((claim.lease.group, log), claim.lease.generation)?;
            }
        }
        Ok(())
    }

    /// The plan is durable: first the offsets, then the readers, then the callers.
    fn publish(&self, plan: Plan) {
        {
            let mut stored = self.shared.stored.lock().unwrap_or_else(PoisonError::into_inner);
            for ((group, source), offset) in plan.offsets {
                stored.insert((group.to_owned(), source), offset);
            }
        }
        for (source, records) in plan.records {
            if let Some(partition) = self.shared.partitions.get(&source) {
                partition.tail.publish(records);
            }
        }
        for claim in plan.claims {
            claim.announce();
        }
        for request in plan.requests {
            request.resolve(Ok(()));
        }
    }

    fn fail(&mut self, plan: Plan, failure: Failure) {
        tracing::error!(error = failure.text, "a commit failed; the file is opened again");
        self.owed.extend(plan.claims.into_iter().map(Work::Claim));
        for request in plan.requests {
            request.resolve(Err(failure.error()));
        }
        self.go_down(Failure { in_doubt: false, ..failure });
    }

    fn go_down(&mut self, failure: Failure) {
        self.shared.store.close();
        self.down = Some(Down { until: Instant::now() + self.reopen_wait, failure });
        self.reopen_wait = REOPEN_WAIT_MAX.min(self.reopen_wait * 2);
    }

    /// Answers requests that came while the file is closed. Nothing of them was written.
    fn refuse(&mut self, works: Vec<Work>) {
        for work in works {
            match (work, &self.down) {
                (Work::Claim(claim), _) => self.owed.push(Work::Claim(claim)),
                (Work::Request(request), Some(down)) => request.resolve(Err(down.failure.error())),
                (Work::Request(request), None) => {
                    request.resolve(Err(EngineError::Closed));
                }
            }
        }
    }

    /// Opens the file again if it is time; true if it is open.
    fn reopened(&mut self) -> bool {
        if self.down.as_ref().is_some_and(|down| Instant::now() < down.until) {
            return false;
        }
        match self.reopen() {
            Ok(()) => {
                tracing::info!("the file is open again");
                self.down = None;
                true
            }
            Err(failure) => {
                tracing::error!(error = failure.text, "the file cannot be opened again");
                self.go_down(failure);
                false
            }
        }
    }

    fn reopen(&self) -> Result<(), Failure> {
        self.shared.store.open()?;
        state::resume(&self.shared)
    }

    fn retain(&mut self) {
        match retention::step(&self.shared) {
            Ok(true) => {}
            Ok(false) => self.retention_due = Instant::now() + self.retention_interval,
            Err(failure) => {
                tracing::error!(error = failure.text, "old records could not be deleted");
                self.retention_due = Instant::now() + self.retention_interval;
                self.go_down(failure);
            }
        }
    }
}

/// However the writer ends, nobody waits for it any longer and the directory is free.
impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue.close();
        while let Taken::Works(works) = self.shared.queue.take(None) {
            self.refuse(works);
        }
        self.shared.store.close();
        self.shared.unlock();
        for partition in self.shared.partitions.values() {
            partition.tail.close();
        }
        self.shared.ended.cancel();
    }
}

fn too_long() -> Failure {
    Failure { full: false, in_doubt: false, text: "a field is longer than 4 GiB".to_owned() }
}
