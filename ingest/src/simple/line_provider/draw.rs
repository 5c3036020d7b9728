//! Results that are drawn: for events that were opened with `auto_result`.
//!
//! Reads `rounds.v1` without a group and appends results there. A result is drawn only once `sealed` has
//! been read, so no bet can know it; that an event is to be drawn stands in the log, in the name of who
//! opened it, so a restart goes on. Two instances may draw at once: the first result in the log is admitted,
//! and the other refused. Somebody who says a result before the event is sealed, and so ends betting, has
//! time to say it again behind `sealed` before one is drawn.

use crate::line::NOT_SEALED;
use crate::rounds_view::{Keeping, RoundInfo, RoundStatus, RoundsView};
use crate::simple::event::{FIRST, SECOND, is_drawn, is_event};
use crate::tail::{Behind, Tail, rounds};
use runtime::{
    Append, Batch, Caller, Effect, EngineError, Input, Machine, Millis, Record, RecordLog, Source,
};
use schemas::RoundId;
use schemas::outgoing::{self, Partitions};
use schemas::rounds::{Opened, Outcome, RoundEvent, RoundSaid};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};

/// Events kept beside the open ones. One that is older is not drawn any more.
const EVENTS_MAX: usize = 10_000;
/// Who says a drawn result.
const ACTOR: &str = "auto_result";
/// How long a result that was said too early may be said again before one is drawn, in ms: longer than the
/// line holds it.
const OTHERS_WAIT_MS: i64 = 35_000;
/// Ms until a result is appended again whose append failed.
const AGAIN_MS: i64 = 1_000;

/// What the drawer is told at its start.
#[derive(Clone, Debug)]
pub struct DrawOptions {
    /// Partition counts, by which records are addressed.
    pub partitions: Partitions,
    /// The partitions of `rounds.v1`.
    pub tails: Vec<Tail>,
}

impl DrawOptions {
    /// All partitions of `rounds.v1` from their lowest offset.
    ///
    /// # Errors
    /// If the log does not tell its range.
    pub async fn read<L: RecordLog>(log: &L, partitions: Partitions) -> Result<Self, EngineError> {
        Ok(Self { partitions, tails: Tail::all(log, rounds(partitions)).await? })
    }
}

/// Asks for one of two outcomes, each as likely as the other.
#[derive(Clone, Copy, Debug)]
pub struct Throw;

/// Throws from the random keys of the standard library. For a sandbox: nobody can check the draw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coin;

impl Caller<Drawer> for Coin {
    async fn call(&self, Throw: Throw) -> bool {
        RandomState::new().hash_one(0_u8).is_multiple_of(2)
    }
}

/// The machine. See the module.
#[derive(Debug)]
pub struct Drawer {
    options: DrawOptions,
    view: RoundsView,
    /// Until all is read a later record may say the result.
    behind: Behind,
    /// Sealed events whose result nobody has said.
    due: BTreeSet<RoundId>,
    /// Events whose result somebody has said too early.
    said_early: BTreeSet<RoundId>,
    /// Events that are being drawn, each with the result once it is thrown.
    drawing: BTreeMap<u64, (RoundId, Option<bool>)>,
    draws_count: u64,
}

impl Drawer {
    /// A drawer that has read nothing.
    pub fn new(options: DrawOptions) -> Self {
        let wants =
            |event: &RoundEvent, opened: &Opened| is_drawn(&event.actor) && is_event(event, opened);
        Self {
            behind: Behind::of(&options.tails),
            options,
            view: RoundsView::keeping(Keeping { rounds_max: EVENTS_MAX, history: false, wants }),
            due: BTreeSet::new(),
            said_early: BTreeSet::new(),
            drawing: BTreeMap::new(),
            draws_count: 0,
        }
    }

    fn read(
        &mut self,
        now: Millis,
        source: Source,
        records: &[Record],
        end: u64,
    ) -> Vec<Effect<Self>> {
        for record in records {
            self.behind.read(source, record.offset.saturating_add(1), end);
            // What cannot be read is the herald's to report (R23).
            let Ok(event) = RoundEvent::decode(&record.value) else { continue };
            if is_early(&event) && self.view.get(&event.round).is_some_and(|info| info.version == 0)
            {
                self.said_early.insert(event.round.clone());
            }
            let Some(round) = self.view.read(source, record.offset, event) else { continue };
            match self.view.get(&round) {
                Some(info) if is_due(info) => {
                    self.due.insert(round);
                }
                Some(info) if info.version == 0 => {}
                Some(_) | None => {
                    self.due.remove(&round);
                    self.said_early.remove(&round);
                }
            }
        }
        if self.behind.any() { Vec::new() } else { self.throw(now) }
    }

    /// Draws every event that is due, at once or later.
    fn throw(&mut self, now: Millis) -> Vec<Effect<Self>> {
        let mut effects = Vec::new();
        while let Some(round) = self.due.pop_first() {
            self.draws_count += 1;
            let token = self.draws_count;
            effects.push(if self.said_early.contains(&round) {
                Effect::Timer { token, at: now.saturating_add(OTHERS_WAIT_MS) }
            } else {
                Effect::Call { token, call: Throw }
            });
            self.drawing.insert(token, (round, None));
        }
        effects
    }

    /// Says the result of a draw, or draws it, unless somebody has said one meanwhile.
    fn say(&mut self, now: Millis, token: u64) -> Vec<Effect<Self>> {
        let Some((round, thrown)) = self.drawing.get(&token) else { return Vec::new() };
        if !self.view.get(round).is_some_and(is_due) {
            self.drawing.remove(&token);
            return Vec::new();
        }
        let Some(first) = thrown else { return vec![Effect::Call { token, call: Throw }] };
        let outcome = if *first { FIRST } else { SECOND };
        let event = RoundEvent {
            round: round.clone(),
            request: match format!("{ACTOR}-{round}").parse() {
                Ok(request) => request,
                Err(_) => return Vec::new(),
            },
            actor: ACTOR.to_owned(),
            said_at: now,
            said: RoundSaid::Version {
                replaces: 0,
                outcome: Outcome::Game(outcome.to_owned()),
                reason: "drawn".to_owned(),
            },
        };
        match outgoing::round(&event, self.options.partitions) {
            Ok(record) => {
                let batch = Batch::of_records(vec![Append::from(record.into_parts())]);
                vec![Effect::Apply { token, batch }]
            }
            Err(_) => Vec::new(),
        }
    }
}

/// Whether the herald refuses a result that came before `sealed`.
fn is_early(event: &RoundEvent) -> bool {
    match &event.said {
        RoundSaid::Verdict(verdict) => verdict.refused.as_deref() == Some(NOT_SEALED),
        RoundSaid::Opened(_)
        | RoundSaid::Amended { .. }
        | RoundSaid::Closing
        | RoundSaid::Closed
        | RoundSaid::Sealed
        | RoundSaid::Version { .. }
        | RoundSaid::Proposed { .. }
        | RoundSaid::Rejected { .. } => false,
    }
}

/// Whether nobody has said a result, and one may be said.
fn is_due(info: &RoundInfo) -> bool {
    info.status == RoundStatus::Sealed && info.version == 0
}

impl Machine for Drawer {
    type Call = Throw;
    /// Whether the first team won.
    type Answer = bool;
    type Request = Infallible;
    type Reply = Infallible;

    fn sources(&self) -> Vec<(Source, u64)> {
        self.options.tails.iter().map(|tail| (tail.source, tail.from)).collect()
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Records { source, records, end } => self.read(now, source, &records, end),
            Input::Answered { token, answer } => {
                if let Some((_, thrown)) = self.drawing.get_mut(&token) {
                    *thrown = Some(answer);
                }
                self.say(now, token)
            }
            Input::Applied { token } => {
                self.drawing.remove(&token);
                Vec::new()
            }
            // It may stand in the log: then the same result under the same request is a repeat.
            Input::Failed { token, .. } => {
                vec![Effect::Timer { token, at: now.saturating_add(AGAIN_MS) }]
            }
            Input::Timer { token } => self.say(now, token),
            Input::Request { request, .. } => match request {},
            Input::Loaded { .. } | Input::Peeked { .. } => Vec::new(),
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        true
    }

    fn survives_failure(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
