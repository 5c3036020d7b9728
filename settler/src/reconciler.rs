//! The reconciler of one partition (R19): every decision against final answers, round by round.
//!
//! Reads `rounds.v1` from the beginning of retention to learn which rounds there are, and the facts of
//! (round, partition) some time after each change. What has no final answer, is not parked and is old
//! enough is said again in `settlements.v1`: the same content, the current revision, at most once a day
//! while it runs; a restart forgets when it last did. It never pays by itself and never decides: a
//! difference it cannot explain is an alarm.
//!
//! Not yet here: closing rounds with partners, cases, and breakers; every partner counts as reachable.

use crate::load::Loaded;
use crate::memory::{BetState, Known, Memory, Round};
use runtime::machine::{Alarm, Effect, Input, Machine};
use runtime::{Append, Batch, Fact, Millis, Scope, Source, Topic};
use schemas::catalogue::{BETS, ROUNDS, SETTLEMENTS};
use schemas::decisions::Decision;
use schemas::facts::DELIVERED;
use schemas::frame;
use schemas::outgoing::{self, SettlementTopic};
use schemas::rounds::{RoundEvent, RoundSaid};
use schemas::settlements::Settlement;
use schemas::wire::{DeliveryOutcome, DeliveryRecord};
use schemas::{BetId, PartnerId, RoundId};
use settlement::RuleError;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// What a reconciler is told at its start.
#[derive(Clone, Debug)]
pub struct ReconcilerOptions {
    /// The partition of `bets.v1` and `settlements.v1`.
    pub partition: u32,
    /// The lowest offset of each partition of `rounds.v1`.
    pub rounds_from: Vec<u64>,
    /// Ms after which an unanswered settlement is said again; 15 minutes in production.
    pub stale_ms: i64,
    /// Ms between two such repeats of one settlement; a day in production.
    pub repeat_ms: i64,
    /// Ms between two looks at a round that still owes something.
    pub look_ms: i64,
}

/// What a partner is owed in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Settlements without a final answer, parked ones among them.
    pub settlements: u64,
    /// Those set aside for a human.
    pub parked: u64,
    /// Bets that a broken invariant stopped.
    pub frozen: u64,
}

/// Asks a reconciler what every partner was owed when its rounds were last looked at.
#[derive(Clone, Copy, Debug)]
pub struct AskOwed;

#[derive(Clone, Debug)]
enum Look {
    Bets,
    Answers { bets: Box<Round> },
}

/// The machine.
#[derive(Debug)]
pub struct Reconciler {
    options: ReconcilerOptions,
    /// When each round is to be looked at next, ms. Rounds that owe nothing are absent.
    due: BTreeMap<RoundId, Millis>,
    queue: BTreeSet<(Millis, RoundId)>,
    owed: BTreeMap<RoundId, BTreeMap<PartnerId, Owed>>,
    repeated: BTreeMap<(BetId, u32), Millis>,
    looking: Option<(RoundId, Look)>,
    timer_set: bool,
}

const TOKEN: u64 = 0;

impl Reconciler {
    /// A reconciler that knows no round yet.
    pub fn new(options: ReconcilerOptions) -> Self {
        Self {
            options,
            due: BTreeMap::new(),
            queue: BTreeSet::new(),
            owed: BTreeMap::new(),
            repeated: BTreeMap::new(),
            looking: None,
            timer_set: false,
        }
    }

    /// Looks at the round next at `at`, whatever was planned before; never, if there is no `at`.
    fn plan(&mut self, round: &RoundId, at: Option<Millis>) {
        if let Some(before) = self.due.remove(round) {
            self.queue.remove(&(before, round.clone()));
        }
        if let Some(at) = at {
            self.due.insert(round.clone(), at);
            self.queue.insert((at, round.clone()));
        }
    }

    fn scope(&self, round: &RoundId, topic: &'static str) -> Scope {
        let partition = self.options.partition;
        Scope { group: round.to_string(), topic: Topic(topic), partition }
    }

    /// Starts the look that is due, or sets the timer for the next one.
    fn next(&mut self, now: Millis) -> Vec<Effect<Self>> {
        if self.looking.is_some() {
            return Vec::new();
        }
        let Some((at, round)) = self.queue.first().cloned() else { return Vec::new() };
        if at <= now {
            let scope = self.scope(&round, BETS);
            self.looking = Some((round, Look::Bets));
            return vec![Effect::Load { token: TOKEN, scope }];
        }
        if self.timer_set {
            return Vec::new();
        }
        self.timer_set = true;
        let at = at.min(now.saturating_add(self.options.look_ms));
        vec![Effect::Timer { token: TOKEN, at }]
    }

    fn loaded(&mut self, now: Millis, facts: &[Fact]) -> Vec<Effect<Self>> {
        match self.looking.take() {
            None => Vec::new(),
            Some((round, Look::Bets)) => match Memory::load(&round, u64::MAX, facts) {
                Ok(Loaded { differs: Some((loaded, tallied)), .. }) => {
                    let why = format!("{loaded} bets loaded, {tallied} tallied");
                    self.look_later(now, round, &why)
                }
                Ok(loaded) => {
                    let scope = self.scope(&round, SETTLEMENTS);
                    let bets = Box::new(loaded.round);
                    self.looking = Some((round, Look::Answers { bets }));
                    vec![Effect::Load { token: TOKEN, scope }]
                }
                Err(error) => self.look_later(now, round, &error.to_string()),
            },
            Some((round, Look::Answers { bets })) => self.compare(now, round, &bets, facts),
        }
    }

    fn look_later(&mut self, now: Millis, round: RoundId, why: &str) -> Vec<Effect<Self>> {
        let text = format!("round {round} in partition {}: {why}", self.options.partition);
        self.plan(&round, Some(now.saturating_add(self.options.look_ms)));
        let mut effects = vec![Effect::Alarm(Alarm { name: "round_not_reconciled", text })];
        effects.extend(self.next(now));
        effects
    }

    fn compare(
        &mut self,
        now: Millis,
        round: RoundId,
        bets: &Round,
        facts: &[Fact],
    ) -> Vec<Effect<Self>> {
        let answers = Answers::of(facts);
        let mut owed: BTreeMap<PartnerId, Owed> = BTreeMap::new();
        let mut again = Vec::new();
        let mut ungraded = None;
        for state in bets.bets.values() {
            let Some(decision) = decided(state) else { continue };
            let line = owed.entry(decision.bet.partner.clone()).or_default();
            if matches!(state, BetState::Frozen(_)) {
                line.frozen += 1;
                continue;
            }
            let settlement = match newest(bets, decision) {
                Ok(Some(settlement)) => settlement,
                Ok(None) => continue,
                Err(error) => {
                    line.frozen += 1;
                    ungraded.get_or_insert(error);
                    continue;
                }
            };
            if answers.is_final(&settlement) {
                continue;
            }
            line.settlements += 1;
            if answers.is_parked(&settlement) {
                line.parked += 1;
            } else if self.is_stale(now, &settlement) {
                again.push(settlement);
            }
        }
        owed.retain(|_, line| *line != Owed::default());
        if owed.is_empty() && bets.closed_at.is_some() {
            self.plan(&round, None);
            self.owed.remove(&round);
        } else {
            self.plan(&round, Some(now.saturating_add(self.options.look_ms)));
            self.owed.insert(round, owed);
        }
        let mut effects = self.say_again(now, again);
        if let Some(error) = ungraded {
            let text = format!("partition {}: {error}", self.options.partition);
            effects.push(Effect::Alarm(Alarm { name: "round_not_reconciled", text }));
        }
        effects.extend(self.next(now));
        effects
    }

    fn is_stale(&self, now: Millis, settlement: &Settlement) -> bool {
        let last = self.repeated.get(&(settlement.bet.clone(), settlement.revision));
        let rested = last.is_none_or(|at| self.options.repeat_ms <= now.saturating_sub(*at));
        rested && self.options.stale_ms <= now.saturating_sub(settlement.caused_at)
    }

    fn say_again(&mut self, now: Millis, again: Vec<Settlement>) -> Vec<Effect<Self>> {
        let mut records = Vec::with_capacity(again.len());
        let mut effects = Vec::new();
        for settlement in again {
            let to = SettlementTopic::Settlements;
            match outgoing::settlement(&settlement, to, self.options.partition) {
                Ok(out) => {
                    records.push(Append::from(out.into_parts()));
                    self.repeated.insert((settlement.bet, settlement.revision), now);
                }
                Err(error) => effects.push(Effect::Alarm(Alarm {
                    name: "round_not_reconciled",
                    text: format!("settlement {} cannot be said: {error}", settlement.id()),
                })),
            }
        }
        self.repeated.retain(|_, at| now.saturating_sub(*at) < self.options.repeat_ms);
        if !records.is_empty() {
            effects.push(Effect::Alarm(Alarm {
                name: "settlements_said_again",
                text: format!("{} settlements had no final answer", records.len()),
            }));
            effects.push(Effect::Apply { token: TOKEN, batch: Batch::of_records(records) });
        }
        effects
    }

    fn total(&self) -> BTreeMap<PartnerId, Owed> {
        let mut total: BTreeMap<PartnerId, Owed> = BTreeMap::new();
        for (partner, line) in self.owed.values().flatten() {
            let sum = total.entry(partner.clone()).or_default();
            sum.settlements += line.settlements;
            sum.parked += line.parked;
            sum.frozen += line.frozen;
        }
        total
    }
}

fn decided(state: &BetState) -> Option<&Decision> {
    match state {
        BetState::Accepted(decision)
        | BetState::Rejected(decision)
        | BetState::Cancelled(decision)
        | BetState::Frozen(Known::Decision(decision)) => Some(decision),
        BetState::Pending { .. } | BetState::Frozen(Known::Nothing | Known::Intent(_)) => None,
    }
}

/// The newest settlement that a decision is owed, if any.
fn newest(round: &Round, decision: &Decision) -> Result<Option<Settlement>, RuleError> {
    if let Some(void) = settlement::final_void(decision) {
        return Ok(Some(void));
    }
    let Some(rules) = round.rules else { return Ok(None) };
    Ok(settlement::expected(rules.game, decision, &round.versions)?.pop())
}

#[derive(Debug, Default)]
struct Answers {
    /// The highest revision with a final answer.
    finals: BTreeMap<String, u32>,
    parked: BTreeSet<(String, u32)>,
}

impl Answers {
    fn of(facts: &[Fact]) -> Self {
        let mut answers = Self::default();
        for fact in facts.iter().filter(|fact| fact.key.kind == DELIVERED) {
            let Ok(record) = frame::decode::<DeliveryRecord>(&fact.body) else { continue };
            let revision = u32::try_from(record.revision).unwrap_or_default();
            match record.outcome {
                DeliveryOutcome::Applied | DeliveryOutcome::Superseded => {
                    let newest = answers.finals.entry(record.bet_id).or_default();
                    *newest = revision.max(*newest);
                }
                DeliveryOutcome::Parked => {
                    answers.parked.insert((record.bet_id, revision));
                }
                DeliveryOutcome::Unknown => {}
            }
        }
        answers
    }

    /// A final answer closes its own revision and those below, never one above (R17).
    fn is_final(&self, settlement: &Settlement) -> bool {
        let newest = self.finals.get(settlement.bet.as_str());
        newest.is_some_and(|newest| settlement.revision <= *newest)
    }

    fn is_parked(&self, settlement: &Settlement) -> bool {
        self.parked.contains(&(settlement.bet.to_string(), settlement.revision))
    }
}

impl Machine for Reconciler {
    type Call = Infallible;
    type Answer = Infallible;
    type Request = AskOwed;
    type Reply = BTreeMap<PartnerId, Owed>;

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
                        let due = event.said_at.saturating_add(self.options.stale_ms);
                        self.plan(&event.round, Some(due));
                    }
                }
                self.next(now)
            }
            Input::Loaded { facts, .. } => self.loaded(now, &facts),
            Input::Timer { .. } => {
                self.timer_set = false;
                self.next(now)
            }
            Input::Request { token, request: AskOwed } => {
                vec![Effect::Reply { token, reply: self.total() }]
            }
            Input::Applied { .. } | Input::Failed { .. } => Vec::new(),
            Input::Answered { answer, .. } => match answer {},
        }
    }

    fn ready_for(&self, _source: Source) -> bool {
        true
    }
}
