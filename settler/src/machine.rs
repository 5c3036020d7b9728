//! The settler of one partition as a machine: load, decide a batch, apply it, go on.

use crate::memory::{DAMAGED, Memory, Round};
use crate::output::Output;
use runtime::machine::{Alarm, Effect, Input, Machine};
use runtime::{Fact, Millis, Record, Scope, Source, StoreOffset, Topic};
use schemas::bets::{BetEvent, BetSaid, Unreadable};
use schemas::catalogue::BETS;
use schemas::facts::{HEADER_BET, HEADER_PARTNER, HEADER_ROUND};
use schemas::wire::UnreadableRecord;
use schemas::{BetId, Lane, PartnerId, RoundId};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

/// Records in a batch. Each batch waits for the store and then for the log, so fewer and larger ones cost less: with 1,000
/// a bet took a tenth more of a core. More than these seldom wait.
pub const RECORDS_MAX: usize = 5_000;
/// Rounds loaded at once: more than are open in a partition at once, and not a week of them.
const LOADS_MAX: usize = 256;
/// Times a round is read again when it does not equal its tally, before it is frozen (R5).
const READS_MAX: u32 = 3;
/// Ms between such reads.
const READ_AGAIN_MS: i64 = 200;

const TOKEN_BATCH: u64 = 0;
const TOKEN_AGAIN: u64 = 1;
const TOKEN_LOAD: u64 = 1 << 32;

/// What a settler is told at its start.
#[derive(Clone, Copy, Debug)]
pub struct SettlerOptions {
    /// The partition of `bets.v1`.
    pub partition: u32,
    /// The stored offset, 0 for none.
    pub from: u64,
    /// Rounds kept in memory behind the stored offset. More means fewer loads; any number is right.
    pub rounds_kept: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Loading,
    Applying,
    Stopped,
}

/// A record of the batch in hand, decoded once.
#[derive(Debug)]
enum Decoded {
    Event(BetEvent),
    /// Apart, since it is large and rare.
    Unreadable(Box<(UnreadableRecord, Names)>),
}

fn is_thaw(decoded: &Decoded) -> bool {
    matches!(decoded, Decoded::Event(BetEvent { said: BetSaid::Thaw { .. }, .. }))
}

/// What the headers of a record name.
#[derive(Clone, Debug, Default)]
struct Names {
    round: Option<RoundId>,
    bet: Option<(BetId, PartnerId)>,
}

/// The machine: one partition of `bets.v1`.
#[derive(Debug)]
pub struct Settler {
    source: Source,
    options: SettlerOptions,
    memory: Memory,
    phase: Phase,
    batch: Vec<(u64, Decoded)>,
    /// Read and not yet taken: the batch before has loaded as many rounds as it may.
    rest: VecDeque<Record>,
    loads: BTreeMap<u64, Load>,
    next_token: u64,
    read_to: u64,
    stored: u64,
}

#[derive(Clone, Debug)]
struct Load {
    round: RoundId,
    below: u64,
    reads: u32,
    waiting: bool,
}

impl Settler {
    /// The settler of a partition, with an empty memory (R4).
    pub fn new(options: SettlerOptions) -> Self {
        Self {
            source: Source { topic: Topic(BETS), partition: options.partition },
            options,
            memory: Memory::default(),
            phase: Phase::Idle,
            batch: Vec::new(),
            rest: VecDeque::new(),
            loads: BTreeMap::new(),
            next_token: 0,
            read_to: options.from,
            stored: options.from,
        }
    }

    /// The next record to be taken. The stored offset may be held back before it (R1).
    pub fn position(&self) -> u64 {
        self.read_to
    }

    /// Takes what was read, up to the record that names one round more than may be loaded at once: a week of corrections
    /// stands in a row, and each of them needs its whole round. One that is frozen since its facts did not add up is read
    /// anew when it is to be thawed: somebody may have put them back.
    fn take(&mut self) -> Vec<Effect<Self>> {
        let mut missing: BTreeMap<RoundId, u64> = BTreeMap::new();
        self.batch.reserve(self.rest.len());
        while let Some(record) = self.rest.pop_front() {
            let decoded = decode(self.source, &record);
            let round = match &decoded {
                Decoded::Event(event) => event.round.as_ref(),
                Decoded::Unreadable(unreadable) => unreadable.1.round.as_ref(),
            };
            let reads_anew = is_thaw(&decoded)
                && round.and_then(|id| self.memory.rounds.get(id)).is_some_and(Round::is_damaged);
            if let Some(round) = round
                && (reads_anew || !self.memory.rounds.contains_key(round))
                && !missing.contains_key(round)
            {
                // What came before such a thaw has to be durable, or it would not be read.
                if LOADS_MAX <= missing.len() || (reads_anew && !self.batch.is_empty()) {
                    self.rest.push_front(record);
                    break;
                }
                missing.insert(round.clone(), record.offset);
            }
            self.read_to = record.offset + 1;
            self.batch.push((record.offset, decoded));
        }
        if missing.is_empty() {
            return self.decide(Output::new(self.options.partition));
        }
        self.phase = Phase::Loading;
        missing
            .into_iter()
            .map(|(round, below)| self.load(Load { round, below, reads: 0, waiting: false }))
            .collect()
    }

    fn load(&mut self, load: Load) -> Effect<Self> {
        self.next_token = (self.next_token + 1) & 0xffff_ffff;
        let token = TOKEN_LOAD | self.next_token;
        let scope = Scope {
            group: load.round.to_string(),
            topic: self.source.topic,
            partition: self.source.partition,
        };
        self.loads.insert(token, load);
        Effect::Load { token, scope }
    }

    fn loaded(&mut self, now: Millis, token: u64, facts: &[Fact]) -> Vec<Effect<Self>> {
        let Some(load) = self.loads.remove(&token) else { return Vec::new() };
        let mut out = Output::new(self.options.partition);
        match Memory::load(&load.round, load.below, facts) {
            Ok(loaded) if loaded.differs.is_some() && load.reads + 1 < READS_MAX => {
                return self.read_again(now, load, loaded.differs.unwrap_or_default());
            }
            Ok(loaded) => {
                self.memory.rounds.insert(load.round.clone(), loaded.round);
                if loaded.differs.is_some()
                    && let Err(error) =
                        self.memory.freeze_loaded(&load.round, load.below, DAMAGED, &mut out)
                {
                    return self.stop(load.below, &error.to_string());
                }
                for (bet, decision) in loaded.contradicted {
                    let partner = Some(&decision.bet.partner);
                    let code = "two_contents";
                    let frozen = self.memory.freeze_one(
                        &load.round,
                        &bet,
                        partner,
                        load.below,
                        code,
                        &mut out,
                    );
                    if let Err(error) = frozen {
                        return self.stop(load.below, &error.to_string());
                    }
                }
            }
            Err(error) => return self.stop(load.below, &error.to_string()),
        }
        if self.loads.is_empty() { self.decide(out) } else { self.hold(out) }
    }

    /// Keeps what loading found until all rounds are loaded: it goes out with the batch.
    fn hold(&mut self, out: Output) -> Vec<Effect<Self>> {
        let (batch, alarms) = out.into_batch();
        let mut effects: Vec<Effect<Self>> = alarms.into_iter().map(Effect::Alarm).collect();
        if !batch.is_empty() {
            effects.push(Effect::Apply { token: TOKEN_LOAD, batch });
        }
        effects
    }

    fn read_again(
        &mut self,
        now: Millis,
        load: Load,
        (loaded, tallied): (i64, i64),
    ) -> Vec<Effect<Self>> {
        let text = format!(
            "round {} in {}: {loaded} bets loaded, {tallied} tallied; reading again",
            load.round, self.source
        );
        self.next_token = (self.next_token + 1) & 0xffff_ffff;
        let load = Load { reads: load.reads + 1, waiting: true, ..load };
        self.loads.insert(TOKEN_LOAD | self.next_token, load);
        vec![
            Effect::Alarm(Alarm { name: "tally_differs", text }),
            Effect::Timer { token: TOKEN_AGAIN, at: now + READ_AGAIN_MS },
        ]
    }

    fn again(&mut self) -> Vec<Effect<Self>> {
        let tokens: Vec<u64> =
            self.loads.iter().filter(|(_, load)| load.waiting).map(|(token, _)| *token).collect();
        tokens
            .into_iter()
            .filter_map(|token| self.loads.remove(&token))
            .map(|load| Load { waiting: false, ..load })
            .collect::<Vec<_>>()
            .into_iter()
            .map(|load| self.load(load))
            .collect()
    }

    /// Decides the batch in hand, in order, and applies what follows.
    fn decide(&mut self, mut out: Output) -> Vec<Effect<Self>> {
        let mut batch = std::mem::take(&mut self.batch);
        out.reserve(batch.len());
        for (at, decoded) in batch.drain(..) {
            let decided = match decoded {
                Decoded::Event(event) => self.memory.decide(at, event, &mut out),
                Decoded::Unreadable(found) => {
                    let (record, names) = &*found;
                    unreadable(&mut self.memory, at, record, names, &mut out)
                }
            };
            if let Err(error) = decided {
                // Nothing of this batch was applied: the records before this one are read again by the
                // settler that has the rules.
                return self.stop(at, &error.to_string());
            }
        }
        // Its memory is used again: a fresh piece of this size would come from the kernel each time.
        self.batch = batch;
        let (mut batch, alarms) = out.into_batch();
        let mut effects: Vec<Effect<Self>> = alarms.into_iter().map(Effect::Alarm).collect();
        let storable = self.memory.storable(self.read_to);
        if storable != self.stored {
            batch.offsets.push(StoreOffset { source: self.source, offset: storable });
            self.stored = storable;
        }
        if batch.is_empty() {
            self.phase = Phase::Idle;
            effects.extend(self.go_on());
        } else {
            self.phase = Phase::Applying;
            effects.push(Effect::Apply { token: TOKEN_BATCH, batch });
        }
        effects
    }

    fn go_on(&mut self) -> Vec<Effect<Self>> {
        if self.rest.is_empty() { Vec::new() } else { self.take() }
    }

    /// Stops for good: what was read and is not decided is left to a settler that can decide it (R6).
    fn stop(&mut self, at: u64, why: &str) -> Vec<Effect<Self>> {
        self.phase = Phase::Stopped;
        self.batch.clear();
        self.rest.clear();
        self.loads.clear();
        let text = format!("{} stops at offset {at}: {why}", self.source);
        vec![Effect::Alarm(Alarm { name: "partition_stopped", text })]
    }
}

fn unreadable(
    memory: &mut Memory,
    at: u64,
    record: &UnreadableRecord,
    names: &Names,
    out: &mut Output,
) -> Result<(), crate::decide::StopError> {
    let round = names.round.as_ref().map_or("", RoundId::as_str);
    let lane = names.bet.as_ref().map(|(_, partner)| Lane::of(partner));
    let lane = lane.as_ref().map_or("", Lane::as_str);
    let bet = names.bet.as_ref().map_or("", |(bet, _)| bet.as_str());
    out.unreadable(record, (round, lane, bet))?;
    match &names.round {
        Some(round) => memory.freeze_unreadable(round, names.bet.as_ref(), at, out),
        None => Ok(()),
    }
}

fn decode(source: Source, record: &Record) -> Decoded {
    match BetEvent::decode(&record.value) {
        Ok(event) => Decoded::Event(event),
        Err(error) => {
            let found = (unreadable_record(source, record, &error), names(record));
            Decoded::Unreadable(Box::new(found))
        }
    }
}

fn names(record: &Record) -> Names {
    let bet: Option<BetId> = record.header(HEADER_BET).and_then(|text| text.parse().ok());
    let partner: Option<PartnerId> =
        record.header(HEADER_PARTNER).and_then(|text| text.parse().ok());
    Names {
        round: record.header(HEADER_ROUND).and_then(|text| text.parse().ok()),
        bet: bet.zip(partner),
    }
}

fn unreadable_record(source: Source, record: &Record, error: &Unreadable) -> UnreadableRecord {
    let place = (source.topic.0, source.partition, record.offset);
    UnreadableRecord::of(place, record.headers.iter(), (&record.key, &record.value), error)
}

impl Machine for Settler {
    type Call = Infallible;
    type Answer = Infallible;
    type Request = Infallible;
    type Reply = Infallible;

    fn sources(&self) -> Vec<(Source, u64)> {
        vec![(self.source, self.options.from)]
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        if self.phase == Phase::Stopped {
            return Vec::new();
        }
        match input {
            Input::Records { records, .. } => {
                self.rest.extend(records);
                self.take()
            }
            Input::Loaded { token, facts } => self.loaded(now, token, &facts),
            Input::Applied { token: TOKEN_BATCH } => {
                self.phase = Phase::Idle;
                self.memory.evict(self.stored, self.options.rounds_kept);
                self.go_on()
            }
            Input::Timer { .. } => self.again(),
            Input::Applied { .. } | Input::Failed { .. } | Input::Peeked { .. } => Vec::new(),
            Input::Answered { answer, .. } => match answer {},
            Input::Request { request, .. } => match request {},
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        self.phase == Phase::Idle && self.rest.is_empty()
    }

    fn records_max(&self) -> usize {
        RECORDS_MAX
    }
}
