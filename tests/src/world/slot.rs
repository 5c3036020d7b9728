//! A running machine: where it reads, and its batches on their way.

use super::actor::Actor;
use runtime::{Batch, Lease, Source, Step};
use std::collections::{BTreeMap, VecDeque};

/// The kinds of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Placing,
    Herald,
    Settler,
    Dispatcher,
    Reconciler,
}

impl Role {
    pub const ALL: &[Self] =
        &[Self::Placing, Self::Herald, Self::Settler, Self::Dispatcher, Self::Reconciler];
}

/// Names one life of one machine. What is under way for an earlier life finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotRef {
    pub process: usize,
    pub role: Role,
    pub partition: u32,
    pub epoch: u64,
}

/// A position in one partition.
#[derive(Clone, Debug)]
pub struct Reading {
    pub source: Source,
    pub next: u64,
    /// A read is on its way.
    pub scheduled: bool,
}

/// A batch on its way: what is left of it, and how many parts of the step begun are not acknowledged.
#[derive(Debug)]
pub struct Running {
    pub token: u64,
    pub steps: VecDeque<Step>,
    pub outstanding: usize,
    /// The step (counted from the end) at which the batch fails, if it does.
    pub fails_at: Option<usize>,
    /// Facts of this batch are durable.
    pub wrote_facts: bool,
    /// Records of this batch are acknowledged.
    pub wrote_records: bool,
}

/// A machine with its surroundings.
pub struct Slot {
    pub epoch: u64,
    pub actor: Box<dyn Actor>,
    pub lease: Option<Lease>,
    pub readings: Vec<Reading>,
    pub queued: VecDeque<(u64, Batch)>,
    pub running: BTreeMap<u64, Running>,
    /// When the last record for a partition lands: one producer keeps its order.
    pub last_landing: BTreeMap<Source, i64>,
    /// The machine has been started.
    pub started: bool,
}

impl Slot {
    pub fn new(actor: Box<dyn Actor>) -> Self {
        Self {
            epoch: 0,
            actor,
            lease: None,
            readings: Vec::new(),
            queued: VecDeque::new(),
            running: BTreeMap::new(),
            last_landing: BTreeMap::new(),
            started: false,
        }
    }

    /// True if no batch is on its way.
    pub fn is_idle(&self) -> bool {
        self.queued.is_empty() && self.running.is_empty()
    }
}

impl std::fmt::Display for SlotRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} p{} #{} part {}", self.role, self.process, self.epoch, self.partition)
    }
}
