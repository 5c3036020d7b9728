//! The line: what operators and feeds say about rounds, and what they are told.
//!
//! Reads every partition of `rounds.v1` without a group, from the offsets in its options; only ever
//! appends there (R7). What it answers is the herald's verdict, read back from the log, so every
//! instance gives the same answer to the same request. A crash leaves at most a record without an
//! answer: sent again under the same request id it is answered by the verdict that stands. It judges
//! nothing itself and never says `admitted` before the log does.
//!
//! A void, and a result that asks for it, is held while its round is not sealed, and appended again
//! under the same request id when it is.

mod known;
mod said;
#[cfg(test)]
mod tests;

pub use said::{Ask, Judged, NotTaken, Say, Told};

use crate::rounds_view::{RoundInfo, RoundStatus, RoundsView};
use crate::tail::{Behind, Tail, rounds};
use known::{Call, Known};
use runtime::{
    Append, Batch, Effect, EngineError, Input, Machine, Millis, Record, RecordLog, Source,
};
use schemas::RoundId;
use schemas::outgoing::{self, Partitions};
use schemas::rounds::{RoundEvent, RoundSaid, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// Requests that may wait for a verdict. Above it a new one is refused, before anything is written.
pub const WAITING_MAX: usize = 10_000;
/// Rounds in one answer to [`Ask::List`], at most.
pub const LIST_ROUNDS_MAX: usize = 200;
/// Who the herald says it is, in the records it writes by itself.
const HERALD: &str = "herald";
/// The herald's code for a result or void that comes before the round is sealed.
pub const NOT_SEALED: &str = "not_sealed";
/// The herald's code for a request id that was admitted with other content.
pub const REQUEST_REUSED: &str = "request_reused";

/// What the line is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineOptions {
    /// Partition counts, by which records are addressed.
    pub partitions: Partitions,
    /// The partitions of `rounds.v1`.
    pub tails: Vec<Tail>,
    /// Longest wait for a verdict, in ms.
    pub verdict_wait_ms_max: i64,
    /// Ms between two looks at a held request.
    pub repeat_ms: i64,
    /// Longest time a request is held until its round is sealed, in ms. Must stay below what clients
    /// wait for an answer.
    pub hold_ms_max: i64,
}

impl LineOptions {
    /// Options for all partitions of `rounds.v1` from their lowest offset, with the usual waits: 5 s for
    /// a verdict, a look every 200 ms, and 30 s held.
    ///
    /// # Errors
    /// If the log does not tell its range.
    pub async fn read<L: RecordLog>(log: &L, partitions: Partitions) -> Result<Self, EngineError> {
        let tails = Tail::all(log, rounds(partitions)).await?;
        let (verdict_wait_ms_max, repeat_ms, hold_ms_max) = (5_000, 200, 30_000);
        Ok(Self { partitions, tails, verdict_wait_ms_max, repeat_ms, hold_ms_max })
    }
}

/// A request that waits for its verdict.
#[derive(Debug)]
struct Waiting {
    /// The asker's token.
    asker: u64,
    event: RoundEvent,
    call: Call,
    hold: bool,
    /// When the asker is told that there is no verdict.
    until: Millis,
    /// The refusal that a held request got; absent while its append waits for a verdict.
    held: Option<Judged>,
}

/// The machine. See the module.
#[derive(Debug)]
pub struct Line {
    options: LineOptions,
    view: RoundsView,
    known: Known,
    behind: Behind,
    waiting: BTreeMap<u64, Waiting>,
    by_round: BTreeMap<RoundId, BTreeSet<u64>>,
    waiting_count: u64,
}

impl Line {
    /// A line that has read nothing.
    pub fn new(options: LineOptions) -> Self {
        Self {
            behind: Behind::of(&options.tails),
            options,
            view: RoundsView::default(),
            known: Known::default(),
            waiting: BTreeMap::new(),
            by_round: BTreeMap::new(),
            waiting_count: 0,
        }
    }

    fn read(
        &mut self,
        now: Millis,
        source: Source,
        records: Vec<Record>,
        end: u64,
    ) -> Vec<Effect<Self>> {
        let mut effects = Vec::new();
        for record in records {
            self.behind.read(source, record.offset.saturating_add(1), end);
            // What cannot be read is the herald's to report (R23): it gets no verdict.
            let Ok(event) = RoundEvent::decode(&record.value) else { continue };
            let judged = match &event.said {
                RoundSaid::Verdict(verdict) => self
                    .view
                    .unjudged(source, verdict.judged)
                    .cloned()
                    .map(|judged| (judged, verdict.clone())),
                RoundSaid::Opened(_)
                | RoundSaid::Amended { .. }
                | RoundSaid::Closing
                | RoundSaid::Closed
                | RoundSaid::Sealed
                | RoundSaid::Version { .. }
                | RoundSaid::Proposed { .. }
                | RoundSaid::Rejected { .. } => None,
            };
            self.view.read(source, record.offset, event);
            if let Some((judged, verdict)) = judged {
                self.judged(now, &judged, &verdict, &mut effects);
            }
        }
        effects
    }

    /// Tells the askers of `event` its verdict, or holds them.
    fn judged(
        &mut self,
        now: Millis,
        event: &RoundEvent,
        verdict: &Verdict,
        effects: &mut Vec<Effect<Self>>,
    ) {
        let call = Call::of(event);
        let judged = Judged::of(event, verdict);
        if judged.refused.is_none() && event.actor != HERALD {
            self.known.admitted(call, &judged);
        }
        for id in self.by_round.get(&event.round).cloned().unwrap_or_default() {
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            if waiting.event.request == event.request && waiting.call.same(&call) {
                if waiting.hold && judged.refused.as_deref() == Some(NOT_SEALED) {
                    if waiting.held.replace(judged.clone()).is_none() {
                        let at = now.saturating_add(self.options.repeat_ms);
                        effects.push(Effect::Timer { token: id, at });
                    }
                } else {
                    let told = self.told(call, judged.clone());
                    self.finish(id, told, effects);
                }
            }
        }
        if judged.refused.is_none() && matches!(event.said, RoundSaid::Sealed) {
            for id in self.by_round.get(&event.round).cloned().unwrap_or_default() {
                self.repeat(id, effects);
            }
        }
    }

    /// What a verdict means to the asker.
    fn told(&self, call: Call, judged: Judged) -> Told {
        if judged.refused.as_deref() != Some(REQUEST_REUSED) {
            return Told::Verdict(judged);
        }
        // The same relative deadline, asked for at another time, is the same call.
        match self.known.get(&judged.round, &judged.request) {
            Some((admitted, known)) if admitted.same(&call) => Told::Verdict(known.clone()),
            Some(_) | None => Told::RequestReused,
        }
    }

    fn say(&mut self, now: Millis, asker: u64, say: Say) -> Vec<Effect<Self>> {
        let Say { event, hold } = say;
        let call = Call::of(&event);
        let reply = |reply| vec![Effect::Reply { token: asker, reply }];
        if let Some((admitted, known)) = self.known.get(&event.round, &event.request) {
            let same = admitted.same(&call);
            return reply(if same { Told::Verdict(known.clone()) } else { Told::RequestReused });
        }
        if WAITING_MAX <= self.waiting.len() {
            return reply(Told::NotTaken(NotTaken::Busy));
        }
        let wait_ms =
            if hold { self.options.hold_ms_max } else { self.options.verdict_wait_ms_max };
        let until = now.saturating_add(wait_ms);
        self.waiting_count += 1;
        let id = self.waiting_count;
        let mut effects = vec![Effect::Timer { token: id, at: until }];
        self.by_round.entry(event.round.clone()).or_default().insert(id);
        self.waiting.insert(id, Waiting { asker, event, call, hold, until, held: None });
        self.append(id, &mut effects);
        effects
    }

    fn append(&mut self, id: u64, effects: &mut Vec<Effect<Self>>) {
        let Some(waiting) = self.waiting.get(&id) else { return };
        match outgoing::round(&waiting.event, self.options.partitions) {
            Ok(outgoing) => {
                let records = vec![Append::from(outgoing.into_parts())];
                let batch = match waiting.event.said {
                    RoundSaid::Opened(_) => Batch::of_new_work(records),
                    RoundSaid::Amended { .. }
                    | RoundSaid::Closing
                    | RoundSaid::Closed
                    | RoundSaid::Sealed
                    | RoundSaid::Version { .. }
                    | RoundSaid::Proposed { .. }
                    | RoundSaid::Rejected { .. }
                    | RoundSaid::Verdict(_) => Batch::of_records(records),
                };
                effects.push(Effect::Apply { token: id, batch });
            }
            Err(_) => self.finish(id, Told::NotTaken(NotTaken::Unwritable), effects),
        }
    }

    /// Appends a held request again.
    fn repeat(&mut self, id: u64, effects: &mut Vec<Effect<Self>>) {
        let held = self.waiting.get_mut(&id).and_then(|waiting| waiting.held.take());
        if held.is_some() {
            self.append(id, effects);
        }
    }

    fn timer(&mut self, now: Millis, id: u64) -> Vec<Effect<Self>> {
        let mut effects = Vec::new();
        let Some(waiting) = self.waiting.get(&id) else { return effects };
        let sealed =
            self.view.get(&waiting.event.round).map(|info| RoundStatus::Sealed <= info.status);
        if waiting.until <= now {
            let told = waiting.held.clone().map_or(Told::Undecided, Told::Verdict);
            self.finish(id, told, &mut effects);
        } else if waiting.held.is_some() && sealed == Some(false) {
            let at = now.saturating_add(self.options.repeat_ms);
            effects.push(Effect::Timer { token: id, at });
        } else {
            self.repeat(id, &mut effects);
        }
        effects
    }

    fn failed(&mut self, id: u64, error: &EngineError) -> Vec<Effect<Self>> {
        let mut effects = Vec::new();
        match error {
            // Nothing of it was written.
            EngineError::Full(_) => {
                self.finish(id, Told::NotTaken(NotTaken::Full), &mut effects);
            }
            // It may stand in the log: the verdict comes, or the wait ends.
            EngineError::Unavailable(_)
            | EngineError::Fenced(_)
            | EngineError::OutOfRange { .. }
            | EngineError::Closed => {}
        }
        effects
    }

    fn finish(&mut self, id: u64, reply: Told, effects: &mut Vec<Effect<Self>>) {
        let Some(waiting) = self.waiting.remove(&id) else { return };
        if let Some(ids) = self.by_round.get_mut(&waiting.event.round) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_round.remove(&waiting.event.round);
            }
        }
        effects.push(Effect::Reply { token: waiting.asker, reply });
    }

    fn request(&mut self, now: Millis, asker: u64, ask: Ask) -> Vec<Effect<Self>> {
        let reply = match ask {
            _ if self.behind.any() => Told::NotTaken(NotTaken::Starting),
            Ask::Say(say) => return self.say(now, asker, say),
            Ask::Get(round) => Told::Round(self.view.get(&round).cloned().map(Box::new)),
            Ask::List { after, limit, open_only } => {
                let rounds = self.view.list(after, limit.min(LIST_ROUNDS_MAX), open_only);
                Told::Rounds(rounds.into_iter().map(RoundInfo::without_history).collect())
            }
        };
        vec![Effect::Reply { token: asker, reply }]
    }
}

impl Machine for Line {
    type Call = Infallible;
    type Answer = Infallible;
    type Request = Ask;
    type Reply = Told;

    fn sources(&self) -> Vec<(Source, u64)> {
        self.options.tails.iter().map(|tail| (tail.source, tail.from)).collect()
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Records { source, records, end } => self.read(now, source, records, end),
            Input::Failed { token, error } => self.failed(token, &error),
            Input::Timer { token } => self.timer(now, token),
            Input::Request { token, request } => self.request(now, token, request),
            Input::Answered { answer, .. } => match answer {},
            Input::Loaded { .. } | Input::Peeked { .. } | Input::Applied { .. } => Vec::new(),
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        true
    }

    fn survives_failure(&self) -> bool {
        true
    }
}
