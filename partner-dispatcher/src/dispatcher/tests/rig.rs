//! Log, store and clock in memory. Nothing happens unless a test says so.

use crate::chunk::StateCall;
use crate::dispatcher::{Dispatcher, DispatcherOptions, Owed, OwedQuery};
use crate::fixtures::ok;
use crate::judge::{Answer, Came};
use crate::limits::Limits;
use runtime::{
    Append, Batch, Effect, Fact, FactKey, Input, Machine, Millis, Record, Scope, Source, Step,
    Topic,
};
use schemas::PartnerId;
use schemas::catalogue::{CASES, DELIVERIES, PARKED, RETRY_5S, RetryTier, SETTLEMENTS};
use schemas::contract::{StateItem, StateResult};
use schemas::frame;
use schemas::outgoing::Partitions;
use schemas::partners::StateCalls;
use schemas::settlements::Settlement;
use schemas::wire::{CaseRecord, DeliveryRecord};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// That of `acme`, whose bets these are.
const PARTITION: u32 = 2;
pub(super) const MAIN: Source = Source { topic: Topic(SETTLEMENTS), partition: PARTITION };
pub(super) const TIER: Source = Source { topic: Topic(RETRY_5S), partition: PARTITION };

/// What every call takes, as its caller says.
const TOOK: Duration = Duration::from_millis(7);

/// A tier's source.
pub(super) fn tier(tier: RetryTier) -> Source {
    Source { topic: Topic(tier.topic()), partition: PARTITION }
}

/// Every source of the machine.
pub(super) fn sources() -> Vec<Source> {
    std::iter::once(MAIN).chain(RetryTier::ALL.map(tier)).collect()
}

pub(super) struct Rig {
    machine: Dispatcher,
    limits: Limits,
    pub(super) now: Millis,
    /// All partitions, each record at its offset.
    pub(super) log: BTreeMap<Source, Vec<Record>>,
    read: BTreeMap<Source, usize>,
    pub(super) stored: BTreeMap<Source, u64>,
    pub(super) facts: BTreeMap<FactKey, Fact>,
    pub(super) calls: BTreeMap<u64, StateCall>,
    /// When calls were made since somebody looked.
    pub(super) called_at: Vec<Millis>,
    pub(super) loads: BTreeMap<u64, Scope>,
    pub(super) peeks: BTreeMap<u64, (Source, u64)>,
    pub(super) applies: VecDeque<(u64, Batch)>,
    timers: BTreeSet<(Millis, u64)>,
    pub(super) alarms: Vec<&'static str>,
    reply: Option<Owed>,
    /// Epochs of restored ledgers that are signed off.
    pub(super) restored: Arc<BTreeMap<PartnerId, String>>,
    /// Calls a second that partners take.
    pub(super) rates: Arc<BTreeMap<PartnerId, NonZeroU32>>,
    /// What a state call to a partner may be.
    pub(super) state_calls: Arc<BTreeMap<PartnerId, StateCalls>>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(Limits::PRODUCTION)
    }

    pub(super) fn with(limits: Limits) -> Self {
        Self {
            machine: machine(limits, |_| 0),
            limits,
            now: 10_000,
            log: BTreeMap::new(),
            read: BTreeMap::new(),
            stored: BTreeMap::new(),
            facts: BTreeMap::new(),
            calls: BTreeMap::new(),
            called_at: Vec::new(),
            loads: BTreeMap::new(),
            peeks: BTreeMap::new(),
            applies: VecDeque::new(),
            timers: BTreeSet::new(),
            alarms: Vec::new(),
            reply: None,
            restored: Arc::default(),
            rates: Arc::default(),
            state_calls: Arc::default(),
        }
    }

    /// The process dies and another starts from what is durable.
    pub(super) fn crash(&mut self) {
        let from = |source| self.stored.get(&source).copied().unwrap_or(0);
        self.machine = machine(self.limits, from);
        let read = |source| (source, usize::try_from(from(source)).unwrap());
        self.read = sources().into_iter().map(read).collect();
        self.calls.clear();
        self.peeks.clear();
        self.loads.clear();
        self.applies.clear();
        self.timers.clear();
    }

    pub(super) fn feed(&mut self, input: Input<Dispatcher>) {
        for effect in self.machine.handle(self.now, input) {
            match effect {
                Effect::Load { token, scope } => drop(self.loads.insert(token, scope)),
                Effect::Peek { token, source, from } => {
                    self.peeks.insert(token, (source, from));
                }
                Effect::Apply { token, batch } => self.applies.push_back((token, batch)),
                Effect::Call { token, call } => {
                    self.called_at.push(self.now);
                    self.calls.insert(token, call);
                }
                Effect::Timer { token, at } => drop(self.timers.insert((at, token))),
                Effect::Reply { reply, .. } => self.reply = Some(reply),
                Effect::Alarm(alarm) => self.alarms.push(alarm.name),
            }
        }
        assert!(self.applies.len() <= 1, "one batch at a time");
    }

    pub(super) fn append(&mut self, source: Source, key: &str, value: Vec<u8>) {
        let append = Append {
            topic: source.topic,
            partition: source.partition,
            key: key.to_owned().into(),
            headers: Vec::new(),
            value: value.into(),
        };
        self.take(append);
    }

    pub(super) fn take(&mut self, append: Append) {
        let log = self.log.entry(append.source()).or_default();
        log.push(Record {
            offset: u64::try_from(log.len()).unwrap(),
            appended_at: self.now,
            key: append.key,
            headers: append.headers.into_iter().collect(),
            value: append.value,
        });
    }

    /// Appends settlements without giving them to the machine.
    pub(super) fn publish(&mut self, settlements: &[Settlement]) {
        for settlement in settlements {
            self.append(MAIN, &settlement.id(), settlement.encode().unwrap());
        }
    }

    /// Appends settlements and gives them to the machine in one read.
    pub(super) fn settle(&mut self, settlements: &[Settlement]) {
        self.publish(settlements);
        self.read(MAIN);
    }

    /// Gives the machine what it has not read, if it is ready; true if it read anything.
    pub(super) fn read(&mut self, source: Source) -> bool {
        self.read_some(source, usize::MAX)
    }

    /// Records of a source that it has not read.
    pub(super) fn unread(&self, source: Source) -> usize {
        let from = self.read.get(&source).copied().unwrap_or(0);
        self.log.get(&source).map_or(0, |log| log.len() - from)
    }

    /// The same, of so many records at most.
    pub(super) fn read_some(&mut self, source: Source, max: usize) -> bool {
        let from = self.read.get(&source).copied().unwrap_or(0);
        let records = self.log.get(&source).into_iter().flat_map(|log| &log[from..]);
        let records: Vec<Record> = records.take(max).cloned().collect();
        if records.is_empty() || !self.machine.ready_for(source) {
            return false;
        }
        let end = records.last().unwrap().offset + 1;
        self.read.insert(source, from + records.len());
        self.feed(Input::Records { source, records, end });
        true
    }

    /// Items in memory.
    pub(super) fn held(&self) -> usize {
        self.machine.book.len()
    }

    pub(super) fn ready_for(&self, source: Source) -> bool {
        self.machine.ready_for(source)
    }

    /// The batch on its way becomes durable, up to and including `steps`; told only if that is all.
    pub(super) fn apply_steps(&mut self, steps: usize) -> bool {
        let Some((token, batch)) = self.applies.pop_front() else { return false };
        let all = batch.steps();
        let told = all.len() <= steps;
        for step in all.into_iter().take(steps) {
            match step {
                Step::Facts(facts) => {
                    for fact in facts {
                        let before = self.facts.insert(fact.key.clone(), fact.clone());
                        assert!(before.is_none_or(|before| before == fact), "one key, one content");
                    }
                }
                Step::Records(records) => records.into_iter().for_each(|one| self.take(one)),
                Step::Offsets(offsets) => {
                    for stored in offsets {
                        let before = self.stored.insert(stored.source, stored.offset);
                        assert!(before < Some(stored.offset), "an offset is stored when it rises");
                    }
                }
            }
        }
        if told {
            self.feed(Input::Applied { token });
        }
        told
    }

    /// Makes batches durable until none is on its way.
    pub(super) fn apply(&mut self) {
        while self.apply_steps(usize::MAX) {}
    }

    /// Answers the calls that wait, item by item.
    pub(super) fn answer(&mut self, say: impl Fn(&StateItem) -> StateResult) {
        self.answer_with(|call| ok(&call.request, call.request.items.iter().map(&say).collect()));
    }

    pub(super) fn answer_with(&mut self, say: impl Fn(&StateCall) -> Came) {
        for (token, call) in std::mem::take(&mut self.calls) {
            let answer = Answer::from(&say(&call)).after(TOOK);
            self.feed(Input::Answered { token, answer });
        }
    }

    pub(super) fn answer_one(&mut self, token: u64, say: impl FnOnce(&StateCall) -> Came) {
        let call = self.calls.remove(&token).unwrap();
        let answer = Answer::from(&say(&call)).after(TOOK);
        self.feed(Input::Answered { token, answer });
    }

    /// Answers the loads that wait, from what is durable.
    pub(super) fn load(&mut self) {
        while let Some((token, scope)) = self.loads.pop_first() {
            let facts = self.facts.values().filter(|fact| fact.key.scope == scope).cloned();
            let facts = facts.collect();
            self.feed(Input::Loaded { token, facts });
        }
    }

    /// Answers the reads ahead that wait, and those that follow, two records at a time.
    pub(super) fn peek(&mut self) {
        self.peek_by(2);
    }

    /// The same, of so many records at a time.
    pub(super) fn peek_by(&mut self, max: usize) {
        while let Some((token, (source, from))) = self.peeks.pop_first() {
            let log = self.log.get(&source).map(Vec::as_slice).unwrap_or_default();
            let from = usize::try_from(from).unwrap();
            let records = log[from..].iter().take(max).cloned().collect();
            let end = u64::try_from(log.len()).unwrap();
            self.feed(Input::Peeked { token, records, end });
        }
    }

    /// Moves the clock, timer by timer.
    pub(super) fn advance(&mut self, ms: Millis) {
        let until = self.now + ms;
        while let Some((at, token)) = self.timers.first().copied().filter(|(at, _)| *at <= until) {
            self.timers.remove(&(at, token));
            self.now = self.now.max(at);
            self.feed(Input::Timer { token });
        }
        self.now = until;
    }

    /// The (bet, revision) of every item on its way, chunk by chunk.
    pub(super) fn sent(&self) -> Vec<Vec<String>> {
        let name = |item: &StateItem| {
            format!("{}/{}", item.bet_id.strip_prefix("r_1:").unwrap(), item.revision)
        };
        self.calls.values().map(|call| call.request.items.iter().map(name).collect()).collect()
    }

    /// Offsets stored: of the settlements and of the first tier.
    pub(super) fn offsets(&self) -> (u64, u64) {
        let of = |source| self.stored.get(&source).copied().unwrap_or(0);
        (of(MAIN), of(TIER))
    }

    pub(super) fn records(&self, topic: &'static str) -> Vec<&Record> {
        let logs = self.log.iter().filter(|(source, _)| source.topic.0 == topic);
        logs.flat_map(|(_, log)| log).collect()
    }

    /// The ids of what stands in `deliveries.v1`, without the round.
    pub(super) fn deliveries(&self) -> Vec<String> {
        let ids = self.records(DELIVERIES).into_iter().map(|record| {
            let delivery: DeliveryRecord = frame::decode(&record.value).unwrap();
            delivery.delivery_id.strip_prefix("r_1:").unwrap().to_owned()
        });
        ids.collect()
    }

    pub(super) fn cases(&self) -> Vec<CaseRecord> {
        self.records(CASES).iter().map(|record| frame::decode(&record.value).unwrap()).collect()
    }

    pub(super) fn parked(&self) -> Vec<String> {
        let keys = self.records(PARKED).into_iter();
        keys.map(|record| String::from_utf8(record.key.to_vec()).unwrap()).collect()
    }

    /// An operator signs off that acme's ledger of this epoch was restored, or did so too long ago.
    pub(super) fn sign_off(&mut self, epoch: Option<&str>) {
        let signed_off = epoch.map(|epoch| ("acme".parse().unwrap(), epoch.to_owned()));
        self.restored = Arc::new(signed_off.into_iter().collect());
        self.owed();
    }

    pub(super) fn owed(&mut self) -> Owed {
        let (restored, rates) = (Arc::clone(&self.restored), Arc::clone(&self.rates));
        let state_calls = Arc::clone(&self.state_calls);
        let request = OwedQuery { restored, rates, state_calls };
        self.feed(Input::Request { token: 1, request });
        self.reply.take().unwrap()
    }
}

fn machine(limits: Limits, from: impl Fn(Source) -> u64) -> Dispatcher {
    Dispatcher::new(DispatcherOptions {
        partition: PARTITION,
        from: from(MAIN),
        from_tiers: RetryTier::ALL.map(|one| from(tier(one))),
        partitions: Partitions::EMBEDDED,
        limits,
        seed: 1,
        known: OwedQuery::default(),
    })
}
