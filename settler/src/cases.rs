//! Cases: what looks wrong about a result opens one, and every case is told to operators.
//!
//! `rounds.v1 (and a round's facts) -> cases.v1 -> webhook`
//!
//! One machine for one partition of `rounds.v1` and the same partition of `cases.v1`, since both are
//! partitioned by round. It stops nothing and pays nobody: a case is a sentence for people, an alarm and a
//! record. A case's id follows from what it is about, so a replay, or a second owner, says the same case
//! again, under the same id; whoever is told goes by the id.
//!
//! What a crash leaves: offsets below a round that is still watched, which is read again. What it never
//! does: pass a round whose result is missing or not looked at, or a case that nobody was told of.

mod suspicion;
mod telling;

pub use suspicion::SuspicionRules;
pub use telling::{Tell, Told};

use crate::memory::Memory;
use runtime::machine::{Alarm, Effect, Input, Machine};
use runtime::{Append, Batch, Fact, Millis, Record, Scope, Source, StoreOffset, Topic};
use schemas::RoundId;
use schemas::catalogue::{BETS, CASES, ROUNDS};
use schemas::outgoing::{self, Partitions};
use schemas::rounds::RoundEvent;
use schemas::wire::CaseRecord;
use std::convert::Infallible;
use suspicion::{Payout, Suspicion};
use telling::Telling;

/// What the machine is told at its start.
#[derive(Clone, Debug)]
pub struct CasesOptions {
    /// The partition of both topics.
    pub partition: u32,
    /// The stored offset of `rounds.v1`, 0 for none.
    pub from_rounds: u64,
    /// The stored offset of `cases.v1`, 0 for none.
    pub from_cases: u64,
    /// Partition counts.
    pub partitions: Partitions,
    /// What looks wrong.
    pub rules: SuspicionRules,
}

/// The machine.
#[derive(Debug)]
pub struct Cases {
    options: CasesOptions,
    suspicion: Suspicion,
    telling: Telling,
    /// Cases that are opened and not yet durable.
    opened: Vec<CaseRecord>,
    /// Offsets of rounds and cases as they are stored, or on their way.
    stored: [u64; 2],
    is_applying: bool,
    /// The round whose facts are being read, with the partition of `bets.v1` asked for last.
    looking: Option<(Payout, u32)>,
    /// The times of timers that have not come; a timer cannot be taken back.
    timers: std::collections::BTreeSet<Millis>,
}

const TOKEN: u64 = 0;

impl Cases {
    /// A machine that watches no round yet.
    pub fn new(options: CasesOptions) -> Self {
        let stored = [options.from_rounds, options.from_cases];
        Self {
            suspicion: Suspicion::new(options.rules, options.from_rounds),
            telling: Telling::new(options.from_cases),
            options,
            opened: Vec::new(),
            stored,
            is_applying: false,
            looking: None,
            timers: std::collections::BTreeSet::new(),
        }
    }

    fn source(&self, topic: &'static str) -> Source {
        Source { topic: Topic(topic), partition: self.options.partition }
    }

    fn take(&mut self, source: Source, records: Vec<Record>) {
        for record in records {
            if source.topic.0 == CASES {
                self.telling.take(record);
                continue;
            }
            // One that cannot be read is the herald's to tell of.
            let event = RoundEvent::decode(&record.value).ok();
            self.opened.extend(self.suspicion.take(record.offset, event));
        }
    }

    /// Whatever can be done now.
    fn go_on(&mut self, now: Millis) -> Vec<Effect<Self>> {
        let mut effects = Vec::new();
        self.opened.extend(self.suspicion.overdue(now));
        if self.looking.is_none()
            && let Some(payout) = self.suspicion.next_look(now)
        {
            effects.push(self.look(payout, 0));
        }
        if let Some(call) = self.telling.next(now) {
            effects.push(Effect::Call { token: TOKEN, call });
        }
        effects.extend(self.apply());
        let looks = self.suspicion.looks_at().filter(|_| self.looking.is_none());
        let wake = [self.suspicion.overdue_at(), looks, self.telling.wakes_at()];
        if let Some(at) = wake.into_iter().flatten().min()
            && self.timers.insert(at.max(now))
        {
            effects.push(Effect::Timer { token: TOKEN, at: at.max(now) });
        }
        effects
    }

    fn apply(&mut self) -> Vec<Effect<Self>> {
        if self.is_applying {
            return Vec::new();
        }
        let (mut effects, mut records) = (Vec::new(), Vec::new());
        for case in std::mem::take(&mut self.opened) {
            match outgoing::case(&case, self.options.partitions) {
                Ok(out) => records.push(Append::from(out.into_parts())),
                Err(error) => {
                    let text = format!("{} cannot be said: {error}", case.case_id);
                    effects.push(Effect::Alarm(Alarm { name: "case_lost", text }));
                }
            }
            effects.push(Effect::Alarm(Alarm { name: "case_opened", text: case.text }));
        }
        let reached = [self.suspicion.storable(), self.telling.storable()];
        let topics = [ROUNDS, CASES];
        let moved = (0..2).filter(|which| self.stored[*which] != reached[*which]);
        let offsets: Vec<StoreOffset> = moved
            .map(|which| StoreOffset { source: self.source(topics[which]), offset: reached[which] })
            .collect();
        if records.is_empty() && offsets.is_empty() {
            return effects;
        }
        (self.stored, self.is_applying) = (reached, true);
        let batch = Batch { records: vec![records], offsets, ..Batch::default() };
        effects.push(Effect::Apply { token: TOKEN, batch });
        effects
    }

    fn look(&mut self, payout: Payout, partition: u32) -> Effect<Self> {
        let scope = scope(payout.round(), partition);
        self.looking = Some((payout, partition));
        Effect::Load { token: TOKEN, scope }
    }

    fn loaded(&mut self, now: Millis, facts: &[Fact]) -> Vec<Effect<Self>> {
        let Some((mut payout, partition)) = self.looking.take() else { return Vec::new() };
        let loaded = Memory::load(payout.round(), u64::MAX, facts);
        // A partition whose facts contradict each other is the reconciler's to tell of.
        let is_there = match loaded {
            Ok(loaded) => payout.add(&loaded.round),
            Err(_) => true,
        };
        if !is_there {
            self.suspicion.look_later(now, &payout);
        } else if partition + 1 < self.options.partitions.lanes {
            return vec![self.look(payout, partition + 1)];
        } else {
            self.opened.extend(self.suspicion.looked(&payout));
        }
        self.go_on(now)
    }
}

fn scope(round: &RoundId, partition: u32) -> Scope {
    Scope { group: round.to_string(), topic: Topic(BETS), partition }
}

impl Machine for Cases {
    type Call = Tell;
    type Answer = Told;
    type Request = Infallible;
    type Reply = Infallible;

    fn sources(&self) -> Vec<(Source, u64)> {
        vec![
            (self.source(ROUNDS), self.options.from_rounds),
            (self.source(CASES), self.options.from_cases),
        ]
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Records { source, records, .. } => self.take(source, records),
            Input::Loaded { facts, .. } => return self.loaded(now, &facts),
            Input::Applied { .. } => self.is_applying = false,
            Input::Answered { answer, .. } => {
                if let Some(alarm) = self.telling.told(now, answer) {
                    let mut effects = self.go_on(now);
                    effects.push(Effect::Alarm(alarm));
                    return effects;
                }
            }
            Input::Timer { .. } => self.timers.retain(|at| now < *at),
            Input::Peeked { .. } | Input::Failed { .. } => {}
            Input::Request { request, .. } => match request {},
        }
        self.go_on(now)
    }

    fn ready_for(&self, source: Source) -> bool {
        source.topic.0 != CASES || self.telling.has_room()
    }
}
