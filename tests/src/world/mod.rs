//! One world: the production machines on a simulated log, store, clock and wallets.
//!
//! One queue of events, ordered by time and then by their setting; one generator of chance. The world
//! has no ordering of effects of its own: a batch is performed as [`runtime::Batch::steps`] says, each
//! step split into single facts, appends and offset stores that land in any order.

pub mod actor;
mod asked;
mod busy;
pub mod calls;
pub mod cast;
pub mod checks;
pub mod clients;
mod drive;
pub mod faults;
pub mod group;
mod ledgers;
pub mod log;
mod members;
pub mod misbehaving;
mod narrow;
mod outages;
pub mod reach;
mod rest;
pub mod slot;
pub mod store;
pub mod story;
mod trace;
pub mod wallet;

use crate::rng::Rng;
use actor::RawInput;
use busy::Busy;
use checks::Checks;
use clients::{ClientStep, Clients};
use faults::Faults;
use group::Group;
use ingest::placing::PartnerBook;
use ledgers::{LedgerStep, Restoring};
use log::Log;
use narrow::Narrow;
use partner_kit::misbehaviours::Misbehaviour;
use reach::Reach;
use runtime::{Append, Fact, Lease, Scope, Source, StoreOffset};
use schemas::outgoing::Partitions;
use slot::{Role, Slot, SlotRef};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use store::Store;
use trace::Trace;
use wallet::{Arrival, Wallets};

/// When a world begins, ms since the Unix epoch.
const BEGIN_MS: i64 = 1_800_000_000_000;
/// A world that is not at rest this long after its faults stopped never will be (invariant 10).
const HEAL_MS_MAX: i64 = 120_000;
/// Least events and faults of a seed with faults.
pub const EVENTS_MIN: u64 = 500;
pub const FAULTS_MIN: u64 = 10;
/// Events after which a world is stuck in a loop.
const EVENTS_MAX: u64 = 400_000;

/// Microseconds since the Unix epoch: finer than what machines see, so that more can interleave.
pub type Micros = i64;

/// One thing that is under way to durability.
#[derive(Debug)]
enum Part {
    Fact(Fact),
    Append(Append),
    Offset(Lease, StoreOffset),
}

/// Something that will happen.
#[derive(Debug)]
enum Event {
    /// A machine gets records, if it wants them.
    Read {
        at: SlotRef,
        source: Source,
    },
    /// A machine gets an input.
    Input {
        at: SlotRef,
        input: RawInput,
    },
    /// Records are read for a machine beside its own reading.
    Peek {
        at: SlotRef,
        token: u64,
        source: Source,
        from: u64,
    },
    /// A machine's facts are read.
    Scan {
        at: SlotRef,
        token: u64,
        scope: Scope,
    },
    /// A part of the batch `op` becomes durable, unless it was lost with its process.
    Land {
        at: SlotRef,
        life: u64,
        op: u64,
        part: Part,
    },
    /// The machine's driver learns of it.
    Ack {
        at: SlotRef,
        op: u64,
    },
    /// The machine's driver learns that the batch failed.
    Fail {
        at: SlotRef,
        op: u64,
    },
    /// A machine that was given up is built again under the lease it had.
    Rebuild {
        at: SlotRef,
    },
    Assign {
        process: usize,
        life: u64,
        role: Role,
        lease: Lease,
    },
    Revoke {
        process: usize,
        life: u64,
        role: Role,
        lease: Lease,
    },
    Restart {
        process: usize,
    },
    /// The group notices that a process died.
    Expire {
        process: usize,
        life: u64,
    },
    /// The chaos looks around.
    Chaos,
    Client(ClientStep),
    Wallet(Arrival),
    Ledger(LedgerStep),
    /// Wallets say that they take other sizes of calls.
    Narrowed,
    /// The world looks whether it is at rest.
    Look,
}

/// What happens when. Small, because the queue moves it often: the event itself is in a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Micros,
    seq: u64,
    slab: usize,
}

/// A process: the machines it runs, by role and partition.
struct Process {
    roles: Vec<Role>,
    alive: bool,
    /// Rises with every crash.
    life: u64,
    /// Per life: what is in flight lands until then.
    cuts: Vec<Micros>,
    paused_until: Micros,
    skew_ms: i64,
    owned: BTreeMap<Role, runtime::Partitions<Slot>>,
}

/// What a seed did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub seed: u64,
    pub faulty: bool,
    pub events: u64,
    pub faults: u64,
    pub bets: u64,
    pub reach: Reach,
    pub trace_hash: u64,
    /// The first rule that was broken.
    pub violation: Option<String>,
}

/// Everything.
pub struct World {
    seed: u64,
    now: Micros,
    seq: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    slab: Vec<Option<Event>>,
    free: Vec<usize>,
    rng: Rng,
    faults: Faults,
    faulty: bool,
    healing_since: Option<Micros>,
    partitions: Partitions,
    /// Age at which dispatchers park.
    park_after_ms: u64,
    log: Log,
    store: Store,
    groups: BTreeMap<Role, Group>,
    processes: Vec<Process>,
    readers: BTreeMap<Source, Vec<SlotRef>>,
    next_epoch: u64,
    next_op: u64,
    partners: PartnerBook,
    narrow: Narrow,
    clients: Clients,
    wallets: Wallets,
    busy: Busy,
    restoring: Restoring,
    checks: Checks,
    reach: Reach,
    trace: Trace,
    events_count: u64,
    faults_count: u64,
}

/// Runs one seed to its rest, or to the first rule broken; prints every event if `tracing`. With a misbehaviour there is no
/// other fault.
pub fn run(seed: u64, tracing: bool, only: Option<Misbehaviour>) -> Outcome {
    let mut world = World::new(seed, tracing, only);
    world.begin();
    while world.checks.violation.is_none() && world.step() {}
    world.outcome()
}

impl World {
    fn new(seed: u64, tracing: bool, only: Option<Misbehaviour>) -> Self {
        let mut rng = Rng::new(seed);
        let faults = only.map_or_else(|| Faults::draw(&mut rng), Faults::only);
        let misbehaves = faults.misbehaves.map(|(which, _)| which);
        let lanes = if rng.chance(700) { 2 } else { 3 };
        let partitions = Partitions { rounds: 2, lanes, cases: 1 };
        let patient = rng.chance(500);
        let park_after_ms = if patient { 1 << 40 } else { 4_000 + rng.below(8_000) };
        Self {
            seed,
            now: BEGIN_MS * 1_000,
            seq: 0,
            queue: BinaryHeap::new(),
            slab: Vec::new(),
            free: Vec::new(),
            faulty: !faults.is_none(),
            partners: PartnerBook::new(),
            narrow: Narrow::default(),
            clients: Clients::default(),
            wallets: Wallets::default(),
            busy: Busy::default(),
            restoring: Restoring::default(),
            rng,
            faults,
            healing_since: None,
            partitions,
            park_after_ms,
            log: Log::default(),
            store: Store::default(),
            groups: BTreeMap::new(),
            processes: Vec::new(),
            readers: BTreeMap::new(),
            next_epoch: 0,
            next_op: 0,
            checks: Checks::new(partitions, misbehaves),
            reach: Reach::default(),
            trace: Trace::new(tracing),
            events_count: 0,
            faults_count: 0,
        }
    }

    fn begin(&mut self) {
        self.plan_restore();
        self.plan_partners();
        self.plan_clients();
        self.plan_narrow();
        self.cast();
        self.after_ms(50, Event::Chaos);
    }

    /// Does the next event; false when the world is at rest and everything was checked.
    fn step(&mut self) -> bool {
        let Some((at, event)) = self.next_event() else {
            self.broken("10", "nothing happens any more, not even a tick".to_owned());
            return false;
        };
        self.now = self.now.max(at);
        self.events_count += 1;
        if EVENTS_MAX < self.events_count {
            self.broken("10", format!("no rest after {EVENTS_MAX} events"));
            return false;
        }
        match event {
            Event::Read { at, source } => self.read(at, source),
            Event::Input { at, input } => self.input(at, input),
            Event::Peek { at, token, source, from } => self.peek(at, token, source, from),
            Event::Scan { at, token, scope } => self.scan(at, token, &scope),
            Event::Land { at, life, op, part } => self.land(at, life, op, part),
            Event::Ack { at, op } => self.acked(at, op),
            Event::Fail { at, op } => self.failed(at, op),
            Event::Rebuild { at } => self.rebuild(at),
            Event::Assign { process, life, role, lease } => self.assign(process, life, role, lease),
            Event::Revoke { process, life, role, lease } => self.revoke(process, life, role, lease),
            Event::Restart { process } => self.restart(process),
            Event::Expire { process, life } => self.expire(process, life),
            Event::Chaos => self.chaos(),
            Event::Client(step) => self.client(step),
            Event::Wallet(arrival) => self.arrive(arrival),
            Event::Ledger(step) => self.ledger(step),
            Event::Narrowed => self.narrowed(),
            Event::Look => return self.look(),
        }
        true
    }

    /// A seed with faults goes on until it has had enough of them.
    fn is_too_thin(&self) -> bool {
        self.faulty && (self.faults_count < FAULTS_MIN || self.events_count < EVENTS_MIN)
    }

    /// Faults stop; every process comes back; from here on the world must find its rest.
    fn heal(&mut self) {
        self.note(90, 0, 0, || "faults stop".to_owned());
        self.healing_since = Some(self.now);
        self.faults = Faults::default();
        self.wallets.heal();
        for process in 0..self.processes.len() {
            self.processes[process].paused_until = 0;
            if !self.processes[process].alive {
                self.restart(process);
            }
        }
        self.after_ms(1_500, Event::Look);
    }

    /// Looks whether everything is final and right; a world that is not in time never will be.
    fn look(&mut self) -> bool {
        let open = self.at_rest();
        if self.checks.violation.is_some() {
            return false;
        }
        if open.is_empty() {
            return false;
        }
        self.replay_parked();
        let since = self.healing_since.unwrap_or(self.now);
        if HEAL_MS_MAX * 1_000 < self.now - since {
            self.broken("10", format!("not at rest after the faults stopped: {}", open.join("; ")));
            return false;
        }
        self.after_ms(1_000, Event::Look);
        true
    }

    fn outcome(self) -> Outcome {
        Outcome {
            seed: self.seed,
            faulty: self.faulty,
            events: self.events_count,
            faults: self.faults_count,
            bets: self.checks.bets_count(),
            reach: self.reach,
            trace_hash: self.trace.hash(),
            violation: self.checks.violation,
        }
    }

    fn broken(&mut self, rule: &str, what: String) {
        self.checks.broken(rule, what);
    }

    fn now_ms(&self) -> i64 {
        self.now.div_euclid(1_000)
    }

    fn at(&mut self, at: Micros, event: Event) {
        self.seq += 1;
        let slab = self.free.pop().unwrap_or(self.slab.len());
        if slab == self.slab.len() {
            self.slab.push(Some(event));
        } else {
            self.slab[slab] = Some(event);
        }
        self.queue.push(Reverse(Entry { at, seq: self.seq, slab }));
    }

    fn next_event(&mut self) -> Option<(Micros, Event)> {
        let Reverse(entry) = self.queue.pop()?;
        self.free.push(entry.slab);
        Some((entry.at, self.slab[entry.slab].take()?))
    }

    fn after_ms(&mut self, ms: i64, event: Event) {
        self.at(self.now + ms * 1_000, event);
    }

    /// A short and ordinary delay, up to `ms_max`.
    fn soon(&mut self, ms_max: i64) -> Micros {
        self.now + self.rng.between(20, ms_max * 1_000)
    }

    fn fault(&mut self) {
        self.faults_count += 1;
    }

    fn note(&mut self, kind: u64, a: u64, b: u64, text: impl FnOnce() -> String) {
        self.trace.note(self.now, kind, a, b, text);
    }
}
