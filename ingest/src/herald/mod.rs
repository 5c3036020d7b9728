//! The herald of one partition of `rounds.v1` (R7).
//!
//! Reads what API instances, feeds and its own timers append there; judges it with a pure fold; copies
//! what it admits to every partition of `bets.v1`, numbered per round; says its verdict in `rounds.v1`.
//! Writes: facts `admitted` and `act`, markers, verdicts, `sealed`, its timers' `closing` and `closed`, and, on
//! partition 0, the ticks.
//!
//! A crash leaves copies without a verdict, which the next herald writes again: settlers ignore what
//! they have. The fact comes first, then the copies acknowledged everywhere, then the verdict, then
//! the offset; and marker n + 1 waits for n. It never takes a clock's word in a verdict: its timers only
//! append, and the order of the log decides.

mod copies;
mod fold;
mod steps;

pub use fold::{Admitted, CORRECTION_MS_MAX, Fold, Judgement, Round, RoundRules, Status};

use copies::Waves;
use runtime::machine::{Alarm, Effect, Input, Machine};
use runtime::{Append, Batch, Fact, Millis, Record, Scope, Source, StoreOffset, Topic};
use schemas::acts;
use schemas::bets::{BetEvent, BetSaid, Unreadable};
use schemas::catalogue::ROUNDS;
use schemas::facts::ADMITTED;
use schemas::frame::FrameError;
use schemas::outgoing::{self, Partitions};
use schemas::rounds::{RoundEvent, RoundSaid, Verdict};
use schemas::wire::UnreadableRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// Ms between a tick's acknowledgement and the next tick (R8).
pub const TICK_MS: i64 = 1_000;
/// Records read ahead before judging begins, at most: bounds the memory of a takeover.
const AHEAD_MAX: usize = 200_000;
/// Sealed rounds kept in memory, at most.
const ROUNDS_KEPT: usize = 512;

const TOKEN_BATCH: u64 = 0;
const TOKEN_TICK: u64 = 1 << 32;
const TOKEN_SAY: u64 = 2 << 32;
const TOKEN_TIMER: u64 = 3 << 32;
const TOKEN_LOAD: u64 = 4 << 32;

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Reading on, to learn which records have their verdict further on.
    ReadingAhead,
    /// Waiting for the facts of rounds that are not in memory.
    Loading,
    /// Waiting for a batch to become durable.
    Applying,
    /// Ready for records.
    Idle,
    /// A record could not be encoded; nothing is stored any more.
    Stopped,
}

/// The machine.
#[derive(Debug)]
pub struct Herald {
    source: Source,
    partitions: Partitions,
    from: u64,
    fold: Fold,
    phase: Phase,
    read_to: u64,
    end_at_start: Option<u64>,
    waiting: Vec<(u64, Result<RoundEvent, UnreadableRecord>)>,
    judged: BTreeSet<u64>,
    loads: BTreeMap<u64, (String, u64)>,
    timers: BTreeMap<u64, String>,
    asked: BTreeMap<String, Status>,
    stored: u64,
    next_token: u64,
}

impl Herald {
    /// The herald of `partition`, reading on from the stored offset `from`.
    pub fn new(partition: u32, partitions: Partitions, rules: RoundRules, from: u64) -> Self {
        Self {
            source: Source { topic: Topic(ROUNDS), partition },
            partitions,
            from,
            fold: Fold::new(rules),
            phase: Phase::ReadingAhead,
            read_to: from,
            end_at_start: None,
            waiting: Vec::new(),
            judged: BTreeSet::new(),
            loads: BTreeMap::new(),
            timers: BTreeMap::new(),
            asked: BTreeMap::new(),
            stored: from,
            next_token: 0,
        }
    }

    fn token(&mut self, space: u64) -> u64 {
        self.next_token = (self.next_token + 1) & 0xffff_ffff;
        space | self.next_token
    }

    fn take(&mut self, now: Millis, records: Vec<Record>, end: u64) -> Vec<Effect<Self>> {
        let end_at_start = *self.end_at_start.get_or_insert(end);
        for record in records {
            self.read_to = record.offset + 1;
            match RoundEvent::decode(&record.value) {
                Ok(RoundEvent { said: RoundSaid::Verdict(verdict), .. }) => {
                    self.judged.insert(verdict.judged);
                }
                Ok(event) => self.waiting.push((record.offset, Ok(event))),
                Err(error) => {
                    let unreadable = unreadable(self.source, &record, &error);
                    self.waiting.push((record.offset, Err(unreadable)));
                }
            }
        }
        if self.read_to < end_at_start && self.waiting.len() < AHEAD_MAX {
            return Vec::new();
        }
        self.load_missing(now)
    }

    fn load_missing(&mut self, now: Millis) -> Vec<Effect<Self>> {
        let mut missing: BTreeMap<String, u64> = BTreeMap::new();
        for (offset, record) in &self.waiting {
            if let Ok(event) = record
                && !self.fold.knows(event.round.as_str())
            {
                missing.entry(event.round.to_string()).or_insert(*offset);
            }
        }
        if missing.is_empty() {
            return self.judge_all(now);
        }
        self.phase = Phase::Loading;
        let mut effects = Vec::with_capacity(missing.len());
        for (round, below) in missing {
            let scope = Scope {
                group: round.clone(),
                topic: self.source.topic,
                partition: self.source.partition,
            };
            let token = self.token(TOKEN_LOAD);
            self.loads.insert(token, (round, below));
            effects.push(Effect::Load { token, scope });
        }
        effects
    }

    fn loaded(&mut self, now: Millis, token: u64, facts: &[Fact]) -> Vec<Effect<Self>> {
        let Some((round, below)) = self.loads.remove(&token) else { return Vec::new() };
        let decoded: Result<Vec<(u64, RoundEvent)>, (u64, Unreadable)> = facts
            .iter()
            .filter(|fact| fact.key.kind == ADMITTED && fact.key.at < below)
            .map(|fact| match RoundEvent::decode(&fact.body) {
                Ok(event) => Ok((fact.key.at, event)),
                Err(error) => Err((fact.key.at, error)),
            })
            .collect();
        let mut admitted = match decoded {
            Ok(admitted) => admitted,
            // What was admitted and cannot be read must not count as never admitted.
            Err((at, error)) => return self.stop(at, &error.to_string()),
        };
        admitted.sort_by_key(|(at, _)| *at);
        self.fold.load(&round, &admitted);
        if self.loads.is_empty() { self.judge_all(now) } else { Vec::new() }
    }

    /// Stops for good; nothing is stored any more.
    fn stop(&mut self, at: u64, why: &str) -> Vec<Effect<Self>> {
        self.phase = Phase::Stopped;
        self.waiting.clear();
        self.loads.clear();
        let text = format!("herald of {} stops at offset {at}: {why}", self.source);
        vec![Effect::Alarm(Alarm { name: "partition_stopped", text })]
    }

    fn judge_all(&mut self, now: Millis) -> Vec<Effect<Self>> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut waves = Waves::default();
        let mut touched = BTreeSet::new();
        let mut alarms = Vec::new();
        for (offset, record) in waiting {
            let done = match record {
                Ok(event) => {
                    touched.insert(event.round.to_string());
                    self.judge(now, offset, &event, &mut waves)
                }
                Err(record) => {
                    let text = format!("{} offset {offset}: {}", self.source, record.error);
                    alarms.push(Effect::Alarm(Alarm { name: "record_unreadable", text }));
                    outgoing::unreadable_fact(&record, ROUNDS, ("", "", ""))
                        .map(|row| waves.fact(Fact::from(row.into_parts())))
                }
            };
            if let Err(error) = done {
                return self.stop(offset, &error.to_string());
            }
        }
        self.judged = self.judged.split_off(&self.read_to);
        let mut effects = self.follow(now, &touched, &mut waves);
        effects.append(&mut alarms);
        let storable = self.storable();
        let mut batch = waves.into_batch();
        if storable != self.stored {
            batch.offsets.push(StoreOffset { source: self.source, offset: storable });
            self.stored = storable;
        }
        if batch.is_empty() {
            self.phase = Phase::Idle;
        } else {
            self.phase = Phase::Applying;
            effects.push(Effect::Apply { token: TOKEN_BATCH, batch });
        }
        effects
    }

    /// Judges one record and adds what follows from it, unless its verdict stands further on.
    fn judge(
        &mut self,
        now: Millis,
        offset: u64,
        event: &RoundEvent,
        waves: &mut Waves,
    ) -> Result<(), FrameError> {
        let judgement = self.fold.judge(offset, event);
        let said_before = self.judged.contains(&offset);
        let (number, version, refused) = match judgement {
            Judgement::Admitted(admitted) | Judgement::Again(admitted) => {
                (admitted.number, admitted.version, None)
            }
            Judgement::Refused(code) => {
                let version = self.fold.get(event.round.as_str()).map_or(0, |round| round.version);
                (0, version, Some(code.to_owned()))
            }
        };
        if said_before {
            return Ok(());
        }
        if let Some(act) = acts::of_round(event, refused.as_deref()) {
            waves.fact(Fact::from(acts::fact(&act, offset)?.into_parts()));
        }
        if let Judgement::Admitted(admitted) = judgement {
            let row = outgoing::admitted_fact(event, self.source.partition, offset)?;
            waves.fact(Fact::from(row.into_parts()));
            let closed = matches!(event.said, RoundSaid::Closed);
            if let Some(marker) = copies::marker(event, admitted) {
                waves.copies(&event.round, &marker, self.partitions)?;
            }
            if closed {
                waves.say(&event.round, self.own(&event.round, now, RoundSaid::Sealed)?);
            }
        }
        if refused.as_deref() == Some("not_sealed") {
            self.close_early(now, &event.round, waves)?;
        }
        let verdict = RoundEvent {
            round: event.round.clone(),
            request: event.request.clone(),
            actor: acts::HERALD.to_owned(),
            said_at: event.said_at,
            said: RoundSaid::Verdict(Verdict {
                judged: offset,
                kind: event.kind(),
                refused,
                number,
                version,
            }),
        };
        waves.say(&event.round, self.append(&verdict)?);
        Ok(())
    }

    fn append(&self, event: &RoundEvent) -> Result<Append, FrameError> {
        Ok(Append::from(outgoing::round(event, self.partitions)?.into_parts()))
    }

    /// The next offset to read after a restart: never past the `opened` of a round not yet sealed, so
    /// that its deadline survives a takeover.
    fn storable(&self) -> u64 {
        let unsealed = self.fold.iter().filter(|(_, round)| round.status != Status::Sealed);
        unsealed.map(|(_, round)| round.opened_at_offset).min().unwrap_or(self.read_to)
    }

    fn applied(&mut self, now: Millis, token: u64) -> Vec<Effect<Self>> {
        if token >= TOKEN_SAY {
            return Vec::new();
        }
        if token >= TOKEN_TICK {
            return vec![Effect::Timer { token, at: now + TICK_MS }];
        }
        self.phase = Phase::Idle;
        let over = self.fold.iter().count().saturating_sub(ROUNDS_KEPT);
        let mut old: Vec<(u64, String)> = self
            .fold
            .iter()
            .filter(|(_, round)| round.status == Status::Sealed && round.last_offset < self.stored)
            .map(|(id, round)| (round.last_offset, id.clone()))
            .collect();
        old.sort();
        for (_, id) in old.into_iter().take(over) {
            self.fold.forget(&id);
        }
        self.fold.forget_unknown();
        Vec::new()
    }

    fn tick(&self, now: Millis, token: u64) -> Vec<Effect<Self>> {
        let Ok(partition) = u32::try_from(token - TOKEN_TICK) else { return Vec::new() };
        let event = BetEvent { round: None, said_at: now, said: BetSaid::Tick };
        match outgoing::bet(&event, partition) {
            Ok(out) => {
                let batch = Batch::of_records(vec![Append::from(out.into_parts())]);
                vec![Effect::Apply { token, batch }]
            }
            Err(error) => vec![Effect::Alarm(Alarm {
                name: "no_tick",
                text: format!("no tick for bets/{partition}: {error}"),
            })],
        }
    }
}

/// The fact of a record that cannot be decoded.
fn unreadable(source: Source, record: &Record, error: &Unreadable) -> UnreadableRecord {
    let place = (source.topic.0, source.partition, record.offset);
    UnreadableRecord::of(place, record.headers.iter(), (&record.key, &record.value), error)
}

impl Machine for Herald {
    type Call = Infallible;
    type Answer = Infallible;
    type Request = Infallible;
    type Reply = Infallible;

    fn sources(&self) -> Vec<(Source, u64)> {
        vec![(self.source, self.from)]
    }

    fn start(&mut self, now: Millis) -> Vec<Effect<Self>> {
        if self.source.partition != 0 {
            return Vec::new();
        }
        (0..self.partitions.lanes)
            .flat_map(|partition| self.tick(now, TOKEN_TICK + u64::from(partition)))
            .collect()
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        if self.phase == Phase::Stopped {
            return Vec::new();
        }
        match input {
            Input::Records { records, end, .. } => self.take(now, records, end),
            Input::Loaded { token, facts } => self.loaded(now, token, &facts),
            Input::Applied { token } => self.applied(now, token),
            Input::Timer { token } if (TOKEN_TICK..TOKEN_SAY).contains(&token) => {
                self.tick(now, token)
            }
            Input::Timer { token } => self.timer(now, token),
            Input::Failed { .. } | Input::Peeked { .. } => Vec::new(),
            Input::Answered { answer, .. } => match answer {},
            Input::Request { request, .. } => match request {},
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        matches!(self.phase, Phase::ReadingAhead | Phase::Idle)
    }
}

#[cfg(test)]
mod tests;
