//! A stage for scripted interleavings: one log, one store, and production machines that are fed by hand.
//!
//! Everything is performed at once and in the order of [`runtime::Batch::steps`], but a machine may be
//! told to die after so many parts of its batches have become durable, and the members of one step may
//! be made durable in the opposite order.

use pipeline_tests::world::log::Log;
use pipeline_tests::world::store::Store;
use runtime::{Append, Effect, Fact, Input, Machine, Millis, Source, Step};
use std::collections::BTreeMap;

/// What is durable.
#[derive(Default)]
pub(crate) struct Stage {
    pub(crate) log: Log,
    pub(crate) store: Store,
    pub(crate) stored: BTreeMap<Source, u64>,
    pub(crate) now: Millis,
    /// Members of one step become durable from the last to the first.
    pub(crate) backwards: bool,
}

/// A machine on the stage.
pub(crate) struct Player<M: Machine> {
    pub(crate) machine: M,
    pub(crate) readings: Vec<(Source, u64)>,
    /// Parts that still become durable before it dies.
    pub(crate) parts_left: usize,
    /// What it wanted from the outside: calls, timers, replies, alarms.
    pub(crate) asides: Vec<Effect<M>>,
}

enum Part {
    Fact(Fact),
    Append(Append),
    Offset(Source, u64),
}

impl<M: Machine> Player<M> {
    pub(crate) fn new(machine: M) -> Self {
        let readings = machine.sources();
        Self { machine, readings, parts_left: usize::MAX, asides: Vec::new() }
    }

    pub(crate) fn dying_after(machine: M, parts: usize) -> Self {
        Self { parts_left: parts, ..Self::new(machine) }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.parts_left == 0
    }

    /// The names of the alarms it raised.
    pub(crate) fn alarms(&self) -> Vec<&'static str> {
        let name = |effect: &Effect<M>| match effect {
            Effect::Alarm(alarm) => Some(alarm.name),
            Effect::Load { .. }
            | Effect::Peek { .. }
            | Effect::Apply { .. }
            | Effect::Call { .. }
            | Effect::Timer { .. }
            | Effect::Reply { .. } => None,
        };
        self.asides.iter().filter_map(name).collect()
    }
}

impl Stage {
    pub(crate) fn append(&mut self, append: Append) -> u64 {
        self.log.append(append, self.now)
    }

    /// Where a new owner of `source` starts.
    pub(crate) fn stored(&self, source: Source) -> u64 {
        self.stored.get(&source).copied().unwrap_or(0)
    }

    /// Starts the machine, then lets it read all there is, one record at a time.
    pub(crate) fn start<M: Machine>(&mut self, player: &mut Player<M>) {
        let effects = player.machine.start(self.now);
        self.perform(player, effects);
        self.run(player);
    }

    pub(crate) fn run<M: Machine>(&mut self, player: &mut Player<M>) {
        while !player.is_dead() && self.read_one(player) {}
    }

    fn read_one<M: Machine>(&mut self, player: &mut Player<M>) -> bool {
        for index in 0..player.readings.len() {
            let (source, next) = player.readings[index];
            if !player.machine.ready_for(source) {
                continue;
            }
            let Some(record) = self.log.from(source, next).first().cloned() else { continue };
            player.readings[index].1 = record.offset + 1;
            let end = self.log.end(source);
            self.give(player, Input::Records { source, records: vec![record], end });
            return true;
        }
        false
    }

    /// Gives an input and performs what follows.
    pub(crate) fn give<M: Machine>(&mut self, player: &mut Player<M>, input: Input<M>) {
        if player.is_dead() {
            return;
        }
        let effects = player.machine.handle(self.now, input);
        self.perform(player, effects);
    }

    fn perform<M: Machine>(&mut self, player: &mut Player<M>, effects: Vec<Effect<M>>) {
        for effect in effects {
            match effect {
                Effect::Load { token, scope } => {
                    let facts = self.store.scan(&scope);
                    self.give(player, Input::Loaded { token, facts });
                }
                Effect::Peek { token, source, from } => {
                    let records = self.log.from(source, from).to_vec();
                    let end = self.log.end(source);
                    self.give(player, Input::Peeked { token, records, end });
                }
                Effect::Apply { token, batch } => {
                    for step in batch.steps() {
                        self.land(player, step);
                    }
                    self.give(player, Input::Applied { token });
                }
                Effect::Call { .. }
                | Effect::Timer { .. }
                | Effect::Reply { .. }
                | Effect::Alarm(_) => player.asides.push(effect),
            }
        }
    }

    fn land<M: Machine>(&mut self, player: &mut Player<M>, step: Step) {
        let mut parts: Vec<Part> = match step {
            Step::Facts(facts) => facts.into_iter().map(Part::Fact).collect(),
            Step::Records(appends) => appends.into_iter().map(Part::Append).collect(),
            Step::Offsets(offsets) => offsets
                .into_iter()
                .map(|stored| Part::Offset(stored.source, stored.offset))
                .collect(),
        };
        if self.backwards {
            parts.reverse();
        }
        for part in parts {
            if player.is_dead() {
                return;
            }
            player.parts_left -= 1;
            match part {
                Part::Fact(fact) => {
                    self.store.write(fact);
                }
                Part::Append(append) => {
                    self.append(append);
                }
                Part::Offset(source, offset) => {
                    self.stored.insert(source, offset);
                }
            }
        }
    }
}

/// The script holds as it is, and fails with the guard broken on purpose.
#[track_caller]
pub(crate) fn holds_without(bug: planted::Bug, script: impl Fn() -> Result<(), String>) {
    planted::arm_thread(None);
    assert_eq!(script(), Ok(()));
    planted::arm_thread(Some(bug));
    let broken = script();
    planted::arm_thread(None);
    assert!(broken.is_err(), "nobody noticed `{}`", bug.name());
}

impl Stage {
    /// The time of every timer set so far comes, in order; then all there is is read.
    pub(crate) fn let_time_pass<M: Machine>(&mut self, player: &mut Player<M>) {
        let (timers, others): (Vec<_>, Vec<_>) = std::mem::take(&mut player.asides)
            .into_iter()
            .partition(|effect| matches!(effect, Effect::Timer { .. }));
        player.asides = others;
        let mut due: Vec<(Millis, u64)> = timers
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Timer { token, at } => Some((at, token)),
                Effect::Load { .. }
                | Effect::Peek { .. }
                | Effect::Apply { .. }
                | Effect::Call { .. }
                | Effect::Reply { .. }
                | Effect::Alarm(_) => None,
            })
            .collect();
        due.sort_unstable();
        for (at, token) in due {
            self.now = self.now.max(at);
            self.give(player, Input::Timer { token });
        }
        self.run(player);
    }
}
