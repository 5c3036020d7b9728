//! The reconciler (R19): every decision against final answers, round by round.
//!
//! One machine for all partitions that a process reconciles. It reads `rounds.v1` once, from the beginning
//! of retention, to learn which rounds there are; and for each of its partitions the facts of (round,
//! partition) some time after each change. What has no final answer, is not parked and is old enough is
//! said again in `settlements.v1`: the same content, the current revision, at most once a day, as a fact beside it
//! says, and not while its partner is down. It never pays by itself and never decides.
//!
//! Once a partner has confirmed all it was told of a round, or the rest is parked or frozen, the round is
//! closed with it: it is asked for its totals and digest. The same is a fact, and is not asked again until
//! there is another version or another list of bets set aside. A difference, found twice in a row, is a case
//! in `cases.v1` that names the bets; it ends when a later close finds none.
//!
//! A round that is done is looked at again once in a cycle, for as long as it may be corrected, and compared with its
//! partners as it was at first: a row that a wallet lost, or a fact that was damaged, is found then and named.
//!
//! While a round has no result, partners are asked every ten minutes about stakes that they have held for long; what differs is a
//! case as well.
//!
//! It is told which partitions it has ([`ReconcilerAsk`]): what was read of rounds is no memory of a
//! partition and stays when one comes or goes. Two owners for a while only repeat more.

mod again;
mod ask;
mod book;
mod closing;
mod compare;
mod damage;
mod desk;
mod differ;
mod holds;
mod lane;
mod metrics;
mod rounds;
mod send;

pub use again::{AgainError, AskedAgain, SaidAgain, say_again};
pub use ask::{Owed, ReconcilerAsk, ReconcilerOptions, ReconcilerTold, Standing};
pub use desk::{CloseAnswer, CloseAsk, CloseCall};
pub use metrics::Metrics;
pub use send::Closer;

use crate::load::Loaded;
use crate::memory::Memory;
pub(crate) use again::ASKED;
#[cfg(test)]
pub(crate) use again::of_round;
use closing::Seen;
use compare::compare_with;
pub(crate) use compare::{Answers, compare};
use damage::Damage;
use lane::{Lane, Look, Next};
use rounds::Rounds;
use runtime::machine::{Alarm, Effect, Input, Machine};
use runtime::{Append, Batch, Fact, Millis, Scope, Source, Topic};
use schemas::catalogue::{BETS, ROUNDS, SETTLEMENTS};
use schemas::frame::FrameError;
use schemas::outgoing::{self, SettlementTopic};
use schemas::rounds::{RoundEvent, RoundSaid};
use schemas::settlements::Settlement;
use schemas::{PartnerId, RoundId};
use std::collections::{BTreeMap, BTreeSet};

/// The machine.
#[derive(Debug)]
pub struct Reconciler {
    options: ReconcilerOptions,
    rounds: Rounds,
    lanes: BTreeMap<u32, Lane>,
    /// Cases of damaged facts that it has said.
    damaged: BTreeSet<String>,
    /// The last token given out: an answer to a load of a partition that was dropped finds nobody.
    token: u64,
    timer_set: bool,
}

const TIMER: u64 = 0;
/// A round rests between looks for a 16th of the time since it changed, at most 10 minutes: an outage of days
/// must not have its thousands of rounds read every second.
const AGE_TO_WAIT: Millis = 16;
const WAIT_MS_MAX: Millis = 10 * 60 * 1_000;

impl Reconciler {
    /// A reconciler that knows no round yet.
    pub fn new(options: ReconcilerOptions) -> Self {
        let lanes = options.partitions.iter().map(|partition| (*partition, Lane::default()));
        let lanes = lanes.collect();
        Self {
            rounds: Rounds::new(options.cycle_ms),
            options,
            lanes,
            damaged: BTreeSet::new(),
            token: TIMER,
            timer_set: false,
        }
    }

    fn token(&mut self) -> u64 {
        self.token += 1;
        self.token
    }

    /// Starts the looks that are due, one in each partition, or sets the timer for the next one.
    fn next(&mut self, now: Millis) -> Vec<Effect<Self>> {
        let mut effects = Vec::new();
        let mut earliest: Option<Millis> = None;
        for (partition, lane) in &mut self.lanes {
            match lane.next_of_all(now, &self.rounds, self.options.cycle_ms) {
                Next::Look(round) => {
                    self.token += 1;
                    let scope = scope(&round, SETTLEMENTS, *partition);
                    effects.push(Effect::Load { token: self.token, scope });
                    lane.looking = Some((self.token, round, Look::Answers));
                }
                Next::Wait(at) => earliest = Some(earliest.map_or(at, |other| other.min(at))),
                Next::Nothing => {}
            }
        }
        if let Some(at) = earliest
            && !self.timer_set
        {
            self.timer_set = true;
            let at = at.min(now.saturating_add(self.options.look_ms));
            effects.push(Effect::Timer { token: TIMER, at });
        }
        effects
    }

    /// The look that loads under `token`, with its partition.
    fn looking(&mut self, token: u64) -> Option<(u32, RoundId, Look)> {
        self.lanes.iter_mut().find_map(|(partition, lane)| {
            let (_, round, look) = lane.looking.take_if(|(found, ..)| *found == token)?;
            Some((*partition, round, look))
        })
    }

    fn loaded(&mut self, now: Millis, token: u64, facts: &[Fact]) -> Vec<Effect<Self>> {
        let Some((partition, round, look)) = self.looking(token) else { return Vec::new() };
        let mut effects = match look {
            Look::Answers => {
                let token = self.token();
                let scope = scope(&round, BETS, partition);
                let answers = Box::new(Answers::of(facts));
                if let Some(lane) = self.lanes.get_mut(&partition) {
                    lane.looking = Some((token, round, Look::Bets { answers }));
                }
                vec![Effect::Load { token, scope }]
            }
            Look::Bets { answers } => match Memory::load(&round, u64::MAX, facts) {
                Ok(Loaded { differs: Some(differs), round: bets, .. }) => {
                    let damage = Damage::of(differs, &bets, facts, &answers);
                    self.tell_damage(now, partition, &round, damage)
                }
                Ok(Loaded { round: bets, .. }) => {
                    let seen = Seen { round: &round, bets: &bets, facts };
                    self.seen(now, partition, &seen, &answers)
                }
                Err(error) => self.look_later(now, partition, &round, &error.to_string()),
            },
        };
        effects.extend(self.next(now));
        effects
    }

    /// All of a round in a partition was loaded: says again what is to be, and closes it where it can.
    fn seen(
        &mut self,
        now: Millis,
        partition: u32,
        seen: &Seen<'_>,
        answers: &Answers,
    ) -> Vec<Effect<Self>> {
        let found = compare_with(seen.bets, answers);
        let books = book::books(seen.bets, answers);
        let (mut standings, mut effects) = self.close(now, partition, seen, books);
        for (partner, owed) in found.owed {
            standings.entry(partner).or_default().owed = owed;
        }
        let said_by_now = usize::try_from(self.rounds.version(seen.round)).unwrap_or(usize::MAX);
        let is_over = seen.bets.closed_at.is_some() && said_by_now <= seen.bets.versions.len();
        let wait = self.wait(now, seen.round);
        let Some(lane) = self.lanes.get_mut(&partition) else { return effects };
        lane.found(now, seen.round.clone(), is_over, standings, wait);
        let again = lane.stale(now, found.unanswered, answers, &self.options);
        effects.extend(self.say_again(now, partition, again));
        let ungraded = found.ungraded.as_ref().map(ToString::to_string);
        effects.extend(ungraded.map(|why| alarm(format!("partition {partition}: {why}"))));
        effects
    }

    /// Ms until the next look at a round that is not done.
    fn wait(&self, now: Millis, round: &RoundId) -> Millis {
        let look_ms = self.options.look_ms;
        // One that is not remembered any more is older than all others.
        let Some(changed) = self.rounds.changed_at(round) else { return look_ms.max(WAIT_MS_MAX) };
        let age = now.saturating_sub(changed);
        (age / AGE_TO_WAIT).clamp(look_ms, look_ms.max(WAIT_MS_MAX))
    }

    fn look_later(
        &mut self,
        now: Millis,
        partition: u32,
        round: &RoundId,
        why: &str,
    ) -> Vec<Effect<Self>> {
        let wait = self.wait(now, round);
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.rechecked.remove(round);
            lane.plan_by(round, now.saturating_add(wait));
        }
        vec![alarm(format!("round {round} in partition {partition}: {why}"))]
    }

    fn say_again(
        &mut self,
        now: Millis,
        partition: u32,
        again: Vec<Settlement>,
    ) -> Vec<Effect<Self>> {
        let mut records = Vec::with_capacity(again.len());
        let mut closing = Vec::with_capacity(again.len());
        let mut said = BTreeSet::new();
        let mut effects = Vec::new();
        for settlement in again {
            match repeat(&settlement, partition, now) {
                Ok((record, fact)) => {
                    records.push(record);
                    closing.push(fact);
                    said.insert((settlement.bet, settlement.revision));
                }
                Err(error) => {
                    effects.push(alarm(format!(
                        "settlement {} cannot be said: {error}",
                        settlement.id()
                    )));
                }
            }
        }
        if records.is_empty() {
            return effects;
        }
        let token = self.token();
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.say(token, said);
        }
        effects.push(Effect::Alarm(Alarm {
            name: "settlements_said_again",
            text: format!("{} settlements had no final answer", records.len()),
        }));
        let batch = Batch { records: vec![records], closing, ..Batch::default() };
        effects.push(Effect::Apply { token, batch });
        effects
    }

    /// Something was admitted about a round.
    fn changed(&mut self, now: Millis, event: &RoundEvent, version: u32) {
        let due = event.said_at.saturating_add(self.options.first_look_ms());
        self.rounds.changed(&event.round, version, event.said_at, now);
        self.lanes.values_mut().for_each(|lane| lane.plan(&event.round, due));
    }

    fn take(&mut self, partition: u32) {
        if self.lanes.contains_key(&partition) {
            return;
        }
        let mut lane = Lane::default();
        for (round, changed) in self.rounds.iter() {
            lane.plan(round, changed.saturating_add(self.options.first_look_ms()));
        }
        self.lanes.insert(partition, lane);
    }

    fn total(&self) -> BTreeMap<PartnerId, Standing> {
        let mut total: BTreeMap<PartnerId, Standing> = BTreeMap::new();
        for (partner, line) in self.lanes.values().flat_map(Lane::standings) {
            total.entry(partner.clone()).or_default().add(line);
        }
        total
    }
}

fn scope(round: &RoundId, topic: &'static str, partition: u32) -> Scope {
    Scope { group: round.to_string(), topic: Topic(topic), partition }
}

/// A settlement as it is said again, and the fact that it was.
fn repeat(
    settlement: &Settlement,
    partition: u32,
    now: Millis,
) -> Result<(Append, Fact), FrameError> {
    let record = outgoing::settlement(settlement, SettlementTopic::Settlements, partition)?;
    let fact = outgoing::repeated_fact(settlement, partition, now)?;
    Ok((record.into_parts().into(), fact.into_parts().into()))
}

fn alarm(text: String) -> Effect<Reconciler> {
    Effect::Alarm(Alarm { name: "round_not_reconciled", text })
}

impl Machine for Reconciler {
    type Call = CloseCall;
    type Answer = CloseAnswer;
    type Request = ReconcilerAsk;
    type Reply = ReconcilerTold;

    fn sources(&self) -> Vec<(Source, u64)> {
        (0..)
            .zip(&self.options.rounds_from)
            .map(|(partition, from)| (Source { topic: Topic(ROUNDS), partition }, *from))
            .collect()
    }

    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>> {
        match input {
            Input::Records { records, .. } => {
                for record in records {
                    let Ok(event) = RoundEvent::decode(&record.value) else { continue };
                    if let RoundSaid::Verdict(verdict) = &event.said
                        && verdict.refused.is_none()
                    {
                        let version = verdict.version;
                        self.changed(now, &event, version);
                    }
                }
                self.next(now)
            }
            Input::Loaded { token, facts } => self.loaded(now, token, &facts),
            Input::Timer { .. } => {
                self.timer_set = false;
                self.next(now)
            }
            Input::Request { token, request } => {
                let reply = match request {
                    ReconcilerAsk::Standings => ReconcilerTold::Standings(self.total()),
                    ReconcilerAsk::Take(partition) => {
                        self.take(partition);
                        ReconcilerTold::Done
                    }
                    ReconcilerAsk::Drop(partition) => {
                        self.lanes.remove(&partition);
                        ReconcilerTold::Done
                    }
                    ReconcilerAsk::Away(partners) => {
                        self.options.away = partners;
                        ReconcilerTold::Done
                    }
                };
                let mut effects = vec![Effect::Reply { token, reply }];
                effects.extend(self.next(now));
                effects
            }
            Input::Applied { token } => {
                self.lanes.values_mut().for_each(|lane| lane.said(token));
                Vec::new()
            }
            Input::Failed { token, .. } => {
                self.lanes.values_mut().for_each(|lane| lane.said(token));
                // It may have been a case: the same is said again, under the same id.
                self.damaged.clear();
                Vec::new()
            }
            Input::Peeked { .. } => Vec::new(),
            Input::Answered { token, answer } => self.answered(now, token, &answer),
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        true
    }

    /// It stores no offset: a batch that failed is said again at the next look, and a store that is away
    /// is no reason to read all rounds again.
    fn survives_failure(&self) -> bool {
        true
    }
}
