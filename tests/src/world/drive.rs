//! Drives machines: reads, effects, and batches on their way to durability.

use super::actor::{RawEffect, RawInput};
use super::checks::Landed;
use super::reach::Moment;
use super::slot::{Role, Running, Slot, SlotRef};
use super::trace::hash_bytes;
use super::{Event, Part, World};
use runtime::{Append, EngineError, Fact, Lease, Scope, Source, Step, StoreOffset};
use schemas::catalogue::SETTLEMENTS;
use schemas::settlements::Settlement;

/// Batches at the engine at once: one with a lease, a few without, as the driver of production.
const UNLEASED_IN_FLIGHT_MAX: usize = 4;
/// Most records of one read.
const READ_RECORDS_MAX: u64 = 12;

impl World {
    pub(super) fn slot(&mut self, at: SlotRef) -> Option<&mut Slot> {
        let process = self.processes.get_mut(at.process)?;
        let slot = process.owned.get_mut(&at.role)?.get_mut(at.partition)?;
        (slot.epoch == at.epoch).then_some(slot)
    }

    /// A process that stands still gets everything later.
    fn paused(&self, at: SlotRef) -> Option<super::Micros> {
        let until = self.processes[at.process].paused_until;
        (self.now < until).then_some(until)
    }

    pub(super) fn read(&mut self, at: SlotRef, source: Source) {
        if let Some(until) = self.paused(at) {
            self.at(until, Event::Read { at, source });
            return;
        }
        let records_max = usize::try_from(1 + self.rng.below(READ_RECORDS_MAX)).unwrap_or(1);
        let end = self.log.end(source);
        let Some(slot) = self.slot(at) else { return };
        let ready = slot.actor.ready_for(source);
        let Some(reading) = slot.readings.iter_mut().find(|reading| reading.source == source)
        else {
            return;
        };
        reading.scheduled = false;
        let from = reading.next;
        if !ready || end <= from {
            return;
        }
        let records: Vec<_> =
            self.log.from(source, from).iter().take(records_max).cloned().collect();
        let Some(last) = records.last().map(|record| record.offset) else { return };
        let lag = end - from;
        if let Some(slot) = self.slot(at)
            && let Some(reading) = slot.readings.iter_mut().find(|reading| reading.source == source)
        {
            reading.next = last + 1;
        }
        self.note(1, at.epoch, from, || {
            format!("{at} reads {source} from {from} to {last} (lag {lag})")
        });
        self.input_now(at, RawInput::Records { source, records, end });
    }

    pub(super) fn input(&mut self, at: SlotRef, input: RawInput) {
        match self.paused(at) {
            Some(until) => self.at(until, Event::Input { at, input }),
            None => self.input_now(at, input),
        }
    }

    fn input_now(&mut self, at: SlotRef, input: RawInput) {
        let now = self.now_ms() + self.processes[at.process].skew_ms;
        if self.slot(at).is_some()
            && let RawInput::Answered { token, answer } = &input
        {
            self.heard(at, *token, answer);
        }
        let Some(slot) = self.slot(at) else { return };
        let effects = slot.actor.handle(now, input);
        self.perform(at, effects);
        self.read_where_ready(at);
    }

    /// Builds the first effects of a machine and lets it read.
    pub(super) fn start(&mut self, at: SlotRef) {
        let now = self.now_ms() + self.processes[at.process].skew_ms;
        let Some(slot) = self.slot(at) else { return };
        slot.started = true;
        let effects = slot.actor.start(now);
        for reading in self.slot(at).map(|slot| slot.readings.clone()).unwrap_or_default() {
            self.readers.entry(reading.source).or_default().push(at);
        }
        self.perform(at, effects);
        self.read_where_ready(at);
    }

    pub(super) fn read_where_ready(&mut self, at: SlotRef) {
        let Some(slot) = self.slot(at) else { return };
        let idle: Vec<_> = slot
            .readings
            .iter()
            .filter(|reading| !reading.scheduled && slot.actor.ready_for(reading.source))
            .map(|reading| (reading.source, reading.next))
            .collect();
        for (source, next) in idle {
            if next < self.log.end(source) {
                let when = self.soon(2);
                self.at(when, Event::Read { at, source });
                if let Some(slot) = self.slot(at) {
                    for reading in slot.readings.iter_mut().filter(|r| r.source == source) {
                        reading.scheduled = true;
                    }
                }
            }
        }
    }

    fn perform(&mut self, at: SlotRef, effects: Vec<RawEffect>) {
        for effect in effects {
            match effect {
                RawEffect::Load { token, scope } => {
                    let when = self.soon(3);
                    self.at(when, Event::Scan { at, token, scope });
                }
                RawEffect::Peek { token, source, from } => {
                    let when = self.soon(5);
                    self.at(when, Event::Peek { at, token, source, from });
                }
                RawEffect::Apply { token, batch } => {
                    if let Some(slot) = self.slot(at) {
                        slot.queued.push_back((token, batch));
                    }
                    self.start_batches(at);
                }
                RawEffect::Call { token, call } => self.call(at, token, call),
                RawEffect::Timer { token, at: ms } => {
                    let skew = self.processes[at.process].skew_ms;
                    let late = self.rng.between(0, 2_000);
                    let when = self.now.max((ms - skew) * 1_000) + late;
                    self.at(when, Event::Input { at, input: RawInput::Timer { token } });
                }
                RawEffect::Reply { token, reply } => self.replied(at, token, reply),
                RawEffect::Alarm(alarm) => self.alarmed(at, &alarm),
            }
        }
    }

    /// Reads beside a machine's own reading, as much as one read may bring.
    pub(super) fn peek(&mut self, at: SlotRef, token: u64, source: Source, from: u64) {
        let records_max = usize::try_from(1 + self.rng.below(READ_RECORDS_MAX)).unwrap_or(1);
        let end = self.log.end(source);
        let records: Vec<_> =
            self.log.from(source, from.min(end)).iter().take(records_max).cloned().collect();
        self.note(7, at.epoch, from, || {
            format!("{at} peeks at {source} from {from}: {} records", records.len())
        });
        if !records.is_empty() {
            self.reach.hit(Moment::ReadAhead);
        }
        self.input(at, RawInput::Peeked { token, records, end });
    }

    pub(super) fn scan(&mut self, at: SlotRef, token: u64, scope: &Scope) {
        if self.slot(at).is_none() {
            return;
        }
        let facts = self.store.scan(scope);
        if at.role == Role::Settler && 1 < self.checks.versions_of(&scope.group) {
            self.reach.hit(Moment::CorrectionOutOfMemory);
        }
        self.note(2, at.epoch, u64::try_from(facts.len()).unwrap_or(0), || {
            format!(
                "{at} loads {} facts of {} at {}/{}",
                facts.len(),
                scope.group,
                scope.topic,
                scope.partition
            )
        });
        let when = self.soon(3);
        self.at(when, Event::Input { at, input: RawInput::Loaded { token, facts } });
    }

    fn start_batches(&mut self, at: SlotRef) {
        loop {
            let fails = self.rng.chance(self.faults.apply_fails);
            let Some(slot) = self.slot(at) else { return };
            let most = if slot.lease.is_some() { 1 } else { UNLEASED_IN_FLIGHT_MAX };
            if most <= slot.running.len() {
                return;
            }
            let Some((token, batch)) = slot.queued.pop_front() else { return };
            let steps: std::collections::VecDeque<_> = batch.steps().into();
            let count = steps.len();
            let fails_at = if fails && 0 < count { Some(self.rng.index(count) + 1) } else { None };
            self.next_op += 1;
            let op = self.next_op;
            let running = Running {
                token,
                steps,
                outstanding: 0,
                fails_at,
                wrote_facts: false,
                wrote_records: false,
            };
            if let Some(slot) = self.slot(at) {
                slot.running.insert(op, running);
            }
            self.begin_step(at, op);
        }
    }

    fn begin_step(&mut self, at: SlotRef, op: u64) {
        let life = self.processes[at.process].life;
        let Some(slot) = self.slot(at) else { return };
        let lease = slot.lease.clone();
        let Some(running) = slot.running.get_mut(&op) else { return };
        let fails = running.fails_at == Some(running.steps.len());
        let Some(step) = running.steps.pop_front() else {
            let token = running.token;
            slot.running.remove(&op);
            let input = RawInput::Applied { token };
            self.at(self.now, Event::Input { at, input });
            self.start_batches(at);
            return;
        };
        let parts: Vec<Part> = match step {
            Step::Facts(facts) => {
                running.wrote_facts = true;
                facts.into_iter().map(Part::Fact).collect()
            }
            Step::Records(appends) => {
                running.wrote_records = true;
                appends.into_iter().map(Part::Append).collect()
            }
            Step::Offsets(offsets) => {
                let lease = lease.as_ref();
                offsets.into_iter().filter_map(|o| Some(Part::Offset(lease?.clone(), o))).collect()
            }
        };
        running.outstanding = parts.len();
        if parts.is_empty() {
            self.begin_step(at, op);
            return;
        }
        if fails {
            self.fault();
            self.reach.hit(Moment::BatchFailed);
            let wait = self.rng.between(1, 400);
            self.after_ms(wait, Event::Fail { at, op });
        }
        for part in parts {
            if fails && self.rng.chance(500) {
                continue;
            }
            if self.is_lost(at, &part) {
                let when = self.soon(4);
                self.at(when, Event::Ack { at, op });
                continue;
            }
            if let Part::Append(append) = &part
                && at.role == Role::Placing
                && self.rng.chance(self.faults.append_twice)
            {
                self.fault();
                let again = Part::Append(append.clone());
                let when = self.now + self.rng.between(0, 9_000_000);
                self.at(when, Event::Land { at, life, op: 0, part: again });
            }
            let when = self.landing_time(at, &part);
            self.at(when, Event::Land { at, life, op, part });
        }
    }

    /// True if the log will have acknowledged this settlement and not have it, which only the reconciler finds.
    fn is_lost(&mut self, at: SlotRef, part: &Part) -> bool {
        let Part::Append(append) = part else { return false };
        if at.role != Role::Settler || append.source().topic.0 != SETTLEMENTS {
            return false;
        }
        if self.checks.has_lost() || !self.rng.chance(self.faults.settlement_lost) {
            return false;
        }
        let Ok(settlement) = Settlement::decode(&append.value) else { return false };
        self.fault();
        self.reach.hit(Moment::SettlementLost);
        self.note(9, at.epoch, 0, || format!("{at}: {} is lost", settlement.id()));
        self.checks.lost(&settlement);
        true
    }

    fn says_lost(&self, append: &Append) -> bool {
        let said = append.source().topic.0 == SETTLEMENTS;
        said && Settlement::decode(&append.value).is_ok_and(|said| self.checks.is_missed(&said))
    }

    /// Parts land in any order, but the records of one producer for one partition keep theirs.
    fn landing_time(&mut self, at: SlotRef, part: &Part) -> super::Micros {
        let mut when = self.soon(4);
        if self.rng.chance(self.faults.slow) {
            self.fault();
            when += self.rng.between(1_000, self.faults.slow_ms_max * 1_000);
        }
        if at.role == Role::Placing && self.rng.chance(self.faults.append_stuck) {
            self.fault();
            when += self.rng.between(1_000, 9_000_000);
        }
        if let Part::Append(append) = part
            && let Some(slot) = self.slot(at)
        {
            let last = slot.last_landing.entry(append.source()).or_insert(0);
            when = when.max(*last + 1);
            *last = when;
        }
        when
    }

    pub(super) fn land(&mut self, at: SlotRef, life: u64, op: u64, part: Part) {
        let process = &self.processes[at.process];
        let dead = process.life != life;
        let cut = process.cuts.get(usize::try_from(life).unwrap_or(usize::MAX)).copied();
        if dead && cut.is_some_and(|cut| cut < self.now) {
            return;
        }
        if dead {
            self.reach.hit(Moment::LandedAfterCrash);
        }
        let done = match part {
            Part::Fact(fact) => self.land_fact(at, fact),
            Part::Append(append) => self.land_append(at, append),
            Part::Offset(lease, offset) => self.land_offset(at, op, &lease, offset),
        };
        if dead {
            return;
        }
        let when = self.soon(2);
        match done {
            Ok(()) => self.at(when, Event::Ack { at, op }),
            Err(Refused) => self.at(when, Event::Fail { at, op }),
        }
        if self.rng.chance(self.faults.crash_after_part) {
            self.crash(at.process);
        }
    }

    fn land_fact(&mut self, at: SlotRef, fact: Fact) -> Result<(), Refused> {
        let (key, body) = (fact.key.clone(), fact.body.clone());
        let number = hash_bytes(&body);
        let written = self.store.write(fact);
        self.note(3, key.at, number, || {
            format!(
                "{at} fact {} {} of {} at {} ({written:?})",
                key.kind, key.subject, key.scope.group, key.at
            )
        });
        self.checks.fact(&key, &body, written, &self.wallets);
        Ok(())
    }

    pub(super) fn land_append(&mut self, at: SlotRef, append: Append) -> Result<(), Refused> {
        let source = append.source();
        let kind = append.headers.iter().find(|(name, _)| *name == schemas::facts::HEADER_KIND);
        let kind = kind.map(|(_, kind)| kind.clone()).unwrap_or_default();
        let number = hash_bytes(&append.value);
        let key = append.key.clone();
        if at.role == Role::Reconciler && self.says_lost(&append) {
            self.reach.hit(Moment::LostSaidAgain);
        }
        let offset = self.log.append(append, self.now_ms());
        self.note(4, offset, number, || {
            format!("{at} {source}@{offset} {kind} {}", String::from_utf8_lossy(&key))
        });
        if self.is_zombie(at) {
            self.reach.hit(Moment::ZombieAppend);
        }
        self.observe(source, offset);
        let readers = self.readers.get(&source).cloned().unwrap_or_default();
        let mut alive = Vec::with_capacity(readers.len());
        for reader in readers {
            if self.slot(reader).is_some() {
                alive.push(reader);
                self.read_where_ready(reader);
            }
        }
        self.readers.insert(source, alive);
        Ok(())
    }

    /// Lands a record that a person's command wrote.
    pub(super) fn land_by_hand(&mut self, append: Append) {
        let source = append.source();
        let offset = self.log.append(append, self.now_ms());
        self.note(8, offset, 0, || format!("by hand: {source}@{offset}"));
        self.observe(source, offset);
        for reader in self.readers.get(&source).cloned().unwrap_or_default() {
            self.read_where_ready(reader);
        }
    }

    /// Hands what has just landed to the checks and to those who wait for it.
    fn observe(&mut self, source: Source, offset: u64) {
        let Some(record) = self.log.from(source, offset).first().cloned() else { return };
        let landed = Landed { source, record: &record };
        self.checks.record(&landed, &self.wallets, &mut self.reach);
        self.saw(source, &record);
    }

    fn land_offset(
        &mut self,
        at: SlotRef,
        op: u64,
        lease: &Lease,
        offset: StoreOffset,
    ) -> Result<(), Refused> {
        let Some(group) = self.groups.get_mut(&at.role) else { return Err(Refused) };
        if group.store(lease, offset.source, offset.offset, op).is_err() {
            self.note(5, at.epoch, offset.offset, || format!("{at} offset refused: fenced"));
            self.reach.hit(Moment::ZombieFenced);
            return Err(Refused);
        }
        self.note(6, at.epoch, offset.offset, || {
            format!("{at} stores {} of {}", offset.offset, offset.source)
        });
        let end = self.log.end(offset.source);
        self.checks.offset(at.role, offset, end);
        Ok(())
    }

    pub(super) fn acked(&mut self, at: SlotRef, op: u64) {
        if let Some(until) = self.paused(at) {
            self.at(until, Event::Ack { at, op });
            return;
        }
        let Some(slot) = self.slot(at) else { return };
        let Some(running) = slot.running.get_mut(&op) else { return };
        running.outstanding = running.outstanding.saturating_sub(1);
        if 0 < running.outstanding {
            return;
        }
        let next = running.steps.front().map(std::mem::discriminant);
        let records = next == Some(std::mem::discriminant(&Step::Records(Vec::new())));
        let between = if running.wrote_facts && !running.wrote_records && records {
            Some(Moment::CrashBetweenFactAndRecord)
        } else if running.wrote_records && next.is_some() && !records {
            Some(Moment::CrashBetweenRecordAndOffset)
        } else {
            None
        };
        if let Some(moment) = between
            && self.rng.chance(self.faults.crash_between_steps)
        {
            self.reach.hit(moment);
            self.crash(at.process);
            return;
        }
        self.begin_step(at, op);
    }

    pub(super) fn failed(&mut self, at: SlotRef, op: u64) {
        if let Some(until) = self.paused(at) {
            self.at(until, Event::Fail { at, op });
            return;
        }
        let Some(slot) = self.slot(at) else { return };
        let Some(running) = slot.running.remove(&op) else { return };
        self.note(7, at.epoch, op, || format!("{at} batch failed"));
        let Some(slot) = self.slot(at) else { return };
        if slot.actor.survives_failure() {
            let error = EngineError::Unavailable("simulated".to_owned());
            self.input_now(at, RawInput::Failed { token: running.token, error });
            self.start_batches(at);
        } else {
            // The driver gives the machine up at once; a new one comes after a while.
            slot.actor = Box::new(super::cast::Gone);
            slot.queued.clear();
            slot.running.clear();
            let wait = self.rng.between(50, 200);
            self.after_ms(wait, Event::Rebuild { at });
        }
    }
}

/// The engine refused a part: the lease is not the newest.
pub(super) struct Refused;
